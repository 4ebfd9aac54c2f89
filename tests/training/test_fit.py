"""Training: the loss falls, the figures are those of a plain loop, and wrong input stops at the door."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import changed, learning, two_layers, two_patterns, values_of
from torch.nn import functional as F

from spikeloom.datasets import ArrayDataset, Dataloader
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, StorageError, UnknownNameError
from spikeloom.network import Decoder, NeuronGroup, StateMonitor
from spikeloom.training import Learner, evaluate, fit
from spikeloom.training.progress import Bar

QUIET = {"time": 5, "progress": False}


def patterns_net(**options):
    return learning(two_layers(outputs=2), **options)


class Script:
    """A loss that takes its values from a list, one for each call, whatever the network answers."""

    def __init__(self, *values):
        self.values = list(values)

    def __call__(self, answer, label):
        return answer.sum() * 0 + self.values.pop(0)


class TestLearning:
    def test_the_loss_falls_and_the_patterns_are_told_apart(self):
        net = patterns_net(lr=0.05)
        history = fit(net, two_patterns(), epochs=15, validation=two_patterns(), **QUIET)
        assert history[0].train.loss > 0.5
        assert history[-1].train.loss < 0.3
        assert history[-1].validation.accuracy == 1.0

    def test_the_history_is_that_of_a_plain_loop(self):
        history = fit(patterns_net(), two_patterns(10), epochs=3, validation=two_patterns(6), **QUIET)
        net = patterns_net()
        adam = torch.optim.Adam(list(net.parameters()), 0.01)

        def ran(data, label):
            net.input(data)
            net.run(5)
            answer, label = net.decoder.predict, torch.as_tensor(label)
            loss = F.cross_entropy(answer, label)
            rate = 1000 / 5 * (net.counted.tensor_values.sum() + answer.sum()) / (len(label) * 7)
            return loss, [
                float(v.detach()) * len(label) for v in (loss, (answer.argmax(1) == label).double().mean(), rate)
            ]

        net.counted = StateMonitor(net.hidden, "spikes")
        for number, epoch in enumerate(history, 1):
            sums = []
            for data, label in two_patterns(10):
                loss, figures = ran(data, label)
                adam.zero_grad()
                loss.backward()
                adam.step()
                sums.append(figures)
            tested = [ran(data, label)[1] for data, label in two_patterns(6)]
            for found, expected, n in ((epoch.train, sums, 10), (epoch.validation, tested, 6)):
                assert found.samples == n
                figures = (found.loss, found.accuracy, found.rate_hz)
                assert figures == pytest.approx(np.sum(expected, 0) / n, abs=1e-5)
            assert (epoch.epoch, epoch.learning_rate) == (number, 0.01)
        assert all(epoch.train.rate_hz > 0 for epoch in history)

    def test_the_validation_teaches_nothing(self):
        with_it, without = patterns_net(), patterns_net()
        fit(with_it, two_patterns(), epochs=2, validation=two_patterns(6), **QUIET)
        history = fit(without, two_patterns(), epochs=2, **QUIET)
        assert changed(dict(without.state_dict()), with_it.state_dict()) == set()
        assert [epoch.validation for epoch in history] == [None, None]

    def test_the_last_validation_is_what_evaluate_gives_afterwards(self):
        net = patterns_net()
        history = fit(net, two_patterns(), epochs=2, validation=two_patterns(6), **QUIET)
        assert evaluate(net, two_patterns(6), **QUIET) == history[-1].validation

    def test_a_loss_by_name_is_used(self):
        net = patterns_net()
        history = fit(net, two_patterns(4), epochs=1, loss="normalised_cross_entropy", **QUIET)
        before = patterns_net()
        data, label = next(iter(two_patterns(4)))
        before.input(data)
        before.run(5)
        answer = before.decoder.predict.detach()
        expected = F.cross_entropy((answer - answer.mean()) / (answer.std() + 0.1), torch.as_tensor(label))
        assert history[0].train.loss == pytest.approx(float(expected), abs=1e-12)


class TestStopping:
    @pytest.mark.parametrize(
        ("losses", "patience", "epochs"),
        [
            ([3, 2, 2.5, 2.4, 1], 2, 4),
            ([3, 2, 2.5, 1, 1, 1, 1], 2, 6),
            ([3, 2, 1, 0.5], 1, 4),
            ([1, 1, 1], 1, 2),
            ([5, 6, 7, 4], 3, 4),
        ],
    )
    def test_training_ends_after_patience_epochs_without_a_better_loss(self, losses, patience, epochs):
        history = fit(
            patterns_net(), two_patterns(4), epochs=len(losses), loss=Script(*losses), patience=patience, **QUIET
        )
        assert [epoch.train.loss for epoch in history] == losses[:epochs]

    def test_patience_watches_the_validation_where_there_is_one(self):
        losses = [9, 1, 8, 2, 7, 3, 6, 4]  # training falls, validation rises
        history = fit(
            patterns_net(), two_patterns(4), epochs=4, loss=Script(*losses), validation=two_patterns(4), patience=2,
            **QUIET,
        )  # fmt: skip
        assert [(e.train.loss, e.validation.loss) for e in history] == [(9, 1), (8, 2), (7, 3)]

    @pytest.mark.parametrize("validated", [False, True])
    def test_reduce_on_plateau_watches_the_loss_and_halves_the_rate(self, validated):
        net = patterns_net(lr=0.8)
        net.learner.set_schedule("ReduceLROnPlateau", factor=0.5, patience=0)
        watched, losses = [5, 4, 4.5, 3, 3.5], []
        for loss in watched:
            losses += [1, loss] if validated else [loss]
        validation = two_patterns(4) if validated else None
        history = fit(net, two_patterns(4), epochs=5, loss=Script(*losses), validation=validation, **QUIET)
        assert [epoch.learning_rate for epoch in history] == [0.8, 0.8, 0.8, 0.4, 0.4]
        assert net.learner.optim.param_groups[0]["lr"] == 0.2

    def test_a_schedule_moves_once_an_epoch(self):
        net = patterns_net(lr=0.8)
        net.learner.set_schedule("StepLR", 1, 0.5)
        history = fit(net, two_patterns(), epochs=3, **QUIET)
        assert [epoch.learning_rate for epoch in history] == [0.8, 0.4, 0.2]

    def test_each_epoch_is_handed_on_before_its_checkpoint_is_written(self, tmp_path):
        path, seen = tmp_path / "c.pt", []
        net = patterns_net()

        def after(epoch):
            seen.append((epoch, path.exists()))
            net.learner.optim.param_groups[0]["lr"] = 0.5

        history = fit(
            net, two_patterns(), epochs=1, checkpoint=path, checkpoint_seconds=1e9, after_epoch=after, **QUIET
        )
        assert seen == [(history[0], False)]
        resumed = patterns_net()
        history = fit(resumed, two_patterns(), epochs=2, checkpoint=path, resume=True, **QUIET)
        assert [epoch.learning_rate for epoch in history] == [0.01, 0.5]


class TestNotANumber:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_a_loss_of_nan_or_infinity_is_an_error_and_no_step(self, value):
        net = patterns_net()
        with pytest.raises(DataError, match="the loss became NaN or infinite in epoch 2; lower the learning rate"):
            fit(net, two_patterns(4), epochs=2, loss=Script(1.0, value), **QUIET)
        assert all(bool(p.isfinite().all()) for p in net.parameters())

    def test_a_gradient_of_nan_behind_a_finite_loss_is_an_error_and_no_step(self):
        net = patterns_net()
        net.build()
        before = values_of(net)
        with pytest.raises(DataError, match=r"the gradient of first.weight became NaN or infinite in epoch 1"):
            fit(net, two_patterns(4), epochs=1, loss=lambda a, y: (a.sum() * 0).sqrt(), **QUIET)
        assert changed(before, net.state_dict()) == set()


class TestTheDoor:
    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"epochs": 0}, ParameterError, "fit.epochs must be a whole number from 1 on, got 0"),
            ({"epochs": 1.5}, ParameterError, "fit.epochs must be a whole number"),
            ({"epochs": True}, ParameterError, "fit.epochs must be a whole number"),
            ({"patience": 0}, ParameterError, "fit.patience must be a whole number from 1 on, got 0"),
            ({"time": 0}, ParameterError, "time"),
            ({"time": -1}, ParameterError, "time"),
            ({"loss": "hinge"}, UnknownNameError, "unknown loss 'hinge'"),
            ({"loss": 3}, ParameterError, "loss must be a name or a function of answer and labels, got 3"),
            ({"loss": lambda a, y: a}, ShapeError, r"a tensor of one number, got shape \(4, 2\)"),
            ({"loss": lambda a, y: a.sum().detach()}, StateError, "the loss depends on nothing that learner 'learner'"),
            (
                {"validation": torch.utils.data.DataLoader([1])},
                ParameterError,
                r"wrap it: Dataloader\(validation\.dataset",
            ),
            ({"validation": [1, 2]}, ParameterError, "fit: validation must be a Dataloader, got list; wrap it"),
            ({"checkpoint_seconds": -1}, ParameterError, "fit.checkpoint_seconds must be a time in s, zero or more"),
            ({"checkpoint_seconds": float("nan")}, ParameterError, "fit.checkpoint_seconds must be a time in s"),
            ({"checkpoint_seconds": "1"}, ParameterError, "fit.checkpoint_seconds must be a time in s"),
            ({"checkpoint": "/nowhere/c.pt"}, StorageError, "there is no folder /nowhere; make it first"),
        ],
    )
    def test_a_wrong_argument_is_an_error_and_nothing_is_learned(self, arguments, error, message):
        net = patterns_net()
        net.build()
        before = values_of(net)
        with pytest.raises(error, match=message):
            fit(net, two_patterns(), **({"epochs": 1} | QUIET | arguments))
        assert changed(before, net.state_dict()) == set()

    def test_a_misspelt_argument_is_an_error(self):
        net, data = patterns_net(), two_patterns()
        with pytest.raises(
            ParameterError, match=r"fit: unknown parameter 'epoch'; did you mean 'epochs'\? It has: net"
        ):
            fit(net, data, epoch=1, **QUIET)
        with pytest.raises(ParameterError, match=r"fit: unknown parameter 'validaton'; did you mean 'validation'\?"):
            fit(net, data, epochs=1, validaton=data, **QUIET)
        with pytest.raises(ParameterError, match=r"fit: got 3 without a name; it has: epochs=, time=, loss="):
            fit(net, data, 3, **QUIET)
        with pytest.raises(ParameterError, match=r"evaluate: unknown parameter 'tme'; did you mean 'time'\?"):
            evaluate(net, data, tme=1)
        with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'epochs'"):
            fit(net, data, **QUIET)

    def test_data_must_be_a_loader_with_batches(self):
        with pytest.raises(
            ParameterError, match=r"data must be a Dataloader, got ArrayDataset; wrap it: Dataloader\(da"
        ):
            fit(patterns_net(), two_patterns().dataset, epochs=1, **QUIET)
        empty = Dataloader(two_patterns(4).dataset, 5, drop_last=True)
        with pytest.raises(DataError, match="data gives no batches; it holds fewer samples than one batch"):
            fit(patterns_net(), empty, epochs=1, **QUIET)

    def test_labels_beyond_the_answers_are_an_error_that_names_the_decoder(self):
        data, labels = two_patterns().dataset.data, np.arange(8)
        with pytest.raises(DataError, match=r"labels must lie from 0 to 1, what decoder 'decoder' answers; got 0 to 3"):
            fit(patterns_net(), Dataloader(ArrayDataset(data, labels), 4), epochs=1, **QUIET)

    def test_a_second_decoder_is_an_error(self):
        net = patterns_net()
        net.second_decoder = Decoder(dec_target=net.hidden)
        with pytest.raises(
            StateError, match="training needs one decoder in the network, found decoder, second_decoder"
        ):
            fit(net, two_patterns(), epochs=1, **QUIET)

    def test_a_network_needs_one_learner_with_an_optimizer(self):
        net = two_layers(outputs=2)
        with pytest.raises(StateError, match=r"needs one learner in the network, found 0; add net.learner = Learner"):
            fit(net, two_patterns(), epochs=1, **QUIET)
        net.learner = Learner(net)
        with pytest.raises(StateError, match="has no optimizer"):
            fit(net, two_patterns(), epochs=1, **QUIET)
        net.other = Learner(net)
        with pytest.raises(StateError, match="found 2"):
            fit(net, two_patterns(), epochs=1, **QUIET)

    def test_lbfgs_is_refused(self):
        with pytest.raises(StateError, match="LBFGS computes the loss several times a step"):
            fit(patterns_net(optimizer="LBFGS"), two_patterns(), epochs=1, **QUIET)


class TestTheBar:
    def test_it_goes_to_standard_error_only(self, capfd):
        fit(patterns_net(), two_patterns(), epochs=2, validation=two_patterns(), time=5)
        out, err = capfd.readouterr()
        assert out == ""
        for figure in ("epoch 2/2", "100%", "loss", "accuracy", "Hz", "elapsed", "left"):
            assert figure in err

    def test_it_is_silent_when_not_asked_for(self, capfd):
        fit(patterns_net(), two_patterns(), epochs=1, validation=two_patterns(), **QUIET)
        assert capfd.readouterr() == ("", "")

    @pytest.fixture
    def counted(self, monkeypatch):
        """[done before, done at the end, total] of each bar that fit opens."""
        bars = []

        class Counting(Bar):
            def __init__(self, label, total, *, done=0, shown=True):
                super().__init__(label, total, done=done, shown=shown)
                bars.append([done, done, total])

            def step(self, **figures):
                bars[-1][1] += 1
                super().step(**figures)

        monkeypatch.setattr(sys.modules["spikeloom.training.fit"], "Bar", Counting)
        return bars

    def test_it_counts_what_was_done_before_a_resume(self, counted, tmp_path):
        arguments = {"time": 5, "checkpoint": tmp_path / "c.pt"}
        fit(patterns_net(), two_patterns(), epochs=1, progress=False, **arguments)
        fit(patterns_net(), two_patterns(), epochs=3, resume=True, **arguments)
        assert counted == [[0, 2, 2], [2, 6, 6]]

    def test_a_loader_that_was_looked_into_counts_from_the_start(self, counted):
        loader = two_patterns()
        next(iter(loader))
        fit(patterns_net(), loader, epochs=2, time=5)
        assert counted == [[0, 4, 4]]

    def test_a_second_bar_may_be_shown_within(self, capfd):
        net = patterns_net()
        fit(net, two_patterns(), epochs=1, time=5, after_epoch=lambda _: evaluate(net, two_patterns(), time=5))
        assert capfd.readouterr().out == ""

    def test_what_is_printed_beside_it_still_goes_to_standard_output(self):
        program = (
            "from spikeloom.training.progress import Bar\n"
            "with Bar('train', 2) as bar:\n"
            "    bar.step(loss=1.0)\n"
            "    print('figures of an epoch')\n"
        )
        screen, slave = pty.openpty()
        run = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=slave, check=True, text=True
        )
        os.close(slave)
        shown = os.read(screen, 100_000).decode()
        os.close(screen)
        assert run.stdout == "figures of an epoch\n"
        assert "train" in shown
        assert "figures of an epoch" not in shown


def test_training_leaves_no_file_behind_that_was_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(patterns_net(), two_patterns(), epochs=1, checkpoint="c.pt", checkpoint_seconds=0, **QUIET)
    assert [p.name for p in Path().iterdir()] == ["c.pt"]


def test_a_decoder_that_nothing_reaches_is_refused():
    net = patterns_net()
    net.lonely = NeuronGroup(2, model="lif")
    name = net.decoders[0].name
    setattr(net, name, Decoder(dec_target=net.lonely))
    with pytest.raises(StateError, match=f"decoder '{name}' reads 'lonely', which no connection reaches"):
        fit(net, two_patterns(), epochs=1, **QUIET)


def test_an_epoch_without_a_spike_is_told(caplog):
    net = patterns_net()
    for connection in net.connections:
        connection.weight.value = np.zeros(connection.weight.value.shape)
    with caplog.at_level("WARNING", "spikeloom"):
        fit(net, two_patterns(), epochs=1, **QUIET)
    assert [r.getMessage() for r in caplog.records if "no neuron fired" in r.getMessage()]

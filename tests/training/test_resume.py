"""A training that was killed and resumed ends bit for bit where an uninterrupted one ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import resume_case
import torch
from small_networks import learning, two_layers, two_patterns, values_of

from spikeloom.errors import DataError, ParameterError, StorageError
from spikeloom.training import Interrupted, fit
from spikeloom.training.checkpoint import load_checkpoint

LAST_BATCH_OF_AN_EPOCH = resume_case.TRAIN_BATCHES + 1  # killed in the validation that follows
FIRST_BATCH_OF_AN_EPOCH = resume_case.LOSSES_AN_EPOCH + 1
LOSSES = resume_case.EPOCHS * resume_case.LOSSES_AN_EPOCH
AT_RANDOM = np.random.default_rng(0).choice(np.arange(2, LOSSES + 1), 4, replace=False).tolist()
KILLED = sorted({*AT_RANDOM, LAST_BATCH_OF_AN_EPOCH, FIRST_BATCH_OF_AN_EPOCH, LOSSES})
INTERRUPTED = 3
ONE_EPOCH = {"epochs": 1, "time": 3, "progress": False}


def equal(a, b):
    """Whether two states are equal to the last bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and a == b


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("uninterrupted") / "checkpoint.pt"
    net, history = resume_case.train(path)
    return net, history, load_checkpoint(path)


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """The folder of trainings that were cut, and what became of each: wait status by cut, and standard error."""
    folder = tmp_path_factory.mktemp("cut")
    cuts = [f"{signal.SIGKILL:d}:{call}" for call in KILLED]
    cuts += [f"{signal.SIGINT:d}:{INTERRUPTED}", f"{signal.SIGTERM:d}:{INTERRUPTED}"]
    here = Path(__file__).parent
    run = subprocess.run(
        [sys.executable, here / "resume_case.py", folder, *cuts],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.returncode == 0, run.stderr
    return folder, dict(line.split() for line in run.stdout.splitlines()), run.stderr


@pytest.mark.parametrize("call", KILLED)
def test_what_was_killed_and_resumed_equals_what_was_never_interrupted(uninterrupted, cut, call):
    folder, status, _ = cut
    assert os.WTERMSIG(int(status[f"9:{call}"])) == signal.SIGKILL
    path = folder / f"9:{call}.pt"
    assert not equal(load_checkpoint(path), uninterrupted[2])
    net, history = resume_case.train(path, seed=99, resume=True)
    straight, expected, state = uninterrupted
    assert equal(load_checkpoint(path), state)
    assert equal(dict(net.state_dict()), dict(straight.state_dict()))
    assert history == expected
    assert net.seed == straight.seed == 1
    assert net.generator.bit_generator.state == straight.generator.bit_generator.state


def test_the_training_that_is_compared_does_learn_and_draws_at_random(uninterrupted):
    net, history, _ = uninterrupted
    assert len(history) == resume_case.EPOCHS
    assert len({epoch.train.loss for epoch in history}) == resume_case.EPOCHS
    assert history[0].learning_rate > history[1].learning_rate > history[2].learning_rate
    fresh = resume_case.network(1)
    assert net.generator.bit_generator.state != fresh.generator.bit_generator.state
    assert not equal(dict(net.state_dict()), dict(fresh.state_dict()))


def test_nothing_is_left_to_do_after_the_end(uninterrupted, tmp_path):
    path = tmp_path / "checkpoint.pt"
    resume_case.train(path)
    content = path.read_bytes()
    net, history = resume_case.train(path, seed=99, resume=True)
    assert history == uninterrupted[1]
    assert equal(dict(net.state_dict()), dict(uninterrupted[0].state_dict()))
    assert path.read_bytes() == content


def test_more_epochs_go_on_from_the_end(uninterrupted, tmp_path):
    path = tmp_path / "checkpoint.pt"
    resume_case.train(path, epochs=1)
    net, history = resume_case.train(path, seed=99, resume=True)
    assert history == uninterrupted[1]
    assert equal(dict(net.state_dict()), dict(uninterrupted[0].state_dict()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_writes_a_checkpoint_and_says_how_to_go_on(uninterrupted, cut, number):
    folder, status, errors = cut
    name = f"{number:d}:{INTERRUPTED}"
    path = folder / f"{name}.pt"
    assert status[name] == "0"
    message = f"Interrupted: training interrupted; its checkpoint is {path}: go on with resume=True"
    assert f"spikeloom.training.fit.{message}" in errors.splitlines()
    assert load_checkpoint(path)["tally"]["samples"] == 4 * INTERRUPTED
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert resume_case.train(path, seed=99, resume=True)[1] == uninterrupted[1]


def test_an_interrupt_without_a_checkpoint_says_what_is_missing():
    def loss(answer, label):
        signal.raise_signal(signal.SIGINT)
        return torch.nn.functional.cross_entropy(answer, label)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="there is no checkpoint: give checkpoint="):
        fit(learning(two_layers()), two_patterns(), epochs=2, time=3, loss=loss, progress=False)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_loaders_may_draw_from_any_kind_of_generator(tmp_path, bits):
    def run(name, *, epochs, resume=False):
        loaders = [two_patterns(shuffle=True) for _ in range(2)]
        for k, loader in enumerate(loaders):
            loader.generator = np.random.Generator(bits(k + 9 * resume))
        settings = ONE_EPOCH | {"epochs": epochs, "checkpoint": tmp_path / name, "resume": resume}
        history = fit(learning(two_layers(coding="poisson")), loaders[0], validation=loaders[1], **settings)
        return history, [loader.generator.random() for loader in loaders]

    run("cut.pt", epochs=1)
    assert run("cut.pt", epochs=3, resume=True) == run("straight.pt", epochs=3)


def test_the_handlers_of_signals_are_as_before_after_a_training():
    numbers = (signal.SIGINT, signal.SIGTERM)
    before, during = [signal.getsignal(n) for n in numbers], []

    def after(_):
        during.extend(signal.getsignal(n) for n in numbers)

    fit(learning(two_layers()), two_patterns(), after_epoch=after, **ONE_EPOCH)
    assert [signal.getsignal(n) for n in numbers] == before
    assert not set(before) & set(during)


def test_an_interrupt_in_the_last_validation_is_not_lost(tmp_path):
    path, before = tmp_path / "checkpoint.pt", signal.getsignal(signal.SIGINT)

    def loss(answer, label):
        if not answer.requires_grad and signal.getsignal(signal.SIGINT) is not before:
            signal.raise_signal(signal.SIGINT)
        return torch.nn.functional.cross_entropy(answer, label)

    arguments = {"epochs": 1, "time": 3, "validation": two_patterns(), "checkpoint": path, "progress": False}
    with pytest.raises(Interrupted, match="go on with resume=True"):
        fit(learning(two_layers()), two_patterns(), loss=loss, **arguments)
    assert len(fit(learning(two_layers()), two_patterns(), resume=True, **arguments)) == 1


class TestWhatDoesNotFit:
    """A checkpoint of another training is refused, and nothing of the network has changed."""

    def refused(self, path, net, message, *, loader=None, **arguments):
        loader = loader or two_patterns(shuffle=True, seed=5)
        net.generator.random(3)
        optimizer, expected = net.learner.optim, (values_of(net), net.seed, net.generator.bit_generator.state)
        order, inner = loader.state_dict(), optimizer.state_dict()
        with pytest.raises(DataError, match=f"does not fit this training: {message}"):
            fit(net, loader, checkpoint=path, resume=True, **(ONE_EPOCH | arguments))
        assert equal((values_of(net), net.seed, net.generator.bit_generator.state), expected)
        assert net.learner.optim is optimizer
        assert equal(optimizer.state_dict(), inner)
        assert loader.state_dict() == order

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "checkpoint.pt"
        net = learning(two_layers(dtype=torch.float32))
        net.learner.set_schedule("StepLR", 1)
        fit(net, two_patterns(shuffle=True), checkpoint=path, **ONE_EPOCH)
        return path

    def fitting(self, seed=2, **kind):
        net = learning(two_layers(seed=seed, dtype=kind.pop("dtype", torch.float32), **kind))
        net.learner.set_schedule("StepLR", 1)
        return net

    def test_a_layer_of_another_size(self, path):
        self.refused(path, self.fitting(hidden=6), r"weights: 'first.weight' must have shape \(6, 4\), got \(5, 4\)")

    def test_only_the_last_weight_of_another_size(self, path):
        self.refused(path, self.fitting(outputs=4), r"weights: 'second.weight' must have shape \(4, 5\)")

    def test_a_connection_that_is_missing_or_too_many(self, path):
        net = self.fitting()
        net.third = type(net.first)(net.input, net.output, link_type="full")
        self.refused(path, net, "weights: 'third.weight' is missing")
        net = self.fitting()
        del net.first
        self.refused(path, net, "weights: the network has no 'first.weight'")

    def test_another_precision(self, path):
        self.refused(path, self.fitting(dtype=torch.float64), "its precision is 'torch.float32', here it is 'torch.fl")

    def test_another_optimizer(self, path):
        net = self.fitting()
        net.learner.set_optimizer("SGD", 0.1)
        self.refused(path, net, "its optimizer is 'Adam', here it is 'SGD'")

    def test_another_schedule_or_none(self, path):
        self.refused(path, learning(two_layers(dtype=torch.float32)), "its schedule is 'StepLR', here it is None")

    def test_another_time_or_time_step(self, path):
        self.refused(path, self.fitting(), r"its time is 3.0, here it is 4.0", time=4)
        net = self.fitting()
        net.set_backend_dt(0.5)
        self.refused(path, net, r"its dt is 1.0, here it is 0.5")

    def test_another_trainable(self, path):
        net = self.fitting()
        learning(net, net.first)
        net.learner.set_schedule("StepLR", 1)
        self.refused(path, net, "loaded state dict contains a parameter group")

    def test_another_loader(self, path):
        loader = two_patterns(samples=10, shuffle=True)
        self.refused(
            path, self.fitting(), "Dataloader.load_state_dict: .* samples=8, this loader has 10", loader=loader
        )

    def test_a_checkpoint_that_lacks_a_part_or_holds_nonsense(self, path):
        whole = torch.load(path)
        for key, value in (("seed", -1), ("generator", "{}"), ("history", "[1]"), ("tally", {"loss": 1, "x": 2})):
            for broken in ({k: v for k, v in whole.items() if k != key}, whole | {key: value}):
                torch.save(broken, path)
                self.refused(path, self.fitting(), "")

    def test_the_fitting_one_is_taken(self, path):
        assert len(fit(self.fitting(), two_patterns(shuffle=True), checkpoint=path, resume=True, **ONE_EPOCH)) == 1


def test_a_checkpoint_that_is_not_there_or_not_named_is_an_error(tmp_path):
    arguments = ONE_EPOCH | {"resume": True}
    with pytest.raises(StorageError, match=r"cannot read the checkpoint .*No such file"):
        fit(learning(two_layers()), two_patterns(), checkpoint=tmp_path / "none.pt", **arguments)
    with pytest.raises(ParameterError, match="give checkpoint=, the file to resume from"):
        fit(learning(two_layers()), two_patterns(), **arguments)

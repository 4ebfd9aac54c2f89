"""Training delays: their own learning rate, their width from epoch to epoch, and exact resume."""

import math

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.datasets import ArrayDataset
from spikeloom.errors import ParameterError, StateError
from spikeloom.passes import round_delays
from spikeloom.training import Learner

DT, T = 0.5, 12
RNG = np.random.default_rng(0)
DATA = ArrayDataset((RNG.random((24, T, 4)) < 0.4).astype(np.float32), RNG.integers(0, 2, 24), name="rasters")


def network(rate=1e-2, name="Adam", schedule=None, delay=None, **options):
    net = sl.Network("delays")
    with net:
        net.input = sl.Encoder(4, coding_method="null")
        net.out = sl.NeuronGroup(2, model="lif")
        net.a = sl.Connection(
            net.input, net.out, link_type="full", w_mean=0.6, w_std=0.3, bias=True,
            delay=sl.LearnedDelays(max=4.0) if delay is None else delay,
        )  # fmt: skip
        net.decoder = sl.Decoder(dec_target=net.out)
        net.learner = Learner(net, "sbp")
    net.set_random_seed(3)
    net.set_backend(sl.TorchBackend(dt=DT, dtype=torch.float64))
    net.learner.set_optimizer(name, rate, **options)
    if schedule:
        net.learner.set_schedule(*schedule[:-1], **schedule[-1])
    return net


def loader():
    return sl.Dataloader(DATA, 8, shuffle=True, generator=np.random.default_rng(1))


def test_delays_are_a_group_of_100_times_the_rate_in_steps_and_no_weight_decay():
    weights, delays = network(weight_decay=0.1).learner.optim.param_groups
    assert (weights["lr"], weights["weight_decay"]) == (1e-2, 0.1)
    assert (delays["lr"], delays["weight_decay"]) == (100 * 1e-2 * DT, 0.0)
    net = network()
    net.learner.optim_zero_grad()
    by_name = dict(net.named_parameters())
    assert {id(p) for p in net.learner.optim.param_groups[0]["params"]} == {
        id(by_name["a.weight"]),
        id(by_name["a.bias"]),
    }
    assert [id(p) for p in net.learner.optim.param_groups[1]["params"]] == [id(by_name["a.delay"])]


def test_a_step_moves_weights_and_delays_as_plain_torch_does():
    net = network(rate=1e-3, delay_lr=0.05)
    twins = {n: p.detach().clone().requires_grad_() for n, p in net.build() or net.named_parameters()}
    plain = torch.optim.Adam(
        [{"params": [twins["a.weight"], twins["a.bias"]]}, {"params": [twins["a.delay"]], "lr": 0.05}], 1e-3
    )
    for k in range(3):
        for name, p in net.named_parameters():
            p.grad = torch.from_numpy(np.random.default_rng([k, *name.encode()]).normal(size=p.shape))
            twins[name].grad = p.grad.clone()
        net.learner.optim_step()
        plain.step()
        with torch.no_grad():
            twins["a.delay"].clamp_(0.0, 4.0)
    for name, p in net.named_parameters():
        torch.testing.assert_close(p, twins[name])


def test_the_rate_of_delays_is_described_and_read_again():
    net = network(delay_lr=0.25)
    again = sl.network_from(sl.network.describe(net))
    again.set_backend(sl.TorchBackend(dt=DT))
    assert [g["lr"] for g in again.learner.optim.param_groups] == [1e-2, 0.25]


def test_a_schedule_moves_both_rates():
    net = network(delay_lr=1.0, schedule=("StepLR", 1, {"gamma": 0.5}))
    sl.fit(net, loader(), epochs=2, time=T * DT, progress=False)
    assert [g["lr"] for g in net.learner.optim.param_groups] == [1e-2 / 4, 0.25]


def test_one_rate_for_weights_and_delays_in_a_schedule_is_refused():
    net = network(schedule=("OneCycleLR", {"max_lr": 0.1, "total_steps": 9}))
    with pytest.raises(ParameterError, match=r"max_lr must be \[that of weights, that of delays\].*got 0\.1"):
        _ = net.learner.optim
    net = network(schedule=("OneCycleLR", {"max_lr": [0.1, 2.0], "total_steps": 9}))
    assert [g["max_lr"] for g in net.learner.optim.param_groups] == [0.1, 2.0]


def test_what_has_no_meaning_for_delays_is_refused():
    with pytest.raises(ParameterError, match="LBFGS' has one learning rate for all"):
        _ = network(name="LBFGS").learner.optim
    with pytest.raises(ParameterError, match="delay_lr: the learning rate must be a positive number, got 0"):
        network(delay_lr=0)
    with pytest.raises(ParameterError, match="delay_lr is given, but no delay that learns is trained"):
        _ = network(delay=1.0, delay_lr=0.1).learner.optim


def test_delays_that_come_to_weights_in_training_ask_for_an_optimizer():
    net = network(delay=1.0)
    sl.fit(net, loader(), epochs=1, time=T * DT, progress=False)
    net.b = sl.Connection(net.input, net.out, link_type="full", delay=sl.LearnedDelays(max=4.0))
    with pytest.raises(
        StateError, match=r"delays that learn came to the weights in training, or went; call .* set_optimizer anew"
    ):
        _ = net.learner.optim


def test_delays_that_went_in_training_ask_for_an_optimizer():
    net = network()
    sl.fit(net, loader(), epochs=1, time=T * DT, progress=False)
    rounded, _ = round_delays(net)
    with pytest.raises(StateError, match=r"delays that learn came to the weights in training, or went; call"):
        _ = rounded.learner.optim
    rounded.learner.set_optimizer("Adam", 1e-3)
    sl.fit(rounded, loader(), epochs=1, time=T * DT, progress=False)
    assert len(rounded.learner.optim.param_groups) == 1


def test_fit_narrows_the_widths_before_each_epoch():
    net, seen = network(), []
    sl.fit(
        net, loader(), epochs=8, time=T * DT, progress=False,
        after_epoch=lambda _: seen.append(float(net.a.get_value("sigma"))),
    )  # fmt: skip
    end = 0.23 * DT
    assert seen == pytest.approx([2.0, math.sqrt(2.0 * end)] + [end] * 6)
    sl.fit(net, loader(), epochs=4, time=T * DT, progress=False)
    assert float(net.a.get_value("sigma")) == pytest.approx(end)


def test_a_resumed_training_equals_one_that_was_never_interrupted(tmp_path):
    whole, parts = network(), network()
    sl.fit(whole, loader(), epochs=6, time=T * DT, progress=False)

    class StopError(Exception):
        pass

    def stop(epoch):
        if epoch.epoch == 2:
            raise StopError

    file = tmp_path / "training.pt"
    options = {"epochs": 6, "time": T * DT, "progress": False, "checkpoint": file, "checkpoint_seconds": 0.0}
    with pytest.raises(StopError):
        sl.fit(parts, loader(), **options, after_epoch=stop)
    fresh = network()
    sl.fit(fresh, loader(), **options, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[name]), name

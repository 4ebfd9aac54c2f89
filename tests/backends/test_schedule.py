"""The schedules against each other, against plain torch loops and against finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import spikeloom as sl
from spikeloom.neurons import LIF, Emission, NoReset, Rectangle, Smooth, ToValue

T, B = 12, 3


def feed_forward(net: sl.Network) -> None:
    net.input = sl.Encoder(6, coding_method="null")
    net.a = sl.NeuronGroup(5, model="lif")
    net.b = sl.NeuronGroup(4, model="clif")
    net.c1 = sl.Connection(net.input, net.a, link_type="full", w_std=1.0, bias=True)
    net.c2 = sl.Connection(net.a, net.b, link_type="full", w_std=1.0, filter=sl.LowPass(tau=3.0))
    net.skip = sl.Connection(net.input, net.b, link_type="full", w_std=0.5, delay=2.0)
    net.output = sl.Decoder(dec_target=net.b)


def with_loop(net: sl.Network) -> None:
    feed_forward(net)
    net.back = sl.Connection(net.b, net.a, link_type="full", w_std=1.0, delay=1.0)
    net.self_loop = sl.Connection(net.a, net.a, link_type="full", w_std=0.5)
    net.c = sl.NeuronGroup(3, model="if")
    net.c3 = sl.Connection(net.b, net.c, link_type="sparse", density=0.5, w_std=1.0, delay=3.0)
    net.read = sl.Decoder(dec_target=net.c)


def made(build, schedule: str, seed: int = 3) -> sl.Network:
    net = sl.Network()
    build(net)
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, schedule=schedule))
    net.set_random_seed(seed)
    return net


def batch(seed: int = 0, steps: int = T) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((B, steps, 6)))


def results(net: sl.Network, x: torch.Tensor) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    x = x.clone().requires_grad_()
    net.input(x)
    net.run(float(x.shape[1]))
    answers = [decoder.predict for decoder in net.decoders]
    generator = torch.Generator().manual_seed(0)
    sum((a * torch.rand(a.shape, generator=generator, dtype=a.dtype)).sum() for a in answers).backward()
    grads = {name: p.grad for name, p in net.named_parameters()}
    return [a.detach() for a in answers], grads | {"input": x.grad}


@pytest.mark.parametrize("build", [feed_forward, with_loop])
def test_both_schedules_give_equal_outputs_and_gradients(build):
    (out, grads), (stepped, stepped_grads) = (results(made(build, s), batch()) for s in ("auto", "step"))
    assert all(o.abs().sum() > 0 for o in out)
    for a, b in zip(out, stepped, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    for name, grad in grads.items():
        assert grad is not None, name
        assert grad.abs().sum() > 0, name
        torch.testing.assert_close(grad, stepped_grads[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("build", [feed_forward, with_loop])
@pytest.mark.parametrize("schedule", ["auto", "step"])
@pytest.mark.parametrize("cut", [1, 5, 11])
def test_a_run_cut_in_two_equals_one_run(build, schedule, cut):
    whole, parted = made(build, schedule), made(build, schedule)
    x = batch()
    for net in (whole, parted):
        net.mon_a, net.mon_b = sl.StateMonitor(net.a, "V"), sl.StateMonitor(net.b, "V")
    whole.input(x)
    whole.run(float(T))
    parted.input(x[:, :cut])
    parted.run(float(cut))
    parted.input(x[:, cut:])
    parted.run_continue(float(T - cut))
    for name in ("mon_a", "mon_b"):
        np.testing.assert_allclose(getattr(parted, name).values, getattr(whole, name).values, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(parted.mon_a.times, np.arange(1, T + 1))


def test_a_loop_equals_a_plain_torch_loop():
    net = sl.Network()
    net.input = sl.Encoder(6, coding_method="null")
    net.a = sl.NeuronGroup(
        5, model=LIF(tau_m=4.0, emission=Emission(surrogate=Rectangle(0.5), reset=ToValue("v_reset")))
    )
    net.b = sl.NeuronGroup(
        4, model=LIF(tau_m=6.0, emission=Emission(surrogate=Rectangle(0.5), reset=ToValue("v_reset")))
    )
    net.w_in = sl.Connection(net.input, net.a, link_type="full", w_std=1.0)
    net.w_ab = sl.Connection(net.a, net.b, link_type="full", w_std=1.0)
    net.w_ba = sl.Connection(net.b, net.a, link_type="full", w_std=1.0)
    net.output = sl.Decoder(dec_target=net.b)
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    net.set_random_seed(5)
    x = batch(1)
    (answer,), grads = results(net, x)

    class Fire(torch.autograd.Function):
        @staticmethod
        def forward(ctx, d):
            ctx.save_for_backward(d)
            return (d >= 0).double()

        @staticmethod
        def backward(ctx, grad):
            (d,) = ctx.saved_tensors
            return grad * (d.abs() < 0.5).double()

    w_in, w_ab, w_ba = (c.weight.value.detach().clone().requires_grad_() for c in (net.w_in, net.w_ab, net.w_ba))
    va = vb = za = zb = torch.zeros(())
    za, zb = torch.zeros(B, 5, dtype=torch.float64), torch.zeros(B, 4, dtype=torch.float64)
    count = 0
    for t in range(T):
        ia, ib = x[:, t] @ w_in.T + zb @ w_ba.T, za @ w_ab.T
        va, vb = va * math.exp(-1 / 4) + ia, vb * math.exp(-1 / 6) + ib
        za, zb = Fire.apply(va - 1), Fire.apply(vb - 1)
        va, vb = va * (1 - za), vb * (1 - zb)
        count = count + zb
    torch.testing.assert_close(answer, count.detach(), rtol=0, atol=1e-12)
    assert count.sum() > 0
    generator = torch.Generator().manual_seed(0)
    (count * torch.rand(count.shape, generator=generator, dtype=count.dtype)).sum().backward()
    for name, weight in (("w_in", w_in), ("w_ab", w_ab), ("w_ba", w_ba)):
        torch.testing.assert_close(grads[f"{name}.weight"], weight.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("schedule", ["auto", "step"])
@pytest.mark.parametrize("loop", [False, True])
def test_the_gradient_of_a_smooth_network_equals_finite_differences(schedule, loop):
    net = sl.Network()
    net.input = sl.Encoder(6, coding_method="null")
    smooth = Emission(forward=Smooth(0.3), reset=ToValue("v_reset"))
    net.a = sl.NeuronGroup(5, model=LIF(tau_m=4.0, emission=smooth), parameter_variables=["tau_m", "v_th"])
    net.b = sl.NeuronGroup(4, model="clif", emission=Emission(forward=Smooth(0.3), reset=NoReset()))
    net.c1 = sl.Connection(net.input, net.a, link_type="full", w_std=0.5, bias=True)
    net.c2 = sl.Connection(net.a, net.b, link_type="full", w_std=0.5, filter=sl.LowPass(tau=2.0), delay=1.0)
    if loop:
        net.c3 = sl.Connection(net.b, net.a, link_type="sparse", density=0.6, w_std=0.5)
    net.output = sl.Decoder(dec_target=net.b, coding_method="v_t")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, schedule=schedule))
    net.set_random_seed(7)
    x = batch(2)
    weights = torch.from_numpy(np.random.default_rng(4).normal(size=(T, B, 4)))

    def loss() -> torch.Tensor:
        net.input(x)
        net.run(float(T))
        return (net.output.predict * weights).sum()

    loss().backward()
    eps = 1e-6
    for name, parameter in net.named_parameters():
        flat, grad = parameter.data.reshape(-1), parameter.grad.reshape(-1)
        for k in range(0, flat.numel(), max(1, flat.numel() // 4)):
            kept = flat[k].item()
            flat[k] = kept + eps
            above = loss().item()
            flat[k] = kept - eps
            below = loss().item()
            flat[k] = kept
            assert grad[k].item() == pytest.approx((above - below) / (2 * eps), rel=1e-5, abs=1e-7), (name, k)


@given(delay=st.integers(0, 15), dt=st.sampled_from([0.1, 0.25, 1.0]))
@settings(max_examples=20, deadline=None)
def test_a_delay_moves_the_arrival_by_its_steps(delay, dt):
    net = sl.Network()
    net.input = sl.Encoder(1, coding_method="null")
    net.a = sl.NeuronGroup(1, model="if", v_th=100.0)
    net.c = sl.Connection(net.input, net.a, link_type="full", weight=[[1.0]], delay=delay * dt)
    net.mon = sl.StateMonitor(net.a, "Isyn")
    net.set_backend(sl.TorchBackend(dt=dt))
    x = np.zeros((1, 20, 1), np.float32)
    x[0, 3] = 1
    net.input(x)
    net.run(20 * dt)
    expected = np.zeros(20)
    if 3 + delay < 20:
        expected[3 + delay] = 1
    np.testing.assert_array_equal(net.mon.values[0, 0], expected)


def test_a_delay_that_is_no_whole_number_of_steps_is_refused():
    net = made(feed_forward, "auto")
    net.late = sl.Connection(net.a, net.b, link_type="full", delay=1.5)
    net.input(batch())
    with pytest.raises(sl.ParameterError, match=r"'late': delay 1.5 ms is not a whole number of steps of 1.0 ms"):
        net.run(3.0)


def test_only_connections_inside_a_loop_take_a_step():
    net = made(with_loop, "auto")
    took = {
        route.connection.path: route.steps
        for block in net.plan.blocks
        for layer in block.layers
        for branch in layer.branches
        for route in branch.routes
    }
    assert took == {"c1": 0, "c2": 1, "skip": 2, "back": 2, "self_loop": 1, "c3": 3}
    assert [stage.stepped for block in net.plan.blocks for stage in block.stages] == [True, False]


def test_the_order_of_creation_changes_nothing():
    def reversed_order(net: sl.Network) -> None:
        net.b = sl.NeuronGroup(4, model="lif")
        net.a = sl.NeuronGroup(5, model="lif")
        net.input = sl.Encoder(6, coding_method="null")
        net.output = sl.Decoder(dec_target=net.b)
        net.c2 = sl.Connection(net.a, net.b, link_type="full", w_std=1.0)
        net.c1 = sl.Connection(net.input, net.a, link_type="full", w_std=1.0)

    def usual_order(net: sl.Network) -> None:
        net.input = sl.Encoder(6, coding_method="null")
        net.a = sl.NeuronGroup(5, model="lif")
        net.c1 = sl.Connection(net.input, net.a, link_type="full", w_std=1.0)
        net.b = sl.NeuronGroup(4, model="lif")
        net.c2 = sl.Connection(net.a, net.b, link_type="full", w_std=1.0)
        net.output = sl.Decoder(dec_target=net.b)

    for schedule in ("auto", "step"):
        (one,), grads = results(made(usual_order, schedule), batch())
        (other,), other_grads = results(made(reversed_order, schedule), batch())
        assert torch.equal(one, other)
        assert all(torch.equal(grads[k], other_grads[k]) for k in grads)


def test_events_and_a_dense_raster_give_equal_currents_and_gradients():
    def build(net: sl.Network) -> None:
        net.input = sl.Encoder(6, coding_method="null")
        net.a = sl.NeuronGroup(5, model="lif")
        net.c1 = sl.Connection(net.input, net.a, link_type="full", w_std=1.0, bias=True)
        net.output = sl.Decoder(dec_target=net.a)

    raster = (np.random.default_rng(0).random((T, B, 6)) < 0.3).astype(np.float32)
    found = []
    for x in (sl.Spikes.from_raster(raster, 1.0), raster.swapaxes(0, 1)):
        net = made(build, "auto")
        net.input(x)
        net.run(float(T))
        net.output.predict.square().sum().backward()
        found.append([net.output.predict.detach(), *(p.grad for p in net.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_equal_filters_into_one_port_are_one_state():
    net = made(feed_forward, "auto")
    net.more = sl.Connection(net.input, net.b, link_type="full", filter=sl.LowPass(tau=3.0))
    net.other = sl.Connection(net.input, net.b, link_type="full", filter=sl.LowPass(tau=4.0))
    (layer,) = [x for block in net.plan.blocks for x in block.layers if x.path == "b"]
    assert [[r.connection.path for r in b.routes] for b in layer.branches] == [["c2", "more"], ["skip"], ["other"]]


def test_a_second_backward_through_one_run_is_refused():
    net = made(feed_forward, "auto")
    net.input(batch())
    net.run(float(T))
    loss = net.output.predict.sum()
    loss.backward(retain_graph=True)
    with pytest.raises(sl.StateError, match="differentiated already"):
        loss.backward()


def test_a_network_without_input_runs_with_one_sample():
    net = sl.Network()
    net.a = sl.NeuronGroup(2, model="lif")
    net.mon = sl.StateMonitor(net.a, "V")
    net.run(1.0)
    assert net.mon.values.shape == (1, 2, 10)
    assert not net.mon.values.any()


def test_a_constant_current_equals_the_same_value_in_every_step():
    x = np.random.default_rng(0).random((B, 6))
    found = []
    for method, data in (("constant_current", x), ("null", np.repeat(x[:, None], T, 1))):
        net = sl.Network()
        net.input = sl.Encoder(6, coding_method=method)
        net.a = sl.NeuronGroup(5, model="lif")
        net.c1 = sl.Connection(net.input, net.a, link_type="full", w_std=1.0, bias=True)
        net.output = sl.Decoder(dec_target=net.a)
        net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
        net.set_random_seed(2)
        net.input(torch.from_numpy(data).requires_grad_())
        net.run(float(T))
        net.output.predict.square().sum().backward()
        found.append([net.output.predict.detach(), *(p.grad for p in net.parameters())])
    for a, b in zip(*found, strict=True):
        assert a.abs().sum() > 0
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)

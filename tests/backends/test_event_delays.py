"""Delays and loops with exact spike times: closed forms, central differences, finer steps; no gradient goes stale."""

import math

import numpy as np
import pytest
import torch

from spikeloom import Connection, Decoder, Encoder, LearnedDelays, Learner, Network, NeuronGroup, Spikes, TorchBackend
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, UnsupportedError
from spikeloom.filters import LowPass
from spikeloom.native.eventprop import Input, Membrane, Trains, lif, lif_back
from spikeloom.network.initializers import Uniform

N_IN, N_HIDDEN, N_OUT, B, STOP, LONGEST = 9, 6, 3, 3, 25.0, 6.0


def network(decoding: str = "first_spike_time", *, delays=(True, True), loop=0.0, **learner) -> Network:
    net, drawn = Network("exact"), np.random.default_rng(3)
    first, second = drawn.normal(1.3, 0.9, (N_HIDDEN, N_IN)), drawn.normal(1.6, 0.9, (N_OUT, N_HIDDEN))
    late = [LearnedDelays(max=LONGEST, init=drawn.uniform(0, LONGEST, w.shape)) for w in (first, second)]
    own = drawn.normal(0.1, 0.9, (N_HIDDEN, N_HIDDEN))
    synapse, shared = LowPass(tau=5.0), {"tau_m": 20.0, "scale_input": True}
    with net:
        net.source = Encoder(N_IN, coding_method="null")
        net.hidden = NeuronGroup(N_HIDDEN, model="lif", **shared)
        net.out = NeuronGroup(N_OUT, model="lif" if decoding == "first_spike_time" else "li", **shared)
        net.a = Connection(net.source, net.hidden, link_type="full", weight=first, filter=synapse,
                           delay=late[0] if delays[0] else 0.0)  # fmt: skip
        net.b = Connection(net.hidden, net.out, link_type="full", weight=second, filter=synapse,
                           delay=late[1] if delays[1] else 2.0)  # fmt: skip
        if loop:
            net.r = Connection(net.hidden, net.hidden, link_type="full", weight=own, filter=synapse, delay=loop)
        net.answer = Decoder(dec_target=net.out, coding_method=decoding)
        net.learner = Learner(trainable=net, algorithm=learner.pop("algorithm", "eventprop"), **learner)
    net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64))
    net.source(trains(1.0))
    return net


def trains(dt: float, n_samples: int = B, seed: int = 0) -> Spikes:
    drawn = np.random.default_rng(seed)
    n = 30 * n_samples
    step, ids = np.round(drawn.integers(0, 15, n) / dt).astype(int), drawn.integers(0, N_IN, n)
    sample = np.repeat(np.arange(n_samples), 30)
    return Spikes.from_steps(
        step, ids, N_IN, round(STOP / dt), dt, samples=sample, n_samples=n_samples, collisions="merge"
    )


def given(arrivals: Trains, weight, stop: float, **options) -> Input:
    return Input(arrivals=arrivals, weight=np.asarray(weight), stop=stop, **options)


def one(*times: float) -> Trains:
    return Trains(np.array([0, len(times)]), np.array(times), np.arange(len(times), dtype=np.int32))


def first_crossing(w: float, tau_m: float) -> float:
    """When V = w (x - x^2), x = exp(-t / tau_m), first is 1: tau_s = tau_m / 2."""
    return -tau_m * math.log((1 + math.sqrt(1 - 4 / w)) / 2)


def loss_of(net: Network, seed: int = 5):
    factors = torch.from_numpy(np.random.default_rng(seed).normal(size=(B, N_OUT)))

    def loss() -> torch.Tensor:
        net.run(STOP)
        return (net.answer.predict * factors).sum()

    return loss


def central_differences(net: Network, loss, names: tuple[str, ...]) -> dict[str, int]:
    """How many numbers of each parameter were found to have the gradient that central differences give."""
    parameters = dict(net.named_parameters())
    checked = dict.fromkeys(names, 0)
    for name in names:
        flat, grad = parameters[name].data, parameters[name].grad
        for index in np.ndindex(*flat.shape):
            value, found = flat[index].item(), []
            for h in (1e-6, -1e-6):
                flat[index] = value + h
                with torch.no_grad():
                    found.append(loss().item())
            flat[index] = value
            slope = (found[0] - found[1]) / 2e-6
            if abs(slope) < 1e4:  # else a spike comes or goes
                assert grad[index].item() == pytest.approx(slope, rel=1e-6, abs=1e-6), (name, index)
                checked[name] += slope != 0
    return checked


def test_a_delay_moves_the_spike_of_the_closed_form_by_itself():
    tau_m, w, late = 20.0, 8.0, 3.7
    membrane = Membrane(tau_m, tau_m / 2, 1.0, 0.0)
    delayed = given(one(2.0), [[w]], 12.0, late=np.array([[late]]))
    fired = lif(delayed, membrane)
    assert fired.trains.time[0] == pytest.approx(2 + late + first_crossing(w, tau_m), abs=1e-12)
    only_first = np.eye(1, len(fired.current))[0]
    slopes = lif_back(delayed, membrane, fired, only_first)
    assert slopes.late[0, 0] == slopes.time[0] == pytest.approx(1.0, abs=1e-12)
    h = 1e-6
    moved = first_crossing(w + h, tau_m) - first_crossing(w - h, tau_m)
    assert slopes.weight[0, 0] == pytest.approx(moved / (2 * h), rel=1e-6)


@pytest.mark.parametrize("decoding", ["first_spike_time", "voltage_mean"])
def test_gradients_of_delays_are_central_differences(decoding):
    net = network(decoding)
    loss = loss_of(net)
    loss().backward()
    assert net.plan.blocks[0].path == "event path"
    checked = central_differences(net, loss, ("a.delay", "b.delay", "a.weight", "b.weight"))
    assert min(checked.values()) > 10


def test_gradients_pass_delays_of_one_connection_and_of_single_synapses_alike():
    net = network(delays=(True, False))
    loss = loss_of(net)
    loss().backward()
    assert min(central_differences(net, loss, ("a.delay", "b.weight")).values()) > 10


def test_drawn_delays_are_taken_as_they_are_and_not_in_steps():
    net, w = Network(), 8.0
    with net:
        net.source = Encoder(1, coding_method="null")
        net.out = NeuronGroup(3, model="lif", tau_m=20.0, scale_input=True)
        net.a = Connection(net.source, net.out, link_type="full", weight=np.full((3, 1), w), filter=LowPass(tau=10.0),
                           delay=Uniform(0.0, 5.0))  # fmt: skip
        net.answer = Decoder(dec_target=net.out, coding_method="first_spike_time")
        net.learner = Learner(trainable=net, algorithm="eventprop")
    net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64))
    net.source(Spikes.from_steps([2], [0], 1, 20, 1.0))
    net.run(20.0)
    late = np.asarray(net.a.get_value("delay")).ravel()
    assert np.abs(late - np.round(late)).max() > 0.01
    expected = 2 + late + first_crossing(w, 20.0)
    np.testing.assert_allclose(net.answer.predict.detach().numpy()[0], expected, rtol=0, atol=1e-6)
    net.answer.predict.sum().backward()
    assert {name for name, _ in net.named_parameters()} == {"a.weight"}


def test_equal_delays_of_all_synapses_are_the_delay_of_their_connection():
    drawn, membrane = np.random.default_rng(0), Membrane(20.0, 5.0, 1.0, 0.2)
    arrivals = Trains(np.array([0, 30]), np.sort(drawn.uniform(0, 9, 30)), drawn.integers(0, 6, 30).astype(np.int32))
    weight = drawn.normal(1.0, 0.9, (6, 4))
    each = given(arrivals, weight, 25.0, late=np.full((6, 4), 2.5))
    whole = given(arrivals._replace(time=arrivals.time + 2.5), weight, 25.0)
    found = []
    for way in (each, whole):
        fired = lif(way, membrane)
        slopes = lif_back(way, membrane, fired, np.linspace(-1, 2, len(fired.current)), np.full((1, 4), 0.3))
        found.append((fired.trains.time, fired.trains.id, fired.current, slopes.weight, slopes.time))
    assert len(found[0][0]) > 10
    for one_way, other in zip(*found, strict=True):
        np.testing.assert_allclose(one_way, other, rtol=1e-9, atol=1e-10)


def test_what_a_delay_takes_beyond_the_end_has_no_gradient():
    net = network("voltage_mean")
    net.a.set_value("delay", np.full((N_HIDDEN, N_IN), LONGEST))
    net.source(Spikes.from_steps([20], [0], N_IN, 25, 1.0))
    net.run(STOP)
    net.answer.predict.sum().backward()
    assert (net.module.a.delay.grad == 0).all()
    assert (net.module.a.weight.grad == 0).all()


def test_an_optimizer_moves_delays_until_the_spike_comes_when_it_is_asked_for():
    net = Network()
    with net:
        net.source = Encoder(2, coding_method="null")
        net.out = NeuronGroup(1, model="lif", tau_m=20.0, scale_input=True)
        net.a = Connection(net.source, net.out, link_type="full", weight=np.full((1, 2), 9.0), filter=LowPass(tau=5.0),
                           delay=LearnedDelays(max=5.0, init=np.ones((1, 2))))  # fmt: skip
        net.answer = Decoder(dec_target=net.out, coding_method="first_spike_time")
        net.learner = Learner(trainable=net.a, algorithm="eventprop")
    net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64))
    net.learner.set_optimizer("SGD", 0.2, delay_lr=0.2)
    net.source(Spikes.from_steps([1, 2], [0, 1], 2, 20, 1.0))
    weight = net.module.a.weight.detach().clone()
    for target in (7.0, 30.0):
        for _ in range(60):
            net.learner.optim_zero_grad()
            net.run(20.0)
            (net.answer.predict - target).square().sum().backward()
            net.module.a.weight.grad = None
            net.learner.optim_step()
        if target < 20:
            assert net.answer.predict.item() == pytest.approx(target, abs=1e-3)
    torch.testing.assert_close(net.module.a.weight.detach(), weight, rtol=0, atol=0)
    assert net.module.a.delay.max() == 5.0


@pytest.mark.parametrize("decoding", ["first_spike_time", "voltage_mean"])
def test_gradients_of_a_loop_are_central_differences(decoding):
    net = network(decoding, delays=(False, False), loop=1.0)
    loss = loss_of(net)
    loss().backward()
    assert net.plan.blocks[0].path == "event path"
    assert min(central_differences(net, loss, ("r.weight", "a.weight", "b.weight")).values()) > 8


def test_a_loop_is_what_the_spikes_of_a_population_would_be_from_outside():
    drawn = np.random.default_rng(1)
    time, n = np.sort(drawn.uniform(0, 15, 40)), 5
    arrivals = Trains(np.array([0, 40]), time, drawn.integers(0, 8, 40).astype(np.int32))
    weight = np.concatenate([drawn.normal(0.9, 0.9, (8, n)), drawn.normal(0, 0.9, (n, n))])
    membrane = Membrane(20.0, 5.0, 1.0, 0.0)
    looped = lif(given(arrivals, weight, 25.0, lag=1.5), membrane)
    assert len(looped.current) > 15
    all_times = np.concatenate([time, looped.trains.time + 1.5])
    ids = np.concatenate([arrivals.id, looped.trains.id + 8]).astype(np.int32)
    order = np.argsort(all_times, kind="stable")
    outside = Trains(np.array([0, len(order)]), all_times[order], ids[order])
    again = lif(given(outside, weight, 25.0), membrane)
    np.testing.assert_array_equal(again.trains.id, looped.trains.id)
    np.testing.assert_allclose(again.trains.time, looped.trains.time, rtol=0, atol=1e-11)
    without = lif(given(arrivals, weight, 25.0), membrane)
    assert len(without.current) != len(looped.current)


def test_finer_steps_of_the_torch_path_lead_to_the_exact_potential_of_a_loop():
    # A loop takes its delay and one step more, in steps of dt: the exact run has both in whole ms.
    exact, wrong = network("final_step_voltage", delays=(False, False), loop=1.0), []
    exact.run(STOP)
    for dt in (0.1, 0.025):
        stepped = network("final_step_voltage", delays=(False, False), loop=2.0 - dt, algorithm="stca")
        stepped.set_backend(TorchBackend(dt=dt, dtype=torch.float64, path="torch"))
        stepped.source(trains(dt))
        stepped.run(STOP)
        wrong.append(float((stepped.answer.predict.detach() - exact.answer.predict.detach()).abs().max()))
    assert wrong[1] < wrong[0] / 2
    assert wrong[1] < 0.03 * float(exact.answer.predict.detach().abs().max())


def test_loops_and_delays_that_have_no_exact_way_are_refused_with_the_reason():
    def refused(reason: str, net: Network) -> None:
        with pytest.raises(UnsupportedError, match=reason):
            net.run(STOP)

    refused("delays of single synapses into a loop", network(delays=(True, False), loop=1.0))
    two = network(delays=(False, False), loop=1.0)
    two.s = Connection(two.out, two.hidden, link_type="full", filter=LowPass(tau=5.0))
    refused("a loop of other form", two)
    with pytest.raises(ParameterError, match="a row for each neuron"):
        given(one(1.0), np.ones((1, 3)), 5.0, lag=1.0)
    with pytest.raises(DataError, match="at least 0"):
        given(one(1.0), np.ones((1, 3)), 5.0, late=np.full((1, 3), -1.0))
    with pytest.raises(ShapeError, match="late"):
        given(one(1.0), np.ones((1, 3)), 5.0, late=np.ones((3, 1)))


def grads(net: Network) -> list[torch.Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in net.parameters()]


def test_two_runs_before_one_backward_give_the_sum_of_their_gradients():
    net, alone = network(), []
    for seed in (0, 7):
        net.source(trains(1.0, seed=seed))
        net.run(STOP)
        net.answer.predict.sum().backward()
        alone.append(grads(net))
        for p in net.parameters():
            p.grad = None
    predictions = []
    for seed in (0, 7):
        net.source(trains(1.0, seed=seed))
        net.run(STOP)
        predictions.append(net.answer.predict)
    sum(p.sum() for p in predictions).backward()
    for found, first, second in zip(grads(net), *alone, strict=True):
        torch.testing.assert_close(found, first + second, rtol=1e-12, atol=1e-12)


def test_a_run_is_differentiated_once_and_never_after_its_weights_have_moved():
    net = network()
    net.run(STOP)
    answer = net.answer.predict.sum()
    answer.backward(retain_graph=True)
    with pytest.raises(StateError, match="differentiated already"):
        answer.backward()
    net.run(STOP)
    with torch.no_grad():
        net.module.a.delay.add_(0.1)
    with pytest.raises(StateError, match="changed in place"):
        net.answer.predict.sum().backward()


def test_batches_of_other_sizes_leave_nothing_behind():
    net, fresh = network("voltage_mean"), network("voltage_mean")
    for n_samples in (5, 1, 2, B):
        net.source(trains(1.0, n_samples))
        net.run(STOP)
        assert net.answer.predict.shape == (n_samples, N_OUT)
        for p in net.parameters():
            p.grad = None
        net.answer.predict.sum().backward()
    fresh.run(STOP)
    fresh.answer.predict.sum().backward()
    for one_way, other in zip(grads(net), grads(fresh), strict=True):
        torch.testing.assert_close(one_way, other, rtol=0, atol=0)


@pytest.mark.parametrize("loop", [0.0, 1.0])
@pytest.mark.parametrize("decoding", ["first_spike_time", "voltage_mean"])
@pytest.mark.parametrize("n_samples", [1, 3])
def test_no_input_gives_no_gradient(decoding, n_samples, loop):
    net = network(decoding, delays=(not loop, not loop), loop=loop)
    empty = np.zeros(0, int)
    net.source(Spikes.from_steps(empty, empty, N_IN, 25, 1.0, samples=empty, n_samples=n_samples))
    net.run(STOP)
    assert net.answer.predict.shape == (n_samples, N_OUT)
    net.answer.predict.sum().backward()
    assert all((g == 0).all() for g in grads(net))


def test_a_first_run_in_inference_mode_leaves_a_network_that_can_be_trained():
    net = network("voltage_mean")
    with torch.inference_mode():
        net.run(STOP)
    loss_of(net)().backward()
    assert net.module.a.weight.grad.abs().max() > 0


def test_an_optimizer_that_asks_for_the_loss_several_times_lowers_it():
    net, losses = network("voltage_mean", delays=(False, False)), []
    net.learner.set_optimizer("LBFGS", 0.02)

    def closure():
        net.learner.optim_zero_grad()
        net.run(STOP)
        losses.append((net.answer.predict - 0.3).square().sum())
        losses[-1].backward()
        return losses[-1]

    for _ in range(3):
        net.learner.optim_step(closure)
    assert losses[-1].item() < 0.5 * losses[0].item()


@pytest.mark.parametrize("value", [-1.0, LONGEST + 1, float("nan")])
def test_delays_out_of_their_range_are_refused_by_the_name_of_the_connection(value):
    net = network()
    net.build()
    with torch.no_grad():
        net.a.get_value("delay")[0, 0] = value
    with pytest.raises(ParameterError, match=r"a\.delay must (be times from 0 to 6 ms.*constrain|hold finite numbers)"):
        net.run(STOP)


def test_an_empty_batch_has_no_spikes_and_no_gradient():
    none, membrane = Trains(np.zeros(1, np.int64), np.zeros(0), np.zeros(0, np.int32)), Membrane(20.0, 5.0, 1.0, 0.0)
    for options in ({}, {"lag": 1.0}, {"late": np.ones((4, 2))}):
        empty = given(none, np.ones((4, 2)), 9.0, **options)
        fired = lif(empty, membrane)
        assert (fired.trains.offsets.tolist(), len(fired.current)) == ([0], 0)
        slopes = lif_back(empty, membrane, fired, np.zeros(0))
        assert (slopes.weight.any(), len(slopes.time)) == (False, 0)


def test_a_silent_network_has_no_gradient_in_delays_and_a_firing_one_has():
    net = network("voltage_mean")
    net.run(STOP)
    net.answer.predict.sum().backward()
    assert net.module.a.delay.grad.abs().max() > 0
    for p in net.parameters():
        p.grad = None
    with torch.no_grad():
        net.module.a.weight.fill_(-1.0)
    net.run(STOP)
    net.answer.predict.sum().backward()
    assert all((g == 0).all() for g in grads(net))

"""Exact spike times and their derivatives: the event path against closed forms, central differences, finer steps."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from spikeloom import (
    Connection,
    Decoder,
    Encoder,
    Learner,
    Network,
    NeuronGroup,
    Spikes,
    StateMonitor,
    TorchBackend,
)
from spikeloom.errors import DataError, ParameterError, ShapeError, UnsupportedError
from spikeloom.filters import LowPass
from spikeloom.native import levels
from spikeloom.native.eventprop import Input, Membrane, Trains, leaky, leaky_back, lif, lif_back

N_IN, N_HIDDEN, N_OUT, B, STOP = 12, 7, 4, 3, 25.0


def network(decoding: str, *, algorithm: str = "eventprop", dt: float = 1.0, dtype=torch.float64, **neuron) -> Network:
    net, drawn = Network("exact"), np.random.default_rng(3)
    options = {"tau_m": 20.0, "scale_input": True, **neuron}
    with net:
        net.source = Encoder(N_IN, coding_method="null")
        net.hidden = NeuronGroup(N_HIDDEN, model="lif", **options)
        model, last = ("lif", options) if decoding == "first_spike_time" else ("li", {"tau_m": 20.0})
        net.out = NeuronGroup(N_OUT, model=model, **last)
        synapse = LowPass(tau=5.0)
        first, second = drawn.normal(0.9, 0.8, (N_HIDDEN, N_IN)), drawn.normal(1.2, 0.9, (N_OUT, N_HIDDEN))
        net.a = Connection(net.source, net.hidden, link_type="full", weight=first, filter=synapse)
        net.b = Connection(net.hidden, net.out, link_type="full", weight=second, filter=synapse)
        net.answer = Decoder(dec_target=net.out, coding_method=decoding)
        net.learner = Learner(trainable=net, algorithm=algorithm)
    net.set_backend(TorchBackend(dt=dt, dtype=dtype))
    net.source(trains(dt))
    return net


def trains(dt: float) -> Spikes:
    drawn = np.random.default_rng(0)
    step, ids = np.round(drawn.integers(0, 18, 90) / dt).astype(int), drawn.integers(0, N_IN, 90)
    sample = np.repeat(np.arange(B), 30)
    return Spikes.from_steps(step, ids, N_IN, round(STOP / dt), dt, samples=sample, n_samples=B, collisions="merge")


def given(arrivals: Trains, weight, stop: float, **options) -> Input:
    return Input(arrivals=arrivals, weight=np.asarray(weight), stop=stop, **options)


def test_a_neuron_fires_when_the_closed_form_says():
    # V = w (x - x^2) with x = exp(-t / tau_m) for tau_m = 2 tau_s: V = 1 first at the greater root of x^2 - x + 1 / w,
    # where there is one: its peak is w / 4.
    tau_m, one = 20.0, Trains(np.array([0, 1]), np.array([2.0]), np.zeros(1, np.int32))
    low, high = (lif(given(one, [[w]], 6.0), Membrane(tau_m, tau_m / 2, 1.0, 0.0)).trains.time for w in (3.999, 8.0))
    assert not len(low)
    assert high[0] == pytest.approx(2 - tau_m * math.log((1 + math.sqrt(1 - 4 / 8.0)) / 2), abs=1e-12)


@pytest.mark.parametrize(("w", "stop"), [(4.2, 60.0), (4.01, 18.0), (4.0001, 30.0), (40.0, 90.0)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_peak_between_two_arrivals_is_not_missed(w, stop, kind):
    # As above: the potential is highest, w / 4, tau_m ln 2 after the arrival, and below the threshold again at `stop`.
    tau_m, one = 20.0, Trains(np.array([0, 1]), np.array([2.0]), np.zeros(1, np.int32))
    weight = np.array([[3.9999, w, -w, 3.9]], kind)
    fired = lif(given(one, weight, stop), Membrane(tau_m, tau_m / 2, 1.0, 0.0))
    first = 2 - tau_m * math.log((1 + math.sqrt(1 - 4 / float(weight[0, 1]))) / 2)
    assert set(fired.trains.id) == {1}
    assert fired.trains.time[0] == pytest.approx(first, abs=1e-9)


def test_a_potential_that_single_precision_rounds_to_the_threshold_fires():
    # V = 8 (x - x^2) rises to just below the threshold at `second`, where a spike of weight 0 arrives.
    theta, level = 1 - 2e-8, 1 - 2.5e-8
    second = -20.0 * math.log((1 + math.sqrt(1 - level / 2)) / 2)
    arrivals = Trains(np.array([0, 2]), np.array([0.0, second]), np.arange(2, dtype=np.int32))
    weight = np.array([[8.0], [0.0]], np.float32)
    fired = lif(given(arrivals, weight, 4.0), Membrane(20.0, 10.0, theta, 0.0))
    assert fired.trains.time[0] == pytest.approx(second, abs=1e-6)


def test_nearly_equal_time_constants_give_what_equal_ones_give():
    drawn = np.random.default_rng(2)
    one = Trains(np.array([0, 9]), np.sort(drawn.uniform(0, 9, 9)), np.arange(9, dtype=np.int32))
    weight = drawn.normal(3.0, 0.5, (9, 4))
    equal = lif(given(one, weight, 30.0), Membrane(5.0, 5.0, 1.0, 0.0))
    near = lif(given(one, weight, 30.0), Membrane(5.0, 5.0 + 1e-13, 1.0, 0.0))
    assert len(equal.current) > 20
    np.testing.assert_allclose(near.trains.time, equal.trains.time, rtol=0, atol=1e-10)


@pytest.mark.parametrize("apart", [1e-12, 1e-8, 1e-6, 5e-5, 2e-4, -2e-7, -9e-5])
def test_time_constants_that_are_hardly_apart_lose_no_digits(apart):
    # V = w / tau_m times the integral of exp((u - t) / tau_m - u / tau_s) from 0 to t.
    tau_m, dt = 5.0, 2.0
    tau_s = tau_m * (1 + apart)
    one = Trains(np.array([0, 1]), np.zeros(1), np.zeros(1, np.int32))
    seen = leaky(given(one, [[3.0]], 50.0), 25, dt, tau_m, tau_s)[:, 0, 0]
    ends = dt * np.arange(1, 26)
    v = [quad(lambda u, t=t: math.exp((u - t) / tau_m - u / tau_s), 0, t, epsrel=1e-13)[0] for t in ends]
    np.testing.assert_allclose(seen, 3.0 / tau_m * np.array(v), rtol=2e-12)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("taus", [(20.0, 20.0), (20.0, 5.0), (5.0, 20.0), (20.0, 0.1)])
def test_a_silence_behind_spikes_however_long_takes_and_adds_none(taus, delayed, kind):
    one, late = Trains(np.array([0, 1]), np.ones(1), np.zeros(1, np.int32)), np.zeros((1, 4), kind) if delayed else None
    tau_m, tau_s = taus
    ratio = tau_s / tau_m
    peak = 1 / math.e if ratio == 1 else ratio ** (1 / (1 - ratio))
    weight = np.array([[900.0, -900.0, 1.01 / peak, 0.99 / peak]], kind)
    short, *longer = (
        lif(given(one, weight, stop, late=late), Membrane(*taus, 1.0, 0.0)) for stop in (500.0, 3e3, 2e4, 1e7, 1e300)
    )
    assert set(short.trains.id) == {0, 2}
    for fired in longer:
        np.testing.assert_allclose(fired.trains.time, short.trains.time, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_has_decayed_is_zero_and_not_a_number_that_slows_all_others(kind):
    one = Trains(np.array([0, 1]), np.ones(1), np.zeros(1, np.int32))
    into = given(one, np.ones((1, 3), kind), 20000.0)
    v = leaky(into, 20000, 1.0, 20.0, 5.0)
    last = np.zeros_like(v)
    last[-1] = 1
    for numbers in (v, leaky_back(into, 1.0, 20.0, 5.0, last).weight):
        assert not ((numbers != 0) & (np.abs(numbers) < np.finfo(kind).tiny)).any()


def test_a_loop_whose_lag_would_take_for_ever_is_refused():
    one = Trains(np.array([0, 1]), np.ones(1), np.zeros(1, np.int32))
    with pytest.raises(ParameterError, match="lag must be at least"):
        given(one, np.ones((3, 2)), 3.0, lag=1e-18)


@pytest.mark.parametrize("late", [None, np.array([[0.0, 1.5, 4.0]])])
def test_a_read_out_follows_the_closed_form_times_its_gain(late):
    # V = w (x - x^2) with x = exp(-t / tau_m) for tau_m = 2 tau_s, t after the arrival.
    tau_m, dt, weight = 20.0, 0.75, np.array([[8.0, -3.0, 0.5]])
    one = Trains(np.array([0, 1]), np.array([2.2]), np.zeros(1, np.int32))
    arrived, ends = 2.2 + (np.zeros((1, 3)) if late is None else late), dt * np.arange(1, 21)[:, None]
    x = np.exp(-np.maximum(ends - arrived, 0) / tau_m)
    into = given(one, weight, 15.0, late=late)
    seen = leaky(into, 20, dt, tau_m, tau_m / 2, 2.5)[:, 0]
    np.testing.assert_allclose(seen, 2.5 * weight * (x - x**2), rtol=0, atol=1e-14)
    # dL/dw for L = sum_t c_t v_t is sum_t c_t v_t / w; dL/d(arrival) is sum_t c_t times -dv_t / dt.
    c = np.random.default_rng(0).normal(size=(20, 3))
    found = leaky_back(into, dt, tau_m, tau_m / 2, c[:, None], 2.5)
    np.testing.assert_allclose(found.weight, [(c * seen / weight).sum(0)], rtol=0, atol=1e-13)
    earlier = 2.5 * weight * (x - 2 * x**2) / tau_m * (ends >= arrived)
    np.testing.assert_allclose(found.time, [(c * earlier).sum()], rtol=0, atol=1e-13)


def test_samples_of_a_batch_go_on_as_each_does_alone():
    drawn, n, membrane = np.random.default_rng(5), 300, Membrane(20.0, 5.0, 1.0, -0.5)
    time, weight = np.sort(drawn.uniform(0, 9, (8, 30)), 1), drawn.normal(1.5, 1.5, (30, n))
    counts = [30, 0, 12, 30, 25, 30, 30, 7]
    ids = np.arange(30, dtype=np.int32)
    times = np.concatenate([t[:k] for t, k in zip(time, counts, strict=True)])
    batch = Trains(np.cumsum([0, *counts]), times, np.concatenate([ids[:k] for k in counts]))
    fired = lif(given(batch, weight, 12.0), membrane)
    total = np.zeros_like(weight)
    for b, k in enumerate(counts):
        alone = given(Trains(np.array([0, k]), time[b, :k].copy(), ids[:k].copy()), weight, 12.0)
        sent, own = lif(alone, membrane), slice(*fired.trains.offsets[b : b + 2])
        np.testing.assert_array_equal(fired.trains.time[own], sent.trains.time)
        np.testing.assert_array_equal(fired.trains.id[own], sent.trains.id)
        total += lif_back(alone, membrane, sent, np.cos(sent.trains.time)).weight
    together = lif_back(given(batch, weight, 12.0), membrane, fired, np.cos(fired.trains.time))
    np.testing.assert_allclose(together.weight, total, rtol=0, atol=1e-9 * np.abs(total).max())


def test_what_arrives_when_the_run_is_over_does_nothing():
    membrane, weight = Membrane(20.0, 5.0, 1.0, 0.0), np.array([[9.0], [9.0], [9.0]])
    one = Trains(np.array([0, 1]), np.array([1.0]), np.zeros(1, np.int32))
    more = Trains(np.array([0, 3]), np.array([1.0, 10.0, 12.0]), np.arange(3, dtype=np.int32))
    alone, beside = (lif(given(arrivals, weight, 10.0), membrane) for arrivals in (one, more))
    np.testing.assert_array_equal(alone.trains.time, beside.trains.time)
    of_more = lif_back(given(more, weight, 10.0), membrane, beside, np.ones(len(beside.current)))
    of_one = lif_back(given(one, weight, 10.0), membrane, alone, np.ones(len(alone.current)))
    np.testing.assert_array_equal(of_more.weight, of_one.weight)
    np.testing.assert_array_equal(of_more.time, [*of_one.time, 0, 0])


def test_arrivals_that_do_not_fit_the_weights_are_refused_before_they_are_read():
    good = Trains(np.array([0, 2]), np.array([1.0, 2.0]), np.array([0, 1], np.int32))
    weight, membrane = np.ones((2, 3)), Membrane(20.0, 5.0, 1.0, 0.0)
    for error, said, bad in [
        (DataError, "from 0 to 1", good._replace(id=np.array([0, 2], np.int32))),
        (DataError, "from 0 to 1", good._replace(id=np.array([-1, 0], np.int32))),
        (DataError, "array of int32", good._replace(id=np.array([0, 1]))),
        (ShapeError, "offsets must rise", good._replace(offsets=np.array([0, 3]))),
        (ShapeError, "offsets must rise", good._replace(offsets=np.array([0, 5, 2]))),
        (DataError, "sorted", good._replace(time=np.array([2.0, 1.0]))),
        (DataError, "sorted", good._replace(time=np.array([1.0, np.nan]))),
    ]:
        with pytest.raises(error, match=said):
            lif(given(bad, weight, 9.0), membrane)
    fired = lif(given(good, weight * 9, 9.0), membrane)
    with pytest.raises(ShapeError, match="by_time"):
        lif_back(given(good, weight * 9, 9.0), membrane, fired, np.ones(len(fired.current) - 1))


@pytest.mark.parametrize("n", [1, 7, 17, 33])
def test_every_instruction_set_and_both_precisions_give_the_same_spikes(n):
    drawn = np.random.default_rng(n)
    arrivals = Trains(np.array([0, 0, 20]), np.sort(drawn.uniform(0, 9, 20)), np.arange(20, dtype=np.int32))
    weight, membrane = drawn.normal(2.0, 2.0, (20, n)), Membrane(20.0, 5.0, 1.0, -0.5)
    expected = lif(given(arrivals, weight, 12.0), membrane)
    assert len(expected.current) >= 5
    for level in levels.available():
        with levels.using(level):
            for kind, near in ((np.float64, 1e-12), (np.float32, 1e-4)):
                fired = lif(given(arrivals, weight.astype(kind), 12.0), membrane)
                for mine, theirs in zip(by_neuron(fired), by_neuron(expected), strict=True):
                    np.testing.assert_allclose(mine, theirs, rtol=0, atol=near)


def by_neuron(fired):
    return [fired.trains.time[fired.trains.id == k] for k in range(33)]


@pytest.mark.parametrize("taus", [(20.0, 5.0), (5.0, 5.0), (4.0, 9.0)])
def test_the_potential_is_at_the_threshold_at_every_spike(taus):
    tau_m, tau_s = taus
    drawn = np.random.default_rng(1)
    time, weight = np.sort(drawn.uniform(0, 20, 30)), drawn.normal(1.0, 0.7, (30, 1))
    arrivals = Trains(np.array([0, 30]), time, np.arange(30, dtype=np.int32))
    fired = lif(given(arrivals, weight, 40.0), Membrane(*taus, 1.0, 0.1))
    assert len(fired.current) >= 3
    begin, level = 0.0, 0.0
    for spike in fired.trains.time:

        def driven(u: float, spike: float = spike) -> float:
            current = (weight[time <= u, 0] * np.exp((time[time <= u] - u) / tau_s)).sum()
            return math.exp((u - spike) / tau_m) * current / tau_m

        parts = [begin, *time[(time > begin) & (time < spike)], spike]
        v = level * math.exp((begin - spike) / tau_m)
        v += sum(quad(driven, a, b)[0] for a, b in pairwise(parts))
        assert v == pytest.approx(1.0, abs=1e-9)
        begin, level = spike, 0.1


@pytest.mark.parametrize("decoding", ["first_spike_time", "voltage_mean", "voltage_max", "final_step_voltage"])
def test_gradients_are_central_differences(decoding):
    net = network(decoding)
    factors = torch.from_numpy(np.random.default_rng(5).normal(size=(B, N_OUT)))

    def loss() -> torch.Tensor:
        net.run(STOP)
        return (net.answer.predict * factors).sum()

    loss().backward()
    assert net.plan.blocks[0].path == "event path"
    checked = 0
    for parameter in net.parameters():
        flat, grad = parameter.data, parameter.grad
        for index in np.ndindex(*parameter.shape):
            value, found = flat[index].item(), []
            for h in (1e-6, -1e-6):
                flat[index] = value + h
                with torch.no_grad():
                    found.append(loss().item())
            flat[index] = value
            slope = (found[0] - found[1]) / 2e-6
            if abs(slope) < 1e4:  # else a spike comes or goes
                assert grad[index].item() == pytest.approx(slope, rel=1e-6, abs=1e-6)
                checked += slope != 0
    assert checked > 50


def test_finer_steps_of_the_torch_path_lead_to_the_exact_potential():
    exact = network("final_step_voltage")
    exact.run(STOP)
    wrong = []
    for dt in (0.1, 0.05, 0.025):
        stepped = network("final_step_voltage", algorithm="stca", dt=dt)
        stepped.run(STOP)
        assert "event path" not in str(stepped.plan)
        # An li without scale_input takes 1 / (1 - exp(-dt / tau)) times the current of a step.
        gain = (1 - math.exp(-dt / 20.0)) / (1 - math.exp(-1.0 / 20.0))
        wrong.append(float((stepped.answer.predict.detach() * gain - exact.answer.predict.detach()).abs().max()))
    assert wrong[2] < wrong[0] / 2.5
    assert wrong[2] < 0.02 * float(exact.answer.predict.detach().abs().max())


def test_a_weight_shifts_the_times_of_spikes_by_what_its_gradient_says():
    arrivals = Trains(np.array([0, 2]), np.array([1.0, 3.0]), np.array([0, 1], np.int32))
    weight, membrane = np.array([[4.0], [5.0]]), Membrane(20.0, 5.0, 1.0, 0.0)
    fired = lif(given(arrivals, weight, 10.0), membrane)
    grad, slopes, *_ = lif_back(given(arrivals, weight, 10.0), membrane, fired, np.ones(len(fired.current)))
    assert (grad < 0).all(), "more weight, earlier spikes"
    later = lif(given(Trains(arrivals.offsets, arrivals.time + 1e-6, arrivals.id), weight, 10.0), membrane)
    moved = (later.trains.time - fired.trains.time).sum() / 1e-6
    assert slopes.sum() == pytest.approx(moved, rel=1e-6) == pytest.approx(len(fired.current), rel=1e-6)


def test_samples_of_a_batch_do_not_know_of_each_other():
    net = network("first_spike_time")
    net.run(STOP)
    together = net.answer.predict.detach().clone()
    for sample in range(B):
        net.source(trains(1.0)[sample])
        net.run(STOP)
        torch.testing.assert_close(net.answer.predict[0], together[sample], rtol=0, atol=0)


def test_delays_and_several_sources_arrive_in_the_order_of_time():
    net = network("first_spike_time")
    net.extra = Encoder(2, coding_method="null")
    net.c = Connection(
        net.extra, net.out, link_type="full", weight=np.full((N_OUT, 2), 2.0), filter=LowPass(tau=5.0), delay=3.0
    )
    net.extra(Spikes.from_steps([1, 1, 1], [0, 1, 0], 2, 25, 1.0, samples=[0, 1, 2], n_samples=B))
    net.run(STOP)
    net.answer.predict.sum().backward()
    with_delay = net.answer.predict.detach()
    shifted = network("first_spike_time")
    shifted.extra = Encoder(2, coding_method="null")
    shifted.c = Connection(
        shifted.extra, shifted.out, link_type="full", weight=np.full((N_OUT, 2), 2.0), filter=LowPass(tau=5.0)
    )
    shifted.extra(Spikes.from_steps([4, 4, 4], [0, 1, 0], 2, 25, 1.0, samples=[0, 1, 2], n_samples=B))
    shifted.run(STOP)
    shifted.answer.predict.sum().backward()
    torch.testing.assert_close(with_delay, shifted.answer.predict.detach(), rtol=0, atol=0)
    for one, other in zip(net.parameters(), shifted.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)


def test_a_silent_neuron_answers_a_step_after_the_window_and_has_no_gradient():
    net = network("first_spike_time")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(-1.0)
    net.run(STOP)
    assert (net.answer.predict == STOP + 1.0).all()
    net.answer.predict.sum().backward()
    assert all((p.grad == 0).all() for p in net.parameters())


def test_spike_counts_have_no_exact_gradient():
    net = network("first_spike_time")
    net.counts = Decoder(dec_target=net.out, coding_method="spike_counts")
    net.run(STOP)
    with pytest.raises(UnsupportedError, match=r"decode 'first_spike_time'"):
        net.counts.predict.sum().backward()


def test_what_the_event_path_cannot_do_is_refused_with_the_reason():
    for changes, reason in [
        ({"hidden": NeuronGroup(N_HIDDEN, model="clif")}, "'lif' and 'li'"),
        ({"hidden": NeuronGroup(N_HIDDEN, model="lif", v_reset=1.0)}, "v_th above"),
        ({"hidden": NeuronGroup(N_HIDDEN, model="lif", tau_m=np.linspace(5, 9, N_HIDDEN))}, "one number"),
    ]:
        net = Network()
        net.source = Encoder(N_IN, coding_method="null")
        net.hidden = changes["hidden"]
        net.a = Connection(net.source, net.hidden, link_type="full", filter=LowPass(tau=5.0))
        net.learner = Learner(trainable=net, algorithm="eventprop")
        net.source(trains(1.0))
        net.set_backend_dt(1.0)
        with pytest.raises(UnsupportedError, match=f"eventprop.*{reason}"):
            net.run(STOP)
    net = network("first_spike_time")
    net.run(STOP)
    with pytest.raises(UnsupportedError, match="cannot be continued"):
        net.run_continue(STOP)
    del net.a
    net.a = Connection(net.source, net.hidden, link_type="full")
    with pytest.raises(UnsupportedError, match="synaptic current"):
        net.run(STOP)


def test_what_has_no_exact_times_is_refused_before_anything_runs():
    def refused(reason: str, change, **backend) -> None:
        net = network("voltage_mean")
        change(net)
        net.set_backend(TorchBackend(dt=1.0, **backend))
        before = net.generator.bit_generator.state
        with pytest.raises(UnsupportedError, match=reason):
            net.run(STOP)
        assert net.generator.bit_generator.state == before

    def learns(*learners):
        def change(net):
            del net.learner
            for k, (parts, options) in enumerate(learners):
                setattr(net, f"learner{k}", Learner(trainable=[net.get_elements()[p] for p in parts], **options))

        return change

    def watches(target, variable, **options):
        def change(net):
            net.seen = StateMonitor(net.get_elements()[target], variable, **options)

        return change

    def sends_values(net):
        net.more = NeuronGroup(2, model="li")
        net.d = Connection(net.out, net.more, link_type="full", filter=LowPass(tau=5.0))

    exact, every = {"algorithm": "eventprop"}, ("a", "hidden", "b", "out")
    refused("has no 'v' to show", watches("hidden", "v"))
    refused("has no 'i_syn' to show, only spikes, v", watches("out", "i_syn"))
    refused("monitor seen keeps gradients", watches("hidden", "spikes", get_grad=True))
    refused("leave credit= out", learns((every, {**exact, "credit": "sltt"})))
    refused("out takes the spikes of hidden", learns((("a", "hidden"), {"algorithm": "stca"}), (("b", "out"), exact)))
    refused("d: the event path takes spikes, but out sends values", sends_values)
    refused("path='auto'", lambda net: None, path="torch")
    refused("schedule='step'", lambda net: None, schedule="step")

    def beside(net):
        del net.learner
        net.learner = Learner(trainable=net.b, pathway=net.out, **exact)

    refused("without pathway=", beside)


def test_an_exact_learner_and_another_beside_it_share_a_run():
    alone, both = network("voltage_mean"), network("voltage_mean")
    alone.run(STOP)
    alone.answer.predict.sum().backward()
    del both.learner
    both.side = NeuronGroup(4, model="lif")
    both.c = Connection(both.source, both.side, link_type="full", w_mean=0.5)
    both.votes = Decoder(dec_target=both.side)
    both.exact = Learner(trainable=[both.a, both.hidden, both.b, both.out], algorithm="eventprop")
    both.other = Learner(trainable=[both.c, both.side], algorithm="stca")
    both.run(STOP)
    (both.answer.predict.sum() + both.votes.predict.sum()).backward()
    assert [block.path for block in both.plan.blocks] == ["event path", "kernel path"]
    assert both.module.c.weight.grad.abs().max() > 0
    for name in ("a", "b"):
        grads = [net.module.get_submodule(name).weight.grad for net in (both, alone)]
        torch.testing.assert_close(*grads, rtol=0, atol=0)


def test_regularisation_does_not_depend_on_how_the_input_is_scaled():
    gain, grads = 1 - math.exp(-1.0 / 20.0), []
    for scaled in (True, False):
        net = network("voltage_mean", scale_input=scaled)
        del net.learner
        net.learner = Learner(trainable=net.a, algorithm="eventprop", regularisation=1.0, n_spikes=3.0)
        with torch.no_grad():
            net.module.a.weight.mul_(1.0 if scaled else gain)
        net.run(STOP)
        (net.answer.predict * 0).sum().backward()
        grads.append(net.module.a.weight.grad * (1.0 if scaled else gain))
    assert grads[0].abs().max() > 0.1
    torch.testing.assert_close(grads[0], grads[1])


def test_a_population_that_runs_away_is_stopped():
    arrivals = Trains(np.array([0, 1]), np.zeros(1), np.zeros(1, np.int32))
    with pytest.raises(DataError, match="scale its weights down"):
        lif(given(arrivals, [[1e12]], 10.0), Membrane(20.0, 5.0, 1.0, 0.0))


def test_weights_laid_out_for_the_event_path_are_saved_and_loaded_as_they_are(tmp_path):
    net = network("voltage_mean")
    net.run(STOP)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    name = net.save_state("weights", str(tmp_path))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    net.state_from_dict(filename=name)
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_regularisation_draws_every_neuron_towards_the_number_of_spikes_asked_for():
    for start in (0.25, 2.5):
        net = network("voltage_mean")
        del net.learner
        net.learner = Learner(trainable=net.a, algorithm="eventprop", regularisation=1.0, n_spikes=3.0)
        net.learner.set_optimizer("Adam", 0.05)
        with torch.no_grad():
            net.module.a.weight.fill_(start)
        counts = []
        for _ in range(80):
            net.run(STOP)
            counts.append(net.firing_rates()["hidden"] * STOP / 1000)
            net.learner.optim_zero_grad()
            (net.answer.predict * 0).sum().backward()
            net.learner.optim_step()
        assert abs(counts[0] - 3.0) > 1.2
        assert counts[-1] == pytest.approx(3.0, abs=0.7)


def test_the_early_weighted_read_out_is_the_mean_of_what_v_t_shows():
    net = network("voltage_mean_exp")
    net.trace = Decoder(dec_target=net.out, coding_method="v_t")
    net.run(STOP)
    v, t = net.trace.predict.detach().numpy(), np.arange(1, 26)
    expected = np.einsum("t,tbn->bn", np.exp(-t / 25), v) / 25
    np.testing.assert_allclose(net.answer.predict.detach().numpy(), expected, rtol=1e-12)

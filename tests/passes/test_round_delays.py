"""Learned delays rounded to whole steps: the same spikes on every schedule, as a ring of currents brings them."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.filters import LowPass
from spikeloom.network import describe
from spikeloom.passes import round_delays, verify

DT, T, B, PRE, HIDDEN, OUT, MAX = 0.5, 60, 4, 7, 9, 3, 5.0
SPIKES = (np.random.default_rng(0).random((B, T, PRE)) < 0.25).astype(float)


def network(schedule="auto", grid=None):
    """Two connections with delays that learn, of the three kinds of links; grid: weights are multiples of it."""
    drawn = np.random.default_rng(3)
    net = sl.Network("delays")

    def weight(scale, *shape):
        values = drawn.normal(0.0, scale, shape)
        return values if grid is None else np.rint(values / grid) * grid

    with net:
        net.source = sl.Encoder(PRE, coding_method="null")
        net.hidden = sl.NeuronGroup(HIDDEN, model="if")
        net.second = sl.NeuronGroup(HIDDEN, model="if")
        net.out = sl.NeuronGroup(OUT, model="if")
        learned = sl.LearnedDelays(max=MAX)
        net.a = sl.Connection(net.source, net.hidden, link_type="full", weight=weight(0.7, HIDDEN, PRE), delay=learned)
        net.b = sl.Connection(net.hidden, net.second, link_type="one_to_one", weight=weight(0.9, HIDDEN), delay=learned)
        indices = np.stack(np.nonzero(drawn.random((OUT, HIDDEN)) < 0.6))
        net.c = sl.Connection(
            net.second,
            net.out,
            link_type="sparse",
            indices=indices,
            weight=weight(1.0, indices.shape[1]),
            delay=learned,
        )
        net.answer = sl.Decoder(dec_target=net.out)
        for group in (net.hidden, net.second, net.out):
            for variable in ("O", "i_syn"):
                net.add(f"{variable[0]}_{group.name}", sl.StateMonitor(group, variable))
    net.set_random_seed(1)
    net.set_backend(sl.TorchBackend(dt=DT, dtype=torch.float64, schedule=schedule))
    return net.eval()


def seen(net, pieces=(T,)):
    """Spikes and currents of all populations, in a run of so many steps after each other."""
    found, begin = {}, 0
    for n in pieces:
        net.source(SPIKES[:, begin : begin + n])
        (net.run if begin == 0 else net.run_continue)(n * DT)
        begin += n
        for monitor in net.monitors:
            found.setdefault(monitor.name, []).append(monitor.values[..., -n:])
    return {name: np.concatenate(parts, -1) for name, parts in found.items()}


def ring(net):
    """Spikes and currents of the rounded network, by hand: every spike into the slot of a ring that its delay names."""
    state = {name: np.asarray(value.detach()) for name, value in net.state_dict().items()}
    slots = round(MAX / DT) + 1
    layers = []
    for path, n_pre, n_post in (("a", PRE, HIDDEN), ("b", HIDDEN, HIDDEN), ("c", HIDDEN, OUT)):
        weight, late = state[f"{path}.weight"], np.rint(state[f"{path}.delay"] / DT).astype(int)
        pairs = {"a": lambda: np.indices((HIDDEN, PRE)).reshape(2, -1), "b": lambda: np.tile(np.arange(HIDDEN), (2, 1)),
                 "c": lambda: state["c.indices"]}[path]()  # fmt: skip
        layers.append((pairs, weight.ravel(), late.ravel(), np.zeros((slots, B, n_post)), np.zeros((B, n_post))))
        assert pairs[1].max() < n_pre
    found = {}
    for t in range(T):
        spikes = SPIKES[:, t]
        for name, (pairs, weight, late, slot, v) in zip(("hidden", "second", "out"), layers, strict=True):
            for (post, pre), w, d in zip(pairs.T, weight, late, strict=True):
                slot[(t + d) % slots][:, post] += w * spikes[:, pre]
            current = slot[t % slots].copy()
            slot[t % slots] = 0.0
            v += current
            spikes = (v >= 1.0).astype(float)
            v[v >= 1.0] = 0.0
            found.setdefault(f"i_{name}", []).append(current)
            found.setdefault(f"O_{name}", []).append(spikes)
    return {name: np.moveaxis(np.array(parts), 0, 2) for name, parts in found.items()}


@pytest.mark.parametrize("pieces", [(T,), (1, 4, 11, T - 16)])
@pytest.mark.parametrize("schedule", ["auto", "step"])
@pytest.mark.parametrize("rounded", [False, True])
def test_rounded_delays_equal_a_ring_of_currents_on_every_schedule(schedule, pieces, rounded):
    net = network(schedule)
    expected = ring(net)
    assert 0.02 < expected["O_out"].mean() < 0.5
    found = seen(round_delays(net)[0] if rounded else net, pieces)
    for name, values in expected.items():
        if name.startswith("O_"):
            assert np.array_equal(found[name], values), name
        else:
            np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("schedule", ["auto", "step"])
def test_sums_that_are_exact_in_any_order_are_equal_bit_for_bit(schedule):
    net = network(schedule, grid=1 / 64)
    expected, found = ring(net), seen(round_delays(net)[0])
    for name, values in expected.items():
        assert np.array_equal(found[name], values), name


def test_the_pass_leaves_the_network_and_keeps_its_promise():
    net = network()
    before, described = {k: v.clone() for k, v in net.state_dict().items()}, describe(net)
    new, promise = round_delays(net)
    assert promise.kind == "equal"
    assert promise.tolerance == 0.0
    assert "in training bells were up to 5 steps wide" in promise.why
    assert verify(net, new, SPIKES, promise, time=T * DT) == (True, 0.0, B)
    assert describe(net) == described
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    late = np.asarray(new.state_dict()["a.delay"]) / DT
    assert np.array_equal(late, np.rint(late))
    assert "a.sigma" not in new.state_dict()
    wrong = round_delays(net)[0]
    wrong.a.set_value("delay", np.zeros((HIDDEN, PRE)))
    assert not verify(net, wrong, SPIKES, promise, time=T * DT).holds


def test_nothing_is_promised_of_exact_spike_times_which_take_delays_as_they_are():
    synapse, drawn = LowPass(tau=5.0), np.random.default_rng(5)
    net = sl.Network("exact")
    with net:
        net.source = sl.Encoder(PRE, coding_method="null")
        net.out = sl.NeuronGroup(OUT, model="li", tau_m=20.0)
        net.hidden = sl.NeuronGroup(HIDDEN, model="lif", tau_m=20.0)
        net.a = sl.Connection(
            net.source, net.hidden, link_type="full", weight=drawn.random((HIDDEN, PRE)), filter=synapse,
            delay=sl.LearnedDelays(max=MAX),
        )  # fmt: skip
        net.b = sl.Connection(net.hidden, net.out, link_type="full", weight=np.ones((OUT, HIDDEN)), filter=synapse)
        net.answer = sl.Decoder(dec_target=net.out, coding_method="voltage_mean")
        net.learner = sl.Learner(net, "eventprop")
    net.set_backend(sl.TorchBackend(dt=DT, dtype=torch.float64))
    spikes = sl.Spikes.from_raster(np.moveaxis(SPIKES, 1, 0).astype(np.int8), DT)
    new, promise = round_delays(net)
    assert promise.kind == "none"
    assert "exact spike times" in promise.why
    assert verify(net, new, spikes, promise, time=T * DT).difference > 0


def test_in_training_the_old_network_is_another():
    net = network().train()
    assert any(not np.array_equal(a, b) for a, b in zip(seen(net).values(), seen(network()).values(), strict=True))


def test_rounded_networks_are_saved_and_trained_on(tmp_path):
    new, _ = round_delays(network())
    new.save("net", tmp_path)
    again = sl.network_load("net", tmp_path).eval()
    again.set_backend(sl.TorchBackend(dt=DT, dtype=torch.float64))
    assert {name: v.sum() for name, v in seen(again).items()} == {name: v.sum() for name, v in seen(new).items()}
    new.learner = sl.Learner(new, "sbp")
    new.learner.set_optimizer("Adam", 1e-2)
    delays = {k: v.clone() for k, v in new.train().state_dict().items() if k.endswith(".delay")}
    new.source(SPIKES)
    new.run(T * DT)
    new.answer.predict.sum().backward()
    new.learner.optim_step()
    assert len(new.learner.optim.param_groups) == 1
    assert all(torch.equal(new.state_dict()[k], v) for k, v in delays.items())


def test_delays_in_a_loop_run_once_they_are_rounded():
    net = network()
    net.back = sl.Connection(net.out, net.hidden, link_type="full", w_mean=0.3, delay=sl.LearnedDelays(max=MAX))
    new, _ = round_delays(net)
    found = seen(new)
    assert not np.array_equal(found["O_hidden"], seen(network())["O_hidden"])

"""Every synapse's spike arrives after its own delay: in a row of populations, in loops, over runs that continue."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, UnsupportedError
from spikeloom.network import Constant, Normal, Uniform, describe, network_from

DT, T, B, PRE, POST = 0.5, 24, 3, 6, 5
RNG = np.random.default_rng(4)
WEIGHT = RNG.normal(size=(POST, PRE))
STEPS = RNG.integers(0, 9, size=(POST, PRE))
SPIKES = (np.random.default_rng(1).random((B, T, PRE)) < 0.25).astype(float)


def forward(link="full", model="li", path="auto", schedule="auto", **options):
    """A population that shows its current, behind one connection with delays."""
    net = sl.Network()
    net.input = sl.Encoder(PRE, coding_method="null")
    net.a = sl.NeuronGroup(options.pop("post", POST), model=model)
    net.c = sl.Connection(net.input, net.a, link_type=link, **options)
    net.monitor = sl.StateMonitor(net.a, "i_syn")
    net.output = sl.Decoder(dec_target=net.a, coding_method="v_t")
    net.set_random_seed(2)
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT, path=path, schedule=schedule))
    return net


def current(net, spikes=SPIKES, run=None):
    """The current (B, T, POST) of a run."""
    net.input(spikes)
    (run or net.run)(spikes.shape[1] * DT)
    return np.moveaxis(net.monitor.values[..., -spikes.shape[1] :], 1, 2)


def by_hand(spikes, weight, steps):
    """Each spike of each source to each of its targets, one by one."""
    found = np.zeros((*spikes.shape[:2], len(weight)))
    for b, t, pre in zip(*np.nonzero(spikes), strict=True):
        for post in range(len(weight)):
            if t + steps[post, pre] < spikes.shape[1]:
                found[b, t + steps[post, pre], post] += weight[post, pre] * spikes[b, t, pre]
    return found


def test_a_spike_arrives_at_each_target_after_the_delay_of_its_synapse():
    net = forward(weight=np.ones((POST, 1)) * np.eye(1, PRE), delay=np.arange(POST * PRE).reshape(POST, PRE) * DT)
    one = np.zeros((1, T, PRE))
    one[0, 2, 0] = 1.0
    found = current(net, one)[0]
    assert [np.nonzero(found[:, k])[0].tolist() for k in range(POST)] == [[2], [8], [14], [20], []]


@pytest.mark.parametrize("schedule", ["auto", "step"])
def test_a_full_connection_equals_the_loop_over_its_spikes(schedule):
    net = forward(weight=WEIGHT, delay=STEPS * DT, schedule=schedule)
    np.testing.assert_allclose(current(net), by_hand(SPIKES, WEIGHT, STEPS), atol=1e-12)
    assert net.plan.blocks[0].path == "torch path"
    assert "a delay for each synapse" in str(net.plan)


def test_events_and_graded_values_arrive_alike():
    net = forward(weight=WEIGHT, delay=STEPS * DT)
    events = sl.Spikes.from_raster(np.moveaxis(SPIKES, 1, 0).astype(np.int8), DT)
    net.input(events)
    net.run(T * DT)
    np.testing.assert_allclose(np.moveaxis(net.monitor.values, 1, 2), by_hand(SPIKES, WEIGHT, STEPS), atol=1e-12)
    graded = SPIKES * np.random.default_rng(0).normal(size=SPIKES.shape)
    np.testing.assert_allclose(current(net, graded), by_hand(graded, WEIGHT, STEPS), atol=1e-12)


def test_a_constant_input_begins_to_arrive_after_the_delays():
    net = forward(weight=WEIGHT, delay=STEPS * DT)
    net.input = sl.Encoder(PRE, coding_method="constant_current")
    net.c = sl.Connection(net.input, net.a, link_type="full", weight=WEIGHT, delay=STEPS * DT)
    values = np.random.default_rng(0).random((B, PRE))
    net.input(values)
    net.run(T * DT)
    expected = by_hand(np.repeat(values[:, None], T, 1), WEIGHT, STEPS)
    np.testing.assert_allclose(np.moveaxis(net.monitor.values, 1, 2), expected, atol=1e-12)


def test_a_bias_has_no_delay():
    bias = np.arange(1.0, POST + 1)
    net = forward(weight=WEIGHT, delay=STEPS * DT, bias=bias)
    np.testing.assert_allclose(current(net), by_hand(SPIKES, WEIGHT, STEPS) + bias, atol=1e-12)


def test_one_to_one_and_sparse_synapses_have_their_own_delays():
    late = np.array([0, 3, 1, 7, 2, 5])
    net = forward("one_to_one", post=PRE, weight=np.arange(1.0, 7.0), delay=late * DT)
    np.testing.assert_allclose(current(net), by_hand(SPIKES, np.diag(np.arange(1.0, 7.0)), np.diag(late)), atol=1e-12)
    indices = np.array([[0, 4, 2, 2], [5, 0, 3, 1]])
    net = forward("sparse", indices=indices, weight=np.array([1.0, -2.0, 0.5, 3.0]), delay=np.array([4, 0, 8, 1]) * DT)
    weight, steps = np.zeros((POST, PRE)), np.zeros((POST, PRE), int)
    weight[tuple(indices)], steps[tuple(indices)] = [1.0, -2.0, 0.5, 3.0], [4, 0, 8, 1]
    np.testing.assert_allclose(current(net), by_hand(SPIKES, weight, steps), atol=1e-12)


def test_a_run_cut_in_pieces_equals_one_run():
    pieces = [SPIKES[:, a:b] for a, b in ((0, 1), (1, 4), (4, 5), (5, 20), (20, T))]
    for schedule in ("auto", "step"):
        net = forward(weight=WEIGHT, delay=STEPS * DT, schedule=schedule)
        found = [current(net, piece, net.run_continue) for piece in pieces]
        np.testing.assert_allclose(np.concatenate(found, 1), by_hand(SPIKES, WEIGHT, STEPS), atol=1e-12)


@pytest.mark.parametrize("schedule", ["auto", "step"])
def test_equal_delays_are_one_delay(schedule):
    each = forward(weight=WEIGHT, delay=np.full((POST, PRE), 2.0), schedule=schedule)
    one = forward(weight=WEIGHT, delay=2.0, path="torch", schedule=schedule)
    np.testing.assert_allclose(current(each), current(one), atol=1e-12)


def test_gradients_equal_those_of_one_matrix_for_each_delay():
    net = forward(weight=WEIGHT, delay=STEPS * DT, model="lif", bias=True)
    net.learner = sl.Learner(net, "STBP", alpha=1.0)
    net.input(SPIKES)
    net.run(T * DT)
    net.output.predict.pow(2).sum().backward()
    twin = forward(weight=WEIGHT * (STEPS == 0), model="lif", bias=True, path="torch")
    for k in range(1, 9):
        twin.add(
            f"d{k}", sl.Connection(twin.input, twin.a, link_type="full", weight=WEIGHT * (k == STEPS), delay=k * DT)
        )
    twin.learner = sl.Learner(twin, "STBP", alpha=1.0)
    twin.input(SPIKES)
    twin.run(T * DT)
    twin.output.predict.pow(2).sum().backward()
    expected = twin.c.weight.value.grad * torch.as_tensor(STEPS == 0)
    for k in range(1, 9):
        expected = expected + getattr(twin, f"d{k}").weight.value.grad * torch.as_tensor(k == STEPS)
    assert expected.abs().sum() > 0
    torch.testing.assert_close(net.c.weight.value.grad, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(net.c.bias.value.grad, twin.c.bias.value.grad, rtol=1e-10, atol=1e-12)


def looped(delay, weight, **options):
    net = sl.Network()
    net.input = sl.Encoder(4, coding_method="null")
    net.a = sl.NeuronGroup(4, model="if", v_th=1.0)
    net.c = sl.Connection(net.input, net.a, link_type="one_to_one", weight=np.ones(4))
    net.back = sl.Connection(net.a, net.a, link_type="full", weight=weight, delay=delay, **options)
    net.spikes = sl.StateMonitor(net.a, "O")
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT))
    return net


def test_a_ring_of_synapses_with_delays_is_as_slow_as_its_hand_count():
    # 0 -> 1 after 2 steps, 1 -> 2 after 0, 2 -> 3 after 5, 3 -> 0 after 1; the loop takes one step more each time
    weight, steps = np.zeros((4, 4)), np.zeros((4, 4), int)
    for pre, late in ((0, 2), (1, 0), (2, 5), (3, 1)):
        weight[(pre + 1) % 4, pre], steps[(pre + 1) % 4, pre] = 1.0, late
    net = looped(steps * DT, weight)
    first = np.zeros((1, 30, 4))
    first[0, 0, 0] = 1.0
    net.input(first)
    net.run(30 * DT)
    assert np.argwhere(net.spikes.values[0].T).tolist() == [
        [0, 0], [3, 1], [4, 2], [10, 3], [12, 0], [15, 1], [16, 2], [22, 3], [24, 0], [27, 1], [28, 2],
    ]  # fmt: skip


def loop_by_hand(spikes, weight, steps):
    """Integrate-and-fire neurons that reset to zero, joined with one step more than each delay."""
    v, found = np.zeros((len(spikes), 4)), np.zeros(spikes.shape)
    for t in range(spikes.shape[1]):
        for post in range(4):
            for pre in range(4):
                if (sent := t - 1 - steps[post, pre]) >= 0:
                    v[:, post] += weight[post, pre] * found[:, sent, pre]
        v += spikes[:, t]
        found[:, t] = v >= 1.0
        v[v >= 1.0] = 0.0
    return found


@pytest.mark.parametrize("pieces", [[40], [1, 3, 10, 26]])
def test_a_loop_with_random_delays_equals_its_hand_written_loop(pieces):
    rng = np.random.default_rng(8)
    weight, steps = rng.normal(0.3, 0.5, size=(4, 4)), rng.integers(0, 12, size=(4, 4))
    spikes = (rng.random((2, 40, 4)) < 0.15) * 1.25
    net, found, at = looped(steps * DT, weight), [], 0
    for n in pieces:
        net.input(spikes[:, at : at + n])
        net.run_continue(n * DT)
        found.append(np.moveaxis(net.spikes.values[..., -n:], 1, 2))
        at += n
    assert np.array_equal(np.concatenate(found, 1), loop_by_hand(spikes, weight, steps))


def test_drawn_delays_are_rounded_to_steps_and_follow_the_seed():
    net = forward(w_mean=1.0, w_std=0.0, delay=Uniform(1.0, 4.0))
    found = current(net)
    delays = net.store["c.delay"].numpy()
    assert delays.min() >= 1.0
    assert delays.max() < 4.0
    np.testing.assert_allclose(
        found, by_hand(SPIKES, np.ones((POST, PRE)), np.rint(delays / DT).astype(int)), atol=1e-12
    )
    again = forward(w_mean=1.0, w_std=0.0, delay=Uniform(1.0, 4.0))
    assert np.array_equal(current(again), found)


def test_drawn_synapses_have_drawn_delays():
    net = forward("random", in_degree=3, weight=Constant(1.0), delay=Uniform(0.0, 4.0))
    found = current(net)
    weight, steps = np.zeros((POST, PRE)), np.zeros((POST, PRE), int)
    indices = tuple(net.store["c.indices"].numpy())
    weight[indices], steps[indices] = 1.0, np.rint(net.store["c.delay"].numpy() / DT).astype(int)
    np.testing.assert_allclose(found, by_hand(SPIKES, weight, steps), atol=1e-12)


def test_delays_are_saved_with_the_weights(tmp_path):
    net = forward(weight=WEIGHT, delay=STEPS * DT)
    expected = current(net)
    net.save("net", tmp_path)
    again = sl.network_load("net", tmp_path)
    again.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT))
    np.testing.assert_allclose(current(again), expected, atol=1e-12)
    assert describe(again) == describe(net)


def test_single_precision_keeps_every_step_of_a_delay():
    steps = np.arange(POST * 40).reshape(POST, 40)
    net = sl.Network()
    net.input = sl.Encoder(40, coding_method="null")
    net.a = sl.NeuronGroup(POST, model="li")
    net.c = sl.Connection(net.input, net.a, link_type="full", weight=np.ones((POST, 40)), delay=steps * 0.1)
    net.monitor = sl.StateMonitor(net.a, "i_syn")
    spikes = np.zeros((1, 250, 40))
    spikes[0, 0] = 1.0
    net.input(spikes)
    net.run(25.0)
    assert np.array_equal(np.moveaxis(net.monitor.values, 1, 2), by_hand(spikes, np.ones((POST, 40)), steps))


class Largest(TorchDispatchMode):
    """The number of entries of the largest tensor that is made."""

    entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for part in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(part, torch.Tensor):
                self.entries = max(self.entries, part.numel())
        return made


@pytest.mark.parametrize("schedule", ["auto", "step"])
def test_many_delays_take_memory_of_the_synapses_not_of_synapses_times_delays(schedule):
    n, late = 100, 150
    net = sl.Network()
    net.input = sl.Encoder(n, coding_method="null")
    net.a = sl.NeuronGroup(n, model="li")
    net.b = sl.NeuronGroup(n, model="li")
    for name, pre, post in (("c", net.input, net.a), ("d", net.a, net.b)):
        delay = np.random.default_rng(0).integers(0, late, size=(n, n)) * DT
        net.add(name, sl.Connection(pre, post, link_type="full", delay=delay))
    net.set_backend(sl.TorchBackend(dt=DT, schedule=schedule))
    net.input((np.random.default_rng(1).random((1, 40, n)) < 0.02).astype(float))
    with Largest() as largest, torch.no_grad():
        net.run(20.0)
    assert n * n <= largest.entries <= 3 * n * n


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"delay": np.zeros((PRE, POST))},
            ShapeError,
            r"delay must have the shape of the weight, \(5, 6\), got \(6, 5\)",
        ),
        ({"delay": -np.ones((POST, PRE))}, ParameterError, r"delays must be times in ms, zero or more, got -1\.0"),
        ({"delay": np.full((POST, PRE), np.nan)}, ParameterError, "delay must hold finite numbers"),
        ({"delay": "1"}, ParameterError, "delay must be a time in ms, zero or more, got '1'"),
        ({"delay": -1.0}, ParameterError, "delay must be a time in ms, zero or more"),
        ({"delay": True}, ParameterError, "delay must be a time in ms"),
        ({"delay": STEPS > 3}, ParameterError, r"delay must be one time in ms for each synapse, got booleans: "),
        ({"delay": torch.ones(POST, PRE, dtype=torch.bool)}, ParameterError, "got booleans"),
        ({"delay": [[1.0] * 5 + [True]] * POST}, ParameterError, "got booleans"),
        ({"link": "random", "delay": np.zeros(5)}, ParameterError, "a time or an initializer: the synapses are yet"),
        (
            {"link": "null", "post": PRE, "delay": np.zeros(6)},
            UnsupportedError,
            "link type 'null' share synapses",
        ),
    ],
)
def test_delays_without_a_meaning_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        forward(**options)


def test_delays_between_two_steps_are_refused():
    net = forward(weight=WEIGHT, delay=np.where(STEPS == 3, 1.2, 0.0))
    net.input(SPIKES)
    nearest = r"delay 1\.2 ms is not a whole number of steps of 0\.5 ms; the nearest are 1 and 1\.5 ms"
    with pytest.raises(ParameterError, match=nearest):
        net.run(5.0)
    with pytest.raises(ParameterError, match=nearest):
        forward(weight=WEIGHT, delay=1.2).run(5.0)
    with pytest.raises(ParameterError, match=nearest):
        forward(weight=WEIGHT, delay=Constant(1.2)).run(5.0)


def later_delays(net, delays, way):
    """Puts other delays in place of those of the connection."""
    if way == "set":
        net.c.set_value("delay", delays)
    else:
        net.state_from_dict({"c.weight": WEIGHT, "c.delay": np.asarray(delays)})


@pytest.mark.parametrize("way", ["set", "state"])
@pytest.mark.parametrize("built", [False, True])
def test_delays_that_come_later_are_held_to_whole_steps_too(built, way):
    net = forward(weight=WEIGHT, delay=STEPS * DT)
    if built:
        net.build()
    others = np.roll(STEPS, 1, 0)
    later_delays(net, others * DT, way)
    np.testing.assert_allclose(current(net), by_hand(SPIKES, WEIGHT, others), atol=1e-12)
    if not built:
        net = forward(weight=WEIGHT, delay=STEPS * DT)
        later_delays(net, np.where(others == 3, 1.2, 0.0), way)
    with pytest.raises((ParameterError, DataError), match=r"delay 1\.2 ms is not .* nearest are 1 and 1\.5 ms"):
        net.build() if not built else later_delays(net, np.where(others == 3, 1.2, 0.0), way)
    if built:
        np.testing.assert_allclose(current(net), by_hand(SPIKES, WEIGHT, others), atol=1e-12)
    for wrong, message in ((np.ones((POST, PRE), bool), "got booleans"), (-np.ones((POST, PRE)), "got -1")):
        with pytest.raises((ParameterError, DataError), match=f"delays must be times in ms, zero or more, {message}"):
            later_delays(net, wrong, way)


def test_given_delays_of_a_loaded_network_are_held_to_whole_steps(tmp_path):
    forward(weight=WEIGHT, delay=STEPS * DT).save("net", tmp_path)
    net = sl.network_load("net", tmp_path)
    net.set_backend(sl.TorchBackend(dt=0.3))
    net.input(SPIKES)
    with pytest.raises(ParameterError, match=r"delay 0\.5 ms is not a whole number of steps of 0\.3 ms"):
        net.run(3.0)


def test_a_network_in_single_precision_is_built_again_with_its_delays():
    delay = np.arange(POST * PRE).reshape(POST, PRE) * 33.7
    net = forward(weight=WEIGHT, delay=delay)
    net.set_backend(sl.TorchBackend(dtype=torch.float32, dt=0.1))
    net.build()
    assert net.store["c.delay"].dtype == torch.float32
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=0.1))
    net.build()
    net.c.set_value("delay", delay.astype(np.float32))
    with pytest.raises(ParameterError, match=r"delay 33\.71 ms .* nearest are 33\.7 and 33\.8 ms"):
        net.c.set_value("delay", np.where(delay == 33.7, 33.71, delay))


def test_an_initializer_that_draws_negative_delays_is_refused():
    net = forward(delay=Normal(0.0, 1.0))
    net.input(SPIKES)
    with pytest.raises(ParameterError, match="its initializer drew -"):
        net.run(5.0)


def test_negative_delays_in_a_file_of_weights_are_refused():
    net = forward(weight=WEIGHT, delay=STEPS * DT)
    current(net)
    arrays = net.store.arrays()
    with pytest.raises(DataError, match="delays must be times"):
        network_from(describe(net)).state_from_dict(arrays | {"c.delay": arrays["c.delay"] - 1.0})


@pytest.mark.parametrize("pieces", [[T], [2, 1, 21]])
@pytest.mark.parametrize("schedule", ["auto", "step"])
def test_between_two_populations_both_schedules_give_the_loop_over_the_spikes(schedule, pieces):
    net = sl.Network()
    net.input = sl.Encoder(PRE, coding_method="null")
    net.a = sl.NeuronGroup(PRE, model="if", v_th=0.7)
    net.b = sl.NeuronGroup(POST, model="li")
    net.c = sl.Connection(net.input, net.a, link_type="one_to_one", weight=np.linspace(0.3, 0.9, PRE))
    net.d = sl.Connection(net.a, net.b, link_type="full", weight=WEIGHT, delay=STEPS * DT)
    net.sent, net.arrived = sl.StateMonitor(net.a, "O"), sl.StateMonitor(net.b, "i_syn")
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT, schedule=schedule))
    sent, arrived, at = [], [], 0
    for n in pieces:
        net.input(SPIKES[:, at : at + n])
        net.run_continue(n * DT)
        sent.append(np.moveaxis(net.sent.values[..., -n:], 1, 2))
        arrived.append(np.moveaxis(net.arrived.values[..., -n:], 1, 2))
        at += n
    emitted = np.concatenate(sent, 1)
    assert 0 < emitted.sum() < emitted.size
    np.testing.assert_allclose(np.concatenate(arrived, 1), by_hand(emitted, WEIGHT, STEPS), atol=1e-12)


def test_both_schedules_give_equal_gradients():
    found = []
    for schedule in ("auto", "step"):
        net = forward(weight=WEIGHT, delay=STEPS * DT, model="lif", schedule=schedule)
        net.b = sl.NeuronGroup(4, model="lif")
        net.d = sl.Connection(net.a, net.b, link_type="full", delay=np.arange(20).reshape(4, 5) % 7 * DT, w_std=1.0)
        net.output = sl.Decoder(dec_target=net.b, coding_method="v_t")
        net.learner = sl.Learner(net, "STBP", alpha=1.0)
        net.input(SPIKES)
        net.run(T * DT)
        net.output.predict.pow(2).sum().backward()
        found.append([net.store[name].grad for name in ("c.weight", "d.weight")])
    assert all(grad.abs().sum() > 0 for grad in found[0])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_delay_that_is_assigned_must_be_a_time_as_well():
    net = sl.Network()
    net.a = sl.NeuronGroup(4, model="lif")
    net.c = sl.Connection(net.a, net.a, link_type="full", delay=np.full((4, 4), 0.3))
    with pytest.raises(ParameterError, match=r"delays must be times in ms, zero or more, got -0\.3"):
        net.c.set_value("delay", np.full((4, 4), -0.3))


def test_max_delay_draws_one_delay_for_each_synapse_as_in_spaic():
    net = forward(w_mean=1.0, max_delay=3.0)
    delays = np.asarray(net.c.get_value("delay"))
    assert 1.0 <= delays.min() < 1.5
    assert 2.5 < delays.max() < 3.0
    assert not net.c.parameter_specs()[1].trainable
    delays = np.asarray(forward(maxDelay=4.0, min_delay=3.5).c.get_value("delay"))
    assert delays.min() >= 3.5
    assert forward(max_delay=0).c.delay == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_delay": 2.0, "delay": 1.0}, r"given by delay= or by max_delay=, got both"),
        ({"max_delay": 2.0, "delay": STEPS * DT}, r"given by delay= or by max_delay=, got both"),
        ({"max_delay": 1.0, "min_delay": 2.0}, r"0 <= min_delay <= max_delay, got 1\.0 and 2\.0"),
        ({"min_delay": 2.0}, r"got None and 2\.0"),
        ({"max_delay": -1.0}, r"got -1\.0 and None"),
    ],
)
def test_ranges_of_delays_without_a_meaning_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        forward(**options)


@pytest.mark.parametrize("delay", [1e9, np.full((2, 3), 1e7)])
def test_a_delay_beyond_what_can_be_under_way_is_refused(delay):
    net = sl.Network()
    net.a, net.b = sl.Encoder(3, coding_method="null"), sl.NeuronGroup(2, model="lif")
    net.c = sl.Connection(net.a, net.b, link_type="full", delay=delay)
    with pytest.raises(ParameterError, match="a delay is at most 100000 steps"):
        net.build()

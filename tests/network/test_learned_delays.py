"""Delays that learn: what may be asked for, what training and evaluation do with them, and that nothing is lost."""

import math

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, UnsupportedError
from spikeloom.network import Constant, Normal, Uniform, describe, narrow_delays

DT, T, B, PRE, POST = 0.5, 30, 3, 6, 5
MAX = 4.0
RNG = np.random.default_rng(4)
WEIGHT = RNG.normal(size=(POST, PRE))
DELAY = RNG.uniform(0.0, MAX, size=(POST, PRE))
SPIKES = (np.random.default_rng(1).random((B, T, PRE)) < 0.25).astype(float)


def one_connection(delay=None, link="full", schedule="auto", dt=DT, post=POST, **options):
    """A population that shows its current, behind one connection with delays that learn."""
    if link == "full":
        options.setdefault("weight", WEIGHT)
    net = sl.Network()
    net.input = sl.Encoder(PRE, coding_method="null")
    net.a = sl.NeuronGroup(post, model="li")
    net.c = sl.Connection(
        net.input, net.a, link_type=link, delay=delay or sl.LearnedDelays(max=MAX, init=DELAY), **options
    )
    net.monitor = sl.StateMonitor(net.a, "i_syn")
    net.output = sl.Decoder(dec_target=net.a, coding_method="v_t")
    net.set_random_seed(2)
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=dt, schedule=schedule))
    return net


def current(net, spikes=SPIKES):
    """The current (B, T, POST) of a run."""
    net.input(spikes)
    net.run(spikes.shape[1] * net.backend.dt)
    return np.moveaxis(net.monitor.values, 1, 2)


def as_bells(spikes, weight, delay, sigma):
    """Each spike of each source spread over the lags of each of its synapses, one by one; all times in steps."""
    found = np.zeros((*spikes.shape[:2], len(weight)))
    lags = np.arange(round(MAX / DT) + 1)
    for post, pre in np.ndindex(weight.shape):
        bell = np.exp(-0.5 * ((lags - delay[post, pre]) / (abs(sigma) + 0.27)) ** 2)
        kernel = weight[post, pre] * bell / (bell.sum() + 1e-7)
        for b, t in zip(*np.nonzero(spikes[:, :, pre]), strict=True):
            for k in lags[: spikes.shape[1] - t]:
                found[b, t + k, post] += kernel[k]
    return found


def at_steps(spikes, weight, steps):
    """Each spike of each source to each of its targets after whole steps, one by one."""
    found = np.zeros((*spikes.shape[:2], len(weight)))
    for b, t, pre in zip(*np.nonzero(spikes), strict=True):
        for post in range(len(weight)):
            if t + steps[post, pre] < spikes.shape[1]:
                found[b, t + steps[post, pre], post] += weight[post, pre]
    return found


@pytest.mark.parametrize("schedule", ["auto", "step"])
@pytest.mark.parametrize("sigma", [2.0, 0.115])
def test_in_training_a_spike_arrives_as_a_bell_around_its_delay(sigma, schedule):
    net = one_connection(sl.LearnedDelays(max=MAX, init=DELAY, sigma=sigma), schedule=schedule)
    np.testing.assert_allclose(current(net), as_bells(SPIKES, WEIGHT, DELAY / DT, sigma / DT), atol=1e-12)


@pytest.mark.parametrize("schedule", ["auto", "step"])
def test_in_evaluation_a_spike_arrives_once_at_the_nearest_step(schedule):
    net = one_connection(schedule=schedule).eval()
    np.testing.assert_allclose(current(net), at_steps(SPIKES, WEIGHT, np.rint(DELAY / DT).astype(int)), atol=1e-12)


@pytest.mark.parametrize("schedule", ["auto", "step"])
def test_a_run_in_training_cut_in_pieces_equals_one_run(schedule):
    net = one_connection(schedule=schedule)
    found = []
    for begin, end in ((0, 1), (1, 4), (4, 17), (17, T)):
        net.input(SPIKES[:, begin:end])
        net.run_continue((end - begin) * DT)
        found.append(np.moveaxis(net.monitor.values[..., -(end - begin) :], 1, 2))
    np.testing.assert_allclose(np.concatenate(found, 1), current(one_connection()), atol=1e-12)


def test_a_bias_has_no_delay():
    bias = np.arange(1.0, POST + 1)
    np.testing.assert_allclose(current(one_connection(bias=bias)), current(one_connection()) + bias, atol=1e-12)


def test_a_delay_starts_uniform_over_the_range_unless_said_otherwise():
    drawn = one_connection(sl.LearnedDelays(max=MAX)).c.get_value("delay")
    assert drawn.shape == (POST, PRE)
    assert 0 <= drawn.min() < 1 < 3 < drawn.max() <= MAX
    constant = one_connection(sl.LearnedDelays(max=MAX, init=Constant(1.25))).c.get_value("delay")
    assert np.all(constant == 1.25)


def test_a_delay_learns_the_lag_between_a_spike_and_its_answer():
    def learned(**options):
        delays = sl.LearnedDelays(max=10.0, init=np.full(PRE, 2.0), sigma=1.0)
        net = one_connection(delays, "one_to_one", dt=1.0, post=PRE, w_mean=1.0)
        net.learner = sl.Learner(net, "sbp")
        net.learner.set_optimizer("Adam", 1e-3, **options)
        wanted = np.array([1.0, 3.0, 4.0, 6.0, 7.0, 8.0])
        one = np.zeros((1, 20, PRE))
        one[0, 2] = 1.0
        times = torch.arange(20.0, dtype=torch.float64)[:, None] - 2.0
        for _ in range(250):
            net.input(one)
            net.run(20.0)
            potential = net.output.predict.squeeze()
            given = potential[1:] - potential[:-1] * math.exp(-1 / 20)
            mean_time = (given * times[1:]).sum(0) / given.sum(0)
            net.learner.optim_zero_grad()
            (mean_time - torch.from_numpy(wanted)).square().sum().backward()
            net.learner.optim_step()
        return np.abs(net.c.get_value("delay").detach().numpy() - wanted).max()

    assert learned() < 0.5
    assert learned(delay_lr=1e-9) > 4


def test_delays_are_kept_within_their_range():
    net = one_connection()
    net.build()
    delay = net.c.get_value("delay")
    with torch.no_grad():
        delay[0, 0], delay[1, 1] = -3.0, 9.0
    net.constrain()
    assert float(delay[0, 0].detach()) == 0.0
    assert float(delay[1, 1].detach()) == MAX


@pytest.mark.parametrize("schedule", ["auto", "step"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("value", [-0.6, 4.6, np.nan])
def test_delays_that_an_optimizer_took_out_of_their_range_are_said_in_the_next_run(value, training, schedule):
    net = one_connection(schedule=schedule)
    net.build()
    net.train(training)
    with torch.no_grad():
        net.c.get_value("delay")[0, 0] = value
    net.input(SPIKES)
    with pytest.raises(ParameterError, match=r"c\.delay must (be times from 0 to 4 ms.*constrain|hold finite numbers)"):
        net.run(T * DT)


def test_a_width_beyond_single_precision_is_refused():
    net = one_connection(sl.LearnedDelays(max=MAX, sigma=1e39))
    net.set_backend(sl.TorchBackend(dt=DT, dtype=torch.float32))
    with pytest.raises(ParameterError, match=r"c\.sigma is 1e\+39, the network's torch\.float32 ends at"):
        net.build()


@pytest.mark.parametrize("longest", [1e5, 1e30, 1e300])
def test_a_range_that_no_memory_holds_is_refused(longest):
    with pytest.raises(ParameterError, match=r"'c': LearnedDelays\.max must be at most 100000 steps of 0\.5 ms"):
        one_connection(sl.LearnedDelays(max=longest)).build()


@pytest.mark.parametrize("value", [-0.5, 4.5, np.nan])
def test_delays_that_come_later_are_held_to_the_range_too(value):
    net = one_connection()
    for built in (False, True):
        if built:
            net.build()
        with pytest.raises(ParameterError, match=r"delay must (be times from 0 to 4 ms|hold finite numbers)"):
            net.c.set_value("delay", np.full((POST, PRE), value))


def test_widths_narrow_geometrically_over_the_first_quarter_and_never_grow():
    net = one_connection()
    sigma = net.c.get_value("sigma")
    assert float(sigma) == 2.0  # half of the range
    narrow_delays(net, 0.125)
    end = 0.23 * DT
    assert float(net.c.get_value("sigma")) == pytest.approx(math.sqrt(2.0 * end))
    for done in (0.25, 0.0, 1.0):
        narrow_delays(net, done)
        assert float(net.c.get_value("sigma")) == pytest.approx(end)
    at_once = one_connection(sl.LearnedDelays(max=MAX, over=0.0))
    narrow_delays(at_once, 0.0)
    assert float(at_once.c.get_value("sigma")) == pytest.approx(end)
    narrow = one_connection(sl.LearnedDelays(max=MAX, sigma=0.0))
    narrow_delays(narrow, 1.0)
    assert float(narrow.c.get_value("sigma")) == 0.0
    with pytest.raises(ParameterError, match=r"done must be a number from 0 to 1, got 1\.5"):
        narrow_delays(net, 1.5)


def test_delays_widths_and_description_are_saved(tmp_path):
    net = one_connection(sl.LearnedDelays(max=MAX, init=Uniform(0.5, 2.0), sigma=1.0, over=0.5))
    expected = current(net)
    narrow_delays(net, 0.25)
    net.save("net", tmp_path)
    again = sl.network_load("net", tmp_path)
    assert describe(again) == describe(net)
    assert again.c.delay.over == 0.5
    again.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT))
    assert np.array_equal(np.asarray(again.c.get_value("delay")), net.c.get_value("delay").detach().numpy())
    assert float(again.c.get_value("sigma")) == float(net.c.get_value("sigma")) < 1.0
    again.c.set_value("sigma", 1.0)
    np.testing.assert_allclose(current(again), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("c.delay", np.full((POST, PRE), 5.0), "must be times from 0 to 4 ms, got 5 to 5"),
        ("c.sigma", np.array(-1.0), "sigma must be a time in ms, zero or more"),
        ("c.sigma", np.array(np.nan), "finite numbers"),
    ],
)
def test_delays_and_widths_without_a_meaning_in_a_file_are_refused(tmp_path, name, value, message):
    net = one_connection()
    net.save("net", tmp_path)
    (file,) = tmp_path.rglob("*.safetensors")
    save_file(load_file(file) | {name: value}, file)
    with pytest.raises(DataError, match=message):
        sl.network_load("net", tmp_path)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("max", "4", "delay.learned.max must be a number"),
        ("max", -1.0, "LearnedDelays.max must be a positive time in ms, got -1"),
        ("init", [1.0], "delay.learned.init must be an initializer or null"),
        ("init", {"initializer": "no such"}, "no such"),
        ("over", 2.0, "LearnedDelays.over must be a number from 0 to 1"),
        ("extra", 1.0, "unknown entry 'extra'"),
    ],
)
def test_a_description_without_a_meaning_is_refused(entry, value, message):
    described = describe(one_connection(sl.LearnedDelays(max=MAX)))

    def put(part):
        if isinstance(part, dict):
            for key, inner in part.items():
                if key == "learned":
                    inner[entry] = value
                else:
                    put(inner)
        elif isinstance(part, list):
            for inner in part:
                put(inner)

    put(described)
    with pytest.raises((DataError, ParameterError), match=message):
        sl.network_from(described)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"max": 0.0}, ParameterError, r"LearnedDelays\.max must be a positive time in ms, got 0\.0"),
        ({"max": math.inf}, ParameterError, "must be a positive time"),
        ({"max": "25"}, ParameterError, "must be a positive time in ms, got '25'"),
        ({"sigma": -1.0}, ParameterError, "sigma must be a time in ms, zero or more, or None"),
        ({"over": 1.5}, ParameterError, r"over must be a number from 0 to 1, got 1\.5"),
        ({"init": np.full((POST, PRE), 4.5)}, ParameterError, r"init must be times from 0 to 4 ms, got 4\.5 to 4\.5"),
        ({"init": -DELAY}, ParameterError, "init must be times from 0 to 4 ms"),
        ({"init": DELAY * np.nan}, ParameterError, "finite numbers"),
        ({"init": DELAY.T}, ShapeError, r"must have the shape of the weight, \(5, 6\), got \(6, 5\)"),
        ({"init": DELAY > 1}, ParameterError, "got booleans"),
        ({"init": "uniform"}, ParameterError, "an initializer, or one time in ms for each synapse"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        one_connection(sl.LearnedDelays(**{"max": MAX} | settings))


def test_an_initializer_that_leaves_the_range_is_refused():
    net = one_connection(sl.LearnedDelays(max=MAX, init=Normal(2.0, 5.0)))
    with pytest.raises(ParameterError, match=r"c\.delay, drawn by Normal.* must be times from 0 to 4 ms"):
        net.build()


def test_a_range_that_is_no_whole_number_of_steps_is_refused():
    net = one_connection(sl.LearnedDelays(max=1.3, init=np.zeros((POST, PRE))))
    with pytest.raises(ParameterError, match=r"LearnedDelays\.max: delay 1\.3 ms is not .* nearest are 1 and 1\.5 ms"):
        net.build()


@pytest.mark.parametrize("kind", ["conv", "pool", "null"])
def test_synapses_that_neurons_share_have_no_delays_of_their_own(kind):
    options = {"conv": {"kernel_size": 3, "out_channels": 1}, "pool": {"kernel_size": 2}, "null": {}}[kind]
    net = sl.Network()
    net.input = sl.Encoder(shape=(1, 8, 8), coding_method="null")
    net.a = sl.NeuronGroup(shape={"conv": (1, 6, 6), "pool": (1, 4, 4), "null": (1, 8, 8)}[kind], model="li")
    with pytest.raises(UnsupportedError, match=f"link type '{kind}' share synapses"):
        sl.Connection(net.input, net.a, link_type=kind, delay=sl.LearnedDelays(max=MAX), **options)


def test_drawn_synapses_take_drawn_delays_only():
    net = one_connection(sl.LearnedDelays(max=MAX), "random", in_degree=3)
    assert net.c.get_value("delay").shape == (15,)
    with pytest.raises(ParameterError, match="the synapses are yet to be drawn"):
        one_connection(link="random", in_degree=3)


def test_a_loop_with_delays_that_learn_is_refused_with_the_reason():
    net = one_connection()
    net.back = sl.Connection(net.a, net.a, link_type="full", delay=sl.LearnedDelays(max=MAX))
    with pytest.raises(
        UnsupportedError, match=r"'back' has delays that learn and lies in a loop.*over the whole window"
    ):
        net.build()


def test_credit_that_stops_between_steps_is_refused():
    net = one_connection()
    net.learner = sl.Learner(net, "sbp", credit="sltt")
    net.input(SPIKES)
    with pytest.raises(UnsupportedError, match="only credit 'bptt' passes c, delays that learn"):
        net.run(T * DT)


def test_frozen_connections_have_frozen_delays():
    net = one_connection(is_parameter=False)
    net.build()
    assert not [name for name, _ in net.named_parameters() if name.startswith("c.")]
    assert {"c.weight", "c.delay", "c.sigma"} <= set(net.state_dict())


def test_the_plan_and_the_printed_network_name_them():
    net = one_connection()
    assert "torch path (c: delays that learn, up to 4 ms)" in str(net.plan)
    assert "delays that learn, up to 4 ms" in str(net)

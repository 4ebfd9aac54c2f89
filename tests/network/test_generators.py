"""Generators: what they make, by closed forms and statistics, for how many samples, and into what it goes."""

import copy

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, UnknownNameError

RANDOM = np.random.default_rng


def made(generator, n_steps=50, dt=0.1, batch=1, seed=0):
    """What a generator makes, as an array (T or 1, batch, *shape)."""
    signal = generator.generate(n_steps, dt, RANDOM(seed), batch)
    return signal.raster(np.float32) if isinstance(signal, sl.Spikes) else np.asarray(signal)


def driven(generator, group=None, path="auto", dt=0.1):
    """A network whose only input is a generator that writes into a group of integrators."""
    net = sl.Network()
    net.set_backend(sl.TorchBackend(dt=dt, path=path))
    net.set_random_seed(1)
    net.layer = group or sl.NeuronGroup(3, "li", tau_m=1e9)
    net.source = generator(net.layer)
    net.v = sl.StateMonitor(net.layer, "v")
    net.i = sl.StateMonitor(net.layer, "i_syn")
    return net


@pytest.mark.parametrize(("dt", "unit"), [(0.1, None), (0.5, None), (0.1, 0.1), (0.5, 0.02)])
def test_poisson_noise_fires_with_its_rate_whatever_the_time_step(dt, unit):
    """4 sigma in each direction: the chance of a false alarm is below 1e-4; the seed is fixed."""
    rates, options = np.array([0.0, 0.2, 1.5]), {} if unit is None else {"unit_conversion": unit}
    generator = sl.Generator(3, "poisson_generator", source=rates, **options)
    n_steps, batch = 400, 50
    spikes = made(generator, n_steps, dt, batch, seed=4)
    p, n = rates * (dt if unit is None else unit), n_steps * batch
    assert np.all(np.abs(spikes.sum((0, 1)) - n * p) <= 4 * np.sqrt(n * p * (1 - p)))


def test_samples_of_noise_are_drawn_apart_and_its_spikes_have_the_given_weight():
    generator = sl.Generator(20, "poisson_generator2", rate=3.0, weight=2.5)
    spikes = made(generator, batch=2)
    assert not np.array_equal(spikes[:, 0], spikes[:, 1])
    assert set(np.unique(spikes)) == {0.0, 2.5}


@pytest.mark.parametrize(("rate", "dt", "options"), [(9.0, 0.1, {}), (20.0, 0.1, {}), (5.0, 1.0, {}), (0.3, 0.1, {}),
                                                     (1.0, 0.5, {"unit_conversion": 3.0})])  # fmt: skip
def test_several_spikes_in_a_step_are_those_of_a_poisson_process(rate, dt, options):
    """Mean and variance of the counts of a step are the rate, and those of neighbouring steps are independent."""
    generator = sl.Generator(200, "poisson_generator", source=rate, several=True, **options)
    n_steps, batch, mean = 100, 5, rate * options.get("unit_conversion", dt)
    counts = made(generator, n_steps, dt, batch, seed=1)
    n = counts.size
    assert np.array_equal(counts, np.round(counts))
    assert abs(counts.mean() - mean) <= 4 * np.sqrt(mean / n)
    assert abs(counts.var() - mean) <= 4 * np.sqrt((mean + 2 * mean**2) / n)
    assert abs(np.mean((counts[1:] - mean) * (counts[:-1] - mean))) <= 4 * mean / np.sqrt(n)


def test_several_spikes_keep_to_their_times_and_sizes():
    options = {"source": [0.0, 50.0], "several": True, "weight": 0.5, "start_time": 1.0, "end_time": 2.0}
    counts = made(sl.Generator(2, "poisson_generator", **options))
    assert np.flatnonzero(counts.any((1, 2))).tolist() == list(range(10, 20))
    assert not counts[..., 0].any()
    assert set(np.unique(counts % 1)) == {0.0, 0.5}
    assert not made(sl.Generator(2, "poisson_generator", **options | {"start_time": 50.0, "end_time": None})).any()
    for source, message in ((-1.0, "a rate of at least 0"), (1e12, "run in shorter parts")):
        with pytest.raises((DataError, ParameterError), match=message):
            made(sl.Generator(2, "poisson_generator", **options | {"source": source}))


def test_a_rate_above_a_spike_a_step_is_told_once(caplog):
    for options, told in (({"source": 10.0}, 0), ({"source": 10.5}, 1), ({"source": 90.0, "several": True}, 0)):
        caplog.clear()
        generator = sl.Generator(2, "poisson_generator", **options)
        for _ in range(2):
            made(generator)
        assert len([r for r in caplog.records if "several=True counts them" in r.getMessage()]) == told


def test_noise_begins_and_ends_at_its_times():
    spikes = made(sl.Generator(30, "poisson_generator", source=10.0, start_time=1.0, end_time=3.05))
    assert np.flatnonzero(spikes.any((1, 2))).tolist() == list(range(10, 31))
    assert spikes[10:31].all()  # a rate of a spike a step
    assert not made(sl.Generator(3, "poisson_generator", source=10.0, start_time=5.0)).any()


def test_a_constant_current_is_what_was_given():
    values = [0.5, -1.0, 2.0]
    assert made(sl.Generator(3, "cc_generator", source=values), batch=2).tolist() == [[values, values]]
    pulse = made(sl.Generator(2, "cc", source=1.5, start_time=0.2, end_time=0.4), n_steps=6)
    assert pulse[:, 0, 0].tolist() == [0, 0, 1.5, 1.5, 0, 0]


def test_a_sine_has_amplitude_and_period():
    generator = sl.Generator(2, "sin", source=[[2.0, 3.0], [4.0, 1.0]])
    t = np.arange(50) * 0.1
    expected = np.stack([2 * np.sin(2 * np.pi * t / 4), 3 * np.sin(2 * np.pi * t)], axis=1)
    np.testing.assert_allclose(made(generator)[:, 0], expected, atol=1e-12)
    np.testing.assert_allclose(made(sl.Generator(2, "sin_generator", source=[2.0, 4.0]))[:, 0, 1], expected[:, 0])


def test_a_ramp_has_slope_base_and_an_end():
    ramp = made(sl.Generator(1, "ramp", source=3.0, amp=0.5, base=2.0, end_time=4.0))[:, 0, 0]
    t = np.arange(50) * 0.1
    np.testing.assert_allclose(ramp, np.where(t < 4.0 - 1e-9, 0.5 * (3 * t + 2), 0.0), atol=1e-12)
    assert made(sl.Generator(1, "ramp_generator", source=1.0))[10, 0, 0] == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("source", "batch_size", "expected"),
    [
        (2.0, None, np.full((2, 3), 2.0)),
        ([2.0], None, np.full((2, 3), 2.0)),
        (np.arange(6), None, np.arange(6).reshape(2, 3)),
        (np.arange(6).reshape(2, 3), None, np.arange(6).reshape(2, 3)),
        (np.arange(24).reshape(4, 6), 4, np.arange(24).reshape(4, 2, 3)),
        (torch.arange(12.0).reshape(2, 2, 3), 2, np.arange(12).reshape(2, 2, 3)),
    ],
)
def test_a_source_may_be_a_number_or_have_the_shape_of_the_neurons_or_of_samples(source, batch_size, expected):
    generator = sl.Generator(shape=(2, 3), coding_method="cc_generator")
    generator(source)
    assert generator.batch_size == batch_size
    signal = made(generator, batch=batch_size or 1)
    np.testing.assert_array_equal(signal.reshape(-1, *expected.shape[-2:]), expected.reshape(-1, 2, 3))


@pytest.mark.parametrize("path", ["auto", "torch"])
def test_a_generator_writes_into_its_target_without_a_weight(path):
    net = driven(lambda layer: sl.Generator(coding_method="cc_generator", source=[1.0, 2.0, -3.0], dec_target=layer))
    net.set_backend(sl.TorchBackend(dt=1.0, path=path))
    net.run(4.0)
    np.testing.assert_array_equal(net.i.values, np.outer([1.0, 2.0, -3.0], np.ones(4))[None])
    np.testing.assert_allclose(net.v.values, np.outer([1.0, 2.0, -3.0], [1, 2, 3, 4])[None], rtol=1e-6)
    assert not list(net.named_parameters())
    assert "source.wire (wire)" in str(net.plan)


def test_the_current_of_a_target_adds_to_what_connections_bring():
    net = driven(lambda layer: sl.Generator(coding_method="cc_generator", source=1.0, dec_target=layer), dt=1.0)
    net.x = sl.Encoder(3, "constant_current")
    net.c = sl.Connection(net.x, net.layer, link_type="one_to_one", weight=np.full(3, 2.0))
    net.x([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    net.run(2.0)
    np.testing.assert_array_equal(net.i.values[..., 0], [[3, 5, 7], [1, 1, 3]])


def test_a_generator_serves_as_many_samples_as_the_other_inputs_have_and_one_without_any():
    net = driven(lambda layer: sl.Generator(coding_method="poisson_generator", source=2.0, dec_target=layer))
    net.run(2.0)
    assert net.v.values.shape == (1, 3, 20)
    net.x = sl.Encoder(3, "constant_current")
    net.c = sl.Connection(net.x, net.layer, link_type="full")
    net.x(np.ones((5, 3)))
    net.run(2.0)
    assert net.v.values.shape == (5, 3, 20)
    net.source(np.ones((4, 3)))
    with pytest.raises(ShapeError, match=r"batches of different sizes \(x 5, source 4\)"):
        net.run(2.0)


def test_a_connection_may_start_from_a_generator_and_the_seed_decides_its_noise():
    net = sl.Network()
    net.noise = sl.Generator(50, "poisson_generator", source=1.0)
    net.layer = sl.NeuronGroup(2, "li", tau_m=5.0)
    net.c = sl.Connection(net.noise, net.layer, link_type="full", w_mean=0.1)
    net.seen = sl.SpikeMonitor(net.noise)
    counts = []
    for seed in (3, 3, 4):
        net.set_random_seed(seed)
        net.run(10.0)
        counts.append(net.seen.spk_count)
    np.testing.assert_array_equal(counts[0], counts[1])
    assert not np.array_equal(counts[0], counts[2])


def test_a_group_with_ports_takes_a_generator_at_the_named_one():
    group = sl.NeuronGroup(2, "conductance_lif")
    port = type(group.neuron).ports[1]
    net = driven(
        lambda layer: sl.Generator(coding_method="cc", source=1.0, dec_target=layer, coding_var_name=port), group
    )
    net.run(1.0)
    assert net.source.wires[0].port == port


def test_a_copy_of_a_network_drives_its_own_group():
    net = driven(lambda layer: sl.Generator(coding_method="cc_generator", source=1.0, dec_target=layer))
    twin = copy.deepcopy(net)
    assert twin.source.dec_target is twin.layer is not net.layer
    twin.run(1.0)
    net.run(1.0)
    np.testing.assert_array_equal(twin.v.values, net.v.values)


def test_a_generator_follows_its_target_when_that_is_replaced_and_rests_while_it_is_hidden():
    net = driven(lambda layer: sl.Generator(coding_method="cc_generator", source=1.0, dec_target=layer), dt=1.0)
    net.other = sl.NeuronGroup(1, "lif")
    net.replace_assembly(net.layer, sl.NeuronGroup(3, "li", tau_m=1e9))
    assert net.source.dec_target is net.layer
    net.run(2.0)
    np.testing.assert_allclose(net.v.values[0, :, -1], 2.0, rtol=1e-6)
    net.layer.assembly_hide()
    assert not net.connections
    net.run(2.0)


def test_the_fractions_of_a_spike_monitor_count_spikes_whatever_their_weight():
    net = sl.Network()
    net.noise = sl.Generator(2, "poisson_generator", source=[0.0, 100.0], weight=2.5)
    net.layer = sl.NeuronGroup(1, "lif")
    net.c, net.seen = sl.Connection(net.noise, net.layer, link_type="full"), sl.SpikeMonitor(net.noise)
    net.run(0.5)
    assert net.seen.time_spk_rate.tolist() == [[0] * 5, [1] * 5]
    assert net.seen.time_pop_rate.tolist() == [[0.5] * 5]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num": 3}, ParameterError, "give coding_method=, one of: poisson_generator, cc_generator, sin_generator"),
        ({"num": 3, "coding_method": "poison_generator"}, UnknownNameError, "did you mean 'poisson_generator'"),
        ({"num": 3, "coding_method": "cc", "amp": 2.0}, ParameterError, "unknown parameter 'amp'"),
        ({"num": 3, "coding_method": "cc", "dec_target": 3}, ParameterError, "dec_target must be a neuron group, got"),
        ({"coding_method": "cc"}, ParameterError, "give num="),
        (
            {"num": 3, "coding_method": "cc", "source": [1, 2]},
            ShapeError,
            r"source must be a number, or have shape \(3",
        ),
        ({"num": 3, "coding_method": "cc", "source": np.nan}, ParameterError, "must hold finite numbers"),
        ({"num": 3, "coding_method": "cc", "source": "1"}, ParameterError, "source must be an array of numbers"),
        ({"num": 3, "coding_method": "sin", "source": 2.0}, ShapeError, r"source must be \[amplitude, period\]"),
        ({"num": 3, "coding_method": "cc", "coding_var_name": "V"}, ParameterError, "gives out 'spikes', got 'V'"),
        ({"num": 3, "coding_method": "ramp", "amp": "1"}, ParameterError, "amp must be a finite number, got '1'"),
    ],
)
def test_a_wrong_generator_is_refused_with_the_way_out(arguments, error, message):
    with pytest.raises(error, match=message):
        sl.Generator(**arguments)


def test_a_generator_that_does_not_fit_its_target_is_refused():
    group = sl.NeuronGroup(3, "lif")
    with pytest.raises(ShapeError, match="a wire joins populations of one size"):
        sl.Generator(4, "cc", dec_target=group)
    with pytest.raises(ParameterError, match="port must be one of i_syn, got 'V'"):
        sl.Generator(3, "cc", dec_target=group, coding_var_name="V")
    net = driven(lambda layer: sl.Generator(coding_method="cc", source=1.0, dec_target=layer))
    other = sl.Network()
    other.stray, other.group = sl.Generator(coding_method="cc", dec_target=net.layer), sl.NeuronGroup(1, "lif")
    with pytest.raises(StateError, match=r"its post 'layer' is not in the network"):
        other.run(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sin", [1.0, 0.0]), "generator 'g': sin_generator: the period must be a positive time"),
        (("poisson_generator", -1.0), r"generator 'g': poisson\.x"),
    ],
)
def test_a_source_without_meaning_is_refused_with_the_name(arguments, message):
    generator = sl.Generator(1, arguments[0], source=arguments[1], name="g")
    with pytest.raises(ValueError, match=message):
        made(generator)
    with pytest.raises(StateError, match="generator 'g' has no source yet; give source= its"):
        made(sl.Generator(1, arguments[0], name="g"))
    with pytest.raises(ParameterError, match="0 <= start_time < end_time"):
        made(sl.Generator(1, "cc", source=1.0, start_time=2.0, end_time=1.0))


@pytest.mark.parametrize(
    ("method", "source", "options"),
    [
        ("sin_generator", [1.0, 2.0], {}),
        ("ramp_generator", 3.0, {"amp": 1.0}),
        ("cc_generator", 2.0, {"start_time": 0.2, "end_time": 0.7}),
        ("poisson_generator", 1e4, {"start_time": 0.2, "end_time": 0.7}),
    ],
)
def test_a_run_that_is_continued_goes_on_where_the_generator_was(method, source, options):
    found = []
    for parts in ((1.0,), (0.4, 0.6), (0.1, 0.2, 0.7)):
        net = sl.Network()
        net.set_random_seed(0)
        net.g = sl.Generator(coding_method=method, source=source, num=1, **options)
        net.a = sl.NeuronGroup(1, model="null")
        net.c = sl.Connection(net.g, net.a, link_type="full", weight=[[1.0]])
        net.seen = sl.StateMonitor(net.a, "i_syn")
        for k, time in enumerate(parts):
            (net.run_continue if k else net.run)(time)
        found.append(net.seen.values.ravel())
    assert found[0].any()
    for cut in found[1:]:
        np.testing.assert_allclose(cut, found[0], rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (0, 1, 3)])
def test_a_source_without_samples_is_refused(shape):
    with pytest.raises(ShapeError, match=r"source must be a number, or have shape .* got \(0, "):
        sl.Generator(shape=(1, 3), coding_method="cc", source=np.zeros(shape))


def test_another_source_goes_on_at_the_time_of_the_network():
    net = sl.Network()
    net.g = sl.Generator(1, "ramp_generator", source=1.0, amp=1.0, end_time=5.0)
    net.a = sl.NeuronGroup(1, model="null")
    net.c = sl.Connection(net.g, net.a, link_type="full", weight=[[1.0]])
    net.seen = sl.StateMonitor(net.a, "i_syn")
    net.set_backend_dt(1.0)
    net.run(3.0)
    net.g(10.0)
    net.run_continue(3.0)
    assert net.seen.values.ravel().tolist() == [0, 1, 2, 30, 40, 0]

"""A refractory period on any neuron that spikes, against hand counts."""

import copy
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stepping import fired, run

import spikeloom as sl
from spikeloom.backends import TorchOps
from spikeloom.backends.ops import fire
from spikeloom.errors import DataError, ParameterError
from spikeloom.neurons import (
    ALIF,
    CLIF,
    IF,
    LI,
    LIF,
    LIFM,
    NEURONS,
    ConductanceLIF,
    Emission,
    Graded,
    Smooth,
    Step,
    Subtract,
    advance,
    describe,
    neuron_from,
    refractory_model,
    with_refractory,
    without_refractory,
)
from spikeloom.ops import NumpyOps
from spikeloom.units import steps

SPIKING = [
    name
    for name, model in ((name, NEURONS[name]) for name in NEURONS)
    if isinstance(model().emission.forward, Step) and not model.coupled and len(model.ports) == 1
]


def test_the_potential_is_held_at_reset_and_the_input_is_ignored():
    neuron = with_refractory(IF(v_reset=-0.5), 2.0)
    outputs, states = run(neuron, np.full(10, 0.6), 1.0)
    # 0.6 1.2! then 2 ms of rest, then -0.5 + 0.6 k
    assert outputs.tolist() == [0, 1, 0, 0, 0, 0, 1, 0, 0, 0]
    np.testing.assert_allclose(states["v"], [0.6, -0.5, -0.5, -0.5, 0.1, 0.7, -0.5, -0.5, -0.5, 0.1], atol=1e-12)
    assert states["refractory"].tolist() == [0, 2, 1, 0, 0, 0, 2, 1, 0, 0]


@given(st.integers(0, 40), st.sampled_from([0.1, 0.125, 0.2, 0.25, 1.0, 0.3]))
def test_a_driven_neuron_fires_once_a_period(k, dt):
    """At every step were it not for the period: so once in k + 1 steps, for a period of k dt however it is rounded."""
    neuron = with_refractory(LIF(), k * dt)
    assert fired(neuron, np.full(130, 2.0), dt) == list(range(0, 130, k + 1))


@given(st.floats(0, 20), st.sampled_from([0.1, 0.3, 1.0, 0.05]))
def test_the_period_is_as_many_whole_steps_as_the_package_counts_in_a_time(t_ref, dt):
    n = steps(t_ref, dt)
    if abs(t_ref / dt - round(t_ref / dt)) * 1e6 > 0.9 or n == round(t_ref / dt):
        assert fired(with_refractory(LIF(), t_ref), np.full(n + 2, 2.0), dt) == [0, n + 1]


@pytest.mark.parametrize("name", SPIKING)
def test_every_spiking_neuron_of_the_catalogue_keeps_its_period(name):
    neuron = NEURONS[name]()
    # a period of its own (diehl_and_cook rests for 5 steps) only makes the intervals longer
    x = np.abs(np.random.default_rng(0).normal(size=(400, 20))) * 10.0 ** np.arange(-1, 4).repeat(4)
    outputs, states = run(with_refractory(neuron, 3.0), x, 0.5)
    held = states[neuron.emission.variable]
    for k in range(20):
        spikes = np.flatnonzero(outputs[:, k])
        assert np.all(np.diff(spikes) > 6)
        for t in spikes[spikes < 394]:
            assert (held[t : t + 7, k] == held[t, k]).all()
    assert outputs.any()


def test_a_neuron_of_several_ports_rests_as_well():
    neuron = with_refractory(ConductanceLIF(), 2.0)
    state = neuron.State(*(np.full(1, value) for value in neuron.initial()))
    spikes = []
    for _ in range(9):
        output, state = advance(neuron, state, (np.full(1, 50.0), np.zeros(1)), 1.0, NumpyOps())
        spikes.append(int(output[0]))
    assert spikes == [1, 0, 0] * 3


def test_without_a_period_it_is_the_neuron_itself():
    x = np.random.default_rng(1).random((200, 5))
    for neuron in (LIF(), CLIF(), ALIF(), LIF(emission=Emission(reset=Subtract()))):
        plain, period = run(neuron, x, 0.5), run(with_refractory(neuron, 0.0), x, 0.5)
        np.testing.assert_array_equal(plain[0], period[0])
        for name, values in plain[1].items():
            np.testing.assert_array_equal(values, period[1][name])


def test_a_potential_that_stays_above_the_threshold_does_not_fire_while_it_rests():
    """A reset that subtracts leaves 4 of 5; it comes down spike by spike, one each period."""
    neuron = with_refractory(IF(emission=Emission(reset=Subtract())), 2.0)
    outputs, states = run(neuron, np.array([5.0, *[0.0] * 14]), 1.0)
    assert np.flatnonzero(outputs).tolist() == [0, 3, 6, 9, 12]
    assert states["v"][-1] == 0.0


def test_a_synaptic_current_and_an_adaptation_go_on_while_the_neuron_rests():
    x = np.array([3.0, 1.0, 1.0, 0.0, 0.0])
    _, states = run(with_refractory(LIFM(tau_p=2.0), 3.0), x, 1.0)
    current = [0.0]
    for i in x:
        current.append(current[-1] * np.exp(-0.5) + i)
    np.testing.assert_allclose(states["i_syn"], current[1:], rtol=1e-12)
    assert states["v"][:4].tolist() == [0.0] * 4
    assert states["v"][4] == pytest.approx(current[-1])
    _, states = run(with_refractory(ALIF(tau_a=2.0), 3.0), x, 1.0)
    np.testing.assert_allclose(states["a"][:4], np.exp(-0.5 * np.arange(4)), rtol=1e-12)


def test_each_neuron_may_have_a_period_of_its_own():
    neuron = with_refractory(LIF(), np.array([0.0, 1.0, 3.0]))
    outputs, _ = run(neuron, np.full((12, 3), 2.0), 1.0)
    assert outputs.sum(0).tolist() == [12, 6, 3]


def test_no_gradient_passes_through_the_count_nor_through_what_is_ignored():
    neuron = with_refractory(LIF(tau_m=5.0, emission=Emission(surrogate="rectangle")), 2.0)
    x = torch.full((6, 1), 0.45, dtype=torch.float64)
    x[0] = 0.7
    x.requires_grad_()
    state = neuron.State(*torch.zeros(3, 1, dtype=torch.float64)[:2])
    for t in range(6):
        _, state = advance(neuron, state, x[t], 1.0, TorchOps(), fire)
        if t == 4:
            (gradient,) = torch.autograd.grad(state.v.sum(), x, retain_graph=True)
    assert gradient[2:4].tolist() == [[0.0], [0.0]]  # the spike is at step 1
    assert gradient[4].item() == 1.0
    assert not state.refractory.requires_grad


# ---- in a network


def group_of(*arguments, **options):
    net = sl.Network()
    net.x = sl.Encoder(1, coding_method="constant_current")
    net.a = sl.NeuronGroup(*arguments, **options)
    net.c = sl.Connection(net.x, net.a, link_type="full", weight=np.full((net.a.num, 1), 2.0))
    net.spikes = sl.StateMonitor(net.a, "spikes")
    net.count = sl.StateMonitor(net.a, "refractory")
    net.set_backend(sl.TorchBackend(dt=0.5))
    return net


@pytest.mark.parametrize(
    "options",
    [{"t_ref": 2.0}, {"refractory": 2.0}, {"tau_ref": 2.0}, {"param": {"t_ref": 2.0}}, {"t_ref": [2.0, 2.0]},
     {"refractory_period": torch.tensor([2.0, 2.0])}],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("model", ["lif", LIF()], ids=["name", "object"])
def test_a_group_takes_a_period_by_any_of_its_names(model, options):
    net = group_of(2, model, **options)
    assert net.a.model == "lif"
    net.x(np.ones((1, 1)))
    net.run(10.0)
    assert net.plan.blocks[0].path == "kernel path"
    np.testing.assert_array_equal(net.spikes.values[0], np.tile(np.arange(20) % 5 == 0, (2, 1)))
    np.testing.assert_array_equal(net.count.values[0, 0, :5], [4, 3, 2, 1, 0])


def test_a_period_is_saved_and_read_again(tmp_path):
    net = group_of(2, "lif", refractory=np.array([1.0, 2.0]), tau_m=5.0)
    file = sl.network_save(net, "rests", tmp_path)
    again = sl.network_load(file)
    np.testing.assert_array_equal(again.a.get_value("t_ref"), [1.0, 2.0])
    assert (again.a.model, again.a.get_value("tau_m")) == ("lif", 5.0)
    found = []
    for one in (net, again):
        one.set_backend(sl.TorchBackend(dt=0.5))
        one.x(np.ones((1, 1)))
        one.run(10.0)
        found.append(one.spikes.values)
    np.testing.assert_array_equal(*found)
    assert found[0].sum(axis=2).tolist() == [[7, 4]]


@pytest.mark.parametrize("name", SPIKING)
def test_a_period_leaves_the_defaults_of_the_model(name):
    assert without_refractory(sl.NeuronGroup(3, name, refractory=1.0).neuron) == NEURONS[name]()


def test_a_run_that_goes_on_goes_on_resting():
    net = group_of(1, "lif", refractory=2.0)
    net.x(np.ones((1, 1)))
    net.run(1.0)
    net.run_continue(3.0)
    np.testing.assert_array_equal(net.spikes.values[0, 0], [1, 0, 0, 0, 0, 1, 0, 0])


# ---- as a value


def test_a_described_period_comes_back():
    neuron = with_refractory(LIF(tau_m=5.0), 2.0)
    described = json.loads(json.dumps(describe(neuron)))
    assert described["t_ref"] == 2.0
    assert neuron_from(LIF, described) == neuron
    assert pickle.loads(pickle.dumps(neuron)) == copy.deepcopy(neuron) == neuron  # noqa: S301
    with pytest.raises(DataError, match="t_ref"):
        neuron_from(LIF, described | {"t_ref": -1.0})
    with pytest.raises(DataError, match=r"RefractoryLI\.emission: a refractory period follows a spike"):
        neuron_from(LI, {"t_ref": 1.0})


def test_a_period_is_put_on_changed_and_taken_off():
    neuron = with_refractory(LIF(tau_m=5.0), 2.0)
    assert with_refractory(neuron, 3.0) == replace(neuron, t_ref=3.0)
    assert without_refractory(neuron) == LIF(tau_m=5.0)
    assert without_refractory(LIF()) == LIF()
    assert refractory_model(LIF) is type(neuron)
    assert type(neuron).parameters() == (*LIF.parameters(), "t_ref")
    assert isinstance(neuron, LIF)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, "2", None, True, [1.0, -1.0]])
def test_a_period_that_is_no_time_is_refused(value):
    with pytest.raises(ParameterError, match=r"RefractoryLIF\.t_ref must be"):
        with_refractory(LIF(), value)


def test_a_neuron_that_does_not_spike_has_no_period():
    for neuron in (LI(), LIF(emission=Emission(forward=Smooth())), IF(emission=Emission(forward=Graded()))):
        with pytest.raises(ParameterError, match=r"a refractory period follows a spike, and \w+ emits none"):
            with_refractory(neuron, 1.0)
    with pytest.raises(ParameterError, match="RefractoryLI"):
        sl.NeuronGroup(3, "li", refractory=1.0)


def test_a_second_period_and_unknown_names_are_refused():
    with pytest.raises(ParameterError, match=r"parameter 't_ref' was given twice"):
        sl.NeuronGroup(3, "lif", refractory=1.0, t_ref=1.0)
    with pytest.raises(ParameterError, match=r"unknown parameter 't_reff'; did you mean 't_ref'\?"):
        sl.NeuronGroup(3, "lif", t_reff=1.0)
    with pytest.raises(ParameterError, match=r"given as an object; give tau_m to it"):
        sl.NeuronGroup(3, LIF(), t_ref=1.0, tau_m=2.0)
    with pytest.raises(ParameterError, match=r"RefractoryLIF has a refractory period of its own"):
        refractory_model(refractory_model(LIF))

"""Izhikevich's model against the program printed with the paper, a fine integration, and its bifurcation."""

import numpy as np
import pytest
from neuron_runs import run, times_of
from scipy.integrate import solve_ivp

import spikeloom as sl
from spikeloom.errors import ParameterError
from spikeloom.neurons import NEURONS, Izhikevich

KINDS = {
    "regular spiking": {},
    "intrinsically bursting": {"c": -55.0, "d": 4.0},
    "chattering": {"c": -50.0, "d": 2.0},
    "fast spiking": {"a": 0.1, "d": 2.0},
    "low-threshold spiking": {"b": 0.25, "d": 2.0},
}


def printed_program(a, b, c, d, currents):
    """The loop of the paper's program for one neuron: steps of 1 ms; the fired are reset as the next step begins."""
    v, u = -65.0, -65.0 * b
    fired = []
    for t, i in enumerate(currents):
        if v >= 30:
            fired.append(t - 1)
            v, u = c, u + d
        v = v + 0.5 * (0.04 * v**2 + 5 * v + 140 - u + i)
        v = v + 0.5 * (0.04 * v**2 + 5 * v + 140 - u + i)
        u = u + a * (b * v - u)
    return fired


@pytest.mark.parametrize("kind", KINDS)
def test_in_steps_of_1_ms_it_fires_as_the_program_printed_with_the_paper(kind):
    neuron = Izhikevich(**KINDS[kind])
    noisy = 5 * np.random.default_rng(1).normal(size=1000) + 4
    for currents in (np.full(1000, 10.0), noisy):
        outputs, _ = run(neuron, currents, 1.0)
        fired = printed_program(neuron.a, neuron.b, neuron.c, neuron.d, currents)
        assert len(fired) > 10
        assert [t for t in np.flatnonzero(outputs) if t < 999] == fired


def solved(neuron, current, until):
    """Spike times of the equations by an adaptive solver, which stops and starts at every spike."""

    def slope(t, y):
        v, u = y
        return [0.04 * v * v + 5 * v + 140 - u + current, neuron.a * (neuron.b * v - u)]

    def peak(t, y):
        return y[0] - 30.0

    peak.terminal = True
    t, y, found = 0.0, [-65.0, -65.0 * neuron.b], []
    while t < until:
        part = solve_ivp(slope, (t, until), y, events=peak, rtol=1e-10, atol=1e-10)
        t, y = part.t[-1], part.y[:, -1]
        if part.status == 1:
            found.append(t)
            y = [neuron.c, y[1] + neuron.d]
    return np.array(found)


@pytest.mark.parametrize("kind", ["regular spiking", "chattering", "fast spiking"])
def test_in_fine_steps_its_spikes_are_those_of_the_equations(kind):
    neuron = Izhikevich(**KINDS[kind])
    truth = solved(neuron, 10.0, 100.0)
    errors = []
    for dt in (0.02, 0.01):
        outputs, _ = run(neuron, np.full(round(100 / dt), 10.0), dt)
        found = times_of(outputs, dt)
        assert len(found) == len(truth) > 2
        errors.append(np.abs(found - truth).max())
    assert errors[1] < 0.8
    assert errors[1] < 0.7 * errors[0]


def test_a_regular_spiking_neuron_slows_down_and_a_fast_spiking_one_does_not():
    intervals = {}
    for kind in ("regular spiking", "fast spiking"):
        outputs, _ = run(Izhikevich(**KINDS[kind]), np.full(10000, 10.0), 0.05)
        intervals[kind] = np.diff(times_of(outputs, 0.05))
    assert intervals["regular spiking"][-1] > 1.5 * intervals["regular spiking"][0]
    assert intervals["fast spiking"][-1] < 0.5 * intervals["regular spiking"][-1]


def test_rest_loses_its_stability_at_the_current_that_the_equations_give():
    # The trace of the Jacobian, 0.08 v + 5 - a, is 0 at v = -62.25; that is the fixed point (u = b v) of this current:
    critical = -(0.04 * 62.25**2 - 4.8 * 62.25 + 140)
    assert critical == pytest.approx(3.7975)
    currents = critical + np.array([-0.05, 0.05])
    v = (-4.8 - np.sqrt(4.8**2 - 0.16 * (140 + currents))) / 0.08
    start = Izhikevich.State(v + 0.2, 0.2 * v)
    outputs, states = run(Izhikevich(), np.tile(currents, (16000, 1)), 0.05, start)
    assert outputs.sum(axis=0).tolist() == [0, pytest.approx(12, abs=11)]
    assert outputs[:, 1].any()
    assert abs(states.v[-1, 0] - v[0]) < 0.02


def test_how_often_it_fires_does_not_depend_on_the_step():
    counts = [run(Izhikevich(), np.full(round(500 / dt), 10.0), dt)[0].sum() for dt in (0.2, 0.1, 0.05)]
    assert max(counts) - min(counts) <= 1


def test_a_spike_sets_v_to_c_and_lifts_u_by_d():
    neuron = Izhikevich(c=-50.0, d=2.0)
    _, reset = run(neuron, np.zeros(1), 0.1, neuron.State(29.9, -5.0))
    _, free = run(Izhikevich(v_th=1e9), np.zeros(1), 0.1, neuron.State(29.9, -5.0))
    assert reset.v[0] == -50.0
    assert reset.u[0] == pytest.approx(free.u[0] + 2.0, abs=1e-12)


def test_it_starts_where_it_is_told():
    assert Izhikevich().initial() == (-65.0, -13.0)
    assert Izhikevich(v_0=-70.0, b=0.25).initial() == (-70.0, -17.5)
    assert Izhikevich(u_0=1.0).initial() == (-65.0, 1.0)
    with pytest.raises(ParameterError, match=r"parameter_variables: unknown parameter 'u_0'"):
        sl.NeuronGroup(3, "izhikevich", parameter_variables=["u_0"])
    assert sl.NeuronGroup(3, "izhikevich", parameter_variables=["u_0"], u_0=1.0).trains == ("u_0",)
    assert sl.NeuronGroup(3, "izh", Vreset=-55.0, V0=-60.0).neuron.initial().v == -60.0
    assert NEURONS["izh"] is NEURONS["IzhikevichNode"] is Izhikevich


@pytest.mark.parametrize("current", [1e4, -1e3, -9e7])
def test_a_huge_current_gives_states_that_single_precision_holds(current):
    _, states = run(Izhikevich(), np.full(400, current), 0.1)
    assert all(np.abs(part).max() < 1e18 for part in states)


@pytest.mark.parametrize("wrong", [{"a": 0.0}, {"a": -1.0}, {"b": np.nan}, {"c": "x"}, {"u_0": np.inf}, {"v_th": None}])
def test_a_wrong_parameter_is_refused_by_name(wrong):
    with pytest.raises(ParameterError, match=rf"Izhikevich\.{next(iter(wrong))} must be"):
        Izhikevich(**wrong)

"""The squid axon against published values, an adaptive solver, and the meaning of a crossing."""

import math

import numpy as np
import pytest
from neuron_runs import XP, run, times_of
from scipy.integrate import solve_ivp

import spikeloom as sl
from spikeloom.errors import ParameterError
from spikeloom.neurons import NEURONS, HodgkinHuxley
from spikeloom.neurons.hodgkin_huxley import rates


def slope(t, y, current):
    """The equations of 1952 in the paper's units, written out with expm1."""
    v, m, h, n = y
    open_m, open_n = (25 - v) / 10, (10 - v) / 10
    am = 1.0 if open_m == 0 else open_m / math.expm1(open_m)
    an = 0.1 if open_n == 0 else 0.1 * open_n / math.expm1(open_n)
    dm = am * (1 - m) - 4 * math.exp(-v / 18) * m
    dh = 0.07 * math.exp(-v / 20) * (1 - h) - h / (math.exp((30 - v) / 10) + 1)
    dn = an * (1 - n) - 0.125 * math.exp(-v / 80) * n
    ionic = 120 * m**3 * h * (v - 115) + 36 * n**4 * (v + 12) + 0.3 * (v - 10.613)
    return [current - ionic, dm, dh, dn]


def solved(current, times):
    start = [0.0, 0.0529325, 0.5961208, 0.3176769]
    part = solve_ivp(slope, (0.0, times[-1]), start, t_eval=times, args=(current,), rtol=1e-9, atol=1e-9)
    return part.y


def test_at_rest_the_gates_have_their_published_values_and_nothing_moves():
    rest = HodgkinHuxley().initial()
    assert (rest.v, rest.armed) == (0.0, 1.0)
    assert (rest.m, rest.h, rest.n) == pytest.approx((0.0529, 0.5961, 0.3177), abs=1e-4)
    _, states = run(HodgkinHuxley(), np.zeros(2000), 0.05)
    assert np.abs(states.v).max() < 0.01


def test_the_rates_are_those_of_the_paper_at_every_potential():
    u = np.concatenate([np.linspace(-80, 130, 4001), [10.0, 25.0, 9.0, 11.0, 24.0, 26.0, 10 + 1e-9]])

    def gate(x):
        return np.where(x == 0, 1.0, x / np.expm1(np.where(x == 0, 1.0, x)))

    truth = [(gate((25 - u) / 10), 4 * np.exp(-u / 18)), (0.07 * np.exp(-u / 20), 1 / (np.exp((30 - u) / 10) + 1)),
             (0.1 * gate((10 - u) / 10), 0.125 * np.exp(-u / 80))]  # fmt: skip
    np.testing.assert_allclose(np.array(rates(u, XP)), np.array(truth), rtol=3e-14)


def test_an_action_potential_is_that_of_the_equations():
    errors = []
    for dt in (0.02, 0.01):
        times = dt * np.arange(1, round(12 / dt) + 1)
        truth = solved(10.0, times)
        _, states = run(HodgkinHuxley(), np.full(len(times), 10.0), dt)
        for part, expected, most in zip(states[:4], truth, (6.0, 0.06, 0.01, 0.01), strict=True):
            assert np.abs(part - expected).max() < most
        assert states.v.max() == pytest.approx(truth[0].max(), abs=0.3)
        assert states.v.min() == pytest.approx(truth[0].min(), abs=0.1)
        width = dt * (states.v > 50).sum()
        assert width == pytest.approx(dt * (truth[0] > 50).sum(), abs=0.03)
        assert 1.0 < width < 2.0  # a spike of the squid lasts for about 1 ms
        errors.append(np.abs(states.v - truth[0]).max())
    assert errors[1] < 0.6 * errors[0]  # of first order


def test_it_fires_again_and_again_between_the_published_currents():
    # Rinzel & Miller (1980): repetitive firing from 6.26 uA/cm^2 on, ended by a Hopf bifurcation at 154.5
    currents = np.array([2.0, 6.0, 6.5, 50.0, 150.0, 165.0])
    outputs, _ = run(HodgkinHuxley(), np.tile(currents, (8000, 1)), 0.025)
    late = outputs[4000:].sum(axis=0)
    assert (late > 0).tolist() == [False, False, True, True, False, False]
    assert outputs.sum(axis=0)[0] == 0
    assert outputs.sum(axis=0)[1] in (1, 2, 3)
    rate = 10 * late[2:4]
    assert 45 < rate[0] < 65
    assert 90 < rate[1] < 140


def test_a_spike_is_a_crossing_from_below_and_counted_once():
    outputs, states = run(HodgkinHuxley(), np.full(4000, 15.0), 0.02)
    above = states.v >= 50.0
    crossings = above & ~np.concatenate([[False], above[:-1]])
    np.testing.assert_array_equal(outputs == 1, crossings)
    assert outputs.sum() >= 5
    assert above.sum() > 20 * outputs.sum()


def test_a_neuron_that_starts_above_the_threshold_has_not_crossed_it():
    start = HodgkinHuxley().initial()._replace(v=60.0)
    outputs, states = run(HodgkinHuxley(), np.full(3, 400.0), 0.01, start)
    assert (states.v > 55).all()
    assert not outputs.any()


def test_the_threshold_may_be_a_number_of_the_emission():
    emission = sl.Emission(threshold=90.0, reset="none")
    outputs, states = run(HodgkinHuxley(emission=emission), np.full(2000, 15.0), 0.02)
    above = states.v >= 90.0
    np.testing.assert_array_equal(outputs == 1, above & ~np.concatenate([[False], above[:-1]]))
    assert outputs.any()


def test_the_potentials_of_today_are_those_of_the_paper_moved():
    modern = HodgkinHuxley(v_rest=-65.0, e_na=50.0, e_k=-77.0, e_l=-54.387, v_th=-15.0)
    currents = 20 * np.random.default_rng(0).random(3000)
    outputs, states = run(HodgkinHuxley(), currents, 0.02)
    moved, moved_states = run(modern, currents, 0.02)
    np.testing.assert_array_equal(outputs, moved)
    np.testing.assert_allclose(moved_states.v + 65.0, states.v, atol=1e-6)
    assert outputs.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_currents_and_long_steps_do_not_overflow(dtype):
    currents = np.array([1e6, -1e6, 300.0, -300.0], dtype=dtype)
    for dt in (0.01, 5.0):
        _, states = run(HodgkinHuxley(), np.tile(currents, (200, 1)), dt)
        assert all(np.isfinite(part).all() for part in states)
        assert all(((part >= 0) & (part <= 1)).all() for part in (states.m, states.h, states.n))


def test_users_of_other_simulators_find_it():
    assert NEURONS["hh"] is NEURONS["HodgkinHuxley"] is HodgkinHuxley
    neuron = sl.NeuronGroup(2, "HH", g_NA=100.0, g_K=30.0, g_L=0.2, E_NA=110.0, E_K=-11.0, E_L=10.0, C_m=2.0).neuron
    assert (neuron.g_na, neuron.g_k, neuron.g_l, neuron.c_m) == (100.0, 30.0, 0.2, 2.0)
    assert (neuron.e_na, neuron.e_k, neuron.e_l, neuron.v_rest) == (110.0, -11.0, 10.0, 0.0)


@pytest.mark.parametrize("wrong", [{"c_m": 0.0}, {"g_na": -1.0}, {"g_l": np.nan}, {"e_k": "x"}, {"v_th": np.inf}])
def test_a_wrong_parameter_is_refused_by_name(wrong):
    with pytest.raises(ParameterError, match=rf"HodgkinHuxley\.{next(iter(wrong))} must be"):
        HodgkinHuxley(**wrong)


def test_the_times_of_its_spikes_do_not_depend_on_the_step():
    found = [times_of(run(HodgkinHuxley(), np.full(round(60 / dt), 10.0), dt)[0], dt) for dt in (0.02, 0.01)]
    np.testing.assert_allclose(found[0], found[1], atol=0.2)

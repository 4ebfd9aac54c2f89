"""Exponential integrate-and-fire and AdEx against closed forms, quadrature and an adaptive solver."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neuron_runs import run, times_of
from scipy.integrate import quad, solve_ivp

import spikeloom as sl
from spikeloom.errors import ParameterError
from spikeloom.neurons import NEURONS, AdEx, ExponentialIF

FAR = {"v_th": 1e4, "v_peak": 2e4}


@given(st.floats(0.01, 5.0), st.floats(-1.0, 1.0), st.integers(1, 40))
def test_far_below_the_upstroke_the_membrane_is_an_exact_low_pass(dt, current, n):
    neuron = ExponentialIF(**FAR)
    _, states = run(neuron, np.full(n, current), dt)
    expected = -65.0 - current / 0.1 * math.expm1(-n * dt / 10.0)  # tau = c_m / g_l = 10 ms
    assert states.v[-1] == pytest.approx(expected, rel=1e-9)


def test_the_rheobase_is_that_of_the_paper():
    # Without a spike v rests where the drive is least, at v = v_th: i = g_l (v_th - v_rest - delta_t)
    rheobase = 0.1 * (-59.9 + 65.0 - 3.48)
    assert rheobase == pytest.approx(0.162)
    outputs, states = run(ExponentialIF(), np.tile(rheobase * np.array([0.98, 1.02]), (5000, 1)), 0.2)
    assert outputs.any(axis=0).tolist() == [False, True]
    assert -61.5 < states.v[-1, 0] < -59.9


@pytest.mark.parametrize("current", [0.3, 1.0, 3.0])
def test_the_period_is_the_integral_over_the_membrane(current):
    neuron = ExponentialIF()

    def pace(v):
        return 1.0 / (-0.1 * (v + 65.0) + 0.348 * math.exp((v + 59.9) / 3.48) + current)

    period, _ = quad(pace, -68.0, -30.0, epsabs=1e-12, epsrel=1e-12)
    dt = 0.005
    times = times_of(run(neuron, np.full(round(3.5 * period / dt), current), dt)[0], dt)
    assert np.diff(times).mean() == pytest.approx(period, rel=4e-3)


PATTERNS = {
    "tonic": ({}, 1000.0),
    "bursting": ({"v_reset": -46.0, "tau_w": 40.0}, 800.0),
    "without adaptation": ({"a": 0.0, "b": 0.0}, 900.0),
}


def solved(n, current, until):
    """Spike times of the equations of Brette & Gerstner by an adaptive solver, restarted at every spike."""

    def slope(t, y):
        v, w = y
        spike = n.g_l * n.delta_t * math.exp(min((v - n.v_th) / n.delta_t, 50))
        return [(-n.g_l * (v - n.v_rest) + spike - w + current) / n.c_m, (n.a * (v - n.v_rest) - w) / n.tau_w]

    def peak(t, y):
        return y[0] - n.v_peak

    peak.terminal = True
    t, y, found = 0.0, [n.v_rest, 0.0], []
    while t < until:
        part = solve_ivp(slope, (t, until), y, events=peak, rtol=1e-9, atol=1e-9)
        t, y = part.t[-1], part.y[:, -1]
        if part.status == 1:
            found.append(t)
            y = [n.v_reset, y[1] + n.b]
    return np.array(found)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_firing_patterns_of_adex_are_those_of_the_equations(pattern):
    parameters, current = PATTERNS[pattern]
    neuron, dt = AdEx(**parameters, v_peak=-20.0), 0.01  # the rest to 20 mV takes less than 1e-6 ms
    truth = solved(neuron, current, 120.0)
    found = times_of(run(neuron, np.full(round(120 / dt), current), dt)[0], dt)
    assert len(found) == len(truth) >= 4
    np.testing.assert_allclose(found, truth, rtol=0.02)
    intervals = np.diff(truth)
    if pattern == "bursting":
        assert intervals.max() > 3 * intervals.min()
    elif pattern == "tonic":
        assert (np.diff(intervals) > 0).all()
    else:
        np.testing.assert_allclose(intervals, intervals[0], rtol=1e-6)


def test_below_the_threshold_adex_settles_where_leak_and_adaptation_balance():
    # 0 = -g_l x - a x + i with x = v - v_rest
    _, states = run(AdEx(**FAR), np.full(40000, 150.0), 0.1)
    assert states.v[-1] == pytest.approx(-70.6 + 150.0 / (30.0 + 4.0), abs=1e-9)
    assert states.w[-1] == pytest.approx(4.0 * 150.0 / 34.0, abs=1e-8)


def test_a_spike_of_adex_adds_b_to_the_adaptation_and_resets_the_potential():
    start = AdEx.State(19.0, 7.0)
    _, fired = run(AdEx(v_reset=-55.0), np.zeros(1), 0.1, start)
    _, silent = run(AdEx(v_peak=1e30), np.zeros(1), 0.1, start)
    assert fired.v[0] == -55.0
    assert fired.w[0] == pytest.approx(silent.w[0] + 80.5, abs=1e-9)


@pytest.mark.parametrize("model", [ExponentialIF, AdEx])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_narrow_upstroke_and_a_huge_current_do_not_overflow(model, dtype):
    neuron = model(delta_t=0.01)
    outputs, states = run(neuron, np.tile(np.array([1e3, 1e6, -1e6], dtype=dtype), (300, 1)), 0.1)
    assert all(np.isfinite(part).all() for part in states)
    assert outputs[:, 1].any()
    assert not outputs[:, 2].any()


def test_users_of_other_simulators_find_the_models_and_their_parameters():
    assert NEURONS["aeif"] is NEURONS["LIFAdEx"] is NEURONS["Brette_Gerstner"] is AdEx
    assert NEURONS["EIF"] is NEURONS["EIFNode"] is ExponentialIF
    group = sl.NeuronGroup(
        3, "aeif", C=200.0, gL=10.0, EL=-58.0, VT=-50.0, Vspk=0.0, DeltaT=2.5, tauw=120.0, Vreset=-46.0
    )
    neuron = group.neuron
    assert (neuron.c_m, neuron.g_l, neuron.v_rest, neuron.v_th, neuron.v_peak) == (200.0, 10.0, -58.0, -50.0, 0.0)
    assert (neuron.delta_t, neuron.tau_w, neuron.v_reset) == (2.5, 120.0, -46.0)


@pytest.mark.parametrize("model", [ExponentialIF, AdEx])
@pytest.mark.parametrize("name", ["c_m", "g_l", "delta_t"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, "1", None, [1.0, 0.0]], ids=repr)
def test_a_scale_that_is_not_positive_is_refused_by_name(model, name, value):
    with pytest.raises(ParameterError, match=rf"{model.__name__}\.{name} must be"):
        model(**{name: value})


def test_a_scale_is_not_called_a_time():
    with pytest.raises(ParameterError, match=r"AdEx\.delta_t must be a positive number, got 0\.0"):
        AdEx(delta_t=0.0)
    with pytest.raises(ParameterError, match=r"AdEx\.tau_w must be a positive time in ms, got 0\.0"):
        AdEx(tau_w=0.0)

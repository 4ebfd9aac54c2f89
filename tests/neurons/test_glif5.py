"""GLIF5 against the exponential of its matrix, fine integration, and the published reset."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from stepping import SILENT, fired, run

from spikeloom.errors import ParameterError
from spikeloom.network import NeuronGroup
from spikeloom.neurons import GLIF5, NEURONS, with_refractory
from spikeloom.ops import NumpyOps

RATE = st.floats(0.0, 2.0)


@given(st.floats(0.5, 100), st.floats(0.5, 5), RATE, st.floats(0.0, 1.0), st.floats(0.01, 3.0), st.floats(-1, 1))
def test_a_step_is_exact_for_a_constant_current(c_m, r, b_v, a_v, dt, v_rest):
    """d/dt (v, theta_v, 1) is a matrix; its exponential is the step. AllenSDK: linear_exact, three_components_exact."""
    neuron = GLIF5(c_m=c_m, r=r, b_v=b_v, a_v=a_v, v_rest=v_rest, theta_inf=SILENT)
    state = neuron.State(v=0.4, i_1=0.08, i_2=0.06, theta_s=0.1, theta_v=0.2)
    current, leak = 0.3 + 0.08 + 0.06, 1 / (r * c_m)
    matrix = [[-leak, 0, leak * v_rest + current / c_m], [a_v, -b_v, -a_v * v_rest], [0, 0, 0]]
    expected = expm(np.array(matrix) * dt) @ [0.4, 0.2, 1.0]
    after = neuron.update(state, 0.3, dt, NumpyOps())
    assert [after.v, after.theta_v] == pytest.approx(expected[:2].tolist(), rel=1e-9, abs=1e-10)
    assert after.theta_s == pytest.approx(0.1 * np.exp(-0.02 * dt), rel=1e-12)
    assert [after.i_1, after.i_2] == pytest.approx([0.08 * np.exp(-0.8 * dt), 0.06 * np.exp(-0.6 * dt)], rel=1e-12)


def test_a_rate_of_the_threshold_equal_to_that_of_the_membrane_loses_no_digits():
    found = []
    for b_v in (0.5, 0.5 * (1 + 1e-13), 0.5 * (1 + 1e-7)):
        _, states = run(GLIF5(c_m=1.0, r=2.0, b_v=b_v, theta_inf=SILENT), np.full(50, 0.3), 0.5)
        found.append(states["theta_v"][-1])
    assert found[1] == pytest.approx(found[0], rel=1e-12)
    assert found[2] == pytest.approx(found[0], rel=1e-6)


def test_small_steps_approach_the_equations_with_currents_that_decay():
    neuron, dt, n = GLIF5(c_m=3.0, theta_inf=SILENT), 0.005, 2000
    _, states = run(neuron, np.full(n, 0.3), dt)

    def slope(_, y):
        v, i_1, i_2, theta_s, theta_v = y
        return [(0.3 + i_1 + i_2 - v / 2) / 3.0, -0.8 * i_1, -0.6 * i_2, -0.02 * theta_s, 0.12 * v - 0.3 * theta_v]

    fine = solve_ivp(slope, (0, n * dt), [0.0, 0.08, 0.06, 0.1, 0.2], rtol=1e-10, atol=1e-12).y[:, -1]
    found = [states[name][-1] for name in ("v", "i_1", "i_2", "theta_s", "theta_v")]
    np.testing.assert_allclose(found, fine, atol=2e-4)


def test_the_reset_is_the_published_one():
    """v <- E + f_v (v - E) - dv, I_j <- f_j I_j + dI_j: the old current is not added a second time."""
    neuron = GLIF5(v_rest=0.5, f_1=0.25, f_2=1.0, delta_i_1=0.1, delta_i_2=0.2)
    state = neuron.State(v=2.0, i_1=0.4, i_2=0.6, theta_s=0.1, theta_v=0.3)
    after = neuron.after_spike(state, 1.0, 0.1, NumpyOps())
    assert after == pytest.approx((0.5 + 0.1 * 1.5 - 0.05, 0.25 * 0.4 + 0.1, 0.6 + 0.2, 0.1 + 0.2, 0.3))
    assert neuron.after_spike(state, 0.0, 0.1, NumpyOps()) == state


def test_it_fires_at_the_sum_of_the_three_parts_of_the_threshold():
    neuron = GLIF5()
    state = neuron.State(v=0.0, i_1=0.0, i_2=0.0, theta_s=0.25, theta_v=0.5)
    assert neuron.threshold(state, NumpyOps()) == 1.75
    outputs, states = run(GLIF5(c_m=3.0, f_v=0.0, delta_v=0.0), np.full(200, 1.2), 0.5)
    spikes = np.flatnonzero(outputs)
    assert len(spikes) > 3
    assert (states["v"][spikes] == 0).all()
    assert np.diff(spikes)[0] < np.diff(spikes)[-1], "theta_s adds up: it adapts"


def test_the_cut_around_a_spike_is_a_refractory_period():
    x = np.full(300, 1.2)
    spikes = fired(with_refractory(GLIF5(c_m=3.0), 4.0), x, 0.5)
    assert np.diff(spikes).min() > 8
    assert len(spikes) > 3


def test_the_names_of_spaic_lead_to_the_parameters():
    group = NeuronGroup(3, "glif", C=30.0, R=3.0, E_L=0.1, Theta_inf=1.5, delta_Theta_s=0.3, f1=0.5, delta_I2=0.2)
    expected = GLIF5(c_m=30.0, r=3.0, v_rest=0.1, theta_inf=1.5, delta_theta_s=0.3, f_1=0.5, delta_i_2=0.2)
    assert group.neuron == expected
    assert NEURONS["glif5"] is GLIF5


@pytest.mark.parametrize("value", [0.0, -1.0, "60", None])
def test_a_capacitance_or_resistance_that_is_none_is_refused(value):
    for name in ("c_m", "r"):
        with pytest.raises(ParameterError, match=rf"GLIF5\.{name} must be"):
            GLIF5(**{name: value})
    if value != 0.0 and value != -1.0:
        with pytest.raises(ParameterError, match=r"GLIF5\.start_theta_v must be"):
            GLIF5(start_theta_v=value)

"""Resonate-and-fire neurons against complex arithmetic and the claims of their papers."""

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neuron_runs import run

from spikeloom.errors import ParameterError
from spikeloom.neurons import NEURONS, BalancedResonateAndFire, ResonateAndFire
from spikeloom.neurons.resonate_and_fire import rotation

SILENT = 1e9


def test_a_rotation_in_products_and_sums_is_that_of_the_angle():
    angles = np.linspace(-2 * np.pi, 2 * np.pi, 2001)
    np.testing.assert_allclose(rotation(angles), [np.cos(angles), np.sin(angles)], rtol=0, atol=2e-14)


@given(st.floats(-0.5, 0.0), st.floats(-3.0, 3.0), st.floats(0.01, 2.0), st.integers(1, 60))
def test_the_answer_to_a_pulse_is_a_damped_oscillation_whatever_the_step(b, omega, dt, n):
    inputs = np.zeros(n + 1)
    inputs[0] = 1.0
    _, states = run(ResonateAndFire(b=b, omega=omega, v_th=SILENT), inputs, dt)
    z = cmath.exp((b + 1j * omega) * dt * n)
    assert states.v[-1] == pytest.approx(z.imag, abs=1e-11)
    assert states.u[-1] == pytest.approx(z.real, abs=1e-11)


def test_by_default_a_turn_of_two_pi_ms_keeps_as_much_as_a_damping_of_a_tenth_of_the_frequency():
    """-1 + 10 i, the values of BrainPy's documentation, turn once in 2 pi / 10 and keep exp(-2 pi / 10) of it."""
    neuron = ResonateAndFire()
    _, states = run(neuron, np.eye(1, 64)[0] * 0.9, 2 * math.pi / 63)
    assert neuron.trains == ()
    assert (states.u[63], states.v[63]) == pytest.approx((0.9 * math.exp(-2 * math.pi / 10), 0.0), abs=1e-12)


def test_two_pulses_fire_it_at_its_own_period_and_not_at_half_of_it():
    neuron, dt = ResonateAndFire(b=-0.05, omega=2 * math.pi / 10), 0.1
    inputs = np.zeros((200, 3))
    inputs[0] = 0.8
    inputs[[50, 100, 150], [0, 1, 2]] = 0.8  # half a period later, one, one and a half
    outputs, _ = run(neuron, inputs, dt)
    assert outputs.any(axis=0).tolist() == [False, True, False]


def test_an_inhibitory_pulse_can_make_it_fire():
    inputs = np.zeros(100)
    inputs[0] = -1.5
    outputs, _ = run(ResonateAndFire(b=-0.05, omega=2 * math.pi / 10), inputs, 0.1)
    assert 50 < np.flatnonzero(outputs)[0] < 80


def test_a_spike_sets_z_to_i_and_does_not_fire_again_at_once():
    neuron = ResonateAndFire()
    outputs, states = run(neuron, np.zeros(3), 0.1, neuron.State(0.9, 3.0))
    assert outputs.tolist() == [1, 0, 0]
    assert (states.v[0], states.u[0]) == (1.0, 0.0)
    z = 1j * cmath.exp((-0.1 + 1j) * 0.1)
    assert (states.u[1], states.v[1]) == pytest.approx((z.real, z.imag), abs=1e-14)


def balanced(inputs, omega, offset, delta):
    """The paper's update, written with one complex potential."""
    z, q, fired, potentials = 0j, 0.0, [], []
    for i in inputs:
        b = (-1 + math.sqrt(1 - (delta * omega) ** 2)) / delta - offset - q
        z = z + delta * ((b + 1j * omega) * z + i)
        spike = float(z.real - 1.0 - q >= 0)
        q = 0.9 * q + spike
        fired.append(spike)
        potentials.append(z)
    return np.array(fired), np.array(potentials)


@pytest.mark.parametrize(("omega", "offset"), [(10.0, 1.0), (40.0, 0.3), (-5.0, -2.0)])
def test_the_balanced_neuron_follows_the_update_of_its_paper(omega, offset):
    inputs = 60 * np.random.default_rng(0).normal(size=400) + 30 * np.sin(0.01 * omega * np.arange(400))
    fired, z = balanced(inputs, abs(omega), abs(offset), 0.01)
    outputs, states = run(BalancedResonateAndFire(omega=omega, b_offset=offset), inputs, 10.0)
    np.testing.assert_array_equal(outputs, fired)
    np.testing.assert_allclose(states.v + 1j * states.u, z, atol=1e-10)
    assert 3 < fired.sum() < 300


@given(st.floats(0.1, 90.0), st.integers(1, 200))
def test_at_the_boundary_the_balanced_neuron_neither_damps_nor_swells(omega, n):
    neuron = BalancedResonateAndFire(omega=omega, b_offset=0.0, v_th=SILENT)
    _, states = run(neuron, np.zeros(n), 10.0, neuron.State(0.6, 0.8, 0.0))
    assert math.hypot(states.v[-1], states.u[-1]) == pytest.approx(1.0, abs=1e-10)


def test_a_spike_raises_the_threshold_and_the_damping_for_a_while():
    neuron = BalancedResonateAndFire(omega=10.0, b_offset=0.0)
    outputs, states = run(neuron, np.zeros(4), 10.0, neuron.State(1.5, 0.0, 0.0))
    assert outputs.tolist() == [1, 0, 0, 0]
    np.testing.assert_allclose(states.q, [1.0, 0.9, 0.81, 0.729], rtol=1e-14)
    size = np.hypot(states.v, states.u)
    assert size[1] / size[0] == pytest.approx(0.99, abs=1e-3)  # delta q = 0.01


def test_a_frequency_beyond_the_step_gives_finite_states():
    _, states = run(BalancedResonateAndFire(omega=150.0), np.ones(100), 10.0)
    assert all(np.isfinite(part).all() for part in states)


def test_short_names_stand_for_them():
    assert NEURONS["rf"] is NEURONS["ResonateAndFire"] is ResonateAndFire
    assert NEURONS["brf"] is BalancedResonateAndFire


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (ResonateAndFire, "b"),
        (ResonateAndFire, "omega"),
        (BalancedResonateAndFire, "gamma"),
        (BalancedResonateAndFire, "b_offset"),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf, "1", None])
def test_a_wrong_parameter_is_refused_by_name(model, name, value):
    with pytest.raises(ParameterError, match=rf"{model.__name__}\.{name} must be"):
        model(**{name: value})

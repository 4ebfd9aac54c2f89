"""Filters on NumPy arrays, against SciPy and closed forms."""

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import ParameterError, ShapeError
from spikeloom.filters import Filter, LogSpaced, LowPass, SecondOrderSections, StateSpace
from spikeloom.ops import NumpyOps

XP = NumpyOps()
EXACT = {"rtol": 1e-12, "atol": 1e-12}
times = st.floats(0.01, 1e3)


def legendre(order, theta):
    """A and B of the Legendre memory unit (Voelker et al. 2019, equation 2), in 1/ms for a window of theta ms."""
    i, j = np.meshgrid(np.arange(order), np.arange(order), indexing="ij")
    a = (2 * i + 1) * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    b = (2 * np.arange(order) + 1) * (-1.0) ** np.arange(order)
    return a / theta, b[:, None] / theta


A, B = legendre(6, 50.0)
SOS = scipy.signal.bessel(5, 20.0, fs=1000.0, output="sos")
CATALOGUE = [
    LowPass(tau=7.0),
    LowPass(tau=np.array([2.0, 5.0, 11.0]), normalise=True),
    LogSpaced(tau_min=1.0, tau_max=100.0, n=4),
    LogSpaced(tau_min=1.0, tau_max=100.0, n=2, taus=np.array([[2.0, 3.0], [4.0, 5.0], [6.0, 7.0]])),
    StateSpace(A=A, B=np.hstack([B, -B, B / 2])),
    StateSpace(A=A, B=np.hstack([B, -B, B / 2]), C=np.ones((2, 6)), D=np.ones((2, 3))),
    SecondOrderSections(sos=SOS),
]


@pytest.fixture
def x():
    return np.random.default_rng(3).normal(size=(40, 2, 3))


def run(system: Filter, x, dt=1.0):
    return system.scan(x, dt, XP)[0]


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("dt", [0.1, 1.0, 30.0])
def test_low_pass_equals_lfilter(x, dt, normalise):
    k = np.exp(-dt / 7.0)
    expected = scipy.signal.lfilter([1 - k if normalise else 1.0], [1.0, -k], x, axis=0)
    np.testing.assert_allclose(run(LowPass(tau=7.0, normalise=normalise), x, dt), expected, **EXACT)


def test_each_neuron_has_its_own_time_constant(x):
    y = run(LowPass(tau=[2.0, 5.0, 11.0]), x)
    for n, tau in enumerate([2.0, 5.0, 11.0]):
        np.testing.assert_allclose(y[:, :, n], run(LowPass(tau=tau), x[:, :, n]), **EXACT)


@given(tau=times, dt=times, n=st.integers(1, 30))
def test_impulse_response_of_low_pass_is_the_exponential_at_any_dt(tau, dt, n):
    impulse = np.zeros((n, 1))
    impulse[0] = 1.0
    np.testing.assert_allclose(run(LowPass(tau=tau), impulse, dt)[:, 0], np.exp(-np.arange(n) * dt / tau), **EXACT)


@given(tau=times, dt=times)
def test_step_response_of_a_normalised_low_pass_is_exact_at_any_dt(tau, dt):
    expected = 1 - np.exp(-np.arange(1, 21) * dt / tau)
    np.testing.assert_allclose(run(LowPass(tau=tau, normalise=True), np.ones((20, 1)), dt)[:, 0], expected, **EXACT)


def test_half_the_time_step_gives_the_same_decay():
    impulse = np.eye(1, 21).T
    coarse, fine = run(LowPass(tau=3.0), impulse[:11], 1.0), run(LowPass(tau=3.0), impulse, 0.5)
    np.testing.assert_allclose(fine[::2], coarse, **EXACT)


def test_a_bank_is_one_low_pass_filter_for_each_time_constant(x):
    y = run(LogSpaced(tau_min=1.0, tau_max=1000.0, n=4, normalise=True), x)
    assert y.shape == (40, 2, 3, 4)
    for i, tau in enumerate([1.0, 10.0, 100.0, 1000.0]):
        np.testing.assert_allclose(y[..., i], run(LowPass(tau=tau, normalise=True), x), **EXACT)


def test_given_time_constants_stand_in_for_those_of_the_bank(x):
    y = run(LogSpaced(tau_min=1.0, tau_max=2.0, n=2, taus=[4.0, 9.0]), x)
    np.testing.assert_allclose(y[..., 1], run(LowPass(tau=9.0), x), **EXACT)


@pytest.mark.parametrize("dt", [0.01, 1.0, 40.0])
@pytest.mark.parametrize("order", [1, 4, 8])
def test_state_space_discretises_as_scipy_does(order, dt):
    a, b = legendre(order, 50.0)
    e, f, *_ = StateSpace(A=a, B=b).coefficients(dt, XP)
    a_d, b_d, *_ = scipy.signal.cont2discrete((a, b, np.eye(order), np.zeros((order, 1))), dt, "zoh")
    np.testing.assert_allclose(e.T + np.eye(order), a_d, **EXACT)
    np.testing.assert_allclose(f.T, b_d, **EXACT)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), dt=st.floats(0.01, 10.0))
def test_discretisation_of_any_matrix_is_the_augmented_exponential(seed, n, dt):
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=(n, n)) - np.eye(n), generator.normal(size=(n, 2))
    e, f, *_ = StateSpace(A=a, B=b).coefficients(dt, XP)
    expected = scipy.linalg.expm(np.block([[a, b], [np.zeros((2, n + 2))]]) * dt)[:n]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(np.hstack([e.T + np.eye(n), f.T]) / scale, expected / scale, rtol=0, atol=1e-12)


def test_a_system_that_only_integrates_is_exact():
    y = run(StateSpace(A=[[0.0]], B=[[1.0]]), np.ones((5, 1, 1)), 0.5)
    np.testing.assert_allclose(y[:, 0, 0], [0.5, 1.0, 1.5, 2.0, 2.5], **EXACT)


def test_state_space_equals_lsim_with_the_input_held_over_each_step(x):
    dt, c, d = 2.0, np.arange(12.0).reshape(2, 6), np.array([[0.5], [-1.0]])
    y = run(StateSpace(A=A, B=B, C=c, D=d), x[:, 0, :1][:, None], dt)[:, 0]
    held = np.vstack([x[:, 0, :1], x[-1:, 0, :1]])
    _, _, states = scipy.signal.lsim((A, B, c, d), held, np.arange(41) * dt, interp=False)
    np.testing.assert_allclose(y, states[1:] @ c.T + x[:, 0, :1] @ d.T, **EXACT)


def test_legendre_memory_holds_the_window():
    """A ramp u(t) = t is a polynomial: after the window, its first two Legendre coefficients describe it."""
    theta, dt = 50.0, 0.01
    a, b = legendre(4, theta)
    t = np.arange(20_000) * dt
    (m,) = StateSpace(A=a, B=b).scan(t[:, None, None] + dt / 2, dt, XP)[1]
    end = 20_000 * dt
    np.testing.assert_allclose(m[0], [end - theta / 2, -theta / 2, 0.0, 0.0], atol=1e-3)


def test_sections_equal_sosfilt(x):
    y, state = SecondOrderSections(sos=SOS).scan(x, 1.0, XP)
    expected, zf = scipy.signal.sosfilt(SOS, x, axis=0, zi=np.zeros((len(SOS), 2, 2, 3)))
    np.testing.assert_allclose(y, expected, **EXACT)
    np.testing.assert_allclose(np.reshape(state, (len(SOS), 2, 2, 3)), zf, **EXACT)


@pytest.mark.parametrize("system", CATALOGUE)
def test_step_mode_equals_scan_mode(system, x):
    coefficients, state = system.coefficients(0.7, XP), system.initial(x[0])
    outputs = []
    for frame in x:
        y, state = system.step(state, frame, coefficients)
        outputs.append(y)
    scanned, last = system.scan(x, 0.7, XP)
    np.testing.assert_array_equal(np.stack(outputs), scanned)
    np.testing.assert_array_equal(state, last)


@pytest.mark.parametrize("system", CATALOGUE)
@pytest.mark.parametrize("cut", [1, 17, 39])
def test_a_run_cut_in_two_equals_one_run(system, x, cut):
    first, state = system.scan(x[:cut], 0.7, XP)
    second, last = system.scan(x[cut:], 0.7, XP, state)
    y, end = system.scan(x, 0.7, XP)
    np.testing.assert_array_equal(np.concatenate([first, second]), y)
    np.testing.assert_array_equal(last, end)


@pytest.mark.parametrize("system", CATALOGUE)
def test_filters_are_linear_and_leave_their_input_alone(system, x):
    before = x.copy()
    np.testing.assert_allclose(run(system, 2 * x + x[::-1]), 2 * run(system, x) + run(system, x[::-1]), **EXACT)
    np.testing.assert_array_equal(x, before)


def test_spikes_of_small_integers_are_filtered_as_numbers():
    spikes = np.array([[1], [0], [1]], dtype=np.int8)
    for one in (spikes, spikes.astype(bool)):
        np.testing.assert_allclose(run(LowPass(tau=1.0), one)[:, 0], [1, np.exp(-1), 1 + np.exp(-2)], **EXACT)


def test_single_precision_stays_single(x):
    assert run(LowPass(tau=5.0), x.astype(np.float32)).dtype == np.float32
    assert run(SecondOrderSections(sos=SOS), x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("shape", [(), (0, 2, 3)])
def test_an_input_without_steps_is_refused(shape):
    with pytest.raises(ShapeError, match=r"LowPass\.scan: x must be an array \(T, B, \*shape\) with T >= 1, got"):
        run(LowPass(tau=1.0), np.zeros(shape))


def test_a_state_of_another_shape_is_refused(x):
    with pytest.raises(ShapeError, match=r"state must hold arrays of shapes \[\(2, 3\)\], got \[\(2, 4\)\]"):
        LowPass(tau=1.0).scan(x, 1.0, XP, (np.zeros((2, 4)),))
    with pytest.raises(ShapeError, match="state must hold"):
        SecondOrderSections(sos=SOS).scan(x, 1.0, XP, (np.zeros((2, 3)),))


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan, "1"])
def test_a_wrong_time_step_is_refused(x, dt):
    with pytest.raises(ParameterError, match="scan: dt must be a positive time step in ms"):
        run(LowPass(tau=1.0), x, dt)


@pytest.mark.parametrize(
    ("system", "message"),
    [
        (LowPass(tau=np.ones(4)), r"LowPass\.tau of shape \(4,\) must broadcast to the shape of the state, \(2, 3\)"),
        (LowPass(tau=np.ones((1, 1, 1))), r"LowPass\.tau of shape \(1, 1, 1\)"),
        (LogSpaced(tau_min=1, tau_max=2, n=2, taus=np.ones((4, 2))), r"LogSpaced\.taus of shape \(4, 2\)"),
        (StateSpace(A=A, B=B), r"the last axis of the input must be 1, as B has it, got \(2, 3\)"),
    ],
)
def test_a_parameter_that_does_not_fit_the_input_is_refused(x, system, message):
    with pytest.raises(ShapeError, match=message):
        run(system, x)


def test_sections_refuse_another_time_step_than_their_own(x):
    system = SecondOrderSections(sos=SOS, dt=1.0)
    np.testing.assert_array_equal(run(system, x), run(SecondOrderSections(sos=SOS), x))
    with pytest.raises(ParameterError, match=r"designed for dt = 1\.0 ms, got 0\.5"):
        run(system, x, 0.5)

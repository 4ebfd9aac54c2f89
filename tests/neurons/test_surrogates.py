"""Surrogate derivatives: closed forms, areas, symmetry, and the gradient that torch gets."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.backends import TorchOps
from spikeloom.backends.ops import SurrogateStep
from spikeloom.errors import ParameterError
from spikeloom.neurons import (
    SURROGATES,
    Arctan,
    Blocked,
    FastSigmoid,
    Gate,
    Gaussian,
    QuadraticGate,
    Rectangle,
    ReLU,
    Sigmoid,
    Surrogate,
    Triangle,
)
from spikeloom.ops import NumpyOps, SympyOps

XP = NumpyOps()
KINDS = [SURROGATES[name] for name in SURROGATES]
ALPHA = st.floats(0.05, 20.0)
AT_ZERO = {
    Rectangle: lambda a: 1.0,
    Gaussian: lambda a: 1 / math.sqrt(2 * math.pi * a),
    Arctan: lambda a: a / 2,
    Sigmoid: lambda a: a / 4,
    Triangle: lambda a: 1 / a,
    FastSigmoid: lambda a: 1.0,
    Gate: lambda a: 1.0,
    QuadraticGate: lambda a: a,
}
AREA = {
    Rectangle: lambda a: 2 * a,
    Gaussian: lambda a: 1.0,
    Arctan: lambda a: 1.0,
    Sigmoid: lambda a: 1.0,
    Triangle: lambda a: 1.0,
    FastSigmoid: lambda a: 2 / a,
    Gate: lambda a: 2 / a,
    QuadraticGate: lambda a: 1.0,
}
LIMIT = {Rectangle: lambda a: a, Triangle: lambda a: a, Gate: lambda a: 1 / a, QuadraticGate: lambda a: 1 / a}
"""Where a surrogate of bounded support ends."""
BELLS = [kind for kind in KINDS if kind is not ReLU]
STEP_OF = {
    # the smooth function whose derivative the surrogate is
    Sigmoid: lambda d, a: 1 / (1 + sp.exp(-a * d)),
    Arctan: lambda d, a: sp.atan(sp.pi * a * d / 2) / sp.pi + sp.Rational(1, 2),
    Gaussian: lambda d, a: (1 + sp.erf(d / sp.sqrt(2 * a))) / 2,
    FastSigmoid: lambda d, a: d / (1 + a * sp.Abs(d)),
    QuadraticGate: lambda d, a: sp.Piecewise((-(a**2) * d * sp.Abs(d) / 2 + a * d, d < 1 / a), (1, True)),
    ReLU: lambda d, a: a * sp.Max(d, 0),
}


def test_every_surrogate_of_the_registry_is_tested_here():
    assert set(BELLS) == set(AT_ZERO) == set(AREA)


@pytest.mark.parametrize("kind", BELLS)
@given(alpha=ALPHA, d=st.floats(-30, 30))
def test_a_surrogate_is_symmetric_greatest_at_the_threshold_and_nowhere_negative(kind, alpha, d):
    slope = kind(alpha).derivative(np.array([d, -d, 0.0]), XP)
    assert slope[0] == slope[1]
    assert 0 <= slope[0] <= slope[2] * (1 + 1e-15)
    assert slope[2] == pytest.approx(AT_ZERO[kind](alpha), rel=1e-12)


@pytest.mark.parametrize("kind", BELLS)
@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.5])
def test_the_area_under_a_surrogate_is_the_closed_form(kind, alpha):
    surrogate = kind(alpha)
    right = [0, LIMIT[kind](alpha), np.inf] if kind in LIMIT else [0, np.inf]
    half = sum(
        scipy.integrate.quad(lambda d: float(surrogate.derivative(np.array(d), XP)), a, b)[0]
        for a, b in pairwise(right)
    )
    assert 2 * half == pytest.approx(AREA[kind](alpha), rel=1e-6)


@pytest.mark.parametrize("kind", STEP_OF)
def test_a_surrogate_is_the_derivative_of_its_smooth_step(kind):
    d, a = sp.symbols("d a", real=True, positive=True)
    slope = sp.lambdify((d, a), sp.diff(STEP_OF[kind](d, a), d))
    at = np.linspace(0.01, 3, 40)
    for alpha in (0.4, 1.0, 3.0):
        np.testing.assert_allclose(kind(alpha).derivative(at, XP), slope(at, alpha), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_surrogate_means_the_same_on_arrays_tensors_and_symbols(kind):
    d = np.linspace(-2.03, 2.02, 50)
    surrogate, symbol = kind(0.7), sp.Symbol("d", real=True)
    truth = surrogate.derivative(d, XP)
    np.testing.assert_allclose(surrogate.derivative(torch.from_numpy(d), TorchOps()), truth, rtol=1e-14)
    on_symbols = sp.lambdify(symbol, surrogate.derivative(symbol, SympyOps()))
    np.testing.assert_allclose([on_symbols(x) for x in d], truth, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_the_step_of_torch_has_the_surrogate_as_its_gradient(kind):
    d = torch.tensor([-2.0, -0.3, -1e-9, 0.0, 0.2, 4.0], dtype=torch.float64, requires_grad=True)
    fired = SurrogateStep.apply(d, kind(0.6))
    assert fired.tolist() == [0, 0, 0, 1, 1, 1]
    (slope,) = torch.autograd.grad(fired, d, torch.full_like(d, 2.0))
    np.testing.assert_allclose(slope, 2 * kind(0.6).derivative(d.detach().numpy(), XP), rtol=1e-14)


def test_a_rectifier_lets_through_what_lies_above_the_threshold_and_a_blocked_one_nothing():
    at = np.array([-2.0, -1e-9, 0.0, 1e-9, 3.0])
    assert ReLU(0.7).derivative(at, XP).tolist() == [0, 0, 0, 0.7, 0.7]
    assert Blocked().derivative(at, XP).tolist() == [0] * 5


def test_the_gates_of_spaic_are_a_rectangle_and_a_triangle_of_width_one_over_alpha():
    at = np.linspace(-1, 1, 81)
    np.testing.assert_array_equal(Gate(4.0).derivative(at, XP), Rectangle(0.25).derivative(at, XP))
    np.testing.assert_allclose(QuadraticGate(4.0).derivative(at, XP), Triangle(0.25).derivative(at, XP), atol=1e-14)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("AtanGrad", Arctan),
        ("SigmoidGrad", Sigmoid),
        ("RectangleGrad", Rectangle),
        ("GateGrad", Gate),
        ("QGateGrad", QuadraticGate),
        ("ReLUGrad", ReLU),
    ],
)
def test_the_names_of_spaic_are_known(name, kind):
    assert SURROGATES[name] is kind


def test_a_rectangle_ends_before_alpha_and_a_triangle_at_it():
    at = np.array([0.5, np.nextafter(0.5, 0)])
    assert Rectangle(0.5).derivative(at, XP).tolist() == [0.0, 1.0]
    assert Triangle(0.5).derivative(at, XP)[0] == 0.0


@pytest.mark.parametrize("alpha", [0, -1.0, math.nan, math.inf, "1", None, True, [1.0]])
@pytest.mark.parametrize("kind", KINDS)
def test_a_width_that_is_no_positive_number_is_refused(kind, alpha):
    with pytest.raises(ParameterError, match=rf"{kind.__name__}\.alpha must be a positive number, got"):
        kind(alpha)


def test_a_surrogate_far_from_the_threshold_is_a_number():
    far = np.array([-1e4, 1e4])
    assert all(np.all(np.isfinite(kind().derivative(far, XP))) for kind in KINDS)
    assert all(issubclass(kind, Surrogate) for kind in KINDS)

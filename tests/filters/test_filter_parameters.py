"""Construction, equality, names and descriptions of filters; independence of torch."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import torch

from spikeloom.errors import DataError, ParameterError, ShapeError, UnknownNameError, UnsupportedError
from spikeloom.filters import (
    FILTERS,
    Alpha,
    DoubleExponential,
    Filter,
    LogSpaced,
    LowPass,
    SecondOrderSections,
    StateSpace,
    describe,
    filter_from,
)

SOS = scipy.signal.bessel(3, 20.0, fs=1000.0, output="sos")


def catalogue():
    return [
        LowPass(tau=7.0),
        LowPass(tau=np.array([2.0, 5.0]), normalise=True),
        LogSpaced(tau_min=1.0, tau_max=100.0, n=4),
        LogSpaced(tau_min=1.0, tau_max=100.0, n=2, taus=[3.0, 4.0]),
        StateSpace(A=[[-1.0, 0.0], [0.5, -1.0]], B=[[1.0], [0.0]]),
        StateSpace(A=[[-1.0]], B=[[1.0]], C=[[2.0]], D=[[3.0]]),
        SecondOrderSections(sos=SOS, dt=1.0),
        DoubleExponential(tau_r=9.0, tau_d=2.0),
        Alpha(tau=np.array([2.0, 5.0])),
    ]


@pytest.mark.parametrize("tau", [0, -1.0, np.nan, np.inf, [1.0, 0.0], [1.0, np.nan], "5", True, None, ["a"], [[1], []]])
def test_a_time_constant_that_is_no_positive_time_is_refused(tau):
    with pytest.raises(ParameterError, match=r"LowPass\.tau must be"):
        LowPass(tau=tau)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"tau_min": 0.0}, ParameterError, r"LogSpaced\.tau_min must be a positive time in ms, got 0\.0"),
        ({"tau_min": [1.0, 2.0]}, ParameterError, r"LogSpaced\.tau_min must be one time in ms"),
        ({"tau_max": 0.5}, ParameterError, r"LogSpaced\.tau_min must be at most tau_max, got 1\.0 and 0\.5"),
        ({"n": 0}, ParameterError, r"LogSpaced\.n must be a positive number of filters, got 0"),
        ({"n": 2.0}, ParameterError, r"LogSpaced\.n must be a positive number of filters, got 2\.0"),
        ({"taus": [1.0, 2.0]}, ShapeError, r"LogSpaced\.taus must have a last axis of n = 3, got \(2,\)"),
        ({"taus": 1.0}, ShapeError, r"LogSpaced\.taus must have a last axis of n = 3, got \(\)"),
        ({"taus": [1.0, -2.0, 3.0]}, ParameterError, r"LogSpaced\.taus must be a positive time in ms"),
    ],
)
def test_a_wrong_bank_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        LogSpaced(**{"tau_min": 1.0, "tau_max": 10.0, "n": 3} | wrong)


@pytest.mark.parametrize(
    ("matrices", "error", "message"),
    [
        ({"A": -1.0}, ShapeError, r"StateSpace\.A must be a matrix, got shape \(\)"),
        ({"B": [1.0, 0.0]}, ShapeError, r"StateSpace\.B must be a matrix, got shape \(2,\)"),
        ({"A": np.eye(3)}, ShapeError, r"StateSpace\.A does not fit: expected \(2, 2\) .* got \(3, 3\)"),
        ({"C": np.ones((1, 3))}, ShapeError, r"StateSpace\.C does not fit: expected \(1, 2\) .* got \(1, 3\)"),
        ({"D": np.ones((1, 1))}, ShapeError, r"StateSpace\.D does not fit: expected \(2, 1\) .* got \(1, 1\)"),
        ({"A": [[np.inf, 0], [0, 0]]}, ParameterError, r"StateSpace\.A must be finite"),
        (
            {"A": np.eye(2) * 1j},
            ParameterError,
            r"StateSpace\.A must be an array of real numbers, got dtype complex128",
        ),
    ],
)
def test_matrices_that_do_not_fit_are_refused(matrices, error, message):
    with pytest.raises(error, match=message):
        StateSpace(**{"A": -np.eye(2), "B": np.ones((2, 1))} | matrices)


@pytest.mark.parametrize(
    ("sos", "error", "message"),
    [
        (SOS[0], ShapeError, r"SecondOrderSections\.sos must have shape \(n_sections, 6\), got \(6,\)"),
        (torch.ones(6), ShapeError, r"must have shape \(n_sections, 6\), got \(6,\)"),
        (SOS[:, :5], ShapeError, r"got \(2, 5\)"),
        (SOS[:0], ShapeError, r"got \(0, 6\)"),
        (2 * SOS, ParameterError, r"sos\[:, 3\] must be 1, got .*; divide each row by it"),
    ],
)
def test_sections_of_another_form_are_refused(sos, error, message):
    with pytest.raises(error, match=message):
        SecondOrderSections(sos=sos)


def test_sections_refuse_a_wrong_dt():
    with pytest.raises(ParameterError, match=r"SecondOrderSections\.dt must be a positive time step"):
        SecondOrderSections(sos=SOS, dt=0)


def test_a_filter_is_frozen_and_keeps_its_own_arrays():
    taus = np.array([1.0, 2.0])
    system = LowPass(tau=taus)
    taus[0] = 9.0
    assert system.tau.tolist() == [1.0, 2.0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        system.tau = 3.0


def test_equal_filters_are_equal_and_others_are_not():
    for i, a in enumerate(catalogue()):
        for j, b in enumerate(catalogue()):
            assert (a == b) is (i == j)
            assert i != j or hash(a) == hash(b)
    assert LowPass(tau=5) == LowPass(tau=5.0)
    assert LogSpaced(tau_min=1, tau_max=9, n=np.int64(3)) == LogSpaced(tau_min=1.0, tau_max=9.0, n=3)
    assert LowPass(tau=5.0) != LowPass(tau=5.0, normalise=True)
    assert LowPass(tau=[1.0, 2.0]) != LowPass(tau=[1.0, 3.0])
    assert LowPass(tau=5.0) != 5.0


def test_bound_puts_parameters_in_place_and_leaves_the_filter_alone():
    system = LogSpaced(tau_min=1.0, tau_max=100.0, n=3)
    values = {name: 2 * value for name, value in system.parameters().items()}
    np.testing.assert_allclose(system.bound(values).time_constants(), [2.0, 20.0, 200.0])
    np.testing.assert_allclose(system.time_constants(), [1.0, 10.0, 100.0])


@pytest.mark.parametrize("system", catalogue(), ids=lambda s: type(s).__name__)
def test_a_filter_survives_being_written_as_json(system):
    assert filter_from(json.loads(json.dumps(describe(system)))) == system


def test_a_description_is_the_name_and_the_parameters():
    assert describe(LowPass(tau=7)) == {"filter": "low_pass", "tau": 7.0, "normalise": False}
    known = {"low_pass", "log_spaced", "state_space", "second_order_sections", "double_exponential", "alpha"}
    assert set(FILTERS) == known
    assert filter_from({"filter": "LowPass", "Tau": 5.0}) == LowPass(tau=5.0)


@pytest.mark.parametrize(
    ("description", "error", "message"),
    [
        ({"filter": "lowpas", "tau": 5.0}, UnknownNameError, "unknown filter 'lowpas'; did you mean 'low_pass'"),
        ({"filter": "low_pass", "normalize": True, "tau": 5.0}, ParameterError, "did you mean 'normalise'"),
        ({"filter": "low_pass"}, DataError, "filter 'low_pass': the description lacks tau"),
        ({"tau": 5.0}, DataError, "must hold its name under 'filter', got"),
        ("low_pass", DataError, "must hold its name under 'filter', got 'low_pass'"),
        ({"filter": "low_pass", "tau": -5.0}, ParameterError, r"LowPass\.tau must be a positive time"),
    ],
)
def test_a_wrong_description_is_refused(description, error, message):
    with pytest.raises(error, match=message):
        filter_from(description)


def test_a_filter_without_a_name_cannot_be_described():
    class Other(LowPass):
        pass

    assert issubclass(Other, Filter)
    with pytest.raises(UnsupportedError, match=r"register it with FILTERS\.add\(name, Other\)"):
        describe(Other(tau=1.0))


def test_filters_run_where_torch_cannot_be_imported():
    program = """
import sys
sys.modules["torch"] = None
import numpy as np
from spikeloom.filters import LowPass, StateSpace
from spikeloom.ops import NumpyOps
LowPass(tau=2.0).scan(np.ones((3, 1)), 1.0, NumpyOps())
StateSpace(A=[[-1.0]], B=[[1.0]]).scan(np.ones((3, 1)), 1.0, NumpyOps())
heavy = {"scipy", "sympy", "matplotlib"} & set(sys.modules)
raise SystemExit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

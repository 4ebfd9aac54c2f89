"""The vocabulary of neurons means the same on arrays, tensors and symbols, and on plain floats."""

import math

import numpy as np
import pytest
import sympy as sp
import torch

from spikeloom.backends import TorchOps
from spikeloom.ops import NumpyOps, SympyOps

X = np.array([0.25, 1.0, 2.5])
Y = np.array([1.0, -3.0, 2.5])
LINES = {
    "exp": lambda x, y, xp: xp.exp(y),
    "log": lambda x, y, xp: xp.log(x),
    "tanh": lambda x, y, xp: xp.tanh(y),
    "sqrt": lambda x, y, xp: xp.sqrt(x),
    "abs": lambda x, y, xp: xp.abs(y),
    "where": lambda x, y, xp: xp.where(x < y, 2.0, y),
    "minimum": lambda x, y, xp: xp.minimum(x, y),
    "maximum": lambda x, y, xp: xp.maximum(x, y),
    "minimum of a float": lambda x, y, xp: xp.minimum(0.5, x),
    "maximum of a float": lambda x, y, xp: xp.maximum(0.5, x),
    "minimum with a float": lambda x, y, xp: xp.minimum(x, 0.5),
    "maximum with a float": lambda x, y, xp: xp.maximum(x, 0.5),
    "and": lambda x, y, xp: xp.where(xp.logical_and(x > 0.5, y > 0.0), 1.0, 0.0),
    "or": lambda x, y, xp: xp.where(xp.logical_or(x > 0.5, y > 0.0), 1.0, 0.0),
    "not": lambda x, y, xp: xp.where(xp.logical_not(x > 0.5), 1.0, 0.0),
    "stop_gradient": lambda x, y, xp: xp.stop_gradient(x) * y,
}
TRUTH = {
    "exp": np.exp(Y), "log": np.log(X), "tanh": np.tanh(Y), "sqrt": np.sqrt(X), "abs": [1.0, 3.0, 2.5],
    "where": [2.0, -3.0, 2.5], "minimum": [0.25, -3.0, 2.5], "maximum": [1.0, 1.0, 2.5],
    "minimum of a float": [0.25, 0.5, 0.5], "maximum of a float": [0.5, 1.0, 2.5],
    "minimum with a float": [0.25, 0.5, 0.5], "maximum with a float": [0.5, 1.0, 2.5],
    "and": [0, 0, 1], "or": [1, 1, 1], "not": [1, 0, 0], "stop_gradient": X * Y,
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_line_means_the_same_on_arrays_tensors_and_symbols(line):
    on_arrays = LINES[line](X, Y, NumpyOps())
    on_tensors = LINES[line](torch.from_numpy(X), torch.from_numpy(Y), TorchOps()).numpy()
    symbols = sp.symbols("x y", real=True)
    on_symbols = sp.lambdify(symbols, LINES[line](*symbols, SympyOps()))
    np.testing.assert_allclose(on_arrays, TRUTH[line], rtol=1e-15)
    np.testing.assert_allclose(on_tensors, TRUTH[line], rtol=1e-15)
    np.testing.assert_allclose([on_symbols(x, y) for x, y in zip(X, Y, strict=True)], TRUTH[line], rtol=1e-14)


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sqrt", "abs"])
@pytest.mark.parametrize("xp", [NumpyOps(), TorchOps()], ids=["numpy", "torch"])
def test_a_function_takes_a_plain_float(name, xp):
    truth = {"abs": math.fabs}.get(name) or getattr(math, name)
    assert float(getattr(xp, name)(0.7)) == pytest.approx(truth(0.7), rel=1e-15)


@pytest.mark.parametrize("xp", [NumpyOps(), TorchOps()], ids=["numpy", "torch"])
def test_the_extremes_of_two_floats_are_floats(xp):
    assert xp.minimum(1.0, 2.0) == 1.0
    assert xp.maximum(1.0, 2.0) == 2.0


def test_stopping_a_gradient_keeps_the_value_and_cuts_the_graph():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    stopped = TorchOps().stop_gradient(x)
    assert torch.equal(stopped, x)
    assert not stopped.requires_grad


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_stacking_adds_an_axis(axis):
    on_tensors = TorchOps().stack([torch.from_numpy(X), torch.from_numpy(Y)], axis)
    np.testing.assert_array_equal(NumpyOps().stack([X, Y], axis), on_tensors.numpy())
    assert on_tensors.shape == ((2, 3) if axis == 0 else (3, 2))

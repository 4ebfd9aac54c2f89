"""The lines of the catalogue mean the same on arrays, tensors and symbols; and for each neuron of a population."""

import numpy as np
import pytest
import sympy as sp
import torch
from stepping import run

from spikeloom.backends import TorchOps
from spikeloom.backends.ops import fire
from spikeloom.neurons import (
    ALIF,
    CLIF,
    CLIF2K,
    GLIF5,
    IFB,
    LIF,
    LIFM,
    PCLIF,
    PLIF,
    AdaptiveCLIF,
    ALIFSTDPEx,
    ConstantCurrentLIF,
    CubaLIF,
    DiehlAndCook,
    IFSoftReset,
    LIFInt,
    LIFSTDPEx,
    LIFSTDPIh,
    NonSpikingIFB,
    NonSpikingLIF,
    Null,
    advance,
    with_refractory,
)
from spikeloom.ops import SympyOps

MODELS = [
    (IFSoftReset(constant_decay=0.1), 1.0),
    (IFB(bias=0.1), 1.0),
    (NonSpikingIFB(bias=0.1), 1.0),
    (PLIF(), 3.0),
    (PLIF(tau_m=3.0, v_reset=-0.2, scale_input=False), 1.0),
    (ALIF(), 1.0),
    (ALIF(scale_input=True), 40.0),
    (CubaLIF(v_rest=0.2), 30.0),
    (LIFM(), 1.0),
    (ConstantCurrentLIF(), 20.0),
    (NonSpikingLIF(), 1.0),
    (Null(), 1.0),
    (CLIF2K(), 1.0),
    (PCLIF(), 3.0),
    (AdaptiveCLIF(), 1.0),
    (GLIF5(c_m=3.0), 4.0),
    (LIFInt(thresh=5.0, reset_refrac=2.0), 6.0),
    (DiehlAndCook(), 2500.0),
    (LIFSTDPEx(), 10.0),
    (ALIFSTDPEx(), 3.0),
    (LIFSTDPIh(), 15.0),
    (with_refractory(LIF(), 2.0), 1.0),
    (with_refractory(CLIF(), 2.0), 1.0),
]
BY_NAME = pytest.mark.parametrize(("neuron", "scale"), MODELS, ids=[type(n).__name__ for n, _ in MODELS])


def inputs_of(scale):
    return np.random.default_rng(3).uniform(-0.2, 0.9, (40, 2, 3)) * scale


@BY_NAME
def test_on_tensors(neuron, scale):
    x = inputs_of(scale)
    outputs, states = run(neuron, x, 0.5)
    on_tensors, tensor_states = run(neuron, torch.from_numpy(x), 0.5, TorchOps(), fire)
    np.testing.assert_allclose(on_tensors, outputs, rtol=1e-12, atol=1e-12)
    for name, values in states.items():
        np.testing.assert_allclose(tensor_states[name], values, rtol=1e-12, atol=1e-12)
    assert outputs.any(), "the inputs are to make it fire"


@pytest.mark.parametrize(
    ("neuron", "scale"),
    [(n, s) for n, s in MODELS if not isinstance(n, DiehlAndCook)],  # SymPy takes a minute for its nested floors
    ids=lambda value: type(value).__name__,
)
def test_on_symbols(neuron, scale):
    names = [p for p in neuron.parameters() if isinstance(getattr(neuron, p), float)]
    parameters = {name: sp.Symbol(name, real=True) for name in names}
    state = type(neuron).State(*sp.symbols([f"{n}_before" for n in type(neuron).State._fields], real=True))
    i, dt = sp.symbols("i dt", real=True)
    output, after = advance(neuron.bound(parameters), state, i, dt, SympyOps())
    step = sp.lambdify([*state, i, dt, *parameters.values()], [output, *after])
    values = [getattr(neuron, name) for name in names]
    x = inputs_of(scale)
    outputs, states = run(neuron, x, 0.5)
    variables = np.array(neuron.initial())
    for k in range(len(x)):
        fired, *variables = step(*variables, x[k, 0, 0], 0.5, *values)
        assert float(fired) == pytest.approx(outputs[k, 0, 0], rel=1e-12, abs=1e-12)
        found = [float(v) for v in variables]
        assert found == pytest.approx([part[k, 0, 0] for part in states.values()], rel=1e-12, abs=1e-12)


@BY_NAME
def test_with_a_parameter_for_each_neuron(neuron, scale):
    given = {name: getattr(neuron, name) for name in neuron.parameters()}
    arrays = {name: np.full(2, value) if isinstance(value, float) else value for name, value in given.items()}
    x = inputs_of(scale)[:, 0, :2]
    together, _ = run(type(neuron)(**arrays, emission=neuron.emission), x, 0.5)
    for k in range(2):
        np.testing.assert_array_equal(together[:, k], run(neuron, x[:, k], 0.5)[0])

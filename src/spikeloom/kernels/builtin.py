"""The kernels that are compiled when the package is built: the models as users meet them first.

Whatever is not among them is compiled on first use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..filters import LowPass
from ..neurons import (
    ALIF,
    CLIF,
    IF,
    LI,
    LIF,
    PLIF,
    Arctan,
    CubaLIF,
    Emission,
    Gaussian,
    Neuron,
    Rectangle,
    Sigmoid,
    Subtract,
    Surrogate,
)
from .model import Model
from .printer import WIDTHS
from .trace import Inlet, trace

_STRAIGHT = Inlet("i_syn")
_FILTERED = Inlet("i_syn", LowPass(tau=5.0), 1)


def models() -> Iterator[Model]:
    """The models in float that come with the package."""
    for inlet, surrogates in ((_STRAIGHT, (Arctan(), Rectangle(), Gaussian(), Sigmoid())), (_FILTERED, (Arctan(),))):
        for neuron in _resets(LIF(), surrogates):
            yield _model(neuron, inlet)
    for neuron in _resets(IF(), (Arctan(), Rectangle())):
        yield _model(neuron, _STRAIGHT)
    for neuron in _surrogates(CLIF(), (Arctan(), Rectangle(), Gaussian())):
        yield _model(neuron, _STRAIGHT)
    for neuron in (PLIF(), ALIF(), CubaLIF()):
        yield _model(neuron, _STRAIGHT)
    for inlet in (_STRAIGHT, _FILTERED):
        yield _model(LI(), inlet)


def sources() -> list[str]:
    """The sources of the libraries to build."""
    return [model.source("float", width) for model in models() for width in WIDTHS]


def _model(neuron: Neuron[Any], inlet: Inlet) -> Model:
    step = trace(neuron, [inlet])
    return Model(step, step.depending_on(f"neuron.{name}" for name in neuron.trains))


def _resets(neuron: Neuron[Any], surrogates: tuple[Surrogate, ...]) -> Iterator[Neuron[Any]]:
    for one in _surrogates(neuron, surrogates):
        yield one
        yield _with(one, replace(one.emission, reset=Subtract()))


def _surrogates(neuron: Neuron[Any], surrogates: tuple[Surrogate, ...]) -> Iterator[Neuron[Any]]:
    for surrogate in surrogates:
        yield _with(neuron, replace(neuron.emission, surrogate=surrogate))


def _with(neuron: Neuron[Any], emission: Emission) -> Neuron[Any]:
    return neuron.bound({"emission": emission})

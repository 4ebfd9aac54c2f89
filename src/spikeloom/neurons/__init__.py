"""Neuron models: one model a file, each written once in the vocabulary of `spikeloom.ops`."""

from typing import Any

from ..registry import Registry
from .clif import CLIF, CLIFState
from .description import describe, neuron_from
from .emission import (
    FORWARDS,
    RESETS,
    Emission,
    Forward,
    Graded,
    NoReset,
    Reset,
    Scale,
    Smooth,
    Step,
    Subtract,
    ToValue,
)
from .integrate_and_fire import IF, IFState
from .leaky_integrator import LI
from .lif import LIF, LIFState
from .neuron import Neuron, advance
from .surrogates import SURROGATES, Arctan, FastSigmoid, Gaussian, Rectangle, Sigmoid, Surrogate, Triangle

NEURONS: Registry[type[Neuron[Any]]] = Registry("neuron model")
NEURONS.add("if", IF)
NEURONS.add("lif", LIF)
NEURONS.add("clif", CLIF)
NEURONS.add("li", LI)

__all__ = [
    "CLIF",
    "FORWARDS",
    "IF",
    "LI",
    "LIF",
    "NEURONS",
    "RESETS",
    "SURROGATES",
    "Arctan",
    "CLIFState",
    "Emission",
    "FastSigmoid",
    "Forward",
    "Gaussian",
    "Graded",
    "IFState",
    "LIFState",
    "Neuron",
    "NoReset",
    "Rectangle",
    "Reset",
    "Scale",
    "Sigmoid",
    "Smooth",
    "Step",
    "Subtract",
    "Surrogate",
    "ToValue",
    "Triangle",
    "advance",
    "describe",
    "neuron_from",
]

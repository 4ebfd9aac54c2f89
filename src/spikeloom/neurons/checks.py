"""Checks of parameters that are neither times nor plain finite numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ParameterError
from .neuron import Neuron, check_finite


def check_factor(neuron: Neuron[Any], *names: str) -> None:
    """Raises ParameterError unless each named parameter is what remains after a step, from 0 to 1, or an array."""
    _check(neuron, names, lambda v: (v >= 0) & (v <= 1), "what remains after one step, a number from 0 to 1")


def check_whole(neuron: Neuron[Any], *names: str) -> None:
    """Raises ParameterError unless each named parameter is a whole number, kept as a float, or an array of such."""
    _check(neuron, names, lambda v: v == np.floor(v), "a whole number")


def _check(neuron: Neuron[Any], names: tuple[str, ...], holds: Any, expected: str) -> None:
    check_finite(neuron, *names)
    for name in names:
        value = getattr(neuron, name)
        if not np.all(holds(np.asarray(value))):
            raise ParameterError(f"{type(neuron).__name__}.{name} must be {expected}, got {value!r}")

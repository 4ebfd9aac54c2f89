"""Delays of single synapses, as a connection keeps them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError, UnsupportedError
from ..units import steps
from .initializers import Initializer
from .links import Drawn, Full, Link, OneToOne, SynapseList
from .parameters import ParameterSpec, check_finite, numbers

_BELOW = "delays must be times in ms, zero or more"


def is_time(value: Any) -> bool:
    """Whether a value is one time in ms, zero or more."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and 0 <= value < float("inf")


def given_delay(owner: str, delay: Any, link: Link) -> float | NDArray[Any] | Initializer:
    """The delay as a float, an array of its own that nobody writes to, or an initializer."""
    if is_time(delay):
        return float(delay)
    if not isinstance(delay, (Initializer, np.ndarray, list, tuple)) and not hasattr(delay, "detach"):
        raise ParameterError(f"{owner}.delay must be a time in ms, zero or more, got {delay!r}; or an array of such")
    if not isinstance(link, (Full, OneToOne, SynapseList)):
        raise UnsupportedError(
            f"{owner}.delay: the neurons of link type {link.name!r} share synapses; give one delay, or use 'full', "
            "'sparse' or 'one_to_one'"
        )
    if isinstance(delay, Initializer):
        return delay
    if isinstance(link, Drawn):
        raise ParameterError(f"{owner}.delay must be a time or an initializer: the synapses are yet to be drawn")
    array = numbers(f"{owner}.delay", delay, "one time in ms for each synapse").astype(np.float64)
    check_finite(f"{owner}.delay", array)
    if np.any(array < 0):
        raise ParameterError(f"{owner}: {_BELOW}, got {array.min()}")
    array.setflags(write=False)
    return array


def delay_spec(path: str, delay: NDArray[Any] | Initializer, weight: ParameterSpec) -> ParameterSpec:
    """The delays as the parameter store keeps them, in the shape of the weight."""
    name = f"{path}.delay"
    if isinstance(delay, Initializer):
        start = partial(_start, name, delay, weight.shape)
        return ParameterSpec(name, weight.shape, start, trainable=False, accept=partial(_check, name))
    if delay.shape != weight.shape:
        raise ShapeError(f"{name} must have the shape of the weight, {weight.shape}, got {delay.shape}")
    return ParameterSpec(name, weight.shape, lambda _: delay.copy(), trainable=False, accept=partial(_check, name))


def _check(name: str, delays: NDArray[Any]) -> None:
    if np.any(delays < 0):
        raise ParameterError(f"{name}: {_BELOW}, got {delays.min():g}")


def _start(name: str, delay: Initializer, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
    delays = delay.draw(shape, generator)
    if np.any(delays < 0):
        raise ParameterError(
            f"{name}: {_BELOW}, its initializer drew {delays.min():g}; use Uniform(a, b) with a from 0 on"
        )
    return delays


def whole_steps(owner: str, delay: float | NDArray[Any], dt: float) -> Any:
    """Delays in steps of dt ms; ParameterError unless each is a whole number of them."""
    times = np.asarray(delay)
    counts = np.array([steps(float(t), dt) for t in np.unique(times)])
    apart = np.abs(counts * dt - np.unique(times)) > 1e-6 * dt * np.maximum(1, counts)
    if apart.any():
        wrong = float(np.unique(times)[apart][0])
        raise ParameterError(f"{owner}: delay {wrong} ms is not a whole number of steps of {dt} ms")
    return counts

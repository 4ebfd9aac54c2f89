"""Delays of single synapses, as a connection keeps them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError, UnsupportedError
from ..units import steps
from .initializers import Constant, Initializer
from .links import Drawn, Full, Link, OneToOne, SynapseList
from .parameters import ParameterSpec, check_finite, real_numbers

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
    array = real_numbers(f"{owner}.delay", delay, "one time in ms for each synapse")
    check_finite(f"{owner}.delay", array)
    if np.any(array < 0):
        raise ParameterError(f"{owner}: {_BELOW}, got {array.min()}")
    array.setflags(write=False)
    return array


def are_drawn(delay: float | NDArray[Any] | Initializer) -> bool:
    """Whether delays are drawn at random; a run rounds them to whole steps, all others must be some."""
    return isinstance(delay, Initializer) and not isinstance(delay, Constant)


def delay_spec(
    path: str, delay: NDArray[Any] | Initializer, weight: ParameterSpec, accept: Callable[[NDArray[Any]], None]
) -> ParameterSpec:
    """The delays as the parameter store keeps them, in the shape of the weight; accept: what later ones must pass."""
    name = f"{path}.delay"
    if isinstance(delay, Initializer):
        start = partial(_start, name, delay, weight.shape)
        return ParameterSpec(name, weight.shape, start, trainable=False, accept=accept)
    if delay.shape != weight.shape:
        raise ShapeError(f"{name} must have the shape of the weight, {weight.shape}, got {delay.shape}")
    return ParameterSpec(name, weight.shape, lambda _: delay.copy(), trainable=False, accept=accept)


def check_delays(name: str, delays: NDArray[Any]) -> None:
    """Raises ParameterError unless these are times, zero or more."""
    if delays.dtype.kind == "b":
        raise ParameterError(f"{name}: {_BELOW}, got booleans; give numbers")
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
    """Different delays in steps of dt ms; ParameterError unless each is a whole number of them in single precision,
    in which networks keep them."""
    different = np.unique(np.asarray(delay))
    counts = steps(different.astype(np.float32), dt)
    apart = np.abs(counts * dt - different) > 1e-6 * dt * np.maximum(1, counts)
    if apart.any():
        wrong, below = different[apart][0], int(counts[apart][0])
        raise ParameterError(
            f"{owner}: delay {wrong!s} ms is not a whole number of steps of {dt} ms; the nearest are "
            f"{below * dt:.9g} and {(below + 1) * dt:.9g} ms: give one of them, or another dt"
        )
    return counts

"""Delays of single synapses, as a connection keeps them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError, UnsupportedError
from ..neurons.surrogates import is_number
from ..registry import fill_keywords
from ..units import steps
from .initializers import Constant, Initializer, Uniform
from .learned_delays import MOST_STEPS, LearnedDelays
from .links import Drawn, Full, Link, OneToOne, SynapseList
from .parameters import ParameterSpec, check_finite, real_numbers

_BELOW = "delays must be times in ms, zero or more"


def is_time(value: Any) -> bool:
    """Whether a value is one time in ms, zero or more."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and 0 <= value < float("inf")


Delay = float | NDArray[Any] | Initializer | LearnedDelays
"""One delay in ms, or one for each synapse: given, drawn or learned."""


def drawn_between(owner: str, delay: Any, keywords: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The delay, or one drawn for each synapse between SPAIC's min_delay= (1 ms unless given) and max_delay=, and the
    other keywords. In SPAIC no gradient reaches these either."""
    own, rest = fill_keywords(owner, "connection", {"max_delay": None, "min_delay": None}, keywords)
    largest, least = own["max_delay"], own["min_delay"]
    if largest is None and least is None:
        return delay, rest
    if not is_number(delay) or delay != 0:
        raise ParameterError(f"{owner}: a delay is given by delay= or by max_delay=, got both; omit one")
    least = min(1.0, largest) if least is None and is_time(largest) else least
    if not is_time(largest) or not is_time(least) or least > largest:
        raise ParameterError(
            f"{owner}: max_delay and min_delay must be times in ms, 0 <= min_delay <= max_delay, got {largest!r} and "
            f"{least!r}"
        )
    return (Uniform(float(least), float(largest)) if largest > 0 else 0.0), rest


def given_delay(owner: str, delay: Any, link: Link) -> Delay:
    """The delay as a float, an array of its own that nobody writes to, an initializer or delays that learn."""
    if is_time(delay):
        return float(delay)
    known = (Initializer, LearnedDelays, np.ndarray, list, tuple)
    if not isinstance(delay, known) and not hasattr(delay, "detach"):
        raise ParameterError(f"{owner}.delay must be a time in ms, zero or more, got {delay!r}; or an array of such")
    if not isinstance(link, (Full, OneToOne, SynapseList)):
        raise UnsupportedError(
            f"{owner}.delay: the neurons of link type {link.name!r} share synapses; give one delay, or use 'full', "
            "'sparse' or 'one_to_one'"
        )
    if isinstance(delay, Initializer) or (isinstance(delay, LearnedDelays) and not isinstance(delay.init, np.ndarray)):
        return delay
    if isinstance(link, Drawn):
        raise ParameterError(f"{owner}.delay must be a time or an initializer: the synapses are yet to be drawn")
    if isinstance(delay, LearnedDelays):
        return delay
    array = real_numbers(f"{owner}.delay", delay, "one time in ms for each synapse")
    check_finite(f"{owner}.delay", array)
    if np.any(array < 0):
        raise ParameterError(f"{owner}: {_BELOW}, got {array.min()}")
    array.setflags(write=False)
    return array


def are_rounded(delay: Delay) -> bool:
    """Whether delays are drawn at random or learned: a run rounds them to whole steps, all others must be some."""
    return isinstance(delay, (Initializer, LearnedDelays)) and not isinstance(delay, Constant)


def delay_specs(
    path: str, delay: Delay, weight: ParameterSpec, accept: Callable[[NDArray[Any]], None]
) -> list[ParameterSpec]:
    """The delays of single synapses as the parameter store keeps them, in the shape of the weight; none where there is
    one delay for all; accept: what later ones must pass."""
    if isinstance(delay, float):
        return []
    if isinstance(delay, LearnedDelays):
        return delay.specs(path, weight)
    name = f"{path}.delay"
    if isinstance(delay, Initializer):
        start = partial(_start, name, delay, weight.shape)
        return [ParameterSpec(name, weight.shape, start, trainable=False, accept=accept)]
    if delay.shape != weight.shape:
        raise ShapeError(f"{name} must have the shape of the weight, {weight.shape}, got {delay.shape}")
    return [ParameterSpec(name, weight.shape, lambda _: delay.copy(), trainable=False, accept=accept)]


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
    if counts.size and counts.max() > MOST_STEPS:
        raise ParameterError(f"{owner}: a delay is at most {MOST_STEPS} steps of {dt:g} ms, got {different.max():g} ms")
    apart = np.abs(counts * dt - different) > 1e-6 * dt * np.maximum(1, counts)
    if apart.any():
        wrong, below = different[apart][0], int(counts[apart][0])
        raise ParameterError(
            f"{owner}: delay {wrong!s} ms is not a whole number of steps of {dt} ms; the nearest are "
            f"{below * dt:.9g} and {(below + 1) * dt:.9g} ms: give one of them, or another dt"
        )
    return counts

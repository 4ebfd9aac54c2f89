"""What the parameters of event filters and transforms mean, by their names: one rule each, whoever has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from ..spikes.validate import as_array
from .container import LARGEST_SIDE, Events
from .filters_native import extent

LARGEST_SPAN = 2**62
"""The times of a stream, in us, must lie within less than this of each other and of 0 where they are changed."""


def checked(owner: str, **given: Any) -> Any:
    """The parameters as the functions use them, in the order given (one alone: itself).

    Raises ParameterError that names `owner` and the parameter.
    """
    values = [rule(owner, name)(value, f"{owner}.{name}") for name, value in given.items()]
    return values[0] if len(values) == 1 else tuple(values)


def rule(owner: str, name: str) -> Callable[[Any, str], Any]:
    """The rule of a parameter: the one of its owner, else the one of its name."""
    return RULES.get(f"{owner}.{name}") or RULES[name]


def check_events(events: Any, owner: str) -> Events:
    """The events; ParameterError for what are none."""
    if not isinstance(events, Events):
        raise ParameterError(
            f"{owner} expected Events, got {type(events).__name__}; Events.from_structured and from_arrays make them"
        )
    return events


def check_sorted(events: Events, owner: str) -> Events:
    """The events; DataError where their times fall, or lie too far apart to be subtracted."""
    if not check_events(events, owner).is_sorted:
        raise DataError(f"{owner} expected events in order of time, got some whose times fall; use events.sorted()")
    first, last = extent(events)
    if last - first >= LARGEST_SPAN:
        raise DataError(f"{owner} expected times within 2**62 us, got {first} to {last}; cut the stream")
    return events


def check_range(events: Events, owner: str, most: int = LARGEST_SPAN) -> Events:
    """The events; DataError where a time is so great that it cannot be moved."""
    first, last = extent(events)
    if last >= most or first <= -most:
        raise DataError(f"{owner} expected times within {most} us of 0, got {events}; use align_time first")
    return events


def need(generator: Any, owner: str) -> np.random.Generator:
    """The generator; ParameterError for what is none."""
    if not isinstance(generator, np.random.Generator):
        raise ParameterError(
            f"{owner} is random and needs a generator such as numpy.random.default_rng(7), got {generator!r}"
        )
    return generator


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _number(expected: str, fits: Callable[[float], bool]) -> Callable[[Any, str], float]:
    def check(value: Any, owner: str) -> float:
        try:
            number = float(value) if _is_number(value) else math.nan
        except OverflowError:
            number = math.inf
        if not math.isfinite(number) or not fits(number):
            raise ParameterError(f"{owner} must be {expected}, got {value!r:.80}")
        return number

    return check


def _count(least: int) -> Callable[[Any, str], int]:
    def check(value: Any, owner: str) -> int:
        if not _is_whole(value) or not least <= value < 2**32:
            raise ParameterError(f"{owner} must be an integer from {least} to below 2**32, got {value!r}")
        return int(value)

    return check


def _flag(value: Any, owner: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(f"{owner} must be True or False, got {value!r}")
    return bool(value)


def _choice(*names: str) -> Callable[[Any, str], str]:
    def check(value: Any, owner: str) -> str:
        if not isinstance(value, str) or value not in names:
            raise ParameterError(f"{owner} must be one of {', '.join(map(repr, names))}, got {value!r}")
        return str(value)

    return check


def _optional(check: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    return lambda value, owner: None if value is None else check(value, owner)


def _whole_numbers(count: int, least: tuple[int, ...], expected: str) -> Callable[[Any, str], tuple[int, ...]]:
    def check(value: Any, owner: str) -> tuple[int, ...]:
        given = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value,)
        right = len(given) == count and all(map(_is_whole, given))
        if not right or not all(low <= entry <= LARGEST_SIDE for low, entry in zip(least, given, strict=True)):
            raise ParameterError(f"{owner} must be {expected} in whole pixels, got {value!r}")
        return tuple(int(entry) for entry in given)

    return check


def _sides(expected: str) -> Callable[[Any, str], tuple[int, ...]]:
    """Two whole numbers from 1 on, or one for both."""
    check = _whole_numbers(2, (1, 1), expected)
    return lambda value, owner: check((value, value) if _is_whole(value) else value, owner)


def _pair(check: Callable[[Any, str], float]) -> Callable[[Any, str], tuple[float, float]]:
    """One number for both axes, or one for each."""

    def check_pair(value: Any, owner: str) -> tuple[float, float]:
        both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
        if len(both) != 2:
            raise ParameterError(f"{owner} must be one number or one each for x and y, got {value!r}")
        return check(both[0], owner), check(both[1], owner)

    return check_pair


def _share(value: Any, owner: str) -> tuple[float, float]:
    low, high = _pair(_number("a number in 0..1, or a range (low, high) of them", lambda v: 0 <= v <= 1))(value, owner)
    if low > high:
        raise ParameterError(f"{owner} must be a range (low, high) with low <= high, got {value!r}")
    return low, high


def _coordinates(value: Any, owner: str) -> NDArray[np.int64]:
    array = as_array(value, owner)
    array = array.reshape(0, 2) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise ParameterError(f"{owner} must be pairs (x, y) of whole numbers, got {value!r:.80}")
    return array.astype(np.int64)


_from_zero = _number("a finite number of at least 0", lambda v: v >= 0)
_ms = _number("a time from 0 to 1e15 in ms", lambda v: 0 <= v <= 1e15)
_any_ms = _number("a time in ms, up to 1e15", lambda v: abs(v) <= 1e15)
_size = _sides("(width, height), or one side of a square,")
_fraction = _number("a number in 0..1", lambda v: 0 <= v <= 1)

RULES: Mapping[str, Callable[[Any, str], Any]] = {
    "bins": _count(1),
    "box": _optional(_whole_numbers(4, (0, 0, 1, 1), "(x, y, width, height)")),
    "by_polarity": _flag,
    "centre": _optional(_size),
    "coefficient": _number("a positive, finite number", lambda v: v > 0),
    "coordinates": _coordinates,
    "end": _optional(_any_ms),
    "factor": _optional(_sides("a factor from 1 on, or one each for x and y,")),
    "flip_polarity": _flag,
    "flip_polarity.p": _fraction,
    "itself": _flag,
    "merge": _optional(_ms),
    "n": _count(1),
    "negative": _choice("keep", "drop", "clip"),
    "offset": _any_ms,
    "outside": _choice("drop", "clip"),
    "p": _share,
    "quantile": _optional(_fraction),
    "rate": _optional(_from_zero),
    "random_apply.p": _fraction,
    "ratio": _share,
    "restart": _choice("kept", "all"),
    "sigma": _optional(_from_zero),
    "size": _size,
    "downsample.size": _optional(_size),
    "start": _optional(_any_ms),
    "std": _pair(_number("a standard deviation from 0 to 1000 pixels", lambda v: 0 <= v <= 1000)),
    "threshold": _count(1),
    "time": _ms,
    "time_jitter.std": _number("a standard deviation from 0 to 1e9 ms", lambda v: 0 <= v <= 1e9),
    "uniform_noise.n": _optional(_count(0)),
    "window": _number("a time from 0.001 to 1e15 in ms", lambda v: 0.001 <= v <= 1e15),
}
"""The parameters' rules; `p` and `ratio` may be ranges to draw from, and come back as (low, high)."""

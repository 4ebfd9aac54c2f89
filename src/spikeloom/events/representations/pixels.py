"""Events as places of a frame (P, H, W): what the polarities become, and calls of event_frames.hpp."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError
from ...native.compiled import compiled
from ...native.library import Library
from ..container import Events
from ..filters_native import array_of

Polarity: TypeAlias = Literal["separate", "merged", "signed"]
POLARITIES = ("separate", "merged", "signed")
"""Two planes, OFF (0) and ON (1); one plane for both; one plane in which ON counts 1 and OFF -1. As in the header."""


def library() -> Library | None:
    """The compiled functions, or None where the NumPy references run."""
    return compiled("event_frames.hpp")


def frame_shape(events: Events, polarity: str, owner: str) -> tuple[int, int, int]:
    """(P, H, W) of a frame; ParameterError for an unknown polarity."""
    return 2 if check_polarity(polarity, owner) == "separate" else 1, events.height, events.width


def check_polarity(polarity: str, owner: str) -> str:
    """The polarity; ParameterError for an unknown one."""
    if polarity not in POLARITIES:
        raise ParameterError(f"{owner}.polarity must be one of {', '.join(map(repr, POLARITIES))}, got {polarity!r}")
    return polarity


def draw(native: Library, name: str, events: Events, polarity: str | None, *arguments: Any) -> None:
    """Calls a function of the header with the events' x, y, p; DataError for an event that is not of the sensor."""
    bad = np.zeros(1, np.int64)
    stream = [array_of(events, field) for field in "xyp"]
    code = () if polarity is None else (POLARITIES.index(polarity),)
    native.call(name, *stream, len(events), events.width, events.height, *code, *arguments, bad)
    if bad[0] >= 0:
        raise _outside(events, int(bad[0]))


def times_of(events: Events) -> NDArray[np.int64]:
    """The times as one contiguous array."""
    return array_of(events, "t")


def places(events: Events, polarity: str) -> NDArray[np.int64]:
    """The place of each event in a flat frame (P, H, W); DataError for one that is not of the sensor."""
    x, y = events.x.astype(np.int64), events.y.astype(np.int64)
    inside = (x >= 0) & (x < events.width) & (y >= 0) & (y < events.height)
    if not inside.all():
        raise _outside(events, int(np.argmin(inside)))
    plane = (events.p > 0) * (polarity == "separate")
    return (plane * events.height + y) * events.width + x


def signs(events: Events, polarity: str) -> NDArray[np.int64]:
    """What each event counts."""
    return np.where((events.p <= 0) & (polarity == "signed"), -1, 1)


def _outside(events: Events, at: int) -> DataError:
    where = f"x = {events.x[at]}, y = {events.y[at]}"
    return DataError(f"events[{at}] must be of the sensor of {events.width} x {events.height} pixels, got {where}")

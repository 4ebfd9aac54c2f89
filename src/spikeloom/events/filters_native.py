"""Calls of event_transforms.hpp, which holds the filters, too, with streams of events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..native import memory
from ..native.compiled import compiled
from ..native.library import Library
from .container import DTYPES, LARGEST_SIDE, Events


def library() -> Library | None:
    """The compiled functions, or None where the NumPy references run."""
    return compiled("event_transforms.hpp")


def filtered(native: Library, name: str, events: Events, *arguments: Any) -> Events:
    """The events that a filter of the header keeps."""
    n = len(events)
    kept: list[NDArray[Any]] = [memory.empty(n, dtype) for dtype in DTYPES.values()]
    result = np.zeros(1, np.int64)
    native.call(name, *contiguous(events), n, events.width, events.height, *kept, result, *arguments)
    if result[0] < 0:
        raise DataError(f"{name}: an event has no pixel of the sensor of {events.width} x {events.height}")
    t, x, y, p = (memory.shortened(array, int(result[0])) for array in kept)
    return replace(events, t=t, x=x, y=y, p=p)


def contiguous(events: Events) -> list[NDArray[Any]]:
    """The arrays t, x, y, p as the header reads them. Raises DataError for a sensor larger than their addresses."""
    if max(events.sensor_size) > LARGEST_SIDE:
        raise DataError(f"Events: a side of the sensor must be at most {LARGEST_SIDE}, got {events.sensor_size}")
    return [array_of(events, name) for name in "txyp"]


def array_of(events: Events, name: str) -> NDArray[Any]:
    """One array as the header reads it: a copy where it has gaps. Raises DataError for a wrong type or length."""
    array: NDArray[Any] = getattr(events, name)
    if array.dtype != DTYPES[name] or array.shape != (len(events),):
        raise DataError(
            f"Events.{name} must be {len(events)} numbers of {np.dtype(DTYPES[name])}, got {array.dtype} of shape "
            f"{array.shape}; use Events.from_arrays"
        )
    return np.ascontiguousarray(array)


def selected(events: Events, mask: NDArray[np.bool_]) -> Events:
    """The events where the mask is true."""
    if (native := library()) is None:
        return events[mask]
    return as_sorted(events, filtered(native, "select_events", events, np.ascontiguousarray(mask).view(np.uint8)))


def in_box(events: Events, box: tuple[int, int, int, int]) -> Events:
    """The events within a box (x, y, width, height) of the sensor, as those of a sensor that the box is."""
    left, top, width, height = box
    if native := library():
        kept = as_sorted(events, filtered(native, "select_box", events, *box, 1))
    else:
        kept = events[_within(events, box)]
        kept = replace(kept, x=kept.x - np.int16(left), y=kept.y - np.int16(top))
    return replace(kept, width=width, height=height)


def out_of_box(events: Events, box: tuple[int, int, int, int]) -> Events:
    """The events outside of a box (x, y, width, height), where they are."""
    if native := library():
        return as_sorted(events, filtered(native, "select_box", events, *box, 0))
    return events[~_within(events, box)]


def _within(events: Events, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    left, top, width, height = box
    across = (events.x >= left) & (events.x < left + width)
    return np.asarray(across & (events.y >= top) & (events.y < top + height))


def as_sorted(events: Events, kept: Events) -> Events:
    """A selection of events, which may be in order though the events are not."""
    return kept if events.is_sorted else kept.with_arrays(t=kept.t)


def extent(events: Events) -> tuple[int, int]:
    """The first and the last time in us; both 0 where there are no events."""
    if not len(events):
        return 0, 0
    ends = events.t[[0, -1]] if events.is_sorted else (events.t.min(), events.t.max())
    return int(ends[0]), int(ends[1])

"""Transforms of the times: jitter, skew, reversal, alignment, windows, and the order that they leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError
from ...native import memory
from ..container import Events
from ..filters_checks import LARGEST_SPAN, check_range, checked, need
from ..filters_native import array_of, extent, filtered, library
from .random_numbers import Shifts, draw_key, normal_shifts, random_bits

_FINEST = 4096
_CHUNK = 2**15
"""Events that are jittered at once, or as many as come within the jitter's reach: their words stay in the cache."""


def time_jitter(events: Events, std: float, generator: np.random.Generator, *, negative: str = "keep") -> Events:
    """The events with normally distributed times of mean 0 and `std` ms added, in order of time.

    Each time is rounded to the nearest microsecond; where std is above 4 ms, the distribution is constant over cells of
    std / 1300 or less. negative: what becomes of events that come before time 0: "keep", "drop" or "clip" to 0.
    """
    std, negative = checked("time_jitter", std=std, negative=negative)
    key = draw_key(need(generator, "time_jitter"))
    check_range(events, "time_jitter", 2**61)
    cell = 2 * int(std * 1000 / _FINEST) + 1
    shifts = normal_shifts(std * 1000 / cell)
    later = _in_order(events, key, shifts, cell, negative == "clip")
    if later is None:
        t = _jittered(events, key, shifts, cell)
        later = events.with_arrays(t=np.maximum(t, 0) if negative == "clip" else t).sorted()
    return later.between(0.0) if negative == "drop" else later


def _in_order(events: Events, key: int, shifts: Shifts, cell: int, clip: bool) -> Events | None:
    """The sorted events with their times jittered, in order; None where that is not done piece by piece."""
    reach, n, (first, last) = shifts.reach * cell + cell // 2, len(events), extent(events)
    if (native := library()) is None or not events.is_sorted or not n:
        return None
    chunk = min(n, max(_CHUNK, n * reach // max(1, last - first)))
    room = min(n, 4 * chunk)
    words, place = memory.empty((2, room), np.uint64), memory.empty(2 * room + 2, np.uint32)
    how = *shifts.arguments, cell, int(clip), chunk
    try:
        return filtered(native, "jitter_sorted", events, key, *how, *words, place, room)
    except DataError:  # a crowd of events that the room does not hold, or hours between two
        return None


def _jittered(events: Events, key: int, shifts: Shifts, cell: int) -> NDArray[np.int64]:
    """The times with a shift each."""
    t = np.empty(len(events), np.int64)
    if native := library():
        native.call("jitter_times", array_of(events, "t"), len(events), key, *shifts.arguments, cell, t)
        return t
    bits = random_bits(key, len(events))
    within = ((bits & np.uint64(2**32 - 1)) * np.uint64(cell)) >> np.uint64(32)
    return np.asarray(events.t + shifts.draw(bits >> np.uint64(32)) * cell + within.astype(np.int64) - cell // 2)


def time_skew(events: Events, coefficient: float, offset: float = 0.0) -> Events:
    """The events with their times multiplied by a positive coefficient, rounded to microseconds, plus offset ms.

    Raises DataError where times would leave 2**62 us. Times beyond 2**53 us are rounded to what float64 holds.
    """
    coefficient, offset = checked("time_skew", coefficient=coefficient, offset=offset)
    farthest = max(map(abs, extent(events)))
    later = round(offset * 1000)
    if farthest * coefficient + abs(later) >= LARGEST_SPAN:
        raise DataError(f"time_skew: {events} times {coefficient} plus {offset} ms leaves 2**62 us")
    t = memory.empty(len(events), np.int64)
    if native := library():
        small = int(farthest * coefficient < 2**51)
        native.call("scale_times", array_of(events, "t"), len(events), coefficient, later, small, t)
    else:
        t[:] = np.rint(events.t * coefficient)
        t += later
    return replace(events, t=t)


def time_reversal(events: Events, *, flip_polarity: bool = True) -> Events:
    """The events played backwards between the first and the last time: t becomes first + last - t.

    What made the light grow makes it fall then: the polarities are flipped unless told otherwise. Twice gives the
    events themselves.
    """
    flip_polarity = checked("time_reversal", flip_polarity=flip_polarity)
    check_range(events, "time_reversal", 2**61)
    if not len(events):
        return events
    if native := library():
        return filtered(native, "reverse_events", events, sum(extent(events)), int(flip_polarity))
    backwards = {name: getattr(events, name)[::-1] for name in "txyp"}
    backwards["t"] = sum(extent(events)) - backwards["t"]
    if flip_polarity:
        backwards["p"] = backwards["p"] ^ np.int8(1)
    return replace(events, **backwards)


def align_time(events: Events) -> Events:
    """The events with the earliest one at time 0."""
    first, last = extent(events)
    if last - first >= 2**63:
        raise DataError(f"align_time: {events} span more than int64 microseconds hold; cut the stream")
    if not first:
        return events
    return replace(events, t=np.subtract(events.t, first, out=memory.empty(len(events), np.int64)))


def crop_time(events: Events, start: float | None = None, end: float | None = None) -> Events:
    """The events with start <= t < end, both in ms (None: no bound). Their times stay; `align_time` moves them."""
    start, end = checked("crop_time", start=start, end=end)
    if start is not None and end is not None and start > end:
        raise ParameterError(f"crop_time expected start <= end in ms, got {start} and {end}")
    return events.between(start, end)

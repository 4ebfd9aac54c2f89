"""Transforms of the times: jitter, skew, reversal, alignment, windows, and the order that they leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import DataError, ParameterError
from ...native import memory
from ..container import Events
from ..filters_checks import LARGEST_SPAN, check_range, checked, need
from ..filters_native import array_of, extent, filtered, library, selected
from .random_numbers import draw_key, normal_shifts, random_bits

_FINEST = 4096
_MOST_IN_A_BUCKET = 256


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
    t = np.empty(len(events), np.int64)
    if native := library():
        native.call("jitter_times", array_of(events, "t"), len(events), key, *shifts.arguments, cell, t)
    else:
        bits = random_bits(key, len(events))
        within = ((bits & np.uint64(2**32 - 1)) * np.uint64(cell)) >> np.uint64(32)
        t[:] = events.t + shifts.draw(bits >> np.uint64(32)) * cell + within.astype(np.int64) - cell // 2
    if negative == "clip":
        np.maximum(t, 0, out=t)
    moved = replace(events, t=t, is_sorted=False)
    return by_time(selected(moved, t >= 0) if negative == "drop" else moved)


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


def by_time(events: Events) -> Events:
    """The events in order of time, those of one time in the order they had: fast where they are nearly sorted."""
    n = len(events)
    native = library()
    low, high = extent(events)
    if native is None or not 0 < n < 2**32 or high - low >= LARGEST_SPAN:
        return events.with_arrays(t=events.t).sorted()
    shift = ((high - low) // n).bit_length()  # two times a bucket or less, and no more buckets than events
    buckets = ((high - low) >> shift) + 1
    place = np.zeros(buckets + 1, np.uint32)
    most = _MOST_IN_A_BUCKET if shift else 2**32 - 1
    try:
        ordered = filtered(native, "sort_events", events, low, shift, buckets, most, place)
    except DataError:
        return events.with_arrays(t=events.t).sorted()
    return replace(ordered, is_sorted=True)

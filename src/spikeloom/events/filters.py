"""Filters of event streams: pure functions that select events, compiled, with NumPy references."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from . import filters_reference as reference
from .container import Events, floored, microseconds
from .filters_checks import check_sorted, checked
from .filters_native import as_sorted, contiguous, extent, filtered, library, selected


def background_activity(events: Events, time: float, *, itself: bool = False) -> Events:
    """The events without background activity: an event stays where a pixel around it has just had one, too.

    It stays exactly if one of its 8 neighbours (those on the sensor: nothing wraps at an edge) has an event earlier in
    the stream, at most `time` ms before; events that were filtered out count. itself: an earlier event of its own pixel
    counts as well. So the first event of all, and every isolated one, goes. Raises DataError unless sorted by time.

    T. Delbruck, Frame-free dynamic digital vision (2008).
    """
    check_sorted(events, "background_activity")
    time, itself = checked("background_activity", time=time, itself=itself)
    within = _at_most(time)
    if (native := library()) is None:
        return events[reference.background_activity(events, within, itself)]
    within, dtype = _stamps(events, within)
    last = np.zeros((events.width + 2) * (events.height + 2) + 2, dtype)
    return filtered(native, f"background_activity_{_SUFFIX[dtype]}", events, within, int(itself), last)


denoise = background_activity


def refractory(events: Events, time: float, *, by_polarity: bool = False, restart: str = "kept") -> Events:
    """The events without those of pixels that are dead for `time` ms after each event.

    An event stays if `time` or more has gone by since the last event of its pixel that stayed: the dead time of the
    hardware, eventcv's default. restart="all" counts from the last event, also one that was dropped, as Tonic does (but
    for its first event). by_polarity: each polarity of a pixel is dead by itself. Raises DataError unless sorted.
    """
    check_sorted(events, "refractory")
    time, by_polarity, restart = checked("refractory", time=time, by_polarity=by_polarity, restart=restart)
    return _dead_for(events, microseconds(time, "refractory.time"), by_polarity, restart)


def _dead_for(events: Events, dead: int, by_polarity: bool, restart: str = "kept") -> Events:
    if (native := library()) is None:
        return events[reference.refractory(events, dead, by_polarity, restart)]
    dead, dtype = _stamps(events, dead)
    last = np.zeros(events.width * events.height * (1 + by_polarity), dtype)
    return filtered(native, f"refractory_{_SUFFIX[dtype]}", events, dead, int(by_polarity), int(restart == "all"), last)


def merge_coinciding(events: Events, time: float) -> Events:
    """The events without those that come at most `time` ms after one that stayed, of equal pixel and polarity."""
    check_sorted(events, "merge_coinciding")
    return _dead_for(events, _at_most(checked("merge_coinciding", time=time)) + 1, by_polarity=True)


def decimate(events: Events, n: int) -> Events:
    """Every n-th event of each pixel, in the order of the stream: its n-th, 2n-th, 3n-th, ... event stays.

    A pixel with k events keeps floor(k / n), whatever the polarities. As Tonic's Decimation.
    """
    n = checked("decimate", n=n)
    if (native := library()) is None:
        return events[reference.decimate(events, n)]
    return as_sorted(events, filtered(native, "decimate", events, n, np.zeros(_pixels(events), np.uint32)))


def event_counts(events: Events) -> NDArray[np.int64]:
    """How many events each pixel has, (height, width)."""
    count = np.zeros((events.height, events.width), np.int64)
    if (native := library()) is None:
        np.add.at(count, (events.y, events.x), 1)
        return count
    _, x, y, _ = contiguous(events)
    low, result = np.zeros(count.shape, np.uint8), np.zeros(1, np.int64)
    native.call("count_pixels", x, y, len(events), events.width, events.height, count, low, result)
    if result[0] < 0:
        raise DataError(f"event_counts: an event has no pixel of the sensor of {events.width} x {events.height}")
    return count


def find_hot_pixels(
    events: Events, *, rate: float | None = None, sigma: float | None = None, quantile: float | None = None
) -> NDArray[np.int64]:
    """The pixels (x, y) that fire too often, (k, 2), by row and column. Give one of three bounds:

    rate: more than so many events a second (Hz), over the time from the first to the last event (none is hot where that
    is 0); sigma: more events than the mean of all pixels that have any plus so many of their standard deviations;
    quantile: more events than this quantile (0..1) of the pixels that have any.
    """
    return np.argwhere(_hot(events, rate, sigma, quantile))[:, ::-1]


def hot_pixels(
    events: Events, *, rate: float | None = None, sigma: float | None = None, quantile: float | None = None
) -> Events:
    """The events of all pixels but the hot ones, which `find_hot_pixels` finds by one of the same bounds."""
    return of_pixels(events, ~_hot(events, rate, sigma, quantile))


def drop_pixels(events: Events, coordinates: Any) -> Events:
    """The events of all pixels but those named by pairs (x, y), an array (k, 2); they must lie on the sensor."""
    pixels = checked("drop_pixels", coordinates=coordinates)
    outside = (pixels < 0).any(1) | (pixels >= (events.width, events.height)).any(1)
    if outside.any():
        x, y = pixels[np.argmax(outside)]
        raise ParameterError(
            f"drop_pixels.coordinates must lie on the sensor of {events.width} x {events.height}, got ({x}, {y})"
        )
    kept = np.ones((events.height, events.width), np.bool_)
    kept[pixels[:, 1], pixels[:, 0]] = False
    return of_pixels(events, kept)


def _hot(events: Events, rate: float | None, sigma: float | None, quantile: float | None) -> NDArray[np.bool_]:
    """Where the pixels are hot, (height, width)."""
    rate, sigma, quantile = checked("hot_pixels", rate=rate, sigma=sigma, quantile=quantile)
    if sum(bound is not None for bound in (rate, sigma, quantile)) != 1:
        raise ParameterError("hot_pixels expected one of rate (Hz), sigma and quantile")
    count = event_counts(events)
    if rate is not None:
        first, last = extent(events)
        return (count * 1e6 > rate * (last - first)) & (last > first)
    if not len(events):
        return count > 0
    if sigma is None:
        return np.asarray(count > np.quantile(count[count > 0], quantile))
    n, active, squares = len(events), int(np.count_nonzero(count)), int(np.vdot(count, count))
    return np.asarray(count > (n + sigma * sqrt(active * squares - n * n)) / active)


def of_pixels(events: Events, kept: NDArray[np.bool_]) -> Events:
    """The events of the pixels where `kept`, (height, width), is true."""
    if (native := library()) is None:
        return selected(events, kept[events.y, events.x])
    table = np.zeros(-(-kept.size // 32), "<u4")
    bits = np.packbits(kept, bitorder="little")
    table.view(np.uint8)[: bits.size] = bits
    return as_sorted(events, filtered(native, "select_pixels", events, table))


def _pixels(events: Events) -> int:
    return events.width * events.height


def _at_most(time: float) -> int:
    """The greatest number of us that is no more than a time in ms."""
    return floored(time * 1000)


_SUFFIX = {np.int32: "i32", np.int64: "i64"}


def _stamps(events: Events, time: int) -> tuple[int, Any]:
    """A time in us, no more than is needed, and the narrowest type in which times plus this one can be counted."""
    first, last = extent(events)
    span = last - first
    time = min(time, span + 1)
    return time, np.int32 if span + time + 1 < 2**31 else np.int64

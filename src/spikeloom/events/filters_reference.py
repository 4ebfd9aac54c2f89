"""What the native event filters compute, in NumPy: which events stay, as masks (n,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .container import Events

Mask = NDArray[np.bool_]


def background_activity(events: Events, time: int, itself: bool) -> Mask:
    """Where one of the 8 pixels around (or the pixel itself) had an earlier event, `time` us ago at most."""
    n, x, y = len(events), events.x.astype(np.int64), events.y.astype(np.int64)
    index, kept = np.arange(n), np.zeros(n, np.bool_)
    places, order = _by_place(y * events.width + x)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if not (dx or dy or itself):
                continue
            on_sensor = (x + dx >= 0) & (x + dx < events.width) & (y + dy >= 0) & (y + dy < events.height)
            pixel = (y + dy) * events.width + x + dx
            before = np.searchsorted(places, pixel * n + index) - 1
            found = on_sensor & (before >= 0) & (places[before] // max(n, 1) == pixel)
            kept |= found & (events.t - events.t[order[before]] <= time)
    return kept


def refractory(events: Events, time: int, by_polarity: bool, restart: str) -> Mask:
    """Where `time` us or more have gone by since the last event of the pixel that was kept (or since the last)."""
    n = len(events)
    pixel = events.y.astype(np.int64) * events.width + events.x
    if by_polarity:
        pixel = pixel * 2 + (events.p != 0)
    places, order = _by_place(pixel)
    pixel = pixel[order]
    first = np.flatnonzero(np.diff(pixel, prepend=-1))
    kept = np.zeros(n, np.bool_)
    if restart == "all":
        kept[order[1:]] = np.diff(events.t[order]) >= time
        kept[order[first]] = True
        return kept
    t = events.t - events.t[:1]
    while first.size:
        kept[order[first]] = True
        free = np.searchsorted(t, t[order[first]] + min(time, 2**62))
        free = np.maximum(free, order[first] + 1)
        after = np.searchsorted(places, pixel[first] * n + free)
        again = after < n
        again[again] = pixel[after[again]] == pixel[first[again]]
        first = after[again]
    return kept


def decimate(events: Events, n: int) -> Mask:
    """Every n-th event of each pixel."""
    pixel = events.y.astype(np.int64) * events.width + events.x
    _, order = _by_place(pixel)
    first = np.flatnonzero(np.diff(pixel[order], prepend=-1))
    rank = np.arange(pixel.size) - np.repeat(first, np.diff(first, append=pixel.size))
    kept = np.zeros(pixel.size, np.bool_)
    kept[order] = (rank + 1) % n == 0
    return kept


def _by_place(pixel: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """pixel * n + index of all events, ascending, and the events' indices in that order."""
    order = np.argsort(pixel, kind="stable")
    return pixel[order] * pixel.size + order, order

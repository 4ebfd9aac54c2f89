"""The growing arrays that decoders write events into, and what is checked of every event that was read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...native.compiled import compiled
from ..container import DTYPES, LARGEST_SIDE

HEADER = "event_codecs.hpp"
SLACK = 64
"""Entries behind the last one that is asked for: native decoders write whole vectors, of which some lanes are void."""


class Columns:
    """The arrays t, x, y and p of events that are being read; the first `n` entries of each are events."""

    def __init__(self, capacity: int = 0) -> None:
        self.n = 0
        self.t: NDArray[np.int64] = np.empty(capacity + SLACK, np.int64)
        self.x: NDArray[np.int16] = np.empty(capacity + SLACK, np.int16)
        self.y: NDArray[np.int16] = np.empty(capacity + SLACK, np.int16)
        self.p: NDArray[np.int8] = np.empty(capacity + SLACK, np.int8)

    def reserve(self, more: int) -> None:
        """Makes room for so many events behind those that are there, and for vectors that reach beyond them."""
        needed = self.n + more + SLACK
        if needed <= self.t.size:
            return
        for name, dtype in DTYPES.items():
            grown = np.empty(max(needed, self.t.size + self.t.size // 2 if self.n else needed), dtype)
            grown[: self.n] = getattr(self, name)[: self.n]
            setattr(self, name, grown)

    def put(self, t: NDArray[Any], x: NDArray[Any], y: NDArray[Any], p: NDArray[Any]) -> None:
        """Adds events: t in microseconds, addresses, polarities 0 and 1 (or booleans), of any integer type.

        An address that no sensor has is kept as -1, which is told as damage.
        """
        self.reserve(t.size)
        end = self.n + t.size
        self.t[self.n : end] = t
        for column, values in ((self.x, x), (self.y, y)):
            column[self.n : end] = np.where((values >= 0) & (values < LARGEST_SIDE), values, -1)
        self.p[self.n : end] = p
        self.n = end

    def facts(self, begin: int, width: int, height: int) -> Facts:
        """What is known of the events from `begin` on, which are to be of a sensor of this size."""
        part = slice(begin, self.n)
        return facts_of(self.t[part], self.x[part], self.y[part], width, height)


class Facts(NamedTuple):
    """The first event outside of the sensor (-1: none), whether t never falls, its least and greatest value, and the
    greatest x and y. Without events: -1, 1, the limits of int64 (so that any time is lower and higher), -1, -1.
    """

    outside: int
    is_sorted: int
    low: int
    high: int
    most_x: int
    most_y: int


def facts_of(t: NDArray[Any], x: NDArray[Any], y: NDArray[Any], width: int, height: int) -> Facts:
    """The facts of events, which are contiguous arrays, and of a sensor of this size."""
    if not t.size or (library := compiled(HEADER)) is None:
        return reference_facts(t, x, y, width, height)
    found = np.empty(6, np.int64)
    library.call("event_facts", t, x, y, t.size, width, height, found)
    return Facts(*(int(value) for value in found))


def reference_facts(t: NDArray[Any], x: NDArray[Any], y: NDArray[Any], width: int, height: int) -> Facts:
    """The facts of events, in plain NumPy."""
    outside = np.flatnonzero((x < 0) | (x >= width) | (y < 0) | (y >= height))
    limits = np.iinfo(np.int64)
    return Facts(
        outside=int(outside[0]) if outside.size else -1,
        is_sorted=int((t[1:] >= t[:-1]).all()),
        low=int(t.min(initial=limits.max)),
        high=int(t.max(initial=limits.min)),
        most_x=int(x.view(np.uint16).max()) if x.size else -1,
        most_y=int(y.view(np.uint16).max()) if y.size else -1,
    )

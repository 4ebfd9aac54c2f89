"""Streams cut into windows of time or of numbers of events; no event is lost unless that is asked for.

Each function takes Events, or an iterable of Events that follow each other in time, such as the pieces of a file, of
which it keeps no more than it needs for a window. The pieces it yields are Events; of Events they are views.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from ..spikes.validate import check_count
from ..units import check_dt, steps
from .container import Events, microseconds
from .filters_checks import LARGEST_SPAN, check_range, check_sorted

Stream: TypeAlias = Events | Iterable[Events]

MOST_WINDOWS, NEVER = 2**31, -(2**63)
_LONGEST = 1e12


def slice_by_time(
    events: Stream,
    window: float,
    *,
    overlap: float = 0.0,
    start: float | None = None,
    end: float | None = None,
    include_incomplete: bool = True,
) -> Iterator[Events]:
    """The events of one window of `window` ms after the other, each beginning `window` - `overlap` ms after the last.

    Window k holds the times from start + k (window - overlap) to below that plus `window`. The first begins at `start`
    (default: the first event), the last is the first that reaches `end` (default: 1 us after the last event, which so
    belongs to it); quiet windows are empty. Events outside of start <= t < end are left out. include_incomplete=False
    leaves out a last window that lasts longer than to `end`.
    """
    windows = TimeWindows(window, overlap, "slice_by_time")
    ahead = _Ahead(events, "slice_by_time")
    stop = None if end is None else microseconds(end, "slice_by_time.end")
    first = None if start is None else microseconds(start, "slice_by_time.start")
    return _by_time(ahead, windows, first, stop, include_incomplete)


def _by_time(
    ahead: _Ahead, windows: TimeWindows, first: int | None, stop: int | None, include_incomplete: bool
) -> Iterator[Events]:
    """The windows from `first` (None: the first event) to `stop` (None: the last event), in us."""
    if first is None and (first := ahead.first()) is None:
        return
    for begin, end in windows.each():
        low, high = first + begin, first + end
        piece = ahead.take(low, high, stop)
        last = ahead.end if stop is None else stop
        if piece is None or (last is not None and low >= last):
            return
        if include_incomplete or last is None or high <= last:
            yield piece
        if last is not None and high >= last:
            return


def slice_by_count(
    events: Stream, n_events: int, *, overlap: float = 0, include_incomplete: bool = True
) -> Iterator[Events]:
    """Pieces of `n_events` events each, every one beginning `n_events` - `overlap` events after the one before.

    The last piece is the first that holds the last event; it may be shorter, and include_incomplete=False then leaves
    it out.
    """
    n_events = check_count(n_events, "slice_by_count.n_events")
    stride = _stride(n_events, overlap, "slice_by_count")
    return _by_count(_Ahead(events, "slice_by_count"), n_events, stride, include_incomplete)


def _by_count(ahead: _Ahead, n_events: int, stride: int, include_incomplete: bool) -> Iterator[Events]:
    """Pieces of so many events, each so many events after the one before."""
    while (piece := ahead.take_events(n_events, stride)) is not None:
        if include_incomplete or len(piece) == n_events:
            yield piece


def slice_by_bins(
    events: Events, n_bins: int, *, start: float | None = None, end: float | None = None
) -> Iterator[Events]:
    """The events of `n_bins` windows of one length that fill the time from `start` to `end`, as in `slice_by_time`."""
    found = bin_windows(events, n_bins, start, end, "slice_by_bins")
    return (events[low:high] for low, high in zip(found.begin, found.end, strict=True))


def slice_by_event_bins(events: Events, n_bins: int) -> Iterator[Events]:
    """The events in `n_bins` pieces of equal numbers, as far as these can be equal: they differ by 1 at most."""
    found = event_bin_windows(events, n_bins, "slice_by_event_bins")
    return (events[low:high] for low, high in zip(found.begin, found.end, strict=True))


def slice_at(events: Events, times: Sequence[float] | NDArray[np.float64]) -> Iterator[Events]:
    """The events cut at times in ms that rise: those before the first, between each two, and from the last on."""
    check_sorted(events, "slice_at")
    cuts = [microseconds(time, f"slice_at.times[{k}]") for k, time in enumerate(times)]
    if cuts != sorted(cuts):
        raise ParameterError(f"slice_at.times must rise, got {list(times)!r:.80}")
    bounds = [0, *np.searchsorted(events.t, cuts).tolist(), len(events)]
    return (events[low:high] for low, high in pairwise(bounds))


class Windows(NamedTuple):
    """Where windows of events lie: window k is events[begin[k]:end[k]]; both int64 (n_windows,)."""

    begin: NDArray[np.int64]
    end: NDArray[np.int64]


@dataclass(frozen=True)
class TimeWindows:
    """Windows of one length in ms that overlap by some ms."""

    window: float
    overlap: float
    owner: str

    def __post_init__(self) -> None:
        if not 1e-3 <= check_dt(self.window, f"{self.owner}.window") < _LONGEST:
            raise ParameterError(
                f"{self.owner}.window must be from 0.001 ms, the resolution of events, to below {_LONGEST:g} ms, got "
                f"{self.window}"
            )
        number = isinstance(self.overlap, (int, float, np.integer, np.floating))
        if not number or not 0 <= self.overlap < self.window:
            raise ParameterError(
                f"{self.owner}.overlap must be at least 0 and below the window of {self.window} ms, got {self.overlap}"
            )

    def edges(self, k: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first microsecond of each window k and the first one after it, from the beginning of the first one."""
        begin = k * (self.window - self.overlap)
        return -steps(-begin, 1e-3), -steps(-(begin + self.window), 1e-3)

    def each(self) -> Iterator[tuple[int, int]]:
        """The same of one window after the other, computed for more and more at a time."""
        k = 0
        while True:
            begin, end = self.edges(np.arange(k, k + min(k + 1, 256)))
            yield from zip(begin.tolist(), end.tolist(), strict=True)
            k += len(begin)

    def count(self, span: int) -> int:
        """How many windows it takes to reach the end of a span in microseconds."""
        roughly = (span / 1000 - self.window) / (self.window - self.overlap)
        if roughly >= MOST_WINDOWS:
            raise ParameterError(
                f"{self.owner}.window of {self.window} ms makes {roughly:.0f} windows; use longer ones"
            )
        n = max(1, int(roughly))
        while self._end(n - 1) < span:
            n += 1
        while n > 1 and self._end(n - 2) >= span:
            n -= 1
        return n if span > 0 else 0

    def _end(self, k: int) -> int:
        return int(self.edges(np.array([k]))[1][0])


def time_windows(
    events: Events, windows: TimeWindows, start: float | None, end: float | None, include_incomplete: bool
) -> Windows:
    """The windows of `slice_by_time`."""
    first, last = bounds(events, start, end, windows.owner)
    n = windows.count(last - first)
    low, high = windows.edges(np.arange(n))
    if n and not include_incomplete and high[-1] > last - first:
        low, high = low[:-1], high[:-1]
    begin, stop = (np.searchsorted(events.t, first + np.minimum(edge, last - first)) for edge in (low, high))
    return Windows(begin.astype(np.int64), stop.astype(np.int64))


def bin_windows(events: Events, n_bins: int, start: float | None, end: float | None, owner: str) -> Windows:
    """The windows of `slice_by_bins`; with neither events nor both bounds, all are empty."""
    n_bins = _bin_count(n_bins, owner)
    first, last = bounds(events, start, end, owner)
    whole, rest = divmod(last - first, n_bins)
    k = np.arange(n_bins + 1)
    cuts = np.searchsorted(events.t, first + k * whole - (-k * rest // n_bins)).astype(np.int64)
    return Windows(cuts[:-1], cuts[1:])


def count_windows(events: Events, n_events: int, overlap: float, include_incomplete: bool, owner: str) -> Windows:
    """The windows of `slice_by_count`."""
    check_sorted(events, owner)
    n_events, n = check_count(n_events, f"{owner}.events_per_frame"), len(events)
    stride = _stride(n_events, overlap, owner)
    n_windows = 0 if n == 0 else 1 + -(-max(0, n - n_events) // stride)
    begin = np.arange(n_windows) * stride
    if n_windows and not include_incomplete and begin[-1] + n_events > n:
        begin = begin[:-1]
    return Windows(begin, np.minimum(begin + n_events, n))


def event_bin_windows(events: Events, n_bins: int, owner: str) -> Windows:
    """The windows of `slice_by_event_bins`."""
    check_sorted(events, owner)
    cuts = np.arange(_bin_count(n_bins, owner) + 1) * len(events) // n_bins
    return Windows(cuts[:-1], cuts[1:])


def bounds(events: Events, start: float | None, end: float | None, owner: str) -> tuple[int, int]:
    """Start and end in us: by default the first event and 1 us after the last one; equal where there are no events."""
    check_sorted(events, owner)
    first = None if start is None else microseconds(start, f"{owner}.start")
    last = None if end is None else microseconds(end, f"{owner}.end")
    if first is None:
        first = int(events.t[0]) if len(events) else last or 0
    if last is None:
        last = int(events.t[-1]) + 1 if len(events) else first
    if start is not None and end is not None and last < first:
        raise ParameterError(f"{owner}.end must not lie before start = {start} ms, got {end}")
    if max(abs(first), abs(last)) >= LARGEST_SPAN:
        raise DataError(f"{owner} expected times within 2**62 us of 0, got {first} to {last}")
    return first, max(first, last)


def _bin_count(n_bins: int, owner: str) -> int:
    if (n_bins := check_count(n_bins, f"{owner}.n_bins")) >= MOST_WINDOWS:
        raise ParameterError(f"{owner}.n_bins must be below 2**31, got {n_bins}")
    return n_bins


def _stride(n_events: int, overlap: float, owner: str) -> int:
    if overlap not in range(n_events):
        raise ParameterError(f"{owner}.overlap must be an integer from 0 to below {n_events} events, got {overlap!r}")
    return n_events - int(overlap)


class _Ahead:
    """The events of a stream that were read and are still needed."""

    def __init__(self, events: Stream, owner: str) -> None:
        self._source = iter([events] if isinstance(events, Events) else events)
        self._owner = owner
        self._parts: list[Events] = []
        self._latest: int | None = None
        self.end: int | None = None
        """1 us after the last event, once that has been read; before all times where there is none."""

    def first(self) -> int | None:
        """The time of the first event of all, in us."""
        return int(self._parts[-1].t[0]) if self.pull() else None

    def pull(self) -> bool:
        """Reads on to the next events; False at the end of the stream."""
        for part in self._source:
            if not isinstance(part, Events):
                raise DataError(f"{self._owner} expected Events or an iterable of them, got {type(part).__name__}")
            check_sorted(part, self._owner)
            check_range(part[:1], self._owner)
            check_range(part[-1:], self._owner)
            if len(part) and self._latest is not None and part.t[0] < self._latest:
                raise DataError(
                    f"{self._owner}: a part begins at {part.t[0]} us, before the end of the last at {self._latest} us"
                )
            self._parts.append(part)
            if len(part):
                self._latest = int(part.t[-1])
                return True
        self.end = NEVER if self._latest is None else self._latest + 1
        return False

    def held(self) -> Events | None:
        """What is held as one; None before the first part."""
        if len(self._parts) > 1:
            self._parts = [Events.concatenate(self._parts)]
        return self._parts[0] if self._parts else None

    def take(self, low: int, high: int, stop: int | None) -> Events | None:
        """The events from low to below high and `stop`, in us; those before low are let go. None of no parts at all."""
        while self.end is None and (self._latest is None or self._latest < high):
            self.pull()
        if (held := self.held()) is None:
            return None
        self._parts = [held := held[int(np.searchsorted(held.t, low)) :]]
        return held[: int(np.searchsorted(held.t, high if stop is None else min(high, stop)))]

    def take_events(self, n: int, stride: int) -> Events | None:
        """The next n events, or those that are left, of which `stride` are let go; None where all were seen."""
        ready = sum(map(len, self._parts))
        while ready <= n and self.pull():
            ready += len(self._parts[-1])
        if (held := self.held()) is None or not len(held):
            return None
        self._parts = [held[stride if len(held) > n else n :]]
        return held[:n]

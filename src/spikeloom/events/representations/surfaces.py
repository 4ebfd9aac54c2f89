"""Time surfaces: how long ago each pixel had its last event, and histograms of their averages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ...spikes.validate import check_count
from ...units import check_dt
from ..container import LARGEST_SIDE, Events, microseconds
from ..filters_checks import LARGEST_SPAN, check_sorted
from ..slicing import Stream, TimeWindows, bounds, slice_by_time, time_windows
from .frames import room, zeros
from .pixels import Polarity, check_polarity, draw, frame_shape, library, places, times_of

_FORGOTTEN = 104
"""An event so many tau ago is 0 in float32."""


def time_surface(
    events: Events,
    tau: float,
    *,
    at: Sequence[float] | NDArray[np.float64] | None = None,
    every: float | None = None,
    polarity: Polarity = "separate",
) -> NDArray[np.float32]:
    """exp(-(time - t_last) / tau) for each pixel and each of some times, (T, P, H, W), float32.

    t_last is the time of the pixel's last event until then; a pixel that had none is 0. tau is in ms. The times are
    those of `at`, in ms, which must not fall: an event at such a time counts. Or they are the ends of the windows of
    `every` ms that `frames` has, each for the events before it. With neither, there is one: the last event's.
    polarity: 'separate' has a surface each for OFF and ON, 'merged' one for both. Raises DataError unless sorted.

    Lagorce et al., HOTS (2017), equation 3, for the whole sensor.
    """
    check_sorted(events, "time_surface")
    decay = _decay(tau, polarity)
    upto, moments = _moments(events, at, every)
    first, shape = int(events.t[0]) if len(events) else 0, frame_shape(events, polarity, "time_surface")
    surface = _Surface(shape, first, int(moments[-1]) - first if len(moments) else 0, decay, polarity)
    out = room((len(moments), *shape), np.float32, "time_surface")
    seen = np.searchsorted(events.t, moments - int(min(_FORGOTTEN * decay, LARGEST_SPAN)))
    begin = np.maximum(seen, np.concatenate(([0], upto))[:-1])
    for low, high, moment, frame in zip(begin.tolist(), upto.tolist(), moments.tolist(), out, strict=True):
        surface.draw(events[low:high], moment, frame)
    return out


def iter_time_surfaces(
    events: Stream, tau: float, every: float, *, polarity: Polarity = "separate"
) -> Iterator[NDArray[np.float32]]:
    """The surfaces (P, H, W) of `time_surface` every so many ms, one after the other, in the memory of a few.

    `events` may be an iterable of Events that follow each other in time, such as the pieces of a file.
    """
    windows, decay = TimeWindows(every, 0.0, "time_surface"), _decay(tau, polarity)
    return _each(slice_by_time(events, every), windows, decay, polarity)


def _each(pieces: Iterator[Events], windows: TimeWindows, decay: float, polarity: str) -> Iterator[NDArray[np.float32]]:
    """The surface at the end of each window."""
    surface, first = None, 0
    for piece, (_, end) in zip(pieces, windows.each(), strict=False):
        shape = frame_shape(piece, polarity, "time_surface")
        if surface is None:
            first = int(piece.t[0])
            surface = _Surface(shape, first, None, decay, polarity)
        surface.draw(piece, first + end, out := room(shape, np.float32, "time_surface"))
        yield out


def _decay(tau: float, polarity: str) -> float:
    """tau in us; ParameterError for what makes no surface."""
    if check_polarity(polarity, "time_surface") == "signed":
        raise ParameterError("time_surface.polarity must be 'separate' or 'merged', got 'signed'; a time has no sign")
    return check_dt(tau, "time_surface.tau") * 1000


def _moments(
    events: Events, at: Sequence[float] | NDArray[np.float64] | None, every: float | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many events come before each of the times of `time_surface`, and these times in us."""
    if at is not None and every is not None:
        raise ParameterError("time_surface must get either at or every, got both")
    if every is not None:
        windows = TimeWindows(every, 0.0, "time_surface")
        found = time_windows(events, windows, None, None, include_incomplete=True)
        return found.end, bounds(events, None, None, "time_surface")[0] + windows.edges(np.arange(len(found.end)))[1]
    if at is None:
        moments = events.t[-1:]
    else:
        moments = np.array([_last_microsecond(time, f"time_surface.at[{k}]") for k, time in enumerate(at)], np.int64)
    if (np.diff(moments) < 0).any():
        raise ParameterError(f"time_surface.at must not fall, got {at!r:.80}")
    return np.searchsorted(events.t, moments, side="right").astype(np.int64), moments


class _Surface:
    """The times of the last events so far, in us from `first` on, below zero where there is none.

    `span` is how long the stream is in us, None where that is not known; tau too is in us.
    """

    def __init__(self, shape: tuple[int, int, int], first: int, span: int | None, tau: float, polarity: str) -> None:
        self._first, self._tau, self._polarity = first, tau, polarity
        self._type = "i32" if span is not None and span < 2**31 else "i64"
        self._last = np.full(shape, -1, self._type.replace("i", "int"))

    def draw(self, events: Events, now: int, out: NDArray[np.float32]) -> None:
        """Takes the events up to now, in us, and draws the surface (P, H, W)."""
        if (native := library()) is not None:
            times = times_of(events), self._first, now
            draw(native, f"time_surface_{self._type}", events, self._polarity, *times, self._tau, self._last, out)
            return
        np.maximum.at(self._last.reshape(-1), places(events, self._polarity), events.t - self._first)
        age = np.where(self._last < 0, np.inf, now - self._first - self._last)
        out[:] = np.exp(-age / self._tau)


def averaged_time_surfaces(
    events: Events, cell_size: int, radius: int, tau: float, window: float | None = None
) -> NDArray[np.float32]:
    """Histograms of averaged time surfaces (HATS), (rows, columns, 2, 2 radius + 1, 2 radius + 1), float32.

    The sensor is cut into cells of `cell_size` pixels a side; those at the right and lower edge may be smaller. Each
    event i adds to the histogram of its cell and polarity (OFF, ON), at the offset (dy, dx) up to `radius` pixels away
    (at index dy + radius, dx + radius), the sum of exp(-(t_i - t_j) / tau) over the earlier events j of that pixel, if
    it is of the cell, of equal polarity and with t_i - window <= t_j < t_i. The histograms are divided by the number of
    events of their cell, of both polarities; tau and window are in ms, without a window all earlier events count. The
    cost is linear in the number of events. Raises DataError unless the events are sorted by time.

    Sironi et al., HATS (CVPR 2018), equations 5 to 8. Tonic adds 1 for the event itself and divides by polarity.
    """
    owner = "averaged_time_surfaces"
    check_sorted(events, owner)
    cell, radius = check_count(cell_size, f"{owner}.cell_size"), check_count(radius, f"{owner}.radius", least=0)
    if radius >= cell:
        raise ParameterError(f"{owner}.radius must be below the cell_size of {cell} pixels, got {radius}")
    decay = check_dt(tau, f"{owner}.tau") * 1000
    within = 2**62 if window is None else microseconds(check_dt(window, f"{owner}.window"), f"{owner}.window")
    cell = min(cell, LARGEST_SIDE)
    grid = -(-events.height // cell), -(-events.width // cell)
    sums = zeros((*grid, 2, 2 * radius + 1, 2 * radius + 1), np.float64, owner)
    counts = np.zeros(grid, np.int64)
    if (native := library()) is not None:
        held = np.zeros((2, events.height, events.width))
        arrays = held, sums, counts
        draw(native, owner, events, None, times_of(events), cell, radius, decay, within, *arrays)
    else:
        _averaged(events, cell, radius, decay, within, sums, counts)
    return (sums / np.maximum(counts, 1)[:, :, None, None, None]).astype(np.float32)


def _averaged(
    events: Events,
    cell: int,
    radius: int,
    tau: float,
    within: int,
    sums: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """Adds the sums and counts, from each event's earlier ones in its cell and polarity."""
    places(events, "merged")
    row, column = events.y // cell, events.x // cell
    np.add.at(counts, (row, column), 1)
    key = (row.astype(np.int64) * counts.shape[1] + column) * 2 + (events.p > 0)
    order = np.argsort(key, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        part = events[chosen]
        begin, end = np.searchsorted(part.t, part.t - within), np.searchsorted(part.t, part.t)
        histogram = sums.reshape(-1, *sums.shape[3:])[key[chosen[0]]] if len(part) else sums
        for i, (low, high) in enumerate(zip(begin, end, strict=True)):
            dy, dx = (axis[low:high].astype(np.int64) - axis[i] for axis in (part.y, part.x))
            near = (np.abs(dy) <= radius) & (np.abs(dx) <= radius)
            age = part.t[i] - part.t[low:high][near]
            np.add.at(histogram, (dy[near] + radius, dx[near] + radius), np.exp(-age / tau))


def _last_microsecond(time: float, owner: str) -> int:
    """A time in ms as the last whole microsecond that is not after it."""
    return -microseconds(-time, owner) if isinstance(time, (int, float, np.number)) else microseconds(time, owner)

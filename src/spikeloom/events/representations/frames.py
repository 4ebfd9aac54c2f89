"""Frames: the events of each window counted by pixel, exactly; and bit planes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...errors import ParameterError
from ...native import memory
from ...spikes.validate import check_count
from ..container import Events
from ..filters_checks import check_sorted
from ..slicing import (
    Stream,
    TimeWindows,
    Windows,
    bin_windows,
    count_windows,
    event_bin_windows,
    slice_by_count,
    slice_by_time,
    time_windows,
)
from .pixels import Polarity, check_polarity, draw, frame_shape, library, places, signs

_SUFFIXES = {"uint8": "u8", "uint16": "u16", "int16": "i16", "int32": "i32", "float32": "f32"}
_LARGE, _MOST_BYTES = 2**28, 2**40
"""Bytes of an array from which on the free memory is looked at, and what that is taken for where nothing tells it."""
_ONE_BY_ONE = {"frames": "; iter_frames draws one after the other", "time_surface": "; iter_time_surfaces does"}


def frames(
    events: Events,
    *,
    window: float | None = None,
    n_bins: int | None = None,
    events_per_frame: int | None = None,
    n_event_bins: int | None = None,
    overlap: float = 0,
    start: float | None = None,
    end: float | None = None,
    include_incomplete: bool = True,
    polarity: Polarity = "separate",
    dtype: DTypeLike = np.int32,
) -> NDArray[Any]:
    """The number of events of each window and pixel, (T, P, H, W).

    Exactly one of these says what a window is: `window`, a time in ms; `n_bins`, this number of windows of one length
    in time; `events_per_frame`, this number of events; `n_event_bins`, this number of windows with equal numbers of
    events. Time begins at `start` in ms (default: the first event) and ends before `end` (default: 1 us after the last
    event), so that without overlap each event is counted once: the sum over all is the number of events. The last of
    windows by `window` or `events_per_frame` may be short: include_incomplete=False leaves it out. `overlap` of those,
    in ms or events, is what a window shares with the one before.

    polarity: 'separate' gives P = 2, OFF then ON; 'merged' P = 1; 'signed' P = 1 with ON minus OFF. dtype: int32,
    int16, float32 or, unless signed, uint16 and uint8; a count stays at the largest that it can hold (2**24 for
    float32), it never wraps.
    Raises DataError unless the events are sorted by time.
    """
    check_sorted(events, "frames")
    shape, checked = frame_shape(events, polarity, "frames"), check_dtype(dtype, polarity, "frames")
    given = {"window": window, "n_bins": n_bins, "events_per_frame": events_per_frame, "n_event_bins": n_event_bins}
    kind, size = _only_one("frames", given)
    if kind in ("events_per_frame", "n_event_bins"):
        events = events.between(start, end)
    found = _windows(events, kind, size, overlap, start, end, include_incomplete)
    return _count(events, found, shape, polarity, checked)


def _windows(
    events: Events,
    kind: str,
    size: Any,
    overlap: float,
    start: float | None,
    end: float | None,
    include_incomplete: bool,
) -> Windows:
    """The windows that `frames` is asked for."""
    if overlap and kind in ("n_bins", "n_event_bins"):
        raise ParameterError(f"frames.overlap is that of window or events_per_frame; {kind} has none")
    if kind == "window":
        return time_windows(events, TimeWindows(size, overlap, "frames"), start, end, include_incomplete)
    if kind == "n_bins":
        return bin_windows(events, size, start, end, "frames")
    if kind == "events_per_frame":
        return count_windows(events, size, overlap, include_incomplete, "frames")
    return event_bin_windows(events, size, "frames")


def iter_frames(
    events: Stream,
    *,
    window: float | None = None,
    events_per_frame: int | None = None,
    overlap: float = 0,
    start: float | None = None,
    end: float | None = None,
    include_incomplete: bool = True,
    polarity: Polarity = "separate",
    dtype: DTypeLike = np.int32,
) -> Iterator[NDArray[Any]]:
    """The frames (P, H, W) of `frames`, one after the other, in the memory that one of them and its events take.

    `events` may be an iterable of Events that follow each other in time, such as the pieces of a file.
    """
    check_dtype(dtype, check_polarity(polarity, "iter_frames"), "iter_frames")
    kind, size = _only_one("iter_frames", {"window": window, "events_per_frame": events_per_frame})
    if kind == "window":
        pieces = slice_by_time(
            events, size, overlap=overlap, start=start, end=end, include_incomplete=include_incomplete
        )
    elif start is not None or end is not None:
        raise ParameterError("iter_frames: start and end are those of windows; give it events.between(start, end)")
    else:
        pieces = slice_by_count(events, size, overlap=overlap, include_incomplete=include_incomplete)
    return (accumulate(piece, polarity=polarity, dtype=dtype) for piece in pieces)


def accumulate(events: Events, *, polarity: Polarity = "separate", dtype: DTypeLike = np.int32) -> NDArray[Any]:
    """All events counted by pixel in one frame (P, H, W), in whatever order they are; arguments as in `frames`."""
    shape, checked = frame_shape(events, polarity, "accumulate"), check_dtype(dtype, polarity, "accumulate")
    whole = Windows(np.zeros(1, np.int64), np.full(1, len(events)))
    return _count(events, whole, shape, polarity, checked).reshape(shape)


def bit_planes(
    events: Events,
    n_frames: int = 1,
    n_bits: int = 8,
    *,
    start: float | None = None,
    end: float | None = None,
    polarity: Polarity = "separate",
) -> NDArray[np.uint16]:
    """Frames of `n_bits`-bit numbers, (n_frames, P, H, W), one bit for each part of a frame's time; n_bits is 1 to 16.

    The time from `start` to `end`, as in `frames`, is cut into n_frames x n_bits equal parts; a bit is 1 where a pixel
    has an event in that part, the first part is the highest bit. Divided by 2**n_bits - 1 these are the Bina-Rep frames
    of Barchid et al. (2022); of 1 bit they are binary frames. polarity: 'separate' or 'merged'. Raises DataError unless
    the events are sorted by time.
    """
    shape, n_frames = frame_shape(events, polarity, "bit_planes"), check_count(n_frames, "bit_planes.n_frames")
    if polarity == "signed":
        raise ParameterError("bit_planes.polarity must be 'separate' or 'merged', got 'signed'; a bit has no sign")
    if (n_bits := check_count(n_bits, "bit_planes.n_bits")) > 16:
        raise ParameterError(f"bit_planes.n_bits must be an integer from 1 to 16, got {n_bits}")
    found = bin_windows(events, n_frames * n_bits, start, end, "bit_planes")
    out = zeros((n_frames, *shape), np.uint16, "bit_planes")
    if (native := library()) is not None:
        draw(native, "mark_bits", events, polarity, found.begin, found.end, len(found.begin), n_bits, out)
        return out
    place, flat = places(events, polarity), out.reshape(n_frames, -1)
    for k, (low, high) in enumerate(zip(found.begin, found.end, strict=True)):
        flat[k // n_bits][place[low:high]] |= np.uint16(1 << (n_bits - 1 - k % n_bits))
    return out


def room(shape: tuple[int, ...], dtype: DTypeLike, owner: str) -> NDArray[Any]:
    """An array that holds anything; ParameterError for more than the memory that is free."""
    size = prod(shape) * np.dtype(dtype).itemsize
    if size > _LARGE and size > (most := memory.available() or _MOST_BYTES):
        raise ParameterError(
            f"{owner}: {shape} of {np.dtype(dtype)} takes {size / 2**30:.1f} GiB, of memory {most / 2**30:.1f} GiB are "
            f"free; draw fewer at a time, times are in ms{_ONE_BY_ONE.get(owner, '')}"
        )
    return memory.empty(shape, dtype)


def zeros(shape: tuple[int, ...], dtype: DTypeLike, owner: str) -> NDArray[Any]:
    """Zeros; ParameterError for more than the memory that is free."""
    out = room(shape, dtype, owner)
    out.fill(0)
    return out


def check_dtype(dtype: DTypeLike, polarity: str, owner: str) -> np.dtype[Any]:
    """The type of counts; ParameterError for one that cannot hold them."""
    try:
        checked = np.dtype(dtype)
    except TypeError as error:
        raise ParameterError(f"{owner}.dtype must be a type of numbers, got {dtype!r}") from error
    fits = [name for name in _SUFFIXES if polarity != "signed" or not name.startswith("u")]
    if checked.name not in fits or not checked.isnative:
        raise ParameterError(f"{owner}.dtype must be one of {', '.join(fits)} for {polarity!r} counts, got {checked}")
    return checked


def _count(
    events: Events, windows: Windows, shape: tuple[int, int, int], polarity: str, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """The counts of each window, (T, P, H, W)."""
    n, most = len(windows.begin), 2**24 if dtype.kind == "f" else int(np.iinfo(dtype).max)
    if polarity == "signed" and dtype != np.int32 and (windows.end - windows.begin).max(initial=0) > most:
        wide = _count(events, windows, shape, polarity, np.dtype(np.int32))
        return np.asarray(np.clip(wide, -most, most), dtype)
    out = room((n, *shape), dtype, "frames")
    if (native := library()) is not None:
        name, bounds = f"count_frames_{_SUFFIXES[dtype.name]}", map(np.ascontiguousarray, windows)
        draw(native, name, events, polarity, *bounds, n, np.empty(prod(shape), np.int8), out)
        return out
    place, sign = places(events, polarity), signs(events, polarity)
    for frame, low, high in zip(out.reshape(n, prod(shape)), *windows, strict=True):
        counts = np.bincount(place[low:high], sign[low:high], prod(shape))
        frame[:] = np.clip(counts, -most, most)
    return out


def _only_one(owner: str, given: dict[str, float | None]) -> tuple[str, Any]:
    """The one parameter that is given, by name and value; ParameterError where it is not one."""
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise ParameterError(f"{owner} must get exactly one of {', '.join(given)}, got {' and '.join(named) or 'none'}")
    return named[0], given[named[0]]

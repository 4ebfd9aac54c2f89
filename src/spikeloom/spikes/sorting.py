"""Events in any order into spikes in the order of (sample, step, id): compiled, or by NumPy where nothing compiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..native.compiled import compiled

HEADER = "spike_sort.hpp"
FEW = 512
"""Fewer keys than these are sorted by NumPy: a call of its own takes longer."""
MOST = 2**32 - 1
"""How many keys the compiled functions sort at once."""


class Ragged(NamedTuple):
    """Arrays of several lengths in one array of bytes: where each begins, and the type of their numbers."""

    data: NDArray[np.uint8]
    places: NDArray[np.int64]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, array: NDArray[Any], lengths: NDArray[np.int64]) -> Ragged:
        """Those that follow each other in an array."""
        return cls(array.view(np.uint8), (np.cumsum(lengths) - lengths) * array.itemsize, array.dtype)

    def joined(self, lengths: NDArray[np.int64]) -> NDArray[Any]:
        """All of them, of so many numbers each, as one array."""
        sizes = (lengths * self.dtype.itemsize).tolist()
        parts = [self.data[at : at + size] for at, size in zip(self.places.tolist(), sizes, strict=True)]
        return np.concatenate([self.data[:0], *parts]).view(self.dtype)


class Room(NamedTuple):
    """Where spikes are put, with room for all events: steps, ids, and how often each was there unless nobody asks."""

    step: NDArray[np.int32]
    ids: NDArray[np.int32]
    counts: NDArray[np.int32] | None


def sorted_keys(keys: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The keys, integers of at least 0, in ascending order, and where each was; equal ones keep their order."""
    library = compiled(HEADER) if FEW <= keys.size <= MOST else None
    if library is None:
        order = np.argsort(keys, kind="stable")
        return keys[order], order
    size = keys.dtype.itemsize
    result, places = keys.astype(f"u{size}"), np.empty((2, keys.size), np.uint32)
    library.call(f"sort_keys_u{8 * size}", result, np.empty_like(result), places[0], places[1], keys.size)
    return result.view(keys.dtype), places[0]


def grid_events(
    time: Ragged, ids: Ragged, lengths: NDArray[np.int64], n_neurons: int, table: NDArray[np.int32] | None, out: Room
) -> tuple[NDArray[np.int64], tuple[int, int] | None]:
    """Puts the events of samples into `out` as spikes in order, each once: lengths[b] times and ids of sample b.

    A time is the int32 step of an event; or, as the ids then, uint16, with a `table` (65536,) of the step that each
    value stands for. Ids, int32 otherwise, are to be below n_neurons, and steps at least 0. Returns where each sample
    ends in `out`, and sample and place of the first event that is not so, if any; then `out` holds nothing.
    """
    ends, n = np.zeros(len(lengths), np.int64), int(lengths.sum())
    library = compiled(HEADER) if n <= MOST else None
    if library is None:
        return _grid_events(time.joined(lengths), ids.joined(lengths), lengths, n_neurons, table, out)
    most = table.max() if table is not None else time.data.view(np.int32).max(initial=0)
    width = 64 if max(int(most), 0).bit_length() + (n_neurons - 1).bit_length() > 32 else 32
    bad, keys = np.zeros(2, np.int64), np.empty((2, int(lengths.max(initial=0))), f"u{width // 8}")
    name = f"grid_events_{'i32' if table is None else 'u16'}_u{width}"
    given = (time.data, time.places, ids.data, ids.places, lengths, len(lengths), table, n_neurons)
    library.call(name, *given, out.step, out.ids, out.counts, ends, keys[0], keys[1], bad)
    return ends, (int(bad[0]), int(bad[1])) if bad[0] >= 0 else None


def _grid_events(
    time: NDArray[Any],
    ids: NDArray[Any],
    lengths: NDArray[np.int64],
    n_neurons: int,
    table: NDArray[np.int32] | None,
    out: Room,
) -> tuple[NDArray[np.int64], tuple[int, int] | None]:
    """The same by NumPy."""
    step = time if table is None else table[time]
    samples = np.repeat(np.arange(len(lengths)), lengths)
    if (wrong := (step < 0) | (ids < 0) | (ids >= n_neurons)).any():
        row = int(samples[wrong.argmax()])
        return np.zeros(len(lengths), np.int64), (row, int(wrong.argmax() - lengths[:row].sum()))
    order = np.lexsort((ids, step, samples))
    rows = np.stack([samples, step, ids], axis=1)[order]
    first = np.ones(order.size, np.bool_)
    first[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    out.step[: starts.size], out.ids[: starts.size] = rows[starts, 1], rows[starts, 2]
    if out.counts is not None:
        out.counts[: starts.size] = np.diff(starts, append=order.size)
    return np.cumsum(np.bincount(rows[starts, 0], minlength=len(lengths))), None

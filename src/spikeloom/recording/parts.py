"""What a recorder is given, as it waits in memory: unchanged where that is cheap, cut where it is long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError
from ..spikes import Numbers, PackedSpikes, Spikes
from ..spikes.validate import as_array, check_each
from ..units import times
from .batches import ranges

Data: TypeAlias = "Spikes | PackedSpikes | NDArray[Any]"
"""Spikes, as events, as bits or as rows of int8 (T, N), or float32 values (T, B, *shape) of another observable."""

BATCH_BYTES = 1 << 25
"""How many bytes a batch may have, but one of a single step."""


class Part(NamedTuple):
    """A stretch of one layer's time as it was handed over; begins: whether a run begins with it."""

    data: Data
    n_steps: int
    n_samples: int
    nbytes: int
    begins: bool


def spike_rows(x: Numbers) -> NDArray[np.int8]:
    """The plain spikes of one step (N,) or of several (T, N) as (T, N); DataError for what is neither 0 nor 1."""
    array = rows(x, "spikes")
    if array.dtype.kind != "b":
        is_plain = (array == 0) | (array == 1)
        if not is_plain.all():
            found = array if np.ndim(x) == 2 else array[0]
            check_each(found, is_plain.reshape(found.shape), "spikes", "0 or 1 (graded spikes go to write)")
    return array.astype(np.int8, copy=False)


def rows(x: Numbers, owner: str) -> NDArray[Any]:
    """The array of one step (N,) or of several (T, N) as (T, N)."""
    array = as_array(x, owner)
    if array.ndim not in (1, 2) or not array.size:
        raise ShapeError(f"{owner} must have shape (N,) or (T, N), got {array.shape}; give samples to write() instead")
    return array if array.ndim == 2 else array[None]


def parts(data: Data, most_steps: int, *, begins: bool) -> Iterable[Part]:
    """The data as parts of at most so many steps and `BATCH_BYTES`; values are copied, each when its turn comes."""
    n_steps, n_samples, nbytes = _size(data)
    if n_steps <= most_steps and nbytes <= BATCH_BYTES:
        return (Part(_kept(data), n_steps, n_samples, nbytes, begins),)
    return _pieces(data, max(1, min(most_steps, n_steps * BATCH_BYTES // nbytes)), begins)


def _pieces(data: Data, most_steps: int, begins: bool) -> Iterator[Part]:
    n_steps, n_samples, _ = _size(data)
    for first in range(0, n_steps, most_steps):
        part = cut(data, first, min(first + most_steps, n_steps))
        size, _, nbytes = _size(part)
        yield Part(part, size, n_samples, nbytes, begins and not first)


def first_steps(part: Part, n_steps: int) -> Part:
    """The first steps of a part."""
    data = cut(part.data, 0, n_steps)
    return part._replace(data=data, n_steps=n_steps, nbytes=_size(data)[2])


def cut(data: Data, first: int, last: int) -> Data:
    """Steps `first` to `last` of the data; a copy of values, in float32."""
    if isinstance(data, PackedSpikes):
        return replace(data, bits=data.bits[first:last])
    if isinstance(data, Spikes):
        return _cut(data, first, last)
    return _kept(data[first:last])


def _kept(data: Data) -> Data:
    """The data, or a copy of values, in float32."""
    if not isinstance(data, np.ndarray):
        return data
    return np.array(data, np.int8 if data.ndim == 2 else np.float32)


def _cut(spikes: Spikes, first: int, last: int) -> Spikes:
    grid, bounds = spikes.grid, spikes.offsets
    begin, end = (
        np.array([a + np.searchsorted(grid.step[a:b], at) for a, b in pairwise(bounds)], int) for at in (first, last)
    )
    counts = end - begin
    where = slice(int(begin[0]), int(end[0])) if len(begin) == 1 else cast(Any, ranges(begin, counts))
    return replace(
        spikes,
        offsets=np.concatenate(([0], np.cumsum(counts))),
        ids=spikes.ids[where],
        step=grid.step[where] - grid.step.dtype.type(first),
        value=None if spikes.value is None else spikes.value[where],
        labels=None,
        n_steps=last - first,
        duration=times(last - first, grid.dt),
    )


def _size(data: Data) -> tuple[int, int, int]:
    """How many steps, samples and bytes."""
    if isinstance(data, PackedSpikes):
        return data.n_steps, data.n_samples, data.bits.nbytes
    if isinstance(data, Spikes):
        graded = 0 if data.value is None else data.value.nbytes
        return data.grid.n_steps, data.n_samples, data.ids.nbytes + data.grid.step.nbytes + data.offsets.nbytes + graded
    return (len(data), 1, data.size) if data.ndim == 2 else (len(data), data.shape[1], 4 * data.size)

"""Lists of events, as the kernels read them: by row, by neuron, and as bits; and the checks of arrays before a call.

A row r = b * T + t holds the events of sample b in step t. Rasters (T, B, N) and bits (T, B, words) are in the order
m = t * B + b; bits are uint64 words of 64 neurons each, neuron 0 is bit 0 of word 0. Arrays are NumPy arrays or torch
tensors on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from operator import index
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import DataError, ParameterError, ShapeError
from . import pool
from .library import Library, include, load

Array: TypeAlias = Any
"""A NumPy array or a torch tensor."""

REAL = ("float32", "float64")
ALIGNMENT = 64
MOST = 2**31 - 1
EVENTS_OF_A_LIST = 20
"""How many events a list of `columns` should hold on average: fewer cost time to begin a list, more leave the cache."""


def dtype_name(array: Array) -> str:
    """The name of an array's dtype, the same for NumPy and torch: 'float32'."""
    return _name(array.dtype)


@cache
def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def suffix(array: Array) -> str:
    """How the functions for an array of reals end: 'f32' or 'f64'."""
    return "f32" if dtype_name(array) == "float32" else "f64"


def check(array: Array, what: str, dtypes: str | Sequence[str], shape: Sequence[int | None]) -> None:
    """Raises DataError or ShapeError unless an array is contiguous, alive, of such a dtype and shape (None: any)."""
    allowed = (dtypes,) if isinstance(dtypes, str) else dtypes
    if not hasattr(array, "dtype") or dtype_name(array) not in allowed:
        got = dtype_name(array) if hasattr(array, "dtype") else type(array).__name__
        raise DataError(f"{what} must be an array of {' or '.join(allowed)}, got {got}")
    if len(array.shape) != len(shape) or any(s not in (None, a) for a, s in zip(array.shape, shape, strict=True)):
        wanted = ", ".join("any" if s is None else str(s) for s in shape)
        raise ShapeError(f"{what} must have shape ({wanted}), got {tuple(array.shape)}")
    if hasattr(array, "data_ptr"):
        _check_tensor(array, what)
    elif not array.flags.c_contiguous:
        raise DataError(f"{what} must be contiguous, got strides {array.strides}; use numpy.ascontiguousarray")


def _check_tensor(array: Array, what: str) -> None:
    if array.device.type != "cpu" or not array.is_contiguous():
        raise DataError(f"{what} must be a contiguous tensor on the CPU, got {array.device}, {array.stride()}")
    needed = (array.storage_offset() + prod(array.shape)) * array.element_size()
    if array.untyped_storage().nbytes() < needed and prod(array.shape):
        raise DataError(f"{what} must be a tensor with its storage, got one whose memory was given back")


def count(value: Any, what: str, least: int | None = 0) -> int:
    """A whole number as an int; ParameterError for anything else, or one below `least`."""
    try:
        number = index(value)
    except TypeError:
        raise ParameterError(f"{what} must be a whole number, got {value!r}") from None
    if least is not None and number < least:
        raise ParameterError(f"{what} must be at least {least}, got {number}")
    return number


def check_out(array: Array, what: str, dtypes: str | Sequence[str], shape: Sequence[int | None]) -> None:
    """`check`, and that the array may be written to."""
    check(array, what, dtypes, shape)
    if not hasattr(array, "data_ptr") and not array.flags.writeable:
        raise DataError(f"{what} must be an array that may be written to, got a read-only one")


def empty(shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """An array whose numbers start on a cache line and hold anything."""
    dtype = np.dtype(dtype)
    raw = np.empty(prod(shape) * dtype.itemsize + ALIGNMENT, np.uint8)
    skip = -raw.ctypes.data % ALIGNMENT
    return raw[skip : raw.size - ALIGNMENT + skip].view(dtype).reshape(shape)


@dataclass(frozen=True, eq=False, slots=True)
class EventRows:
    """The events of a batch by row: `ids[start[r] : start[r + 1]]` are the neurons of row r = b * T + t.

    start (int64, (B * T + 1,)), ids (int32, each below n), values (float32 or float64, one an event; None where each
    is 1). Raises ShapeError or DataError where they do not fit each other. The arrays are kept as read-only views.
    """

    start: NDArray[np.int64]
    ids: NDArray[np.int32]
    values: NDArray[Any] | None
    n_steps: int
    n_samples: int
    n: int

    def __post_init__(self) -> None:
        _check_counts(self, "n_steps", "n_samples", "n")
        rows = self.n_steps * self.n_samples
        if max(rows, self.n, len(self.ids)) > MOST:
            sizes = f"T * B = {rows}, n = {self.n} and {len(self.ids)} events"
            raise ParameterError(f"EventRows: rows, neurons and events must be fewer than 2**31, got {sizes}")
        _check_lists(self, ("start", "ids", "values"), rows, 0, self.n)

    @property
    def first_step(self) -> int:
        """The first step that the rows are of: 0."""
        return 0

    @property
    def n_events(self) -> int:
        """The number of events of all rows."""
        return self.ids.size

    @property
    def density(self) -> float:
        """The share of (step, sample, neuron) that has an event; 0 where there is none of these."""
        return self.n_events / max(1, self.n_steps * self.n_samples * self.n)


def _check_counts(owner: Any, *names: str) -> None:
    """Makes counts plain ints; ParameterError for one that is not a whole number of at least 0."""
    for name in names:
        object.__setattr__(owner, name, count(getattr(owner, name), f"{type(owner).__name__}.{name}"))


def _check_lists(owner: Any, names: tuple[str, str, str], n_lists: int, low: int, high: int) -> None:
    """Checks the starts, the entries (in low .. high - 1) and the values of lists, and makes them read-only views."""
    starts, entries, values = (getattr(owner, name) for name in names)
    where = type(owner).__name__
    check(starts, f"{where}.{names[0]}", "int64", (n_lists + 1,))
    check(entries, f"{where}.{names[1]}", "int32", (None,))
    if values is not None:
        check(values, f"{where}.{names[2]}", REAL, entries.shape)
    bad = np.empty(2, np.int64)
    library().call("check_lists", starts, n_lists, entries, entries.size, low, high, bad)
    if bad[0] >= 0:
        raise DataError(f"{where}.{names[0]} must ascend from 0 to {entries.size}, entry {bad[0]} does not")
    if bad[1] >= 0:
        got = f"{entries[bad[1]]} at {bad[1]}"
        raise DataError(f"{where}.{names[1]} must be in {low} .. {high - 1}, got {got}")
    for name in names:
        if (array := getattr(owner, name)) is not None:
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(owner, name, view)


def library() -> Library:
    """The compiled functions of events.hpp."""
    return load(include("events.hpp"))


def rows_of_spikes(
    offsets: NDArray[np.int64],
    step: NDArray[Any],
    ids: NDArray[Any],
    values: NDArray[Any] | None,
    n_steps: int,
    n: int,
    dtype: DTypeLike = np.float32,
) -> EventRows:
    """The rows of events that are sorted by sample and step, as `Spikes` holds them; ids are shared, not copied.

    offsets (int64, (B + 1,)), step (int32 or int64, each below n_steps), ids (below n), values (any numbers, or None)
    become reals of `dtype`. Raises DataError where the events are not in order or not in range.
    """
    n_steps, n, dtype = count(n_steps, "n_steps"), count(n, "n"), real_dtype(dtype)
    check(offsets, "offsets", "int64", (None,))
    check(step, "step", ("int32", "int64"), (None,))
    check(ids, "ids", ("int32", "int64"), step.shape)
    if offsets.size < 1 or offsets[0] != 0 or offsets[-1] != ids.size or (np.diff(offsets) < 0).any():
        raise DataError(f"offsets must ascend from 0 to the number of events {ids.size}, got {offsets}")
    if ids.dtype == np.int64 and ids.size and not 0 <= ids.min() <= ids.max() < n:
        raise DataError(f"ids must be in 0 .. {n - 1}, got {ids.min()} to {ids.max()}")
    n_samples = offsets.size - 1
    start, bad = np.empty(n_samples * n_steps + 1, np.int64), np.empty(1, np.int64)
    library().call(f"rows_of_spikes_i{step.itemsize * 8}", offsets, n_samples, step, n_steps, start, bad)
    if bad[0] >= 0:
        got = f"step {step[bad[0]]} at event {bad[0]}"
        raise DataError(f"events must be sorted by sample and step, each step in 0 .. {n_steps - 1}, got {got}")
    reals = None if values is None else np.ascontiguousarray(values, dtype)
    return EventRows(start, ids.astype(np.int32, copy=False), reals, n_steps, n_samples, n)


def real_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """float32 or float64; ParameterError for another dtype."""
    if np.dtype(dtype).name not in REAL:
        raise ParameterError(f"dtype must be {' or '.join(REAL)}, got {np.dtype(dtype)}")
    return np.dtype(dtype)


def rows_of_bits(bits: Array, n: int) -> EventRows:
    """The rows of the spikes of n neurons in bits (uint64, (T, B, ceil(n / 64))); bits from n on are not looked at."""
    n = count(n, "n")
    check(bits, "bits", "uint64", (None, None, -(-n // 64)))
    n_steps, n_samples, _ = bits.shape
    start = np.empty(n_steps * n_samples + 1, np.int64)
    library().call("start_of_bits", bits, n_steps, n_samples, n, start)
    ids = np.empty(int(start[-1]) + 3, np.int32)
    library().call("ids_of_bits", bits, n_steps, n_samples, n, ids)
    return EventRows(start, ids[:-3], None, n_steps, n_samples, n)


def rows_of_raster(x: Array, dtype: DTypeLike | None = None) -> EventRows:
    """The rows of the numbers other than 0 of a raster (T, B, n), with values where not all of them are 1.

    x may have any stride in time (`x[::2]`), each step must be contiguous. Values have the given dtype; by default
    float64 for a raster of float64, else float32.
    """
    raster = np.asarray(x.detach() if hasattr(x, "detach") else x)
    if raster.ndim != 3:
        raise ShapeError(f"x must have shape (T, B, n), got {raster.shape}")
    kind = _KINDS.get(raster.dtype.name)
    if kind is None:
        raise DataError(f"x must be an array of {', '.join(_KINDS)}, got {raster.dtype}; convert it to float32")
    n_steps, n_samples, n = raster.shape
    if raster.size and not raster[0].flags.c_contiguous:
        raise DataError(f"each step of x must be contiguous, got strides {raster.strides}")
    bits, graded = np.empty((n_steps, n_samples, -(-n // 64)), np.uint64), np.zeros(1, np.int64)
    if raster.size == 0:
        return rows_of_bits(np.zeros_like(bits), n)
    place = (raster[0], raster.strides[0] // raster.itemsize, n_steps, n_samples, n)
    library().call(f"bits_of_raster_{'u8' if kind in ('i8', 'u8') else kind}", *place, bits, graded)
    rows = rows_of_bits(bits, n)
    if not graded[0]:
        return rows
    values = np.empty(rows.n_events, real_dtype(dtype or ("float64" if kind == "f64" else "float32")))
    library().call(f"values_of_raster_{kind}_{suffix(values)}", *place, rows.start, rows.ids, values)
    return EventRows(rows.start, rows.ids, values, n_steps, n_samples, n)


_KINDS = {"float32": "f32", "float64": "f64", "int8": "i8", "uint8": "u8", "bool": "u8"}


def bits_to_raster(bits: Array, n: int, out: Array, threads: int = 1) -> None:
    """Writes the spikes of n neurons in bits (T, B, words) as 0 and 1 to a raster of reals (T, B, n)."""
    n = count(n, "n")
    check(bits, "bits", "uint64", (None, None, -(-n // 64)))
    check_out(out, "out", REAL, (*bits.shape[:2], n))
    name = f"bits_to_raster_{suffix(out)}"
    pool.run(lambda begin, end: library().call(name, bits, begin, end, n, out), prod(bits.shape[:2]), threads)


def count_bits(bits: Array) -> int:
    """The number of spikes in bits, a contiguous array of uint64 of any shape."""
    check(bits, "bits", "uint64", (None,) * len(bits.shape))
    count = np.zeros(1, np.int64)
    library().call("count_bits", bits, prod(bits.shape), count)
    return int(count[0])


@dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """The events of a window of steps by neuron, in chunks of rows m = t * B + b that lie close to each other.

    `rows[lists[c * n + k] : lists[c * n + k + 1]]` are the rows m of chunk c in which neuron k has an event; m counts
    from step 0 whatever the window. lists (int64, (n_chunks * n + 1,)), rows (int32), values (reals, one an event, or
    None where each is 1). Raises ShapeError or DataError where they do not fit each other.
    """

    lists: NDArray[np.int64]
    rows: NDArray[np.int32]
    values: NDArray[Any] | None
    n_chunks: int
    first_step: int
    n_steps: int
    n_samples: int
    n: int

    def __post_init__(self) -> None:
        _check_counts(self, "n_chunks", "first_step", "n_steps", "n_samples", "n")
        first, last = self.first_step * self.n_samples, (self.first_step + self.n_steps) * self.n_samples
        _check_lists(self, ("lists", "rows", "values"), self.n_chunks * self.n, first, last)


def columns(
    events: EventRows, chunk: int | None = None, first_step: int = 0, n_steps: int | None = None, threads: int = 1
) -> Columns:
    """The events by neuron, for the steps from `first_step` on, `n_steps` of them (default: all that follow).

    A chunk holds about `chunk` rows: by default as many as give each neuron some events, and fit a cache.
    """
    T, B, n = events.n_steps, events.n_samples, events.n
    first_step = count(first_step, "columns.first_step")
    last_step = T if n_steps is None else first_step + count(n_steps, "columns.n_steps")
    size = (
        round(min(max(EVENTS_OF_A_LIST / max(events.density, 1e-9), 256), 2048))
        if chunk is None
        else count(chunk, "columns.chunk")
    )
    if size < 1 or not 0 <= first_step <= last_step <= T:
        got = f"steps {first_step} to {last_step} of {T}, chunk {chunk}"
        raise ParameterError(f"columns needs a window within the steps and a chunk of at least one row, got {got}")
    steps, samples = max(1, size // max(1, B)), max(1, min(B, size))
    n_chunks = -(-(last_step - first_step) // steps) * -(-B // samples)
    begins, lists = np.zeros(n_chunks + 1, np.int64), np.empty(n_chunks * n + 1, np.int64)
    cut = (T, B, first_step, last_step, steps, samples)
    native = library()
    native.call("chunk_begins", events.start, *cut, begins)
    rows, lists[-1] = np.empty(int(begins[-1]), np.int32), begins[-1]
    values = None if events.values is None else np.empty(rows.size, events.values.dtype)
    name = "columns_f32" if values is None else f"columns_{suffix(values)}"

    def turn(begin: int, end: int) -> None:
        source = (events.start, events.ids, events.values, *cut, n, begins)
        native.call(name, *source, lists, rows, values, np.empty(n, np.int32), begin, end)

    pool.run(turn, n_chunks, threads)
    return Columns(lists, rows, values, n_chunks, first_step, last_step - first_step, B, n)

"""Products around a scan: packed weights, weight and bias gradients from events, dense products by register blocks.

A population of N neurons is cut into tiles of `width` (16, 32 or 64) neurons, padded with zeros. A tiled plane is
[tile][m][width] with m = t * B + b; the packed weight of W (N, K) is [tile][k][width]; its panels are [tile over
K][n][width]. All arrays of a call are of one real dtype, contiguous, NumPy or torch; outputs overlap no input. Results
are the same bits for any number of threads.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..errors import DataError, ParameterError, ShapeError
from . import pool
from .events import REAL, Array, Columns, EventRows, check, check_out, columns, count, dtype_name, empty, suffix
from .library import Library, include, load

WIDTHS = (16, 32, 64)
GROUP, SPAN = 96, 256
"""The columns and rows that `dense_weight_gradient` takes at a time, as products.hpp has them."""


def library() -> Library:
    """The compiled functions of products.hpp."""
    return load(include("products.hpp"))


def n_tiles(n: int, width: int) -> int:
    """The number of tiles of n neurons; ParameterError for a width that there is not."""
    if width not in WIDTHS:
        raise ParameterError(f"width must be one of {WIDTHS}, got {width}")
    return -(-count(n, "n") // width)


def pack_weight(weight: Array, width: int, out: Array | None = None, threads: int = 1) -> Array:
    """The weight (N, K) as [tile][K][width], in `out` or in a new NumPy array."""
    check(weight, "weight", REAL, (None, None))
    n, k = weight.shape
    return _tiled("pack_weight", weight, (n_tiles(n, width), k, int(width)), (n, k), out, threads)


def pack_panels(weight: Array, width: int, out: Array | None = None, threads: int = 1) -> Array:
    """The weight (N, K) as [tile over K][N][width], in `out` or in a new NumPy array."""
    return tile(weight, width, out, threads)


def tile(x: Array, width: int, out: Array | None = None, threads: int = 1) -> Array:
    """The plane x (M, N) as [tile][M][width], zeros beyond N, in `out` or in a new NumPy array."""
    check(x, "x", REAL, (None, None))
    m, n = x.shape
    return _tiled("tile", x, (n_tiles(n, width), m, int(width)), (m, n), out, threads)


def _tiled(
    name: str, source: Array, shape: tuple[int, int, int], sizes: tuple[int, int], out: Array | None, threads: int
) -> Array:
    if out is None:
        out = empty(shape, dtype_name(source))
    check_out(out, "out", dtype_name(source), shape)
    call = partial(library().call, f"{name}_{suffix(source)}", source, *sizes, shape[2], out)
    pool.run(call, shape[0], threads)
    return out


def untile(tiled: Array, n: int, out: Array | None = None, threads: int = 1) -> Array:
    """The plane (M, n) of [tile][M][width], in `out` or in a new NumPy array."""
    n, m, width = _check_tiled(tiled, n, "tiled")
    if out is None:
        out = empty((m, n), dtype_name(tiled))
    check_out(out, "out", dtype_name(tiled), (m, n))
    pool.run(partial(library().call, f"untile_{suffix(tiled)}", tiled, m, n, width, out), tiled.shape[0], threads)
    return out


def _check_tiled(g: Array, n: int, what: str) -> tuple[int, int, int]:
    """n as an int, M and the width of a tiled plane of n neurons."""
    check(g, what, REAL, (None, None, None))
    tiles, m, width = g.shape
    if n_tiles(n, width) != tiles:
        raise ShapeError(
            f"{what} of {n} neurons needs {n_tiles(n, width)} tiles of {width}, got shape {tuple(g.shape)}"
        )
    return count(n, "n"), m, width


def weight_gradient(
    events: EventRows | Columns,
    g: Array,
    n: int,
    out: Array,
    *,
    first_step: int = 0,
    accumulate: bool = False,
    threads: int = 1,
) -> None:
    """Writes (or adds) to out (n, K) the sum over all events (m, k) of value * g[:, m, :]: the gradient of a weight.

    g is the gradient of the current of n neurons, [tile][M][width], whose row 0 belongs to step `first_step` of the
    events. Steps that only one of the two has add nothing: first_step = -1 pairs the events of each step with g of the
    next one, as a recurrent weight needs it; a later one takes a window of time. Columns must lie within g's steps.
    """
    n, _, _ = _check_tiled(g, n, "g")
    check_out(out, "out", dtype_name(g), (n, events.n))
    window, shift = _pairing(events, g, first_step)
    if isinstance(events, EventRows) and _row_by_row(g):
        WeightSums(n, threads, by_rows=True).add(events, g, first_step).write(out, accumulate)
        return
    lists = _lists(events, window, threads)
    tiles, m, width = g.shape
    parts = _parts(tiles, lists.n, threads)

    def add(begin: int, end: int) -> None:
        room = empty((-(-lists.n // parts), width), dtype_name(g))
        source = (lists.lists, lists.rows, lists.values, lists.n_chunks, lists.n, g, m, width, shift, n, parts)
        library().call(f"weight_gradient_{suffix(g)}", *source, room, out, int(accumulate), begin, end)

    pool.run(add, tiles * parts, threads)


class WeightSums:
    """The gradient of the weight of n neurons, window of time by window, in the order in which it is summed up fastest.

    `add` takes what `weight_gradient` does, `write` writes (or adds) the sum of all windows to out (n, K). by_rows:
    whether rows of events are taken as they are; None: what is faster for the first window.
    """

    def __init__(self, n: int, threads: int = 1, *, by_rows: bool | None = None) -> None:
        self.n, self.threads, self.by_rows = n, threads, by_rows
        self.sums: Array | None = None

    def add(self, events: EventRows | Columns, g: Array, first_step: int = 0) -> WeightSums:
        """Adds a window; all of them are of the same neurons, in tiles of the same width."""
        _check_tiled(g, self.n, "g")
        window, shift = _pairing(events, g, first_step)
        begun = self.sums is not None
        if begun:
            self._check_same(events, g)
        else:
            self._begin(events, g, window)
        if self.by_rows and isinstance(events, EventRows):
            self._scatter(events, window, g, shift, begun)
            return self
        lists = _lists(events, window, self.threads)
        tiles, m, width = g.shape
        parts = _parts(tiles, lists.n, self.threads)
        source = (lists.lists, lists.rows, lists.values, lists.n_chunks, lists.n, g, m, width, shift, self.n, parts)
        call = partial(library().call, f"weight_gradient_{suffix(g)}", *source, self.sums, None, 1)
        pool.run(call, tiles * parts, self.threads)
        return self

    def _begin(self, events: EventRows | Columns, g: Array, window: tuple[int, int]) -> None:
        """Sums for each tile; row by row also for parts, as many as fit the size of the work and not the threads."""
        tiles, _, width = g.shape
        if self.by_rows is None:
            self.by_rows = isinstance(events, EventRows) and _row_by_row(g)
        rows = (window[1] - window[0]) * events.n_samples
        self.parts = max(1, min(8, rows // 4096)) if self.by_rows and tiles == 1 else 1
        self.sums = empty((tiles * self.parts, events.n, width), dtype_name(g))
        if not (self.by_rows and isinstance(events, EventRows)):
            self.sums[:] = 0

    def _check_same(self, events: EventRows | Columns, g: Array) -> None:
        """Raises ShapeError or DataError unless a later window fits the sums of those before."""
        assert self.sums is not None
        tiles, _, width = g.shape
        wanted, got = (len(self.sums) // self.parts, *self.sums.shape[1:]), (tiles, events.n, width)
        if wanted != got:
            raise ShapeError(f"windows must have the same tiles, neurons and width, {wanted}, got {got}")
        if dtype_name(g) != dtype_name(self.sums):
            raise DataError(
                f"g must be of the dtype of the windows before, {dtype_name(self.sums)}, got {dtype_name(g)}"
            )

    def _scatter(self, events: EventRows, window: tuple[int, int], g: Array, shift: int, begun: bool) -> None:
        tiles, m, width = g.shape
        source = (events.start, events.ids, events.values, events.n_steps, events.n_samples, *window, events.n)
        where = (g, m, width, shift, self.parts, self.sums, int(begun))
        call = partial(library().call, f"scatter_gradient_{suffix(g)}", *source, *where)
        pool.run(call, tiles * self.parts, self.threads)

    def write(self, out: Array, accumulate: bool = False) -> None:
        """Writes (or adds) the gradient to out (n, K); at least one window was added."""
        assert self.sums is not None
        tiles_and_parts, k, width = self.sums.shape
        check_out(out, "out", dtype_name(self.sums), (self.n, k))
        source = (self.sums, width, self.parts, self.n, k, out, int(accumulate))
        call = partial(library().call, f"gather_parts_{suffix(self.sums)}", *source)
        pool.run(call, tiles_and_parts // self.parts, self.threads)


def _pairing(events: EventRows | Columns, g: Array, first_step: int) -> tuple[tuple[int, int], int]:
    """The steps of the events, from and to, that have a row in g, and the row of g of their row 0."""
    _, m, _ = g.shape
    if events.values is not None and dtype_name(events.values) != dtype_name(g):
        raise DataError(f"values of events must be of the dtype of g, {dtype_name(g)}, got {events.values.dtype}")
    samples, first_step = events.n_samples, count(first_step, "first_step", None)
    steps = m // max(1, samples)
    if steps * samples != m:
        raise ShapeError(f"g must have rows for whole steps of {samples} samples, got {m} rows")
    after = first_step + steps
    within = first_step <= events.first_step <= after - events.n_steps
    if isinstance(events, Columns) and events.n_steps * samples and not within:
        raise ShapeError(f"columns must lie within the {steps} steps of g from step {first_step} on")
    begin = min(max(0, first_step), events.n_steps)
    return (begin, max(begin, min(events.n_steps, after))), -first_step * samples


def _lists(events: EventRows | Columns, window: tuple[int, int], threads: int) -> Columns:
    if isinstance(events, Columns):
        return events
    return columns(events, first_step=window[0], n_steps=window[1] - window[0], threads=threads)


def _row_by_row(g: Array) -> bool:
    """Whether to add each row of g to all neurons of its row of events, rather than to sum up by neuron.

    Measured, in times of one event and tile by neuron: 2 for an event row by row, unless the row of g is zero and is
    skipped; 1.2 for turning an event into a list by neuron.
    """
    tiles, m, width = g.shape
    counts = np.empty(2, np.int64)
    rows = tiles * m
    library().call(f"sample_rows_{suffix(g)}", g, rows, width, max(1, rows // 1024) | 1, counts)
    found, looked = counts
    return bool(2 * tiles * found <= (tiles + 1.2) * looked)


def bias_gradient(
    g: Array, n: int, out: Array, *, rows: tuple[int, int] | None = None, accumulate: bool = False, threads: int = 1
) -> None:
    """Writes (or adds) to out (n,) the sum over rows, from and to (default: all M), of the plane g [tile][M][width]."""
    n, m, width = _check_tiled(g, n, "g")
    check_out(out, "out", dtype_name(g), (n,))
    first, last = (0, m) if rows is None else rows
    if not 0 <= first <= last <= m:
        raise ShapeError(f"rows must lie within the {m} rows of g, got {rows}")
    call = partial(library().call, f"bias_gradient_{suffix(g)}", g, m, first, last, n, width, out, int(accumulate))
    pool.run(call, g.shape[0], threads)


def dense_product(a: Array, packed: Array, n: int, out: Array, *, accumulate: bool = False, threads: int = 1) -> None:
    """Writes (or adds) to out (M, n) the product a W^T of a (M, K) with a packed weight [tile][K][width]."""
    n, k, width = _check_tiled(packed, n, "packed")
    check(a, "a", dtype_name(packed), (None, k))
    m = a.shape[0]
    check_out(out, "out", dtype_name(packed), (m, n))
    if k == 0 and not accumulate:
        out[:] = 0
    tiles = packed.shape[0]
    parts = _parts(tiles, m, threads)
    sizes = (m, k, packed, n, width, parts, out, int(accumulate))
    pool.run(partial(library().call, f"dense_product_{suffix(a)}", a, *sizes), tiles * parts, threads)


def dense_weight_gradient(
    a: Array, g: Array, n: int, out: Array, *, accumulate: bool = False, threads: int = 1
) -> None:
    """Writes (or adds) to out (n, K) the product g^T a of a (M, K) with a tiled plane g [tile][M][width]."""
    n, m, width = _check_tiled(g, n, "g")
    check(a, "a", dtype_name(g), (m, None))
    k = a.shape[1]
    check_out(out, "out", dtype_name(g), (n, k))
    if m == 0 and not accumulate:
        out[:] = 0
    tiles, native = g.shape[0], library()
    name, columns_of_a_unit = ("narrow", 64) if tiles == 1 else ("dense", GROUP)

    def multiply(begin: int, end: int) -> None:
        packed, total = empty((SPAN, GROUP), dtype_name(g)), empty((tiles, GROUP, width), dtype_name(g))
        arguments = (a, m, k, g, n, width, packed, total, out, int(accumulate), begin, end)
        native.call(f"{name}_weight_gradient_{suffix(g)}", *arguments)

    pool.run(multiply, -(-k // columns_of_a_unit) if m and n else 0, threads)


def signal_gradient(g: Array, n: int, weight: Array, out: Array, *, accumulate: bool = False, threads: int = 1) -> None:
    """Writes (or adds) to out (M, K) the product g W of a tiled plane g [tile][M][width] with a weight (n, K)."""
    n, m, width = _check_tiled(g, n, "g")
    check(weight, "weight", dtype_name(g), (n, None))
    k = weight.shape[1]
    check_out(out, "out", dtype_name(g), (m, k))
    if n == 0 and not accumulate:
        out[:] = 0
    panels = pack_panels(weight, 64, threads=threads)
    parts = _parts(len(panels), m, threads)
    sizes = (m, n, width, panels, k, parts, out, int(accumulate))
    pool.run(partial(library().call, f"signal_gradient_{suffix(g)}", g, *sizes), len(panels) * parts, threads)


def _parts(tiles: int, size: int, threads: int) -> int:
    """Into how many parts the work on a tile is cut, so that all threads have as much; its size is the most."""
    return 1 if tiles % count(threads, "threads", 1) == 0 else max(1, min(size, threads))

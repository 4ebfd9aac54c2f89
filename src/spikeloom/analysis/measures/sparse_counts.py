"""Counts of spikes in bins as a sparse matrix, which short bins leave mostly empty, and their products."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...errors import ParameterError
from ...native.compiled import compiled
from ...recording.batches import ranges
from ...spikes.sorting import sorted_keys
from ..windows import Window
from .bins import Array, Binning
from .pairs import Ids

DENSE = 0.15
"""The share of counts that are not 0 from which on they are multiplied as a dense matrix."""
BLOCK = 2**22
"""How many counts are made dense at once."""


class SparseCounter:
    """The counts of neurons in whole bins of `bin_ms`, window by window.

    Bins begin anew with each run and go on over the borders of windows; what is left after the last of a run is not
    counted. neurons: the ids that the columns stand for, None for all; ParameterError for a window without them.
    """

    def __init__(self, bin_ms: float, neurons: Ids | None = None) -> None:
        self._bin_ms, self._neurons, self._binning = bin_ms, neurons, Binning(bin_ms)
        self._waiting = np.zeros((2, 0), np.int64)

    def take(self, window: Window) -> sparse.csr_array:
        """The counts (rows, n) in the bins that the window brings to an end, by sample, run and bin.

        A neuron's count in a bin may be the sum of several entries.
        """
        bins, n_samples = self._binning.bins(window), len(window.spikes)
        whole = bins.width_ms >= self._bin_ms * (1 - 1e-6)
        n_rows = n_samples * int(whole.sum())
        rows = np.full(bins.low.shape, -1)
        rows[:, whole] = np.arange(n_rows).reshape(n_samples, -1)
        columns = self._columns(window)
        row, column = _entries(columns, bins.low, bins.high, rows)
        old = self._waiting if bins.goes_on else self._waiting[:, :0]
        self._waiting = np.zeros((2, 0), np.int64)
        if not whole[-1]:
            last = slice(len(whole) - 1, None)
            waits = np.stack(_entries(columns, bins.low[:, last], bins.high[:, last], np.arange(n_samples)[:, None]))
            self._waiting = np.concatenate((old, waits), axis=1) if len(whole) == 1 else waits
        if old.size and whole[0]:
            row, order = sorted_keys(np.concatenate((rows[old[0], 0], row)))
            column = np.concatenate((old[1], column))[order]
        n = window.spikes.n_neurons if self._neurons is None else self._neurons.size
        return sparse.csr_array((np.ones(row.size), column, _starts(row, n_rows)), (n_rows, n))

    def _columns(self, window: Window) -> NDArray[Any]:
        """The column of each spike, -1 for none."""
        n = window.spikes.n_neurons
        if self._neurons is None:
            return window.spikes.ids
        if self._neurons.max() >= n:
            got = f"{self._neurons.max()} for {n} neurons"
            raise ParameterError(f"SparseCounter.neurons must be ids of the layer's neurons, got {got}")
        place = np.full(n, -1, np.int64)
        place[self._neurons] = np.arange(self._neurons.size)
        found: NDArray[np.int64] = place[window.spikes.ids]
        return found


def _starts(row: Ids, n_rows: int) -> Ids:
    """Where each row begins, and the last one ends, of ascending numbers of rows."""
    if n_rows < row.size // 16:
        return np.searchsorted(row, np.arange(n_rows + 1))
    return np.concatenate(([0], np.cumsum(np.bincount(row, minlength=n_rows))))


def _entries(columns: NDArray[Any], low: Ids, high: Ids, rows: Ids) -> tuple[Ids, NDArray[Any]]:
    """The row and column of each spike from `low` to `high`, without those of no row or column."""
    lengths = (high - low).ravel()
    row = np.repeat(rows.ravel(), lengths)
    column = columns if len(row) == len(columns) else columns[ranges(low.ravel(), lengths)]
    known = (row >= 0) & (column >= 0)
    return (row, column) if known.all() else (row[known], column[known])


def _dense(counts: sparse.csr_array, rows: slice) -> NDArray[np.int64]:
    """Some rows of counts as a dense matrix; each entry counts one spike."""
    ends, n = counts.indptr[rows.start : rows.stop + 1], counts.shape[1]
    keys = np.repeat(np.arange(len(ends) - 1) * n, np.diff(ends))
    keys += counts.indices[ends[0] : ends[-1]]
    return np.bincount(keys, minlength=(len(ends) - 1) * n).reshape(-1, n)


def products(counts: sparse.csr_array) -> NDArray[np.float64]:
    """The sums over the rows of counts (rows, n) of the products of all pairs of columns, (n, n)."""
    n_rows, n = counts.shape
    found = np.zeros((n, n))
    if counts.nnz > DENSE * n_rows * n:
        step = max(1, BLOCK // n)
        for begin in range(0, n_rows, step):
            dense = counts[begin : begin + step].toarray()
            found += dense.T @ dense
    elif (library := compiled("train_pairs.hpp")) is not None:
        library.call(
            "count_products", counts.indptr.astype(np.int64), counts.indices.astype(np.int64), n_rows, n, found
        )
    else:
        found += (counts.T @ counts).toarray()
    return found


def squares(counts: sparse.csr_array) -> NDArray[np.float64]:
    """The sums over the rows of the squares of counts (rows, n), (n,)."""
    n_rows, n = counts.shape
    if counts.nnz > DENSE * n_rows * n:
        step = max(1, BLOCK // n)
        parts = (_dense(counts, slice(begin, begin + step)) for begin in range(0, n_rows, step))
        return sum((np.einsum("ij,ij->j", part, part) for part in parts), np.zeros(n))
    counts.sum_duplicates()
    found: NDArray[np.float64] = (counts**2).sum(axis=0)
    return found


def deviations(squares: Array, total: Array, n_bins: int) -> Array:
    """The sums of the squared deviations of counts from their mean, of the sums of squares and of counts in n bins.

    0 where rounding errors are all that differs from 0.
    """
    found = squares - total**2 / max(1, n_bins)
    return np.where(found > 1e-12 * squares, found, 0.0)

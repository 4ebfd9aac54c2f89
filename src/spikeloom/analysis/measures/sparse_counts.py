"""Counts of spikes in bins as a sparse matrix, which short bins leave mostly empty, and their products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...errors import ParameterError
from ...native.compiled import compiled
from ...spikes.sorting import sorted_keys
from ..windows import Window
from .bins import bin_of
from .pairs import Ids

DENSE = 0.15
"""The share of counts that are not 0 from which on they are multiplied as a dense matrix."""
BLOCK = 2**22
"""How many counts are made dense at once."""


class SparseCounter:
    """The counts of some neurons in whole bins of `bin_ms`, window by window.

    Bins begin anew with each run and go on over the borders of windows; what is left after the last of a run is not
    counted. neurons: the ids that the columns stand for; ParameterError for a window without them.
    """

    def __init__(self, bin_ms: float, neurons: Ids) -> None:
        self._bin_ms, self._neurons = bin_ms, neurons
        self._elapsed, self._waiting = 0.0, np.zeros((3, 0), np.int64)

    def take(self, window: Window) -> sparse.csr_array:
        """The counts (rows, n) in the bins that the window brings to an end, by run, sample and bin.

        A neuron's count in a bin may be the sum of several entries.
        """
        width, lengths = self._bin_ms / window.unit_ms, np.diff(window.runs.astype(float), axis=1)[:, 0]
        before = np.zeros(len(lengths))
        before[0] = self._elapsed if window.goes_on else 0
        self._elapsed = float(before[-1] + lengths[-1])
        done, whole = bin_of(before, width), bin_of(before + lengths, width)
        run, sample, bins, column = self._entries(window, window.runs[:, 0] - before, width)
        ended = bins < whole[run]
        waits = ~ended & (run == len(whole) - 1)
        self._waiting = np.stack((sample[waits], bins[waits], column[waits]))
        rows, samples = whole - done, len(window.spikes)
        first = (np.cumsum(rows) - rows) * samples - done
        row, column = (first[run] + sample * rows[run] + bins)[ended], column[ended]
        if (row[1:] < row[:-1]).any():
            row, order = sorted_keys(row)
            column = column[order]
        n_rows = int(rows.sum()) * samples
        start = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=n_rows))))
        return sparse.csr_array((np.ones(row.size), column, start), (n_rows, self._neurons.size))

    def _entries(self, window: Window, origin: NDArray[np.float64], width: float) -> tuple[Ids, Ids, Ids, Ids]:
        """Run, sample, bin and column of each spike, and of those that waited for the end of their bin.

        origin: where the bins of each run begin.
        """
        if self._neurons.max() >= window.spikes.n_neurons:
            got = f"{self._neurons.max()} for {window.spikes.n_neurons} neurons"
            raise ParameterError(f"SparseCounter.neurons must be ids of the layer's neurons, got {got}")
        place = np.full(window.spikes.n_neurons, -1, np.int64)
        place[self._neurons] = np.arange(self._neurons.size)
        column, run = place[window.spikes.ids], window.run_of_spikes()
        inside = (column >= 0) & (run >= 0)
        run, column = run[inside], column[inside]
        bins = bin_of(window.at[inside] - origin[run], width)
        found = np.stack((run, window.spikes.samples()[inside], bins, column))
        if window.goes_on and self._waiting.size:
            old = np.concatenate((np.zeros_like(self._waiting[:1]), self._waiting))
            found = np.concatenate((old, found), axis=1)
        return found[0], found[1], found[2], found[3]


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

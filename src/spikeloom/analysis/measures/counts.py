"""Counts of spikes in windows of time, and how they vary."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ...spikes import Spikes
from ..windows import Window
from .bins import Array, Counter, Counts, check_positive

_MOST_COUNTS = 1 << 28
"""How many counts an array may hold: 2 GB."""


class SpikeCounts(NamedTuple):
    """The counts (B, K, N) of each neuron in K bins that begin at start_ms (K,), all `bin_ms` long."""

    start_ms: Array
    bin_ms: float
    counts: NDArray[np.int64]


def spike_counts(spikes: Spikes, bin_ms: float) -> SpikeCounts:
    """The number of spikes of each neuron in bins of `bin_ms`, [k bin_ms, (k + 1) bin_ms).

    What is left of the duration after the last whole bin is not counted. Raises ParameterError where there is none.
    """
    width = check_positive(bin_ms, "spike_counts.bin_ms")
    if (cells := spikes.duration / width * len(spikes) * spikes.n_neurons) > _MOST_COUNTS:
        raise ParameterError(f"spike_counts: {cells:.3g} counts are too many; use wider bins or fewer neurons")
    counter = Counter(width, by_neuron=True)
    found = [_whole(block, width) for block in [*counter.take(Window.of(spikes)), *counter.rest()]]
    start = np.concatenate([block.start_ms for block in found])
    if not len(start):
        raise ParameterError(f"spike_counts.bin_ms must be at most the duration {spikes.duration:g} ms, got {bin_ms!r}")
    return SpikeCounts(start, width, np.concatenate([block.counts for block in found], axis=1))


class FanoFactorAccumulator:
    """The Fano factor of each neuron over windows; see `fano_factor`.

    window_ms: counts are taken in windows of this length, which begin anew with each run. Keeps three numbers for each
    neuron.
    """

    def __init__(self, window_ms: float) -> None:
        self._width = check_positive(window_ms, "fano_factor.window_ms")
        self._counter = Counter(self._width, by_neuron=True)
        self._sums: tuple[int, Array, Array] = (0, np.zeros(0), np.zeros(0))

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        for block in self._counter.take(window):
            self._sums = self._with(block)

    def result(self) -> Array:
        """The Fano factor of each neuron, (N,): NaN where it never fires, or with fewer than two counts."""
        n, total, squares = self._sums
        for block in self._counter.rest():
            n, total, squares = self._with(block)
        mean = total / max(n, 1)
        known = (mean > 0) & (n > 1)
        factors: Array = np.divide(squares / max(n, 1) - mean**2, mean, out=np.full(len(mean), np.nan), where=known)
        return factors

    @property
    def n_counts(self) -> int:
        """How many counts of each neuron there are."""
        n = self._sums[0]
        for block in self._counter.rest():
            n = self._with(block)[0]
        return n

    def _with(self, block: Counts) -> tuple[int, Array, Array]:
        n, total, squares = self._sums
        counts = _whole(block, self._width).counts.astype(np.float64)
        total = total if len(total) else np.zeros(counts.shape[2])
        squares = squares if len(squares) else np.zeros(counts.shape[2])
        rows = counts.reshape(-1, counts.shape[2])
        return n + len(rows), total + rows.sum(0), squares + np.einsum("ij,ij->j", rows, rows)


def fano_factor(spikes: Spikes, window_ms: float | None = None) -> float:
    """Variance over mean of a neuron's spike counts, averaged over the neurons that fire; 1 for a Poisson process.

    Counts are taken in windows of `window_ms` (None: the whole duration) of all samples; what is left of the duration
    after the last whole window is not counted. NaN when nothing fires. Raises ParameterError for fewer than two
    counts of each neuron.
    """
    width = spikes.duration if window_ms is None else check_positive(window_ms, "fano_factor.window_ms")
    measure = FanoFactorAccumulator(width)
    measure.add(Window.of(spikes))
    if (n := measure.n_counts) < 2:
        raise ParameterError(f"fano_factor needs two windows or samples, got {n} of {width:g} ms; use shorter")
    factors = measure.result()
    return float(np.nanmean(factors)) if np.isfinite(factors).any() else np.nan


def _whole(block: Counts, width: float) -> Counts:
    """The bins that are of full length."""
    whole = block.width_ms >= width * (1 - 1e-6)
    return block if whole.all() else Counts._make([*(part[whole] for part in block[:3]), block.counts[:, whole]])

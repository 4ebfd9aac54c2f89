"""Counts of spikes in windows of time, and how they vary."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ...spikes import Spikes
from ..windows import Window
from .bins import Array, check_positive, check_size
from .sparse_counts import SparseCounter, deviations, squares


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
    check_size(spikes.duration / width * len(spikes) * spikes.n_neurons, "spike_counts", "wider bins or fewer neurons")
    counts = SparseCounter(width).take(Window.of(spikes)).toarray().astype(np.int64)
    if not len(counts):
        raise ParameterError(f"spike_counts.bin_ms must be at most the duration {spikes.duration:g} ms, got {bin_ms!r}")
    counts = counts.reshape(len(spikes), -1, spikes.n_neurons)
    return SpikeCounts(np.arange(counts.shape[1]) * width, width, counts)


class FanoFactorAccumulator:
    """The Fano factor of each neuron over windows; see `fano_factor`.

    window_ms: counts are taken in windows of this length, which begin anew with each run. Keeps three numbers for each
    neuron.
    """

    def __init__(self, window_ms: float) -> None:
        self._width = check_positive(window_ms, "fano_factor.window_ms")
        self._counter = SparseCounter(self._width)
        self._n_counts, self._total, self._squares = 0, np.zeros(0), np.zeros(0)

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        counts = self._counter.take(window)
        if not self._total.size:
            self._total, self._squares = np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
        self._n_counts += counts.shape[0]
        self._total += counts.sum(axis=0)
        self._squares += squares(counts)

    def result(self) -> Array:
        """The Fano factor of each neuron, (N,): NaN where it never fires, or with fewer than two counts."""
        known = (self._total > 0) & (self._n_counts > 1)
        variance = deviations(self._squares, self._total, self._n_counts)
        factors: Array = np.divide(variance, self._total, out=np.full(len(known), np.nan), where=known)
        return factors

    @property
    def n_counts(self) -> int:
        """How many counts of each neuron there are."""
        return self._n_counts


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

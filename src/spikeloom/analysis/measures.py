"""Measures of spike trains; pure functions of `Spikes`.

A rate is in Hz: spikes per neuron and second of model time. Values of graded spikes do not count, spikes do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..spikes import Spikes

Array = NDArray[np.float64]


class Intervals(NamedTuple):
    """Inter-spike intervals in ms of all trains, their mean, and the mean over trains of std / mean (CV).

    Only trains with two intervals or more enter the CV. NaN where there is nothing to average.
    """

    values: Array
    mean: float
    cv: float


class PopulationRate(NamedTuple):
    """The rate of each sample in Hz per neuron, (B, K), in K bins that begin at `start` (ms); `width` in ms, (K,)."""

    start: Array
    width: Array
    rate: Array


def mean_rate(spikes: Spikes) -> float:
    """The rate averaged over samples and neurons, in Hz."""
    return spikes.n_spikes / (len(spikes) * spikes.n_neurons * spikes.duration) * 1000


def neuron_rates(spikes: Spikes) -> Array:
    """The rate of each neuron in each sample, (B, N), in Hz."""
    return spikes.counts().reshape(len(spikes), -1) / spikes.duration * 1000


def population_rate(spikes: Spikes, bin_ms: float) -> PopulationRate:
    """The rate of the population over time, in bins of `bin_ms`; the last bin may be shorter and is taken as such."""
    _check_positive(bin_ms, "population_rate.bin_ms")
    edges = np.append(np.arange(0, spikes.duration - 1e-9 * bin_ms, bin_ms), spikes.duration)
    counts = _binned(spikes, edges)
    width = np.diff(edges)
    return PopulationRate(edges[:-1], width, counts / (spikes.n_neurons * width) * 1000)


def inter_spike_intervals(spikes: Spikes) -> Intervals:
    """The times between successive spikes of a neuron in a sample, in ms, with their mean and CV."""
    train = spikes.samples() * spikes.n_neurons + spikes.ids
    order = np.argsort(train, kind="stable")
    train, time = train[order], spikes.times_ms()[order]
    same = train[1:] == train[:-1]
    values = np.diff(time)[same]
    _, of, n = np.unique(train[1:][same], return_inverse=True, return_counts=True)
    if not len(values):
        return Intervals(values, np.nan, np.nan)
    means = np.bincount(of, values) / n
    variances = np.bincount(of, (values - means[of]) ** 2) / n
    cv = np.sqrt(variances[n > 1]) / means[n > 1]
    return Intervals(values, float(values.mean()), float(cv.mean()) if len(cv) else np.nan)


def fano_factor(spikes: Spikes, window_ms: float | None = None) -> float:
    """Variance over mean of a neuron's spike counts, averaged over the neurons that fire; 1 for a Poisson process.

    Counts are taken in windows of `window_ms` (None: the whole duration) of all samples; what is left of the duration
    after the last whole window is not counted. NaN when nothing fires. Raises ParameterError for fewer than two
    counts of each neuron.
    """
    window = spikes.duration if window_ms is None else _check_positive(window_ms, "fano_factor.window_ms")
    n_windows = int(spikes.duration / window + 1e-9)
    if n_windows * len(spikes) < 2:
        raise ParameterError(f"fano_factor needs two windows or samples, got {n_windows} of {window:g} ms; use shorter")
    window_of = _bin_of(spikes.times_ms(), window)
    inside = window_of < n_windows
    row = (spikes.samples() * n_windows + window_of)[inside]
    key = row * spikes.n_neurons + spikes.ids[inside]
    counts = np.bincount(key, minlength=len(spikes) * n_windows * spikes.n_neurons).reshape(-1, spikes.n_neurons)
    mean = counts.mean(axis=0)
    fires = mean > 0
    return float((counts.var(axis=0)[fires] / mean[fires]).mean()) if fires.any() else np.nan


def _bin_of(time: Array, width: float) -> NDArray[np.int64]:
    """The bin of each time; what lies a rounding error before an edge belongs behind it."""
    return np.floor(time / width + 1e-9).astype(np.int64)


def _binned(spikes: Spikes, edges: Array) -> NDArray[np.int64]:
    """The number of spikes of each sample between the edges, (B, K)."""
    n_bins = len(edges) - 1
    bins = np.minimum(_bin_of(spikes.times_ms(), edges[1] - edges[0]), n_bins - 1)
    return np.bincount(spikes.samples() * n_bins + bins, minlength=len(spikes) * n_bins).reshape(len(spikes), n_bins)


def _check_positive(time: float, owner: str) -> float:
    if not isinstance(time, (int, float, np.number)) or not np.isfinite(time) or time <= 0:
        raise ParameterError(f"{owner} must be a positive time in ms, got {time!r}")
    return float(time)

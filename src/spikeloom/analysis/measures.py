"""Measures of spike trains; pure functions of `Spikes`.

A rate is in Hz: spikes per neuron and second of model time. Values of graded spikes do not count, spikes do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def population_rate(spikes: Spikes, bin_ms: float, runs: ArrayLike | None = None) -> PopulationRate:
    """The rate of the population over time, in bins of `bin_ms`; the last bin may be shorter and is taken as such.

    runs (R, 2): beginnings and ends in ms of stretches that the bins begin anew with; None for the whole duration.
    """
    _check_positive(bin_ms, "population_rate.bin_ms")
    begin, end = checked_runs(spikes, runs).T
    n_bins = np.maximum(1, np.ceil((end - begin) / bin_ms - 1e-9)).astype(np.int64)
    before = np.cumsum(n_bins) - n_bins
    run = np.repeat(np.arange(len(begin)), n_bins)
    start = begin[run] + (np.arange(len(run)) - before[run]) * bin_ms
    width = np.minimum(start + bin_ms, end[run]) - start
    time = spikes.times_ms()
    of = _run_of(time, begin)
    inside = (of >= 0) & (time < end[of])
    time, of, sample = time[inside], of[inside], spikes.samples()[inside]
    bins = before[of] + np.minimum(_bin_of(time - begin[of], bin_ms), n_bins[of] - 1)
    counts = np.bincount(sample * len(run) + bins, minlength=len(spikes) * len(run)).reshape(len(spikes), -1)
    return PopulationRate(start, width, counts / (spikes.n_neurons * width) * 1000)


def inter_spike_intervals(spikes: Spikes, runs: ArrayLike | None = None) -> Intervals:
    """The times between successive spikes of a neuron in a sample, in ms, with their mean and CV.

    runs (R, 2): beginnings and ends in ms of stretches that are trains of their own; None for the whole duration.
    """
    run = _run_of(spikes.times_ms(), checked_runs(spikes, runs)[:, 0])
    train = (run * len(spikes) + spikes.samples()) * spikes.n_neurons + spikes.ids
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


def _run_of(time: Array, begin: Array) -> NDArray[np.int64]:
    """The last run that has begun at each time; -1 before the first."""
    return np.searchsorted(begin, time, side="right").astype(np.int64) - 1


def checked_runs(spikes: Spikes, runs: ArrayLike | None) -> Array:
    """The beginnings and ends (R, 2) of runs in ms, by default of one; ParameterError unless they rise."""
    found = np.array([[0.0, spikes.duration]]) if runs is None else np.asarray(runs, float)
    if found.ndim != 2 or found.shape[1:] != (2,) or not len(found) or (np.diff(found.ravel())[::2] <= 0).any():
        raise ParameterError(f"runs must have shape (R, 2): a beginning and a later end in ms each, got {runs!r}")
    if (found[1:, 0] < found[:-1, 1]).any():
        raise ParameterError(f"runs must follow one another in time, got {runs!r}")
    return found


def _check_positive(time: float, owner: str) -> float:
    if not isinstance(time, (int, float, np.number)) or not np.isfinite(time) or time <= 0:
        raise ParameterError(f"{owner} must be a positive time in ms, got {time!r}")
    return float(time)

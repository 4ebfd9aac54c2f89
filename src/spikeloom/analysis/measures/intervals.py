"""Intervals between the spikes of a neuron, in ms, and how they are spread."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError
from ...spikes import Spikes
from ..windows import Window
from .bins import Array, bin_of, check_positive, checked_runs
from .trains import IntervalMeasure, TrainIntervals
from .variation import CvAccumulator


class Intervals(NamedTuple):
    """Inter-spike intervals in ms of all trains, their mean, and the mean over trains of std / mean (CV).

    Only trains with two intervals or more enter the CV. NaN where there is nothing to average.
    """

    values: Array
    mean: float
    cv: float


class IntervalsAccumulator(IntervalMeasure[Intervals]):
    """The intervals over windows; see `inter_spike_intervals`. Keeps each of them."""

    def __init__(self) -> None:
        super().__init__()
        self._found, self._cv = [np.zeros(0)], CvAccumulator()

    def take(self, intervals: TrainIntervals) -> None:
        """Takes the intervals of the next window."""
        self._found.append(intervals.steps * intervals.unit_ms)
        self._cv.take(intervals)

    def result(self) -> Intervals:
        """The intervals of all windows so far, window by window and train by train."""
        values = np.concatenate(self._found)
        return Intervals(values, float(values.mean()) if len(values) else np.nan, self._cv.result().mean)


def inter_spike_intervals(spikes: Spikes, runs: ArrayLike | None = None) -> Intervals:
    """The times between successive spikes of a neuron in a sample, in ms, with their mean and CV.

    runs (R, 2): beginnings and ends in ms of stretches that are trains of their own; None for the whole duration.
    """
    measure = IntervalsAccumulator()
    measure.add(Window.of(spikes, None if runs is None else checked_runs(spikes, runs)))
    return measure.result()


class IsiHistogram(NamedTuple):
    """How many intervals lie in bins [start_ms, start_ms + bin_ms), (K,), and how many beyond the last one.

    n_intervals, mean_ms and std_ms are those of all intervals; NaN where there is none.
    """

    start_ms: Array
    bin_ms: float
    counts: NDArray[np.int64]
    beyond: int
    n_intervals: int
    mean_ms: float
    std_ms: float


class IsiHistogramAccumulator(IntervalMeasure[IsiHistogram]):
    """The histogram of intervals over windows; see `isi_histogram`."""

    def __init__(self, bin_ms: float, max_ms: float) -> None:
        super().__init__()
        self._bin_ms = check_positive(bin_ms, "isi_histogram.bin_ms")
        n_bins = np.ceil(check_positive(max_ms, "isi_histogram.max_ms") / self._bin_ms - 1e-9)
        if n_bins > 1 << 24:
            raise ParameterError(f"isi_histogram: {n_bins:.3g} bins are too many; give a larger bin_ms than {bin_ms!r}")
        self._counts = np.zeros(max(1, int(n_bins)), np.int64)
        self._n, self._mean, self._squares, self._beyond = 0, 0.0, 0.0, 0

    def take(self, intervals: TrainIntervals) -> None:
        """Takes the intervals of the next window."""
        if not (n := len(intervals.steps)):
            return
        steps, counts = _counted(intervals.steps)
        lengths, n_bins = steps * intervals.unit_ms, len(self._counts)
        place = np.minimum(bin_of(np.minimum(lengths, (n_bins + 1) * self._bin_ms), self._bin_ms), n_bins)
        found = np.bincount(place, counts, n_bins + 1).astype(np.int64)
        self._counts += found[:-1]
        self._beyond += int(found[-1])
        mean = float(lengths @ counts) / n
        off, total = mean - self._mean, self._n + n
        self._squares += float((lengths - mean) ** 2 @ counts) + off**2 * self._n * n / total
        self._mean, self._n = self._mean + off * n / total, total

    def result(self) -> IsiHistogram:
        """The histogram of all windows so far."""
        start = np.arange(len(self._counts), dtype=np.float64) * self._bin_ms
        mean, std = (self._mean, float(np.sqrt(self._squares / self._n))) if self._n else (np.nan, np.nan)
        return IsiHistogram(start, self._bin_ms, self._counts.copy(), self._beyond, self._n, mean, std)


def _counted(steps: Array) -> tuple[Array, Array]:
    """The lengths of intervals and how often each is there: few where they are whole steps, else each once."""
    whole = steps.astype(np.int64)
    if whole.max() > len(whole) or (whole != steps).any():
        return steps, np.ones(len(steps))
    counts = np.bincount(whole)
    lengths = np.flatnonzero(counts)
    return lengths.astype(np.float64), counts[lengths].astype(np.float64)


def isi_histogram(spikes: Spikes, bin_ms: float, max_ms: float, runs: ArrayLike | None = None) -> IsiHistogram:
    """The histogram of all intervals in bins of `bin_ms` from 0 to `max_ms`, or as far as the last bin reaches.

    runs: as for `inter_spike_intervals`.
    """
    measure = IsiHistogramAccumulator(bin_ms, max_ms)
    measure.add(Window.of(spikes, None if runs is None else checked_runs(spikes, runs)))
    return measure.result()

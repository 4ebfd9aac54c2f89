r"""How irregular trains are, by their intervals I_1 ... I_n: 0 for a clock, 1 for a Poisson process.

    CV  = std(I) / mean(I)                                               (std with divisor n)
    CV2 = mean of 2 |I_k+1 - I_k| / (I_k+1 + I_k)                        (Holt et al., 1996, J Neurophysiol 75)
    Lv  = mean of 3 ((I_k+1 - I_k) / (I_k+1 + I_k))^2                    (Shinomoto et al., 2003, Neural Comput 15)
    LvR = mean of 3 ((I_k+1 - I_k) / (I_k+1 + I_k))^2 (1 + 4 R / (I_k+1 + I_k))   (Shinomoto et al., 2009, PLoS Comput
                                                                          Biol 5; R is a refractory time)

The three local ones do not take a slow change of the rate for irregularity. A train is what a neuron fires in one
sample of one run; it needs two intervals. Two intervals of no length, of spikes at one time, do not vary.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...spikes import Spikes
from ..windows import Window
from .bins import Array, check_not_negative, checked_runs
from .trains import IntervalMeasure, TrainIntervals


class Variation(NamedTuple):
    """The mean over each neuron's trains, (N,), the mean over all trains, and how many trains these were.

    NaN for a neuron none of whose trains has two intervals.
    """

    values: Array
    mean: float
    n_trains: int


class _PerTrain(IntervalMeasure[Variation]):
    """A number for each train, from sums (K, trains) that grow while the train goes on."""

    rows: int

    def __init__(self) -> None:
        super().__init__()
        self._open = np.zeros((self.rows, 0))
        self._sum, self._n = np.zeros(0), np.zeros(0, np.int64)

    @abstractmethod
    def sums(self, intervals: TrainIntervals) -> Array:
        """The sums (K, m) over the intervals of each train in a window."""

    @abstractmethod
    def joined(self, first: Array, second: Array) -> Array:
        """The sums of trains from those of two parts."""

    @abstractmethod
    def value(self, sums: Array) -> Array:
        """The number of each train from its sums; NaN where it has too few intervals."""

    def take(self, intervals: TrainIntervals) -> None:
        """Takes the intervals of the next window."""
        n_runs, n_samples, n = intervals.shape
        size, train = n_samples * n, intervals.train
        if not len(self._sum):
            self._sum, self._n = np.zeros(n), np.zeros(n, np.int64)
        found = self.sums(intervals)
        if not intervals.goes_on or self._open.shape[1] != size:
            self._close(self._open)
            self._open = np.zeros((self.rows, size))
        of_first = train < size
        place = train[of_first]
        self._open[:, place] = self.joined(self._open[:, place], found[:, of_first])
        if n_runs == 1:
            return
        self._close(self._open)
        last = train >= (n_runs - 1) * size
        inner = ~of_first & ~last
        self._close(found[:, inner], train[inner] % n)
        self._open = np.zeros((self.rows, size))
        self._open[:, train[last] % size] = found[:, last]

    def result(self) -> Variation:
        """The measure over all windows so far."""
        total, n = self._with(self._open)
        values = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
        n_trains = int(n.sum())
        return Variation(values, float(total.sum() / n_trains) if n_trains else np.nan, n_trains)

    def _close(self, sums: Array, neuron: NDArray[Any] | None = None) -> None:
        self._sum, self._n = self._with(sums, neuron)

    def _with(self, sums: Array, neuron: NDArray[Any] | None = None) -> tuple[Array, NDArray[np.int64]]:
        """What the trains so far give, with others that come to an end; neuron: of each, else in order."""
        n = len(self._sum)
        values = self.value(sums)
        known = np.flatnonzero(~np.isnan(values))
        of = known % max(n, 1) if neuron is None else neuron[known]
        return self._sum + np.bincount(of, values[known], n), self._n + np.bincount(of, minlength=n)


class CvAccumulator(_PerTrain):
    """The coefficient of variation over windows; see `cv`. Its sums are number, mean, and squares about the mean."""

    rows = 3

    def sums(self, intervals: TrainIntervals) -> Array:
        n = intervals.n
        mean = intervals.per_train(intervals.steps) / n
        off = intervals.steps - np.repeat(mean, n)
        return np.stack([n, mean * intervals.unit_ms, intervals.per_train(off * off) * intervals.unit_ms**2])

    def joined(self, first: Array, second: Array) -> Array:
        n = first[0] + second[0]
        share, off = np.divide(second[0], n, out=np.zeros(len(n)), where=n > 0), second[1] - first[1]
        return np.stack([n, first[1] + off * share, first[2] + second[2] + off**2 * first[0] * share])

    def value(self, sums: Array) -> Array:
        n, mean, squares = sums
        known = (n > 1) & (mean > 0)
        std = np.sqrt(squares / np.maximum(n, 1))
        found: Array = np.divide(std, mean, out=np.full(len(n), np.nan), where=known)
        return found


class _OfNeighbours(_PerTrain):
    """The mean of a term of successive intervals. Its sums are the number of terms and their sum."""

    rows = 2

    @abstractmethod
    def terms(self, difference: Array, total: Array) -> Array:
        """The term of each two neighbours by their difference over their sum, and that sum in ms; may write to both."""

    def sums(self, intervals: TrainIntervals) -> Array:
        steps, starts, before = intervals.steps, intervals.starts, intervals.before
        known = before >= 0
        previous = np.concatenate((steps[:1], steps[:-1]))
        previous[starts] = np.where(known, before, steps[starts])  # an equal neighbour has no part in the sum
        total = steps + previous
        difference = np.subtract(steps, previous, out=previous)
        total[total == 0] = 1
        difference /= total
        total *= intervals.unit_ms
        terms = intervals.per_train(self.terms(difference, total))
        return np.stack([intervals.n - 1.0 + known, terms])

    def joined(self, first: Array, second: Array) -> Array:
        return first + second

    def value(self, sums: Array) -> Array:
        found: Array = np.divide(sums[1], sums[0], out=np.full(sums.shape[1], np.nan), where=sums[0] > 0)
        return found


class Cv2Accumulator(_OfNeighbours):
    """The CV2 over windows; see `cv2`."""

    def terms(self, difference: Array, total: Array) -> Array:
        found = np.abs(difference, out=difference)
        found *= 2
        return found


class LocalVariationAccumulator(_OfNeighbours):
    """The local variation over windows; see `local_variation`."""

    def terms(self, difference: Array, total: Array) -> Array:
        difference *= difference
        difference *= 3
        return difference


class RevisedLocalVariationAccumulator(LocalVariationAccumulator):
    """The revised local variation over windows; see `revised_local_variation`."""

    def __init__(self, refractory_ms: float = 5.0) -> None:
        super().__init__()
        self._refractory_ms = check_not_negative(refractory_ms, "revised_local_variation.refractory_ms")

    def terms(self, difference: Array, total: Array) -> Array:
        found = super().terms(difference, total)
        found *= 1 + 4 * self._refractory_ms / total
        return found


def cv(spikes: Spikes, runs: ArrayLike | None = None) -> Variation:
    """The coefficient of variation of each neuron's intervals.

    runs (R, 2): beginnings and ends in ms of stretches that are trains of their own; None for the whole duration.
    """
    return _measured(CvAccumulator(), spikes, runs)


def cv2(spikes: Spikes, runs: ArrayLike | None = None) -> Variation:
    """The CV2 of each neuron's intervals; runs: as for `cv`."""
    return _measured(Cv2Accumulator(), spikes, runs)


def local_variation(spikes: Spikes, runs: ArrayLike | None = None) -> Variation:
    """The local variation Lv of each neuron's intervals; runs: as for `cv`."""
    return _measured(LocalVariationAccumulator(), spikes, runs)


def revised_local_variation(spikes: Spikes, refractory_ms: float = 5.0, runs: ArrayLike | None = None) -> Variation:
    """The revised local variation LvR of each neuron's intervals; runs: as for `cv`.

    refractory_ms: the time R after a spike in which a neuron is less likely to fire.
    """
    return _measured(RevisedLocalVariationAccumulator(refractory_ms), spikes, runs)


def _measured(measure: _PerTrain, spikes: Spikes, runs: ArrayLike | None) -> Variation:
    measure.add(Window.of(spikes, None if runs is None else checked_runs(spikes, runs)))
    return measure.result()

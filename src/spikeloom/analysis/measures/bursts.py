"""Bursts by the max-interval method.

A burst begins with an interval of at most max_begin_isi_ms and goes on as long as intervals are at most max_end_isi_ms.
Then bursts less than min_ibi_ms apart are joined, and then those shorter than min_duration_ms or of fewer than
min_spikes spikes are dropped. The method of NeuroExplorer; defaults and comparison: Cotterill et al., 2016,
J Neurophysiol 116, 306-321. A graded spike is one spike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError
from ...spikes import Spikes
from ..windows import Window
from .bins import Array, check_not_negative, check_positive, checked_runs
from .trains import Ids, IntervalMeasure, TrainIntervals


class Bursts(NamedTuple):
    """Bursts by run, sample, neuron and time, one entry each.

    neuron, sample; run: counted from 0; start_ms: of the first spike, on the layer's clock; duration_ms: from the first
    to the last spike; n_spikes. n_spikes_of_all: the spikes of all trains, in bursts or not.
    """

    neuron: Ids
    sample: Ids
    run: Ids
    start_ms: Array
    duration_ms: Array
    n_spikes: Ids
    n_spikes_of_all: int

    @property
    def share_of_spikes(self) -> float:
        """The part of all spikes that lie in bursts; NaN where there is no spike."""
        return float(self.n_spikes.sum() / self.n_spikes_of_all) if self.n_spikes_of_all else np.nan


class _Found(NamedTuple):
    """Candidates: the train, first and last time in units, and the numbers of the first and last spike in the train."""

    train: Ids
    first: Array
    last: Array
    begin: Ids
    end: Ids

    def part(self, some: NDArray[np.bool_]) -> _Found:
        return _Found._make(values[some] for values in self)


def _none() -> _Found:
    return _Found._make(np.zeros(0, kind) for kind in (np.int64, np.float64, np.float64, np.int64, np.int64))


class BurstAccumulator(IntervalMeasure[Bursts]):
    """The bursts over windows; see `bursts`. Keeps one entry for each burst, and for each train that may go on."""

    def __init__(
        self,
        max_begin_isi_ms: float = 170.0,
        max_end_isi_ms: float = 300.0,
        min_ibi_ms: float = 200.0,
        min_duration_ms: float = 10.0,
        min_spikes: int = 3,
    ) -> None:
        super().__init__()
        self._begin = check_positive(max_begin_isi_ms, "bursts.max_begin_isi_ms")
        self._end = check_positive(max_end_isi_ms, "bursts.max_end_isi_ms")
        self._between = check_not_negative(min_ibi_ms, "bursts.min_ibi_ms")
        self._shortest = check_not_negative(min_duration_ms, "bursts.min_duration_ms")
        if self._begin > self._end:
            raise ParameterError(
                f"bursts.max_begin_isi_ms must be at most max_end_isi_ms, {max_end_isi_ms!r}, got {max_begin_isi_ms!r}"
            )
        if isinstance(min_spikes, bool) or not isinstance(min_spikes, (int, np.integer)) or min_spikes < 2:
            raise ParameterError(f"bursts.min_spikes must be a whole number from 2 on, got {min_spikes!r}")
        self._fewest = int(min_spikes)
        self._done: list[Bursts] = []
        self._open, self._run, self._n_spikes = _none(), -1, 0
        self._size, self._n, self._unit = 1, 1, 1.0

    def take(self, intervals: TrainIntervals) -> None:
        """Takes the intervals of the next window."""
        n_runs, n_samples, n = intervals.shape
        if not intervals.goes_on or n_samples * n != self._size:
            self._done.append(self._closed(self._open))
            self._open = _none()
        self._size, self._n, self._unit = n_samples * n, n, intervals.unit_ms
        self._n_spikes += intervals.n_spikes
        found = self._joined(
            _Found._make(map(np.concatenate, zip(self._open, self._candidates(intervals), strict=True)))
        )
        before = max(self._run, 0) if intervals.goes_on else self._run + 1
        self._run = before + n_runs - 1
        last_of_train = np.diff(found.train, append=-1) != 0
        is_open = last_of_train & (found.train >= (n_runs - 1) * self._size)
        self._done.append(self._closed(found.part(~is_open), before))
        waiting = found.part(is_open)
        self._open = waiting._replace(train=waiting.train % self._size)

    def result(self) -> Bursts:
        """The bursts of all windows so far."""
        parts = [*self._done, self._closed(self._open)]
        columns = [np.concatenate(column) for column in zip(*(part[:-1] for part in parts), strict=True)]
        neuron, sample, run = columns[:3]
        train = (run * (1 + sample.max(initial=0)) + sample) * (1 + neuron.max(initial=0)) + neuron
        order = np.argsort(train, kind="stable")  # those of a train lie in the order of time
        return Bursts._make([*(column[order] for column in columns), self._n_spikes])

    def _candidates(self, intervals: TrainIntervals) -> _Found:
        """Stretches of short intervals from the first one that begins a burst on; such as go on with an open burst."""
        steps, starts = intervals.steps, intervals.starts
        short = steps <= self._end / self._unit * (1 + 1e-9)
        a, z = _stretches(short, starts)
        begins = steps <= self._begin / self._unit * (1 + 1e-9)
        of = np.repeat(np.arange(len(starts)), np.diff(np.searchsorted(a, starts), append=len(a)))
        first = np.append(np.flatnonzero(begins), len(steps))[np.cumsum(begins)[a] - begins[a]]
        first = np.where(self._in_burst(intervals)[of] & (a == starts[of]), a, first)
        kept = first <= z
        first, z, of = first[kept], z[kept], of[kept]
        number = intervals.number[of] - starts[of]
        return _Found(
            intervals.train[of], intervals.ends[first] - steps[first], intervals.ends[z], number + first - 1, number + z
        )

    def _in_burst(self, intervals: TrainIntervals) -> NDArray[np.bool_]:
        """Which trains of a window begin at the last spike of an open burst."""
        end = np.full(self._size, -1)
        end[self._open.train] = self._open.end
        of_first = intervals.train < self._size
        found: NDArray[np.bool_] = of_first & (intervals.number - 1 == end[np.where(of_first, intervals.train, 0)])
        return found

    def _joined(self, found: _Found) -> _Found:
        """The candidates with those made one that are too near to each other."""
        order = np.argsort(found.train, kind="stable")
        found = _Found._make(values[order] for values in found)
        near = (found.first[1:] - found.last[:-1]) * self._unit < self._between * (1 - 1e-9)
        joined = (found.train[1:] == found.train[:-1]) & (near | (found.begin[1:] == found.end[:-1]))
        opens, closes = np.append(True, ~joined), np.append(~joined, True)
        opens, closes = opens[: len(order)], closes[-len(order) :] if len(order) else closes[:0]
        return _Found(found.train[opens], found.first[opens], found.last[closes], found.begin[opens], found.end[closes])

    def _closed(self, found: _Found, before: int | None = None) -> Bursts:
        """Those that are long enough, as bursts; before: the number of the run that train 0 belongs to."""
        duration, n_spikes = (found.last - found.first) * self._unit, found.end - found.begin + 1
        kept = (duration >= self._shortest * (1 - 1e-9)) & (n_spikes >= self._fewest)
        run, place = np.divmod(found.train[kept], self._size)
        sample, neuron = np.divmod(place, self._n)
        run += self._run if before is None else before
        start = found.first[kept] * self._unit
        return Bursts(neuron, sample, run, start, duration[kept], n_spikes[kept], 0)


def bursts(
    spikes: Spikes,
    max_begin_isi_ms: float = 170.0,
    max_end_isi_ms: float = 300.0,
    min_ibi_ms: float = 200.0,
    min_duration_ms: float = 10.0,
    min_spikes: int = 3,
    runs: ArrayLike | None = None,
) -> Bursts:
    """The bursts of each neuron in each sample by the max-interval method.

    max_begin_isi_ms: the longest interval that a burst begins with; max_end_isi_ms: the longest in a burst; min_ibi_ms:
    the shortest time between two bursts; min_duration_ms, min_spikes: the least that a burst has. runs (R, 2):
    beginnings and ends in ms of stretches that are trains of their own; None for the whole duration.
    """
    measure = BurstAccumulator(max_begin_isi_ms, max_end_isi_ms, min_ibi_ms, min_duration_ms, min_spikes)
    measure.add(Window.of(spikes, None if runs is None else checked_runs(spikes, runs)))
    return measure.result()


def _stretches(mask: NDArray[np.bool_], starts: Ids) -> tuple[Ids, Ids]:
    """The first and last place of each stretch of True that does not cross a start."""
    before, after = np.append(False, mask[:-1]), np.append(mask[1:], False)
    before[starts] = False
    after[starts[1:] - 1] = False
    mask, before, after = mask[: len(mask)], before[: len(mask)], after[: len(mask)]
    return np.flatnonzero(mask & ~before), np.flatnonzero(mask & ~after)

"""The intervals of each train, window by window: sorted once, for every measure that reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...spikes.container import index_dtype
from ...spikes.sorting import sorted_keys
from ..windows import Window
from .bins import Array

R = TypeVar("R")

Ids = NDArray[np.int64]

MANY = 1 << 22
"""How many trains, and four for each spike, may be counted; more are sorted."""


class TrainIntervals(NamedTuple):
    """The n intervals that a window brings to an end, train by train in the order of time.

    A train is what one neuron fires in one sample of one run; shape: runs, samples and neurons (R, B, N).
    steps (n,): the lengths in units of `unit_ms`. ends (n,): when they end, in these units on the layer's clock.
    Of each of the m trains that have any, (m,): starts: where its intervals begin in `steps`; train:
    (run * B + sample) * N + neuron; before: the length of the interval before that, -1 where there is none; number: how
    many spikes of it came before the end of the first interval.
    goes_on: the trains of the first run are those of the last run of the window before. n_spikes: of the window.
    """

    steps: Array
    ends: Array
    starts: Ids
    train: Ids
    before: Array
    number: Ids
    unit_ms: float
    shape: tuple[int, int, int]
    goes_on: bool
    n_spikes: int

    def per_train(self, values: Array) -> Array:
        """The sum of values (n,) over the intervals of each train, (m,)."""
        return np.add.reduceat(values, self.starts) if len(self.starts) else np.zeros(0)

    @property
    def n(self) -> Ids:
        """How many intervals each train has, (m,)."""
        return np.diff(self.starts, append=len(self.steps))


class TrainSorter:
    """What goes over from a window to the next: of each train that may go on its last spike and interval."""

    def __init__(self) -> None:
        self._last = self._before = np.zeros(0)
        self._number = np.zeros(0, np.int64)

    def intervals(self, window: Window) -> TrainIntervals:
        """The intervals that the window brings to an end."""
        shape = len(window.runs), len(window.spikes), window.spikes.n_neurons
        size = shape[1] * shape[2]
        if not window.goes_on or len(self._last) != size:
            self._last, self._before, self._number = np.full(size, np.nan), np.full(size, -1.0), np.zeros(size, int)
        at, train, first = _by_train(window, shape)
        last = first + np.diff(first, append=len(at)) - 1
        carried = train < size
        old, before = np.full(len(train), np.nan), np.full(len(train), -1.0)
        number = np.zeros(len(train), np.int64)
        old[carried], before[carried], number[carried] = (
            kept[train[carried]] for kept in (self._last - window.begin, self._before, self._number)
        )
        steps = np.empty(len(at))
        np.subtract(at[1:], at[:-1], out=steps[1:])
        steps[first] = at[first] - old
        begun = first[np.isnan(old)]
        self._keep(window, shape, train, at[last] + float(window.begin), steps[last], last - first + 1)
        n = last - first + 1 - np.isnan(old)
        starts, some = np.cumsum(n) - n, n > 0
        return TrainIntervals(
            np.delete(steps, begun), np.delete(at, begun) + float(window.begin), starts[some], train[some],
            before[some], np.maximum(number, 1)[some], window.unit_ms, shape, window.goes_on, len(at),
        )  # fmt: skip

    def _keep(
        self, window: Window, shape: tuple[int, int, int], train: Ids, last: Array, interval: Array, n: Ids
    ) -> None:
        """Keeps what the next window may go on with: that of the last run."""
        size = shape[1] * shape[2]
        if shape[0] > 1:
            self._last, self._before, self._number = np.full(size, np.nan), np.full(size, -1.0), np.zeros(size, int)
        kept = train >= (shape[0] - 1) * size
        place = train[kept] - (shape[0] - 1) * size
        self._last[place], known = last[kept], ~np.isnan(interval[kept])
        self._before[place[known]] = interval[kept][known]
        self._number[place] += n[kept]


def _by_train(window: Window, shape: tuple[int, int, int]) -> tuple[NDArray[Any], Ids, Ids]:
    """The times of all spikes in the window's units, train by train; which trains fire, (m,), and where each begins.

    From rows to columns of a sparse matrix of one row is a sort by counting, which keeps the order of time.
    """
    spikes, at, n_trains = window.spikes, window.at, shape[0] * shape[1] * shape[2]
    dtype, key = index_dtype(max(n_trains, spikes.n_spikes)), spikes.ids
    if shape[0] > 1 or shape[1] > 1 or window.has_gaps:
        run = window.run_of_spikes()
        key = (run * shape[1] + spikes.samples()) * shape[2] + spikes.ids
        at, key = (at, key) if not window.has_gaps else (at[run >= 0], key[run >= 0])
    if n_trains > MANY + 4 * len(at):
        key, order = sorted_keys(key.astype(np.int64))
        first = np.flatnonzero(np.diff(key, prepend=-1))
        return at[order], key[first], first
    row = sparse.csr_matrix((at, key.astype(dtype, copy=False), np.array([0, len(at)], dtype)), (1, n_trains))
    turned = row.tocsc()
    bounds = turned.indptr.astype(np.int64)
    train = np.flatnonzero(np.diff(bounds))
    return turned.data, train, bounds[train]


class IntervalMeasure(ABC, Generic[R]):
    """An accumulator of what intervals say. Several of one recording share the sorting: `SharedIntervals`."""

    def __init__(self) -> None:
        self._trains = TrainSorter()

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        self.take(self._trains.intervals(window))

    @abstractmethod
    def take(self, intervals: TrainIntervals) -> None:
        """Takes the intervals of the next window."""

    @abstractmethod
    def result(self) -> R:
        """What was measured in all windows so far."""


class SharedIntervals:
    """Several measures of intervals over the same windows, whose spikes are sorted by train once."""

    def __init__(self, *measures: IntervalMeasure[Any]) -> None:
        self._measures, self._trains = measures, TrainSorter()

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        intervals = self._trains.intervals(window)
        for measure in self._measures:
            measure.take(intervals)

    def result(self) -> tuple[Any, ...]:
        """The result of each measure."""
        return tuple(measure.result() for measure in self._measures)

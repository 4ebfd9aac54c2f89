"""Neuronal avalanches (Beggs & Plenz, 2003, J Neurosci 23, 11167-11177)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...spikes import Spikes
from ..windows import Window
from .bins import Array, Counter, Counts, check_positive, checked_runs

Ids = NDArray[np.int64]


class Avalanches(NamedTuple):
    """Stretches of bins with spikes between bins without: the spikes (size) and the length of each.

    branching_ratio: the mean over avalanches of the spikes in the second bin over those in the first, 0 for one bin
    alone; NaN where there is none. 1 is critical.
    """

    sizes: Ids
    durations_ms: Array
    branching_ratio: float


class _Part(NamedTuple):
    """Sizes and lengths in bins of avalanches, and the sum of their ratios."""

    sizes: Ids
    lengths: Ids
    ratios: float


class _Open(NamedTuple):
    """An avalanche that may go on: the spikes of its first bin, of its second, and of all; its length in bins."""

    first: int = 0
    second: int = 0
    size: int = 0
    length: int = 0

    def with_bins(self, counts: Ids) -> _Open:
        """It with more bins, all of them with spikes."""
        if not len(counts):
            return self
        head = [*(self.first, self.second)[: self.length], *counts[:2].tolist(), 0, 0]
        return _Open(head[0], head[1], self.size + int(counts.sum()), self.length + len(counts))

    def part(self) -> list[_Part]:
        """The avalanche as it is, where there is one."""
        if not self.length:
            return []
        return [_Part(np.array([self.size]), np.array([self.length]), self.second / self.first)]


class AvalancheAccumulator:
    """The avalanches over windows; see `avalanches`. Keeps size and duration of each."""

    def __init__(self, bin_ms: float) -> None:
        self._bin_ms = check_positive(bin_ms, "avalanches.bin_ms")
        self._counter = Counter(self._bin_ms)
        self._done: list[_Part] = []
        self._open: list[_Open] = []

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        for block in self._counter.take(window):
            self._open = self._taken(block, self._done)

    def result(self) -> Avalanches:
        """The avalanches of all windows so far; one that the last window cut off counts as it is."""
        done, still_open = list(self._done), self._open
        for block in self._counter.rest():
            still_open = self._taken(block, done)
        done += [part for each in still_open for part in each.part()]
        sizes, lengths = (np.concatenate([np.zeros(0, np.int64), *(part[k] for part in done)]) for k in (0, 1))
        ratio = sum(part.ratios for part in done) / len(sizes) if len(sizes) else np.nan
        return Avalanches(sizes, lengths * self._bin_ms, ratio)

    def _taken(self, block: Counts, done: list[_Part]) -> list[_Open]:
        """Puts the avalanches that come to an end into `done`; returns the open one of each sample."""
        still_open = self._open
        for k, part in enumerate(np.split(block.counts, np.flatnonzero(block.begins), axis=1)):
            if k or len(still_open) != len(part):
                done += [ended for each in still_open for ended in each.part()]
                still_open = [_Open()] * len(part)
            still_open = [_row(row, each, done) for row, each in zip(part, still_open, strict=True)]
        return still_open


def _row(counts: Ids, before: _Open, done: list[_Part]) -> _Open:
    """Puts the avalanches of one sample's bins into `done`, after an open one; returns the one that is open then."""
    quiet = np.flatnonzero(counts == 0)
    if not len(quiet):
        return before.with_bins(counts)
    done += before.with_bins(counts[: quiet[0]]).part()
    inner = counts[quiet[0] : quiet[-1] + 1]
    fired = inner > 0
    first = np.flatnonzero(fired[1:] & ~fired[:-1]) + 1
    last = np.flatnonzero(fired[:-1] & ~fired[1:])
    if len(first):
        before_each = np.append(0, np.cumsum(inner))
        sizes = before_each[last + 1] - before_each[first]
        done.append(_Part(sizes, last - first + 1, float((inner[first + 1] / inner[first]).sum())))
    return _Open().with_bins(counts[quiet[-1] + 1 :])


def avalanches(spikes: Spikes, bin_ms: float, runs: ArrayLike | None = None) -> Avalanches:
    """The avalanches of the population in bins of `bin_ms`, of each sample by itself.

    Beggs & Plenz take the mean interval between successive spikes of the population as the bin. The branching ratio is
    theirs without the correction for refractory neurons. One that the end of a run cuts off counts as it is. runs
    (R, 2): beginnings and ends in ms of stretches that the bins begin anew with; None for the whole duration.
    """
    measure = AvalancheAccumulator(bin_ms)
    measure.add(Window.of(spikes, None if runs is None else checked_runs(spikes, runs)))
    return measure.result()

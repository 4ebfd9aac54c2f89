"""Bins and runs of time: what a measure counts in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError
from ...spikes import Spikes
from ..windows import Window

Array = NDArray[np.float64]

_TOLERANCE, _PRECISION = 1e-6, 4 * float(np.finfo(np.float64).eps)
"""By how much a time may lie before an edge and still belong behind it, in bins, and in parts of the time itself: the
rounding errors that `spikeloom.units` allows for."""
_CELLS = 1 << 22
"""How many counts are made at a time."""
_MOST_BINS = 1 << 26
"""How many bins a window may have."""


def bin_of(time: Array, width: float) -> NDArray[np.int64]:
    """The bin of each time; what lies a rounding error before an edge belongs behind it."""
    quotient = np.asarray(time / width)
    slack = np.abs(quotient)
    slack *= _PRECISION
    slack += _TOLERANCE
    slack += quotient
    return np.floor(slack, out=slack).astype(np.int64)


def checked_runs(spikes: Spikes, runs: ArrayLike | None) -> Array:
    """The beginnings and ends (R, 2) of runs in ms, by default of one; ParameterError unless they rise."""
    found = np.array([[0.0, spikes.duration]]) if runs is None else np.asarray(runs, float)
    if found.ndim != 2 or found.shape[1:] != (2,) or not len(found) or (np.diff(found.ravel())[::2] <= 0).any():
        raise ParameterError(f"runs must have shape (R, 2): a beginning and a later end in ms each, got {runs!r}")
    if (found[1:, 0] < found[:-1, 1]).any():
        raise ParameterError(f"runs must follow one another in time, got {runs!r}")
    return found


def check_positive(time: float, owner: str) -> float:
    if not isinstance(time, (int, float, np.number)) or not np.isfinite(time) or time <= 0:
        raise ParameterError(f"{owner} must be a positive time in ms, got {time!r}")
    return float(time)


def check_not_negative(time: float, owner: str) -> float:
    if not isinstance(time, (int, float, np.number)) or not np.isfinite(time) or time < 0:
        raise ParameterError(f"{owner} must be a time in ms, zero or more, got {time!r}")
    return float(time)


class Counts(NamedTuple):
    """Counts (B, K) or (B, K, N) in bins that begin at start_ms (K,) and are width_ms (K,) long; begins (K,): a run
    begins with it."""

    start_ms: Array
    width_ms: Array
    begins: NDArray[np.bool_]
    counts: NDArray[np.int64]

    def part(self, some: slice) -> Counts:
        """Some of the bins."""
        return Counts(self.start_ms[some], self.width_ms[some], self.begins[some], self.counts[:, some])

    def after(self, first_part: Counts) -> Counts:
        """The same with the first part of the first bin, which was counted before."""
        start, width, begins, counts = self.start_ms.copy(), self.width_ms.copy(), self.begins.copy(), self.counts
        start[0], begins[0] = first_part.start_ms[0], first_part.begins[0]
        width[0] += first_part.width_ms[0]
        counts[:, 0] += first_part.counts[:, 0]
        return Counts(start, width, begins, counts)


class Counter:
    """The counts of the population, or of each neuron, in bins of `bin_ms`, window by window.

    Bins begin anew with each run and go on over the borders of windows; the last of a run may be shorter.
    """

    def __init__(self, bin_ms: float, *, by_neuron: bool = False) -> None:
        self._bin_ms, self._by_neuron = bin_ms, by_neuron
        self._elapsed = 0.0
        self._held: Counts | None = None

    def take(self, window: Window) -> Iterator[Counts]:
        """The bins that the window brings to an end, in order, in blocks that fit into memory."""
        goes_on, blocks = self._blocks(window)
        for block in blocks:
            if self._held is not None and goes_on:
                block = block.after(self._held)
            elif self._held is not None:
                yield self._held
            self._held, goes_on = block.part(slice(-1, None)), False
            if len(block.start_ms) > 1:
                yield block.part(slice(-1))

    def rest(self) -> Iterator[Counts]:
        """The last bin, which the next window may go on with."""
        if self._held is not None:
            yield self._held

    def _blocks(self, window: Window) -> tuple[bool, Iterator[Counts]]:
        """Whether the first bin goes on from before, and the bins of the window."""
        begin, end = window.runs.astype(np.float64).T
        before, width, unit = np.zeros(len(begin)), self._bin_ms / window.unit_ms, window.unit_ms
        before[0] = self._elapsed if window.goes_on else 0
        first, stop = bin_of(before, width), -bin_of(begin - end - before, width)
        n_bins = np.maximum(first + 1, stop) - first
        if (total := int(n_bins.sum())) > _MOST_BINS:
            raise ParameterError(f"{total} bins of {self._bin_ms:g} ms are too many, more than {_MOST_BINS}; use wider")
        self._elapsed = float(before[-1] + end[-1] - begin[-1])
        of = np.repeat(np.arange(len(begin)), n_bins)
        k = first[of] + np.arange(len(of)) - (np.cumsum(n_bins) - n_bins)[of]
        origin = (begin - before)[of]
        left, right = origin + k * width, origin + (k + 1) * width
        late, early = left <= begin[of], right >= end[of]
        at_ms = (window.begin + np.stack((begin, end, begin - before))) * unit
        start_ms = np.where(late, at_ms[0][of], at_ms[2][of] + k * self._bin_ms)
        stop_ms = np.where(early, at_ms[1][of], at_ms[2][of] + (k + 1) * self._bin_ms)
        slack = min(_TOLERANCE * width, 1e-3) + _PRECISION * width * (k + 1)
        cuts = np.where(late, begin[of], left - slack), np.where(early, end[of], right - slack)
        empty = Counts(start_ms, stop_ms - start_ms, k == 0, np.zeros((0, len(k)), np.int64))
        goes_on = window.goes_on and bool(before[0] - first[0] * width > slack[0])
        return goes_on, self._counted(window.spikes, window.at, cuts, empty)

    def _counted(self, spikes: Spikes, at: NDArray[Any], cuts: tuple[Array, Array], bins: Counts) -> Iterator[Counts]:
        """The bins with the counts of the spikes between two cuts each."""
        low, high = (np.stack([_places(at[a:b], cut) + a for a, b in _samples(spikes)]) for cut in cuts)
        if not self._by_neuron:
            yield bins._replace(counts=high - low)
            return
        n_bins, n = len(bins.start_ms), spikes.n_neurons
        step = max(1, _CELLS // (n * len(spikes)))
        for some in (slice(k, k + step) for k in range(0, n_bins, step)):
            counts = [_by_neuron(spikes.ids, *ends, n) for ends in zip(low[:, some], high[:, some], strict=True)]
            yield bins.part(some)._replace(counts=np.stack(counts))


def _samples(spikes: Spikes) -> Iterator[tuple[int, int]]:
    """Where the spikes of each sample begin and end."""
    return zip(spikes.offsets[:-1].tolist(), spikes.offsets[1:].tolist(), strict=True)


def _places(at: NDArray[Any], cuts: Array) -> NDArray[np.int64]:
    """Where the first of rising times that is not before each cut stands."""
    return np.searchsorted(at, np.ceil(cuts).astype(at.dtype) if at.dtype.kind == "i" else cuts)


def _by_neuron(ids: NDArray[Any], low: NDArray[Any], high: NDArray[Any], n: int) -> NDArray[np.int64]:
    """The counts (K, n) of the ids low[k] .. high[k] - 1."""
    lengths = high - low
    between = ids[low[0] : high[-1]]
    if len(between) != lengths.sum():
        between = np.concatenate([ids[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)])
    rows = np.repeat(np.arange(len(low)) * n, lengths)
    return np.bincount(rows + between, minlength=len(low) * n).reshape(-1, n)

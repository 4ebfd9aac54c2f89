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

TOLERANCE, PRECISION = 1e-6, 4 * float(np.finfo(np.float64).eps)
"""By how much a time may lie before an edge and still belong behind it, in bins, and in parts of the time itself: the
rounding errors that `spikeloom.units` allows for."""
MOST_BINS = 1 << 24
"""How many bins the samples of a window may have together."""
MOST_NUMBERS = 1 << 27
"""How many numbers a result may hold: 1 GB."""


def bin_of(time: Array, width: float) -> NDArray[np.int64]:
    """The bin of each time; what lies a rounding error before an edge belongs behind it."""
    quotient = np.asarray(time / width)
    slack = np.abs(quotient)
    slack *= PRECISION
    slack += TOLERANCE
    slack += quotient
    return np.floor(slack, out=slack).astype(np.int64)


def checked_runs(spikes: Spikes, runs: ArrayLike | None) -> Array:
    """The beginnings and ends (R, 2) of runs in ms, by default of one; ParameterError unless they rise within the
    duration."""
    if runs is None:
        return np.array([[0.0, spikes.duration]])
    expected = f"runs must have shape (R, 2): a beginning and a later end in ms each, got {runs!r:.80}"
    try:
        found = np.asarray(runs, np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(expected) from error
    if found.ndim != 2 or found.shape[1:] != (2,) or not len(found) or not (found[:, 1] > found[:, 0]).all():
        raise ParameterError(expected)
    if (found[1:, 0] < found[:-1, 1]).any():
        raise ParameterError(f"runs must follow one another in time, got {runs!r:.80}")
    if found[0, 0] < 0 or found[-1, 1] > spikes.duration * (1 + 1e-9):
        raise ParameterError(f"runs must lie in 0 .. {spikes.duration:g} ms, got {runs!r:.80}")
    return found


def check_positive(time: float, owner: str) -> float:
    """A time as a float; ParameterError unless it is more than 0 ms."""
    if not _is_time(time) or time <= 0:
        raise ParameterError(f"{owner} must be a positive time in ms, got {time!r}")
    return float(time)


def check_not_negative(time: float, owner: str) -> float:
    """A time as a float; ParameterError unless it is 0 ms or more."""
    if not _is_time(time) or time < 0:
        raise ParameterError(f"{owner} must be a time in ms, zero or more, got {time!r}")
    return float(time)


def _is_time(time: Any) -> bool:
    return isinstance(time, (int, float, np.number)) and not isinstance(time, bool) and bool(np.isfinite(time))


def check_bins(span: float, width: float, n_samples: int = 1) -> None:
    """ParameterError where a span in ms of so many samples has too many bins of a width."""
    if span * n_samples > MOST_BINS * width:
        n_bins = f"{span:g} ms of {n_samples} sample{'s' * (n_samples != 1)} have more than {MOST_BINS} bins"
        raise ParameterError(f"{n_bins} of {width:g} ms; use wider bins, or an accumulator window by window")


def check_size(n_numbers: float, owner: str, way_out: str) -> None:
    """ParameterError for a result of too many numbers."""
    if n_numbers > MOST_NUMBERS:
        raise ParameterError(f"{owner}: {n_numbers:.3g} numbers are more than {MOST_NUMBERS}; use {way_out}")


class Counts(NamedTuple):
    """Counts (B, K) in bins that begin at start_ms (K,) and are width_ms (K,) long; begins (K,): a run begins with
    it."""

    start_ms: Array
    width_ms: Array
    begins: NDArray[np.bool_]
    counts: NDArray[np.int64]

    def part(self, some: slice) -> Counts:
        """Some of the bins."""
        return Counts(self.start_ms[some], self.width_ms[some], self.begins[some], self.counts[:, some])


class Bins(NamedTuple):
    """The K bins of a window: they begin at start_ms (K,), are width_ms (K,) long so far, begins (K,): a run with it.

    low, high (B, K): the places of the first spike of each sample in a bin, and of the first behind it.
    goes_on: the first bin goes on from the window before.
    """

    start_ms: Array
    width_ms: Array
    begins: NDArray[np.bool_]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    goes_on: bool


class Binning:
    """Where the bins of `bin_ms` lie, window by window.

    They begin anew with each run and go on over the borders of windows; the last of a run may be shorter.
    """

    def __init__(self, bin_ms: float) -> None:
        self._bin_ms, self._elapsed = bin_ms, 0.0

    def bins(self, window: Window) -> Bins:
        """The bins of the window, run by run."""
        begin, end = window.runs.astype(np.float64).T
        before, unit = np.zeros(len(begin)), window.unit_ms
        width = self._bin_ms / unit
        check_bins(float((end - begin).sum()) * unit, self._bin_ms, len(window.spikes))
        before[0] = self._elapsed if window.goes_on else 0
        first, stop = bin_of(before, width), -bin_of(begin - end - before, width)
        n_bins = np.maximum(first + 1, stop) - first
        self._elapsed = float(before[-1] + end[-1] - begin[-1])
        of = np.repeat(np.arange(len(begin)), n_bins)
        k = first[of] + np.arange(len(of)) - (np.cumsum(n_bins) - n_bins)[of]
        origin = (begin - before)[of]
        left, right = origin + k * width, origin + (k + 1) * width
        late, early = left <= begin[of], right >= end[of]
        start_ms = ((window.begin + begin - before) * unit)[of] + k * self._bin_ms
        width_ms = np.where(early, (end[of] - left) * unit, self._bin_ms)
        slack = min(TOLERANCE * width, 1e-3) + PRECISION * width * (k + 1)
        cuts = np.where(late, begin[of], left - slack), np.where(early, end[of], right - slack)
        low, high = (np.stack([_places(window.at[a:b], cut) + a for a, b in _samples(window.spikes)]) for cut in cuts)
        goes_on = window.goes_on and bool(before[0] - first[0] * width > slack[0])
        return Bins(start_ms, width_ms, k == 0, low, high, goes_on)


class Counter:
    """The counts of the population in bins of `bin_ms`, window by window; the last of a run may be shorter."""

    def __init__(self, bin_ms: float) -> None:
        self._binning = Binning(bin_ms)
        self._held: Counts | None = None

    def take(self, window: Window) -> Iterator[Counts]:
        """The bins that the window brings to an end, in order."""
        bins = self._binning.bins(window)
        found = Counts(*bins[:3], bins.high - bins.low)
        if self._held is not None and bins.goes_on:
            found.counts[:, 0] += self._held.counts[:, 0]
        elif self._held is not None:
            yield self._held
        self._held = found.part(slice(-1, None))
        if len(found.start_ms) > 1:
            yield found.part(slice(-1))

    def rest(self) -> Iterator[Counts]:
        """The last bin, which the next window may go on with."""
        if self._held is not None:
            yield self._held


def _samples(spikes: Spikes) -> Iterator[tuple[int, int]]:
    """Where the spikes of each sample begin and end."""
    return zip(spikes.offsets[:-1].tolist(), spikes.offsets[1:].tolist(), strict=True)


def _places(at: NDArray[Any], cuts: Array) -> NDArray[np.int64]:
    """Where the first of rising times that is not before each cut stands."""
    return np.searchsorted(at, np.ceil(cuts).astype(at.dtype) if at.dtype.kind == "i" else cuts)

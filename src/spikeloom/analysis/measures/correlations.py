"""Correlations of spike trains: of counts in bins over all pairs, and over lags of time."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError
from ...spikes import Spikes
from ...units import times
from ..windows import Window
from .bins import bin_of, check_positive, check_size
from .pairs import Ids, Trains, chosen_neurons
from .sparse_counts import SparseCounter, deviations, products

Array = NDArray[np.float64]

BLOCK = 2**22
"""How many pairs of spikes are looked at at once."""


class CrossCorrelation(NamedTuple):
    """Pairs of spikes by the lag of the second behind the first, for each of n pairs of trains.

    lag_ms (2 K + 1,): the middle of each bin of lags. counts (n, 2 K + 1): the pairs of spikes whose bins are so far
    apart. coefficient: the correlation of the counts in bins with those so much later, the ends of the recording aside.
    """

    lag_ms: Array
    counts: NDArray[np.int64]
    coefficient: Array


class CountCorrelationAccumulator:
    """The correlation of the counts of pairs of neurons in bins of `bin_ms`, over windows; see the function.

    neurons: ids of at most 5000 neurons.
    """

    def __init__(self, bin_ms: float, neurons: ArrayLike) -> None:
        owner, given = "CountCorrelationAccumulator", np.asarray(neurons)
        highest = int(given.max(initial=0)) + 1 if given.dtype.kind in "iu" else 1
        chosen = chosen_neurons(neurons, highest, owner)
        self._counter = SparseCounter(check_positive(bin_ms, f"{owner}.bin_ms"), chosen)
        self._n_bins, self._total, self._products = 0, np.zeros(chosen.size), np.zeros((chosen.size, chosen.size))

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        counts = self._counter.take(window)
        self._n_bins += counts.shape[0]
        self._total += counts.sum(axis=0)
        self._products += products(counts)

    def result(self) -> Array:
        """The correlation of all pairs, (n, n), of what was taken so far; NaN where the counts do not vary."""
        power = deviations(self._products.diagonal(), self._total, self._n_bins)
        power[power == 0] = np.nan
        bounded: Array = np.clip(self._scatter() / np.sqrt(power[:, None] * power), -1, 1)
        return bounded

    def covariance(self) -> Array:
        """The covariance of the counts of all pairs, (n, n), divided by the number of bins - 1; NaN for one bin."""
        return self._scatter() / (self._n_bins - 1 if self._n_bins > 1 else np.nan)

    def _scatter(self) -> Array:
        """The sums of the products of the deviations of counts from their means."""
        return self._products - self._total[:, None] * self._total / max(1, self._n_bins)


def spike_count_correlation(spikes: Spikes, bin_ms: float, neurons: ArrayLike | None = None) -> Array:
    """Pearson's correlation of the spike counts of all pairs of neurons in bins of `bin_ms`, (n, n).

    The bins of all samples are taken together; what is left after the last whole bin is not counted. NaN where the
    counts of a neuron do not vary, as those of a silent one. At most 5000 neurons. Raises ParameterError.
    """
    return _correlations(spikes, bin_ms, neurons, "spike_count_correlation").result()


def spike_count_covariance(spikes: Spikes, bin_ms: float, neurons: ArrayLike | None = None) -> Array:
    """The covariance (n, n) of the counts, divided by the number of bins - 1; else as `spike_count_correlation`."""
    return _correlations(spikes, bin_ms, neurons, "spike_count_covariance").covariance()


def _correlations(spikes: Spikes, bin_ms: float, neurons: ArrayLike | None, owner: str) -> CountCorrelationAccumulator:
    whole_bins(spikes, bin_ms, owner)
    found = CountCorrelationAccumulator(bin_ms, chosen_neurons(neurons, spikes.n_neurons, owner))
    found.add(Window.of(spikes))
    return found


def whole_bins(spikes: Spikes, bin_ms: float, owner: str) -> int:
    """How many whole bins the duration has; ParameterError unless there is one."""
    width = check_positive(bin_ms, f"{owner}.bin_ms")
    if spikes.duration > 2**53 * width:
        raise ParameterError(f"{owner}.bin_ms must be longer for {spikes.duration:g} ms, got {bin_ms!r}")
    n_bins = int(bin_of(np.array([spikes.duration]), width)[0])
    if not n_bins:
        raise ParameterError(f"{owner}.bin_ms must be at most the duration {spikes.duration:g} ms, got {bin_ms!r}")
    return n_bins


def autocorrelation(
    spikes: Spikes,
    bin_ms: float,
    max_lag_ms: float,
    neurons: ArrayLike | None = None,
    durations_ms: ArrayLike | None = None,
) -> CrossCorrelation:
    """The correlation of each neuron's train with itself at lags of -max_lag_ms .. max_lag_ms; see `cross_correlation`.

    At lag 0 each spike meets itself: there the coefficient is 1.
    """
    chosen = chosen_neurons(neurons, spikes.n_neurons, "autocorrelation", spikes.n_neurons)
    return _over_lags(spikes, (chosen, chosen), bin_ms, max_lag_ms, "autocorrelation", durations_ms)


def cross_correlation(
    spikes: Spikes,
    first: ArrayLike,
    second: ArrayLike,
    bin_ms: float,
    max_lag_ms: float,
    durations_ms: ArrayLike | None = None,
) -> CrossCorrelation:
    """The correlation of the trains of pairs of neurons, at lags of -max_lag_ms .. max_lag_ms.

    first, second: ids, (n,) or one; a spike of the second behind one of the first has a positive lag. Trains are
    counted in bins of `bin_ms` (Elephant's cross_correlation_histogram, and its coefficient), of all samples. The
    coefficient is NaN where the counts of a train do not vary. The time grows with the pairs of spikes within
    max_lag_ms. durations_ms (B,): how long each sample lasts, where that is less than the whole duration. Raises
    ParameterError.
    """
    owner = "cross_correlation"
    one, other = np.atleast_1d(np.asarray(first)), np.atleast_1d(np.asarray(second))
    if one.shape != other.shape:
        raise ParameterError(f"{owner} needs as many first as second neurons, got {one.size} and {other.size}")
    for ids, name in ((one, "first"), (other, "second")):
        chosen_neurons(np.unique(ids) if ids.ndim == 1 else ids, spikes.n_neurons, f"{owner}.{name}", spikes.n_neurons)
    return _over_lags(spikes, (one.astype(np.int64), other.astype(np.int64)), bin_ms, max_lag_ms, owner, durations_ms)


def _over_lags(
    spikes: Spikes,
    pairs: tuple[Ids, Ids],
    bin_ms: float,
    max_lag_ms: float,
    owner: str,
    durations_ms: ArrayLike | None,
) -> CrossCorrelation:
    n_bins, of_each = whole_bins(spikes, bin_ms, owner), _bins_of_samples(spikes, bin_ms, durations_ms, owner)
    longest = min(check_positive(max_lag_ms, f"{owner}.max_lag_ms"), n_bins * bin_ms)
    most = int(bin_of(np.array([longest]), bin_ms)[0])
    if not 1 <= most < n_bins:
        expected = f"{owner}.max_lag_ms must be at least bin_ms = {bin_ms:g} ms and shorter than the duration"
        raise ParameterError(f"{expected} {spikes.duration:g} ms, got {max_lag_ms!r}")
    n, row = pairs[0].size, (n_bins + most) * len(spikes)
    check_size(n * (2 * most + 1), owner, "wider bins, shorter lags or fewer neurons")
    if n * row >= 2**62:
        raise ParameterError(f"{owner}: {n * row} bins of all trains are too many; use wider bins or fewer neurons")
    one, other = (_bin_keys(spikes, ids, bin_ms, of_each, n_bins + most) for ids in pairs)
    counts = _pairs_by_lag(one, other, row, n, most)
    coefficient = _coefficient(counts, _sums(one, row, n), _sums(other, row, n), int(of_each.sum()))
    return CrossCorrelation(times(np.arange(-most, most + 1), bin_ms), counts, coefficient)


def _bins_of_samples(spikes: Spikes, bin_ms: float, durations_ms: ArrayLike | None, owner: str) -> Ids:
    """How many whole bins each sample has, (B,)."""
    found = np.full(len(spikes), spikes.duration) if durations_ms is None else np.asarray(durations_ms, float)
    if found.shape != (len(spikes),) or not ((found > 0) & (found <= spikes.duration * (1 + 1e-9))).all():
        expected = f"{owner}.durations_ms must be a time of at most {spikes.duration:g} ms for each sample"
        raise ParameterError(f"{expected}, {len(spikes)}, got {durations_ms!r:.80}")
    return bin_of(found, bin_ms)


def _bin_keys(spikes: Spikes, ids: Ids, bin_ms: float, n_bins: Ids, apart: int) -> Ids:
    """The bin of each spike of each train, ascending; `apart`, more than any lag, lies between samples and trains.

    n_bins (B,): of each sample; spikes behind them do not count.
    """
    chosen = np.unique(ids)
    trains = Trains.of(spikes, chosen)
    rows = np.searchsorted(chosen, ids)[:, None] + np.arange(len(spikes)) * chosen.size
    trains = trains.pick(rows.ravel())
    bins, row = bin_of(trains.time, bin_ms), np.repeat(np.arange(rows.size), np.diff(trains.start))
    inside = bins < n_bins[row % len(spikes)]
    return (row * apart + bins)[inside]


def _pairs_by_lag(one: Ids, other: Ids, row: int, n: int, most: int) -> NDArray[np.int64]:
    """Counts (n, 2 most + 1) of pairs of sorted keys by their difference; `row` keys belong to each pair of trains."""
    width = 2 * most + 1
    found = np.zeros(n * width, np.int64)
    low, high = np.searchsorted(other, one - most), np.searchsorted(other, one + most, side="right")
    ends = np.cumsum(high - low)
    cuts = np.searchsorted(ends, np.arange(0, ends[-1] if ends.size else 0, BLOCK), side="right")
    for begin, end in pairwise((*cuts, one.size)):
        near = (high - low)[begin:end]
        offset = np.repeat(low[begin:end] - (np.cumsum(near) - near), near)
        source = np.repeat(one[begin:end], near)
        lag = other[np.arange(offset.size) + offset] - source + most
        found += np.bincount(source // row * width + lag, minlength=found.size)
    return found.reshape(n, width)


def _sums(keys: Ids, row: int, n: int) -> tuple[Array, Array]:
    """The sum of the counts of each train, and of their squares, (n,)."""
    of, counts = np.unique(keys, return_counts=True)
    totals = [np.bincount(of // row, power, n).astype(np.float64) for power in (counts, counts**2)]
    return totals[0], totals[1]


def _coefficient(
    counts: NDArray[np.int64], sums: tuple[Array, Array], other_sums: tuple[Array, Array], n_bins: int
) -> Array:
    (one, one_squared), (other, other_squared) = sums, other_sums
    power = np.sqrt(deviations(one_squared, one, n_bins) * deviations(other_squared, other, n_bins))
    power[power == 0] = np.nan
    return (counts - (one * other / n_bins)[:, None]) / power[:, None]

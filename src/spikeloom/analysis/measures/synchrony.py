"""How far the neurons of a population fire together: chi, Spike-contrast, SPIKE-synchronization."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError
from ...native.compiled import compiled
from ...spikes import Spikes
from ..windows import Window
from .bins import check_bins, check_positive, check_size
from .correlations import whole_bins
from .pairs import Ids, Trains, chosen_neurons
from .sparse_counts import SparseCounter, deviations, squares

Array = NDArray[np.float64]
HEADER = "train_pairs.hpp"


class PopulationSynchronyAccumulator:
    """Golomb's and Rinzel's chi of a layer of `n_neurons`, over windows; see the function."""

    def __init__(self, bin_ms: float, n_neurons: int) -> None:
        width = check_positive(bin_ms, "PopulationSynchronyAccumulator.bin_ms")
        if isinstance(n_neurons, bool) or not isinstance(n_neurons, (int, np.integer)) or n_neurons < 1:
            expected = "PopulationSynchronyAccumulator.n_neurons must be a whole number of at least 1"
            raise ParameterError(f"{expected}, got {n_neurons!r}")
        self._counter = SparseCounter(width, np.arange(n_neurons))
        self._n_bins, self._of_all = 0, np.zeros(())
        self._total, self._squares = np.zeros(n_neurons), np.zeros(n_neurons)

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        counts = self._counter.take(window)
        self._n_bins += counts.shape[0]
        self._total += counts.sum(axis=0)
        self._of_all += (counts.sum(axis=1) ** 2).sum()
        self._squares += squares(counts)

    def result(self) -> float:
        """chi of what was taken so far; NaN where no neuron's counts vary."""
        single = deviations(self._squares, self._total, self._n_bins).sum()
        together = deviations(self._of_all, self._total.sum(), self._n_bins)
        return float(np.sqrt(together / (self._total.size * single))) if single > 0 else np.nan


def population_synchrony(spikes: Spikes, bin_ms: float) -> float:
    """Golomb's and Rinzel's chi of the spike counts of all neurons in bins of `bin_ms`: 0 .. 1.

    chi^2 is the variance of the mean count over the neurons, over the mean variance of a neuron's counts (Golomb and
    Rinzel 1993, who take potentials): 1 where all fire as one, about 1 / sqrt(N) where they are independent. The bins
    of all samples are taken together; NaN where no neuron's counts vary. Raises ParameterError.
    """
    whole_bins(spikes, bin_ms, "population_synchrony")
    found = PopulationSynchronyAccumulator(bin_ms, spikes.n_neurons)
    found.add(Window.of(spikes))
    return found.result()


def spike_contrast(
    spikes: Spikes, min_bin_ms: float = 10.0, bin_shrink_factor: float = 0.9, neurons: ArrayLike | None = None
) -> Array:
    """The Spike-contrast of the trains of each sample, (B,): 0 .. 1, over all time scales (Ciba et al. 2018).

    Bins that overlap by half shrink from half the duration, by the factor, down to half of the shortest inter-spike
    interval and no less than min_bin_ms; the greatest product of the contrast of the counts in successive bins and the
    share of trains that are active together is the synchrony. NaN where no train has two spikes. Raises ParameterError.
    """
    owner = "spike_contrast"
    least = check_positive(min_bin_ms, f"{owner}.min_bin_ms")
    chosen = _several(neurons, spikes, owner)
    if least > spikes.duration / 2:
        expected = f"{owner}.min_bin_ms must be at most half the duration {spikes.duration:g} ms"
        raise ParameterError(f"{expected}, got {min_bin_ms!r}")
    if not (isinstance(bin_shrink_factor, (float, np.floating)) and 0 < bin_shrink_factor < 1):
        raise ParameterError(f"{owner}.bin_shrink_factor must be between 0 and 1, got {bin_shrink_factor!r}")
    trains, rows = Trains.of(spikes, chosen), np.arange(len(spikes) * chosen.size).reshape(len(spikes), -1)
    return np.array([_contrast(trains.pick(row), spikes.duration, least, float(bin_shrink_factor)) for row in rows])


def _several(neurons: ArrayLike | None, spikes: Spikes, owner: str) -> Ids:
    chosen = chosen_neurons(neurons, spikes.n_neurons, owner)
    if chosen.size < 2:
        raise ParameterError(f"{owner} compares two neurons or more, got {chosen.size}")
    return chosen


def _contrast(trains: Trains, duration: float, least: float, factor: float) -> float:
    """The greatest synchrony over the sizes of bins."""
    of = np.repeat(np.arange(len(trains)), np.diff(trains.start))
    same = of[1:] == of[:-1]
    if not same.any():
        return np.nan
    shortest = float(np.diff(trains.time)[same].min())
    check_bins(duration, max(shortest / 2, least))
    in_time = np.argsort(trains.time, kind="stable")
    place = np.empty_like(in_time)
    place[in_time] = np.arange(in_time.size)
    ordered, found, size = trains.time[in_time], 0.0, duration / 2
    while size >= max(shortest / 2, least):
        edges = np.arange(-shortest, duration + shortest + size / 2, size / 2)
        half = np.diff(np.searchsorted(ordered, edges))
        bin_of_each = np.repeat(np.arange(half.size), half)[place]
        active = _active(bin_of_each, same, half.size)
        counts = half[:-1] + half[1:]
        share = ((active * counts).sum() / counts.sum() - 1) / (len(trains) - 1)
        found = max(found, share * np.abs(np.diff(counts)).sum() / (2 * ordered.size))
        size *= factor
    return float(found)


def _active(half: Ids, same: NDArray[np.bool_], n: int) -> Ids:
    """How many trains fire in each two halves of a bin that follow each other, (n - 1,).

    half: the half of each spike, train by train; same: whether a spike's train is that of the one before.
    """
    ahead = np.diff(half)
    first = np.ones(half.size, bool)
    first[1:] = ~same | (ahead > 0)
    alone = np.bincount(half[first], minlength=n)
    both = np.bincount(half[1:][same & (ahead == 1)], minlength=n)
    return alone[:-1] + alone[1:] - both[1:]


def spike_synchronization(spikes: Spikes, neurons: ArrayLike | None = None) -> Array:
    """The SPIKE-synchronization of all pairs of trains in each sample, (B, n, n): the share of coincident spikes.

    Two spikes are coincident that are nearer than half of every inter-spike interval next to either (Kreuz et al.
    2015), so that no time scale is to be chosen. 1 on the diagonal; NaN where both trains are silent. Raises
    ParameterError.
    """
    chosen = _several(neurons, spikes, "spike_synchronization")
    check_size(len(spikes) * chosen.size**2, "spike_synchronization", "fewer neurons or samples")
    trains, rows = Trains.of(spikes, chosen), np.arange(len(spikes) * chosen.size).reshape(len(spikes), -1)
    return np.stack([_synchronization(trains.pick(row), spikes.duration) for row in rows])


def _synchronization(trains: Trains, duration: float) -> Array:
    n, library, sizes = len(trains), compiled(HEADER), np.diff(trains.start)
    pairs = np.zeros((n, n), np.int64)
    for k in range(n):
        if library is not None:
            library.call("spike_coincidences", trains.time, trains.start, n, k, duration / 2, pairs[k])
        else:
            pairs[k, k + 1 :] = [_coincidences(trains[k], trains[other], duration / 2) for other in range(k + 1, n)]
    pairs += pairs.T + np.diag(sizes)
    spikes = (sizes[:, None] + sizes).astype(float)
    spikes[spikes == 0] = np.nan
    share: Array = 2 * pairs / spikes
    return share


def _coincidences(a: Array, b: Array, longest: float) -> int:
    """How many spikes of a are coincident with the nearest of b."""
    if not (a.size and b.size):
        return 0
    behind = np.searchsorted(b, a).clip(0, b.size - 1)
    ahead = (behind - 1).clip(0)
    nearest = np.where(np.abs(b[ahead] - a) <= np.abs(b[behind] - a), ahead, behind)
    window = np.minimum(_half(a, longest), _half(b, longest)[nearest])
    return int((np.abs(b[nearest] - a) < window).sum())


def _half(train: Array, longest: float) -> Array:
    """Half of the shorter interval next to each spike."""
    intervals = np.diff(train, prepend=-np.inf, append=np.inf) / 2
    return np.minimum(np.minimum(intervals[:-1], intervals[1:]), longest)

"""Rates: spikes per neuron and second of model time, in Hz."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...spikes import Spikes
from ..windows import Window
from .bins import Array, Counter, Counts, check_positive, checked_runs


class PopulationRate(NamedTuple):
    """The rate of each sample in Hz per neuron, (B, K), in K bins that begin at `start` (ms); `width` in ms, (K,)."""

    start: Array
    width: Array
    rate: Array


class MeanRateAccumulator:
    """The rate averaged over time, samples and neurons, in Hz; NaN before the first window."""

    def __init__(self) -> None:
        self._n_spikes, self._neuron_ms = 0, 0.0

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        self._n_spikes += len(window.at[window.inside])
        self._neuron_ms += window.trial_ms * window.spikes.n_neurons

    def result(self) -> float:
        """The rate over all windows so far."""
        return self._n_spikes / self._neuron_ms * 1000 if self._neuron_ms else np.nan


def mean_rate(spikes: Spikes) -> float:
    """The rate averaged over samples and neurons, in Hz."""
    rate = MeanRateAccumulator()
    rate.add(Window.of(spikes))
    return rate.result()


def neuron_rates(spikes: Spikes) -> Array:
    """The rate of each neuron in each sample, (B, N), in Hz."""
    return spikes.counts().reshape(len(spikes), -1) / spikes.duration * 1000


class PopulationRateAccumulator:
    """The rate of the population in bins of `bin_ms`; see the function. A sample that a run has not is NaN there."""

    def __init__(self, bin_ms: float) -> None:
        self._counter = Counter(check_positive(bin_ms, "population_rate.bin_ms"))
        self._found: list[Counts] = []
        self._n_neurons = 1

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        self._found.extend(self._counter.take(window))
        self._n_neurons = window.spikes.n_neurons

    def result(self) -> PopulationRate:
        """The rates over all windows so far."""
        found = [*self._found, *self._counter.rest()]
        start, width = (np.concatenate([np.zeros(0), *(part[k] for part in found)]) for k in (0, 1))
        counts = np.full((max((len(part.counts) for part in found), default=0), len(start)), np.nan)
        at = 0
        for part in found:
            counts[: len(part.counts), at : at + len(part.start_ms)] = part.counts
            at += len(part.start_ms)
        return PopulationRate(start, width, counts / (self._n_neurons * width) * 1000)


def population_rate(spikes: Spikes, bin_ms: float, runs: ArrayLike | None = None) -> PopulationRate:
    """The rate of the population over time, in bins of `bin_ms`; the last bin may be shorter and is taken as such.

    runs (R, 2): beginnings and ends in ms of stretches that the bins begin anew with; None for the whole duration.
    """
    rate = PopulationRateAccumulator(bin_ms)
    rate.add(Window.of(spikes, None if runs is None else checked_runs(spikes, runs)))
    return rate.result()

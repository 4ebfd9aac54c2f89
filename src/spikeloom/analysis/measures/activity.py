"""How often each neuron of a layer fired: what all costs of a network follow from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError
from ...spikes import Spikes
from ..windows import Window


class Activity(NamedTuple):
    """The spikes of each neuron, (N,), in all samples and runs, and how many of them need a multiplication.

    graded (N,): those whose value is neither 1 nor -1. trial_ms: the time of all samples together. dt_ms: NaN for
    spikes that are not on a grid. recorded_fraction: the expected part of the spikes that was recorded, which sums over
    neurons are divided by.
    """

    counts: NDArray[np.int64]
    graded: NDArray[np.int64]
    trial_ms: float
    dt_ms: float
    recorded_fraction: float = 1.0

    @property
    def n_steps(self) -> int:
        """The steps of all samples together; ParameterError for spikes that are not on a grid."""
        if not self.dt_ms > 0:
            raise ParameterError("the spikes have times in ms and no steps; call on_grid(dt) first")
        return round(self.trial_ms / self.dt_ms)


class ActivityAccumulator:
    """The activity over windows.

    n_neurons, neurons: where windows hold the recorded neurons alone, how many there are and the ids of the recorded
    ones, (K,). recorded_fraction: the expected part of all spikes that was recorded.
    """

    def __init__(
        self, n_neurons: int | None = None, neurons: ArrayLike | None = None, recorded_fraction: float = 1.0
    ) -> None:
        if not 0 < recorded_fraction <= 1:
            raise ParameterError(f"Activity.recorded_fraction must be in (0, 1], got {recorded_fraction!r}")
        self._n_neurons, self._fraction = n_neurons, recorded_fraction
        self._neurons = None if neurons is None else np.asarray(neurons, np.int64)
        self._counts = self._graded = np.zeros(n_neurons or 0, np.int64)
        self._trial_ms, self._dt_ms = 0.0, np.nan

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        spikes = window.spikes
        size = self._n_neurons or spikes.n_neurons
        ids = spikes.ids[window.inside]
        ids = ids if self._neurons is None else self._neurons[ids]
        if not len(self._counts):
            self._counts, self._graded = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self._counts = self._counts + np.bincount(ids, minlength=size)
        if spikes.value is not None:
            self._graded = self._graded + np.bincount(ids[np.abs(spikes.value[window.inside]) != 1], minlength=size)
        self._trial_ms += window.trial_ms
        self._dt_ms = np.nan if spikes.dt is None else spikes.dt

    def result(self) -> Activity:
        """The activity in all windows so far."""
        return Activity(self._counts, self._graded, self._trial_ms, self._dt_ms, self._fraction)


def activity(spikes: Spikes) -> Activity:
    """The spikes of each neuron in all samples."""
    measure = ActivityAccumulator()
    measure.add(Window.of(spikes))
    return measure.result()

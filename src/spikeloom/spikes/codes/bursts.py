"""Codes by several spikes whose places count: weighted phases and bursts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError
from ...units import steps
from ..container import Spikes
from ..validate import Numbers, check_count
from .code import Real, ValueCode, checked_values, plain, positive, trains, window


@dataclass(frozen=True, slots=True)
class Phase(ValueCode):
    """x as a binary number of `n_phases` digits: a spike in phase k = 0, 1, ... of a period weighs 2 ** -(1 + k).

    The number is repeated in each whole period of the window; steps after the last are silent. The error is at most
    2 ** -(n_phases + 1), but for x near 1: the largest number is 1 - 2 ** -n_phases. J. Kim, H. Kim, S. Huh, J. Lee,
    K. Choi, Neurocomputing 311 (2018) 373.
    """

    n_phases: int = 8

    def __post_init__(self) -> None:
        if check_count(self.n_phases, "Phase.n_phases") > 52:
            raise ParameterError(f"Phase.n_phases must be at most 52, the digits of a double, got {self.n_phases}")

    def encode(self, x: Numbers, n_steps: int, dt: float, generator: np.random.Generator | None = None) -> Spikes:
        """The spikes of x; ParameterError for a window shorter than a period."""
        n_steps, dt = window(n_steps, dt)
        periods = self._periods(n_steps)
        values = checked_values(x, "Phase")
        number = np.minimum(np.floor(values.ravel() * 2**self.n_phases + 0.5), 2**self.n_phases - 1).astype(np.int64)
        phases = np.arange(self.n_phases)
        digit = number[:, None] >> (self.n_phases - 1 - phases) & 1
        neuron, phase = np.nonzero(digit)
        step = phase[None] + np.arange(periods)[:, None] * self.n_phases
        return trains(step.ravel(), np.tile(neuron, periods), values.shape, n_steps, dt)

    def decode(self, spikes: Spikes) -> Real:
        """The mean of the numbers of all whole periods."""
        step, n_steps, _ = plain(spikes).grid
        periods = self._periods(n_steps)
        weight = np.where(step < periods * self.n_phases, 2.0 ** -(1 + step.astype(np.float64) % self.n_phases), 0.0)
        neuron = spikes.samples() * spikes.n_neurons + spikes.ids
        total = np.bincount(neuron, weight, minlength=len(spikes) * spikes.n_neurons)
        return total.reshape(len(spikes), *spikes.shape) / periods

    def _periods(self, n_steps: int) -> int:
        if n_steps < self.n_phases:
            raise ParameterError(f"Phase: {n_steps} steps hold no period of {self.n_phases} phases; use more steps")
        return n_steps // self.n_phases


@dataclass(frozen=True, slots=True)
class Burst(ValueCode):
    """ceil(n_max * x) spikes whose distance falls with x: the first in step 0, the others ISI(x) apart.

    ISI(x) = ceil(isi_max - (isi_max - isi_min) x) in steps, the two in ms. Decoded as the middle of the values that
    give this number and this distance. W. Guo, M. E. Fouda, A. M. Eltawil, K. N. Salama, Front. Neurosci. 15 (2021).
    """

    n_max: int = 5
    isi_min: float = 2.0
    isi_max: float = 10.0

    def __post_init__(self) -> None:
        check_count(self.n_max, "Burst.n_max")
        positive("Burst", isi_min=self.isi_min, isi_max=self.isi_max)
        if self.isi_max <= self.isi_min:
            raise ParameterError(f"Burst.isi_max must be above isi_min = {self.isi_min} ms, got {self.isi_max}")

    def encode(self, x: Numbers, n_steps: int, dt: float, generator: np.random.Generator | None = None) -> Spikes:
        """The spikes of x; DataError for one whose burst is longer than the window."""
        n_steps, dt = window(n_steps, dt)
        values = checked_values(x, "Burst")
        flat = values.ravel()
        count = np.ceil(self.n_max * flat - 1e-12).astype(np.int64)
        least, most = self._distances(dt)
        distance = np.ceil(most - (most - least) * flat - 1e-12).astype(np.int64)
        last = (count - 1) * distance
        if last.size and last.max() >= n_steps:
            worst = flat[last.argmax()]
            raise DataError(f"Burst: x = {worst:g} takes {last.max() + 1} steps, the window has {n_steps}; use more")
        neuron = np.repeat(np.arange(count.size), count)
        nth = np.arange(neuron.size) - np.repeat(np.cumsum(count) - count, count)
        return trains(nth * distance[neuron], neuron, values.shape, n_steps, dt)

    def decode(self, spikes: Spikes) -> Real:
        """The middle of the values that give each neuron's number of spikes (more than n_max: n_max) and their mean
        distance."""
        least, most = self._distances(spikes.grid.dt)
        count = np.minimum(plain(spikes).counts(), self.n_max).astype(np.float64)
        low, high = np.maximum(0.0, count - 1) / self.n_max, count / self.n_max
        several = count > 1
        distance = self._spans(spikes) / np.maximum(1, spikes.counts() - 1)
        slow, fast = (np.clip((most - distance + more) / (most - least), 0.0, 1.0) for more in (0.0, 1.0))
        low, high = np.where(several, np.maximum(low, slow), low), np.where(several, np.minimum(high, fast), high)
        return np.where(count > 0, (low + high) / 2, 0.0)

    def _distances(self, dt: float) -> tuple[int, int]:
        """The least and the most distance in steps."""
        least, most = max(1, steps(self.isi_min, dt)), steps(self.isi_max, dt)
        if most <= least:
            raise ParameterError(
                f"Burst: isi_min and isi_max are {least} and {most} steps of {dt:g} ms; use a smaller dt"
            )
        return least, most

    def _spans(self, spikes: Spikes) -> NDArray[np.int64]:
        """The steps from the first to the last spike of each neuron."""
        step, n_steps, _ = spikes.grid
        neuron = spikes.samples() * spikes.n_neurons + spikes.ids
        first = np.full(len(spikes) * spikes.n_neurons, n_steps, np.int64)
        last = np.zeros_like(first)
        np.minimum.at(first, neuron, step.astype(np.int64))
        np.maximum.at(last, neuron, step.astype(np.int64))
        spans: NDArray[np.int64] = np.maximum(0, last - first).reshape(len(spikes), *spikes.shape)
        return spans

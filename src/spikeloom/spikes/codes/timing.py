"""Codes by the time of one spike."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ...errors import ParameterError
from ..container import Spikes
from ..validate import Numbers
from .code import Real, ValueCode, checked_values, first_steps, positive, trains, window, within


@dataclass(frozen=True, slots=True)
class TimeToFirstSpike(ValueCode):
    """One spike, the earlier the larger x; silence for x of at most `threshold`.

    Without `tau`, in step round((1 - x) (T - 1)): an error of at most 1 / (2 (T - 1)). With tau in ms, at the time
    -tau ln x, as a membrane that discharges through a threshold: what comes after the window is silent.
    """

    tau: float | None = None
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.tau is not None:
            positive("TimeToFirstSpike", tau=self.tau)
        if self.threshold != 0:
            within("TimeToFirstSpike", 0, 1, threshold=self.threshold)

    def encode(self, x: Numbers, n_steps: int, dt: float, generator: np.random.Generator | None = None) -> Spikes:
        """The spikes of x."""
        n_steps, dt = window(n_steps, dt)
        values = checked_values(x, "TimeToFirstSpike")
        flat = values.ravel()
        neuron = np.flatnonzero(flat > self.threshold)
        late = 1 - flat[neuron]
        place = late * (n_steps - 1) if self.tau is None else -self.tau / dt * np.log(flat[neuron])
        step = np.floor(np.minimum(place, n_steps) + 0.5).astype(np.int64)
        kept = step < n_steps
        return trains(step[kept], neuron[kept], values.shape, n_steps, dt)

    def decode(self, spikes: Spikes) -> Real:
        """The value of each neuron's first spike."""
        _, n_steps, dt = spikes.grid
        first = first_steps(spikes)
        value = 1 - first / max(1, n_steps - 1) if self.tau is None else np.exp(-first * dt / self.tau)
        return np.where(first < n_steps, value, 0.0)


@dataclass(frozen=True, slots=True)
class RankOrder(ValueCode):
    """One spike for each neuron, in the order of falling x: the r-th largest value fires in step r.

    Equal values share a rank, zeros are silent. Only the order is told: decoded as modulation ** r. Raises
    ParameterError where there are more ranks than steps. S. Thorpe, J. Gautrais, Comput. Neurosci. (1998) 113.
    """

    modulation: float = 0.9

    def __post_init__(self) -> None:
        within("RankOrder", 0, 1, modulation=self.modulation)

    def encode(self, x: Numbers, n_steps: int, dt: float, generator: np.random.Generator | None = None) -> Spikes:
        """The spikes of x."""
        n_steps, dt = window(n_steps, dt)
        values = checked_values(x, "RankOrder")
        flat = values.reshape(len(values), prod(values.shape[1:]))
        order = np.argsort(-flat, axis=1, kind="stable")
        falling = np.take_along_axis(flat, order, 1)
        rank = np.zeros(flat.shape, np.int64)
        np.put_along_axis(rank, order, np.cumsum(np.diff(falling, axis=1, prepend=falling[:, :1]) != 0, axis=1), 1)
        neuron = np.flatnonzero(flat > 0)
        step = rank.ravel()[neuron]
        if step.size and step.max() >= n_steps:
            raise ParameterError(f"RankOrder: {step.max() + 1} ranks do not fit {n_steps} steps; use more steps")
        return trains(step, neuron, values.shape, n_steps, dt)

    def decode(self, spikes: Spikes) -> Real:
        """modulation ** rank for each neuron."""
        first = first_steps(spikes)
        return np.where(first < spikes.grid.n_steps, self.modulation ** first.astype(np.float64), 0.0)

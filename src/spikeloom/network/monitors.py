"""What is watched during a run, for a look afterwards: detached, and turned into arrays only when asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ParameterError, StateError
from ..registry import canonical, did_you_mean
from ..spikes import Spikes
from .component import Component
from .group import NeuronGroup


class Monitor(Component):
    """The base of the monitors: an observable of a neuron group over the last run and what continued it."""

    kind = "monitor"

    def __init__(self, target: NeuronGroup, var_name: str, *, name: str | None = None) -> None:
        label = f"{type(self).__name__} {name!r}" if name else type(self).__name__
        if not isinstance(target, NeuronGroup):
            raise ParameterError(f"{label}.target must be a neuron group, got {type(target).__name__}")
        found = canonical("observable", var_name, target.observables)
        if found is None:
            hint = did_you_mean(var_name, target.observables)
            has = ", ".join(target.observables)
            raise ParameterError(
                f"{label}: a {target.model!r} group has no observable {var_name!r}{hint} It has: {has}"
            )
        self.target, self.variable = target, found
        self._windows: list[Tensor] = []
        self._buffer: Tensor | None = None
        self._filled = 0
        self._dt = 0.0
        super().__init__(name)

    @property
    def var_name(self) -> str:
        """The name of the observable."""
        return self.variable

    def observe(self, window: Tensor, dt: float, *, continued: bool) -> None:
        """Takes the observable (T, B, *shape) of a run; a run that continues another is appended to it."""
        if not continued:
            self._windows, self._buffer, self._filled = [], None, 0
        self._windows.append(window.detach())
        self._dt = dt

    @property
    def _recorded(self) -> Tensor:
        """All windows as one (T, B, *shape); those that came since the last look are put behind the others."""
        if self._windows:
            self._buffer = self._grown()
            self._filled, self._windows = self._filled + sum(map(len, self._windows)), []
        if self._buffer is None:
            raise StateError(f"monitor {self.name!r} has seen nothing yet; run the network first: net.run(time)")
        return self._buffer[: self._filled]

    def _grown(self) -> Tensor:
        """The buffer, a copy that is the monitor's own, with the new windows in it: one of twice the length where there
        is no room, so that it is rare."""
        if self._buffer is None:
            return torch.cat(self._windows)
        buffer, end = self._buffer, self._filled + sum(map(len, self._windows))
        if end > len(buffer):
            buffer = buffer.new_empty((max(end, 2 * len(buffer)), *buffer.shape[1:]))
            buffer[: self._filled] = self._buffer[: self._filled]
        torch.cat(self._windows, out=buffer[self._filled : end])
        return buffer

    @property
    def times(self) -> NDArray[Any]:
        """The times (T,) in ms at which the steps end: dt, 2 dt, ..."""
        return np.arange(1, self._recorded.shape[0] + 1, dtype=np.float64) * self._dt


class StateMonitor(Monitor):
    """`StateMonitor(group, 'V')`: a state variable, or 'spikes' or 'i_syn', in every step, after the reset."""

    @property
    def tensor_values(self) -> Tensor:
        """The values (B, *shape, T)."""
        return self._recorded.movedim(0, -1)

    @property
    def values(self) -> NDArray[Any]:
        """The values (B, *shape, T) as an array."""
        return self.tensor_values.cpu().numpy()


class SpikeMonitor(Monitor):
    """`SpikeMonitor(group)`: the spikes of a population."""

    def __init__(self, target: NeuronGroup, var_name: str = "O", *, name: str | None = None) -> None:
        super().__init__(target, var_name, name=name)
        if self.variable != "spikes":
            raise ParameterError(
                f"SpikeMonitor watches spikes, got {var_name!r}; use StateMonitor for {self.variable!r}"
            )

    @property
    def spikes(self) -> Spikes:
        """What was emitted, as Spikes on the grid of dt."""
        return Spikes.from_raster(self._recorded.cpu().numpy(), self._dt)

    @property
    def spk_times(self) -> list[NDArray[Any]]:
        """For each sample the times in ms at which the steps with a spike end, by neuron, then by time."""
        return [(step + 1) * np.float64(self._dt) for _, step in self._by_neuron()]

    @property
    def spk_index(self) -> list[NDArray[np.int64]]:
        """For each sample the flat index of the neuron of each spike in `spk_times`."""
        return [index for index, _ in self._by_neuron()]

    @property
    def spk_count(self) -> NDArray[Any]:
        """How often each neuron fired, (B, n)."""
        return np.asarray(np.count_nonzero(self._flat(), axis=0))

    @property
    def time_spk_rate(self) -> NDArray[Any]:
        """The fraction of the samples in which a neuron fires, for each neuron and step, (n, T)."""
        return np.asarray(self._flat().mean(1).T)

    @property
    def time_pop_rate(self) -> NDArray[Any]:
        """The fraction of the neurons that fire, for each sample and step, (B, T)."""
        return np.asarray(self._flat().mean(2).T)

    def _flat(self) -> NDArray[Any]:
        return self._recorded.flatten(2).cpu().numpy()

    def _by_neuron(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        flat = self._flat()
        found = [np.nonzero(flat[:, sample].T) for sample in range(flat.shape[1])]
        return [(index, step) for index, step in found]

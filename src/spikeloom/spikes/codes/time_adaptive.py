"""The time-adaptive code of sequences: an embedding's rate, shifted by its position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError, ShapeError
from ..container import Spikes
from ..validate import Numbers, as_array, check_count, check_each
from .code import Real, positive, trains, window


@dataclass(frozen=True, slots=True)
class TimeAdaptive:
    """Embeddings (B, S, D) as bursts: position s waits floor(s * phase_step) steps and fires round(rate * left) times.

    rate = sigmoid(x), left = T - the steps waited; the spikes are consecutive. A position needs at least `least_left`
    steps to tell `least_left` + 1 rates apart: `capacity` says how many positions a window has, and encode refuses
    more. The code of EvoSpikeNet's language models.
    """

    phase_step: float = 1.0
    least_left: int = 8

    def __post_init__(self) -> None:
        positive("TimeAdaptive", phase_step=self.phase_step)
        check_count(self.least_left, "TimeAdaptive.least_left")

    def capacity(self, n_steps: int) -> int:
        """How many positions a window of n_steps has; 0 where it is shorter than `least_left`."""
        room = check_count(n_steps, "n_steps") - self.least_left
        return 0 if room < 0 else int(np.ceil((room + 1) / self.phase_step - 1e-9))

    def encode(self, x: Numbers, n_steps: int, dt: float) -> Spikes:
        """The spikes of the embeddings, of shape (S, D); ParameterError for more positions than the capacity."""
        n_steps, dt = window(n_steps, dt)
        values = as_array(x, "TimeAdaptive.x").astype(np.float64)
        if values.ndim != 3 or 0 in values.shape[1:]:
            raise ShapeError(f"TimeAdaptive.x must have shape (B, S, D), got {values.shape}")
        check_each(values, np.isfinite(values), "TimeAdaptive.x", "a finite number")
        if values.shape[1] > (most := self.capacity(n_steps)):
            raise ParameterError(
                f"TimeAdaptive: {values.shape[1]} positions do not fit {n_steps} steps, which have room for {most}; "
                "use more steps or a smaller phase_step"
            )
        waited = self._waited(values.shape[1])[:, None]
        count = np.floor((n_steps - waited) / (1 + np.exp(-values)) + 0.5).astype(np.int64).ravel()
        first = np.broadcast_to(waited, values.shape).ravel()
        neuron = np.repeat(np.arange(count.size), count)
        nth = np.arange(neuron.size) - np.repeat(np.cumsum(count) - count, count)
        return trains(first[neuron] + nth, neuron, values.shape, n_steps, dt)

    def decode(self, spikes: Spikes) -> Real:
        """The embeddings (B, S, D); a rate of 0 or 1 is taken as half a spike from there."""
        if len(spikes.shape) != 2:
            raise ShapeError(f"TimeAdaptive.decode takes spikes of shape (S, D), got {spikes.shape}")
        left = (spikes.grid.n_steps - self._waited(spikes.shape[0]))[:, None]
        rate = np.clip(spikes.counts() / left, 0.5 / left, 1 - 0.5 / left)
        embedding: Real = np.log(rate / (1 - rate))
        return embedding

    def tokens(self, spikes: Spikes, embedding: Numbers) -> NDArray[np.int64]:
        """The row of the embedding table (V, D) that is nearest to each position, by rate: (B, S)."""
        table = as_array(embedding, "TimeAdaptive.embedding").astype(np.float64)
        if table.ndim != 2 or table.shape[1] != spikes.shape[-1]:
            raise ShapeError(f"TimeAdaptive.embedding must have shape (V, {spikes.shape[-1]}), got {table.shape}")
        rate, known = (1 / (1 + np.exp(-a)) for a in (self.decode(spikes), table))
        far = (known**2).sum(1) - 2 * rate @ known.T
        nearest: NDArray[np.int64] = far.argmin(-1)
        return nearest

    def _waited(self, n_positions: int) -> NDArray[np.int64]:
        """The steps that each position waits."""
        waited: NDArray[np.int64] = np.floor(np.arange(n_positions) * self.phase_step + 1e-9).astype(np.int64)
        return waited

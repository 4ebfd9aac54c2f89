"""The time-adaptive code of sequences: an embedding's rate, shifted by its position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError, ShapeError
from ..container import Spikes
from ..validate import Numbers, as_array, check_count, check_each
from .code import Real, plain, positive, trains, window


@dataclass(frozen=True, slots=True)
class TimeAdaptive:
    """Embeddings (B, S, D) as bursts: position s waits floor(s * phase_step) steps and fires round(rate * left) times.

    rate = sigmoid(x), left = T - the steps waited; the spikes are consecutive. A position needs at least `least_left`
    steps to tell `least_left` + 1 rates apart: `capacity` says how many positions a window has, and for how many of
    them the rows of a table come back exactly; more positions than a window has are refused. The code of EvoSpikeNet's
    language models.
    """

    phase_step: float = 1.0
    least_left: int = 8

    def __post_init__(self) -> None:
        positive("TimeAdaptive", phase_step=self.phase_step)
        check_count(self.least_left, "TimeAdaptive.least_left")

    def capacity(self, n_steps: int, embedding: Numbers | None = None) -> int:
        """How many positions a window of n_steps has; 0 where it is shorter than `least_left`.

        With an embedding table (V, D): at how many of them, from the first on, all its rows have spikes of their own,
        which `tokens` gives back without an error. A table of small numbers, whose rates are all near 1/2, takes many
        steps.
        """
        room = check_count(n_steps, "n_steps") - self.least_left
        most = 0 if room < 0 else int(np.ceil((room + 1) / self.phase_step - 1e-9))
        if embedding is None:
            return most
        rates, left = _rates(_table(embedding)), n_steps - self._waited(most)
        for steps in np.unique(left)[::-1]:
            if len(np.unique(_counts(rates, steps), axis=0)) < len(rates):
                return int((left > steps).sum())
        return most

    def encode(self, x: Numbers, n_steps: int, dt: float) -> Spikes:
        """The spikes of the embeddings, of shape (S, D); ParameterError for more positions than the window has."""
        n_steps, dt = window(n_steps, dt)
        values = as_array(x, "TimeAdaptive.x").astype(np.float64)
        if values.ndim != 3 or 0 in values.shape[1:]:
            raise ShapeError(f"TimeAdaptive.x must have shape (B, S, D), got {values.shape}")
        check_each(values, np.isfinite(values), "TimeAdaptive.x", "a finite number")
        left = self._left(values.shape[1], n_steps)
        count = _counts(_rates(values), left[:, None]).astype(np.int64).ravel()
        first = np.broadcast_to((n_steps - left)[:, None], values.shape).ravel()
        neuron = np.repeat(np.arange(count.size), count)
        nth = np.arange(neuron.size) - np.repeat(np.cumsum(count) - count, count)
        return trains(first[neuron] + nth, neuron, values.shape, n_steps, dt)

    def decode(self, spikes: Spikes) -> Real:
        """The embeddings (B, S, D); a rate of 0 or 1 is taken as half a spike from there."""
        if len(spikes.shape) != 2:
            raise ShapeError(f"TimeAdaptive.decode takes spikes of shape (S, D), got {spikes.shape}")
        left = self._left(spikes.shape[0], spikes.grid.n_steps)[:, None]
        rate = np.clip(plain(spikes).counts() / left, 0.5 / left, 1 - 0.5 / left)
        embedding: Real = np.log(rate / (1 - rate))
        return embedding

    def tokens(self, spikes: Spikes, embedding: Numbers) -> NDArray[np.int64]:
        """The row of the embedding table (V, D) whose numbers of spikes are nearest to those of each position: (B, S).

        Spikes of a row give that row back; DataError where another row has the same (see `capacity`).
        """
        table = _table(embedding)
        if len(spikes.shape) != 2 or table.shape[1] != spikes.shape[1]:
            raise ShapeError(
                f"TimeAdaptive.tokens takes spikes (S, D) and a table (V, D), got {spikes.shape}, {table.shape}"
            )
        rates, left = _rates(table), self._left(spikes.shape[0], spikes.grid.n_steps)
        seen, rows = plain(spikes).counts().astype(np.float64), np.zeros((len(spikes), len(left)), np.int64)
        for steps in np.unique(left):
            at, known = np.flatnonzero(left == steps), _counts(rates, steps)
            far = (seen[:, at] ** 2).sum(-1, keepdims=True) - 2 * seen[:, at] @ known.T + (known**2).sum(1)
            if (several := (far == 0).sum(-1) > 1).any():
                sample, place = np.argwhere(several)[0]
                same = ", ".join(map(str, np.flatnonzero(far[sample, place] == 0)[:3]))
                raise DataError(
                    f"TimeAdaptive.tokens: rows {same} of the table have the same spikes at position {at[place]}, which"
                    f" has {steps} steps; use more steps or larger numbers, see capacity(n_steps, embedding)"
                )
            rows[:, at] = far.argmin(-1)
        return rows

    def _waited(self, n_positions: int) -> NDArray[np.int64]:
        """The steps that each position waits."""
        waited: NDArray[np.int64] = np.floor(np.arange(n_positions) * self.phase_step + 1e-9).astype(np.int64)
        return waited

    def _left(self, n_positions: int, n_steps: int) -> NDArray[np.int64]:
        """The steps that each position has; ParameterError for more positions than the window has."""
        if n_positions > (most := self.capacity(n_steps)):
            raise ParameterError(
                f"TimeAdaptive: {n_positions} positions do not fit {n_steps} steps, which have room for {most}; "
                "use more steps or a smaller phase_step"
            )
        return n_steps - self._waited(n_positions)


def _rates(x: Real) -> Real:
    """sigmoid(x)."""
    with np.errstate(over="ignore"):
        rates: Real = 1 / (1 + np.exp(-x))
    return rates


def _counts(rates: Real, left: NDArray[np.int64]) -> Real:
    """How many spikes there are in so many steps."""
    counts: Real = np.floor(left * rates + 0.5)
    return counts


def _table(embedding: Numbers) -> Real:
    """An embedding table (V, D)."""
    table = as_array(embedding, "TimeAdaptive.embedding").astype(np.float64)
    if table.ndim != 2 or not table.size:
        raise ShapeError(f"TimeAdaptive.embedding must have shape (V, D), got {table.shape}")
    check_each(table, np.isfinite(table), "TimeAdaptive.embedding", "a finite number")
    return table

"""What of one layer and variable waits to be written, and the clock that it has in model time."""

from __future__ import annotations

from math import prod
from typing import Generic, TypeVar

import numpy as np

from ..errors import ParameterError, ShapeError
from ..units import steps
from .batches import MembraneBatch, SpikeBatch
from .sampling import Mode, Sampling

B = TypeVar("B", SpikeBatch, MembraneBatch)

_MOST_BYTES = 1 << 25
_MOST_WINDOWS = 8000
"""Their lengths stand in an attribute, which HDF5 limits to 64 KB."""


class Track(Generic[B]):
    """Batches that follow one another in model time, thinned, and waiting to be written.

    dt in ms and the population's shape are those of the first batch and stay; after `max_seconds` of model time the
    track is full.
    """

    def __init__(
        self, name: str, first: B, *, mode: Mode, rate: float, generator: np.random.Generator, max_seconds: float | None
    ) -> None:
        self.clock = 0
        self.size = 0
        self.dt = first.dt
        self.sampling = Sampling.drawn(mode, rate, prod(first.shape), generator)
        self._name, self._shape, self._generator = name, first.shape, generator
        self._end = None if max_seconds is None else max(1, steps(max_seconds * 1000, first.dt))
        self._waiting: list[B] = []
        self._waiting_steps = self._waiting_bytes = self._waiting_windows = 0

    def check(self, batch: B) -> None:
        """Nothing, or an error unless a further batch has the dt and the shape of the first."""
        if batch.dt != self.dt:
            raise ParameterError(
                f"{self._name}: dt must stay {self.dt} ms in a session, got {batch.dt}; make a new session for it"
            )
        if batch.shape != self._shape:
            raise ShapeError(
                f"{self._name}: the population must stay of shape {self._shape} in a session, got {batch.shape}; "
                "make a new session for it"
            )

    @property
    def is_full(self) -> bool:
        """Whether the duration limit is reached."""
        return self._end is not None and self.clock >= self._end

    def fits(self, batch: B) -> bool:
        """Whether the batch can be joined to those that wait."""
        return not self._waiting or (
            self._waiting[0].n_samples == batch.n_samples and self._waiting_windows < _MOST_WINDOWS
        )

    def add(self, batch: B) -> None:
        """Lets what is kept of a batch wait, cut where the duration limit lies; the clock advances."""
        if self._end is not None and self.clock + batch.n_steps > self._end:
            batch = batch.first(self._end - self.clock)
        batch = batch.recorded(self.clock, self.sampling, self._generator)
        self._waiting.append(batch)
        self._waiting_steps += batch.n_steps
        self._waiting_bytes += batch.nbytes
        self._waiting_windows += len(batch.windows)
        self.clock += batch.n_steps
        self.size += batch.size

    def is_due(self, n_steps: int) -> bool:
        """Whether as many steps wait, or too many bytes."""
        return self._waiting_steps >= n_steps or self._waiting_bytes >= _MOST_BYTES

    def take(self) -> B | None:
        """All that waits, as one batch, or None; nothing waits after that."""
        batches, self._waiting = self._waiting, []
        self._waiting_steps = self._waiting_bytes = self._waiting_windows = 0
        return batches[0].joined(batches) if batches else None

"""Stretches of one layer's model time, as they wait in memory and as they are read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spikes import Spikes
from ..units import times
from .sampling import Sampling, is_kept


@dataclass(frozen=True)
class SpikeBatch:
    """The spikes of a stretch that begins at step `start` of its layer's clock; their steps count from there."""

    start: int
    spikes: Spikes

    @property
    def n_steps(self) -> int:
        return self.spikes.grid.n_steps

    @property
    def dt(self) -> float:
        return self.spikes.grid.dt

    @property
    def n_samples(self) -> int:
        return self.spikes.n_samples

    @property
    def shape(self) -> tuple[int, ...]:
        return self.spikes.shape

    @property
    def size(self) -> int:
        return self.spikes.n_spikes

    @property
    def nbytes(self) -> int:
        return self.spikes.ids.nbytes + self.spikes.grid.step.nbytes + self.spikes.offsets.nbytes

    def first(self, n_steps: int) -> SpikeBatch:
        """The first `n_steps` steps."""
        cut = replace(self.spikes, n_steps=n_steps, duration=times(n_steps, self.dt))
        return SpikeBatch(self.start, _only(cut, self.spikes.grid.step < n_steps))

    def recorded(self, start: int, sampling: Sampling, generator: np.random.Generator) -> SpikeBatch:
        """The batch at another start, with what the sampling keeps."""
        if sampling.mode == "all":
            return SpikeBatch(start, self.spikes)
        step = self.spikes.grid.step.astype(np.int64) + start
        return SpikeBatch(start, _only(self.spikes, sampling.keeps(step, self.spikes.ids, generator)))

    @staticmethod
    def joined(batches: Sequence[SpikeBatch]) -> SpikeBatch:
        """Batches that follow one another in time as one; they agree in dt, shape and number of samples."""
        if len(batches) == 1:
            return batches[0]
        parts, first = [batch.spikes for batch in batches], batches[0]
        graded = any(part.value is not None for part in parts)
        spikes = Spikes.from_steps(
            np.concatenate([b.spikes.grid.step.astype(np.int64) + (b.start - first.start) for b in batches]),
            np.concatenate([part.ids for part in parts]),
            first.shape,
            sum(batch.n_steps for batch in batches),
            first.dt,
            samples=np.concatenate([part.samples() for part in parts]),
            values=np.concatenate([part.values() for part in parts]) if graded else None,
            n_samples=first.n_samples,
        )
        return SpikeBatch(first.start, spikes)


@dataclass(frozen=True)
class MembraneBatch:
    """The potentials of `n_steps` steps of dt ms from step `start` of a layer's clock.

    values (K, B, *shape) belong to the K steps `step`, which count from `start`.
    """

    start: int
    n_steps: int
    dt: float
    step: NDArray[np.int64]
    values: NDArray[Any]

    @classmethod
    def of(cls, v: NDArray[Any], dt: float) -> MembraneBatch:
        """The batch of all steps of v (T, B, *shape), from step 0."""
        return cls(0, len(v), dt, np.arange(len(v)), v)

    @property
    def n_samples(self) -> int:
        return int(self.values.shape[1])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[2:]

    @property
    def size(self) -> int:
        return self.values.size

    @property
    def nbytes(self) -> int:
        return self.values.nbytes

    def first(self, n_steps: int) -> MembraneBatch:
        """The first `n_steps` steps."""
        kept = self.step < n_steps
        return replace(self, n_steps=n_steps, step=self.step[kept], values=self.values[kept])

    def recorded(self, start: int, sampling: Sampling, generator: np.random.Generator) -> MembraneBatch:
        """A copy at another start, as float32, with the steps that the sampling keeps."""
        kept = is_kept(self.step + start, sampling.rate)
        values = self.values[kept].astype(np.float32, copy=False)
        return replace(self, start=start, step=self.step[kept], values=values)

    @staticmethod
    def joined(batches: Sequence[MembraneBatch]) -> MembraneBatch:
        """Batches that follow one another in time as one; they agree in dt, shape and number of samples."""
        return replace(
            batches[0],
            n_steps=sum(batch.n_steps for batch in batches),
            step=np.concatenate([batch.step + (batch.start - batches[0].start) for batch in batches]),
            values=np.concatenate([batch.values for batch in batches]),
        )


def _only(spikes: Spikes, kept: NDArray[np.bool_]) -> Spikes:
    before = np.concatenate(([0], np.cumsum(kept)))
    return replace(
        spikes,
        offsets=before[spikes.offsets],
        ids=spikes.ids[kept],
        step=spikes.grid.step[kept],
        value=None if spikes.value is None else spikes.value[kept],
    )

"""Stretches of one layer's model time, as they wait in memory and as they are read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..spikes import Spikes
from ..units import times
from .sampling import Sampling, is_kept


@dataclass(frozen=True)
class SpikeBatch:
    """The spikes of a stretch that begins at step `start` of its layer's clock; their steps count from there.

    windows: the number of steps of each run in it; empty where it goes on from the batch before without a break.
    """

    start: int
    spikes: Spikes
    windows: tuple[int, ...] = ()

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
        return SpikeBatch(self.start, _only(cut, self.spikes.grid.step < n_steps), _cut(self.windows, n_steps))

    def recorded(self, start: int, sampling: Sampling, generator: np.random.Generator) -> SpikeBatch:
        """The batch at another start, with what the sampling keeps."""
        if sampling.mode == "all":
            return replace(self, start=start)
        step = self.spikes.grid.step.astype(np.int64) + start
        kept = sampling.keeps(step, self.spikes.ids, generator)
        return replace(self, start=start, spikes=_only(self.spikes, kept))

    @staticmethod
    def joined(batches: Sequence[SpikeBatch], start: int | None = None) -> SpikeBatch:
        """Batches in the order of time as one, from step `start` on; they agree in dt, shape and number of samples.

        Nothing fires in the stretches between them.
        """
        first, last = batches[0], batches[-1]
        start = first.start if start is None else start
        if len(batches) == 1 and start == first.start:
            return first
        parts = [batch.spikes for batch in batches]
        graded = any(part.value is not None for part in parts)
        spikes = Spikes.from_steps(
            np.concatenate([b.spikes.grid.step.astype(np.int64) + (b.start - start) for b in batches]),
            np.concatenate([part.ids for part in parts]),
            first.shape,
            last.start + last.n_steps - start,
            first.dt,
            samples=np.concatenate([part.samples() for part in parts]),
            values=np.concatenate([part.values() for part in parts]) if graded else None,
            n_samples=first.n_samples,
        )
        return SpikeBatch(start, spikes, _windows(batches))


@dataclass(frozen=True)
class MembraneBatch:
    """The potentials of `n_steps` steps of dt ms from step `start` of a layer's clock.

    values (K, B, *shape) belong to the K steps `step`, which count from `start`. windows: as those of SpikeBatch.
    """

    start: int
    n_steps: int
    dt: float
    step: NDArray[np.int64]
    values: NDArray[Any]
    windows: tuple[int, ...] = ()

    @classmethod
    def of(cls, v: NDArray[Any], dt: float, windows: tuple[int, ...] = ()) -> MembraneBatch:
        """The batch of all steps of v (T, B, *shape), from step 0."""
        return cls(0, len(v), dt, np.arange(len(v)), v, windows)

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
        windows = _cut(self.windows, n_steps)
        return replace(self, n_steps=n_steps, step=self.step[kept], values=self.values[kept], windows=windows)

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
            windows=_windows(batches),
        )


class Run(NamedTuple):
    """A stretch of a layer's clock without a break: steps `start` to `stop`, and how many samples it has."""

    start: int
    stop: int
    n_samples: int


def runs_of(batches: Iterable[SpikeBatch | MembraneBatch]) -> list[Run]:
    """The runs in batches in the order of time; batches without windows that meet are one."""
    runs: list[Run] = []
    open_end = False
    for batch in batches:
        at = batch.start
        for n_steps in batch.windows or (batch.n_steps,):
            runs.append(Run(at, at + n_steps, batch.n_samples))
            at += n_steps
        if open_end and not batch.windows and runs[-2][1:] == (batch.start, batch.n_samples):
            runs[-2:] = [Run(runs[-2].start, at, batch.n_samples)]
        open_end = not batch.windows
    return runs


def _windows(batches: Sequence[SpikeBatch | MembraneBatch]) -> tuple[int, ...]:
    if not any(batch.windows for batch in batches):
        return ()
    return tuple(n for batch in batches for n in (batch.windows or (batch.n_steps,)))


def _cut(windows: tuple[int, ...], n_steps: int) -> tuple[int, ...]:
    """The windows of the first n steps."""
    stops = np.minimum(np.cumsum(windows, dtype=int), n_steps)
    return tuple(int(n) for n in np.diff(stops, prepend=0) if n)


def _only(spikes: Spikes, kept: NDArray[np.bool_]) -> Spikes:
    before = np.concatenate(([0], np.cumsum(kept)))
    return replace(
        spikes,
        offsets=before[spikes.offsets],
        ids=spikes.ids[kept],
        step=spikes.grid.step[kept],
        value=None if spikes.value is None else spikes.value[kept],
    )

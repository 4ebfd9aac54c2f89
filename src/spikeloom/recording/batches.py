"""Stretches of one layer's model time, as they wait in memory and as they are read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..spikes import Spikes
from ..spikes.container import index_dtype
from ..units import times
from .sampling import Sampling


@dataclass(frozen=True)
class SpikeBatch:
    """The spikes of a stretch that begins at step `start` of its layer's clock; their steps count from there.

    windows: the number of steps of each run in it; empty where all of it goes on from the batch before, if that ends
    where it begins and has as many samples.
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

    def after(self, n_steps: int) -> SpikeBatch:
        """All but the first `n_steps` steps."""
        left, grid = self.n_steps - n_steps, self.spikes.grid
        late = replace(self.spikes, step=grid.step - n_steps, n_steps=left, duration=times(left, self.dt))
        windows = _rest(self.windows, n_steps)
        return SpikeBatch(self.start + n_steps, _only(late, grid.step >= n_steps), windows)

    def thinned(self, sampling: Sampling, generator: np.random.Generator) -> SpikeBatch:
        """What the sampling keeps of it."""
        if sampling.mode == "all":
            return self
        step = self.spikes.grid.step.astype(np.int64) + self.start
        return replace(self, spikes=_only(self.spikes, sampling.keeps(step, self.spikes.ids, generator)))

    @staticmethod
    def joined(batches: Sequence[SpikeBatch], start: int | None = None) -> SpikeBatch:
        """Batches in the order of time as one, from step `start` on; they agree in dt, shape and number of samples.

        Nothing fires in the stretches between them. Of several, the windows are not kept.
        """
        first, last = batches[0], batches[-1]
        start = first.start if start is None else start
        if len(batches) == 1 and start == first.start:
            return first
        parts = [batch.spikes for batch in batches]
        graded = any(part.value is not None for part in parts)
        n_steps = last.start + last.n_steps - start
        dtype = np.dtype(index_dtype(n_steps))
        counts = np.stack([part.offsets for part in parts])
        counts = counts[:, 1:] - counts[:, :-1]
        begins = np.array([batch.start - start for batch in batches], dtype)
        # Within a sample the parts follow one another in time; only samples are to be brought together.
        order = slice(None) if first.n_samples == 1 else _by_sample(counts)
        spikes = Spikes(
            offsets=np.concatenate(([0], np.cumsum(counts.sum(0)))),
            ids=np.concatenate([part.ids for part in parts])[order],
            shape=first.shape,
            duration=times(n_steps, first.dt),
            step=(
                np.concatenate([part.grid.step for part in parts], dtype=dtype, casting="unsafe")
                + np.repeat(begins, counts.sum(1))
            )[order],
            dt=first.dt,
            n_steps=n_steps,
            value=np.concatenate([part.values() for part in parts])[order] if graded else None,
        )
        return SpikeBatch(start, spikes)


@dataclass(frozen=True)
class MembraneBatch:
    """The potentials, or another observable, of `n_steps` steps of dt ms from step `start` of a layer's clock.

    values (K, B, *shape) belong to the K steps `step`, which count from `start`. windows: as those of SpikeBatch.
    """

    start: int
    n_steps: int
    dt: float
    step: NDArray[np.int64]
    values: NDArray[Any]
    windows: tuple[int, ...] = ()

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

    def after(self, n_steps: int) -> MembraneBatch:
        """All but the first `n_steps` steps."""
        kept = self.step >= n_steps
        return replace(
            self,
            start=self.start + n_steps,
            n_steps=self.n_steps - n_steps,
            step=self.step[kept] - n_steps,
            values=self.values[kept],
            windows=_rest(self.windows, n_steps),
        )


class Timed(Protocol):
    """What a batch says of its time."""

    @property
    def start(self) -> int: ...
    @property
    def n_steps(self) -> int: ...
    @property
    def n_samples(self) -> int: ...
    @property
    def windows(self) -> tuple[int, ...]: ...


class Run(NamedTuple):
    """A stretch of a layer's clock without a break: steps `start` to `stop`, and how many samples it has."""

    start: int
    stop: int
    n_samples: int


def runs_of(batches: Iterable[Timed]) -> list[Run]:
    """The runs in batches in the order of time; one without windows goes on with the run before where it can."""
    runs: list[Run] = []
    for batch in batches:
        at = batch.start
        if not batch.windows and runs and runs[-1][1:] == (at, batch.n_samples):
            runs[-1] = runs[-1]._replace(stop=at + batch.n_steps)
            continue
        for n_steps in batch.windows or (batch.n_steps,):
            runs.append(Run(at, at + n_steps, batch.n_samples))
            at += n_steps
    return runs


def _by_sample(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order in which spikes that lie by part and sample, as many as counted, lie by sample and part."""
    begin = np.cumsum(counts).reshape(counts.shape) - counts
    return ranges(begin.T.ravel(), counts.T.ravel())


def ranges(begin: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each begin on, so many of each, one range after the other."""
    before = np.cumsum(counts) - counts
    found: NDArray[np.int64] = np.arange(int(counts.sum())) + np.repeat(begin - before, counts)
    return found


def _cut(windows: tuple[int, ...], n_steps: int) -> tuple[int, ...]:
    """The windows of the first n steps."""
    stops = np.minimum(np.cumsum(windows, dtype=int), n_steps)
    return tuple(int(n) for n in np.diff(stops, prepend=0) if n)


def _rest(windows: tuple[int, ...], n_steps: int) -> tuple[int, ...]:
    """The windows after the first n steps."""
    return _cut(windows[::-1], sum(windows) - n_steps)[::-1]


def _only(spikes: Spikes, kept: NDArray[np.bool_]) -> Spikes:
    before = np.concatenate(([0], np.cumsum(kept)))
    return replace(
        spikes,
        offsets=before[spikes.offsets],
        ids=spikes.ids[kept],
        step=spikes.grid.step[kept],
        value=None if spikes.value is None else spikes.value[kept],
    )

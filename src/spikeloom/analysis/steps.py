"""The steps of a recorded layer as a sequence that is read when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..recording import Session
from ..recording.sampling import is_kept
from ..units import times
from .recorded import RecordedLayer

_CHUNK = 1024
"""The steps that are read together."""
_CACHED = 4
"""The chunks that are held."""


class StepSequence(Sequence[NDArray[np.int8]]):
    """The spikes of one sample step by step: element k is the raster (N,), int8, of the k-th recorded step.

    Elements are read from the session, which must stay open, when they are asked for; a few thousand steps are held.
    A graded spike counts as 1.
    """

    def __init__(self, session: Session, node: str, layer: str, sample: int = 0) -> None:
        recorded = RecordedLayer.of(session, node, layer)
        recorded.check_sample(sample)
        steps = np.concatenate([np.arange(run.start, run.stop) for run in recorded.runs])
        sampling = recorded.sampling
        self._steps = steps[is_kept(steps, sampling.rate)] if sampling.mode == "steps" else steps
        self._dt, self._n_neurons = recorded.dt, recorded.n_neurons
        self._session, self._layer, self._sample = session, (node, layer), sample
        self._chunk = lru_cache(_CACHED)(self._read)

    @property
    def timestamps(self) -> NDArray[np.int64]:
        """The model time of each recorded step in ns."""
        return np.rint(times(self._steps, self._dt) * 1e6).astype(np.int64)

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.int8]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.int8]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.int8] | list[NDArray[np.int8]]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        step = int(self._steps[index])
        ids, offsets = self._chunk(step // _CHUNK)
        raster = np.zeros(self._n_neurons, np.int8)
        raster[ids[offsets[step % _CHUNK] : offsets[step % _CHUNK + 1]]] = 1
        return raster

    def _read(self, chunk: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ids of the spikes in a chunk in the order of steps, and where those of each step begin."""
        begin = chunk * _CHUNK
        step, ids = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for batch in self._session.spikes(*self._layer, begin, begin + _CHUNK):
            train = batch.spikes[self._sample]
            at = train.grid.step.astype(np.int64) + (batch.start - begin)
            inside = (at >= 0) & (at < _CHUNK)
            step.append(at[inside])
            ids.append(train.ids[inside].astype(np.int64))
        counts = np.bincount(np.concatenate(step), minlength=_CHUNK)
        return np.concatenate(ids), np.concatenate(([0], np.cumsum(counts))).astype(np.int64)

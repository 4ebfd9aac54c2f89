"""A recorded layer as measures take it: its recorded neurons, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from ..recording import Run, Sampling, Session, runs_of
from ..spikes import Spikes
from .subsampling import check_measure
from .windows import Window, windows


@dataclass(frozen=True)
class RecordedLayer:
    """The spikes of one layer of a session, read when they are asked for.

    shape is that of the whole population, dt in ms; `runs` are the stretches of its clock that were recorded,
    `trial_ms` the time that all their samples have together, `n_spikes` the spikes recorded in them.
    """

    session: Session
    node: str
    name: str
    shape: tuple[int, ...]
    dt: float
    sampling: Sampling
    runs: Sequence[Run]
    trial_ms: float
    n_spikes: int

    @classmethod
    def of(cls, session: Session, node: str, layer: str) -> RecordedLayer:
        """A layer by name; DataError when nothing of it was recorded."""
        stretches = list(session.stretches(node, layer))
        if not stretches:
            raise DataError(f"{node}/{layer}: no step was recorded")
        dt, sampling = stretches[0].dt, session.sampling(node, layer)
        trial_ms = sum(stretch.n_steps * stretch.n_samples for stretch in stretches) * dt
        n_spikes = sum(stretch.size for stretch in stretches)
        shape, runs = stretches[0].shape, runs_of(stretches)
        return cls(session, node, layer, shape, dt, sampling, runs, trial_ms, n_spikes)

    @property
    def n_neurons(self) -> int:
        """The size of the population."""
        return prod(self.shape)

    @property
    def neurons(self) -> NDArray[np.int64]:
        """The ids of the recorded neurons, rising."""
        return np.arange(self.n_neurons) if self.sampling.neurons is None else self.sampling.neurons

    @property
    def n_steps(self) -> int:
        """The steps of its clock, from 0 to the last one recorded."""
        return self.runs[-1].stop

    @property
    def mean_interval_ms(self) -> float:
        """The mean time between two recorded spikes of a neuron; infinite where there is none."""
        return self.trial_ms * len(self.neurons) / self.n_spikes if self.n_spikes else inf

    @property
    def recorded_fraction(self) -> float:
        """The expected part of the spikes that was recorded: what counts are divided by. 0 where no step was kept."""
        rate = self.sampling.rate
        if self.sampling.neurons is not None:
            return len(self.neurons) / self.n_neurons
        if self.sampling.mode != "steps":
            return rate
        start, stop, n_samples = np.array(self.runs).T
        kept = np.floor(stop * rate + 1e-9) - np.floor(start * rate + 1e-9)
        return float((kept * n_samples).sum() / ((stop - start) * n_samples).sum())

    @property
    def n_recorded_steps(self) -> int:
        """The steps that were recorded, gaps left out."""
        return sum(run.stop - run.start for run in self.runs)

    @property
    def stretches_ms(self) -> NDArray[np.float64]:
        """The beginnings and ends of the runs in ms, (R, 2)."""
        return np.array([(run.start, run.stop) for run in self.runs]) * self.dt

    @property
    def lengths_ms(self) -> NDArray[np.float64]:
        """The length of each run in ms, (R,)."""
        return np.diff(self.stretches_ms, axis=1)[:, 0]

    def checked(self, measure: str) -> RecordedLayer:
        """Itself; UnsupportedError, with the reason, where its sampling spoils a measure."""
        check_measure(measure, self.sampling, f"{self.node}/{self.name}")
        return self

    def windows(self) -> Iterator[Window]:
        """Its windows in the order of time, as populations (K,) of the K recorded neurons, numbered from 0."""
        chosen = self.sampling.neurons
        for window in windows(self.session, self.node, self.name):
            spikes = window.spikes
            flat = replace(spikes, shape=(spikes.n_neurons,)) if chosen is None else only_neurons(spikes, chosen)
            yield replace(window, spikes=flat)

    def check_sample(self, sample: int) -> None:
        """DataError unless the sample is in every run."""
        least = min(run.n_samples for run in self.runs)
        if not 0 <= sample < least:
            raise DataError(
                f"{self.node}/{self.name}: sample must be in 0..{least - 1} to be in every window, got {sample}"
            )

    def places(self, neurons: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Where neurons stand among the recorded ones; ParameterError for one that was not recorded."""
        wanted = np.atleast_1d(np.asarray(neurons))
        place = np.searchsorted(self.neurons, wanted)
        found = self.neurons[np.minimum(place, len(self.neurons) - 1)] == wanted
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu" or not found.all():
            missing = wanted[~found] if wanted.shape == found.shape else wanted
            raise ParameterError(
                f"{self.node}/{self.name}: neurons must be ids of recorded neurons, "
                f"{len(self.neurons)} of {self.n_neurons}, got {missing}"
            )
        return place

    def trains(self, neurons: Sequence[int] | NDArray[np.int64], sample: int = 0) -> Spikes:
        """All spikes of a few neurons in one sample as a population of its own, in the order of their ids.

        Each of the R runs is a sample, from its own first step on; all last as long as the longest: `lengths_ms` (R,)
        says how much of that each of them was recorded.
        """
        self.check_sample(sample)
        chosen = np.sort(self.places(neurons))
        step, ids = [], []
        for window in self.windows():
            train = only_neurons(window.spikes[sample], chosen)
            step.append(train.grid.step.astype(np.int64) + window.begin)
            ids.append(train.ids)
        at, starts = np.concatenate(step), np.array([run.start for run in self.runs])
        run = np.searchsorted(starts, at, side="right") - 1
        longest = max(run.stop - run.start for run in self.runs)
        return Spikes.from_steps(
            at - starts[run], np.concatenate(ids), len(chosen), longest, self.dt, samples=run, n_samples=len(starts)
        )


def only_neurons(spikes: Spikes, neurons: NDArray[np.int64]) -> Spikes:
    """The spikes on a grid of these neurons (rising ids) as a population of its own, numbered from 0; values too."""
    place = np.full(spikes.n_neurons, -1, np.int64)
    place[neurons] = np.arange(len(neurons))
    ids = place[spikes.ids]
    kept = ids >= 0
    return replace(
        spikes,
        offsets=np.concatenate(([0], np.cumsum(kept)))[spikes.offsets],
        ids=ids[kept].astype(spikes.ids.dtype),
        step=spikes.grid.step[kept],
        value=None if spikes.value is None else spikes.value[kept],
        shape=(len(neurons),),
    )

"""A recorded layer as windows that fit into memory, and what is measured by going through them once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..recording import Session, SpikeBatch
from ..spikes import Spikes

R = TypeVar("R", covariant=True)


@dataclass(frozen=True)
class Window:
    """A stretch of a layer's recording, without a gap, in its units: steps, or ms where spikes are not on a grid.

    spikes: B samples, whose time 0 is the stretch's first. begin: that time on the layer's clock. runs (R, 2): where
    each run of the network begins and ends, in order; a sample of one run has nothing to do with a sample of another.
    In a recorded stretch they lie back to back from 0 on; spikes outside of all of them do not count. goes_on: the
    first of the runs goes on from the window before, sample by sample.
    """

    begin: int
    spikes: Spikes
    runs: NDArray[Any]
    goes_on: bool

    @classmethod
    def of(cls, spikes: Spikes, runs_ms: NDArray[np.float64] | None = None) -> Window:
        """All of some spikes as one run, or the runs (R, 2) with these beginnings and ends in ms."""
        if runs_ms is None:
            return cls(0, spikes, np.array([[0, spikes.duration if spikes.n_steps is None else spikes.n_steps]]), False)
        runs = runs_ms / (spikes.dt or 1.0)
        whole = np.rint(runs)
        return cls(0, spikes, np.where(np.abs(runs - whole) < 1e-6, whole, runs), False)

    @property
    def unit_ms(self) -> float:
        """What the window's unit of time is in ms: dt, or 1."""
        return 1.0 if self.spikes.dt is None else self.spikes.dt

    @property
    def at(self) -> NDArray[Any]:
        """The time of each spike in the window's units, (n_spikes,)."""
        return self.spikes.grid.step if self.spikes.time is None else self.spikes.time

    @property
    def trial_ms(self) -> float:
        """The time that all samples have together in all runs, in ms."""
        return float((self.runs[:, 1] - self.runs[:, 0]).sum() * self.unit_ms * len(self.spikes))

    @property
    def has_gaps(self) -> bool:
        """Whether there may be spikes outside of all runs."""
        inside = self.runs[0, 0] <= 0 and self.runs[-1, 1] * self.unit_ms >= self.spikes.duration * (1 - 1e-12)
        return not inside or bool((self.runs[1:, 0] > self.runs[:-1, 1]).any())

    @property
    def inside(self) -> NDArray[np.bool_] | slice:
        """Which spikes lie in a run, as an index."""
        return self.run_of_spikes() >= 0 if self.has_gaps else slice(None)

    def run_of_spikes(self) -> NDArray[np.int64]:
        """The run of each spike, counted from 0 within the window; -1 for a spike outside of all runs."""
        if len(self.runs) == 1 and not self.has_gaps:
            return np.zeros(self.spikes.n_spikes, np.int64)
        run = np.searchsorted(self.runs[:, 0], self.at, side="right") - 1
        return np.where(self.at < self.runs[run, 1], run, -1).astype(np.int64)


class Accumulator(Protocol[R]):
    """A measure of a recording that may be bigger than memory: takes its windows in turn, then gives the result."""

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""

    def result(self) -> R:
        """What was measured in all windows so far."""


def windows_of(batches: Iterable[SpikeBatch]) -> Iterator[Window]:
    """The batches of one layer, in the order of time, as windows, read one by one."""
    end, n_samples = 0, -1
    for batch in batches:
        lengths = np.array(batch.windows or (batch.n_steps,), np.int64)
        stops = np.cumsum(lengths)
        goes_on = not batch.windows and (batch.start, batch.n_samples) == (end, n_samples)
        yield Window(batch.start, batch.spikes, np.stack((stops - lengths, stops), 1), goes_on)
        end, n_samples = batch.start + batch.n_steps, batch.n_samples


def windows(session: Session, node: str, layer: str) -> Iterator[Window]:
    """The windows of a recorded layer in the order of time, read one by one."""
    return windows_of(session.spikes(node, layer))


def accumulate(windows: Iterable[Window], *accumulators: Accumulator[object]) -> None:
    """Shows each window to all accumulators, so that the recording is read once."""
    for window in windows:
        for accumulator in accumulators:
            accumulator.add(window)

"""Votes counted from recorded spikes: populations of neighbours, one for each class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..recording import SpikeBatch, runs_of


class Votes(NamedTuple):
    """The spikes of each run, sample and class, (R, B, n_classes), and the first step (R,) and length (R,) of runs."""

    start: NDArray[np.int64]
    n_steps: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def answers(self) -> NDArray[np.int64]:
        """The class with the most votes in each run and sample, (R, B)."""
        return np.asarray(self.counts.argmax(axis=2), np.int64)


def votes(batch: SpikeBatch, n_classes: int) -> Votes:
    """The votes in a batch, where neurons k n .. (k + 1) n - 1 of n_classes n vote for class k."""
    spikes = batch.spikes
    if n_classes < 1 or spikes.n_neurons % n_classes:
        raise ParameterError(f"votes.n_classes must divide {spikes.n_neurons} neurons, got {n_classes}")
    start, stop, _ = np.array(runs_of([batch])).T
    run = np.searchsorted(start, spikes.grid.step.astype(np.int64) + batch.start, side="right") - 1
    key = (run * len(spikes) + spikes.samples()) * n_classes + spikes.ids // (spikes.n_neurons // n_classes)
    counts = np.bincount(key, minlength=len(start) * len(spikes) * n_classes)
    return Votes(start, stop - start, counts.reshape(len(start), len(spikes), n_classes))

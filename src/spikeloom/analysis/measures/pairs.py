"""The neurons and trains that measures of pairs go over."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError
from ...spikes import Spikes
from ...spikes.sorting import sorted_keys
from ...spikes.validate import check_generator

Ids = NDArray[np.int64]

MOST = 5000
"""How many neurons a matrix of pairs may have: more take 200 MB."""


def seeded_neurons(n_neurons: int, most: int, generator: Generator) -> Ids:
    """The ids of at most `most` of n neurons, ascending: all, or that many drawn without replacement."""
    for value, name in ((n_neurons, "n_neurons"), (most, "most")):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ParameterError(f"seeded_neurons.{name} must be a whole number of at least 1, got {value!r}")
    check_generator(generator, "seeded_neurons.generator")
    if n_neurons <= most:
        return np.arange(n_neurons, dtype=np.int64)
    return np.sort(generator.choice(n_neurons, most, replace=False)).astype(np.int64)


def chosen_neurons(neurons: ArrayLike | None, n_neurons: int, owner: str, most: int = MOST) -> Ids:
    """The ids of the neurons that a measure is asked for, (n,), None: all; ParameterError unless they are some."""
    found = np.arange(n_neurons) if neurons is None else np.asarray(neurons)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "iu" or np.unique(found).size < found.size:
        raise ParameterError(f"{owner}.neurons must be ids of neurons, one or more, each once, got {neurons!r}")
    if not 0 <= found.min() <= found.max() < n_neurons:
        bad = found[(found < 0) | (found >= n_neurons)][0]
        raise ParameterError(f"{owner}.neurons must be ids in 0 .. {n_neurons - 1}, got {bad}")
    if found.size > most:
        way_out = f"choose some with neurons=seeded_neurons({n_neurons}, 200, generator)"
        raise ParameterError(f"{owner}.neurons must be at most {most}, got {found.size}; {way_out}")
    return found.astype(np.int64)


def only(spikes: Spikes, neurons: Ids) -> Spikes:
    """The spikes of some neurons, which become 0 .. n - 1 in the order given."""
    place = np.full(spikes.n_neurons, -1, np.int64)
    place[neurons] = np.arange(neurons.size)
    ids = place[spikes.ids]
    inside = ids >= 0
    offsets = np.concatenate(([0], np.cumsum(inside)))[spikes.offsets]
    names = [name for name in ("step", "time", "value") if getattr(spikes, name) is not None]
    kept = {name: getattr(spikes, name)[inside] for name in names}
    return replace(spikes, ids=ids[inside], offsets=offsets, shape=(neurons.size,), **kept)


@dataclass(frozen=True, eq=False, slots=True)
class Trains:
    """Spike times in ms of trains, one after the other: those of train k, ascending, from start[k] to start[k + 1]."""

    time: NDArray[np.float64]
    start: Ids

    @classmethod
    def of(cls, spikes: Spikes, neurons: Ids) -> Trains:
        """The trains of n neurons in each sample: train b * n + k is that of neurons[k] in sample b."""
        narrow = only(spikes, neurons)
        train = narrow.samples() * neurons.size + narrow.ids
        counts = np.bincount(train, minlength=len(spikes) * neurons.size)
        return cls(narrow.times_ms()[sorted_keys(train)[1]], np.concatenate(([0], np.cumsum(counts))))

    def __len__(self) -> int:
        return self.start.size - 1

    def __getitem__(self, train: int) -> NDArray[np.float64]:
        return self.time[self.start[train] : self.start[train + 1]]

    def pick(self, trains: Ids) -> Trains:
        """Some of the trains, each as often as it is named."""
        counts = np.diff(self.start)[trains]
        start = np.concatenate(([0], np.cumsum(counts)))
        return Trains(self.time[np.arange(start[-1]) + np.repeat(self.start[trains] - start[:-1], counts)], start)

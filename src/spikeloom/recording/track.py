"""What of one layer and observable waits to be written, and the clock that it has in model time."""

from __future__ import annotations

from itertools import groupby
from math import prod
from typing import Any, NamedTuple, cast
from zlib import crc32

import numpy as np

from ..errors import ParameterError, ShapeError
from ..spikes import PackedSpikes, Spikes
from ..units import steps, times
from .batches import MembraneBatch, SpikeBatch
from .config import RecorderConfig
from .parts import BATCH_BYTES, Part, first_steps
from .sampling import Mode, Sampling, is_kept

_MOST_WINDOWS = 8000
"""Their lengths stand in an attribute, which HDF5 limits to 64 KB."""


class Key(NamedTuple):
    """What a track is of: an observable ('spikes', 'v', ...) of a layer of a node."""

    observable: str
    node: str
    layer: str


class Handed(NamedTuple):
    """What a track hands over to be written as one batch."""

    track: Track
    start: int
    parts: list[Part]
    n_steps: int
    nbytes: int


class Track:
    """Parts that follow one another in model time and wait to be written; what is kept of them is chosen then.

    dt in ms and the population's shape are those of the first part and stay. size: how many spikes or values of it
    are on the disk.
    """

    def __init__(self, key: Key, dt: float, shape: tuple[int, ...], config: RecorderConfig) -> None:
        self.key, self.dt, self.shape = key, dt, shape
        self.clock = self.size = self.n_steps = 0
        self._generator = np.random.default_rng([config.seed, crc32(f"{key.node}/{key.layer}".encode())])
        mode: Mode = config.spike_subsample_mode if key.observable == "spikes" else "steps"
        rate = config.spike_subsample_rate if key.observable == "spikes" else config.membrane_subsample_rate
        self.sampling = Sampling.drawn(mode, rate, prod(shape), self._generator)
        seconds = config.max_recording_duration
        self._end = None if seconds is None else max(1, steps(seconds * 1000, dt))
        self._most_steps = config.batch_steps
        self._sealed: list[Handed] = []
        self._waiting: list[Part] = []
        self._nbytes = self._n_windows = 0

    def check(self, dt: float, shape: tuple[int, ...]) -> None:
        """Nothing, or an error unless a further part has the dt and the shape of the first."""
        name = f"{self.key.node}/{self.key.layer}"
        if dt != self.dt:
            raise ParameterError(f"{name}: dt must stay {self.dt} ms in a session, got {dt}; make a new session for it")
        if shape != self.shape:
            raise ShapeError(
                f"{name}: the population must stay of shape {self.shape} in a session, got {shape}; "
                "make a new session for it"
            )

    @property
    def model_time(self) -> float:
        """The time of its clock in ms."""
        return times(self.clock, self.dt)

    @property
    def is_full(self) -> bool:
        """Whether the duration limit is reached."""
        return self._end is not None and self.clock >= self._end

    @property
    def left(self) -> int:
        """How many steps can be added to the batch that waits, or to the next where it is full; 0 at the duration."""
        left = self._most_steps - self.n_steps or self._most_steps
        return left if self._end is None else min(left, self._end - self.clock)

    @property
    def is_due(self) -> bool:
        """Whether a batch waits, and more."""
        return bool(self._sealed)

    def within(self, part: Part) -> Part:
        """The part, cut where the duration limit lies."""
        left = part.n_steps if self._end is None else self._end - self.clock
        return part if part.n_steps <= left else first_steps(part, left)

    def add(self, part: Part) -> None:
        """Lets a part wait; the clock advances."""
        if self._waiting and not self._fits(part):
            self._seal()
        self._waiting += (part,)  # Ctrl-C comes between calls: from here on there is none
        self.n_steps += part.n_steps
        self.clock += part.n_steps
        self._nbytes += part.nbytes
        self._n_windows += part.begins

    def hand_over(self, to: list[Handed], *, whole: bool = False) -> None:
        """Puts all that waits behind `to`, batch by batch; whole: only as far as batches are full."""
        if not whole or self.n_steps >= self._most_steps or self._nbytes >= BATCH_BYTES:
            self._seal()
        to += self._sealed  # as in `add`
        self._sealed = []

    def _fits(self, part: Part) -> bool:
        """Whether a part can be in one batch with those that wait."""
        first = self._waiting[0]
        return (
            first.n_samples == part.n_samples
            and (first.begins or not part.begins)
            and self._n_windows < _MOST_WINDOWS
            and self.n_steps + part.n_steps <= self._most_steps
            and self._nbytes + part.nbytes <= BATCH_BYTES
        )

    def _seal(self) -> None:
        """Makes a batch of what waits."""
        if self._waiting:
            sealed = Handed(self, self.clock - self.n_steps, self._waiting, self.n_steps, self._nbytes)
            self._sealed += (sealed,)  # as in `add`
            self._waiting = []
            self.n_steps = self._nbytes = self._n_windows = 0

    def batch(self, handed: Handed) -> SpikeBatch | MembraneBatch:
        """What is kept of what was handed over, as it is written; in the order of time, once for each."""
        windows = _windows(handed.parts)
        if self.key.observable == "spikes":
            spikes = self._events(handed.parts)
            return SpikeBatch(handed.start, spikes, windows).thinned(self.sampling, self._generator)
        values = np.concatenate([cast(Any, part.data) for part in handed.parts])
        step = np.flatnonzero(is_kept(np.arange(handed.n_steps) + handed.start, self.sampling.rate))
        return MembraneBatch(handed.start, handed.n_steps, self.dt, step, values[step], windows)

    def _events(self, parts: list[Part]) -> Spikes:
        """The spikes of parts as one."""
        found: list[SpikeBatch] = []
        at = 0
        for kind, group in groupby(parts, lambda part: type(part.data)):
            data: list[Any] = [part.data for part in group]
            if kind is PackedSpikes:
                data = [PackedSpikes(np.concatenate([each.bits for each in data]), self.shape, self.dt).spikes()]
            elif kind is not Spikes:
                data = [Spikes.from_raster(np.concatenate(data), self.dt, batched=False)]
            for spikes in data:
                found.append(SpikeBatch(at, spikes))
                at += spikes.grid.n_steps
        return SpikeBatch.joined(found).spikes


def _windows(parts: list[Part]) -> tuple[int, ...]:
    """How long the runs are that begin in parts; none where the first goes on with an earlier one, as then do all."""
    windows: list[int] = []
    for part in parts:
        if part.begins:
            windows.append(part.n_steps)
        elif windows:
            windows[-1] += part.n_steps
    return tuple(windows)

"""HDF5 files of spike trains as SHD and SSC have them, straight to spikes on a grid.

`spikes/times` and `spikes/units` hold an array of its own length for each sample, times in seconds; `labels` holds an
integer. Source: B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke, IEEE Trans. Neural Netw. Learn. Syst. 33 (2022) 2744.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError, SpikeloomError, StorageError
from ..spikes import Collisions, Spikes
from ..spikes.container import index_dtype
from ..spikes.sorting import Ragged, Room, grid_events
from ..spikes.validate import check_values
from ..units import MAX_STEPS, check_dt, duration_steps, steps, times
from .checks import check_count, positions
from .hdf5_heap import Arrays, arrays_of, plain_rows

BLOCK = 1 << 20
"""How many events are read at once, unless one sample has more."""
MAX_CHANNELS = 2**31 - 1


class Trains(NamedTuple):
    """A file: its bytes, where times and units lie in them, and the labels."""

    path: Path
    content: NDArray[np.uint8]
    times: Arrays
    units: Arrays
    labels: NDArray[np.int64]


class Grid(NamedTuple):
    """What times and units are turned into: steps of dt ms, below n_steps if it is given, and channels."""

    dt: float
    n_steps: int | None
    n_channels: int


@dataclass
class Gridded:
    """The spikes that were read so far, in arrays with room for all, and how many each sample has."""

    step: NDArray[np.int32]
    ids: NDArray[np.int32]
    counts: NDArray[np.int32] | None
    used: int = 0
    per_sample: list[NDArray[np.int64]] = field(default_factory=lambda: [np.zeros(1, np.int64)])

    def room(self, n: int) -> Room:
        """Room for n spikes more."""
        new = slice(self.used, self.used + n)
        return Room(self.step[new], self.ids[new], None if self.counts is None else self.counts[new])

    def add(self, ends: NDArray[np.int64]) -> None:
        """Takes in the spikes of the samples that end so in the room."""
        self.per_sample.append(np.diff(ends, prepend=0))
        self.used += int(ends[-1])

    def trim(self) -> None:
        """Gives back the room that is not used, without a copy where that is possible."""
        for array in (self.step, self.ids, self.counts):
            if array is not None:
                array.resize(self.used, refcheck=False)


def read_spike_hdf5(
    path: str | os.PathLike[str],
    indices: ArrayLike | None = None,
    *,
    dt: float,
    n_channels: int = 700,
    duration: float | None = None,
    collisions: Collisions = "merge",
) -> Spikes:
    """The samples of a file at `indices` (None: all), with their labels, as spikes on the grid of dt ms.

    A time is taken exactly as it is stored and belongs to the step that it falls into (`units.steps`). SHD's are
    float16, 0.49 ms apart from 0.5 s on and 0.98 ms from 1 s on: a spike lies up to half of that beside the time that
    was meant. The window is `duration` ms, by default the steps up to the last spike of these samples. `collisions`:
    what several spikes of a channel in one step become, as in `Spikes.from_steps`. Takes 8 bytes for each event (12
    unless they merge), and 50 for each of a block or of the longest sample. Raises DataError, with the place, for a
    file that is damaged, lacks something or has a time beyond the window or a unit that is no channel.
    """
    dt, n_channels = check_dt(dt), check_count(n_channels, "read_spike_hdf5.n_channels", MAX_CHANNELS)
    if collisions not in get_args(Collisions):
        known = ", ".join(get_args(Collisions))
        raise ParameterError(f"read_spike_hdf5.collisions must be one of {known}, got {collisions!r}")
    n_steps = None if duration is None else duration_steps(duration, dt, "read_spike_hdf5.duration")
    with opened(Path(path)) as trains:
        n = len(trains.labels)
        rows = np.arange(n) if indices is None else positions(indices, n, f"read_spike_hdf5 of {trains.path}")
        found = _read(trains, rows, Grid(dt, n_steps, n_channels), counted=collisions != "merge")
    _check_counts(found, rows, trains.path, collisions)
    return _spikes(found, trains.labels[rows], n_steps, dt, n_channels)


def _read(trains: Trains, rows: NDArray[np.int64], grid: Grid, *, counted: bool) -> Gridded:
    """The samples of these rows on the grid."""
    lengths = trains.times.lengths[rows]
    n, ends = int(lengths.sum()), np.cumsum(lengths)
    found = Gridded(np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32) if counted else None)
    first = 0
    while first < len(rows):
        before = ends[first] - lengths[first]
        last = max(first + 1, int(np.searchsorted(ends, before + BLOCK, side="right")))
        _add(found, trains, rows[first:last], grid)
        first = last
    return found


def _add(found: Gridded, trains: Trains, rows: NDArray[np.int64], grid: Grid) -> None:
    """Adds the samples of these rows; where they are float16 and uint16, straight from the file."""
    lengths, table = trains.times.lengths[rows], None
    time, ids = (Ragged(trains.content, each.places(rows), each.dtype) for each in (trains.times, trains.units))
    if time.dtype == np.float16 and ids.dtype == np.uint16:
        time, table = time._replace(dtype=ids.dtype), _table(grid.dt, grid.n_steps)
    else:
        step, units = _steps(time.joined(lengths), grid.dt, grid.n_steps), ids.joined(lengths)
        channels = np.where((units >= 0) & (units < grid.n_channels), units, -1).astype(np.int32)
        time, ids = Ragged.of(step, lengths), Ragged.of(channels, lengths)
    ends, bad = grid_events(time, ids, lengths, grid.n_channels, table, found.room(int(lengths.sum())))
    if bad is not None:
        raise _fault(trains, int(rows[bad[0]]), bad[1], grid)
    found.add(ends)


def _fault(trains: Trains, sample: int, event: int, grid: Grid) -> DataError:
    """What is wrong with an event of a sample."""
    time, unit = (
        np.frombuffer(trains.content, each.dtype, event + 1, int(each.places(np.array([sample]))[0]))[-1]
        for each in (trains.times, trains.units)
    )
    text = f"units[{sample}][{event}] must be a channel from 0 to {grid.n_channels - 1}, got {unit}"
    if 0 <= unit < grid.n_channels:
        window = f"{times(grid.n_steps or MAX_STEPS, grid.dt) / 1000:g} s"
        text = f"times[{sample}][{event}] must be from 0 to below {window}, got {time}; see duration="
    return DataError(f"{trains.path}: spikes/{text}")


@contextmanager
def opened(path: Path) -> Iterator[Trains]:
    """The parts of a file, whose layout is checked. What h5py raises on damage becomes a DataError."""
    if not path.is_file():
        raise StorageError(f"there is no file {path}; expected an HDF5 file with spikes/times, spikes/units and labels")
    try:
        with h5py.File(path, "r") as file:
            content = np.memmap(path, np.uint8, "r")
            found = _parts(path, file, content)
    except SpikeloomError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: expected a whole HDF5 file, got a damaged one ({error}); fetch it again") from error
    yield found


def _parts(path: Path, file: Any, content: NDArray[np.uint8]) -> Trains:
    when, units, labels = (_dataset(file, name) for name in ("spikes/times", "spikes/units", "labels"))
    if labels.dtype.kind not in "iu":
        raise DataError(f"{labels.name} must hold integers, got {labels.dtype}")
    shapes = {data.name: data.shape for data in (when, units, labels)}
    if len(set(shapes.values())) > 1 or labels.ndim != 1 or labels.size > content.size:
        raise DataError(f"expected one entry for each sample in every data set, got {shapes}")
    times, channels = arrays_of(when, content, "f"), arrays_of(units, content, "iu")
    if (odd := np.flatnonzero(times.lengths != channels.lengths)).size:
        counts = f"{channels.lengths[odd[0]]} for {times.lengths[odd[0]]} times"
        raise DataError(f"sample {odd[0]} must have a unit for each time, got {counts}")
    numbers = plain_rows(labels, content)
    if numbers.size and numbers.max() >= 2**63:
        raise DataError(f"labels must be below 2**63, got {numbers.max()}")
    return Trains(path, content, times, channels, numbers.astype(np.int64))


def _dataset(file: Any, name: str) -> Any:
    """The data set of this name, which lies in the file itself."""
    place = file
    for part in name.split("/"):
        if not isinstance(place, h5py.Group) or not isinstance(place.get(part, getlink=True), h5py.HardLink):
            raise DataError(f"expected a data set {name!r} in the file, got none")
        place = place[part]
    if not isinstance(place, h5py.Dataset) or place.shape is None or place.external or place.is_virtual:
        raise DataError(f"{name!r} must be a data set whose numbers lie in the file")
    return place


def _steps(time: NDArray[Any], dt: float, n_steps: int | None) -> NDArray[np.int32]:
    """The step of each time in seconds, -1 for one outside of the window."""
    ms = time.astype(np.float64)
    ok = (ms >= 0) & (ms < MAX_STEPS * (dt / 1000))
    ms = np.where(ok, ms, 0) * 1000
    step = steps(ms if time.dtype == np.float16 else ms.astype(time.dtype), dt)
    return np.where(ok & (step < (n_steps or MAX_STEPS)), step, -1).astype(np.int32)


@lru_cache(maxsize=8)
def _table(dt: float, n_steps: int | None) -> NDArray[np.int32]:
    """The step of each of the 65,536 float16 numbers of seconds, -1 for one outside of the window."""
    table = _steps(np.arange(1 << 16, dtype=np.uint16).view(np.float16), dt, n_steps)
    table.flags.writeable = False
    return table


def _check_counts(found: Gridded, rows: NDArray[np.int64], path: Path, collisions: Collisions) -> None:
    """DataError where a channel fires more often in a step than is allowed, or than a value can hold."""
    most, others = (1, "'merge' or 'sum'") if collisions == "error" else (np.iinfo(np.int8).max, "'merge'")
    if found.counts is None or not (more := found.counts[: found.used] > most).any():
        return
    at = int(np.argmax(more))
    sample = rows[np.searchsorted(np.cumsum(np.concatenate(found.per_sample)), at, side="right") - 1]
    what = f"channel {found.ids[at]} fires {found.counts[at]} times in step {found.step[at]} of sample {sample}"
    raise DataError(f"{path}: {what}, {most} at most; use a smaller dt, or collisions={others}")


def _spikes(found: Gridded, labels: NDArray[np.int64], n_steps: int | None, dt: float, n_channels: int) -> Spikes:
    """What was read as Spikes, in a window up to the last spike where n_steps is None."""
    found.trim()
    n_steps = int(found.step.max(initial=0)) + 1 if n_steps is None else n_steps
    index_dtype(len(labels) * n_steps * n_channels)
    several = found.counts is not None and bool((found.counts > 1).any())
    return Spikes(
        offsets=np.cumsum(np.concatenate(found.per_sample)),
        ids=found.ids,
        shape=(n_channels,),
        duration=times(n_steps, dt),
        step=found.step,
        dt=dt,
        n_steps=n_steps,
        value=check_values(found.counts) if several else None,
        labels=labels,
    )

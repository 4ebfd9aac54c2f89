"""Batches as they are read back from a node's file, which may come from anywhere: every claim is checked first."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, prod
from pathlib import Path
from typing import Any, cast, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError, SpikeloomError
from ..spikes import Spikes
from ..units import steps
from .batches import MembraneBatch, SpikeBatch
from .hdf5_header import Header, read_header
from .layout import is_name, key_time, nanoseconds
from .sampling import Mode, Sampling, is_kept

_MOST_STEPS = 1 << 31
_MOST_NEURONS = 1 << 31
_MOST_RATIO = 1100
"""gzip makes data at most about 1030 times smaller; what claims more is not on disk."""
_MOST_ATTRIBUTE = 1 << 20
_MOST_JSON = 1 << 26


@dataclass(frozen=True)
class Stretch:
    """What a batch states of itself, its data unread: its steps from `start` on, its samples, how much it holds.

    size: the number of spikes, or of values. windows: as those of SpikeBatch.
    """

    start: int
    n_steps: int
    dt: float
    shape: tuple[int, ...]
    n_samples: int
    size: int
    windows: tuple[int, ...]

    @property
    def stop(self) -> int:
        """The step behind its last."""
        return self.start + self.n_steps


DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)
"""What h5py raises on damaged files."""


@contextmanager
def damage_named() -> Iterator[None]:
    """Turns what h5py raises on damaged files into DataError."""
    try:
        yield
    except SpikeloomError:
        raise
    except DAMAGE as error:
        raise DataError("a recorded file is damaged or was cut off; copy it anew, or record again") from error


@contextmanager
def opened(path: Path) -> Iterator[tuple[h5py.File, int]]:
    """The HDF5 file of a path, and its descriptor: without HDF5's locks, and apart from its other openings.

    Nothing is buffered: of a file that grows, what is read later must not be older than what was read before.
    """
    with path.open("rb", buffering=0) as handle, h5py.File(handle, "r") as file:
        yield file, handle.fileno()


@damage_named()
def members(group: h5py.Group) -> list[str]:
    """The names of a group's own members, sorted; links to elsewhere and names no recorder writes are left out."""
    return sorted(name for name in group if has_own(group, name))


@damage_named()
def subgroup(group: h5py.Group, *names: str) -> h5py.Group | None:
    """The group of these names below a group, or None."""
    for name in names:
        if not has_own(group, name) or not isinstance(group[name], h5py.Group):
            return None
        group = group[name]
    return group


@damage_named()
def member(group: h5py.Group, name: str) -> h5py.Dataset:
    """The data set of this name in a group."""
    if not has_own(group, name):
        raise DataError(f"{name_of(group)} must have a data set {name!r}")
    return named(group, name)


@damage_named()
def named(group: h5py.Group, name: str) -> h5py.Dataset:
    """The data set of a name that is known to be a group's own."""
    return h5py.Dataset(h5py.h5d.open(group.id, name.encode()))


class Stored:
    """A data set of a group, of whose header all is read at once; `dataset` opens it, and is needed for its content.

    file: the descriptor of the file. Without it, or where something else than a recorder wrote the data set, the header
    is read by HDF5.
    """

    def __init__(self, group: h5py.Group, key: str, file: int | None = None) -> None:
        self.name = f"{group.name}/{key}"
        self._group, self._key = group, key
        self._header = None if file is None else _header(group, key, file)
        if self._header is not None:
            self.shape, self.kind = self._header.shape, self._header.kind
        else:
            self.shape, self.kind = self.dataset.shape, self.dataset.dtype.kind

    def __contains__(self, name: str) -> bool:
        if self._header is not None:
            return name in self._header.attributes
        return bool(h5py.h5a.exists(self.dataset.id, name.encode()))

    @cached_property
    def dataset(self) -> h5py.Dataset:
        """The open data set."""
        return named(self._group, self._key)

    def attribute(self, name: str, kinds: str) -> NDArray[Any]:
        """An attribute of these NumPy kinds; DataError when it has none."""
        if self._header is None:
            return attribute(self.dataset, name, kinds)
        found = self._header.attributes.get(name)
        if found is None or found.dtype.kind not in kinds:
            raise DataError(f"{name_of(self)} must have an attribute {name} of kind {kinds}")
        return found

    def number(self, name: str) -> float:
        """An attribute that is one finite number."""
        value = self.attribute(name, "iuf")
        if value.ndim or not isfinite(value):
            raise DataError(f"{name_of(self)}: the attribute {name} must be a finite number, got {value}")
        return float(value)


@damage_named()
def _header(group: h5py.Group, key: str, file: int) -> Header | None:
    return read_header(file, h5py.h5o.get_info(group.id, key.encode()).addr)


def batch_names(group: h5py.Group) -> list[str]:
    """The names of the batches of a group in the order of model time."""
    return sorted((name for name in members(group) if key_time(name) is not None), key=_time)


def reaching_into(names: Sequence[str], begin: int, end: float) -> Sequence[str]:
    """Of names in the order of model time, those whose batches can reach into [begin, end) ns."""
    first = bisect_right(names, begin, key=_time) - 1
    return names[max(0, first) : bisect_left(names, end, key=_time)]


def _time(name: str) -> int:
    return key_time(name) or 0


@damage_named()
def check_own(dataset: h5py.Dataset) -> None:
    """Nothing, or DataError unless the content of a data set lies in the file itself, as large as it claims."""
    settings = dataset.id.get_create_plist()
    if settings.get_external_count() or settings.get_layout() == h5py.h5d.VIRTUAL:
        raise DataError(f"{name_of(dataset)} must lie in the file itself, got a link to other files")
    claimed, stored = dataset.size * dataset.id.get_type().get_size(), dataset.id.get_storage_size()
    if claimed > 4096 + _MOST_RATIO * stored:
        raise DataError(f"{name_of(dataset)} claims {claimed} bytes, but takes {stored} in the file")


@damage_named()
def read_array(dataset: h5py.Dataset, kinds: str) -> NDArray[Any]:
    """The content of a data set of these NumPy kinds, once it is known to lie in the file itself."""
    dtype = dataset.dtype
    if dtype.kind not in kinds:
        raise DataError(f"{name_of(dataset)} must hold data of kind {kinds}, got {dtype}")
    check_own(dataset)
    found = np.empty(dataset.shape, dtype)
    if found.size:
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, found)
    return found


@damage_named()
def read_json(dataset: h5py.Dataset) -> Any:
    """The value that a data set holds as JSON text."""
    if dataset.nbytes > _MOST_JSON:
        raise DataError(f"{name_of(dataset)} must have at most {_MOST_JSON} bytes of JSON, got {dataset.nbytes}")
    text = read_array(dataset, "S")
    try:
        return json.loads(text.item())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name_of(dataset)} must be JSON: {error}") from error


@damage_named()
def attribute(dataset: h5py.Dataset, name: str, kinds: str) -> NDArray[Any]:
    """An attribute of these NumPy kinds; texts of variable length are not read, damaged ones can hang HDF5."""
    key = name.encode()
    found = h5py.h5a.open(dataset.id, key) if h5py.h5a.exists(dataset.id, key) else None
    if found is None or found.dtype.kind not in kinds:
        raise DataError(f"{name_of(dataset)} must have an attribute {name} of kind {kinds}")
    if (n_bytes := prod(found.shape) * found.dtype.itemsize) > _MOST_ATTRIBUTE:
        raise DataError(f"{name_of(dataset)}: the attribute {name} must be small, got {n_bytes} bytes")
    value = np.empty(found.shape, found.dtype)
    if value.size:
        found.read(value)
    return value


def name_of(dataset: h5py.Dataset | h5py.Group | Stored) -> str:
    """What a data set is called in messages."""
    return f"recorded {dataset.name}"


def has_own(group: h5py.Group, name: str) -> bool:
    """Whether a group has a member of its own of this name."""
    return is_name(name) and isinstance(group.get(name, getlink=True), h5py.HardLink)


@damage_named()
def read_stretch(data: Stored, offsets: h5py.Group | None) -> Stretch:
    """What the batch of spikes or of values in a data set states of itself."""
    n_steps, dt, start, shape = _clock(data)
    n_samples = len(_bounds(data, offsets)) - 1 if data.kind == "V" else (*data.shape, 0, 0)[1]
    if not data.shape or n_samples < 1:
        raise DataError(f"{name_of(data)} must hold at least one sample, got shape {data.shape}")
    return Stretch(start, n_steps, dt, shape, n_samples, prod(data.shape), _windows(data, n_steps))


@damage_named()
def read_spikes(data: Stored, offsets: h5py.Group | None) -> SpikeBatch:
    """The batch of spikes in a data set; long offsets have a data set of the same name in a group of their own."""
    owner, events = name_of(data), read_array(data.dataset, "V")
    names = events.dtype.names or ()
    if events.ndim != 1 or names not in (("step", "id"), ("step", "id", "value")):
        raise DataError(f"{owner} must be a list of events with step and id, got {events.dtype} of {events.shape}")
    if any(events.dtype[name].kind not in "iuf" for name in names):
        raise DataError(f"{owner} must hold numbers, got {events.dtype}")
    n_steps, dt, start, shape = _clock(data)
    bounds = _bounds(data, offsets)
    if (len(bounds) - 1) * n_steps * prod(shape) >= 1 << 62:
        raise DataError(f"{owner} claims {len(bounds) - 1} samples of {n_steps} steps of shape {shape}: too many")
    try:
        spikes = Spikes.from_steps(
            events["step"],
            events["id"],
            shape,
            n_steps,
            dt,
            samples=np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)),
            values=events["value"] if "value" in names else None,
            n_samples=len(bounds) - 1,
        )
    except (DataError, ParameterError, ShapeError) as error:
        raise DataError(f"{owner}: {error}") from error
    return SpikeBatch(start, spikes, _windows(data, n_steps))


@damage_named()
def read_membrane(data: Stored) -> MembraneBatch:
    """The batch of potentials in a data set."""
    owner, values = name_of(data), read_array(data.dataset, "f")
    n_steps, dt, start, shape = _clock(data)
    rate = _rate(data)
    if values.ndim < 3 or n_steps * rate > len(values) + 1:
        raise DataError(f"{owner} must hold {rate} of {n_steps} steps, got shape {values.shape}")
    step = np.flatnonzero(is_kept(np.arange(n_steps) + start, rate))
    if values.shape[2:] != shape or len(values) != len(step):
        raise DataError(f"{owner} must have shape ({len(step)}, samples, *{shape}), got {values.shape}")
    return MembraneBatch(start, n_steps, dt, step, values, _windows(data, n_steps))


@damage_named()
def read_sampling(data: Stored, neurons: h5py.Group | None) -> Sampling:
    """How the layer of this batch was thinned; the neurons that were chosen are a data set of the layer's name."""
    owner, mode = name_of(data), data.attribute("mode", "S").item().decode(errors="replace")
    if mode not in get_args(Mode):
        raise DataError(f"{owner}: mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
    if mode != "neurons":
        return Sampling(cast(Mode, mode), _rate(data))
    n_neurons = prod(_clock(data)[3])
    if neurons is None:
        raise DataError(f"{owner}: the neurons that were sampled are missing")
    chosen = read_array(member(neurons, data.name.split("/")[-2]), "iu")
    if (
        chosen.ndim != 1
        or not chosen.size
        or np.any(chosen[1:] <= chosen[:-1])
        or chosen[0] < 0
        or chosen[-1] >= n_neurons
    ):
        raise DataError(f"{owner}: the sampled neurons must be rising ids below {n_neurons}")
    return Sampling("neurons", _rate(data), chosen.astype(np.int64))


def _bounds(data: Stored, offsets: h5py.Group | None) -> NDArray[Any]:
    if offsets is None or "offsets" in data:
        bounds = data.attribute("offsets", "iu")
    else:
        bounds = read_array(member(offsets, data.name.rpartition("/")[2]), "iu")
    if (
        bounds.ndim != 1
        or not bounds.size
        or bounds[0]
        or bounds[-1] != prod(data.shape)
        or np.any(bounds[1:] < bounds[:-1])
    ):
        raise DataError(f"{name_of(data)}: offsets must rise from 0 to the number of events, {prod(data.shape)}")
    return bounds


def _clock(data: Stored) -> tuple[int, float, int, tuple[int, ...]]:
    """n_steps, dt, the first step and the shape that a batch states."""
    n_steps = data.attribute("n_steps", "iu")
    shape = data.attribute("shape", "iu")
    dt, t_start = data.number("dt"), data.number("t_start")
    sizes = tuple(int(n) for n in np.atleast_1d(shape))
    sane = n_steps.ndim == 0 and 0 < n_steps <= _MOST_STEPS and len(sizes) > 0 and min(sizes) > 0
    if not (sane and prod(sizes) <= _MOST_NEURONS and dt > 0 and 0 <= t_start < dt * 2**53):
        raise DataError(
            f"{name_of(data)}: n_steps, shape, dt and t_start must be sane, got {n_steps}, {shape}, {dt}, {t_start}"
        )
    if key_time(data.name.rpartition("/")[2]) != nanoseconds(t_start):
        raise DataError(f"{name_of(data)} must begin when its name says, got t_start {t_start} ms")
    return int(n_steps), dt, steps(t_start, dt), sizes


def _windows(data: Stored, n_steps: int) -> tuple[int, ...]:
    """The lengths of the runs in a batch, where it states them."""
    if "windows" not in data:
        return ()
    lengths = data.attribute("windows", "iu")
    if lengths.ndim != 1 or not lengths.size or lengths.min() < 1 or int(lengths.sum()) != n_steps:
        raise DataError(f"{name_of(data)}: windows must be lengths that sum to {n_steps} steps, got {lengths}")
    return tuple(int(n) for n in lengths)


def _rate(data: Stored) -> float:
    rate = data.number("rate")
    if not 0 < rate <= 1:
        raise DataError(f"{name_of(data)}: rate must be in (0, 1], got {rate}")
    return rate

"""SONATA spike files: HDF5 with `/spikes/<population>/timestamps` (ms) and `node_ids`.

A population is one sample of one layer, `<node>:<layer>:<sample>`; further data in the file, which other readers pass
over, describe the session. Source: Dai et al., PLoS Computational Biology 16, e1007696 (2020), and the SONATA
developer guide, "Spike file format".
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, UnsupportedError
from ...storage import atomic_file
from ...units import steps, times
from ..consolidate import Progress
from ..reading import attribute, damage_named, member, members, read_array
from .content import Content, Train
from .description import clocks, description_text, parsed
from .folder import Clock, Import
from .formats import Exchange
from .hdf5 import opened_hdf5, own_group, own_names

MAGIC = 0x0A7A
VERSION = (0, 1)
_SORTING = {"none": 0, "by_id": 1, "by_time": 2}
_DESCRIPTION = "spikeloom_session"


def write_sonata(content: Content, path: Path, progress: Progress) -> list[str]:
    """Writes the spikes, sorted by time, window by window; graded spikes are refused, the format has no place."""
    for train in content.trains:
        if train.values:
            raise UnsupportedError(f"{train.name} has spikes with values, which SONATA cannot hold; use 'nwb' or 'csv'")
    with atomic_file(path) as whole, h5py.File(whole.name, "w") as file:
        file.attrs["magic"], file.attrs["version"] = np.uint32(MAGIC), np.array(VERSION, np.uint32)
        file[_DESCRIPTION] = np.frombuffer(description_text(content), np.uint8)
        for train in content.trains:
            for sample in range(train.n_samples):
                _make_population(file, train, sample)
        filled: dict[str, int] = {}
        for train, batch in content.batches(progress):
            spikes = batch.spikes
            at = times(spikes.grid.step.astype(np.int64) + batch.start, train.dt)
            for sample, (a, b) in enumerate(zip(spikes.offsets[:-1], spikes.offsets[1:], strict=True)):
                name = f"spikes/{_population(train, sample)}"
                begin = filled.get(name, 0)
                filled[name] = begin + int(b - a)
                if b > a:
                    file[name]["timestamps"][begin : filled[name]] = at[a:b]
                    file[name]["node_ids"][begin : filled[name]] = spikes.ids[a:b]
    return content.sampled_notes()


def read_sonata(path: Path, into: Import) -> None:
    """Reads the populations of a file: layers of the node `sonata`, or the layers that were exported."""
    with opened_hdf5(path) as file:
        spikes = own_group(file, "spikes")
        if _DESCRIPTION in members(file):
            _read_own(file, spikes, path, into)
        else:
            _read_foreign(spikes, path, into)


def _population(train: Train | Clock, sample: int) -> str:
    return f"{train.node}:{train.layer}:{sample}"


def _make_population(file: h5py.File, train: Train, sample: int) -> None:
    group = file.create_group(f"spikes/{_population(train, sample)}")
    group.attrs.create("sorting", _SORTING["by_time"], dtype=h5py.enum_dtype(_SORTING, basetype="u1"))
    n = int(train.counts[sample].sum())
    group.create_dataset("timestamps", (n,), np.float64).attrs["units"] = np.bytes_("ms")
    group.create_dataset("node_ids", (n,), np.uint64)


def _read_own(file: h5py.File, spikes: h5py.Group, path: Path, into: Import) -> None:
    description = parsed(read_array(member(file, _DESCRIPTION), "u").tobytes(), str(path))
    layers = list(clocks(description, str(path)))
    for done, clock in enumerate(layers):
        step, ids, samples = [], [], []
        for sample in range(max(run.n_samples for run in clock.runs)):
            at, ids_of = _events(spikes, _population(clock, sample), path)
            step.append(steps(at, clock.dt))
            ids.append(ids_of)
            samples.append(np.full(len(at), sample))
        into.spikes(clock, np.concatenate(step), np.concatenate(ids), np.concatenate(samples))
        into.progress((done + 1) / len(layers))
        into.described(description, clock)


def _read_foreign(spikes: h5py.Group, path: Path, into: Import) -> None:
    dt = into.stated_dt("SONATA spikes have times and no steps")
    names = own_names(spikes)
    if not names:
        raise DataError(f"{path} has no population")
    into.notes.append("timestamps are taken as ms, as SONATA says; a unit that a file states as free text is not read")
    for done, name in enumerate(names):
        at, ids = _events(spikes, name, path)
        into.undescribed("sonata", name, steps(at, dt), ids, None, None)
        into.progress((done + 1) / len(names))


@damage_named()
def _events(spikes: h5py.Group, name: str, path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The times in ms and the ids of a population."""
    group = own_group(spikes, name)
    timestamps = member(group, "timestamps")
    at, ids = read_array(timestamps, "f"), read_array(member(group, "node_ids"), "iu")
    if "units" in timestamps.attrs and timestamps.attrs.get_id("units").dtype.kind == "S":
        unit = attribute(timestamps, "units", "S").item().decode(errors="replace")
        if unit not in ("ms", "milliseconds"):
            raise DataError(f"{path}: the timestamps of population {name!r} must be in ms, got {unit!r}")
    if at.ndim != 1 or at.shape != ids.shape:
        raise DataError(f"{path}: timestamps and node_ids must be as many, got {at.shape} and {ids.shape}")
    if at.size and (not np.isfinite(at).all() or at.min() < 0):
        raise DataError(f"{path}: timestamps must be finite and not negative")
    if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= 1 << 31):
        raise DataError(f"{path}: node_ids must be in 0..{(1 << 31) - 1}")
    return at.astype(np.float64), ids.astype(np.int64)


FORMAT = Exchange("sonata", (".h5", ".sonata"), ("spikes",), write_sonata, read_sonata)

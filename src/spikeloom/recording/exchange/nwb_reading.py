"""The units of an NWB file, read with h5py: nothing that the file states is run or trusted.

Namespaces that are cached in a file are not loaded, and texts, which HDF5 reads without bounds, are not read.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, UnsupportedError
from ...units import duration_steps, steps
from ..batches import Run
from ..reading import damage_named, member, members, read_array
from .description import clocks, parsed
from .folder import Clock, Import, checked_clock
from .hdf5 import opened_hdf5, own_group, own_names

DESCRIPTION = "spikeloom_session"


def read_nwb(path: Path, into: Import) -> None:
    """Reads the units of a file: as the layers that were exported, or as the layer `units` of the node `nwb`.

    Potentials and whatever else the file holds are not read, and named in the notes.
    """
    with opened_hdf5(path) as file:
        units = own_group(file, "units")
        at, ends = _ragged(units, "spike_times", "f", 1)
        scratch = own_group(file, "scratch") if "scratch" in own_names(file) else None
        if scratch is not None and DESCRIPTION in members(scratch):
            text = read_array(member(scratch, DESCRIPTION), "u").tobytes()
            _read_own(text, units, at, ends, path, into)
        else:
            _read_foreign(units, at, ends, path, into)
        others = [name for name in ("acquisition", "processing") if name in own_names(file)]
        left = sorted(f"{name}/{x}" for name in others for x in own_names(own_group(file, name)))
        if left:
            into.notes.append(f"spikes alone are read; {path.name} also holds {', '.join(left[:10])}")


def _read_own(
    text: bytes, units: h5py.Group, at: NDArray[np.float64], ends: NDArray[np.int64], path: Path, into: Import
) -> None:
    description = parsed(text, str(path))
    layers = list(clocks(description, str(path)))
    values = _values(units, ends) if any(clock.values for clock in layers) else None
    borders, unit = np.concatenate(([0], ends)), 0
    for done, clock in enumerate(layers):
        n_samples = max(run.n_samples for run in clock.runs)
        first, unit = unit, unit + n_samples * clock.n_recorded
        if unit > len(ends):
            raise DataError(f"{path}: {clock.name} must have units until row {unit}, the table has {len(ends)}")
        neurons = np.arange(clock.n_recorded) if clock.sampling.neurons is None else clock.sampling.neurons
        part = slice(borders[first], borders[unit])
        which = np.repeat(np.arange(unit - first), np.diff(borders[first : unit + 1]))
        step = steps(at[part] * 1000, clock.dt)
        mine = values[part].astype(clock.values) if values is not None and clock.values else None
        into.spikes(clock, step, neurons[which % len(neurons)], which // len(neurons), mine)
        into.described(description, clock)
        into.progress((done + 1) / len(layers))
    if unit != len(ends):
        raise DataError(f"{path}: the description names {unit} units, the table has {len(ends)}")


def _read_foreign(
    units: h5py.Group, at: NDArray[np.float64], ends: NDArray[np.int64], path: Path, into: Import
) -> None:
    dt = into.stated_dt("NWB units have times and no steps")
    if not len(ends):
        raise DataError(f"{path} has no units")
    ids = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    step = steps(at * 1000, dt)
    runs = _observed(units, len(ends), dt, path)
    if runs is None:
        runs = (Run(0, int(step.max(initial=0)) + 1, 1),)
        into.notes.append(f"nwb/units: the file states no obs_intervals; one run of {runs[0].stop} steps is taken")
    into.spikes(checked_clock(Clock("nwb", "units", (len(ends),), dt, runs)), step, ids)
    into.progress(1.0)
    into.notes.append(f"nwb/units: neuron k is row k of the table of units, in steps of {dt:g} ms")


@damage_named()
def _ragged(units: h5py.Group, name: str, kinds: str, ndim: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A ragged column of the units: all its entries, and where those of each unit end."""
    data, index = read_array(member(units, name), kinds), read_array(member(units, f"{name}_index"), "iu")
    ends = index.astype(np.int64)
    if data.ndim != ndim or ends.ndim != 1 or np.any(np.diff(ends, prepend=0) < 0) or (
        (ends[-1] if len(ends) else 0) != len(data)
    ):  # fmt: skip
        raise DataError(f"units/{name}: the index must rise to the number of entries, {len(data)}")
    data = data.astype(np.float64)
    if not np.isfinite(data).all() or (data.size and data.min() < 0):
        raise DataError(f"units/{name} must be finite times of at least 0 s; shift them before")
    return data, ends


@damage_named()
def _values(units: h5py.Group, ends: NDArray[np.int64]) -> NDArray[np.float32]:
    data = read_array(member(units, "spike_values"), "iuf")
    if data.ndim != 1 or len(data) != (ends[-1] if len(ends) else 0):
        raise DataError(f"units/spike_values must have one value a spike, got {data.shape}")
    return data.astype(np.float32)


def _observed(units: h5py.Group, n: int, dt: float, path: Path) -> tuple[Run, ...] | None:
    """The runs that all units were observed in; None where the file does not say."""
    if "obs_intervals" not in members(units):
        return None
    intervals, ends = _ragged(units, "obs_intervals", "f", 2)
    if intervals.shape[1] != 2 or len(ends) != n or n * len(intervals[: ends[0]]) != len(intervals):
        raise UnsupportedError(f"{path}: all units must be observed in the same intervals; split the file by them")
    first = intervals[: ends[0]]
    if not np.array_equal(np.tile(first, (n, 1)), intervals):
        raise UnsupportedError(f"{path}: all units must be observed in the same intervals; split the file by them")
    if not len(first) or np.any(first[:, 1] <= first[:, 0]):
        return None
    return tuple(Run(steps(float(a) * 1000, dt), duration_steps(float(b) * 1000, dt), 1) for a, b in first)

"""The layout of EvoSpikeNet's recorder (seed 001): one data set a step, named by the clock on the wall.

`simulation_data.h5` holds `/spikes/<node>/<layer>/t_<wall ns>` of (N,) values, `/membrane` likewise, `/weights` with
snapshots; `control_states.jsonl` lies beside. The names say when a step was computed, which is no simulated time: with
`dt` given, the data sets of a layer are taken as its steps 0, 1, 2 ... in the order of their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from math import inf
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError
from ...spikes import Spikes
from ...units import times
from ..batches import MembraneBatch, SpikeBatch
from ..layout import json_text, read_control_states
from ..reading import damage_named, members, name_of, read_array
from ..sampling import Sampling
from .folder import Import
from .formats import Exchange
from .hdf5 import opened_hdf5, own_group, own_names

FILE = "simulation_data.h5"
_KEY = re.compile(r"t_(\d{1,19})")
_BATCH_STEPS = 1000
_MOST_VALUES = 1 << 24


def read_original(source: Path, into: Import) -> None:
    """Reads a session folder, or its HDF5 file alone."""
    path = source / FILE if source.is_dir() else source
    if not path.is_file():
        raise DataError(f"{source} must be a session folder of EvoSpikeNet with {FILE}")
    with opened_hdf5(path) as file:
        kinds = [kind for kind in ("spikes", "membrane", "weights") if kind in own_names(file)]
        if not kinds:
            raise DataError(f"{path} must have a group /spikes, /membrane or /weights")
        layers = [
            (kind, node, layer)
            for kind in kinds
            for node in members(own_group(file, kind))
            for layer in members(own_group(file, kind, node))
        ]
        if not layers:
            raise DataError(
                f"{path} holds no layer itself; a session that spikeloom recorded has links in it and needs no import"
            )
        steps_of: dict[tuple[str, str], NDArray[np.int64]] = {}
        for done, (kind, node, layer) in enumerate(layers):
            group = own_group(file, kind, node, layer)
            if kind == "weights":
                _weights(group, node, layer, steps_of, into)
            else:
                _steps(kind, group, node, layer, steps_of, into)
            into.progress((done + 1) / len(layers))
    if source.is_dir():
        _control(source, into)


def _steps(
    kind: str,
    group: h5py.Group,
    node: str,
    layer: str,
    steps_of: dict[tuple[str, str], NDArray[np.int64]],
    into: Import,
) -> None:
    """Writes the spikes or potentials of a layer, a batch at a time."""
    dt = into.stated_dt("the names of the data sets are times by the clock on the wall, not simulated time")
    names = _names(group)
    keys = np.array(list(names), np.int64)
    if not names:
        return
    into.started = min(into.started or inf, float(keys[0]) / 1e9)
    if kind == "spikes":
        steps_of[node, layer] = keys
    else:
        dt = _membrane_dt(node, layer, keys, steps_of, dt, into)
    for start, values in _windows(group, names.values()):
        if kind == "spikes":
            spikes = Spikes.from_raster(values, dt, batched=False)
            into.batch(node, layer, SpikeBatch(start, spikes), Sampling())
        else:
            if np.any(np.abs(values[np.isfinite(values)]) > np.finfo(np.float32).max):
                raise DataError(f"{kind} of {node}/{layer} must be potentials that float32 can hold")
            v = values.astype(np.float32)[:, None]
            into.batch(node, layer, MembraneBatch(start, len(v), dt, np.arange(len(v)), v), Sampling())
    into.notes.append(
        f"{kind} of {node}/{layer}: {len(keys)} data sets are taken as steps 0..{len(keys) - 1} of {dt:g} ms in the "
        f"order of their names; {_spacing(keys)}"
    )


def _membrane_dt(
    node: str,
    layer: str,
    keys: NDArray[np.int64],
    steps_of: dict[tuple[str, str], NDArray[np.int64]],
    dt: float,
    into: Import,
) -> float:
    spikes = steps_of.get((node, layer))
    if into.membrane_dt is None and spikes is not None and len(spikes) != len(keys):
        raise ParameterError(
            f"import_session: {node}/{layer} has {len(spikes)} steps of spikes and {len(keys)} of potentials; "
            "give membrane_dt=, the time between two potentials in ms"
        )
    return dt if into.membrane_dt is None else into.membrane_dt


@damage_named()
def _names(group: h5py.Group) -> dict[int, str]:
    """The names of a group's data sets by the time in ns that they state, in its order."""
    names = [name for name in members(group) if _KEY.fullmatch(name)]
    found = {int(name[2:]): name for name in names}
    if len(found) != len(names) or max(found, default=0) >= 1 << 63:
        raise DataError(f"{name_of(group)}: the names must be different times in ns, below 2**63")
    return {time: found[time] for time in sorted(found)}


def _windows(group: h5py.Group, names: Iterable[str]) -> Iterator[tuple[int, NDArray[Any]]]:
    """The first step and the values (T, N) of stretches of steps."""
    shape: tuple[int, ...] | None = None
    rows: list[NDArray[Any]] = []
    start = 0
    for name in names:
        values = _values(group, name, "biuf")
        shape = shape or values.shape
        if values.shape != shape or values.ndim != 1 or not values.size:
            raise DataError(f"{name_of(group)}/{name} must have the shape (N,) of the others, got {values.shape}")
        rows.append(values)
        if len(rows) == _BATCH_STEPS or len(rows) * values.size >= _MOST_VALUES:
            yield start, np.stack(rows)
            rows, start = [], start + len(rows)
    if rows:
        yield start, np.stack(rows)


@damage_named()
def _values(group: h5py.Group, name: str, kinds: str) -> NDArray[Any]:
    data = group.get(name)
    if not isinstance(data, h5py.Dataset):
        raise DataError(f"{name_of(group)}/{name} must be a data set")
    return read_array(data, kinds)


def _spacing(keys: NDArray[np.int64]) -> str:
    """How evenly the names are spaced, with the first gaps: steps may be missing there."""
    apart = np.diff(keys)
    if not len(apart):
        return "there is one"
    median = float(np.median(apart))
    gaps = np.flatnonzero(apart > 1.5 * median)
    text = f"they are {median / 1e6:.3g} ms apart by the clock (median)"
    if not len(gaps):
        return text
    places = ", ".join(f"t_{keys[k]}" for k in gaps[:3])
    return f"{text}, and {len(gaps)} times more than 1.5 of that, after {places}: steps may be missing there"


def _weights(
    group: h5py.Group,
    node: str,
    layer: str,
    steps_of: dict[tuple[str, str], NDArray[np.int64]],
    into: Import,
) -> None:
    """Writes snapshots, each at the step that the node had reached when it was taken."""
    dt = into.stated_dt("the names of the data sets are times by the clock on the wall, not simulated time")
    clocks = [found for (name, _), found in steps_of.items() if name == node]
    names = _names(group)
    for key, name in names.items():
        reached = max((int(np.searchsorted(found, key)) for found in clocks), default=0)
        into.weights(node, layer, _values(group, name, "biuf"), times(reached, dt))
    if names:
        into.notes.append(f"weights of {node}/{layer}: each of {len(names)} lies at the step that its node had reached")


def _control(source: Path, into: Import) -> None:
    states = read_control_states(source)
    if states:
        text = "".join(json_text(state, "control state") + "\n" for state in states)
        (into.folder / "control_states.jsonl").write_text(text, encoding="utf-8")


FORMAT = Exchange("original", (), (), None, read_original)

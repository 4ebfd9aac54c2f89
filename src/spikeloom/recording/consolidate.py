"""A session as one self-contained HDF5 file, without links."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, StateError, UnknownNameError
from ..registry import did_you_mean
from ..storage import atomic_file
from ..units import times
from .batches import MembraneBatch, SpikeBatch
from .layout import KINDS, batch_key, json_text, observable_path
from .node_files import NodeFiles
from .reading import batch_names, check_own, member, named
from .sampling import Sampling, is_kept
from .session import Session

Layout = Literal["batches", "steps"]
Progress = Callable[[float], None]

_MOST_STEPS = 1 << 24


class Part(NamedTuple):
    """An observable of a layer of a node, or its weights."""

    node: str
    layer: str
    observable: str


def consolidate(
    session: str | Path,
    path: str | Path | None = None,
    *,
    layout: Layout = "batches",
    sample: int = 0,
    progress: Progress | None = None,
) -> Path:
    """The path of one file with all that a session's nodes recorded, after it was written.

    path: by default simulation_data.h5 of the session, in place of its links. layout 'batches' keeps the batches of
    events with their attributes; 'steps' makes a data set (N,) of each recorded step of one sample, int8 for spikes,
    named `t_<ns>` as in the original's files. Metadata lies under /metadata/<node>. The file appears whole or not at
    all. progress: is told the share of the work that is done. Raises StateError for a session that is being recorded
    when no path is given.
    """
    if layout not in get_args(Layout):
        hint = did_you_mean(str(layout), get_args(Layout))
        raise UnknownNameError(
            f"consolidate: layout must be one of {', '.join(get_args(Layout))}, got {layout!r}{hint}"
        )
    with Session(session) as source, closing(NodeFiles(source.path)) as files:
        if path is None and source.is_live:
            raise StateError(f"session {source.path} is being recorded; wait for its end, or give another path")
        target = source.path / "simulation_data.h5" if path is None else Path(path)
        parts = {part: _own_group(files, part) for part in _parts(source)}
        told = _Told(sum(len(batch_names(group)) for group in parts.values()), progress)
        with atomic_file(target) as content, h5py.File(content, "w") as file:
            _write_groups(source, file)
            for part, group in parts.items():
                if layout == "batches" or part.observable == "weights":
                    _copy(group, files.group(part.node, "offsets", part.layer), file, told)
                else:
                    _write_steps(source, part, sample, file.require_group(group.name), told)
    return target


class _Told:
    """Tells the share of some parts that are done."""

    def __init__(self, n_parts: int, progress: Progress | None) -> None:
        self._n_parts, self._progress, self._done = max(1, n_parts), progress, 0

    def one(self) -> None:
        """One more is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done / self._n_parts)


def _parts(source: Session) -> Iterator[Part]:
    for node in source.nodes():
        layers = {layer for kind in ("spikes", "membrane", "variables") for layer in source.layers(node, kind)}
        for layer in sorted(layers):
            for observable in source.observables(node, layer):
                yield Part(node, layer, observable)
        for layer in source.layers(node, "weights"):
            yield Part(node, layer, "weights")


def _write_groups(source: Session, file: h5py.File) -> None:
    """Makes the groups that are there even when empty, and what is known of nodes and layers."""
    for node in source.nodes():
        for name, value in source.metadata(node).items():
            file[f"metadata/{node}/{name}"] = np.bytes_(json_text(value, name).encode())
        for kind in KINDS:
            file.require_group(f"{kind}/{node}")
        for layer in source.layers(node):
            if (neurons := source.sampling(node, layer).neurons) is not None:
                file[f"sampled_neurons/{node}/{layer}"] = neurons


def _own_group(files: NodeFiles, part: Part) -> h5py.Group:
    found = files.group(*observable_path(*part))
    if found is None:
        raise DataError(f"{part.node}/{part.layer}: {part.observable} have gone while they were read")
    return found


def _copy(group: h5py.Group, offsets: h5py.Group | None, file: h5py.File, told: _Told) -> None:
    """Copies data sets as they are, their packed content too."""
    target = file.require_group(group.name)
    for name in batch_names(group):
        data = named(group, name)
        check_own(data)
        file.copy(data, target, name)
        if offsets is not None and data.dtype.kind == "V" and "offsets" not in data.attrs:
            bounds = member(offsets, name)
            check_own(bounds)
            file.copy(bounds, file.require_group(offsets.name), name)
        told.one()


def _write_steps(source: Session, part: Part, sample: int, group: h5py.Group, told: _Told) -> None:
    """Writes one data set (N,) for each recorded step of one sample."""
    node, layer, observable = part
    batches = source.spikes(node, layer) if observable == "spikes" else source.values(node, layer, observable)
    sampling = source.sampling(node, layer) if observable == "spikes" else Sampling()
    for batch in batches:
        if not 0 <= sample < batch.n_samples:
            raise DataError(f"{node}/{layer}: sample must be in 0..{batch.n_samples - 1}, got {sample}")
        if batch.n_steps > _MOST_STEPS:
            raise DataError(f"{node}/{layer} has {batch.n_steps} steps in a batch: too many for a data set each")
        rows = _spike_rows(batch, sampling, sample) if isinstance(batch, SpikeBatch) else _value_rows(batch, sample)
        for step, row in rows:
            group.create_dataset(batch_key(times(batch.start + int(step), batch.dt)), data=row)
        told.one()


def _value_rows(batch: MembraneBatch, sample: int) -> Iterator[tuple[Any, NDArray[Any]]]:
    return zip(batch.step, batch.values[:, sample].reshape(len(batch.values), -1), strict=True)


def _spike_rows(batch: SpikeBatch, sampling: Sampling, sample: int) -> Iterator[tuple[Any, NDArray[Any]]]:
    spikes = batch.spikes[sample]
    values, step = spikes.values(), np.arange(batch.n_steps)
    if sampling.mode == "steps":
        step = step[is_kept(batch.start + step, sampling.rate)]
    begin, end = np.searchsorted(spikes.grid.step, step), np.searchsorted(spikes.grid.step, step, side="right")
    for k, first, last in zip(step, begin, end, strict=True):
        row = np.zeros(spikes.n_neurons, values.dtype)
        row[spikes.ids[first:last]] = values[first:last]
        yield k, row

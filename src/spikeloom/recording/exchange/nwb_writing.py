"""The parts of an NWB file, made with pynwb; imported where one is written."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable, ElementIdentifiers, VectorData, VectorIndex
from hdmf.data_utils import AbstractDataChunkIterator, DataChunk
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.epoch import TimeIntervals
from pynwb.file import Subject
from pynwb.misc import Units

from ...storage import atomic_file
from ...units import times
from ..batches import Run, SpikeBatch
from ..consolidate import Progress
from .content import Content, Signal, Train
from .description import description_text
from .nwb_reading import DESCRIPTION

_BLOCK = 1 << 20
_TIME = "Times are simulated time from the beginning of the recording of each layer."

_NOBODY = {
    "description": "A simulated network; there is no animal. Species, sex and age are given as NWB expects some.",
    "species": "http://purl.obolibrary.org/obo/NCBITaxon_1",
    "sex": "U",
    "age": "P0D",
}
"""The subject: without one, validators of archives refuse a file. NCBITaxon_1 is the root of all species."""


class Blocks(AbstractDataChunkIterator):  # type: ignore[misc]
    """Rows that are written block by block, of a number that is known before."""

    def __init__(self, blocks: Callable[[], Iterator[NDArray[Any]]], shape: tuple[int, ...], dtype: Any) -> None:
        self._make, self._shape, self._dtype = blocks, shape, np.dtype(dtype)
        self._blocks = blocks()
        self._at = 0

    def __iter__(self) -> Blocks:
        return self

    def __next__(self) -> DataChunk:
        block = next(self._blocks)
        begin, self._at = self._at, self._at + len(block)
        return DataChunk(data=block, selection=(slice(begin, self._at), *(slice(0, n) for n in self._shape[1:])))

    def recommended_chunk_shape(self) -> tuple[int, ...]:
        """Chunks of about 256 KB."""
        width = max(1, int(np.prod(self._shape[1:])) * self._dtype.itemsize)
        return (max(1, min(max(1, self._shape[0]), (1 << 18) // width)), *self._shape[1:])

    def recommended_data_shape(self) -> tuple[int, ...]:
        """The whole shape."""
        return self._shape

    @property
    def dtype(self) -> Any:
        return self._dtype

    @property
    def maxshape(self) -> tuple[int, ...]:
        return self._shape


def write(content: Content, path: Path, progress: Progress) -> None:
    """Writes the content as an NWB file."""
    name = content.session.path.resolve().name
    seed = f"{name} {content.start.isoformat()} {content.session.nodes()}"
    file = NWBFile(
        session_description=f"Simulated spiking neural network, session {name}. {_TIME}",
        identifier=f"{name}-{uuid.uuid5(uuid.NAMESPACE_URL, seed)}",
        session_start_time=content.start,
        experiment_description=f"{content.session.title}; recorded by spikeloom. Nothing in it was measured.",
        keywords=["simulation", "spiking neural network"],
        subject=Subject(subject_id=name, **_NOBODY),
    )
    file.add_scratch(
        np.frombuffer(description_text(content), np.uint8),
        name=DESCRIPTION,
        description="Layers, runs, sampling and settings as JSON in UTF-8; spikeloom reads the session back with it.",
    )
    with atomic_file(path) as whole, tempfile.TemporaryFile(dir=path.parent) as room:
        if content.trains:
            file.units = _units(content, room, progress)
            file.add_time_intervals(_runs(content))
        for signal in content.signals:
            for sample in range(signal.n_samples):
                if len(step := signal.steps_of(sample)):
                    file.add_acquisition(_time_series(content, signal, sample, step))
        if tables := [make(content) for kept, make in _TABLES if getattr(content, kept)]:
            file.create_processing_module(name="misc", description="What was kept beside signals.").add(tables)
        with h5py.File(whole.name, "w") as opened, NWBHDF5IO(mode="w", file=opened) as io:
            io.write(file)


def _units(content: Content, room: Any, progress: Progress) -> Units:
    """One unit a recorded neuron and sample, in the order of layer, sample and neuron."""
    rows = [(train, sample) for train in content.trains for sample in range(train.n_samples)]
    counts = np.concatenate([train.counts[sample][train.neurons] for train, sample in rows])
    ends = np.cumsum(counts)
    at, values = _sorted_by_unit(content, ends, room, progress)
    many = [len(train.neurons) for train, _ in rows]
    intervals = [_intervals(train.runs_of(sample), train.dt) for train, sample in rows]
    observed = np.concatenate([np.tile(found, (n, 1)) for found, n in zip(intervals, many, strict=True)])
    texts = {
        "node": ("The node of the network.", np.repeat([train.node for train, _ in rows], many)),
        "layer": ("The layer of the node.", np.repeat([train.layer for train, _ in rows], many)),
        "sample": ("The sample of the batch.", np.repeat([sample for _, sample in rows], many)),
        "neuron": ("The neuron in the layer, from 0.", np.concatenate([train.neurons for train, _ in rows])),
    }
    columns = [VectorData(name=name, description=text, data=data) for name, (text, data) in texts.items()]
    columns += _ragged("spike_times", f"The spike times of the unit in s. {_TIME}", _packed(at), ends)
    observed_ends = np.cumsum(np.repeat([len(found) for found in intervals], many))
    columns += _ragged("obs_intervals", "The runs that were recorded, in s.", observed, observed_ends)
    if values is not None:
        columns += _ragged("spike_values", "The value of each spike.", _packed(values), ends)
    return Units(
        name="units",
        description=f"Neurons of a simulated network. {_TIME}" + "".join(f" {n}." for n in content.sampled_notes()),
        id=ElementIdentifiers(name="id", data=np.arange(len(counts))),
        columns=columns,
        colnames=[column.name for column in columns if not isinstance(column, VectorIndex)],
        resolution=min(train.dt for train in content.trains) / 1000,
    )


def _sorted_by_unit(
    content: Content, ends: NDArray[np.int64], room: Any, progress: Progress
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    """The times in s, and the values where any layer has some, unit after unit: a counting sort on the disk."""
    n, graded = int(ends[-1]), any(train.values for train in content.trains)
    if not n:
        return np.zeros(0), np.zeros(0, np.float32) if graded else None
    at = np.memmap(room, np.float64, "w+", shape=(n,))
    values = np.memmap(room, np.float32, "r+", offset=8 * n, shape=(n,)) if graded else None
    filled = np.concatenate(([0], ends[:-1]))
    first = _first_units(content.trains)
    for train, batch in content.batches(progress):
        spikes = batch.spikes
        unit = first[train.node, train.layer] + spikes.samples() * len(train.neurons)
        unit += np.searchsorted(train.neurons, spikes.ids)
        order = np.argsort(unit, kind="stable")
        found, begin, count = np.unique(unit[order], return_index=True, return_counts=True)
        place = np.repeat(filled[found] - begin, count) + np.arange(len(unit))
        at[place] = _seconds(batch, train.dt)[order]
        if values is not None:
            values[place] = spikes.values()[order]
        filled[found] += count
    return at, values


def _first_units(trains: Sequence[Train]) -> dict[tuple[str, str], int]:
    """The number of the first unit of each layer."""
    sizes = [len(train.neurons) * train.n_samples for train in trains]
    starts = np.concatenate(([0], np.cumsum(sizes)))
    return {(train.node, train.layer): int(start) for train, start in zip(trains, starts, strict=False)}


def _seconds(batch: SpikeBatch, dt: float) -> NDArray[np.float64]:
    return times(batch.spikes.grid.step.astype(np.int64) + batch.start, dt) / 1000


def _packed(data: NDArray[Any]) -> H5DataIO:
    """A long column, compressed, written block by block."""

    def blocks() -> Iterator[NDArray[Any]]:
        for begin in range(0, len(data), _BLOCK):
            yield data[begin : begin + _BLOCK]

    if not len(data):
        return data
    return H5DataIO(Blocks(blocks, data.shape, data.dtype), compression="gzip", compression_opts=4, shuffle=True)


def _ragged(name: str, description: str, data: Any, ends: NDArray[np.int64]) -> list[Any]:
    column = VectorData(name=name, description=description, data=data)
    # hdmf looks for the target of an index after it, where the target is a stream.
    return [VectorIndex(name=f"{name}_index", data=ends, target=column), column]


def _intervals(runs: Sequence[Run], dt: float) -> NDArray[np.float64]:
    return np.array([[times(run.start, dt), times(run.stop, dt)] for run in runs]) / 1000


def _runs(content: Content) -> TimeIntervals:
    rows = [(train, k, run) for train in content.trains for k, run in enumerate(train.runs)]
    rows.sort(key=lambda row: row[0].dt * row[2].start)
    columns = {
        "start_time": ("Beginning of the run in s.", [times(run.start, train.dt) / 1000 for train, _, run in rows]),
        "stop_time": ("End of the run in s.", [times(run.stop, train.dt) / 1000 for train, _, run in rows]),
        "node": ("The node of the network.", [train.node for train, _, _ in rows]),
        "layer": ("The layer of the node.", [train.layer for train, _, _ in rows]),
        "run": ("The number of the run in the layer.", [k for _, k, _ in rows]),
        "n_samples": ("How many samples the run has.", [run.n_samples for _, _, run in rows]),
    }
    return TimeIntervals(
        name="runs",
        description=f"The stretches in which each layer was recorded, one a run of the network. {_TIME}",
        columns=[VectorData(name=name, description=text, data=data) for name, (text, data) in columns.items()],
        colnames=list(columns),
        id=list(range(len(rows))),
    )


def _time_series(content: Content, signal: Signal, sample: int, step: NDArray[np.int64]) -> TimeSeries:
    """The potentials of one sample, (steps, neurons): at a rate where the kept steps are evenly spaced."""
    n = int(np.prod(signal.shape))

    def blocks() -> Iterator[NDArray[np.float32]]:
        for batch in content.session.values(signal.node, signal.layer, signal.variable):
            if batch.n_samples > sample and len(batch.step):
                yield batch.values[:, sample].reshape(-1, n)

    apart = np.unique(np.diff(step))
    settings: dict[str, Any] = {"timestamps": times(step, signal.dt) / 1000}
    if len(apart) == 1:
        settings = {"starting_time": float(step[0] * signal.dt / 1000), "rate": 1000 / (int(apart[0]) * signal.dt)}
    what = "Membrane potential" if signal.variable == "v" else f"The observable {signal.variable}"
    about = {"node": signal.node, "layer": signal.layer, "variable": signal.variable, "sample": sample}
    return TimeSeries(
        name=f"{signal.variable}|{signal.node}|{signal.layer}|{sample}",
        description=f"{what} of each neuron of {signal.name}, sample {sample}. {_TIME}",
        comments=json.dumps({**about, "shape": signal.shape, "dt_ms": signal.dt}),
        data=H5DataIO(Blocks(blocks, (len(step), n), np.float32), compression="gzip", compression_opts=4, shuffle=True),
        unit="n.a.",
        **settings,
    )


def _weights(content: Content) -> DynamicTable:
    """One row a snapshot; the numbers are ragged, as shapes differ."""
    shots = [
        (node, name, shot.t, shot.weights.shape)
        for node, name in content.weights
        for shot in content.session.weights(node, name)
    ]
    kinds = {s.weights.dtype for node, name in content.weights for s in content.session.weights(node, name)}

    def blocks() -> Iterator[NDArray[Any]]:
        for node, name in content.weights:
            for shot in content.session.weights(node, name):
                if shot.weights.size:
                    yield shot.weights.ravel()

    sizes = np.array([int(np.prod(shape)) for *_, shape in shots])
    data = Blocks(blocks, (int(sizes.sum()),), np.result_type(*kinds))
    columns = [
        VectorData(name="time", description="When, in s of simulated time.", data=[t / 1000 for _, _, t, _ in shots]),
        VectorData(name="node", description="The node of the network.", data=[node for node, *_ in shots]),
        VectorData(name="connection", description="What the weights belong to.", data=[name for _, name, *_ in shots]),
        *_ragged("shape", "The shape of the weights.", np.concatenate([np.array(s, int) for *_, s in shots]),
                 np.cumsum([len(shape) for *_, shape in shots])),
        *_ragged("weights", "The weights in C order.", H5DataIO(data, compression="gzip", shuffle=True),
                 np.cumsum(sizes)),
    ]  # fmt: skip
    return DynamicTable(
        name="weights",
        description="Snapshots of weights.",
        id=list(range(len(shots))),
        columns=columns,
        colnames=["time", "node", "connection", "shape", "weights"],
    )


def _control(content: Content) -> DynamicTable:
    """One row a control state; its metadata is ragged, as every state has names of its own."""
    texts = {
        "node_id": "The node.",
        "module_type": "What kind of node it is.",
        "status": "Its status.",
        "active_task": "Its task; empty for none.",
    }
    states, unknown = content.control, float("nan")
    columns = [
        VectorData(name=name, description=text, data=[str(state.get(name) or "") for state in states])
        for name, text in texts.items()
    ]
    numbers = {
        "time": (
            "When, in s of simulated time; NaN if not told.",
            [s.get("t", unknown) / 1000 for s in states],
        ),
        "timestamp": ("Seconds since 1970 by the clock on the wall.", [float(s["timestamp"]) for s in states]),
        "step_count": ("Its step.", [float(s["step_count"]) for s in states]),
    }
    columns += [VectorData(name=name, description=text, data=data) for name, (text, data) in numbers.items()]
    more = [_leaves(state.get("metadata"), "") for state in content.control]
    ends = np.cumsum([len(leaves) for leaves in more])
    if ends[-1]:
        keys, values = zip(*(leaf for leaves in more for leaf in leaves), strict=True)
        columns += _ragged("metadata_name", "The names of further values of the state.", list(keys), ends)
        columns += _ragged("metadata_value", "Those values, as JSON.", list(values), ends)
    return DynamicTable(
        name="control_states",
        description="The control states of the nodes.",
        id=list(range(len(content.control))),
        columns=columns,
        colnames=[column.name for column in columns if not isinstance(column, VectorIndex)],
    )


def _leaves(value: Any, name: str) -> list[tuple[str, str]]:
    """The values of nested mappings with their names, joined by dots."""
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in _leaves(part, f"{name}.{key}" if name else str(key))]
    return [(name, json.dumps(value, ensure_ascii=False))] if name else []


_TABLES = (("weights", _weights), ("control", _control))

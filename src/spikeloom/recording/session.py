"""A recorded session, read back; it may still be growing, or have been left behind by a process that died."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import h5py
from numpy.typing import NDArray

from ..errors import DataError, UnknownNameError
from ..registry import did_you_mean
from ..spikes import Spikes
from .batches import MembraneBatch, Run, SpikeBatch, runs_of
from .layout import node_file, node_names, read_control_states
from .reading import (
    datasets,
    member,
    members,
    number,
    read_array,
    read_json,
    read_membrane,
    read_sampling,
    read_spikes,
    subgroup,
)
from .sampling import Sampling


class Snapshot(NamedTuple):
    """Weights, of any shape, as they were at a model time in ms."""

    t: float
    weights: NDArray[Any]


class Session:
    """The reader of a session folder; a context manager.

    Files are opened without locks, so that a recorder may still be writing them; `Session` sees what had been flushed
    when a node was first asked for. Nothing in a file is trusted: DataError says what is wrong with it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not node_names(self.path) and not any(self.path.glob("control_states*.jsonl")):
            inside = self.path / "session"
            hint = f"; the session of this run is {inside}" if node_names(inside) else ""
            raise DataError(f"Session.path must be a recorded session with nodes/<node>.h5, got {self.path}{hint}")
        self._files: dict[str, h5py.File] = {}
        self._open = ExitStack()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files."""
        self._open.close()
        self._files.clear()

    @property
    def title(self) -> str:
        """What the session is called: by the run that it was recorded in, else by its folder."""
        names = sorted({str(m["run"]) for node in self.nodes() if "run" in (m := self.metadata(node))})
        return f"Run {', '.join(names)}" if names else f"Session {self.path.resolve().name}"

    def nodes(self) -> list[str]:
        """The nodes that recorded spikes, potentials or weights, sorted."""
        return node_names(self.path)

    def layers(self, node: str, kind: str = "spikes") -> list[str]:
        """The layers of a node with recorded 'spikes', 'membrane' or 'weights', sorted."""
        group = subgroup(self._file(node), kind, node)
        return [] if group is None else members(group)

    def spikes(self, node: str, layer: str) -> Iterator[SpikeBatch]:
        """The batches of a layer's spikes in the order of model time, read one by one."""
        group = self._layer("spikes", node, layer)
        offsets = subgroup(self._file(node), "offsets", node, layer)
        batches = (read_spikes(data, offsets) for data in datasets(group))
        return _in_order(batches, f"{node}/{layer}")

    def sampling(self, node: str, layer: str) -> Sampling:
        """How the spikes of a layer were thinned."""
        batches = datasets(self._layer("spikes", node, layer))
        neurons = subgroup(self._file(node), "sampled_neurons", node)
        return read_sampling(batches[0], neurons) if batches else Sampling()

    def train(self, node: str, layer: str, sample: int = 0) -> Spikes:
        """All recorded spikes of one sample of a layer, from step 0 of its clock to the last one recorded: B = 1.

        What was not recorded has no spikes; `runs` says which stretches were.
        """
        batches = list(self.spikes(node, layer))
        least = min((batch.n_samples for batch in batches), default=0)
        if not 0 <= sample < least:
            raise DataError(f"{node}/{layer}: sample must be in 0..{least - 1} to be in every window, got {sample}")
        if batches[-1].start * prod(batches[-1].shape) >= 1 << 61:
            raise DataError(f"{node}/{layer}: a batch at step {batches[-1].start} lies too far from the others")
        return SpikeBatch.joined([replace(batch, spikes=batch.spikes[sample]) for batch in batches], 0).spikes

    def runs(self, node: str, layer: str) -> list[Run]:
        """The stretches of a layer's clock in which spikes were recorded: one for each run of the network."""
        return runs_of(self.spikes(node, layer))

    def membrane(self, node: str, layer: str) -> Iterator[MembraneBatch]:
        """The batches of a layer's membrane potentials in the order of model time, read one by one."""
        batches = (read_membrane(data) for data in datasets(self._layer("membrane", node, layer)))
        return _in_order(batches, f"{node}/{layer}")

    def weights(self, node: str, layer: str) -> Iterator[Snapshot]:
        """The snapshots of weights in the order in which they were taken."""
        for data in datasets(self._layer("weights", node, layer)):
            yield Snapshot(number(data, "t_start"), read_array(data, "biuf"))

    def metadata(self, node: str) -> dict[str, Any]:
        """The settings recorded with a node, among them `config` and what the network said of itself."""
        group = subgroup(self._file(node), "metadata")
        return {} if group is None else {name: read_json(member(group, name)) for name in members(group)}

    def control_states(self) -> list[dict[str, Any]]:
        """The control states of all nodes in the order of their timestamps."""
        return read_control_states(self.path)

    def statistics(self) -> dict[str, Any]:
        """What recording_statistics.json says; empty while the recorder has not been closed."""
        path = self.path / "recording_statistics.json"
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} must be JSON: {error}") from error
        if not isinstance(found, dict):
            raise DataError(f"{path} must hold a mapping, got {type(found).__name__}")
        return found

    def _file(self, node: str) -> h5py.File:
        if node not in self._files:
            known = self.nodes()
            if node not in known:
                raise UnknownNameError(
                    f"unknown node {node!r}{did_you_mean(str(node), known)} Recorded: {_list(known)}"
                )
            path = node_file(self.path, node)
            # HDF5 opens a file object without its own locks, which would also refuse a writer in this process.
            handle = self._open.enter_context(path.open("rb"))
            try:
                self._files[node] = self._open.enter_context(h5py.File(handle, "r"))
            except (OSError, RuntimeError) as error:
                raise DataError(
                    f"{path} cannot be read as HDF5: it is damaged or was cut off; copy it anew, or record again"
                ) from error
        return self._files[node]

    def _layer(self, kind: str, node: str, layer: str) -> h5py.Group:
        group = subgroup(self._file(node), kind, node, layer)
        if group is None:
            known = self.layers(node, kind)
            hint = did_you_mean(str(layer), known)
            raise UnknownNameError(f"node {node!r} has no {kind} of layer {layer!r}{hint} Recorded: {_list(known)}")
        return group


B = TypeVar("B", SpikeBatch, MembraneBatch)


def _in_order(batches: Iterator[B], owner: str) -> Iterator[B]:
    """The batches; DataError unless each begins where the one before ended or later, with its dt and shape.

    A full disk leaves gaps.
    """
    end, dt, shape = 0, None, None
    for batch in batches:
        if batch.start < end or (batch.dt, batch.shape) != (dt or batch.dt, shape or batch.shape):
            raise DataError(
                f"{owner}: a batch must begin at step {end} or later, with dt {dt} and shape {shape}, "
                f"got step {batch.start}, dt {batch.dt} and shape {batch.shape}"
            )
        end, dt, shape = batch.start + batch.n_steps, batch.dt, batch.shape
        yield batch


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"

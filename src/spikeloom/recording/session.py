"""A recorded session, read back; it may still be growing, or have been left behind by a process that died."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf, prod
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from numpy.typing import NDArray

from ..errors import DataError, ParameterError, UnknownNameError
from ..registry import did_you_mean
from ..spikes import Spikes
from ..units import times
from .batches import MembraneBatch, Run, SpikeBatch, runs_of
from .layout import OWN_KINDS, nanoseconds, node_names, observable_path, read_control_states
from .node_files import NodeFiles, listed
from .reading import (
    Stored,
    Stretch,
    member,
    members,
    reaching_into,
    read_array,
    read_json,
    read_membrane,
    read_sampling,
    read_spikes,
    read_stretch,
    subgroup,
)
from .sampling import Sampling
from .statistics import RecorderState, joined, read_joined, read_recorders

R = TypeVar("R")
B = TypeVar("B", SpikeBatch, MembraneBatch, Stretch)
C = TypeVar("C", SpikeBatch, MembraneBatch)


class Snapshot(NamedTuple):
    """Weights, of any shape, as they were at a model time in ms."""

    t: float
    weights: NDArray[Any]


class Extent(NamedTuple):
    """How far a layer's clock was recorded: the step behind the last recorded one, and dt in ms."""

    n_steps: int
    dt: float


def is_session(path: Path) -> bool:
    """Whether a folder is a recorded session, be it that only its recorder has begun."""
    parts = ("control_states*.jsonl", "recording_statistics.*.json")
    return bool(node_names(path)) or any(next(path.glob(part), None) is not None for part in parts)


def sessions_in(folder: str | Path) -> list[Path]:
    """The recorded sessions in a folder, sorted; DataError when it is no folder."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"sessions_in: folder must be a folder with recorded sessions, got {folder}")
    return sorted(path for path in folder.iterdir() if path.is_dir() and is_session(path))


class Session:
    """The reader of a session folder; a context manager.

    Files are opened without locks, so that a recorder may still be writing them; `Session` sees what had been flushed
    when a node was first asked for. Nothing in a file is trusted: DataError says what is wrong with it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not is_session(self.path):
            inside = self.path / "session"
            hint = f"; the session of this run is {inside}" if node_names(inside) else ""
            raise DataError(f"Session.path must be a recorded session with nodes/<node>.h5, got {self.path}{hint}")
        self._files = NodeFiles(self.path)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files."""
        self._files.close()

    @property
    def title(self) -> str:
        """What the session is called: by the run that it was recorded in, else by its folder."""
        names = sorted({str(m["run"]) for node in self.nodes() if "run" in (m := self.metadata(node))})
        return f"Run {', '.join(names)}" if names else f"Session {self.path.resolve().name}"

    def nodes(self) -> list[str]:
        """The nodes that recorded spikes, potentials or weights, sorted."""
        return node_names(self.path)

    def layers(self, node: str, kind: str = "spikes") -> list[str]:
        """The layers of a node with recorded 'spikes', 'membrane', 'weights' or other 'variables', sorted."""

        def read() -> list[str]:
            self._files.file(node)
            group = self._files.group(node, kind)
            return [] if group is None else members(group)

        return self._files.read(node, read)

    def observables(self, node: str, layer: str) -> list[str]:
        """What was recorded of a layer over time: 'spikes', 'v', and others by name; none of a layer that is not there.

        `values` gives all but the spikes.
        """

        def read() -> list[str]:
            self._files.file(node)
            own = [name for name, kind in OWN_KINDS.items() if self._files.group(node, kind, layer) is not None]
            others = self._files.group(node, "variables", layer)
            return own if others is None else own + members(others)

        return self._files.read(node, read)

    def spikes(self, node: str, layer: str, begin: int | None = None, end: int | None = None) -> Iterator[SpikeBatch]:
        """The batches of a layer's spikes in the order of model time, read one by one.

        Of steps `begin` (0) to `end` (the last) only; batches outside of them are not read.
        """

        def read(data: Stored) -> SpikeBatch:
            return read_spikes(data, self._files.group(node, "offsets", layer))

        return _within(self._batches(node, layer, "spikes", read, begin, end), begin, end)

    def membrane(
        self, node: str, layer: str, begin: int | None = None, end: int | None = None
    ) -> Iterator[MembraneBatch]:
        """The batches of a layer's membrane potentials in the order of model time, as `spikes` gives those."""
        return self.values(node, layer, "v", begin, end)

    def values(
        self, node: str, layer: str, observable: str, begin: int | None = None, end: int | None = None
    ) -> Iterator[MembraneBatch]:
        """The batches of an observable of a layer other than its spikes, as `spikes` gives those."""
        return _within(self._batches(node, layer, observable, read_membrane, begin, end), begin, end)

    def train(self, node: str, layer: str, sample: int = 0, begin: int | None = None, end: int | None = None) -> Spikes:
        """All recorded spikes of one sample of a layer, B = 1, from step `begin` (0) of its clock to step `end`.

        It ends with the last step that was recorded. What was not recorded has no spikes; `runs` says which stretches
        were.
        """
        batches = list(self.spikes(node, layer, begin, end))
        least = min((batch.n_samples for batch in batches), default=0)
        if not 0 <= sample < least:
            raise DataError(f"{node}/{layer}: sample must be in 0..{least - 1} to be in every window, got {sample}")
        if batches[-1].start * prod(batches[-1].shape) >= 1 << 61:
            raise DataError(f"{node}/{layer}: a batch at step {batches[-1].start} lies too far from the others")
        return SpikeBatch.joined([replace(batch, spikes=batch.spikes[sample]) for batch in batches], begin or 0).spikes

    def sampling(self, node: str, layer: str) -> Sampling:
        """How the spikes of a layer were thinned."""

        def read() -> Sampling:
            names = self._names(node, layer, "spikes")[:1]
            neurons = self._files.group(node, "sampled_neurons")
            return read_sampling(self._stored(node, layer, "spikes", names[0]), neurons) if names else Sampling()

        return self._files.read(node, read)

    def runs(self, node: str, layer: str, observable: str = "spikes") -> list[Run]:
        """The stretches of a layer's clock in which an observable was recorded: one for each run of the network."""
        return runs_of(self.stretches(node, layer, observable))

    def extent(self, node: str, layer: str, observable: str = "spikes") -> Extent:
        """How far an observable of a layer was recorded; no data is read."""

        def read() -> Extent:
            names = self._names(node, layer, observable)[-1:]
            if not names:
                return Extent(0, 1.0)
            data = self._stored(node, layer, observable, names[0])
            last = read_stretch(data, self._files.group(node, "offsets", layer))
            return Extent(last.stop, last.dt)

        return self._files.read(node, read)

    def stretches(self, node: str, layer: str, observable: str = "spikes") -> Iterator[Stretch]:
        """What the batches of an observable state of themselves, in the order of model time; no data is read."""

        def read(data: Stored) -> Stretch:
            return read_stretch(data, self._files.group(node, "offsets", layer))

        return self._batches(node, layer, observable, read)

    def weights(self, node: str, layer: str) -> Iterator[Snapshot]:
        """The snapshots of weights in the order in which they were taken, read one by one."""

        def read(data: Stored) -> Snapshot:
            return Snapshot(data.number("t_start"), read_array(data.dataset, "biuf"))

        return self._members(node, layer, "weights", read)

    def weight_times(self, node: str, layer: str) -> list[float]:
        """The model times in ms at which weights were taken; no weights are read."""
        return list(self._members(node, layer, "weights", lambda data: data.number("t_start")))

    def metadata(self, node: str) -> dict[str, Any]:
        """The settings recorded with a node, among them `config` and what the network said of itself."""

        def read() -> dict[str, Any]:
            group = subgroup(self._files.file(node), "metadata")
            return {} if group is None else {name: read_json(member(group, name)) for name in members(group)}

        return self._files.read(node, read)

    def control_states(self) -> list[dict[str, Any]]:
        """The control states of all nodes in the order of model time, step and time of the clock on the wall."""
        return read_control_states(self.path)

    def recorders(self) -> list[RecorderState]:
        """What each recorder last said of itself, in the order in which they started; none in sessions of format 1.

        What those that did not close have written is counted in their files.
        """
        return [part if part.state == "closed" else self._as_written(part) for part in read_recorders(self.path)]

    @property
    def is_live(self) -> bool:
        """Whether a process of this machine is recording into the session."""
        return any(part.is_live for part in read_recorders(self.path))

    def statistics(self) -> dict[str, Any]:
        """The counts of all recorders together, why recording stopped, and what each recorder said of itself.

        Empty in a session of format 1 whose recorder did not close.
        """
        recorders = self.recorders()
        return joined(self.path.resolve().name, recorders) if recorders else read_joined(self.path)

    def _as_written(self, part: RecorderState) -> RecorderState:
        written: dict[str, dict[str, int]] = {}
        sizes = {"spikes": 0, "v": 0}
        for node in [node for node in part.nodes if node in self.nodes()]:
            for name, kind in OWN_KINDS.items():
                for layer in self.layers(node, kind):
                    stretches = list(self.stretches(node, layer, name))
                    sizes[name] += sum(stretch.size for stretch in stretches)
                    written.setdefault(node, {})[layer] = max((stretch.stop for stretch in stretches), default=0)
        counts = {"total_spikes_recorded": sizes["spikes"], "total_membrane_values": sizes["v"]}
        return replace(part, steps=written, counts={**part.counts, **counts})

    def _batches(
        self,
        node: str,
        layer: str,
        observable: str,
        read: Callable[[Stored], B],
        begin: int | None = None,
        end: int | None = None,
    ) -> Iterator[B]:
        """What is read of the batches of an observable that reach into [begin, end), one by one, each checked."""
        if not (begin or 0) >= 0 or not (end is None or end >= (begin or 0)):
            raise ParameterError(f"{node}/{layer}: begin and end must be steps 0 <= begin <= end, got {begin}, {end}")
        dt = self.extent(node, layer, observable).dt if begin or end is not None else 1.0
        last = inf if end is None else nanoseconds(times(end, dt))
        found = self._members(node, layer, observable, read, nanoseconds(times(begin or 0, dt)), last)
        return _in_order(found, f"{node}/{layer}")

    def _members(
        self,
        node: str,
        layer: str,
        observable: str,
        read: Callable[[Stored], R],
        begin: int = 0,
        end: float = inf,
    ) -> Iterator[R]:
        """What is read of the data sets of an observable in [begin, end) ns, one by one."""

        def read_one(name: str) -> R:
            return self._files.read(node, lambda: read(self._stored(node, layer, observable, name)))

        names = self._files.read(node, lambda: self._names(node, layer, observable))
        return map(read_one, reaching_into(names, begin, end))

    def _names(self, node: str, layer: str, observable: str) -> list[str]:
        path = self._path(node, layer, observable)
        return self._files.batches(*path)

    def _stored(self, node: str, layer: str, observable: str, name: str) -> Stored:
        return self._files.stored(name, *self._path(node, layer, observable))

    def _path(self, node: str, layer: str, observable: str) -> tuple[str, ...]:
        """Where an observable of a layer, or its 'weights', lie; UnknownNameError when they do not."""
        path = observable_path(node, layer, observable)
        if self._files.group(*path) is not None:
            return path
        if path[1] == "variables" and (known := self.observables(node, layer)):
            hint = did_you_mean(str(observable), known)
            raise UnknownNameError(f"{node}/{layer} has no {observable!r}{hint} Recorded: {listed(known)}")
        known = self.layers(node, path[1])
        hint = did_you_mean(str(layer), known)
        raise UnknownNameError(f"node {node!r} has no {path[1]} of layer {layer!r}{hint} Recorded: {listed(known)}")


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


def _within(batches: Iterator[C], begin: int | None, end: int | None) -> Iterator[C]:
    """What of the batches lies in steps [begin, end)."""
    for batch in batches:
        first, last = max(batch.start, begin or 0), batch.start + batch.n_steps
        if end is not None and end < last:
            batch, last = batch.first(max(0, end - batch.start)), end
        if first < last:
            yield batch if first == batch.start else batch.after(first - batch.start)

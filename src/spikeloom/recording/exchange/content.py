"""What of a session is exported: its layers as they are described beside the data, read window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError
from ..batches import Run, SpikeBatch, runs_of
from ..consolidate import Progress
from ..sampling import Sampling
from ..session import Session


@dataclass(frozen=True)
class Train:
    """The spikes of one layer: its clock (dt in ms, runs in steps), population shape and how it was thinned.

    counts (samples, n_neurons): spikes of each neuron in each sample; values: 'int8' or 'float32' where spikes have
    any.
    """

    node: str
    layer: str
    shape: tuple[int, ...]
    dt: float
    runs: tuple[Run, ...]
    sampling: Sampling
    counts: NDArray[np.int64]
    values: str | None

    @property
    def name(self) -> str:
        return f"{self.node}/{self.layer}"

    @property
    def n_neurons(self) -> int:
        return prod(self.shape)

    @property
    def n_samples(self) -> int:
        """The greatest number of samples of a run."""
        return max(run.n_samples for run in self.runs)

    @property
    def neurons(self) -> NDArray[np.int64]:
        """The neurons that were recorded."""
        return np.arange(self.n_neurons) if self.sampling.neurons is None else self.sampling.neurons

    def runs_of(self, sample: int) -> list[Run]:
        """The runs that have this sample."""
        return [run for run in self.runs if run.n_samples > sample]

    def describe(self) -> dict[str, Any]:
        """All but the spikes, in plain values: what a file keeps beside them."""
        sampling = self.sampling
        return {
            "node": self.node,
            "layer": self.layer,
            "shape": list(self.shape),
            "dt_ms": self.dt,
            "runs": [list(run) for run in self.runs],
            "sampling": sampling.mode,
            "rate": sampling.rate,
            "sampled_neurons": None if sampling.neurons is None else sampling.neurons.tolist(),
            "values": self.values,
        }


@dataclass(frozen=True)
class Signal:
    """The values of an observable of one layer, 'v' for potentials: its clock, population shape, and the steps of the
    clock that have values."""

    node: str
    layer: str
    variable: str
    shape: tuple[int, ...]
    dt: float
    runs: tuple[Run, ...]
    step: NDArray[np.int64]

    @property
    def name(self) -> str:
        return f"{self.node}/{self.layer}"

    @property
    def n_samples(self) -> int:
        """The greatest number of samples of a run."""
        return max(run.n_samples for run in self.runs)

    def steps_of(self, sample: int) -> NDArray[np.int64]:
        """The steps that have values of a sample."""
        samples = np.array([run.n_samples for run in self.runs])
        return self.step[samples[per_run(self.runs, self.step)] > sample]


@dataclass(frozen=True)
class Content:
    """What of a session is exported, and the session, whose batches are read one by one."""

    session: Session
    trains: tuple[Train, ...]
    signals: tuple[Signal, ...]
    weights: tuple[tuple[str, str], ...]
    control: tuple[dict[str, Any], ...]
    start: datetime

    @property
    def n_spikes(self) -> int:
        return sum(int(train.counts.sum()) for train in self.trains)

    def describe(self) -> dict[str, Any]:
        """The description that files keep beside the data."""
        return {
            "spikeloom_exchange": 1,
            "session": self.session.path.resolve().name,
            "started": self.start.timestamp(),
            "layers": [train.describe() for train in self.trains],
            "metadata": {node: self.session.metadata(node) for node in self.session.nodes()},
        }

    def batches(self, progress: Progress) -> Iterator[tuple[Train, SpikeBatch]]:
        """All batches of spikes, layer by layer in the order of time."""
        done, total = 0, max(1, self.n_spikes)
        for train in self.trains:
            for batch in self.session.spikes(train.node, train.layer):
                yield train, batch
                done += batch.size
                progress(done / total)

    def sampled_notes(self) -> list[str]:
        """A line for each layer of which only a part was recorded, which other programs do not correct for."""
        return [
            f"{t.name} holds a part of its spikes (mode {t.sampling.mode}, rate {t.sampling.rate:g}): "
            "other programs do not correct for that"
            for t in self.trains
            if t.sampling.mode != "all"
        ]


def survey(session: Session, kinds: Iterable[str], start: datetime | None) -> Content:
    """What the kinds of a session are, after one reading of its spikes; layers without a batch are left out."""
    chosen, nodes = set(kinds), session.nodes()
    trains = [_train(session, n, x) for n in nodes for x in session.layers(n)] if "spikes" in chosen else []
    wanted = [("membrane", n, x, "v") for n in nodes for x in session.layers(n, "membrane")]
    wanted += [
        ("variables", n, x, name)
        for n in nodes
        for x in session.layers(n, "variables")
        for name in session.observables(n, x)
        if name not in ("spikes", "v")
    ]
    signals = [_signal(session, *about) for kind, *about in wanted if kind in chosen]
    weights = [(n, x) for n in nodes for x in session.layers(n, "weights")] if "weights" in chosen else []
    control = session.control_states() if "control" in chosen else []
    if any(abs(state["step_count"]) >= 1 << 53 for state in control):
        raise DataError(f"{session.path}: the step_count of a control state must be a step")
    return Content(
        session,
        tuple(t for t in trains if t is not None),
        tuple(s for s in signals if s is not None),
        tuple(weights),
        tuple(control),
        _start(session, start),
    )


def kinds_in(session: Session) -> list[str]:
    """The kinds of which a session has something."""
    kinds = ("spikes", "membrane", "weights", "variables")
    found = [kind for kind in kinds if any(session.layers(node, kind) for node in session.nodes())]
    return [*found, "control"] if session.control_states() else found


def per_run(runs: tuple[Run, ...], step: NDArray[Any]) -> NDArray[np.int64]:
    """The number of the run that each step of a layer's clock lies in."""
    return np.searchsorted([run.start for run in runs], step, side="right") - 1


def _train(session: Session, node: str, layer: str) -> Train | None:
    counts, values, last = np.zeros((0, 1), np.int64), None, None
    for batch in session.spikes(node, layer):
        found = batch.spikes.counts().reshape(batch.n_samples, -1)
        total = np.zeros((max(len(counts), len(found)), found.shape[1]), np.int64)
        total[: len(counts)] += counts
        total[: len(found)] += found
        counts, last = total, batch
        if batch.spikes.value is not None:
            values = "float32" if "float32" in (values, batch.spikes.value.dtype.name) else "int8"
    if last is None:
        return None
    runs, sampling = tuple(session.runs(node, layer)), session.sampling(node, layer)
    if sampling.neurons is not None and counts.sum() != counts[:, sampling.neurons].sum():
        raise DataError(f"{node}/{layer}: spikes must be of the neurons that were sampled, got others")
    return Train(node, layer, last.shape, last.dt, runs, sampling, counts, values)


def _signal(session: Session, node: str, layer: str, variable: str) -> Signal | None:
    batches = [
        replace(batch, values=np.empty((0, *batch.values.shape[1:]), np.float32))
        for batch in session.values(node, layer, variable)
    ]
    if not batches:
        return None
    runs, at = tuple(runs_of(batches)), np.concatenate([batch.step + batch.start for batch in batches])
    return Signal(node, layer, variable, batches[0].shape, batches[0].dt, runs, at)


def _start(session: Session, given: datetime | None) -> datetime:
    """When the recording began by the clock on the wall."""
    if given is not None:
        if given.tzinfo is None:
            raise ParameterError(f"export.session_start_time must have a time zone, got {given!r}")
        return given
    said = [session.metadata(node).get("imported") for node in session.nodes()]
    stamps: list[Any] = [about.get("started") for about in said if isinstance(about, dict)]
    if not any(map(is_wall_time, stamps)):
        stamps = [part.started for part in session.recorders()]
        stamps += [float(state["timestamp"]) for state in session.control_states()]
        stamps += [path.stat().st_mtime for path in (session.path / "nodes").glob("*.h5")]
    return datetime.fromtimestamp(min(filter(is_wall_time, stamps), default=0.0), UTC)


def is_wall_time(stamp: Any) -> bool:
    """Whether a value found in a file can be seconds since 1970."""
    return isinstance(stamp, (int, float)) and 0 <= stamp < 1 << 37

"""A new session folder that an import fills: there wholly at the end, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError, StorageError
from ...spikes import Spikes
from ...spikes.container import Collisions
from ..batches import MembraneBatch, Run, SpikeBatch
from ..config import RecorderConfig
from ..consolidate import Progress
from ..layout import check_name, is_name, write_links
from ..sampling import Sampling
from ..statistics import StatisticsPart
from ..writing import NodeWriter
from .content import is_wall_time

_MOST_STEPS = 1 << 31
_BATCH_STEPS = 1000
_MOST_BATCHES = 1000
"""Of one layer, as far as its runs meet: what lasts long is written in longer batches."""
_MOST_NODES = 1000
_MOST_OFFSETS = 1 << 26
_BATCH_BYTES = 1 << 16
_MOST_STAGED = 1 << 23
"""Batches are written together until they take so many bytes, each of them `_BATCH_BYTES` besides its data."""
_CONFIG = RecorderConfig(enable_recording=True, record_membrane=True, record_weights=True)


@dataclass(frozen=True)
class Clock:
    """Where the spikes of a layer lie: population shape, dt in ms, the runs that were recorded, how it was thinned.

    values: 'int8' or 'float32' where spikes have any.
    """

    node: str
    layer: str
    shape: tuple[int, ...]
    dt: float
    runs: tuple[Run, ...]
    sampling: Sampling = field(default_factory=Sampling)
    values: str | None = None

    @property
    def name(self) -> str:
        return f"{self.node}/{self.layer}"

    @property
    def n_recorded(self) -> int:
        """How many neurons were recorded."""
        return prod(self.shape) if self.sampling.neurons is None else len(self.sampling.neurons)


@dataclass(frozen=True)
class ImportReport:
    """The session that was made, and what was assumed where the file did not say it."""

    path: Path
    format: str
    n_spikes: int
    n_values: int
    notes: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.path}: {self.n_spikes} spikes and {self.n_values} potentials from {self.format}"
        return "\n".join([head, *(f"  {note}" for note in self.notes)])


@dataclass
class Import:
    """A session that is being made from a file: its writers by node, what was counted, and what was assumed.

    dt, membrane_dt and collisions are what the caller stated about the file; started, in seconds since 1970, is when
    the recording began by the clock on the wall, where the file says so.
    """

    folder: Path
    progress: Progress
    dt: float | None = None
    membrane_dt: float | None = None
    collisions: Collisions = "error"
    started: float | None = None
    n_spikes: int = 0
    n_values: int = 0
    n_snapshots: int = 0
    staged: int = 0
    steps: dict[str, dict[str, int]] = field(default_factory=dict)
    ends: dict[tuple[str, str, str], int] = field(default_factory=dict)
    gaps: dict[str, dict[str, dict[str, list[tuple[int, int]]]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    writers: dict[str, NodeWriter] = field(default_factory=dict)

    def writer(self, node: str) -> NodeWriter:
        """The writer of a node."""
        if node not in self.writers:
            if len(self.writers) == _MOST_NODES:
                raise DataError(f"import_session: a file must have at most {_MOST_NODES} nodes, got more; split it")
            self.writers[node] = NodeWriter(self.folder, check_name(node, "import_session: the node"), _CONFIG)
        return self.writers[node]

    def spikes(
        self,
        clock: Clock,
        step: NDArray[Any],
        ids: NDArray[Any],
        samples: NDArray[Any] | None = None,
        values: NDArray[Any] | None = None,
    ) -> None:
        """Writes the spikes of a layer, in any order, with `step` on its clock: those of each run with its run."""
        samples = np.zeros(len(step), np.int64) if samples is None else samples
        order = np.argsort(step, kind="stable")
        step, ids, samples = step[order], ids[order], samples[order]
        values = None if values is None else values[order]
        borders = np.searchsorted(step, [border for run in clock.runs for border in run[:2]])
        if np.any(borders[2::2] != borders[1:-1:2]) or borders[0] or borders[-1] != len(step):
            raise DataError(f"{clock.name}: every spike must lie in a recorded run, got some outside")
        n_offsets = 0
        for start, stop, n_samples, windows in _pieces(clock.runs):
            n_offsets += n_samples + 1
            if n_offsets > _MOST_OFFSETS:
                raise DataError(f"{clock.name} claims too many samples in {len(clock.runs)} runs: {n_samples} in one")
            a, b = np.searchsorted(step, [start, stop])
            spikes = Spikes.from_steps(
                step[a:b] - start,
                ids[a:b],
                clock.shape,
                stop - start,
                clock.dt,
                samples=samples[a:b],
                values=None if values is None else values[a:b],
                n_samples=n_samples,
                collisions=self.collisions,
            )
            self.batch(clock.node, clock.layer, SpikeBatch(start, spikes, windows), clock.sampling)

    def undescribed(
        self,
        node: str,
        layer: str,
        step: NDArray[np.int64],
        ids: NDArray[np.int64],
        samples: NDArray[np.int64] | None,
        values: NDArray[Any] | None,
    ) -> None:
        """Writes the spikes of a layer of which the file says no more, and notes what is assumed."""
        n_steps, n_neurons = int(step.max(initial=0)) + 1, int(ids.max(initial=0)) + 1
        n_samples = 1 if samples is None else int(samples.max(initial=0)) + 1
        runs = (Run(0, n_steps, n_samples),)
        clock = checked_clock(Clock(node, layer, (n_neurons,), self.stated_dt("the file has times and no steps"), runs))
        self.spikes(clock, step, ids, samples, values)
        self.notes.append(
            f"{clock.name}: the file states neither how many neurons there are nor how long they were recorded; taken "
            f"as {n_neurons} neurons, by the greatest id, and one run of {n_steps} steps, until the last spike"
        )

    def batch(self, node: str, layer: str, batch: SpikeBatch | MembraneBatch, sampling: Sampling) -> None:
        """Writes one batch of a layer."""
        writer = self.writer(node)
        writer.write(check_name(layer, "import_session: the layer"), batch, sampling)
        self.staged += batch.nbytes + _BATCH_BYTES
        if self.staged > _MOST_STAGED:
            for staged in self.writers.values():
                staged.flush()
            self.staged = 0
        self.steps.setdefault(node, {})[layer] = batch.start + batch.n_steps
        observable = "spikes" if isinstance(batch, SpikeBatch) else "v"
        if (end := self.ends.get((node, layer, observable), 0)) < batch.start:
            gaps = self.gaps.setdefault(node, {}).setdefault(layer, {})
            gaps.setdefault(observable, []).append((end, batch.start))
        self.ends[node, layer, observable] = batch.start + batch.n_steps
        if isinstance(batch, SpikeBatch):
            self.n_spikes += batch.size
        else:
            self.n_values += batch.size

    def weights(self, node: str, layer: str, weights: NDArray[Any], t: float) -> None:
        """Writes a snapshot of weights at a model time in ms."""
        self.writer(node).weights(check_name(layer, "import_session: the weights"), weights, t)
        self.n_snapshots += 1

    def stated_dt(self, why: str) -> float:
        """The dt that the caller gave; ParameterError that says why it is needed."""
        if self.dt is None:
            raise ParameterError(f"import_session: {why}; give dt=, the time of a step in ms")
        return self.dt

    def report(self, folder: Path, source: str, format: str) -> ImportReport:
        """Keeps with every node where its data came from, its gaps, and what was assumed, and reports it.

        DataError where there was nothing.
        """
        if not self.writers:
            raise DataError(f"import_session: {source} must hold spikes, potentials or weights itself, got none")
        for node, writer in self.writers.items():
            said = {"source": source, "format": format, "started": self.started, "notes": self.notes}
            writer.metadata({"imported": said, "gaps": self.gaps.get(node, {})})
            writer.flush()
        return ImportReport(folder, format, self.n_spikes, self.n_values, tuple(self.notes))

    def described(self, description: Mapping[str, Any], clock: Clock) -> None:
        """Keeps what a description says of a layer's node."""
        started = description.get("started")
        self.started = started if is_wall_time(started) else None
        nodes = description.get("metadata")
        said = nodes.get(clock.node) if isinstance(nodes, dict) else None
        if isinstance(said, dict):
            known = {k: v for k, v in said.items() if is_name(k) and k not in ("format", "node", "imported", "gaps")}
            self.writer(clock.node).metadata(known)


@contextmanager
def new_session(folder: Path, progress: Progress, **stated: Any) -> Iterator[Import]:
    """A session to be filled within the block, which becomes the one at `folder` at its end."""
    if folder.exists():
        raise ParameterError(f"import_session.folder must be new, got {folder}, which exists; choose another name")
    check_name(folder.name, "import_session.folder: its name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise StorageError(f"import_session: cannot make {folder}: {error.strerror}") from error
    made = Import(temporary / folder.name, progress, **stated)
    try:
        made.folder.mkdir()
        said = StatisticsPart(made.folder, asdict(_CONFIG))
        said.start()
        try:
            yield made
        finally:
            for writer in made.writers.values():
                writer.close()
        write_links(made.folder)
        said.close(_statistics(made), made.writers)
        made.folder.rename(folder)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"import_session: cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def checked_clock(clock: Clock) -> Clock:
    """The clock, with DataError for one that no recording can have: what files state is not trusted."""
    runs, end = clock.runs, 0
    for run in runs:
        if not end <= run.start < run.stop <= _MOST_STEPS or run.n_samples < 1:
            raise DataError(
                f"{clock.name}: runs must follow one another within {_MOST_STEPS} steps with at least one sample, "
                f"got {tuple(run)} after step {end}"
            )
        end = run.stop
    most = max((run.n_samples for run in runs), default=0)
    if not runs or not clock.shape or min(clock.shape) < 1 or prod(clock.shape) >= 1 << 31:
        raise DataError(f"{clock.name}: there must be runs and a population shape, got {clock.shape}")
    if most * end * prod(clock.shape) >= 1 << 62:
        raise DataError(f"{clock.name}: {most} samples of {end} steps of shape {clock.shape} are too many")
    return clock


def _statistics(made: Import) -> dict[str, Any]:
    return {
        "total_spikes_recorded": made.n_spikes,
        "total_membrane_values": made.n_values,
        "total_weight_snapshots": made.n_snapshots,
        "steps": made.steps,
    }


def _pieces(runs: tuple[Run, ...]) -> Iterator[tuple[int, int, int, tuple[int, ...]]]:
    """Begin, end, samples and windows of batches that hold the runs: short runs together, long ones in parts."""
    group: list[Run] = []
    most = max(_BATCH_STEPS, sum(run.stop - run.start for run in runs) // _MOST_BATCHES)
    for run in [*runs, None]:
        if group and (
            run is None
            or (group[-1].stop, group[-1].n_samples) != (run.start, run.n_samples)
            or run.stop - group[0].start > most
        ):
            begin, end, n_samples = group[0].start, group[-1].stop, group[0].n_samples
            windows = tuple(run.stop - run.start for run in group)
            first = min(end, begin + most) if len(group) == 1 else end
            yield begin, first, n_samples, windows if len(group) > 1 else (first - begin,)
            for start in range(first, end, most):
                yield start, min(end, start + most), n_samples, ()
            group = []
        if run is not None:
            group.append(run)

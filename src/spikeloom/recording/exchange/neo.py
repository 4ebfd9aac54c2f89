"""Neo: a session as a Block in memory, for the programs that work on it, and back.

A Segment is one run of one sample of a node. It has a SpikeTrain for each recorded neuron (times in ms on the layer's
clock, t_start and t_stop those of the run; annotations node, layer, sample, run, neuron; where spikes are graded, their
values as the array annotation `value`) and the potentials and other observables of each layer as an AnalogSignal, or an
IrregularlySampledSignal where not all steps were kept. Source: Garcia et al., Frontiers in
Neuroinformatics 8, 10 (2014).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, UnsupportedError
from ...spikes.container import Collisions
from ...storage import atomic_file
from ...units import check_dt, duration_steps, steps, times
from ..batches import Run
from ..consolidate import Progress
from ..session import Session
from .content import Content, Signal, Train, kinds_in, per_run, survey
from .description import clocks, description_text, parsed
from .folder import Clock, Import, ImportReport, checked_clock, new_session
from .formats import Exchange, optional

if TYPE_CHECKING:
    from neo import Block, Segment, SpikeTrain

_HELD = ("spikes", "membrane", "variables")
_Key = tuple[str, int, int]
"""Node, run and sample of a Segment."""


def to_neo(session: Session, progress: Progress | None = None) -> Block:
    """The spikes and potentials of a session as a Neo Block, all in memory."""
    kinds = [kind for kind in kinds_in(session) if kind in _HELD]
    return _block(survey(session, kinds, None), progress or (lambda done: None))


def from_neo(
    block: Block, folder: str | Path, *, dt: float | None = None, collisions: Collisions = "error"
) -> ImportReport:
    """Makes a session folder of the spikes of a Block; the report says what was assumed.

    A Block of `to_neo` gives back the session that it was made of. Any other needs dt, the time of a step in ms: its
    Segments follow one another as runs of the layer `units` of the node `neo`, from the start of the first train to
    the end of the last, and neuron k is train k of each.
    """
    optional("neo")
    stated = None if dt is None else check_dt(dt, "from_neo.dt")
    with new_session(Path(folder), lambda done: None, dt=stated, collisions=collisions) as made:
        text = block.annotations.get("spikeloom_session")
        if text is None:
            _read_foreign(block, made)
        else:
            _read_own(block, str(text), made)
        return made.report(Path(folder), str(block.name), "neo")


def write_mat(content: Content, path: Path, progress: Progress) -> list[str]:
    """Writes the Block as a MATLAB file of Neo's NeoMatlabIO, which has no place for values of spikes."""
    neo = optional("neo")
    for train in content.trains:
        if train.values:
            raise UnsupportedError(f"{train.name} has spikes with values, which Neo's .mat cannot hold; use 'nwb'")
    with atomic_file(path) as whole:
        neo.io.NeoMatlabIO(whole.name).write_block(_block(content, progress))
    return content.sampled_notes()


def _block(content: Content, progress: Progress) -> Block:
    neo = optional("neo")
    name = content.session.path.resolve().name
    block = neo.Block(
        name=name,
        description="Simulated activity recorded by spikeloom, in simulated time",
        rec_datetime=content.start.replace(tzinfo=None),
        spikeloom_session=description_text(content).decode(),
    )
    segments: dict[_Key, Segment] = {}
    for done, train in enumerate(content.trains):
        _add_trains(segments, content, train)
        progress((done + 1) / len(content.trains))
    for signal in content.signals:
        _add_signals(segments, content, signal)
    block.segments.extend([segments[key] for key in sorted(segments)])
    return block


def _segment(segments: dict[_Key, Segment], node: str, run: int, sample: int) -> Segment:
    neo = optional("neo")
    key = (node, run, sample)
    if key not in segments:
        name = f"{node}, run {run}, sample {sample}"
        segments[key] = neo.Segment(name=name, index=len(segments), node=node, run=run, sample=sample)
    return segments[key]


def _add_trains(segments: dict[_Key, Segment], content: Content, train: Train) -> None:
    """Adds the trains of a layer: all its spikes, sorted by run, sample and neuron."""
    neo, pq = optional("neo"), optional("quantities")
    columns: list[list[NDArray[Any]]] = []
    for batch in content.session.spikes(train.node, train.layer):
        step = batch.spikes.grid.step.astype(np.int64) + batch.start
        columns.append(
            [per_run(train.runs, step), batch.spikes.samples(), batch.spikes.ids, step, batch.spikes.values()]
        )
    run, sample, neuron, step, value = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    order = np.lexsort((step, neuron, sample, run))
    key = ((run * train.n_samples + sample) * train.n_neurons + neuron)[order]
    at, value = times(step[order], train.dt), value[order]
    for k, stretch in enumerate(train.runs):
        t_start, t_stop = times(stretch.start, train.dt) * pq.ms, times(stretch.stop, train.dt) * pq.ms
        for b in range(stretch.n_samples):
            wanted = (k * train.n_samples + b) * train.n_neurons + train.neurons
            begins, ends = np.searchsorted(key, wanted), np.searchsorted(key, wanted, side="right")
            trains = [
                neo.SpikeTrain(
                    at[i:j], units=pq.ms, t_start=t_start, t_stop=t_stop,
                    array_annotations={"value": value[i:j]} if train.values else None,
                    name=f"{train.name} {n}", node=train.node, layer=train.layer, run=k, sample=b, neuron=n,
                )
                for n, i, j in zip(train.neurons.tolist(), begins, ends, strict=True)
            ]  # fmt: skip
            # Each append to Neo's list looks at all that it holds.
            _segment(segments, train.node, k, b).spiketrains.extend(trains)


def _add_signals(segments: dict[_Key, Segment], content: Content, signal: Signal) -> None:
    """Adds the potentials of a layer, (steps, neurons) in each run and sample."""
    neo, pq = optional("neo"), optional("quantities")
    parts: dict[tuple[int, int], list[tuple[NDArray[np.int64], NDArray[np.float32]]]] = {}
    for batch in content.session.values(signal.node, signal.layer, signal.variable):
        step = batch.step + batch.start
        runs = per_run(signal.runs, step)
        for k in np.unique(runs).tolist():
            for b in range(batch.n_samples):
                rows = batch.values[runs == k, b].reshape(int((runs == k).sum()), -1)
                parts.setdefault((k, b), []).append((step[runs == k], rows))
    for (k, b), found in parts.items():
        step, values = (np.concatenate(columns) for columns in zip(*found, strict=True))
        about = {
            "units": pq.dimensionless, "name": f"{signal.name} {signal.variable}", "variable": signal.variable,
            "node": signal.node, "layer": signal.layer, "run": k, "sample": b, "shape": list(signal.shape),
        }  # fmt: skip
        segment = _segment(segments, signal.node, k, b)
        apart = np.unique(np.diff(step))
        if len(apart) == 1:
            period, start = int(apart[0]) * signal.dt * pq.ms, times(int(step[0]), signal.dt) * pq.ms
            segment.analogsignals.append(neo.AnalogSignal(values, sampling_period=period, t_start=start, **about))
        else:
            at = times(step, signal.dt) * pq.ms
            segment.irregularlysampledsignals.append(neo.IrregularlySampledSignal(at, values, **about))


def _read_own(block: Block, text: str, made: Import) -> None:
    description = parsed(text.encode(), "from_neo: the annotation spikeloom_session of the Block")
    trains: dict[tuple[str, str], list[SpikeTrain]] = {}
    for train in (train for segment in block.segments for train in segment.spiketrains):
        key = (str(train.annotations.get("node")), str(train.annotations.get("layer")))
        trains.setdefault(key, []).append(train)
    for clock in clocks(description, "from_neo"):
        found = trains.pop((clock.node, clock.layer), [])
        expected = sum(run.n_samples for run in clock.runs) * clock.n_recorded
        if len(found) != expected:
            raise DataError(f"from_neo: {clock.name} must have {expected} trains, got {len(found)}")
        labels = [[int(train.annotations[name]) for train in found] for name in ("sample", "neuron")]
        made.spikes(clock, *_events(found, labels, clock))
        made.described(description, clock)
    if trains:
        raise DataError(f"from_neo: the Block has trains of {'/'.join(next(iter(trains)))}, which it does not describe")
    if any(segment.analogsignals or segment.irregularlysampledsignals for segment in block.segments):
        made.notes.append("spikes alone are read; the Block also holds signals")


def _read_foreign(block: Block, made: Import) -> None:
    dt = made.stated_dt("a Block has times and no steps")
    counts = {len(segment.spiketrains) for segment in block.segments}
    if len(counts) != 1 or 0 in counts:
        raise UnsupportedError(f"from_neo: every Segment must have the same number of trains, got {sorted(counts)}")
    step, ids = [], []
    runs: list[Run] = []
    for segment in block.segments:
        begin = min(float(train.t_start.rescale("ms")) for train in segment.spiketrains)
        end = max(float(train.t_stop.rescale("ms")) for train in segment.spiketrains)
        first = runs[-1].stop if runs else 0
        runs.append(Run(first, first + duration_steps(end - begin, dt, "from_neo: the duration of a Segment"), 1))
        for neuron, train in enumerate(segment.spiketrains):
            at = np.asarray(train.rescale("ms").magnitude, np.float64) - begin
            # A spike at t_stop belongs to the last step.
            step.append(np.minimum(steps(at, dt) + first, runs[-1].stop - 1))
            ids.append(np.full(len(at), neuron))
    clock = checked_clock(Clock("neo", "units", (max(counts),), dt, tuple(runs)))
    made.spikes(clock, np.concatenate(step), np.concatenate(ids))
    made.notes.append(
        f"neo/units: {len(runs)} Segments are runs that follow one another, in steps of {dt:g} ms; neuron k is train k"
    )


def _events(trains: list[SpikeTrain], labels: list[list[int]], clock: Clock) -> tuple[NDArray[Any], ...]:
    """Step, neuron, sample and, where there are any, value of every spike of the trains of a layer."""
    counts = [len(train) for train in trains]
    at = np.concatenate([np.zeros(0), *(np.asarray(train.rescale("ms").magnitude) for train in trains)])
    sample, neuron = (np.repeat(np.array(label, np.int64), counts) for label in labels)
    if clock.values is None:
        return steps(at, clock.dt), neuron, sample
    values = [np.asarray(train.array_annotations["value"]) for train in trains]
    return steps(at, clock.dt), neuron, sample, np.concatenate([np.zeros(0), *values]).astype(clock.values)


FORMAT = Exchange("neo", (".mat",), _HELD, write_mat, None)

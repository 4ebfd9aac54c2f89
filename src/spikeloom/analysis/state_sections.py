"""The sections of a report on what is no spike: potentials, weights, what nodes did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import DataError, SpikeloomError
from ..recording import MembraneBatch, Run, Session
from ..spikes import Spikes
from . import plots
from .behavior import Behavior, node_behavior
from .labels import distinct, drawable
from .overview import layers_of, name_in, variables_of
from .recorded import RecordedLayer
from .report import Picture, Section, Table

_SHOWN_RUNS, _SHOWN_STEPS, _SHOWN_INTERVALS = 2, 2000, 60
"""How many runs, steps and mean intervals of potentials are drawn: more of them are too narrow to be read."""
_MOST_NODES, _MOST_STATUSES = 40, 12


def drawn(make: Callable[[], Figure], caption: str, alt: str) -> tuple[list[Picture], list[str]]:
    """The picture, or a sentence on why it cannot be drawn, such as potentials that are not finite."""
    try:
        return [Picture(make(), caption, alt)], []
    except SpikeloomError as error:
        return [], [f"{alt} cannot be drawn: {error}."]


def variable_section(session: Session, node: str, layer: str, variable: str, threshold: float | None) -> Section:
    """The section of a layer's potentials or another variable: traces of three neurons in sample 0, with spikes."""
    heading, runs = _heading(session, node, layer, variable), session.runs(node, layer, variable)
    shown = _shown(session, node, layer, runs)
    batches = list(session.values(node, layer, variable, shown[0].start, shown[-1].stop)) if shown else []
    time, v = _first_sample(batches)
    if not v.size:
        return Section(heading, "No step of this layer was kept.")
    dt = batches[0].dt
    at = np.array([(run.start, run.stop) for run in shown]) * dt
    train = _train_beside(session, node, layer, shown, v.shape[1])
    neurons, which = _liveliest(train, v.shape[1])

    def figure() -> Figure:
        return plots.membrane_traces(
            v,
            dt,
            time=time,
            runs=at,
            threshold=threshold,
            spikes=train,
            neurons=neurons,
            title="",
            quantity=drawable(short),
        )

    part = f"{at[0, 0]:g} to {at[-1, 1]:g} ms"
    short = "potential" if variable == "v" else variable
    what = "Potentials in sample 0, after the reset where it fired" if variable == "v" else f"{variable} in sample 0"
    caption = f"{what}, {part}, of {which}, in the units of the model."
    if shown[-1].stop < runs[-1].stop:
        caption += f" {runs[-1].stop * dt:g} ms were recorded."
    pictures, warnings = drawn(figure, caption, f"Traces of {heading}")
    return Section(heading, figures=pictures, warnings=warnings)


def _heading(session: Session, node: str, layer: str, variable: str) -> str:
    return f"{name_in(session, node, layer)}: {'membrane potential' if variable == 'v' else variable}"


def _shown(session: Session, node: str, layer: str, runs: Sequence[Run]) -> list[Run]:
    """The first runs, or the part of the first one that has few enough steps and spikes to be read."""
    most = _SHOWN_STEPS
    if layer in session.layers(node):
        spikes = RecordedLayer.of(session, node, layer)
        most = int(min(most, max(_SHOWN_STEPS / 10, _SHOWN_INTERVALS * spikes.mean_interval_ms / spikes.dt)))
    if runs and runs[0].stop - runs[0].start > most:
        return [runs[0]._replace(stop=runs[0].start + most)]
    return [run for run in runs[:_SHOWN_RUNS] if run.stop - run.start <= most]


def weights_section(session: Session, node: str, layer: str) -> Section:
    """The section of the weights of one name: how they changed, and how the last ones are distributed."""
    name = name_in(session, node, layer)
    snapshots = list(_ends(session, node, layer))
    if not snapshots:
        return Section(f"{name}: weights", "No snapshot was written.")
    first, last = snapshots[0], snapshots[-1]
    text = f"{last.weights.size:,} weights of shape {last.weights.shape}."
    pictures: list[Picture] = []
    warnings: list[str] = []
    if first.t != last.t:
        pictures, warnings = drawn(
            lambda: plots.weights_over_time(session.weights(node, layer), title="Weights"),
            "Mean and quantiles of the weights over time, and some of the snapshots.",
            f"Weights of {name} over time",
        )
    named = {f"at {s.t:,.6g} ms": s.weights for s in snapshots}
    row, more = drawn(
        lambda: plots.weights_histogram(named, title=""), "How the weights are distributed.", f"Weights of {name}"
    )
    return Section(f"{name}: weights", text, figures=pictures, row=row, warnings=[*warnings, *more])


def behavior_sections(session: Session) -> list[Section]:
    """The section on what the nodes did; none without control states."""
    states = session.control_states()
    nodes = sorted({str(state["node_id"]) for state in states})
    if not nodes:
        return []
    found = {node: node_behavior(states, node) for node in nodes}
    columns = ("node", "records", "steps", "task active", "time in each status", "time on each task", "transitions")
    rows = [
        (
            node, f"{b.records:,}", "{:,} to {:,}".format(*b.step_range), f"{b.task_active_ratio:.1%}",
            _shares(b.time_in_status, b), _shares(b.time_on_task, b) or "none", f"{len(b.transitions):,}",
        )
        for node, b in found.items()
    ]  # fmt: skip
    pictures: list[Picture] = []
    warnings: list[str] = []
    for unit in ("ms", "steps"):
        chosen = {node: b for node, b in found.items() if b.unit == unit and b.stays}
        if chosen:
            picture, warning = drawn(
                partial(_timeline, chosen),
                f"The status of each node over simulated time{_axis(unit)}, from its first to its last record."
                + (f" The first {_MOST_NODES} of {len(chosen)} nodes." if len(chosen) > _MOST_NODES else ""),
                "Timeline of what the nodes did",
            )
            pictures += picture
            warnings += warning
    text = "A status lasts until the node's next record, in simulated time; the time of writing does not count."
    return [Section("What the nodes did", text, pictures, table=Table(columns, rows), warnings=warnings)]


def _axis(unit: str) -> str:
    return "" if unit == "ms" else ", counted in the node's steps as no times in ms were recorded"


def _timeline(found: Mapping[str, Behavior]) -> Figure:
    """The statuses over time; the rarest of many are drawn as one."""
    time: Counter[str] = Counter()
    for behavior in found.values():
        for status, lasted in behavior.time_in_status.items():
            time[status] += round(lasted)
    common = {status for status, _ in time.most_common(_MOST_STATUSES)}
    names = distinct([*sorted(common), "other"])
    nodes = distinct(list(found)[:_MOST_NODES])
    spans = {
        label: [
            plots.Span(stay.begin, stay.end, names[stay.status if stay.status in common else "other"])
            for stay in found[node].stays
        ]
        for node, label in nodes.items()
    }
    return plots.node_timeline(spans, title="")


def _shares(times: Mapping[str, float], behavior: Behavior) -> str:
    whole = sum(behavior.time_in_status.values()) or 1
    rows = sorted(times.items(), key=lambda part: -part[1])
    more = f" and {len(rows) - _MOST_STATUSES} more" if len(rows) > _MOST_STATUSES else ""
    return ", ".join(f"{name} {lasted / whole:.1%}" for name, lasted in rows[:_MOST_STATUSES]) + more


def _ends(session: Session, node: str, layer: str) -> Iterator[Any]:
    """The first and the last snapshot."""
    last = None
    for k, snapshot in enumerate(session.weights(node, layer)):
        if k == 0:
            yield snapshot
        else:
            last = snapshot
    if last is not None:
        yield last


def _first_sample(batches: Sequence[MembraneBatch]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The times (T,) and potentials (T, N) of sample 0."""
    if not batches:
        return np.zeros(0), np.zeros((0, 0))
    time = np.concatenate([(batch.start + batch.step) * batch.dt for batch in batches])
    return time, np.concatenate([batch.values[:, 0].reshape(len(batch.values), -1) for batch in batches])


def _train_beside(session: Session, node: str, layer: str, shown: Sequence[Run], n_neurons: int) -> Spikes | None:
    """The spikes of sample 0 up to the end of the shown potentials; None where they are not of the same neurons."""
    if layer not in session.layers(node):
        return None
    train = session.train(node, layer, 0, 0, shown[-1].stop)
    return train if train.n_neurons == n_neurons else None


def _liveliest(train: Spikes | None, n_neurons: int) -> tuple[list[int], str]:
    """Three neurons, and what they are: those that fire most in a train, where there is one with spikes."""
    if train is None or not train.n_spikes:
        return list(range(min(3, n_neurons))), "the first neurons"
    fired = np.bincount(train.ids, minlength=n_neurons)
    return sorted(int(n) for n in np.argsort(-fired, kind="stable")[:3]), "the neurons that fire most"


def state_sections(session: Session, thresholds: Mapping[tuple[str, str], float | None]) -> Iterator[Section]:
    """The sections of potentials, of other variables, of weights, one by one; what cannot be read is named there."""
    for node, layer, variable in variables_of(session):
        heading = _heading(session, node, layer, variable)
        threshold = thresholds.get((node, layer)) if variable == "v" else None
        yield _read(heading, partial(variable_section, session, node, layer, variable, threshold=threshold))
    for key in layers_of(session, "weights"):
        yield _read(f"{name_in(session, *key)}: weights", partial(weights_section, session, *key))


def _read(heading: str, make: Callable[[], Section]) -> Section:
    try:
        return make()
    except DataError as error:
        return Section(heading, warnings=[f"This cannot be shown: {error}."])

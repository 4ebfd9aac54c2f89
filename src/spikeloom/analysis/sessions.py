"""The report of a recorded session: what was recorded, and each layer's spikes, rates and potentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..recording import MembraneBatch, Run, Session, runs_of
from ..spikes import Spikes
from . import plots
from .measures import inter_spike_intervals, neuron_rates
from .rates import INPUT, FiringRate, firing_rate, mean_of_neurons
from .report import Picture, Section, Table, write_report

_SHOWN_RUNS = 2
"""How many runs of potentials are drawn: more of them are too narrow to be read."""


@dataclass(frozen=True)
class LayerView:
    """What is known of a layer beside its recording.

    classes: the names of the classes that equal bands of its neurons vote for. notes: a note above each run of the
    raster. threshold: the potential at which it fires.
    """

    classes: Sequence[object] = ()
    notes: Sequence[str] = ()
    threshold: float | None = None


def write_session_report(session: str | Path, path: str | Path | None = None) -> Path:
    """The path of the HTML report of a recorded session, by default report.html in its folder, after it was written."""
    with Session(session) as opened:
        target = opened.path / "report.html" if path is None else path
        return write_report(target, opened.title, session_report(opened))


def session_report(
    session: Session,
    *,
    bin_ms: float = 50.0,
    max_neurons: int = 200,
    views: Mapping[str, LayerView] | None = None,
) -> list[Section]:
    """The sections of a report on a recorded session: summary, then rasters, rates and potentials of each layer.

    Rasters and timelines show sample 0 of each run. Timelines and per-neuron rates are left out, with the reason, where
    sub-sampling spoils them. views: what is known of layers, in the order in which they are shown; other layers follow.
    """
    views = {} if views is None else views
    spikes, membranes = _layers(session, "spikes", views), _layers(session, "membrane", views)
    rates = {key: firing_rate(session, *key) for key in spikes}
    sections = [_summary(session, rates)]
    for key, rate in rates.items():
        sections.append(_spikes_section(session, key, rate, views.get(key[1], LayerView()), bin_ms, max_neurons))
    return sections + [_membrane_section(session, key, views.get(key[1], LayerView()).threshold) for key in membranes]


def name_in(session: Session, node: str, layer: str) -> str:
    """What a layer is called in a report: with its node where there are several."""
    return f"{node} / {layer}" if len(session.nodes()) > 1 else layer


def gaps(session: Session) -> list[str]:
    """A sentence for each layer that was recorded during a part of its node's time only."""
    stretches = {
        (node, layer, kind): (_stretches(batches), dt)
        for kind in ("spikes", "membrane")
        for node, layer in _layers(session, kind, {})
        for batches, dt in [_read(session, kind, node, layer)]
    }
    sentences = []
    for (node, layer, kind), (found, dt) in stretches.items():
        end = max(f[-1][1] * d for (n, _, _), (f, d) in stretches.items() if n == node and f)
        if len(found) != 1 or found[0][0] or abs(found[0][1] * dt - end) > dt / 2:
            parts = " and ".join(f"from {start * dt:g} to {stop * dt:g}" for start, stop in found)
            what = "spikes" if kind == "spikes" else "potentials"
            sentences.append(f"{what.capitalize()} of {name_in(session, node, layer)}: {parts} of {end:g} ms only.")
    return sentences


def _read(session: Session, kind: str, node: str, layer: str) -> tuple[list[Run], float]:
    batches: list[Any] = list(getattr(session, kind)(node, layer))
    return runs_of(batches), batches[0].dt if batches else 1.0


def _stretches(runs: Iterable[Run]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, stop, _ in runs:
        found = [*found[:-1], (found[-1][0], stop)] if found and found[-1][1] == start else [*found, (start, stop)]
    return found


def _layers(session: Session, kind: str, views: Mapping[str, LayerView]) -> list[tuple[str, str]]:
    """The (node, layer) in order: those of the views, then from input to output."""
    order = {layer: k for k, layer in enumerate(views)}
    found = [(node, layer) for node in session.nodes() for layer in session.layers(node, kind)]
    return sorted(found, key=lambda n: (n[0], order.get(n[1], len(order)), n[1] != INPUT, n[1] == "output", n[1]))


def times_of(runs: Sequence[Run], dt: float) -> NDArray[np.float64]:
    """The beginnings and ends of runs in ms, (R, 2)."""
    return np.array([(run.start, run.stop) for run in runs]) * dt


def _summary(session: Session, rates: Mapping[tuple[str, str], FiringRate]) -> Section:
    label, mean = mean_of_neurons(rates)
    cards: dict[str, object] = {"nodes": n_nodes} if (n_nodes := len(session.nodes())) != 1 else {}
    cards |= {
        "layers": len(rates),
        "samples": f"{max((rate.n_samples for rate in rates.values()), default=0):,}",
        "spikes recorded": f"{sum(rate.total_spikes for rate in rates.values()):,}",
        label: f"{mean:.1f} Hz",
    }
    seeds = {str(m["seed"]) for node in session.nodes() if "seed" in (m := session.metadata(node))}
    if seeds:
        cards["seed"] = ", ".join(sorted(seeds))
    columns = ("layer", "neurons", "samples", "time of all samples", "spikes", "mean rate")
    rows = [
        (name_in(session, node, layer), r.n_neurons, r.n_samples, f"{r.trial_s:.3f} s", f"{r.total_spikes:,}",
         f"{r.mean_rate_hz:.1f} Hz")
        for (node, layer), r in rates.items()
    ]  # fmt: skip
    stopped = session.statistics().get("stopped_by")
    text = [f"Recording stopped by {stopped}."] if stopped else []
    return Section("What was recorded", " ".join([*text, *gaps(session)]), table=Table(columns, rows), cards=cards)


def _spikes_section(
    session: Session, key: tuple[str, str], rate: FiringRate, view: LayerView, bin_ms: float, max_neurons: int
) -> Section:
    train, runs, name = session.train(*key), session.runs(*key), name_in(session, *key)
    at = times_of(runs, train.grid.dt)
    figures = [_raster_picture(train, at, name, view, max_neurons)]
    text = f"{rate.total_spikes:,} spikes of {rate.n_neurons:,} neurons at {rate.mean_rate_hz:.1f} Hz in all samples."
    if rate.recorded_fraction < 1:
        text += (
            f" {rate.recorded_fraction:.3g} of the spikes were recorded ({rate.mode}); the rate is corrected for it."
        )
    if session.sampling(*key).mode != "all":
        text += "\n\nTimeline, rates of neurons and intervals are left out: sub-sampling spoils them."
        return Section(name, text, figures)
    intervals = inter_spike_intervals(train, at)
    if len(intervals.values):
        cv = "" if np.isnan(intervals.cv) else f", CV {intervals.cv:.2f}"
        text += f" Intervals between the spikes of a neuron within a run, sample 0: mean {intervals.mean:.1f} ms{cv}."
    timeline = plots.rate_timeline(train, _bin(bin_ms, at, train.grid.dt), runs=at, title=f"Firing rate of {name}")
    of_first = ", sample 0 of each run alone" if rate.n_samples > len(runs) else ""
    recorded = (at[:, 1] - at[:, 0]).sum()
    bars = plots.neuron_rate_bars(neuron_rates(train)[0] * train.duration / recorded, title=f"Rates in {name}")
    figures += [
        Picture(timeline, f"Rate of the population over time{of_first}.", f"Firing rate of {name} over time"),
        Picture(bars, f"Rate of each neuron{of_first}.", f"Rates of the neurons of {name}"),
    ]
    return Section(name, text, figures)


def _raster_picture(train: Spikes, runs: NDArray[np.float64], name: str, view: LayerView, max_neurons: int) -> Picture:
    classes = view.classes if train.n_neurons % max(1, len(view.classes)) == 0 else ()
    figure = plots.raster(train, max_neurons=max_neurons, title=name, runs=runs, classes=classes, notes=view.notes)
    alt = f"Raster of {name}: {train.n_spikes} spikes of {train.n_neurons} neurons in {train.duration:g} ms"
    caption = "Each mark is a spike of sample 0"
    if len(runs) > 1:
        caption += f" of each of {len(runs)} runs; lines part the runs"
    if view.notes:
        caption += ", above them: true class \N{RIGHTWARDS ARROW} answer"
    return Picture(figure, f"{caption}.", alt)


def _membrane_section(session: Session, key: tuple[str, str], threshold: float | None) -> Section:
    batches, name = list(session.membrane(*key)), name_in(session, *key)
    runs = runs_of(batches)[:_SHOWN_RUNS]
    time, v = _first_sample(batches, runs[-1].stop if runs else 0)
    if not v.size:
        return Section(f"{name}: membrane potential", "No step of this layer was kept.")
    at = times_of(runs, batches[0].dt)
    neurons, which = _shown_neurons(session, key, runs[-1].stop, v.shape[1])
    figure = plots.membrane_traces(
        v, batches[0].dt, time=time, runs=at, threshold=threshold, neurons=neurons, title=name
    )
    caption = f"Potentials in sample 0, after the reset where it fired, {at[0, 0]:g} to {at[-1, 1]:g} ms, of {which}."
    picture = Picture(figure, caption, f"Membrane potential traces of {name}")
    return Section(f"{name}: membrane potential", figures=[picture])


def _shown_neurons(session: Session, key: tuple[str, str], stop: int, n_neurons: int) -> tuple[list[int], str]:
    """Three neurons of a layer, and what they are: those that fire most in sample 0 before step `stop`, where known."""
    fired = np.zeros(n_neurons, np.int64)
    if key[1] in session.layers(key[0]):
        train = session.train(*key)
        fired = np.bincount(train.ids[train.grid.step < stop], minlength=n_neurons)
    if len(fired) != n_neurons or not fired.any():
        return list(range(min(3, n_neurons))), "the first neurons"
    return sorted(int(n) for n in np.argsort(-fired, kind="stable")[:3]), "the neurons that fire most"


def _first_sample(batches: Sequence[MembraneBatch], stop: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The times (T,) and potentials (T, N) of sample 0 before step `stop`."""
    parts = [batch.first(stop - batch.start) for batch in batches if batch.start < stop]
    if not parts:
        return np.zeros(0), np.zeros((0, 0))
    time = np.concatenate([(part.start + part.step) * part.dt for part in parts])
    return time, np.concatenate([part.values[:, 0].reshape(len(part.values), -1) for part in parts])


def _bin(bin_ms: float, runs: NDArray[np.float64], dt: float) -> float:
    """At most bin_ms, and a tenth of the time, in whole steps, such that the bins of the longest run are alike."""
    length, duration = (runs[:, 1] - runs[:, 0]).max(), runs[-1, 1]
    n_bins = np.ceil(length / max(min(bin_ms, duration / 10), dt) - 1e-9)
    return float(np.ceil(length / n_bins / dt - 1e-9) * dt)

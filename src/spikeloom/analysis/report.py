"""Reports: one HTML file that needs nothing beside it, and the report of a recorded session."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..recording import Session
from ..spikes import Spikes
from ..storage import write_atomically
from . import plots
from .measures import inter_spike_intervals, neuron_rates
from .rates import FiringRate, firing_rate


@dataclass(frozen=True)
class Picture:
    """A figure of a report, with the caption below it and the text in its place for those who cannot see it."""

    figure: Figure
    caption: str
    alt: str


@dataclass(frozen=True)
class Table:
    """A table of a report: the names of its columns, and rows of as many cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Section:
    """A part of a report: a heading, and below it what there is of cards, text, pictures and a table.

    Cards are short values under a label, such as {'test accuracy': '97.2 %'}; blank lines part paragraphs of the text.
    """

    heading: str = ""
    text: str = ""
    figures: Sequence[Picture] = ()
    table: Table | None = None
    cards: Mapping[str, object] = field(default_factory=dict)


def write_report(path: str | Path, title: str, sections: Sequence[Section]) -> Path:
    """The path, after the sections have been written there as one self-contained HTML file; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    body = "\n".join(_section(section) for section in sections)
    page = _PAGE.format(title=escape(title), style=_STYLE, body=body)
    write_atomically(path, page.encode())
    return path


def write_session_report(session: str | Path, path: str | Path | None = None) -> Path:
    """The path of the HTML report of a recorded session, by default report.html in its folder, after it was written."""
    with Session(session) as opened:
        target = opened.path / "report.html" if path is None else path
        return write_report(target, f"Session {opened.path.name}", session_report(opened))


def session_report(session: Session, *, bin_ms: float = 50.0, max_neurons: int = 200) -> list[Section]:
    """The sections of a report on a recorded session: summary, then rasters, rates and potentials of each layer.

    Rasters and timelines show sample 0. Timelines and per-neuron rates are left out, with the reason, where
    sub-sampling spoils them.
    """
    rates = {
        (node, layer): firing_rate(session, node, layer) for node in session.nodes() for layer in session.layers(node)
    }
    sections = [_summary(session, rates)]
    for (node, layer), rate in rates.items():
        sections.append(_spikes_section(session, node, layer, rate, bin_ms, max_neurons))
    sections += [
        _membrane_section(session, node, layer)
        for node in session.nodes()
        for layer in session.layers(node, "membrane")
    ]
    return sections


def _summary(session: Session, rates: Mapping[tuple[str, str], FiringRate]) -> Section:
    statistics = session.statistics()
    mean = np.mean([rate.mean_rate_hz for rate in rates.values()]) if rates else 0.0
    cards: dict[str, object] = {
        "nodes": len(session.nodes()),
        "layers": len(rates),
        "spikes recorded": f"{sum(rate.total_spikes for rate in rates.values()):,}",
        "mean rate": f"{mean:.3g} Hz",
        "simulated": f"{max((rate.duration_s for rate in rates.values()), default=0.0):.4g} s",
    }
    seeds = {str(m["seed"]) for node in session.nodes() if "seed" in (m := session.metadata(node))}
    if seeds:
        cards["seed"] = ", ".join(sorted(seeds))
    rows = [
        (node, layer, rate.n_neurons, rate.n_samples, f"{rate.total_spikes:,}", f"{rate.mean_rate_hz:.3f}")
        for (node, layer), rate in rates.items()
    ]
    columns = ("node", "layer", "neurons", "samples", "spikes", "mean rate (Hz)")
    stopped = statistics.get("stopped_by")
    text = f"Recording stopped by {stopped}." if stopped else ""
    return Section("What was recorded", text, table=Table(columns, rows), cards=cards)


def _spikes_section(
    session: Session, node: str, layer: str, rate: FiringRate, bin_ms: float, max_neurons: int
) -> Section:
    train = session.train(node, layer)
    name = f"{node} / {layer}"
    figures = [_raster_picture(train, name, rate, max_neurons)]
    text = f"{rate.total_spikes:,} spikes of {rate.n_neurons:,} neurons at {rate.mean_rate_hz:.3g} Hz."
    if rate.recorded_fraction < 1:
        text += (
            f" {rate.recorded_fraction:.3g} of the spikes were recorded ({rate.mode}); the rate is corrected for it."
        )
    sampling = session.sampling(node, layer)
    if sampling.mode != "all":
        text += "\n\nTimeline, rates of neurons and intervals are left out: sub-sampling spoils them."
        return Section(name, text, figures)
    intervals = inter_spike_intervals(train)
    if len(intervals.values):
        cv = "" if np.isnan(intervals.cv) else f", CV {intervals.cv:.2f}"
        text += f" Intervals between spikes: mean {intervals.mean:.3g} ms{cv} (sample 0)."
    timeline = plots.rate_timeline(train, _bin(bin_ms, train), title=f"Firing rate of {name}")
    bars = plots.neuron_rate_bars(neuron_rates(train)[0], title=f"Rates in {name}")
    figures += [
        Picture(timeline, "Rate of the population over time, sample 0.", f"Firing rate of {name} over time"),
        Picture(bars, "Rate of each neuron, sample 0.", f"Rates of the neurons of {name}"),
    ]
    return Section(name, text, figures)


def _raster_picture(train: Spikes, name: str, rate: FiringRate, max_neurons: int) -> Picture:
    figure = plots.raster(train, max_neurons=max_neurons, title=name)
    alt = f"Raster of {name}: {train.n_spikes} spikes of {train.n_neurons} neurons in {train.duration:g} ms"
    return Picture(figure, f"Spikes of sample 0 of {rate.n_samples}; each mark is one spike.", alt)


def _membrane_section(session: Session, node: str, layer: str) -> Section:
    batches = list(session.membrane(node, layer))
    time = np.concatenate([(batch.start + batch.step) * batch.dt for batch in batches])
    v = np.concatenate([batch.values[:, 0].reshape(len(batch.values), -1) for batch in batches])
    name = f"{node} / {layer}"
    if not v.size:
        return Section(f"{name}: membrane potential", "No step of this layer was kept.")
    figure = plots.membrane_traces(v, batches[0].dt, time=time, title=f"Membrane potential of {name}")
    picture = Picture(figure, "Potentials of the first neurons, sample 0.", f"Membrane potential traces of {name}")
    return Section(f"{name}: membrane potential", figures=[picture])


def _bin(bin_ms: float, train: Spikes) -> float:
    """bin_ms, or less where the recording is too short for ten bins of it; never less than a step."""
    return max(min(bin_ms, train.duration / 10), train.grid.dt)


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.heading)}</h2>"] if section.heading else []
    if section.cards:
        parts.append(
            f'<div class="cards">{"".join(_card(label, value) for label, value in section.cards.items())}</div>'
        )
    parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.text.split("\n\n") if paragraph.strip()]
    parts += [_picture(picture) for picture in section.figures]
    if section.table is not None:
        parts.append("\n".join(_table(section.table)))
    return "\n".join(["<section>", *parts, "</section>"])


def _card(label: str, value: object) -> str:
    return f'<div class="card"><span>{escape(label)}</span><strong>{escape(str(value))}</strong></div>'


def _picture(picture: Picture) -> str:
    buffer = io.BytesIO()
    picture.figure.savefig(buffer, format="png", dpi=130)
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img alt="{escape(picture.alt)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(picture.caption)}</figcaption></figure>"


def _table(table: Table) -> Iterator[str]:
    yield (
        "<table><thead><tr>"
        + "".join(f"<th>{escape(column)}</th>" for column in table.columns)
        + "</tr></thead><tbody>"
    )
    for row in table.rows:
        yield "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
    yield "</tbody></table>"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f5f7fa; color: #1f2933; line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1.5rem; }
h2 { font-size: 1.2rem; margin: 0 0 .75rem; }
section { background: #fff; border: 1px solid #e4e7eb; border-radius: 10px; padding: 1.5rem; margin: 0 0 1.25rem; }
p { margin: 0 0 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; margin: 0 0 1.25rem; }
.card { background: #f5f7fa; border-left: 4px solid #0072b2; border-radius: 6px; padding: .7rem .9rem; }
.card span { display: block; font-size: .8rem; color: #52606d; }
.card strong { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { margin: 0 0 1.25rem; }
figure:last-child { margin-bottom: 0; }
img { display: block; max-width: 100%; height: auto; }
figcaption { font-size: .86rem; color: #52606d; margin-top: .35rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th { text-align: left; color: #52606d; font-weight: 600; border-bottom: 2px solid #cbd2d9; padding: .45rem .6rem; }
td { border-bottom: 1px solid #e4e7eb; padding: .45rem .6rem; overflow-wrap: anywhere; }
@media print { body { background: #fff; } section { break-inside: avoid; } }
"""

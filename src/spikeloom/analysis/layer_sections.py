"""The section of a report on the spikes of one layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import plots
from .overview import hz, name_in, samples
from .rates import FiringRate
from .recorded import only_neurons
from .report import Picture, Section, Table
from .scan import LayerMeasures
from .style import draws_lines

_ZOOM_MS, _ZOOM_NEURONS, _ZOOM_SPIKES = 1000.0, 100, 50_000
"""How much of the beginning of a recording is shown again, so that single spikes can be told apart."""
_SMALL = (5.0, 3.4)
_FEW_INTERVALS = 20
"""Runs with fewer spikes of a neuron make intervals look shorter and more regular than they are."""

MEANINGS = {
    "mean rate": "Spikes of a neuron in a second of simulated time: the mean over neurons, samples and time.",
    "active neurons": "The share of the recorded neurons that fired at least once.",
    "CV": "How irregular the intervals between the spikes of a neuron are: their standard deviation over their mean. "
    "0 is a clock, 1 is chance (a Poisson process), more comes of bursts or of a rate that changes.",
    "Lv": "The same of each interval and the next (local variation), so that slow changes of the rate do not count. "
    "0 is a clock, 1 is chance.",
    "Fano factor": "How much the spike count of a neuron differs between stretches of time: its variance over its "
    "mean. 0 is always the same count, 1 is chance, more is a rate that changes.",
    "correlation": "How far the spike counts of two neurons go up and down together (Pearson): the mean over pairs. "
    "0 is not at all, 1 always.",
    "synchrony chi": "How much the activity of all neurons together varies, compared with that of each. 1 is all at "
    "once; n independent neurons have about 1 / sqrt(n).",
    "spikes in bursts": "The share of the spikes that belong to a burst: spikes of a neuron at short intervals.",
    "branching ratio": "An avalanche is activity of the population between two silences. The mean of the spikes in its "
    "second bin over those in its first: below 1 activity dies out, at 1 it keeps itself up, above it grows.",
}
"""What the numbers of a layer's section say."""


@dataclass(frozen=True)
class LayerView:
    """What is known of a layer beside its recording.

    classes: the names of the classes that equal bands of its neurons vote for. notes: a note above each run of the
    raster. threshold: the potential at which it fires.
    """

    classes: Sequence[object] = ()
    notes: Sequence[str] = ()
    threshold: float | None = None


def spikes_section(measures: LayerMeasures, view: LayerView) -> Section:
    """The section of a layer's spikes: its numbers, raster, rates, intervals, and what neurons do together."""
    name = name_in(measures.layer.session, measures.layer.node, measures.layer.name)
    notes = _sampling_notes(measures, measures.rate)
    if not measures.rate.total_spikes:
        return Section(name, f"None of the neurons ({measures.rate.n_neurons:,}) fired.", warnings=notes)
    large = [_raster(measures, view, name), *_zoom(measures, name), *_timeline(measures, name)]
    small = [_rates(measures, name), *_intervals(measures, name), *_pairs(measures, name), *_avalanches(measures, name)]
    return Section(name, _text(measures), figures=large, row=small, cards=_cards(measures), warnings=notes)


def meanings_section(measured: Iterable[LayerMeasures]) -> list[Section]:
    """The section on what the numbers of the layers' sections mean, of those that are shown; none without spikes."""
    shown = {name for layer in measured if layer.rate.total_spikes for name in _cards(layer)}
    rows = [(name, meaning) for name, meaning in MEANINGS.items() if name in shown]
    return [Section("What the numbers mean", table=Table(("number", "meaning"), rows))] if rows else []


def _cards(measures: LayerMeasures) -> dict[str, object]:
    rate = measures.rate
    return {
        "neurons": f"{rate.n_neurons:,}",
        "mean rate": hz(rate.mean_rate_hz),
        "active neurons": f"{rate.active_neurons / len(measures.neuron_rates):.1%}",
        **measures.key_numbers,
    }


def _text(measures: LayerMeasures) -> str:
    """How the numbers were measured."""
    rate, scales, found = measures.rate, measures.scales, measures.found
    whole = f"{samples(rate.n_samples)}, {rate.trial_s:,.6g} s in all"
    parts = [f"{rate.total_spikes:,} spikes of {rate.n_neurons:,} neurons at {hz(rate.mean_rate_hz)} in {whole}."]
    numbers = measures.key_numbers
    if not numbers and found.keys() - {"population_rate"}:
        parts.append("These are too few spikes to measure more than rates.")
    if "Fano factor" in numbers:
        parts.append(f"The Fano factor is that of counts in {scales.counts:g} ms.")
    if "synchrony chi" in numbers:
        chi, n = found["synchrony"], len(measures.paired)
        parts.append(
            f"Correlation and synchrony are those of counts in {scales.pairs:g} ms, of {_which(measures)}: "
            f"independent neurons have a chi of about {n**-0.5:.2g}, alike ones of 1, these of {chi:.2g}."
        )
    if "spikes in bursts" in numbers and scales.burst is not None:
        parts.append(
            f"A burst is three spikes or more whose first interval is at most {scales.burst:.3g} ms, a tenth of the "
            f"mean one, and the others at most {2 * scales.burst:.3g} ms."
        )
    if "CV" in numbers and measures.spikes_in_run < _FEW_INTERVALS:
        parts.append(
            f"A run holds {measures.spikes_in_run:.2g} spikes of a neuron on average: intervals longer than a run are "
            "not seen, so that mean interval and CV are smaller than they would be in a long run."
        )
    if scales.silence is None and "fano_factor" in found:
        parts.append("The population is hardly ever silent for a step, so that it has no avalanches.")
    return "\n\n".join((parts[0], " ".join(parts[1:])))


def _which(measures: LayerMeasures) -> str:
    n, recorded = len(measures.paired), len(measures.neuron_rates)
    return f"{n} of {recorded:,} neurons, drawn with seed {measures.seed}" if n < recorded else f"all {n} neurons"


def _sampling_notes(measures: LayerMeasures, rate: FiringRate) -> list[str]:
    if rate.mode == "all":
        return []
    sampling = measures.layer.sampling
    note = f"{rate.recorded_fraction:.1%} of the {rate.mode} were recorded"
    if sampling.neurons is None:
        note += "; rates are corrected for it."
    else:
        note += f": what is told is that of these {len(sampling.neurons):,} neurons, numbered in the order of ids."
    if measures.refused:
        note += f" Left out, as sub-sampling spoils them: {', '.join(n.replace('_', ' ') for n in measures.refused)}."
    return [note]


def _raster(measures: LayerMeasures, view: LayerView, name: str) -> Picture:
    layer, n = measures.layer, len(measures.neuron_rates)
    runs = layer.stretches_ms
    classes = view.classes if layer.sampling.neurons is None and n % max(1, len(view.classes)) == 0 else ()
    figure = measures.raster.result(title="Spikes", runs=runs, classes=classes, notes=view.notes)
    n_spikes = "darker where there are more" if measures.raster.is_image else "a mark each, a row for each neuron"
    caption = "Spikes of sample 0" if measures.rate.n_samples > len(runs) else "Spikes"
    if len(runs) > 1:
        caption += f" of each of {len(runs)} runs" + (", which lines part" if draws_lines(len(runs)) else "")
    caption += f": {n_spikes}"
    if view.notes:
        caption += "; above: true class \N{RIGHTWARDS ARROW} answer"
    return Picture(figure, f"{caption}.", f"Raster of {name}: {n} neurons in {layer.n_steps * layer.dt:g} ms")


def _zoom(measures: LayerMeasures, name: str) -> Iterator[Picture]:
    """The first second of a long recording, few neurons."""
    layer = measures.layer
    begin, n_steps = layer.runs[0].start, int(_ZOOM_MS / layer.dt)
    crowded = measures.rate.total_spikes > _ZOOM_SPIKES
    if n_steps < 1 or not crowded or layer.n_recorded_steps < 3 * n_steps:
        return
    chosen = np.sort(measures.layer.places(measures.paired))[:_ZOOM_NEURONS]
    train = layer.session.train(layer.node, layer.name, 0, begin, begin + n_steps)
    train = only_neurons(replace(train, shape=(layer.n_neurons,)), layer.neurons[chosen])
    few = f", {len(chosen)} of the neurons, drawn by lot and numbered anew" if len(chosen) < layer.n_neurons else ""
    figure = plots.raster(train, title="The beginning, closer")
    yield Picture(figure, f"The first {_ZOOM_MS:g} ms{few}: each mark is a spike.", f"The beginning of {name}")


def _timeline(measures: LayerMeasures, name: str) -> Iterator[Picture]:
    found = measures.found.get("population_rate")
    if found is None or not np.isfinite(found.rate).any():
        return
    figure = plots.rate_timeline(found, runs=measures.layer.stretches_ms, title="Population rate")
    samples = ", averaged over samples" if len(found.rate) > 1 else ""
    yield Picture(
        figure,
        f"Rate of the population over time: spikes of a neuron in a second{samples}.",
        f"Firing rate of {name} over time",
    )


def _rates(measures: LayerMeasures, name: str) -> Picture:
    figure = plots.neuron_rate_bars(measures.neuron_rates, title="Rates of the neurons")
    figure.set_size_inches(*_SMALL)
    many = figure.axes[0].get_ylabel() == "neurons"
    caption = "How many neurons fire how fast." if many else "How fast each neuron fires."
    return Picture(figure, caption, f"Rates of the neurons of {name}")


def _intervals(measures: LayerMeasures, name: str) -> Iterator[Picture]:
    found = measures.found.get("isi")
    if found is None or not found.counts.sum():
        return
    edges = np.append(found.start_ms, found.start_ms[-1] + found.bin_ms)
    figure = plots.isi_histogram(found.counts, edges=edges, mean=found.mean_ms, title="Intervals")
    figure.set_size_inches(*_SMALL)
    longer = f" {found.beyond / found.n_intervals:.1%} are longer." if found.beyond else ""
    caption = f"Times between the spikes of a neuron, within a run; bins of {found.bin_ms:g} ms.{longer}"
    yield Picture(figure, caption, f"Intervals between the spikes of {name}")


def _pairs(measures: LayerMeasures, name: str) -> Iterator[Picture]:
    matrix = measures.found.get("spike_correlations")
    if matrix is None or np.isfinite(matrix.diagonal()).sum() < 2:
        return
    caption = (
        f"Correlation of the spike counts in {measures.scales.pairs:g} ms, of {_which(measures)}: 1 where two go up "
        "and down together, 0 where they do not, below where one goes down as the other goes up."
    )
    figure = plots.correlation_matrix(matrix, neurons=measures.paired.tolist(), title="Correlations")
    yield Picture(figure, caption, f"Correlation matrix of {name}")


def _avalanches(measures: LayerMeasures, name: str) -> Iterator[Picture]:
    if not measures.has_avalanches:
        return
    figure = plots.avalanche_sizes(measures.found["avalanches"].sizes, title="Avalanches")
    figure.set_size_inches(*_SMALL)
    caption = f"Stretches of bins of {measures.scales.silence:g} ms in which some neuron fired, by their spikes; "
    caption += "dashed: the slope at which activity just keeps itself up."
    yield Picture(figure, caption, f"Avalanche sizes of {name}")

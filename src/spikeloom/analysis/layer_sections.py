"""The section of a report on the spikes of one layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import plots
from .overview import hz, name_in, samples
from .rates import FiringRate
from .recorded import only_neurons
from .report import Picture, Section
from .scan import LayerMeasures

_ZOOM_MS, _ZOOM_NEURONS, _ZOOM_SPIKES = 1000.0, 100, 50_000
"""How much of the beginning of a recording is shown again, so that single spikes can be told apart."""
_SMALL = (5.0, 3.4)
_FEW_AVALANCHES = 20


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
    if "fano_factor" in found:
        parts.append(f"The Fano factor is that of counts in {scales.counts:g} ms.")
    if np.isfinite(chi := found.get("synchrony", np.nan)):
        n = len(measures.paired)
        parts.append(
            f"Correlation and synchrony are those of counts in {scales.pairs:g} ms, of {_which(measures)}: "
            f"independent neurons have a chi of about {n**-0.5:.2g}, alike ones of 1, these of {chi:.2g}."
        )
    if "bursts" in found and scales.burst is not None:
        parts.append(
            f"A burst is three spikes or more whose first interval is at most {scales.burst:.3g} ms, a tenth of the "
            f"mean one, and the others at most {2 * scales.burst:.3g} ms."
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
    note = f"{rate.recorded_fraction:.3g} of the spikes were recorded ({rate.mode}); rates are corrected for it."
    if sampling.neurons is not None:
        note += f" All else is that of the {len(sampling.neurons):,} recorded neurons, numbered in the order of ids."
    if measures.refused:
        note += f" Left out, as sub-sampling spoils them: {', '.join(n.replace('_', ' ') for n in measures.refused)}."
    return [note]


def _raster(measures: LayerMeasures, view: LayerView, name: str) -> Picture:
    layer, n = measures.layer, len(measures.neuron_rates)
    runs = layer.stretches_ms
    classes = view.classes if layer.sampling.neurons is None and n % max(1, len(view.classes)) == 0 else ()
    figure = measures.raster.result(title="Spikes", runs=runs, classes=classes, notes=view.notes)
    caption = "Spikes of sample 0" if measures.rate.n_samples > len(runs) else "Spikes"
    if len(runs) > 1:
        caption += f" of each of {len(runs)} runs; lines part the runs"
    if view.notes:
        caption += ", above them: true class \N{RIGHTWARDS ARROW} answer"
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
    few = f", {len(chosen)} of the neurons" if len(chosen) < layer.n_neurons else ""
    figure = plots.raster(train, title="The beginning, closer")
    yield Picture(figure, f"The first {_ZOOM_MS:g} ms{few}: each mark is a spike.", f"The beginning of {name}")


def _timeline(measures: LayerMeasures, name: str) -> Iterator[Picture]:
    found = measures.found.get("population_rate")
    if found is None or not np.isfinite(found.rate).any():
        return
    figure = plots.rate_timeline(found, runs=measures.layer.stretches_ms, title="Population rate")
    samples = ", averaged over samples" if len(found.rate) > 1 else ""
    yield Picture(figure, f"Rate of the population over time{samples}.", f"Firing rate of {name} over time")


def _rates(measures: LayerMeasures, name: str) -> Picture:
    figure = plots.neuron_rate_bars(measures.neuron_rates, title="Rates of the neurons")
    figure.set_size_inches(*_SMALL)
    return Picture(figure, "How fast each neuron fires.", f"Rates of the neurons of {name}")


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
    if matrix is None or not np.isfinite(matrix).any():
        return
    caption = f"Correlation of the spike counts in {measures.scales.pairs:g} ms, of {_which(measures)}."
    figure = plots.correlation_matrix(matrix, neurons=measures.paired.tolist(), title="Correlations")
    yield Picture(figure, caption, f"Correlation matrix of {name}")


def _avalanches(measures: LayerMeasures, name: str) -> Iterator[Picture]:
    found = measures.found.get("avalanches")
    if found is None or len(found.sizes) < _FEW_AVALANCHES:
        return
    figure = plots.avalanche_sizes(found.sizes, title="Avalanches")
    figure.set_size_inches(*_SMALL)
    caption = f"Stretches of bins of {measures.scales.silence:g} ms in which some neuron fired, by their spikes."
    yield Picture(figure, caption, f"Avalanche sizes of {name}")

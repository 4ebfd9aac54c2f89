"""The report of a recorded session: what was recorded, and each layer's spikes, potentials, weights and costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..recording import Session
from .costs import costs_sections
from .layer_sections import LayerView, meanings_section, spikes_section
from .overview import described, endings, gaps, hz, is_input, layers_of, name_in, settings
from .rates import FiringRate, mean_of_neurons
from .recorded import RecordedLayer
from .report import Section, Table, write_report
from .scan import LayerMeasures, measure_layer
from .state_sections import behavior_sections, state_sections

Layer = tuple[str, str]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Analysis:
    """What was measured of a session: of each layer, in order, and a sentence for each that could not be read."""

    session: Session
    measures: Mapping[Layer, LayerMeasures]
    unreadable: Sequence[str]

    @classmethod
    def of(
        cls,
        session: Session,
        *,
        bin_ms: float = 50.0,
        order: Sequence[str] = (),
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Analysis:
        """All measures of all layers, those of `order` first; each layer is read once.

        Pairs are those of at most 200 neurons of each layer, which `seed` draws. progress is told the share (0..1) of
        the spikes that were read.
        """
        place = {layer: k for k, layer in enumerate(order)}
        keys = sorted(layers_of(session), key=lambda key: (key[0], place.get(key[1], len(place))))
        told = None if progress is None else _Reading(session, keys, progress)
        found, unreadable = {}, []
        for key in keys:
            try:
                layer = RecordedLayer.of(session, *key)
                found[key] = measure_layer(layer, seed=seed, bin_ms=bin_ms, progress=told)
            except DataError as error:
                unreadable.append(f"Spikes of {name_in(session, *key)} cannot be shown: {error}.")
        return cls(session, found, unreadable)

    @property
    def rates(self) -> dict[Layer, FiringRate]:
        """The rate of each layer."""
        return {key: measured.rate for key, measured in self.measures.items()}


class _Reading:
    """Tells how much of a session's spikes was read."""

    def __init__(self, session: Session, keys: Sequence[Layer], progress: Progress) -> None:
        self._progress, self._read = progress, 0
        self._size = sum(stretch.size for key in keys for stretch in session.stretches(*key))

    def __call__(self, n_spikes: int) -> None:
        self._read += n_spikes
        self._progress(min(1.0, self._read / max(1, self._size)))


def write_session_report(session: str | Path, path: str | Path | None = None) -> Path:
    """The path of the HTML report of a recorded session, by default report.html in its folder, after it was written."""
    with Session(session) as opened:
        target = opened.path / "report.html" if path is None else path
        return write_report(target, opened.title, session_report(opened))


def session_report(
    session: Session, *, bin_ms: float = 50.0, views: Mapping[str, LayerView] | None = None, seed: int = 0
) -> Iterator[Section]:
    """The sections of a report on a recorded session, one by one; see `report_of`."""
    views = {} if views is None else views
    return report_of(Analysis.of(session, bin_ms=bin_ms, order=list(views), seed=seed), views)


def report_of(analysis: Analysis, views: Mapping[str, LayerView] | None = None) -> Iterator[Section]:
    """The sections of a report, one by one: what was recorded, what nodes did, layers, variables, weights, costs.

    The last says what the numbers mean. Rasters show sample 0 of each run. What sub-sampling spoils is left out, with
    the reason; a layer that cannot be read is named in the first section. views: what else is known of layers.
    """
    session, views = analysis.session, {} if views is None else views
    yield summary_section(analysis)
    yield from behavior_sections(session)
    for measured in analysis.measures.values():
        yield spikes_section(measured, views.get(measured.layer.name, LayerView()))
    thresholds = {key: _threshold(session, key, views) for key in layers_of(session, "membrane")}
    yield from state_sections(session, thresholds)
    yield from costs_sections(session, analysis.measures)
    yield from meanings_section(analysis.measures.values())


def summary_section(analysis: Analysis) -> Section:
    """The first section: what was recorded, how it ended, and a row for each layer."""
    session, rates = analysis.session, analysis.rates
    neurons = [rate for key, rate in rates.items() if not is_input(session, *key)] or list(rates.values())
    label = "mean rate without input" if len(neurons) < len(rates) else "mean rate"
    cards: dict[str, object] = {"nodes": n_nodes} if (n_nodes := len(session.nodes())) != 1 else {}
    cards |= {
        "layers": len(rates),
        "samples": f"{max((rate.n_samples for rate in rates.values()), default=0):,}",
        "spikes recorded": f"{sum(rate.total_spikes for rate in rates.values()):,}",
        "simulated time": f"{max((rate.duration_s for rate in rates.values()), default=0):,.4g} s",
        label: hz(mean_of_neurons(neurons)),
    }
    seeds = {str(m["seed"]) for node in session.nodes() if "seed" in (m := session.metadata(node))}
    if seeds:
        cards["seed"] = ", ".join(sorted(seeds))
    columns = ("layer", "neurons", "samples", "time of all samples", "spikes", "mean rate", "recorded")
    rows = [_row(session, key, measured) for key, measured in analysis.measures.items()]
    return Section(
        "What was recorded",
        table=Table(columns, rows) if rows else None,
        cards=cards,
        warnings=[*endings(session), *gaps(session), *analysis.unreadable],
        details=settings(session),
    )


def _row(session: Session, key: Layer, measured: LayerMeasures) -> tuple[Any, ...]:
    rate, shape = measured.rate, measured.layer.shape
    neurons = f"{rate.n_neurons:,}" + (f" ({' x '.join(map(str, shape))})" if len(shape) > 1 else "")
    part = "all" if rate.mode == "all" else f"{rate.recorded_fraction:.3g} of the {rate.mode}"
    return (
        name_in(session, *key), neurons, f"{rate.n_samples:,}", f"{rate.trial_s:,.3f} s", f"{rate.total_spikes:,}",
        hz(rate.mean_rate_hz), part,
    )  # fmt: skip


def _threshold(session: Session, key: Layer, views: Mapping[str, LayerView]) -> float | None:
    """The potential at which a layer fires: what the view says, else the recorded description of the network."""
    view = views.get(key[1])
    if view is not None and view.threshold is not None:
        return view.threshold
    v_th = described(session, key[0]).get(key[1], {}).get("v_th")
    return float(v_th) if isinstance(v_th, (int, float)) and not isinstance(v_th, bool) else None

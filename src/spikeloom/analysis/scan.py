"""All measures of a layer for its report, in one pass through its recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedError
from .measures import (
    Activity,
    AvalancheAccumulator,
    BurstAccumulator,
    CountCorrelationAccumulator,
    CvAccumulator,
    FanoFactorAccumulator,
    IntervalMeasure,
    IsiHistogramAccumulator,
    LocalVariationAccumulator,
    PopulationRateAccumulator,
    PopulationSynchronyAccumulator,
    SharedIntervals,
    seeded_neurons,
)
from .plots import RasterAccumulator
from .rates import FiringRate, corrected, counting, neuron_rates_of, rate_of
from .recorded import RecordedLayer, only_neurons
from .windows import Accumulator, Window, accumulate

PAIRED = 200
"""How many neurons pairs are made of, at most."""
FEW_SPIKES, FEW_AVALANCHES = 20, 20
"""Of fewer a report shows no measures but rates, and no avalanches."""
_BINS, _INTERVALS, _TAIL = 400, 80, 6
"""The bins of a rate over time, those of a histogram of intervals, and how many mean intervals that reaches over."""

M = TypeVar("M")


@dataclass(frozen=True)
class Scales:
    """The times, in ms, that the measures of a report count in: whole steps, and several in each run.

    rate: bins of the rate over time. counts: windows of the Fano factor. pairs: bins of correlations and synchrony.
    interval: bins of the histogram of intervals, up to `longest`. burst: the interval that a burst begins with, a tenth
    of the mean one. silence: bins of avalanches, the mean time between two spikes of the population. The last two are
    None where they are shorter than a step, so that they cannot be told apart from others.
    """

    rate: float
    counts: float
    pairs: float
    interval: float
    longest: float
    burst: float | None
    silence: float | None

    @classmethod
    def of(cls, layer: RecordedLayer, bin_ms: float = 50.0) -> Scales:
        """Those of a layer: the first three at most 50, 100 and 10 ms, except that the rate has at most 400 bins."""
        every = ceil(1 / layer.sampling.rate) * layer.dt if layer.sampling.mode == "steps" else layer.dt
        rate = max(bin_ms, layer.n_steps * layer.dt / _BINS, every)
        mean, dt = min(layer.mean_interval_ms, _longest(layer)), layer.dt
        longest = max(min(_TAIL * mean, _longest(layer)), dt)
        return cls(
            rate=_bin(rate, layer),
            counts=_bin(100.0, layer),
            pairs=_bin(10.0, layer),
            interval=ceil(longest / _INTERVALS / dt) * dt,
            longest=longest,
            burst=mean / 10 if mean / 10 >= dt else None,
            silence=max(1, round(mean / len(layer.neurons) / dt)) * dt if mean / len(layer.neurons) >= dt / 2 else None,
        )


def _longest(layer: RecordedLayer) -> float:
    """The longest run in ms."""
    return max(run.stop - run.start for run in layer.runs) * layer.dt


def _bin(wanted: float, layer: RecordedLayer) -> float:
    """At most `wanted`, and a tenth of the time, in whole steps, such that the bins of the longest run are alike."""
    dt = layer.dt
    n_bins = np.ceil(_longest(layer) / max(min(wanted, layer.n_steps * dt / 10), dt) - 1e-9)
    return float(np.ceil(_longest(layer) / n_bins / dt - 1e-9) * dt)


class Chosen:
    """Measures of a few of a layer's neurons: shows them windows of these neurons alone, numbered from 0."""

    def __init__(self, neurons: NDArray[np.int64], *accumulators: Accumulator[object]) -> None:
        self._neurons, self._accumulators = neurons, accumulators

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        few = replace(window, spikes=only_neurons(window.spikes, self._neurons))
        for accumulator in self._accumulators:
            accumulator.add(few)

    def result(self) -> list[object]:
        """The results of all measures."""
        return [accumulator.result() for accumulator in self._accumulators]


@dataclass(frozen=True)
class LayerMeasures:
    """What was measured of a layer.

    neuron_rates (K,) are those of its recorded neurons; `paired` the ids of those whose pairs were looked at, which
    `seed` drew. `found` are the results by measure, as `EFFECTS` calls them; `refused` the reasons why others are
    missing.
    """

    layer: RecordedLayer
    scales: Scales
    activity: Activity
    rate: FiringRate
    neuron_rates: NDArray[np.float64]
    paired: NDArray[np.int64]
    seed: int
    raster: RasterAccumulator
    found: Mapping[str, Any]
    refused: Mapping[str, str]

    @property
    def spikes_in_run(self) -> float:
        """How many spikes of a recorded neuron the longest run holds on average."""
        return _longest(self.layer) / self.layer.mean_interval_ms

    @property
    def key_numbers(self) -> dict[str, str]:
        """The numbers that tell most of the layer's firing, by name: those that are known; none of a few spikes."""
        if self.rate.total_spikes < FEW_SPIKES:
            return {}
        found = self.found
        matrix = found.get("spike_correlations", np.zeros((0, 0)))
        numbers = {
            "CV": found["cv"].mean if "cv" in found else np.nan,
            "Lv": found["local_variation"].mean if "local_variation" in found else np.nan,
            "Fano factor": _mean(found.get("fano_factor", np.zeros(0))),
            "correlation": _mean(matrix[np.triu_indices(len(matrix), 1)]),
            "synchrony chi": found.get("synchrony", np.nan),
            "spikes in bursts": found["bursts"].share_of_spikes if "bursts" in found else np.nan,
            "branching ratio": found["avalanches"].branching_ratio if self.has_avalanches else np.nan,
        }
        shapes = {"spikes in bursts": "{:.1%}", "correlation": "{:.3f}", "synchrony chi": "{:.3f}"}
        known = {name: n + 0.0 if abs(n) >= 5e-4 else 0.0 for name, n in numbers.items() if np.isfinite(n)}
        return {name: shapes.get(name, "{:.2f}").format(n) for name, n in known.items()}

    @property
    def has_avalanches(self) -> bool:
        """Whether there are avalanches enough to say something of them."""
        return "avalanches" in self.found and len(self.found["avalanches"].sizes) >= FEW_AVALANCHES


def _mean(values: NDArray[np.float64]) -> float:
    """The mean of those that are known; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan


def measure_layer(
    layer: RecordedLayer, *, seed: int = 0, bin_ms: float = 50.0, progress: Callable[[int], None] | None = None
) -> LayerMeasures:
    """All measures of a layer that its sampling allows; pairs are those of at most 200 neurons that `seed` draws.

    progress is told the number of spikes of each window that was read.
    """
    scales = Scales.of(layer, bin_ms)
    chosen = seeded_neurons(len(layer.neurons), PAIRED, np.random.default_rng(seed))
    counted = counting(layer)
    raster = RasterAccumulator(len(layer.neurons), layer.n_steps * layer.dt)
    plan = _Plan.of(layer, scales, chosen)
    accumulate(_told(layer, progress), counted, raster, *plan.groups())
    found = {name: accumulator.result() for name, accumulator in plan.measures.items()}
    found["population_rate"] = corrected(found["population_rate"], layer)
    active = counted.result()
    return LayerMeasures(
        layer=layer,
        scales=scales,
        activity=active,
        rate=rate_of(layer, active),
        neuron_rates=neuron_rates_of(layer, active),
        paired=layer.neurons[chosen],
        seed=seed,
        raster=raster,
        found=found,
        refused=plan.refused,
    )


@dataclass(frozen=True)
class _Plan:
    """The measures of a layer that its sampling allows, by name, and the reasons why others are refused."""

    chosen: NDArray[np.int64]
    intervals: Mapping[str, IntervalMeasure[Any]]
    others: Mapping[str, Accumulator[Any]]
    pairs: Mapping[str, Accumulator[Any]]
    refused: Mapping[str, str]

    @classmethod
    def of(cls, layer: RecordedLayer, scales: Scales, chosen: NDArray[np.int64]) -> _Plan:
        """Those that a report shows."""
        refused: dict[str, str] = {}
        intervals: dict[str, Callable[[], IntervalMeasure[Any]]] = {
            "isi": lambda: IsiHistogramAccumulator(scales.interval, scales.longest),
            "cv": CvAccumulator,
            "local_variation": LocalVariationAccumulator,
        }
        if (burst := scales.burst) is not None:
            intervals["bursts"] = lambda: BurstAccumulator(burst, 2 * burst, 4 * burst, 0.0)
        others: dict[str, Callable[[], Accumulator[Any]]] = {
            "population_rate": lambda: PopulationRateAccumulator(scales.rate),
            "fano_factor": lambda: FanoFactorAccumulator(scales.counts),
        }
        if (silence := scales.silence) is not None:
            others["avalanches"] = lambda: AvalancheAccumulator(silence)
        pairs: dict[str, Callable[[], Accumulator[Any]]] = {
            "spike_correlations": lambda: CountCorrelationAccumulator(scales.pairs, np.arange(len(chosen))),
            "synchrony": lambda: PopulationSynchronyAccumulator(scales.pairs, len(chosen)),
        }
        return cls(
            chosen,
            _allowed(layer, intervals, refused),
            _allowed(layer, others, refused),
            _allowed(layer, pairs if len(chosen) > 1 else {}, refused),
            refused,
        )

    @property
    def measures(self) -> dict[str, Accumulator[Any]]:
        """All of them, by name."""
        return {**self.intervals, **self.others, **self.pairs}

    def groups(self) -> list[Accumulator[Any]]:
        """What is shown the windows: intervals share the sorting of spikes by train, pairs the choice of neurons."""
        groups: list[Accumulator[Any]] = list(self.others.values())
        if self.intervals:
            groups.append(SharedIntervals(*self.intervals.values()))
        if self.pairs:
            groups.append(Chosen(self.chosen, *self.pairs.values()))
        return groups


def _allowed(layer: RecordedLayer, measures: Mapping[str, Callable[[], M]], refused: dict[str, str]) -> dict[str, M]:
    """The measures that the layer's sampling does not spoil; the reasons of the others are put into `refused`."""
    allowed = {}
    for name, made in measures.items():
        try:
            layer.checked(name)
            allowed[name] = made()
        except UnsupportedError as error:
            refused[name] = str(error)
    return allowed


def _told(layer: RecordedLayer, progress: Callable[[int], None] | None) -> Iterator[Window]:
    for window in layer.windows():
        yield window
        if progress is not None:
            progress(window.spikes.n_spikes)

"""The measures of recorded layers by name: `compute_<measure>` for each entry of `EFFECTS`."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ShapeError
from ..recording import Session
from ..spikes import Spikes
from .costs import activities_of, bit_budgets, network_of
from .measures import (
    AvalancheAccumulator,
    Avalanches,
    BitBudget,
    BurstAccumulator,
    Bursts,
    Communication,
    ConnectionCost,
    CountCorrelationAccumulator,
    CrossCorrelation,
    Cv2Accumulator,
    CvAccumulator,
    FanoFactorAccumulator,
    InformationPerSpike,
    IsiHistogram,
    IsiHistogramAccumulator,
    LocalVariationAccumulator,
    MemoryVolume,
    PopulationRate,
    PopulationRateAccumulator,
    PopulationSynchronyAccumulator,
    Psth,
    PsthAccumulator,
    RevisedLocalVariationAccumulator,
    SpikeTriggeredAverage,
    Variation,
    autocorrelation,
    communication_volume,
    connection_costs,
    cross_correlation,
    first_spike_latency,
    information_per_spike,
    memory_volume,
    seeded_neurons,
    spike_contrast,
    spike_triggered_average,
    van_rossum_distance,
    victor_purpura_distance,
)
from .rates import activity_of, corrected, neuron_rates_of, rate_of
from .recorded import RecordedLayer
from .scan import PAIRED, Chosen
from .windows import Accumulator, accumulate

Array = NDArray[np.float64]
Neurons = Sequence[int] | NDArray[np.int64] | None
R = TypeVar("R")


class NeuronRates(NamedTuple):
    """The ids (K,) of the recorded neurons, and the rate of each in Hz, averaged over samples."""

    neurons: NDArray[np.int64]
    rate_hz: Array


class Pairs(NamedTuple):
    """A measure of all pairs (n, n) of the neurons with these ids (n,)."""

    neurons: NDArray[np.int64]
    values: Array


class SessionMeasures(ABC):
    """The measures of a session's layers.

    All go through a layer window by window. Results by neuron stand in the order of the recorded neurons' ids.
    `neurons` are ids of recorded neurons; where a measure compares neurons, None means at most 200 of them, drawn with
    seed 0. Where a measure takes one `sample`, each of the R runs is a trial of its own. UnsupportedError says why a
    measure is refused where sub-sampling spoils it.
    """

    session: Session

    def compute_firing_rate(self, node_id: str, layer_name: str) -> dict[str, Any]:
        """The fields of `FiringRate` of a layer: mean_rate_hz, total_spikes, ..., over all samples."""
        layer = self._layer("firing_rate", node_id, layer_name)
        return asdict(rate_of(layer, activity_of(layer)))

    def compute_neuron_rates(self, node_id: str, layer_name: str) -> NeuronRates:
        """The rate of each recorded neuron."""
        layer = self._layer("neuron_rates", node_id, layer_name)
        return NeuronRates(layer.neurons, neuron_rates_of(layer, activity_of(layer)))

    def compute_population_rate(self, node_id: str, layer_name: str, bin_ms: float = 50.0) -> PopulationRate:
        """The rate of each sample over time, in Hz per neuron; NaN where no step of a bin was recorded."""
        layer = self._layer("population_rate", node_id, layer_name)
        return corrected(_measured(layer, PopulationRateAccumulator(bin_ms)), layer)

    def compute_isi(self, node_id: str, layer_name: str, bin_ms: float = 1.0, max_ms: float = 500.0) -> IsiHistogram:
        """The histogram of the intervals between the spikes of a neuron, with their number, mean and deviation."""
        return self._found("isi", node_id, layer_name, IsiHistogramAccumulator(bin_ms, max_ms))

    def compute_cv(self, node_id: str, layer_name: str) -> Variation:
        """The coefficient of variation of each neuron's intervals, and the mean over all trains."""
        return self._found("cv", node_id, layer_name, CvAccumulator())

    def compute_cv2(self, node_id: str, layer_name: str) -> Variation:
        """The CV2 of each neuron's intervals (Holt et al. 1996)."""
        return self._found("cv2", node_id, layer_name, Cv2Accumulator())

    def compute_local_variation(self, node_id: str, layer_name: str) -> Variation:
        """The local variation Lv of each neuron's intervals (Shinomoto et al. 2003)."""
        return self._found("local_variation", node_id, layer_name, LocalVariationAccumulator())

    def compute_revised_local_variation(self, node_id: str, layer_name: str, refractory_ms: float = 5.0) -> Variation:
        """The revised local variation LvR of each neuron's intervals (Shinomoto et al. 2009)."""
        measure = RevisedLocalVariationAccumulator(refractory_ms)
        return self._found("revised_local_variation", node_id, layer_name, measure)

    def compute_fano_factor(self, node_id: str, layer_name: str, window_ms: float = 100.0) -> Array:
        """The Fano factor of each recorded neuron's counts in windows of `window_ms`, (K,)."""
        return self._found("fano_factor", node_id, layer_name, FanoFactorAccumulator(window_ms))

    def compute_bursts(self, node_id: str, layer_name: str, **limits: float) -> Bursts:
        """The bursts of each neuron by the max-interval method; limits: those of `measures.bursts`."""
        layer = self._layer("bursts", node_id, layer_name)
        found = _measured(layer, BurstAccumulator(**limits))  # type: ignore[arg-type]
        return found._replace(neuron=layer.neurons[found.neuron])

    def compute_avalanches(self, node_id: str, layer_name: str, bin_ms: float | None = None) -> Avalanches:
        """The avalanches of the population; bins as long as its mean time between spikes, or one step at least."""
        layer = self._layer("avalanches", node_id, layer_name)
        if bin_ms is None:
            mean = min(layer.mean_interval_ms / layer.n_neurons, layer.n_steps * layer.dt)
            bin_ms = max(1, round(mean / layer.dt)) * layer.dt
        return _measured(layer, AvalancheAccumulator(bin_ms))

    def compute_spike_correlations(
        self, node_id: str, layer_name: str, bin_ms: float = 10.0, neurons: Neurons = None
    ) -> Pairs:
        """Pearson's correlation of the spike counts of all pairs in bins of `bin_ms`; NaN for silent neurons."""
        layer = self._layer("spike_correlations", node_id, layer_name)
        chosen = _some(layer, neurons)
        measure = CountCorrelationAccumulator(bin_ms, np.arange(len(chosen)))
        accumulate(layer.windows(), Chosen(layer.places(chosen), measure))
        return Pairs(chosen, measure.result())

    def compute_synchrony(self, node_id: str, layer_name: str, bin_ms: float = 10.0, neurons: Neurons = None) -> float:
        """Golomb's and Rinzel's chi of the counts in bins of `bin_ms`, of all recorded neurons or of some."""
        layer = self._layer("synchrony", node_id, layer_name)
        chosen = layer.neurons if neurons is None else _some(layer, neurons)
        measure = PopulationSynchronyAccumulator(bin_ms, len(chosen))
        accumulate(layer.windows(), Chosen(layer.places(chosen), measure))
        return measure.result()

    def compute_spike_contrast(
        self, node_id: str, layer_name: str, min_bin_ms: float = 10.0, neurons: Neurons = None, sample: int = 0
    ) -> Array:
        """The Spike-contrast of some neurons in each run of one sample, (R,) (Ciba et al. 2018).

        NaN for a run in which no neuron fires twice, or that is shorter than two bins.
        """
        found = self._trains("spike_contrast", node_id, layer_name, neurons, sample)
        return np.array(
            [np.nan if run.duration < 2 * min_bin_ms else spike_contrast(run, min_bin_ms)[0] for run in found.by_run()]
        )

    def compute_autocorrelation(
        self,
        node_id: str,
        layer_name: str,
        bin_ms: float = 1.0,
        max_lag_ms: float = 100.0,
        neurons: Neurons = None,
        sample: int = 0,
    ) -> CrossCorrelation:
        """The autocorrelation of some neurons in one sample, in the order of their ids; lags end with the run."""
        found = self._trains("autocorrelation", node_id, layer_name, neurons, sample)
        return autocorrelation(found.spikes, bin_ms, max_lag_ms, durations_ms=found.lengths_ms)

    def compute_cross_correlation(
        self,
        node_id: str,
        layer_name: str,
        first: int,
        second: int,
        bin_ms: float = 1.0,
        max_lag_ms: float = 100.0,
        sample: int = 0,
    ) -> CrossCorrelation:
        """The cross-correlation of two neurons in one sample; at positive lags the second fires behind the first."""
        ids = sorted({first, second})
        found = self._trains("cross_correlation", node_id, layer_name, ids, sample)
        pair = ids.index(first), ids.index(second)
        return cross_correlation(found.spikes, *pair, bin_ms, max_lag_ms, found.lengths_ms)

    def compute_van_rossum_distance(
        self, node_id: str, layer_name: str, tau_ms: float = 10.0, neurons: Neurons = None, sample: int = 0
    ) -> Pairs:
        """The van Rossum distances of all pairs of trains of one sample: over the runs, their squares add up."""
        found = self._trains("van_rossum_distance", node_id, layer_name, neurons, sample)
        squares = sum(van_rossum_distance(run, tau_ms)[0] ** 2 for run in found.by_run())
        return Pairs(found.neurons, np.sqrt(squares))

    def compute_victor_purpura_distance(
        self, node_id: str, layer_name: str, cost_per_ms: float = 0.1, neurons: Neurons = None, sample: int = 0
    ) -> Pairs:
        """The Victor-Purpura distances of all pairs of trains of one sample: those of its runs add up."""
        found = self._trains("victor_purpura_distance", node_id, layer_name, neurons, sample)
        distances = [victor_purpura_distance(run, cost_per_ms)[0] for run in found.by_run()]
        return Pairs(found.neurons, np.sum(distances, axis=0))

    def compute_spike_triggered_average(
        self,
        node_id: str,
        layer_name: str,
        signal: ArrayLike,
        window_ms: Sequence[float] = (-50.0, 10.0),
        neurons: Neurons = None,
        sample: int = 0,
    ) -> SpikeTriggeredAverage:
        """The mean of a signal (T, N...) around the spikes of some neurons; it has a value for each recorded step.

        A spike counts whose whole window lies in its run.
        """
        found = self._trains("spike_triggered_average", node_id, layer_name, neurons, sample)
        return _average_over_runs(found, np.asarray(signal), window_ms)

    def compute_psth(
        self,
        node_id: str,
        layer_name: str,
        events_ms: ArrayLike,
        before_ms: float = 50.0,
        after_ms: float = 200.0,
        bin_ms: float = 5.0,
    ) -> Psth:
        """The rate of each recorded neuron around events, averaged over events and samples."""
        layer = self._layer("psth", node_id, layer_name)
        found = _measured(layer, PsthAccumulator(events_ms, before_ms, after_ms, bin_ms))
        thinned = layer.sampling.mode == "spikes"
        return found._replace(rate_hz=found.rate_hz / layer.sampling.rate) if thinned else found

    def compute_spike_information(
        self, node_id: str, layer_name: str, events_ms: ArrayLike, after_ms: float = 200.0, bin_ms: float = 5.0
    ) -> InformationPerSpike:
        """The bits that a spike of each recorded neuron says of its time after an event (Brenner et al. 2000)."""
        layer = self._layer("spike_information", node_id, layer_name)
        found = _measured(layer, PsthAccumulator(events_ms, 0.0, after_ms, bin_ms))
        return information_per_spike(found.rate_hz, found.counts.sum(axis=0))

    def compute_latency(
        self, node_id: str, layer_name: str, onset_ms: float = 0.0, neurons: Neurons = None, sample: int = 0
    ) -> Array:
        """The time in ms from an onset in each run to the first spike of n neurons, by their ids, (R, n); NaN for none.

        onset_ms counts from the beginning of each run.
        """
        return first_spike_latency(self._trains("latency", node_id, layer_name, neurons, sample).spikes, onset_ms)

    def compute_synops(self, node_id: str) -> tuple[ConnectionCost, ...]:
        """The synaptic operations, additions, multiplications and energy proxy of each connection of a node."""
        return connection_costs(network_of(self.session, node_id), activities_of(self.session, node_id))

    def compute_communication(
        self, node_id: str, nodes: Mapping[str, str] | None = None, value_bits: int = 8
    ) -> tuple[Communication, ...]:
        """What goes from layer to layer, or from node to node: `measures.communication_volume` of what was recorded."""
        activities = activities_of(self.session, node_id)
        return communication_volume(network_of(self.session, node_id), activities, nodes, value_bits)

    def compute_bit_budget(self, node_id: str) -> dict[str, BitBudget]:
        """The Bit Budget of each connection for a sample of the longest run, by its path (Shen et al. 2023)."""
        layers = [RecordedLayer.of(self.session, node_id, name) for name in self.session.layers(node_id)]
        return bit_budgets(network_of(self.session, node_id), {la.name: (la, activity_of(la)) for la in layers})

    def compute_memory_volume(self, node_id: str) -> MemoryVolume:
        """The bits that the recorded network of a node holds in weights, states and spikes."""
        return memory_volume(network_of(self.session, node_id))

    def _layer(self, measure: str, node: str, layer: str) -> RecordedLayer:
        """A layer; UnsupportedError where its sampling spoils the measure."""
        return RecordedLayer.of(self.session, node, layer).checked(measure)

    def _found(self, measure: str, node: str, layer: str, accumulator: Accumulator[R]) -> R:
        return _measured(self._layer(measure, node, layer), accumulator)

    def _trains(self, measure: str, node: str, layer: str, neurons: Neurons, sample: int) -> _Trains:
        """The trains of some neurons in one sample."""
        recorded = self._layer(measure, node, layer)
        chosen = np.sort(_some(recorded, neurons))
        return _Trains(chosen, recorded.trains(chosen, sample), recorded.lengths_ms)


@dataclass(frozen=True)
class _Trains:
    """The trains of neurons with rising ids (n,) in one sample: each of the R runs, which last so long, is a sample."""

    neurons: NDArray[np.int64]
    spikes: Spikes
    lengths_ms: Array

    def by_run(self) -> Iterator[Spikes]:
        """The spikes of each run, which last as long as it."""
        n_steps = np.rint(self.lengths_ms / self.spikes.grid.dt).astype(int).tolist()
        return (self.spikes[k].window(0, n) for k, n in enumerate(n_steps))


def _average_over_runs(trains: _Trains, signal: NDArray[Any], window_ms: Sequence[float]) -> SpikeTriggeredAverage:
    """The mean over the spikes of all runs that are as long as the window at least."""
    ends = np.cumsum([run.grid.n_steps for run in trains.by_run()])
    if signal.shape[:1] != (ends[-1],):
        raise ShapeError(f"spike_triggered_average.signal must have shape ({ends[-1]}, N...), got {signal.shape}")
    parts = list(zip(trains.by_run(), np.split(signal, ends[:-1]), strict=True))
    longest = trains.lengths_ms.max()
    reach = float(np.ptp(np.asarray(window_ms, float))) if np.shape(window_ms) == (2,) else longest
    found = [
        spike_triggered_average(run, part, window_ms)
        for run, part in parts
        if run.duration >= min(reach, longest) * (1 - 1e-9)
    ]
    n_spikes = np.sum([each.n_spikes for each in found], axis=0)
    total = sum(np.nan_to_num(each.average) * _beside(each.n_spikes, each.average) for each in found)
    known = _beside(np.where(n_spikes > 0, n_spikes, np.nan), found[0].average)
    return SpikeTriggeredAverage(found[0].lag_ms, total / known, n_spikes)


def _beside(values: NDArray[Any], average: Array) -> NDArray[Any]:
    """Values (n,) as (n, 1, 1...), beside an average (n, W, N...)."""
    return values.reshape(-1, *(1,) * (average.ndim - 1))


def _measured(layer: RecordedLayer, accumulator: Accumulator[R]) -> R:
    accumulate(layer.windows(), accumulator)
    return accumulator.result()


def _some(layer: RecordedLayer, neurons: Neurons) -> NDArray[np.int64]:
    """These neurons, or at most 200 recorded ones."""
    if neurons is None:
        return layer.neurons[seeded_neurons(len(layer.neurons), PAIRED, np.random.default_rng(0))]
    layer.places(neurons)
    return np.asarray(neurons, np.int64)

"""The firing rate of a recorded layer, corrected for sub-sampling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..recording import Session
from .measures import Activity, ActivityAccumulator, PopulationRate
from .measures.bins import Array
from .recorded import RecordedLayer
from .windows import accumulate


@dataclass(frozen=True)
class FiringRate:
    """Rates in Hz, averaged over samples, and what they were counted from.

    `total_spikes` are the recorded ones; `estimated_total_spikes` those that there were, which sub-sampling
    (`mode`, `recorded_fraction`) hides in part. `n_samples` are those of all runs together; `duration_s` is the model
    time in which they were recorded side by side, `trial_s` the sum over samples.
    `max_neuron_rate_hz` is that of the liveliest recorded neuron, `active_neurons` how many recorded neurons fired.
    """

    mean_rate_hz: float
    total_spikes: int
    estimated_total_spikes: float
    n_neurons: int
    n_samples: int
    duration_s: float
    trial_s: float
    active_neurons: int
    max_neuron_rate_hz: float
    mode: str
    recorded_fraction: float


def firing_rate(session: Session, node: str, layer: str) -> FiringRate:
    """The firing rate of a layer over all its batches and samples."""
    recorded = RecordedLayer.of(session, node, layer)
    return rate_of(recorded, activity_of(recorded))


def activity_of(layer: RecordedLayer) -> Activity:
    """How often each neuron of a layer fired, counted in one pass through its recording."""
    counted = counting(layer)
    accumulate(layer.windows(), counted)
    return counted.result()


def counting(layer: RecordedLayer) -> ActivityAccumulator:
    """The accumulator of a layer's activity; DataError when no step of the layer was kept."""
    if not layer.recorded_fraction:
        raise DataError(f"{layer.node}/{layer.name}: no step was recorded, so there is no rate")
    return ActivityAccumulator(layer.n_neurons, layer.neurons, layer.recorded_fraction)


def rate_of(layer: RecordedLayer, activity: Activity) -> FiringRate:
    """The firing rate of a layer that was so active."""
    total, fraction = int(activity.counts.sum()), layer.recorded_fraction
    return FiringRate(
        mean_rate_hz=total / fraction / layer.n_neurons / layer.trial_ms * 1000,
        total_spikes=total,
        estimated_total_spikes=total / fraction,
        n_neurons=layer.n_neurons,
        n_samples=sum(run.n_samples for run in layer.runs),
        duration_s=layer.n_recorded_steps * layer.dt / 1000,
        trial_s=layer.trial_ms / 1000,
        active_neurons=int((activity.counts > 0).sum()),
        max_neuron_rate_hz=float(neuron_rates_of(layer, activity).max()),
        mode=layer.sampling.mode,
        recorded_fraction=fraction,
    )


def neuron_rates_of(layer: RecordedLayer, activity: Activity) -> Array:
    """The rate of each recorded neuron in Hz, averaged over samples, (K,)."""
    of_one = 1.0 if layer.sampling.neurons is not None else layer.recorded_fraction
    return activity.counts[layer.neurons] / of_one / layer.trial_ms * 1000


def corrected(rate: PopulationRate, layer: RecordedLayer) -> PopulationRate:
    """The rate over time of the recorded neurons, divided by the recorded part of each bin; NaN where nothing was."""
    sampling = layer.sampling
    if sampling.mode not in ("steps", "spikes"):
        return rate
    if sampling.mode == "spikes":
        return rate._replace(rate=rate.rate / sampling.rate)
    begin = np.rint(rate.start / layer.dt)
    end = np.rint((rate.start + rate.width) / layer.dt)
    kept = np.floor(end * sampling.rate + 1e-9) - np.floor(begin * sampling.rate + 1e-9)
    part = np.where(kept > 0, kept, np.nan) / (end - begin)
    return rate._replace(rate=rate.rate / part)


def mean_of_neurons(rates: Iterable[FiringRate]) -> float:
    """The mean over all neurons of some layers, in Hz; 0 without neurons."""
    counted = [(rate.mean_rate_hz, rate.n_neurons) for rate in rates]
    return sum(rate * n for rate, n in counted) / max(1, sum(n for _, n in counted))

"""The firing rate of a recorded layer, corrected for sub-sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from ..errors import DataError
from ..recording import Session, runs_of

INPUT = "input"
"""The layer of what an encoder sends: no neurons."""


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
    sampling, batches = session.sampling(node, layer), list(session.spikes(node, layer))
    trials = np.array([batch.spikes.duration * batch.n_samples for batch in batches])
    fractions = [
        sampling.recorded_fraction(batch.start, batch.start + batch.n_steps, prod(batch.shape)) for batch in batches
    ]
    trial_ms, recorded_ms = float(trials.sum()), float(trials @ fractions)
    if not recorded_ms:
        raise DataError(f"{node}/{layer}: no step was recorded, so there is no rate")
    fraction = recorded_ms / trial_ms
    counts = sum(batch.spikes.counts().sum(axis=0).ravel() for batch in batches)
    estimate = float(counts.sum()) / fraction
    of_one = fraction if sampling.neurons is None else 1.0
    return FiringRate(
        mean_rate_hz=estimate / counts.size / trial_ms * 1000,
        total_spikes=int(counts.sum()),
        estimated_total_spikes=estimate,
        n_neurons=counts.size,
        n_samples=sum(run.n_samples for run in runs_of(batches)),
        duration_s=sum(batch.spikes.duration for batch in batches) / 1000,
        trial_s=trial_ms / 1000,
        active_neurons=int((counts > 0).sum()),
        max_neuron_rate_hz=float(counts.max()) / of_one / trial_ms * 1000,
        mode=sampling.mode,
        recorded_fraction=fraction,
    )


def mean_of_neurons(rates: Mapping[tuple[str, str], FiringRate]) -> tuple[str, float]:
    """What the mean rate of layers, by (node, layer), is called, and the mean over their neurons in Hz.

    The input is left out where there are other layers.
    """
    chosen = {key: rate for key, rate in rates.items() if key[1] != INPUT} or rates
    n_neurons = sum(rate.n_neurons for rate in chosen.values())
    mean = sum(rate.mean_rate_hz * rate.n_neurons for rate in chosen.values()) / max(1, n_neurons)
    return "mean rate without input" if len(chosen) < len(rates) else "mean rate", mean

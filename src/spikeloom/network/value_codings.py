"""The codes of values as encodings: x (B, *shape) in 0..1 to spikes on the grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spikes import Spikes
from ..spikes.codes import Burst, Phase, RankOrder, Regular, TimeToFirstSpike


def regular(x: Any, n_steps: int, dt: float, generator: np.random.Generator) -> Spikes:
    """round(x * T) spikes at equal distances; see `spikes.codes.Regular`."""
    return Regular().encode(x, n_steps, dt)


def time_to_first_spike(
    x: Any, n_steps: int, dt: float, generator: np.random.Generator, *, tau: float | None = None, threshold: float = 0.0
) -> Spikes:
    """One spike, the earlier the larger x, or at -tau ln x; see `spikes.codes.TimeToFirstSpike`."""
    return TimeToFirstSpike(tau, threshold).encode(x, n_steps, dt)


def rank_order(x: Any, n_steps: int, dt: float, generator: np.random.Generator, *, modulation: float = 0.9) -> Spikes:
    """One spike for each neuron, in the order of falling x; see `spikes.codes.RankOrder`."""
    return RankOrder(modulation).encode(x, n_steps, dt)


def phase(x: Any, n_steps: int, dt: float, generator: np.random.Generator, *, n_phases: int = 8) -> Spikes:
    """x as a binary number of n_phases digits, in each period; see `spikes.codes.Phase`."""
    return Phase(n_phases).encode(x, n_steps, dt)


def burst(
    x: Any, n_steps: int, dt: float, generator: np.random.Generator, *, n_max: int = 5, isi_min: float = 2.0,
    isi_max: float = 10.0,
) -> Spikes:  # fmt: skip
    """ceil(n_max * x) spikes whose distance falls with x; see `spikes.codes.Burst`."""
    return Burst(n_max, isi_min, isi_max).encode(x, n_steps, dt)

"""Artificial spike trains of known rates, for tests and examples."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..errors import ShapeError
from ..units import check_dt, duration_steps
from .container import Spikes
from .encode import draw_keys
from .validate import Numbers, as_array, check_count, check_each, check_generator, check_shape


def artificial_spikes(
    rates_hz: Numbers,
    shape: int | Sequence[int],
    duration: float,
    dt: float,
    generator: np.random.Generator,
    n_samples: int = 1,
) -> Spikes:
    """Poisson spikes of the given rates: each step of dt ms fires, independently, with probability rate * dt / 1000.

    `rates_hz` is one rate in Hz, one for each neuron (*shape), or one for each step and neuron (T, *shape); every
    sample is another draw. `duration` is in ms. A rate of more than one spike a step is a DataError.
    """
    shape, n_samples = check_shape(shape, "artificial_spikes.shape"), check_count(n_samples, "n_samples", least=0)
    dt = check_dt(dt)
    n_steps = duration_steps(duration, dt)
    rates = as_array(rates_hz, "artificial_spikes.rates_hz").astype(np.float64)
    if rates.shape not in ((), shape, (n_steps, *shape)):
        expected = f"a number, {shape} or {(n_steps, *shape)}"
        raise ShapeError(f"artificial_spikes.rates_hz must have shape {expected}, got {rates.shape}")
    p = rates * (dt / 1000)
    limits = f"in 0..{1000 / dt:g} Hz (one spike a step); use a smaller dt"
    check_each(rates, (p >= 0) & (p <= 1), "artificial_spikes.rates_hz", limits)
    # Rates that change with time are trains of one step: T * N of them have the keys of N trains of T steps.
    changing = rates.ndim > len(shape)
    trains = np.broadcast_to(p.reshape(1, -1), (n_samples, (n_steps if changing else 1) * prod(shape)))
    keys = draw_keys(trains, 1 if changing else n_steps, check_generator(generator, "artificial_spikes.generator"))
    return Spikes.from_keys(keys, shape, n_samples, n_steps, dt)

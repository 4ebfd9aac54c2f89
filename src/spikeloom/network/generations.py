"""What generators make without data, by name.

A generation is a function (source, n_steps, dt, generator, batch, first, *, options); source (parts, B or 1, *shape)
holds what `parts` of it says, first is the step that the window begins with, not 0 where it continues a run. It returns
Spikes on the grid of dt, or values (T or 1, batch, *shape).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..registry import Registry
from ..spikes import Spikes, poisson, steps_between
from ..spikes.validate import check_each
from ..units import check_dt

_MOST_SPIKES = 2**27
"""How many spikes of a process are drawn at a time: 1 GiB of numbers."""


@dataclass(frozen=True)
class Generation:
    """A way to make a signal, and what its source says, part by part."""

    signal: Callable[..., Any]
    parts: tuple[str, ...]


def poisson_generator(
    source: NDArray[Any], n_steps: int, dt: float, generator: np.random.Generator, batch: int, first: int, *,
    unit_conversion: float | None = None, weight: float = 1.0, several: bool = False, start_time: float = 0.0,
    end_time: float | None = None,
) -> Spikes:  # fmt: skip
    """Spikes of size `weight`, each step independently with probability rate * dt, or rate * unit_conversion if given.

    The rates are per ms. SPAIC's unit_conversion, a probability a step, is 0.1 whatever dt; that is dt at its 0.1 ms.
    A rate of more than one spike a step fires in every step, and near that the train is too regular; several=True draws
    how many spikes a step holds, of a Poisson process of that rate: one of so many times the size.
    """
    rates = np.broadcast_to(source[0], (batch, *source.shape[2:]))
    scale = 1.0 if unit_conversion is None else unit_conversion / check_dt(dt)
    if several:
        window = steps_between("poisson_generator", start_time, end_time, n_steps, dt, first)
        return _of_process(rates * scale * dt, n_steps, dt, generator, window, weight)
    spikes = poisson(
        rates, n_steps, dt, generator, first, unit_conversion=scale, start_time=start_time, end_time=end_time
    )
    return spikes if weight == 1.0 else replace(spikes, value=np.full(spikes.n_spikes, weight, np.float32))


def _of_process(
    means: NDArray[Any], n_steps: int, dt: float, generator: np.random.Generator, window: tuple[int, int], weight: float
) -> Spikes:
    """Poisson processes (B, *shape) of so many spikes a step in the mean, in the steps from window[0] to window[1]."""
    begin, stop = window
    check_each(means, means >= 0, "poisson_generator.source", "a rate of at least 0")
    if (most := float(means.sum()) * (stop - begin)) > _MOST_SPIKES:
        raise ParameterError(f"poisson_generator: {most:.3g} spikes are more than {_MOST_SPIKES}; run in shorter parts")
    counts = generator.poisson(means * (stop - begin)).ravel()
    where = np.repeat(np.arange(len(counts)), counts)
    samples, ids = np.divmod(where, means[0].size)
    step = generator.integers(begin, max(stop, begin + 1), len(where))
    spikes = Spikes.from_steps(
        step, ids, means.shape[1:], n_steps, dt, samples=samples, n_samples=len(means), collisions="sum"
    )
    held = np.ones(spikes.n_spikes, np.float32) if spikes.value is None else spikes.value
    return replace(spikes, value=np.asarray(held * weight, np.float32))


def cc_generator(
    source: NDArray[Any], n_steps: int, dt: float, generator: np.random.Generator, batch: int, first: int, *,
    start_time: float = 0.0, end_time: float | None = None,
) -> NDArray[Any]:  # fmt: skip
    """The source in every step that begins from start_time on and before end_time, in ms."""
    whole = start_time == 0.0 and end_time is None
    return _windowed(source[0][None], 1 if whole else n_steps, dt, batch, first, start_time, end_time)


def sin_generator(
    source: NDArray[Any], n_steps: int, dt: float, generator: np.random.Generator, batch: int, first: int, *,
    start_time: float = 0.0, end_time: float | None = None,
) -> NDArray[Any]:  # fmt: skip
    """amplitude * sin(2 pi t / period) at the times t at which the steps begin, in ms."""
    amplitude, period = source
    if not (period > 0).all():
        raise ParameterError(f"sin_generator: the period must be a positive time in ms, got {period.min()}")
    wave = amplitude * np.sin(2 * np.pi * _begins(n_steps, dt, first, period.ndim) / period)
    return _windowed(wave, n_steps, dt, batch, first, start_time, end_time)


def ramp_generator(
    source: NDArray[Any], n_steps: int, dt: float, generator: np.random.Generator, batch: int, first: int, *,
    amp: float = 0.001, base: float = 0.0, start_time: float = 0.0, end_time: float | None = None,
) -> NDArray[Any]:  # fmt: skip
    """amp * (slope * t + base) at the times t at which the steps begin, in ms."""
    (slope,) = source
    ramp = amp * (slope * _begins(n_steps, dt, first, slope.ndim) + base)
    return _windowed(ramp, n_steps, dt, batch, first, start_time, end_time)


def _begins(n_steps: int, dt: float, first: int, n_axes: int) -> NDArray[np.float64]:
    """The times at which the steps begin, (T, 1, ...) with n axes behind the first."""
    return np.multiply(np.arange(first, first + n_steps), dt, dtype=np.float64).reshape(n_steps, *[1] * n_axes)


def _windowed(
    values: NDArray[Any], n_steps: int, dt: float, batch: int, first: int, start: float, end: float | None
) -> NDArray[Any]:
    """Values (T or 1, B or 1, *shape) for every sample, zero where a step begins before start or not before end."""
    spread = np.broadcast_to(values, (n_steps, batch, *values.shape[2:]))
    if start == 0.0 and end is None:
        return spread
    begin, stop = steps_between("a generator", start, end, n_steps, dt, first)
    within = np.arange(n_steps)
    mask = (within >= begin) & (within < stop)
    return spread * mask.reshape(n_steps, *[1] * (spread.ndim - 1))


GENERATORS: Registry[Generation] = Registry("generator")
GENERATORS.add("poisson_generator", Generation(poisson_generator, ("rate",)))
GENERATORS.add("cc_generator", Generation(cc_generator, ("current",)))
GENERATORS.add("sin_generator", Generation(sin_generator, ("amplitude", "period")))
GENERATORS.add("ramp_generator", Generation(ramp_generator, ("slope",)))

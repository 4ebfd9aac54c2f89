"""Encoders: intensities (B, *shape) to spikes on a grid. Pure functions; randomness comes from `generator`."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError
from ..units import check_dt, steps, times
from .container import Spikes, first_of_each, index_dtype
from .validate import Numbers, as_array, check_count, check_each, check_generator


def poisson(
    x: Numbers,
    n_steps: int,
    dt: float,
    generator: np.random.Generator,
    first: int = 0,
    *,
    unit_conversion: float = 1.0,
    start_time: float = 0.0,
    end_time: float | None = None,
) -> Spikes:
    """Spikes that fire in each step of dt ms, independently, with probability min(1, x * unit_conversion * dt).

    x (B, *shape) holds rates of at least 0, per ms if unit_conversion is 1. Only the steps that begin from start_time
    on and before end_time (ms; None: the end) have spikes. first: the step that the window begins with, where it
    continues another; the times count from step 0. The law of SPAIC's `poisson` encoder.
    """
    rates = _intensities(x, "poisson.x")
    check_each(rates, rates >= 0, "poisson.x", "a rate of at least 0")
    if not 0 <= unit_conversion < np.inf:
        raise ParameterError(f"poisson.unit_conversion must be a finite number of at least 0, got {unit_conversion!r}")
    n_steps, generator = check_count(n_steps, "n_steps"), check_generator(generator, "generator")
    p = np.minimum(1.0, rates.astype(np.float64) * (unit_conversion * check_dt(dt)))
    begin, stop = steps_between("poisson", start_time, end_time, n_steps, dt, first)
    if begin == stop:
        return silence(rates.shape[1:], len(rates), n_steps, dt)
    return moved(_fired(p, stop - begin, dt, generator), begin, n_steps)


def silence(shape: tuple[int, ...], n_samples: int, n_steps: int, dt: float) -> Spikes:
    """No spike in any sample."""
    return Spikes.from_keys(np.zeros(0, np.int64), shape, n_samples, n_steps, dt)


def steps_between(
    owner: str, start: float, end: float | None, n_steps: int, dt: float, first: int = 0
) -> tuple[int, int]:
    """The first step that begins from `start` ms on, and the first from `end` ms on (None: n_steps), in 0 .. n_steps.

    They count from step `first` on, the times from step 0. Raises ParameterError unless 0 <= start < end.
    """
    last = np.inf if end is None else end
    if not 0 <= start < last:
        raise ParameterError(f"{owner}: expected 0 <= start_time < end_time in ms, got {start!r} and {end!r}")
    first = check_count(first, f"{owner}: first", least=0)
    begin = min(n_steps, max(0, -steps(-float(start), dt) - first))
    return begin, n_steps if end is None else min(n_steps, max(0, -steps(-float(end), dt) - first))


def moved(spikes: Spikes, first: int, n_steps: int) -> Spikes:
    """The spikes on a grid `first` steps later, in a window of n_steps, which has room for them all."""
    step, _, dt = spikes.grid
    later = (step.astype(np.int64) + first).astype(index_dtype(n_steps))
    return replace(spikes, step=later, n_steps=n_steps, duration=times(n_steps, dt))


def bernoulli(x: Numbers, n_steps: int, dt: float, generator: np.random.Generator, *, max_prob: float = 1.0) -> Spikes:
    """Spikes that fire in each step, independently, with probability max_prob * x; x (B, *shape) in 0..1."""
    x = _unit_interval(x, "bernoulli.x")
    return _fired(x.astype(np.float64) * _fraction(max_prob, "bernoulli.max_prob"), n_steps, dt, generator)


def latency(x: Numbers, n_steps: int, dt: float, *, max_scale: float = 1.0, cut_off: bool = False) -> Spikes:
    """One spike for each neuron, in step floor((n_steps - 1) * max_scale * (1 - x)); x (B, *shape) in 0..1.

    cut_off: neurons with no more than a twentieth of the greatest x of their sample stay silent.
    """
    x = _unit_interval(x, "latency.x")
    n_steps = check_count(n_steps, "latency.n_steps")
    scale = (n_steps - 1) * _fraction(max_scale, "latency.max_scale")
    # Room for the rounding of x: 10 * (1 - 0.9) is 0.9999999999999998 and means step 1.
    slack = min(0.5, scale * (float(np.finfo(x.dtype).eps) / 2 + 1e-15))
    step = np.floor(scale * (1 - x.astype(np.float64)) + slack).astype(np.int64)
    kept = x > 0.05 * _of_each_sample(np.max, x) if cut_off else np.ones(x.shape, np.bool_)
    return _one_each(step, kept, n_steps, dt)


def relative_latency(
    x: Numbers, n_steps: int, dt: float, *, amp: float = 1.0, bias: float = 0.0, scale: float = 0.9999999
) -> Spikes:
    """At most one spike for each neuron: the greater its x beside the others of its sample, the earlier.

    The latency l = exp(-amp * x) - min(exp(-amp * x)), the minimum being that of the sample, gives the step
    floor((n_steps - 1) * scale * (l + bias)). Neurons in the last fifth of the steps of their sample, and those beyond
    the window, stay silent. x (B, *shape) of at least 0, scale between 0 and 1. After SPAIC's `relative_latency`,
    sample by sample.
    """
    x = _intensities(x, "relative_latency.x")
    check_each(x, x >= 0, "relative_latency.x", "a number of at least 0")
    n_steps = check_count(n_steps, "relative_latency.n_steps")
    if not (0 < amp < np.inf and 0 <= bias < 1):
        raise ParameterError(f"relative_latency: expected amp > 0 and 0 <= bias < 1, got {amp!r} and {bias!r}")
    height = np.exp(-amp * x.astype(np.float64))
    late = height - _of_each_sample(np.min, height)
    scale = (n_steps - 1) * _fraction(scale, "relative_latency.scale")
    rank = np.floor(scale * late)
    step = np.floor(scale * (late + bias)).astype(np.int64)
    kept = rank < np.maximum(1, np.floor(0.8 * _of_each_sample(np.max, rank)))
    return _one_each(step, kept & (step < n_steps), n_steps, dt)


def uniform(
    x: Numbers, n_steps: int, dt: float, *, max_time: float | None = None, amp: float = 1.0, bias: float = 0.05
) -> Spikes:
    """Regular spikes: a neuron fires at the end of every P-th step, the neurons with the least x of a sample never.

    P = ceil(amp * max_time / dt * (bias + max(x) - x) / (bias + max(x) - min(x))) with the extremes of the sample;
    max_time in ms, by default the window; bias > 0 in units of x. After SPAIC's `uniform`, sample by sample.
    """
    x = _intensities(x, "uniform.x").astype(np.float64)
    n_steps = check_count(n_steps, "uniform.n_steps")
    longest = n_steps * check_dt(dt) if max_time is None else max_time
    if not (0 < longest < np.inf and 0 < amp < np.inf and 0 < bias < np.inf):
        raise ParameterError(
            f"uniform: max_time, amp and bias must be positive numbers, got {max_time!r}, {amp!r} and {bias!r}"
        )
    least, most = _of_each_sample(np.min, x), _of_each_sample(np.max, x)
    period = -steps(-amp * longest / dt * (bias + most - x) / (bias + most - least), 1.0)
    period = np.where(x == least, n_steps + 1, np.clip(period, 1, n_steps + 1)).reshape(len(x), prod(x.shape[1:]))
    count = n_steps // period
    train = np.repeat(np.arange(period.size), count.ravel())
    nth = np.arange(train.size) - np.repeat(np.cumsum(count.ravel()) - count.ravel(), count.ravel()) + 1
    sample, ids = np.divmod(train, period.shape[1])
    step = nth * period.ravel()[train] - 1
    return Spikes.from_steps(step, ids, x.shape[1:], n_steps, dt, samples=sample, n_samples=len(x))


def single_spikes(x: Numbers, n_steps: int, dt: float) -> Spikes:
    """One spike for each neuron, at its time x in ms: x (B, *shape), 0 <= x < n_steps * dt. SPAIC's `sstb`."""
    x = _intensities(x, "sstb.x")
    n_steps = check_count(n_steps, "sstb.n_steps")
    step = steps(x, dt)
    check_each(x, (x >= 0) & (step < n_steps), "sstb.x", f"a time from 0 to below {n_steps * dt:g} ms")
    return _one_each(step, np.ones(x.shape, np.bool_), n_steps, dt)


def _one_each(step: NDArray[np.int64], kept: NDArray[np.bool_], n_steps: int, dt: float) -> Spikes:
    """One spike in the given step (B, *shape) for each neuron that is kept."""
    shape = step.shape[1:]
    flat = step.reshape(len(step), prod(shape))
    first_key = np.arange(len(flat))[:, None] * (n_steps * flat.shape[1]) + np.arange(flat.shape[1])
    keys = (first_key + flat * flat.shape[1])[kept.reshape(flat.shape)]
    return Spikes.from_keys(np.sort(keys), shape, len(step), n_steps, check_dt(dt))


def _of_each_sample(extreme: Any, x: NDArray[Any]) -> NDArray[Any]:
    """The extreme of each sample of x (B, *shape), (B, 1, ...)."""
    return np.asarray(extreme(x, axis=tuple(range(1, x.ndim)), keepdims=True))


def draw_keys(p: NDArray[np.float64], n_steps: int, generator: np.random.Generator) -> NDArray[Any]:
    """The sorted keys (sample * n_steps + step) * N + id of the spikes of trains that fire with p (B, N) in each step.

    Exactly the law of independent draws in every step, in time proportional to the number of spikes.
    """
    # Throw Poisson(-T log(1 - q)) darts at the T steps of a train, each at a step drawn uniformly: then the numbers of
    # darts in the steps are independent and Poisson of mean -log(1 - q), so each step is hit at least once with
    # probability q, independently of all others. Steps that are hit more than once count once: no draw is repeated.
    # A train with p > 1/2 draws the steps in which it is silent.
    n_samples, n_neurons = p.shape
    dtype: Any = index_dtype(n_samples * n_steps * n_neurons)
    dense = p > 0.5
    darts = generator.poisson(-n_steps * np.log1p(-np.where(dense, 1 - p, p)))
    first_key = (np.arange(n_samples)[:, None] * (n_steps * n_neurons) + np.arange(n_neurons)).astype(dtype)
    keys = np.repeat(first_key.ravel(), darts.ravel())
    keys += generator.integers(n_steps, size=keys.size, dtype=dtype) * dtype(n_neurons)
    keys.sort()
    keys = keys[first_of_each(keys)]
    if not dense.any():
        return keys
    every_step = first_key[dense][:, None] + np.arange(n_steps, dtype=dtype) * dtype(n_neurons)
    return np.setxor1d(keys, every_step.ravel(), assume_unique=True)


def _fired(p: NDArray[np.float64], n_steps: int, dt: float, generator: np.random.Generator) -> Spikes:
    n_steps = check_count(n_steps, "n_steps")
    keys = draw_keys(p.reshape(len(p), prod(p.shape[1:])), n_steps, check_generator(generator, "generator"))
    return Spikes.from_keys(keys, p.shape[1:], len(p), n_steps, check_dt(dt))


def _intensities(x: Numbers, owner: str) -> NDArray[Any]:
    array = as_array(x, owner)
    if array.ndim < 2 or 0 in array.shape[1:]:
        raise ShapeError(f"{owner} must have shape (B, *shape), got {array.shape}; one sample is x[None]")
    check_each(array, np.isfinite(array), owner, "a finite number")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _unit_interval(x: Numbers, owner: str) -> NDArray[Any]:
    array = _intensities(x, owner)
    check_each(array, (array >= 0) & (array <= 1), owner, "in 0..1 (divide x by its maximum)")
    return array


def _fraction(value: float, owner: str) -> float:
    if not 0 < value <= 1:
        raise ParameterError(f"{owner} must lie above 0 and not above 1, got {value!r}")
    return value

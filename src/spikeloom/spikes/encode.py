"""Encoders: intensities (B, *shape) to spikes on a grid. Pure functions; randomness comes from `generator`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError
from ..units import check_dt
from .container import Spikes, first_of_each, index_dtype
from .validate import Numbers, as_array, check_count, check_each, check_generator


def poisson(
    x: Numbers, n_steps: int, dt: float, generator: np.random.Generator, *, unit_conversion: float = 1.0
) -> Spikes:
    """Spikes that fire in each step of dt ms, independently, with probability min(1, x * unit_conversion * dt).

    x (B, *shape) holds rates of at least 0, per ms if unit_conversion is 1. The law of SPAIC's `poisson` encoder.
    """
    rates = _intensities(x, "poisson.x")
    check_each(rates, rates >= 0, "poisson.x", "a rate of at least 0")
    if not 0 <= unit_conversion < np.inf:
        raise ParameterError(f"poisson.unit_conversion must be a finite number of at least 0, got {unit_conversion!r}")
    return _fired(np.minimum(1.0, rates.astype(np.float64) * (unit_conversion * check_dt(dt))), n_steps, dt, generator)


def bernoulli(x: Numbers, n_steps: int, dt: float, generator: np.random.Generator, *, max_prob: float = 1.0) -> Spikes:
    """Spikes that fire in each step, independently, with probability max_prob * x; x (B, *shape) in 0..1."""
    x = _unit_interval(x, "bernoulli.x")
    return _fired(x.astype(np.float64) * _fraction(max_prob, "bernoulli.max_prob"), n_steps, dt, generator)


def latency(x: Numbers, n_steps: int, dt: float, *, max_scale: float = 1.0) -> Spikes:
    """One spike for each neuron, in step floor((n_steps - 1) * max_scale * (1 - x)); x (B, *shape) in 0..1."""
    x = _unit_interval(x, "latency.x")
    n_steps = check_count(n_steps, "latency.n_steps")
    scale = (n_steps - 1) * _fraction(max_scale, "latency.max_scale")
    # Room for the rounding of x: 10 * (1 - 0.9) is 0.9999999999999998 and means step 1.
    slack = min(0.5, scale * (float(np.finfo(x.dtype).eps) / 2 + 1e-15))
    step = np.floor(scale * (1 - x.astype(np.float64)) + slack)
    step = step.astype(np.int64).reshape(len(x), prod(x.shape[1:]))
    first_key = np.arange(len(x))[:, None] * (n_steps * step.shape[1]) + np.arange(step.shape[1])
    keys = np.sort((first_key + step * step.shape[1]).ravel())
    return Spikes.from_keys(keys, x.shape[1:], len(x), n_steps, check_dt(dt))


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

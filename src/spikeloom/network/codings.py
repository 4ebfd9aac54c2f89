"""How raw values become a signal in time: encoders' methods, by name.

A coding is a function (x, n_steps, dt, generator, *, options) of a batch x (B, *shape). It returns Spikes on the grid
of dt, or values (T, B, *shape), or (1, B, *shape) where they are constant in time. One that passes values on is marked
`on_tensors`: it gets a tensor where a tensor was given, so that gradients reach it; all others get arrays. One that
goes on for as long as a run is continued is marked `going_on`: behind the generator it takes the step that its window
begins with, counted from the first run of its batch. All others say all of a batch in its first run, and then nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DataError, ParameterError, ShapeError
from ..registry import Registry
from ..spikes import Spikes, bernoulli, latency, poisson, relative_latency, single_spikes, uniform
from ..units import steps

Coding = Callable[..., Any]


def on_tensors(coding: Coding) -> Coding:
    """Marks a coding that takes tensors as they are."""
    coding.on_tensors = True  # type: ignore[attr-defined]
    return coding


def going_on(coding: Coding) -> Coding:
    """Marks a coding whose signal goes on in the runs that continue the first one of a batch."""
    coding.going_on = True  # type: ignore[attr-defined]
    return coding


@going_on
@on_tensors
def constant_current(
    x: Any, n_steps: int, dt: float, generator: np.random.Generator, first: int = 0, *, amp: float = 1.0,
    input_norm: bool = False,
) -> Any:  # fmt: skip
    """The values themselves in every step, times amp: (1, B, *shape).

    input_norm: each sample is first scaled to a mean absolute value of 1; a sample of zeros stays.
    """
    if input_norm:
        size = abs(x).reshape(len(x), -1).mean(1).reshape(-1, *[1] * (x.ndim - 1))
        x = x / (size + (size == 0))
    return (x if amp == 1.0 else x * amp)[None]


@on_tensors
def null(x: Any, n_steps: int, dt: float, generator: np.random.Generator) -> Any:
    """What was encoded before: Spikes, or an array (B, T, *shape), as (T, B, *shape)."""
    if isinstance(x, Spikes):
        return x
    if x.shape[1] != n_steps:
        raise ShapeError(
            f"coding 'null': the input must have shape (B, T, *shape) with T = {n_steps}, got {tuple(x.shape)}"
        )
    return x.swapaxes(0, 1)


def multiple_spikes(
    x: Spikes, n_steps: int, dt: float, generator: np.random.Generator, *, collisions: str = "sum"
) -> Spikes:
    """Spikes at times in ms on the grid of dt; what several spikes of a neuron in one step become, `collisions` says.

    'sum': one of their number; 'error': a DataError; 'merge': one. DataError for a time after the last step.
    """
    step = steps(x.times_ms(), dt)
    if len(step) and int(step.max()) >= n_steps:
        last = float(x.times_ms().max())
        raise DataError(f"a spike at {last:g} ms lies beyond the window of {n_steps * dt:g} ms; run longer")
    chosen: Any = collisions
    return Spikes.from_steps(
        step, x.ids, x.shape, n_steps, dt, samples=x.samples(), values=x.value, n_samples=len(x), collisions=chosen
    )


def spike_lists(owner: str, data: Any, shape: tuple[int, ...]) -> Spikes:
    """The samples [times, ids], each a pair of equally long lists, times in ms, as Spikes of a population's shape."""
    pairs = [] if isinstance(data, (str, bytes)) or not hasattr(data, "__len__") else list(data)
    times, ids, samples = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for k, pair in enumerate(pairs):
        if not hasattr(pair, "__len__") or len(pair) != 2:
            raise ShapeError(f"{owner}: sample {k} must be a pair [times, ids], got {pair!r:.80}")
        when, who = (np.asarray(part.detach().cpu() if hasattr(part, "detach") else part) for part in pair)
        if when.ndim != 1 or when.shape != who.shape or {when.dtype.kind, who.dtype.kind} - set("iuf"):
            raise ShapeError(
                f"{owner}: sample {k} must hold times and ids, as many of one as of the other, "
                f"got {when.dtype} {when.shape} and {who.dtype} {who.shape}"
            )
        if who.dtype.kind == "f" and not np.array_equal(who, np.rint(who)):
            raise DataError(f"{owner}: the ids of sample {k} must be whole numbers")
        times.append(when.astype(np.float64))
        ids.append(who.astype(np.int64))
        samples.append(np.full(len(when), k))
    if not pairs:
        raise DataError(f"{owner} takes a list of samples [times, ids], got {data!r:.80}")
    when = np.concatenate(times)
    if not np.isfinite(when).all():
        raise DataError(f"{owner}: the times hold NaN or infinity")
    duration = float(np.floor(when.max(initial=0.0))) + 1.0
    try:
        return Spikes.from_times(
            when, np.concatenate(ids), shape, duration, samples=np.concatenate(samples), n_samples=len(pairs)
        )
    except (DataError, ParameterError) as error:
        raise DataError(f"{owner}: {error}") from error


@going_on
def _bernoulli(
    x: Any, n_steps: int, dt: float, generator: np.random.Generator, first: int = 0, *, max_prob: float = 1.0
) -> Spikes:
    return bernoulli(x, n_steps, dt, generator, max_prob=max_prob)


def _latency(
    x: Any, n_steps: int, dt: float, generator: np.random.Generator, *, max_scale: float = 1.0, cut_off: bool = False
) -> Spikes:
    return latency(x, n_steps, dt, max_scale=max_scale, cut_off=cut_off)


def _relative_latency(
    x: Any, n_steps: int, dt: float, generator: np.random.Generator, *, amp: float = 1.0, bias: float = 0.0,
    scale: float = 0.9999999,
) -> Spikes:  # fmt: skip
    return relative_latency(x, n_steps, dt, amp=amp, bias=bias, scale=scale)


def _uniform(
    x: Any, n_steps: int, dt: float, generator: np.random.Generator, *, max_time: float | None = None,
    amp: float = 1.0, bias: float = 0.05,
) -> Spikes:  # fmt: skip
    return uniform(x, n_steps, dt, max_time=max_time, amp=amp, bias=bias)


def _single_spikes(x: Any, n_steps: int, dt: float, generator: np.random.Generator) -> Spikes:
    return single_spikes(x, n_steps, dt)


CODINGS: Registry[Coding] = Registry("encoding")
CODINGS.add("poisson", going_on(poisson))
CODINGS.add("bernoulli", _bernoulli)
CODINGS.add("latency", _latency)
CODINGS.add("relative_latency", _relative_latency)
CODINGS.add("constant_current", constant_current)
CODINGS.add("uniform", _uniform)
CODINGS.add("sstb", _single_spikes)
CODINGS.add("mstb", multiple_spikes)
CODINGS.add("regular", "spikeloom.network.value_codings:regular")
CODINGS.add("time_to_first_spike", "spikeloom.network.value_codings:time_to_first_spike")
CODINGS.add("rank_order", "spikeloom.network.value_codings:rank_order")
CODINGS.add("phase", "spikeloom.network.value_codings:phase")
CODINGS.add("burst", "spikeloom.network.value_codings:burst")
CODINGS.add("noisy_current", "spikeloom.network.noisy_current:noisy_current")
CODINGS.add("null", null)

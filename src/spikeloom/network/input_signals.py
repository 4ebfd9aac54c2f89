"""The spikes of an input population: what its model makes of a batch of values in time, or of given spikes.

`signal_of(model, data, n_steps, dt, generator, first)` is a singledispatch function of the model; values are
(B, frames, *shape).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import singledispatch
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, UnsupportedError
from ..neurons import IF, LIF, Emission, Neuron, ToValue, advance, with_refractory
from ..neurons.emission import SubtractValue
from ..neurons.inputs import (
    BinarySpikeInput,
    InputModel,
    IntegrateFireInput,
    LeakyIntegrateFireInput,
    PoissonInput,
    SpikeInput,
)
from ..ops import NumpyOps
from ..spikes import Collisions, Spikes
from ..spikes.container import index_dtype
from ..spikes.encode import draw_keys
from ..units import steps

Values = NDArray[Any]


@singledispatch
def signal_of(
    model: InputModel, data: Any, n_steps: int, dt: float, generator: np.random.Generator, first: int
) -> Spikes:
    """The spikes of a batch in the n_steps steps of dt ms from step `first` on."""
    raise UnsupportedError(f"{type(model).__name__}: register what makes its spikes with signal_of.register")


@signal_of.register
def _poisson(
    model: PoissonInput, data: Values, n_steps: int, dt: float, generator: np.random.Generator, first: int
) -> Spikes:
    rates = data if model.signed_spikes else np.maximum(data, 0)
    return _held(model, rates, lambda x: -np.expm1(-np.abs(x) * dt), n_steps, dt, generator, first)


@signal_of.register
def _binary(
    model: BinarySpikeInput, data: Values, n_steps: int, dt: float, generator: np.random.Generator, first: int
) -> Spikes:
    fires = np.sign(data) if model.signed_spikes else (data > 0).astype(np.float64)
    return _held(model, fires, np.abs, n_steps, dt, generator, first)


def _held(
    model: InputModel,
    data: Values,
    chance: Callable[[Values], Values],
    n_steps: int,
    dt: float,
    generator: np.random.Generator,
    first: int,
) -> Spikes:
    """Spikes in each step with the chance of the value (B, frames, *shape) that is shown; -1 for values below 0."""
    values = data.reshape(*data.shape[:2], prod(data.shape[2:]))
    n_samples, _, n_neurons = values.shape
    frame, dtype = _frame_of_step(model, n_steps, first), index_dtype(n_samples * n_steps * n_neurons)
    changes = np.flatnonzero(np.diff(frame)) + 1
    keys = []
    for begin, end in pairwise([0, *changes.tolist(), n_steps]):
        drawn = draw_keys(chance(values[:, frame[begin]].astype(np.float64)), end - begin, generator).astype(dtype)
        sample = drawn // ((end - begin) * n_neurons)
        keys.append(drawn + (sample * (n_steps - (end - begin)) + begin) * n_neurons)
    spikes = Spikes.from_keys(np.sort(np.concatenate(keys)), data.shape[2:], n_samples, n_steps, dt)
    if (data < 0).any():
        shown = values[spikes.samples(), frame[spikes.grid.step], spikes.ids]
        spikes = replace(spikes, value=np.sign(shown).astype(np.int8))
    return spikes


@signal_of.register
def _leaky(
    model: LeakyIntegrateFireInput, data: Values, n_steps: int, dt: float, generator: np.random.Generator, first: int
) -> Spikes:
    reset = SubtractValue(model.v_thresh - model.v_reset) if model.relative_reset else ToValue(model.v_reset)
    neuron: Neuron[Any] = LIF(
        tau_m=model.tau_mem, scale_input=model.scale_i, v_th=model.v_thresh, emission=Emission(reset=reset)
    )
    if model.tau_refrac is None:
        return _scanned(model, neuron, data, n_steps, dt, first)
    if not model.integrate_during_refrac:
        return _scanned(model, with_refractory(neuron, model.tau_refrac), data, n_steps, dt, first)
    return _scanned(model, neuron, data, n_steps, dt, first, silent=steps(model.tau_refrac, dt))


@signal_of.register
def _whole(
    model: IntegrateFireInput, data: Values, n_steps: int, dt: float, generator: np.random.Generator, first: int
) -> Spikes:
    neuron = IF(v_th=model.v_thresh, emission=Emission(reset=ToValue(model.v_reset)))
    return _scanned(model, neuron, data, n_steps, dt, first)


def _scanned(
    model: Any, neuron: Neuron[Any], data: Values, n_steps: int, dt: float, first: int, silent: int = 0
) -> Spikes:
    """The spikes of neurons with the values (B, frames, *shape) as their current, run from step 0 on. silent: for how
    many steps after a spike none can follow, while the potential goes on."""
    ops, shape = NumpyOps(), (len(data), *data.shape[2:])
    state = neuron.initial()._replace(v=np.full(shape, model.v, data.dtype))
    rest = np.zeros(shape, np.int64)
    n_neurons, fired = prod(shape[1:]), []
    first_key = np.arange(shape[0])[:, None] * (n_steps * n_neurons) + np.arange(n_neurons)
    for step, frame in enumerate(_frame_of_step(model, first + n_steps), start=-first):
        now = neuron.bound({"v_th": np.where(rest > 0, np.inf, model.v_thresh)}) if silent else neuron
        spikes, state = advance(now, state, data[:, frame], dt, ops)
        rest = np.where(spikes > 0, silent, rest - 1)
        if step >= 0:
            fired.append(first_key.ravel()[np.flatnonzero(spikes)] + step * n_neurons)
    return Spikes.from_keys(np.sort(np.concatenate(fired)), shape[1:], shape[0], n_steps, dt)


@signal_of.register
def _given(
    model: SpikeInput, data: Spikes, n_steps: int, dt: float, generator: np.random.Generator, first: int
) -> Spikes:
    if data.n_spikes > model.max_spikes:
        raise DataError(
            f"{data.n_spikes} spikes are more than max_spikes={model.max_spikes}; give a larger max_spikes="
        )
    step = data.grid.step.astype(np.int64) if data.dt == dt else -steps(-data.times_ms(), dt)
    samples, value, end = data.samples(), data.value, first + n_steps
    if model.collisions == "queue":
        step = _queued(step, samples * data.n_neurons + data.ids)
    late = step >= end
    if late.any() and model.late == "error":
        at = int(np.argmax(late))
        when = f"the spike of neuron {data.ids[at]} in sample {samples[at]} at {data.times_ms()[at]:g} ms"
        raise DataError(
            f"{when} falls into step {step[at]}, the run has {end}; run longer, or give late='drop', which leaves it "
            "to run_continue"
        )
    kept = np.flatnonzero((step >= first) & ~late)
    rules: dict[str, Collisions] = {"queue": "error", "count": "sum", "merge": "merge", "error": "error"}
    return Spikes.from_steps(
        step[kept] - first, data.ids[kept], data.shape, n_steps, dt, samples=samples[kept], n_samples=len(data),
        values=None if value is None else value[kept], collisions=rules[model.collisions],
    )  # fmt: skip


def _queued(step: NDArray[np.int64], train: NDArray[np.int64]) -> NDArray[np.int64]:
    """Steps such that the spikes of one train, in the order of time, have one each: none earlier than it was."""
    order = np.lexsort((step, train))
    _, nth_train, counts = np.unique(train[order], return_inverse=True, return_counts=True)
    rank = np.arange(step.size) - np.repeat(np.cumsum(counts) - counts, counts)
    # Spike k of a train comes in step max over i <= k of (step_i + k - i): a running maximum of step - rank, kept apart
    # between trains by a gap that no difference of steps and ranks can bridge.
    gap = nth_train * (int(step.max(initial=0)) + step.size + 1)
    queued = np.empty_like(step)
    queued[order] = np.maximum.accumulate(step[order] - rank + gap) - gap + rank
    return queued


def _frame_of_step(model: InputModel, n_steps: int, first: int = 0) -> NDArray[np.int64]:
    """Which frame each of n_steps steps from step `first` on shows: the last one is held."""
    n_frames, length = model.frames
    return np.minimum(np.arange(first, first + n_steps) // length, n_frames - 1)

"""The spikes of an input population: what its model makes of a batch of values in time, or of given spikes.

`signal_of(model, data, n_steps, dt, generator)` is a singledispatch function of the model; values are
(B, frames, *shape).
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
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
from ..spikes.encode import draw_keys
from ..units import steps

Values = NDArray[Any]


@singledispatch
def signal_of(model: InputModel, data: Any, n_steps: int, dt: float, generator: np.random.Generator) -> Spikes:
    """The spikes of a batch on the grid of n_steps steps of dt ms."""
    raise UnsupportedError(f"{type(model).__name__}: register what makes its spikes with signal_of.register")


@signal_of.register
def _poisson(model: PoissonInput, data: Values, n_steps: int, dt: float, generator: np.random.Generator) -> Spikes:
    rates = data if model.signed_spikes else np.maximum(data, 0)
    return _held(model, rates, n_steps, dt, lambda p, length: draw_keys(-np.expm1(-np.abs(p) * dt), length, generator))


@signal_of.register
def _binary(model: BinarySpikeInput, data: Values, n_steps: int, dt: float, generator: np.random.Generator) -> Spikes:
    fires = np.sign(data) if model.signed_spikes else (data > 0).astype(np.float64)
    return _held(model, fires, n_steps, dt, lambda p, length: draw_keys(np.abs(p), length, generator))


def _held(model: InputModel, data: Values, n_steps: int, dt: float, draw: Any) -> Spikes:
    """Spikes of values (B, frames, *shape), each held for its steps: draw(values (trains, N), steps) gives the keys of
    trains that stay the same. Spikes of negative values are -1."""
    frame = _frame_of_step(model, n_steps)
    length = n_steps if data.shape[1] == 1 else min(model.frames[1], n_steps)
    used = data[:, frame[::length]]
    n_samples, n_frames, shape = len(data), used.shape[1], data.shape[2:]
    values = used.reshape(n_samples * n_frames, prod(shape)).astype(np.float64)
    spikes = Spikes.from_keys(draw(values, length), shape, n_samples, n_frames * length, dt)
    if (values < 0).any():
        step = spikes.grid.step
        sign = np.sign(values[spikes.samples() * n_frames + step // length, spikes.ids]).astype(np.int8)
        spikes = replace(spikes, value=sign)
    return window(spikes, 0, n_steps)


@signal_of.register
def _leaky(
    model: LeakyIntegrateFireInput, data: Values, n_steps: int, dt: float, generator: np.random.Generator
) -> Spikes:
    reset = SubtractValue(model.v_thresh - model.v_reset) if model.relative_reset else ToValue(model.v_reset)
    neuron: Neuron[Any] = LIF(
        tau_m=model.tau_mem, scale_input=model.scale_i, v_th=model.v_thresh, emission=Emission(reset=reset)
    )
    if model.tau_refrac is None:
        return _scanned(model, neuron, data, n_steps, dt)
    if not model.integrate_during_refrac:
        return _scanned(model, with_refractory(neuron, model.tau_refrac), data, n_steps, dt)
    return _scanned(model, neuron, data, n_steps, dt, silent=steps(model.tau_refrac, dt))


@signal_of.register
def _whole(model: IntegrateFireInput, data: Values, n_steps: int, dt: float, generator: np.random.Generator) -> Spikes:
    neuron = IF(v_th=model.v_thresh, emission=Emission(reset=ToValue(model.v_reset)))
    return _scanned(model, neuron, data, n_steps, dt)


def _scanned(model: Any, neuron: Neuron[Any], data: Values, n_steps: int, dt: float, silent: int = 0) -> Spikes:
    """The spikes of neurons with the values (B, frames, *shape) as their current. silent: for how many steps after a
    spike none can follow, while the potential goes on."""
    ops, shape = NumpyOps(), (len(data), *data.shape[2:])
    state = neuron.initial()._replace(v=np.full(shape, model.v, data.dtype))
    rest = np.zeros(shape, np.int64)
    n_neurons, fired = prod(shape[1:]), []
    first_key = np.arange(shape[0])[:, None] * (n_steps * n_neurons) + np.arange(n_neurons)
    for step, frame in enumerate(_frame_of_step(model, n_steps)):
        now = neuron.bound({"v_th": np.where(rest > 0, np.inf, model.v_thresh)}) if silent else neuron
        spikes, state = advance(now, state, data[:, frame], dt, ops)
        rest = np.where(spikes > 0, silent, rest - 1)
        fired.append(first_key.ravel()[np.flatnonzero(spikes)] + step * n_neurons)
    return Spikes.from_keys(np.sort(np.concatenate(fired)), shape[1:], shape[0], n_steps, dt)


@signal_of.register
def _given(model: SpikeInput, data: Spikes, n_steps: int, dt: float, generator: np.random.Generator) -> Spikes:
    if data.n_spikes > model.max_spikes:
        raise DataError(
            f"{data.n_spikes} spikes are more than max_spikes={model.max_spikes}; give a larger max_spikes="
        )
    step = data.grid.step.astype(np.int64) if data.dt == dt else -steps(-data.times_ms(), dt)
    samples, value = data.samples(), data.value
    if model.collisions == "queue":
        step = _queued(step, samples * data.n_neurons + data.ids)
    late = step >= n_steps
    if late.any() and model.late == "error":
        at = int(np.argmax(late))
        when = f"the spike of neuron {data.ids[at]} in sample {samples[at]} at {data.times_ms()[at]:g} ms"
        raise DataError(f"{when} falls into step {step[at]}, the run has {n_steps}; run longer, or give late='drop'")
    kept = np.flatnonzero(~late)
    rules: dict[str, Collisions] = {"queue": "error", "count": "sum", "merge": "merge", "error": "error"}
    return Spikes.from_steps(
        step[kept], data.ids[kept], data.shape, n_steps, dt, samples=samples[kept], n_samples=len(data),
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


def window(spikes: Spikes, first: int, n_steps: int) -> Spikes:
    """The spikes of n_steps steps from step `first` on, with their steps counted from there."""
    step, length, dt = spikes.grid
    if first == 0 and length == n_steps:
        return spikes
    kept = np.flatnonzero((step >= first) & (step < first + n_steps))
    return Spikes.from_steps(
        step[kept] - first, spikes.ids[kept], spikes.shape, n_steps, dt, samples=spikes.samples()[kept],
        values=None if spikes.value is None else spikes.value[kept], n_samples=len(spikes),
    )  # fmt: skip


def _frame_of_step(model: InputModel, n_steps: int) -> NDArray[np.int64]:
    """Which frame each step shows: the last one is held."""
    n_frames, length = model.frames
    return np.minimum(np.arange(n_steps) // length, n_frames - 1)

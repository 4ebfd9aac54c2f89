"""What a signal is on average around a spike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ...errors import DataError, ParameterError, ShapeError
from ...spikes import Spikes
from ...units import duration_steps, steps, times
from .bins import check_size
from .pairs import chosen_neurons

Array = NDArray[np.float64]


class SpikeTriggeredAverage(NamedTuple):
    """The mean of a signal around the spikes of n neurons.

    lag_ms (W,): the time of each value after the spike. average (n, W, N...): NaN where no spike was used. n_spikes
    (n,): how many were; those too near to either end of the recording for the whole window are not.
    """

    lag_ms: Array
    average: Array
    n_spikes: NDArray[np.int64]


def spike_triggered_average(
    spikes: Spikes, signal: ArrayLike, window_ms: Sequence[float] = (-50.0, 10.0), neurons: ArrayLike | None = None
) -> SpikeTriggeredAverage:
    """The mean of a signal, a membrane potential or a stimulus, around the spikes of each neuron.

    signal: (T, N...) for spikes of one sample, (T, B, N...) for several, with a value for each step of the spikes'
    grid. window_ms: from where, before the spike where negative, to where; the end is not in it, and a window that is
    no multiple of dt is widened to the next one (de Boer and Kuyper 1968). Raises StateError for spikes that are on no
    grid, ShapeError, DataError for a signal that is not of finite numbers, and ParameterError.
    """
    grid = spikes.grid
    values = _checked_signal(signal, spikes)
    first, width = _checked_window(window_ms, grid.n_steps, grid.dt)
    chosen = chosen_neurons(neurons, spikes.n_neurons, "spike_triggered_average", spikes.n_neurons)
    n_values = chosen.size * width * (values[0].size // len(spikes))
    check_size(n_values, "spike_triggered_average", "fewer neurons or a shorter window")
    place = np.full(spikes.n_neurons, -1, np.int64)
    place[chosen] = np.arange(chosen.size)
    begin = grid.step.astype(np.int64) + first
    used = (place[spikes.ids] >= 0) & (begin >= 0) & (begin + width <= grid.n_steps)
    neuron, row = place[spikes.ids[used]], (begin * len(spikes) + spikes.samples())[used]
    n_rows = (grid.n_steps - width + 1) * len(spikes)
    triggers = sparse.coo_array((np.ones(row.size), (neuron, row)), (chosen.size, n_rows)).tocsr()
    flat = values.reshape(grid.n_steps * len(spikes), -1)
    counts = np.bincount(neuron, minlength=chosen.size)
    average = np.empty((chosen.size, width, flat.shape[1]))
    for k in range(width):
        average[:, k] = triggers @ flat[k * len(spikes) : k * len(spikes) + n_rows]
    average /= np.where(counts == 0, np.nan, counts)[:, None, None]
    shape = (chosen.size, width, *values.shape[2:])
    return SpikeTriggeredAverage(times(np.arange(first, first + width), grid.dt), average.reshape(shape), counts)


def _checked_signal(signal: ArrayLike, spikes: Spikes) -> NDArray[Any]:
    """The signal as (T, B, N...)."""
    values = np.asarray(signal)
    if values.dtype.kind not in "fiub":
        raise DataError(f"spike_triggered_average.signal must be numbers, got {values.dtype}")
    steps_and_samples = (spikes.grid.n_steps,) if len(spikes) == 1 else (spikes.grid.n_steps, len(spikes))
    if values.shape[: len(steps_and_samples)] != steps_and_samples:
        expected = ", ".join(map(str, steps_and_samples))
        raise ShapeError(f"spike_triggered_average.signal must have shape ({expected}, N...), got {values.shape}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError("spike_triggered_average.signal must be finite numbers, got NaN or infinity")
    return values[:, None] if len(spikes) == 1 else values


def _checked_window(window_ms: Sequence[float], n_steps: int, dt: float) -> tuple[int, int]:
    """The first step of the window after the spike, and how many it has."""
    found = np.asarray(window_ms, float) if np.ndim(window_ms) == 1 else np.empty(0)
    if found.shape != (2,) or not np.isfinite(found).all() or found[0] >= found[1]:
        expected = "spike_triggered_average.window_ms must be a beginning and a later end in ms"
        raise ParameterError(f"{expected}, got {window_ms!r}")
    first, width = steps(float(found[0]), dt), duration_steps(float(found[1] - found[0]), dt)
    if width > n_steps:
        expected = f"spike_triggered_average.window_ms must be at most the duration of {times(n_steps, dt):g} ms"
        raise ParameterError(f"{expected}, got {found[1] - found[0]:g} ms")
    return first, width

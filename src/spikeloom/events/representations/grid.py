"""Events as spikes on a grid of steps, and back."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError, ShapeError
from ...native.library import Library
from ...spikes import Spikes
from ...spikes.container import Collisions
from ...spikes.validate import check_count, check_each, check_values
from ...units import check_dt, steps, times
from ..container import Events, microseconds
from ..slicing import TimeWindows, bounds
from .pixels import Polarity, draw, frame_shape, library, places, signs, times_of

_COLLISIONS = ("merge", "sum", "error")
"""As in the header."""


def to_spikes(
    events: Events,
    dt: float,
    *,
    polarity: Polarity = "separate",
    collisions: Collisions = "merge",
    start: float | None = None,
    end: float | None = None,
) -> Spikes:
    """The events as spikes of one sample on steps of dt ms, of the shape (P, H, W); see `from_spikes` for the way back.

    Steps are the windows of `frames(window=dt)`. polarity: 'separate' has neurons for OFF and for ON, 'merged' one for
    both, 'signed' one whose value is 1 or -1. What several events of a neuron in one step become: collisions='merge'
    keeps the first as one spike, 'sum' adds them up to a value (-128..127, else DataError; a sum of 0 is no spike) and
    so loses no event, 'error' raises DataError. Raises DataError unless the events are sorted by time.
    """
    if collisions not in _COLLISIONS:
        raise ParameterError(f"to_spikes.collisions must be 'merge', 'sum' or 'error', got {collisions!r}")
    dt = check_dt(dt, "to_spikes.dt")
    windows, shape = TimeWindows(dt, 0.0, "to_spikes"), frame_shape(events, polarity, "to_spikes")
    first, last = bounds(events, start, end, "to_spikes")
    events = events[np.searchsorted(events.t, first) : np.searchsorted(events.t, last)]
    n_steps = max(1, windows.count(last - first))
    edges = np.concatenate((windows.edges(np.zeros(1, np.int64))[0], windows.edges(np.arange(n_steps))[1]))
    if (native := library()) is None or prod(shape) >= 2**31:
        step = np.searchsorted(edges, events.t - first, side="right") - 1
        values = signs(events, polarity) if polarity == "signed" or collisions == "sum" else None
        return Spikes.from_steps(
            step, places(events, polarity), shape, n_steps, dt, values=values, n_samples=1, collisions=collisions
        )
    return _spikes(native, events, polarity, collisions, first + edges, shape, dt)


def _spikes(
    native: Library,
    events: Events,
    polarity: str,
    collisions: str,
    edges: NDArray[np.int64],
    shape: tuple[int, int, int],
    dt: float,
) -> Spikes:
    """The same by the compiled function: events that are close in time are sorted by pixel, step by step."""
    n, size, n_steps, found = len(events), prod(shape), len(edges) - 1, np.zeros(2, np.int64)
    valued = polarity == "signed" or collisions == "sum"
    sums, values = (np.zeros(size, np.int32), np.empty(n, np.int32)) if valued else (None, None)
    words = np.zeros(sum(-(-size // 64**level) for level in (1, 2, 3)), np.uint64)
    ids, step = np.empty(n, np.int32), np.empty(n, np.int32)
    stream = times_of(events), edges, n_steps, _COLLISIONS.index(collisions)
    draw(native, "to_grid", events, polarity, *stream, words, sums, ids, step, values, found)
    count, again = found.tolist()
    if again >= 0:
        where = f"pixel ({events.x[again]}, {events.y[again]}) has another event in the step of {events.t[again]} us"
        raise DataError(f"to_spikes: {where}; use a smaller dt, or collisions='merge' or 'sum'")
    for array in (ids, step):
        array.resize(count, refcheck=False)
    return Spikes(
        offsets=np.array([0, count]),
        ids=ids,
        shape=shape,
        duration=times(n_steps, dt),
        step=step,
        dt=dt,
        n_steps=n_steps,
        value=None if values is None else check_values(values[:count], "to_spikes: a sum"),
    )


def from_spikes(spikes: Spikes, sample: int = 0, *, start: float = 0.0) -> Events:
    """The spikes of one sample, of a shape (1 or 2, H, W), as events at the beginning of their step, or at their time.

    Of 2 planes the first is OFF and the second ON; of 1 plane a negative value is OFF. A value of k is k events.
    `start` in ms is the time of step 0. Raises ShapeError for another shape, DataError for values that are no such
    number. Of `to_spikes` with collisions='sum' and 'separate' planes this gives every event back, in its step.
    """
    if len(spikes.shape) != 3 or spikes.shape[0] not in (1, 2):
        raise ShapeError(f"from_spikes expected spikes of a shape (1 or 2, height, width), got {spikes.shape}")
    chosen, (planes, height, width) = spikes[check_count(sample, "from_spikes.sample", least=0)], spikes.shape
    value = chosen.values()
    fits = (value == np.rint(value)) & ((planes == 1) | (value > 0))
    check_each(value, fits, "from_spikes: the value", "a whole number" + " above 0" * (planes == 2))
    if chosen.step is not None and chosen.dt is not None:
        t = TimeWindows(chosen.dt, 0.0, "from_spikes").edges(chosen.step.astype(np.int64))[0]
    else:
        t = steps(chosen.times_ms(), 1e-3)
    plane, place = np.divmod(chosen.ids.astype(np.int64), height * width)
    p = plane if planes == 2 else value > 0
    repeated = (np.repeat(array, np.abs(value.astype(np.int64))) for array in (t, place % width, place // width, p))
    t, x, y, p = repeated
    return Events.from_arrays(t + microseconds(start, "from_spikes.start"), x, y, p, (width, height))

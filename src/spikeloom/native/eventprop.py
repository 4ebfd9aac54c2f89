"""Leaky integrate-and-fire neurons with exponential synapses from event to event, and their exact adjoint.

    tau_m dV/dt = -V + I,  tau_s dI/dt = -I;  I += w at an arrival;  V >= theta: a spike, V = reset

EventProp: Wunderlich and Pehle 2021, Scientific Reports 11:12829. Potentials count from rest; times are in ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ShapeError
from .events import REAL, check, suffix
from .library import Library, include, load

Array = NDArray[Any]

MOST_SPIKES = 100_000
"""How many spikes a population may send in one sample; more are a run-away."""


class Trains(NamedTuple):
    """The spikes of a batch: those of sample b are offsets[b] .. offsets[b + 1] - 1, sorted by time.

    time (n,) float64 in ms; id (n,) int32.
    """

    offsets: Array
    time: Array
    id: Array


class Membrane(NamedTuple):
    """Time constants in ms; threshold and reset as potentials from rest."""

    tau_m: float
    tau_s: float
    theta: float
    reset: float


class Fired(NamedTuple):
    """The spikes of a population, and the synaptic current of the neuron at each."""

    trains: Trains
    current: Array


def _library() -> Library:
    return load(include("eventprop.hpp"))


def lif(arrivals: Trains, weight: Array, stop: float, membrane: Membrane, room: int = 1024) -> Fired:
    """The spikes until `stop` (ms) of the neurons that weights (K, N), float32 or float64, lead to.

    room: how many spikes are expected. Raises DataError where a sample has more than MOST_SPIKES, and DataError or
    ShapeError for arrivals and weights that do not fit each other.
    """
    _check(arrivals, weight)
    n_samples, n = len(arrivals.offsets) - 1, weight.shape[1]
    counts = np.zeros(n_samples, np.int64)
    while True:
        time, ids, current = np.empty(room), np.empty(room, np.int32), np.empty(room)
        _library().call(
            f"lif_events_{suffix(weight)}", n_samples, n, *arrivals, weight, float(stop), *map(float, membrane), time,
            ids, current, room, MOST_SPIKES, counts,
        )  # fmt: skip
        if (counts > MOST_SPIKES).any():
            raise DataError(
                f"a population of {n} neurons sent more than {MOST_SPIKES} spikes in one sample; scale its weights down"
            )
        offsets = np.concatenate(([0], np.cumsum(counts)))
        if (total := int(offsets[-1])) <= room:
            return Fired(Trains(offsets, time[:total], ids[:total]), current[:total])
        room = total


def lif_back(
    arrivals: Trains,
    weight: Array,
    stop: float,
    membrane: Membrane,
    fired: Fired,
    by_time: Array,
    push: Array | None = None,
) -> tuple[Array, Array]:
    """dL/d(weight), (K, N), and dL/d(time) of each arrival, from dL/d(time) of each spike.

    push (B, N): added to dL/dV at each spike of a neuron. Raises DataError or ShapeError as `lif`.
    """
    _check(arrivals, weight)
    n_samples, n = len(arrivals.offsets) - 1, weight.shape[1]
    _check_trains(fired.trains, n, "fired")
    for what, array in (("current", fired.current), ("by_time", by_time)):
        check(array, what, "float64", (len(fired.trains.time),))
    check(fired.trains.offsets, "fired.offsets", "int64", (n_samples + 1,))
    if push is not None:
        check(push, "push", "float64", (n_samples, n))
    grad, slopes = np.zeros_like(weight), np.zeros(len(arrivals.time))
    _library().call(
        f"lif_events_back_{suffix(weight)}", n_samples, n, *arrivals, weight, float(stop),
        *map(float, membrane), *fired.trains, fired.current, by_time, push, grad, slopes,
    )  # fmt: skip
    return grad, slopes


def leaky(arrivals: Trains, weight: Array, n_steps: int, dt: float, tau_m: float, tau_s: float) -> Array:
    """The potentials (T, B, N) of neurons that do not fire, at the end of each step of dt ms; raises as `lif`."""
    _check(arrivals, weight)
    n_samples, n = len(arrivals.offsets) - 1, weight.shape[1]
    v = np.empty((n_steps, n_samples, n), weight.dtype)
    _library().call(
        f"leaky_events_{suffix(weight)}", n_samples, n, *arrivals, weight, n_steps, float(dt), tau_m, tau_s, v
    )
    return v


def leaky_back(
    arrivals: Trains, weight: Array, dt: float, tau_m: float, tau_s: float, by_v: Array
) -> tuple[Array, Array]:
    """dL/d(weight) and dL/d(time) of each arrival, from dL/dv (T, B, N); raises as `lif`."""
    _check(arrivals, weight)
    check(by_v, "by_v", str(weight.dtype), (None, len(arrivals.offsets) - 1, weight.shape[1]))
    grad, slopes = np.zeros_like(weight), np.zeros(len(arrivals.time))
    _library().call(
        f"leaky_events_back_{suffix(weight)}", len(arrivals.offsets) - 1, weight.shape[1], *arrivals, weight,
        len(by_v), float(dt), tau_m, tau_s, by_v, grad, slopes,
    )  # fmt: skip
    return grad, slopes


def _check(arrivals: Trains, weight: Array) -> None:
    """Raises DataError or ShapeError unless arrivals come from the rows of weights (K, N)."""
    check(weight, "weight", REAL, (None, None))
    _check_trains(arrivals, weight.shape[0], "arrivals")


def _check_trains(trains: Trains, n: int, what: str) -> None:
    """Raises DataError or ShapeError unless trains are sorted ones of n neurons."""
    offsets, time, ids = trains
    check(offsets, f"{what}.offsets", "int64", (None,))
    check(time, f"{what}.time", "float64", (None,))
    check(ids, f"{what}.id", "int32", time.shape)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(time) or (np.diff(offsets) < 0).any():
        raise ShapeError(f"{what}.offsets must rise from 0 to the number of spikes, {len(time)}, got {offsets}")
    if len(ids) and not 0 <= ids.min() <= ids.max() < n:
        raise DataError(f"{what}.id must be from 0 to {n - 1}, got {ids.min()} to {ids.max()}")
    falls = ~(time[1:] >= time[:-1])
    falls[offsets[(offsets > 0) & (offsets < len(time))] - 1] = False
    if falls.any() or not (np.isfinite(time) & (time >= 0)).all():
        raise DataError(f"{what}.time must be finite, at least 0 and sorted within each sample")

"""Leaky integrate-and-fire neurons with exponential synapses from event to event, and their exact adjoint.

    tau_m dV/dt = -V + I,  tau_s dI/dt = -I;  I += w at an arrival;  V >= theta: a spike, V = reset

EventProp: Wunderlich and Pehle 2021, Scientific Reports 11:12829; delays: Meszaros, Knight and Nowotny 2025,
arXiv 2501.07331. Potentials count from rest; times are in ms.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError
from ..units import MAX_STEPS
from .events import REAL, check, suffix
from .library import Library, include, load, start

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


class Slopes(NamedTuple):
    """dL/d(weight) and dL/d(delay), (K, N); dL/d(time) of each arrival and of each spike, by the loop too.

    time, late: None where there was nothing to find; spike: None for neurons that do not fire.
    """

    weight: Array
    time: Array | None
    late: Array | None
    spike: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Input:
    """What arrives at N neurons until `stop` (ms): each arrival adds the row of its id in weight (K, N) to their I.

    weight is float32 or float64. late (K, N), of the same type: the delay of each synapse in ms. lag > 0: a loop; the
    last N rows of weight are those of the neurons themselves, whose spikes arrive so many ms later. Raises DataError,
    ShapeError or ParameterError for arrays that do not fit each other.
    """

    arrivals: Trains
    weight: Array
    stop: float
    late: Array | None = None
    lag: float = 0.0
    _given: _Given = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check(self.weight, "weight", REAL, (None, None))
        n_rows, n = self.weight.shape
        _check_kinds(self.arrivals, "arrivals")
        if not (0 <= self.lag < inf and 0 <= self.stop < inf):
            raise ParameterError(f"Input.stop and lag must be times in ms, got {self.stop!r} and {self.lag!r}")
        if 0 < self.lag * MAX_STEPS < self.stop:
            raise ParameterError(f"Input.lag must be at least stop / 2^31, got {self.lag!r} ms of {self.stop!r}")
        if self.lag and (n_rows < n or self.late is not None):
            raise ParameterError("Input.lag: a loop needs a row for each neuron, and no delays of single synapses")
        if self.late is not None:
            check(self.late, "late", str(self.weight.dtype), self.weight.shape)
            if not (np.isfinite(self.late) & (self.late >= 0)).all():
                raise DataError("late must be delays in ms, finite and at least 0")
        arrays = (*self.arrivals, self.weight, *(() if self.late is None else (self.late,)))
        places = [start(array) for array in arrays] + [None] * (self.late is None)
        sizes = self.n_samples, n, n_rows, len(self.arrivals.time)
        object.__setattr__(self, "_given", _Given(*sizes, *places, self.stop, self.lag))

    @property
    def n_samples(self) -> int:
        """How many samples there are."""
        return len(self.arrivals.offsets) - 1

    def call(self, name: str, *more: Any) -> None:
        """Calls a kernel for this input; raises DataError or ShapeError for trains that are none."""
        bad = np.zeros(2, np.int64)
        _library().call(f"{name}_{suffix(self.weight)}", self._given, bad, *more)
        if not bad.any():
            return
        for what, fault in zip(("arrivals", "fired"), bad.tolist(), strict=True):
            if fault == 1:
                raise ShapeError(f"{what}.offsets must rise from 0 to the number of spikes")
            if fault == 2:
                raise DataError(f"{what}.id must be from 0 to {self.weight.shape[what == 'fired'] - 1}")
            if fault:
                raise DataError(f"{what}.time must be finite, at least 0 and sorted within each sample")

    def slopes(self, times: bool) -> tuple[Array, Array | None, Array | None]:
        """Zeros for dL/d(weight), dL/d(time) of arrivals if asked for, and dL/d(delay)."""
        shape, kind = self.weight.shape, self.weight.dtype
        late = None if self.late is None else np.zeros(shape, kind)
        return np.zeros(shape, kind), np.zeros(len(self.arrivals.time)) if times else None, late


class _Given(ctypes.Structure):
    """An input as the kernels take it: sizes, addresses of its arrays, stop and lag."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("samples", "n", "rows", "n_events")),
        *((name, ctypes.c_void_p) for name in ("offsets", "time", "id", "w", "late")),
        *((name, ctypes.c_double) for name in ("stop", "lag")),
    )


def _library() -> Library:
    return load(include("eventprop.hpp"))


def lif(given: Input, membrane: Membrane, room: int = 1024) -> Fired:
    """The spikes of the neurons that an input leads to.

    room: how many spikes are expected. Raises DataError where a sample has more than MOST_SPIKES, and DataError or
    ShapeError for arrivals that are not sorted ones from the rows of the weight.
    """
    offsets = np.zeros(given.n_samples + 1, np.int64)
    while True:
        time, ids, current = np.empty(room), np.empty(room, np.int32), np.empty(room)
        given.call("lif_events", *map(float, membrane), time, ids, current, offsets, room, MOST_SPIKES)
        total = int(offsets[-1])
        if total > MOST_SPIKES and np.diff(offsets).max() > MOST_SPIKES:
            n = given.weight.shape[1]
            raise DataError(
                f"a population of {n} neurons sent more than {MOST_SPIKES} spikes in one sample; scale its weights down"
            )
        if total <= room:
            return Fired(Trains(offsets, time[:total], ids[:total]), current[:total])
        room = total


def lif_back(
    given: Input, membrane: Membrane, fired: Fired, by_time: Array, push: Array | None = None, *, times: bool = True
) -> Slopes:
    """The gradients of an input from dL/d(time) of each spike.

    push (B, N): added to dL/dV at each spike of a neuron. times: whether dL/d(time) of arrivals is wanted. Raises
    DataError or ShapeError for arrays that do not fit each other.
    """
    n, n_spikes = given.weight.shape[1], len(fired.trains.time)
    _check_kinds(fired.trains, "fired")
    for what, array in (("current", fired.current), ("by_time", by_time)):
        check(array, what, "float64", (n_spikes,))
    check(fired.trains.offsets, "fired.offsets", "int64", (given.n_samples + 1,))
    if push is not None:
        check(push, "push", "float64", (given.n_samples, n))
    grad, slopes, late = given.slopes(times)
    spike = by_time.copy() if given.lag else by_time
    given.call(
        "lif_events_back", *map(float, membrane), *fired.trains, n_spikes, fired.current, push, spike, grad, slopes,
        late,
    )  # fmt: skip
    return Slopes(grad, slopes, late, spike)


def leaky(given: Input, n_steps: int, dt: float, tau_m: float, tau_s: float, gain: float = 1.0) -> Array:
    """gain times the potentials (T, B, N) of neurons that do not fire, at the end of each step of dt ms.

    Raises as `lif`.
    """
    _check_steps(given, n_steps, dt)
    v = np.empty((n_steps, given.n_samples, given.weight.shape[1]), given.weight.dtype)
    given.call("leaky_events", float(tau_m), float(tau_s), float(gain), n_steps, float(dt), v)
    return v


def leaky_back(
    given: Input, dt: float, tau_m: float, tau_s: float, by_v: Array, gain: float = 1.0, *, times: bool = True
) -> Slopes:
    """The gradients of an input from dL/dv (T, B, N) of what `leaky` gives; raises as `lif_back`."""
    check(by_v, "by_v", str(given.weight.dtype), (None, given.n_samples, given.weight.shape[1]))
    _check_steps(given, len(by_v), dt)
    grad, slopes, late = given.slopes(times)
    constants = float(tau_m), float(tau_s), float(gain), len(by_v), float(dt)
    given.call("leaky_events_back", *constants, by_v, grad, slopes, late)
    return Slopes(grad, slopes, late)


def _check_steps(given: Input, n_steps: int, dt: float) -> None:
    """Raises unless neurons without a loop are seen until the end of their input."""
    if given.lag or abs(n_steps * dt - given.stop) > 1e-6 * dt:
        raise ParameterError(
            f"a read-out has no loop, and n_steps * dt must be Input.stop, {given.stop}, got {n_steps} * {dt}"
        )


def _check_kinds(trains: Trains, what: str) -> None:
    """Raises DataError or ShapeError unless trains are arrays of the right kinds; `call` looks at what they hold."""
    offsets, time, ids = trains
    check(offsets, f"{what}.offsets", "int64", (None,))
    check(time, f"{what}.time", "float64", (None,))
    check(ids, f"{what}.id", "int32", time.shape)
    if not len(offsets):
        raise ShapeError(f"{what}.offsets must rise from 0 to the number of spikes, got none")

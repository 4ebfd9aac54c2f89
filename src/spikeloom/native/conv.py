"""Convolution and pooling of events on frames (channels, height, width), there and back, without a dense raster.

A neuron of a source (C, H, W) has the id (c * H + y) * W + x. Weights are (O, C, kernel height, kernel width). Currents
and gradients are dense and channel-first: (T, B, O, H', W') and (T, B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError
from . import pool
from .events import REAL, Array, EventRows, check, check_out, dtype_name, empty, suffix
from .geometry import Geometry, Plan
from .levels import level
from .library import Library, include, load
from .products import WIDTHS

GATHER_FROM = 36.0
"""The events in a window of the kernel from which a position gathers them, instead of each event going to positions;
times the vectors of an event's weights, and the strides. Measured in float with AVX-512: from 20 events on for 32
channels, from 15 for 64, from 4 for 64 with a stride of 2. The two add in different orders: in float a sample may
differ by a rounding with the density of the batch that it stands in."""

Empty = Callable[[tuple[int, ...], Any], NDArray[Any]]


def library(of_level: str | None = None) -> Library:
    """The compiled functions of conv.hpp, for a level or the one in use; CompilerError where they are not to be had."""
    return load(include("conv.hpp"), of_level)


@lru_cache(maxsize=256)
def _plan(geometry: Geometry, itemsize: int, of_level: str) -> Plan:
    width = np.zeros(1, np.int64)
    library(of_level).call("vector_width", width)
    return Plan(geometry, int(width[0]) // itemsize, itemsize)


def _plan_for(geometry: Geometry, real: str) -> Plan:
    return _plan(geometry, np.dtype(real).itemsize, level())


def new_winners(geometry: Geometry, n_rows: int, real: str, room: Empty = empty) -> NDArray[np.uint8]:
    """Room for the winners of a maximum over n_rows frames of reals 'float32' or 'float64', for `Forward` to fill."""
    return room((n_rows, *_plan_for(geometry, real).kept), np.uint8)


class _Way:
    """What both ways share: a geometry, events, the real type 'float32' or 'float64', memory.

    room: where arrays come from, `events.empty` or what gives like it. Arrays live as long as this.
    """

    def __init__(self, geometry: Geometry, events: EventRows, real: str, room: Empty) -> None:
        if real not in REAL:
            raise ShapeError(f"real must be one of {REAL}, got {real!r}")
        if events.n != prod(geometry.source):
            raise ShapeError(f"events must be of the {prod(geometry.source)} neurons {geometry.source}, got {events.n}")
        if events.values is not None:
            check(events.values, "events.values", real, events.ids.shape)
        self.geometry, self.events, self.real, self._room = geometry, events, real, room
        self._plan = _plan_for(geometry, real)
        self._call, self._suffix = library().call, suffix(np.empty(0, real))
        sizes = events.n_steps, events.n_samples
        self._tables = (self._plan.sizes, self._plan.reach, events.start, events.ids, events.values, *sizes)

    def _check_winners(self, winners: Array | None, needed: bool) -> None:
        """Raises ShapeError unless the winners are those of these frames: none but for a maximum."""
        is_max = self.geometry.pool == "max"
        if winners is None and not (needed and is_max):
            return
        if winners is None or not is_max:
            got = f"{type(winners).__name__} for {self.geometry.pool!r}"
            raise ShapeError(f"winners belong to a pooling 'max', got {got}")
        n_rows = self.events.n_steps * self.events.n_samples
        check_out(winners, "winners", "uint8", (n_rows, *self._plan.kept))

    def _packed(self, name: str, size: int, weight: Array | None) -> NDArray[Any] | None:
        """The weight in the order of a kernel; None where there is no convolution."""
        if self.geometry.kernel is None:
            return None
        check(weight, "weight", self.real, (self.geometry.outputs, self.geometry.source[0], *self.geometry.kernel))
        packed = self._zeros((size,))
        self._call(f"{name}_{self._suffix}", self._plan.sizes, weight, packed)
        return packed

    def _zeros(self, shape: tuple[int, ...]) -> NDArray[Any]:
        array = self._room(shape, self.real)
        array.fill(0.0)
        return array


class Forward(_Way):
    """The currents of events, for a range of samples at a time.

    weight is None without a kernel; bias may be None; winners, where given, are filled. All reals have one dtype.
    """

    def __init__(
        self,
        geometry: Geometry,
        events: EventRows,
        weight: Array | None,
        bias: Array | None,
        real: str,
        winners: NDArray[np.uint8] | None = None,
        room: Empty = empty,
    ) -> None:
        super().__init__(geometry, events, real, room)
        self._check_winners(winners, needed=False)
        self._winners = winners
        self._most = _most_in_a_row(events) if _dense(geometry, self._plan, events) else 0
        self._workspace = self._plan.workspace_to_gather(self._most) if self._most else self._plan.workspace
        kind, size = ("conv_pack_taps", self._plan.n_gathered) if self._most else ("conv_pack", self._plan.n_packed)
        self._weight = self._packed(kind, size, weight)
        self._bias = self._zeros((self._plan.tiles * self._plan.tile,))
        if bias is not None:
            check(bias, "bias", real, (geometry.outputs,))
            self._bias[: geometry.outputs] = _numpy(bias)

    def run(self, current: Array, begin: int, end: int, first: int = 0) -> None:
        """Writes the current (T, n, O, H', W') of the samples from begin to end; its first sample is `first`."""
        check_out(current, "current", self.real, (self.events.n_steps, None, *self.geometry.target))
        n = current.shape[1]
        if not max(0, first) <= begin <= end <= min(first + n, self.events.n_samples):
            raise ShapeError(f"samples {begin} to {end} do not lie in a current of {n} samples from {first} on")
        workspace = empty((self._workspace,), np.uint8)
        rest = (self._weight, self._bias, current, first, n, self._winners, self._most, workspace, begin, end)
        self._call(f"conv_forward_{self._suffix}", *self._tables, *rest)


class Backward(_Way):
    """Writes the gradients that have an array: of weight, of bias, and of the dense signal (T, B, C, H, W).

    weight is needed for d_signal; winners are those of `Forward` where the pooling is a maximum. Samples may come in
    ranges that begin at multiples of `part`; `finish`, after all of them, writes the gradients of weight and bias.
    """

    def __init__(
        self,
        geometry: Geometry,
        events: EventRows,
        weight: Array | None,
        real: str,
        winners: NDArray[np.uint8] | None = None,
        d_weight: Array | None = None,
        d_bias: Array | None = None,
        d_signal: Array | None = None,
        room: Empty = empty,
    ) -> None:
        super().__init__(geometry, events, real, room)
        self._check_winners(winners, needed=True)
        self.part = self._plan.part_size(events.n_samples, np.dtype(real).itemsize)
        self._n_parts = -(-events.n_samples // self.part)
        self._winners, self._weight, self._signal = winners, None, d_signal
        self._d_weight, self._d_bias = d_weight, d_bias
        self._sums, self._bias_sums = self._room_for_sums(d_weight, d_bias)
        if d_signal is not None:
            check_out(d_signal, "d_signal", real, (events.n_steps, events.n_samples, *geometry.source))
            self._weight = self._packed("conv_pack_back", self._plan.n_back, weight)

    def run(self, grad: Array, begin: int, end: int) -> None:
        """Takes the gradient of the current, (T, B, O, H', W') or in tiles [tile][row][width], of some samples back."""
        n_samples = self.events.n_samples
        if not 0 <= begin <= end <= n_samples or begin % self.part or (end % self.part and end != n_samples):
            raise ShapeError(f"samples {begin} to {end} of {n_samples} are not whole parts of {self.part}")
        rows, width = self._layout(grad)
        sums = (self._winners, self._sums, self._bias_sums, self._signal)
        workspace = empty((self._plan.workspace_back,), np.uint8)
        rest = (workspace, self.part, begin // self.part, -(-end // self.part))
        self._call(f"conv_backward_{self._suffix}", *self._tables, self._weight, grad, rows, width, *sums, *rest)

    def _layout(self, grad: Array) -> tuple[int, int]:
        """How many rows and neurons a tile of the gradient has; 0 where it is not in tiles."""
        n_rows = self.events.n_steps * self.events.n_samples
        if grad.ndim != 3:
            check(grad, "grad", self.real, (self.events.n_steps, self.events.n_samples, *self.geometry.target))
            return 0, 0
        tiles, rows, width = grad.shape
        if width not in WIDTHS or rows < n_rows or tiles * width < prod(self.geometry.target):
            wanted = f"{n_rows} rows of {prod(self.geometry.target)} neurons in tiles of {', '.join(map(str, WIDTHS))}"
            raise ShapeError(f"grad in tiles must hold {wanted}, got {tuple(grad.shape)}")
        check(grad, "grad", self.real, (tiles, rows, width))
        return rows, width

    def finish(self) -> None:
        """Writes the gradients of weight and bias: the sums of the parts, one after the other."""
        if self._sums is not None:
            parts = self._n_parts
            self._call(f"conv_unpack_{self._suffix}", self._plan.sizes, self._sums, parts, self._d_weight)
        if self._bias_sums is not None:
            _numpy(self._d_bias)[:] = self._bias_sums.sum(0)[: self.geometry.outputs]

    def _room_for_sums(
        self, d_weight: Array | None, d_bias: Array | None
    ) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """Zeros for the sums of each part, of those gradients that have an array."""
        sums = bias_sums = None
        geometry, plan = self.geometry, self._plan
        if d_weight is not None:
            if geometry.kernel is None:
                raise ShapeError("a pooling alone has no weight; give no d_weight")
            check_out(d_weight, "d_weight", self.real, (geometry.outputs, geometry.source[0], *geometry.kernel))
            sums = self._zeros((self._n_parts, plan.n_packed))
        if d_bias is not None:
            check_out(d_bias, "d_bias", self.real, (geometry.outputs,))
            bias_sums = self._zeros((self._n_parts, plan.tiles * plan.tile))
        return sums, bias_sums


def _dense(geometry: Geometry, plan: Plan, events: EventRows) -> bool:
    """Whether a window of the kernel holds so many events, on the average, that gathering is faster than scattering."""
    in_a_window = events.density * geometry.source[0] * prod(geometry.taps)
    return plan.may_gather and in_a_window * plan.lines_of_an_event >= GATHER_FROM


def _most_in_a_row(events: EventRows) -> int:
    return int(np.diff(events.start).max(initial=0))


def forward(
    geometry: Geometry,
    events: EventRows,
    weight: Array | None,
    bias: Array | None,
    current: Array,
    winners: NDArray[np.uint8] | None = None,
    threads: int = 1,
) -> None:
    """Writes the current (T, B, O, H', W') of all samples; arguments as those of `Forward`."""
    check_out(current, "current", REAL, (events.n_steps, events.n_samples, *geometry.target))
    way = Forward(geometry, events, weight, bias, dtype_name(current), winners)
    pool.run(lambda begin, end: way.run(current, begin, end), events.n_samples, threads)


def backward(
    geometry: Geometry,
    events: EventRows,
    weight: Array | None,
    grad: Array,
    winners: NDArray[np.uint8] | None = None,
    d_weight: Array | None = None,
    d_bias: Array | None = None,
    d_signal: Array | None = None,
    threads: int = 1,
) -> None:
    """Writes the gradients of all samples, from that of the current (T, B, O, H', W'); arguments as `Backward`'s."""
    check(grad, "grad", REAL, (events.n_steps, events.n_samples, *geometry.target))
    way = Backward(geometry, events, weight, dtype_name(grad), winners, d_weight, d_bias, d_signal)
    by_parts(way, lambda begin, end: way.run(grad, begin, end), threads)


def by_parts(way: Backward, run: Callable[[int, int], None], threads: int, size: int = 1) -> None:
    """Calls run(begin, end) on ranges of samples, each of whole parts and a multiple of `size`, and finishes."""
    unit, n = max(size, way.part), way.events.n_samples
    pool.run(lambda a, b: run(a * unit, min(b * unit, n)), -(-n // unit), threads)
    way.finish()


def _numpy(array: Array) -> NDArray[Any]:
    return np.asarray(array.detach() if hasattr(array, "detach") else array)

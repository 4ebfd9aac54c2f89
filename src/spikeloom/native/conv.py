"""Convolution and pooling of events on frames (channels, height, width), there and back, without a dense raster.

A neuron of a source (C, H, W) has the id (c * H + y) * W + x. Weights are (O, C, kernel height, kernel width). Currents
and gradients are dense and channel-first: (T, B, O, H', W') and (T, B, C, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError, UnsupportedError
from . import pool
from .events import ALIGNMENT, REAL, Array, EventRows, check, check_out, dtype_name, empty, suffix
from .levels import level
from .library import Library, include, load

Pair = tuple[int, int]

TILE_BYTES = 256
"""How many bytes of output channels lie side by side in a frame, at most."""
BAND_BYTES = 1 << 18
"""How much of a frame is held at a time; events are looked at once for each such band."""
MOST_PARTS, PARTS_BYTES = 16, 1 << 23
"""In how many parts the gradient of a weight is summed at most, and how many bytes they take beyond two."""
MOST_ENTRIES = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A convolution of frames (C, H, W) with a pooling of its result, or, with kernel=None, a pooling alone.

    pool: None, 'max' (in a tie the first entry of the window wins) or 'avg' (with the zeros of the padding). Raises
    ShapeError where nothing is left of a frame, UnsupportedError where a window or a frame is too large.
    """

    source: tuple[int, int, int]
    outputs: int
    kernel: Pair | None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    pool: str | None = None
    pool_kernel: Pair = (1, 1)
    pool_stride: Pair = (1, 1)
    pool_padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        if self.kernel is None and (self.outputs, self.stride, self.padding) != (self.source[0], (1, 1), (0, 0)):
            raise ShapeError(f"a pooling alone keeps the {self.source[0]} channels, got outputs={self.outputs}")
        if self.pool is None and (self.pool_kernel, self.pool_stride, self.pool_padding) != ((1, 1), (1, 1), (0, 0)):
            raise ShapeError(f"Geometry with pool=None has no window of a pooling, got {self.pool_kernel}")
        least = dict.fromkeys(("source", "taps", "stride", "pool_kernel", "pool_stride"), 1)
        for name, low in (least | {"padding": 0, "pool_padding": 0}).items():
            if min(getattr(self, name)) < low:
                raise ShapeError(f"Geometry.{name} must be at least {low}, got {getattr(self, name)}")
        if any(2 * p > k for p, k in zip(self.pool_padding, self.pool_kernel, strict=True)):
            raise ShapeError(f"Geometry.pool_padding must be at most half of the window, got {self.pool_padding}")
        if self.pool not in (None, "max", "avg") or min(self.outputs, *self.positions, *self.target) < 1:
            raise ShapeError(f"no target is left of {self}")
        if prod(self.pool_kernel) > 255:
            raise UnsupportedError(f"a window of a pooling has at most 255 entries, got {self.pool_kernel}")
        outputs, (height, width) = self.outputs + TILE_BYTES, self.positions
        frame = height * (width + self.taps[1]) * max(outputs, self.source[0])
        if max(prod(self.source), frame, 4 * outputs * self.source[0] * prod(self.taps)) > MOST_ENTRIES:
            raise UnsupportedError(f"frames and weights must have less than 2**31 entries, got {self}")

    @property
    def taps(self) -> Pair:
        """The kernel (height, width); one tap where there is none."""
        return self.kernel or (1, 1)

    @property
    def positions(self) -> Pair:
        """Height and width of the result of the convolution."""
        sides = zip(self.source[1:], self.taps, self.stride, self.padding, strict=True)
        height, width = ((n + 2 * p - k) // s + 1 for n, k, s, p in sides)
        return height, width

    @property
    def target(self) -> tuple[int, int, int]:
        """The shape (O, H', W') of the current."""
        sides = zip(self.positions, self.pool_kernel, self.pool_stride, self.pool_padding, strict=True)
        height, width = ((n + 2 * p - k) // s + 1 for n, k, s, p in sides)
        return self.outputs, height, width

    @property
    def used(self) -> Pair:
        """The positions that the pooling reads, in height and width; all of the source's without a convolution."""
        if self.kernel is None or self.pool is None:
            return self.positions
        windows = zip(
            self.positions, self.target[1:], self.pool_kernel, self.pool_stride, self.pool_padding, strict=True
        )
        height, width = (min(n, (m - 1) * s + k - p) for n, m, k, s, p in windows)
        return height, width


class _Plan:
    """What the kernels need to know of a geometry, for vectors of so many reals of so many bytes."""

    def __init__(self, g: Geometry, lanes: int, itemsize: int) -> None:
        channels, height, width = g.source
        vectors, places = -(-g.outputs // lanes), prod(g.target[1:])
        self.tile = -(-vectors // -(-vectors * lanes * itemsize // TILE_BYTES)) * lanes
        self.tiles = -(-g.outputs // self.tile)
        lines, line = (-(-k // s) for k, s in zip(g.taps, g.stride, strict=True)) if g.kernel is not None else (1, 0)
        pitch, kinds = (g.used[1] + line) * self.tile, [min(s, k) for s, k in zip(g.stride, g.taps, strict=True)]
        band, rows = _band(g, pitch * itemsize)
        pool = (g.pool == "max", *g.pool_kernel, *g.pool_stride, *g.pool_padding)
        source_pitch = max(width + g.padding[1], (g.used[1] - 1) * g.stride[1] + g.taps[1])
        back_line = -(-g.taps[1] * channels // lanes) * lanes
        room = prod(-(-n // s) for n, s in zip(g.source[1:], g.stride, strict=True)) + ALIGNMENT
        rest = (g.kernel is not None, *kinds, lines, line, room, self.tile, source_pitch, back_line, band, rows)
        sizes = (*g.source, *g.target, *g.taps, *g.stride, *g.padding, *g.used, *pool, *rest)
        self.sizes, self.reach = np.array(sizes, np.int64), _reach(g, pitch, self.tile)
        self.n_packed = self.tiles * self.tile * channels * prod(kinds) * lines * line
        self.n_back = g.outputs * g.taps[0] * back_line
        self.kept = (self.tiles, places, self.tile)
        frames = (rows * pitch + line * self.tile) * itemsize, places * self.tile * itemsize
        n_lists = prod(kinds) + 1
        lists = n_lists * 8, n_lists * room * 4, n_lists * room * 4, n_lists * room * itemsize
        self.workspace = sum(map(_whole_lines, (*frames, *lists)))
        self.workspace_back = self.workspace + _whole_lines((height * source_pitch * channels + lanes) * itemsize)

    def parts(self, n_samples: int, itemsize: int) -> int:
        """In how many parts, each of some samples, the gradient of the weight is summed."""
        room = max(2, PARTS_BYTES // (self.n_packed * itemsize + 1))
        return max(1, min(n_samples, room, MOST_PARTS))


def _whole_lines(n_bytes: int) -> int:
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT


def _band(g: Geometry, pitch: int) -> Pair:
    """How many rows of the target a band has, and of positions at most, for rows of so many bytes."""
    if g.kernel is None:
        return g.target[1], g.used[0]
    n_bands = min(-(-g.used[0] * pitch // BAND_BYTES), g.target[1])
    band = -(-g.target[1] // n_bands)
    return band, min(g.used[0], (band - 1) * g.pool_stride[0] + g.pool_kernel[0])


def _reach(g: Geometry, pitch: int, tile: int) -> NDArray[np.int32]:
    """What each place (y, x) of the source reaches, (H * W, 3): offset and row of the first position, and its list.

    The tap k of the position p reads the coordinate p * stride - padding + k. Taps that one coordinate meets differ by
    the stride, so that there are min(stride, kernel) kinds of coordinates beside those that meet none; each meets
    ceil(kernel / stride) positions side by side, some of them outside of the frame.
    """
    firsts, kinds = [], []
    for size, kernel, stride, padding in zip(g.source[1:], g.taps, g.stride, g.padding, strict=True):
        shifted = np.arange(size) + padding
        firsts.append(shifted // stride - -(-kernel // stride) + 1)
        kinds.append(shifted % stride)
    (down, across), (n_down, n_across) = kinds, (min(s, k) for s, k in zip(g.stride, g.taps, strict=True))
    some = (down < n_down)[:, None] & (across < n_across) & (firsts[1] < g.used[1])
    kind = np.where(some, down[:, None] * n_across + across, n_down * n_across)
    row = np.broadcast_to(firsts[0][:, None], kind.shape)
    return np.stack([row * pitch + firsts[1] * tile, row, kind], axis=-1).reshape(-1, 3).astype(np.int32)


def library(of_level: str | None = None) -> Library:
    """The compiled functions of conv.hpp, for a level or the one in use; CompilerError where they are not to be had."""
    return load(include("conv.hpp"), of_level)


@lru_cache(maxsize=256)
def _plan(geometry: Geometry, itemsize: int, of_level: str) -> _Plan:
    width = np.zeros(1, np.int64)
    library(of_level).call("vector_width", width)
    return _Plan(geometry, int(width[0]) // itemsize, itemsize)


def _plan_for(geometry: Geometry, real: str) -> _Plan:
    return _plan(geometry, np.dtype(real).itemsize, level())


def new_winners(geometry: Geometry, n_rows: int, real: str) -> NDArray[np.uint8]:
    """Room for the winners of a maximum over n_rows frames of reals 'float32' or 'float64', for `forward` to fill."""
    return empty((n_rows, *_plan_for(geometry, real).kept), np.uint8)


def forward(
    geometry: Geometry,
    events: EventRows,
    weight: Array | None,
    bias: Array | None,
    current: Array,
    winners: NDArray[np.uint8] | None = None,
    threads: int = 1,
) -> None:
    """Writes the current (T, B, O, H', W') of the events, and which entry of each window wins where that is asked for.

    weight is None without a kernel; bias may be None. All reals have the dtype of the current.
    """
    real, plan = _checked(geometry, events, current, "current")
    call = library().call
    _check_winners(geometry, plan, winners, events.n_steps * events.n_samples, needed=False)
    packed = _packed("conv_pack", geometry, plan, plan.n_packed, weight, real)
    start = _zeros((plan.tiles * plan.tile,), real)
    if bias is not None:
        check(bias, "bias", real, (geometry.outputs,))
        start[: geometry.outputs] = _numpy(bias)
    tables = (plan.sizes, plan.reach, events.start, events.ids, events.values)

    def some(begin: int, end: int) -> None:
        workspace = empty((plan.workspace,), np.uint8)
        rest = (packed, start, current, winners, workspace, begin, end)
        call(f"conv_forward_{suffix(current)}", *tables, events.n_steps, events.n_samples, *rest)

    pool.run(some, events.n_samples, threads)


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
    """Writes the gradients that have an array: of weight, of bias, and of the dense signal (T, B, C, H, W).

    grad (T, B, O, H', W') is that of the current; weight is needed for d_signal; winners are those of `forward` where
    the pooling is a maximum.
    """
    real, plan = _checked(geometry, events, grad, "grad")
    call, n_samples = library().call, events.n_samples
    _check_winners(geometry, plan, winners, events.n_steps * n_samples, needed=True)
    parts, packed = plan.parts(n_samples, np.dtype(real).itemsize), None
    sums, bias_sums = _room_for_sums(geometry, plan, real, parts, d_weight, d_bias)
    if d_signal is not None:
        check_out(d_signal, "d_signal", real, (events.n_steps, n_samples, *geometry.source))
        packed = _packed("conv_pack_back", geometry, plan, plan.n_back, weight, real)
    tables = (plan.sizes, plan.reach, events.start, events.ids, events.values)

    def some(begin: int, end: int) -> None:
        workspace = empty((plan.workspace_back,), np.uint8)
        rest = (packed, grad, winners, sums, bias_sums, d_signal, workspace, parts, begin, end)
        call(f"conv_backward_{suffix(grad)}", *tables, events.n_steps, n_samples, *rest)

    pool.run(some, parts, threads)
    if sums is not None:
        call(f"conv_unpack_{suffix(grad)}", plan.sizes, sums, parts, d_weight)
    if bias_sums is not None:
        _numpy(d_bias)[:] = bias_sums.sum(0)[: geometry.outputs]


def _checked(geometry: Geometry, events: EventRows, dense: Array, what: str) -> tuple[str, _Plan]:
    """The name of the real and the plan of a call; raises where the events or the dense array do not fit."""
    if events.n != prod(geometry.source):
        raise ShapeError(f"events must be of the {prod(geometry.source)} neurons {geometry.source}, got {events.n}")
    check_out(dense, what, REAL, (events.n_steps, events.n_samples, *geometry.target))
    real = dtype_name(dense)
    if events.values is not None:
        check(events.values, "events.values", real, events.ids.shape)
    return real, _plan_for(geometry, real)


def _check_winners(geometry: Geometry, plan: _Plan, winners: Array | None, n_rows: int, needed: bool) -> None:
    """Raises ShapeError unless the winners are those of these frames: none but for a maximum."""
    if winners is None and not (needed and geometry.pool == "max"):
        return
    if winners is None or geometry.pool != "max":
        raise ShapeError(f"winners belong to a pooling 'max', got {type(winners).__name__} for {geometry.pool!r}")
    check_out(winners, "winners", "uint8", (n_rows, *plan.kept))


def _room_for_sums(
    geometry: Geometry, plan: _Plan, real: str, parts: int, d_weight: Array | None, d_bias: Array | None
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Zeros for the sums of each part, of those gradients that have an array."""
    sums = bias_sums = None
    if d_weight is not None:
        if geometry.kernel is None:
            raise ShapeError("a pooling alone has no weight; give no d_weight")
        check_out(d_weight, "d_weight", real, (geometry.outputs, geometry.source[0], *geometry.kernel))
        sums = _zeros((parts, plan.n_packed), real)
    if d_bias is not None:
        check_out(d_bias, "d_bias", real, (geometry.outputs,))
        bias_sums = _zeros((parts, plan.tiles * plan.tile), real)
    return sums, bias_sums


def _packed(
    name: str, geometry: Geometry, plan: _Plan, size: int, weight: Array | None, real: str
) -> NDArray[Any] | None:
    """The weight in the order of a kernel; None where there is no convolution."""
    if geometry.kernel is None:
        return None
    check(weight, "weight", real, (geometry.outputs, geometry.source[0], *geometry.kernel))
    packed = _zeros((size,), real)
    library().call(f"{name}_{suffix(packed)}", plan.sizes, weight, packed)
    return packed


def _zeros(shape: tuple[int, ...], real: str) -> NDArray[Any]:
    array = empty(shape, real)
    array[:] = 0.0
    return array


def _numpy(array: Array) -> NDArray[Any]:
    return np.asarray(array.detach() if hasattr(array, "detach") else array)

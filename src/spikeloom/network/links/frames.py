"""Convolution and pooling of frames (channels, height, width): events by compiled kernels, values by torch."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple, cast

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...errors import CompilerError, UnsupportedError
from ...native import conv, levels, pool
from ...native.events import empty
from ...native.geometry import Geometry
from .link import Ends, Gradients, Room, Signal, Wanted
from .rows import SpikeRows

Pair = tuple[int, int]

EVENTS_UNTIL = 0.25
"""The density of events up to which a convolution of them is faster than one of the dense raster."""
GRADIENT_UNTIL = 0.5
"""The density of a gradient up to which its way to the signal is faster by its entries."""
WORK_FOR_THREADS = 1 << 27
"""How many multiplications of a convolution are shared by threads."""

_log = logging.getLogger(__name__)


class Pooling(NamedTuple):
    """The maximum ('max') or the mean ('avg') over windows (height, width) of each channel."""

    kind: str
    kernel: Pair
    stride: Pair
    padding: Pair

    def size(self, height: int, width: int) -> Pair:
        """Height and width of the pooled frames; below 1 where the window is larger than a frame with its padding."""
        sides = zip((height, width), self.kernel, self.stride, self.padding, strict=True)
        rows, columns = ((n + 2 * p - k) // s + 1 for n, k, s, p in sides)
        return rows, columns

    def apply(self, frames: Tensor, keep: bool) -> tuple[Tensor, Tensor | None]:
        """Frames (M, C, H, W) pooled, and where asked for what `back` needs."""
        if self.kind == "avg":
            return F.avg_pool2d(frames, *self[1:]), None
        if keep:
            return F.max_pool2d(frames, self.kernel, self.stride, self.padding, return_indices=True)
        return F.max_pool2d(frames, self.kernel, self.stride, self.padding), None

    def back(self, grad: Tensor, kept: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        """The gradient of frames of a shape from that of what they were pooled to."""
        frames = grad.new_empty(shape)  # torch asks for the frames, and looks at nothing but their shape
        window = [list(pair) for pair in self[1:]]
        if self.kind == "avg":
            return cast(Tensor, torch.ops.aten.avg_pool2d_backward(grad, frames, *window, False, True, None))
        made = torch.ops.aten.max_pool2d_with_indices_backward(grad, frames, *window, [1, 1], False, kept)
        return cast(Tensor, made)


class Winners(NamedTuple):
    """What a compiled kernel keeps: which entry of each window is the maximum, where there is one."""

    of_windows: NDArray[Any] | None


def as_frames(signal: Signal) -> Tensor:
    """A signal (T, B, C, H, W) as (T * B, C, H, W)."""
    values = signal.dense() if isinstance(signal, SpikeRows) else signal
    return values.reshape(-1, *values.shape[2:])


def steps_and_samples(signal: Signal) -> Pair:
    """(T, B) of a signal."""
    return (signal.n_steps, signal.n_samples) if isinstance(signal, SpikeRows) else (signal.shape[0], signal.shape[1])


@lru_cache(maxsize=256)
def geometry_for(ends: Ends, kernel: Pair | None, pooling: Pooling | None, **window: Pair) -> Geometry | None:
    """A convolution, a pooling or both as the compiled kernels take it; None where it is too large for them."""
    if pooling is not None:
        window |= {"pool_kernel": pooling.kernel, "pool_stride": pooling.stride, "pool_padding": pooling.padding}
    channels, height, width = ends.pre
    kind = pooling.kind if pooling is not None else None
    try:
        return Geometry(source=(channels, height, width), outputs=ends.post[0], kernel=kernel, pool=kind, **window)
    except UnsupportedError:
        return None


def by_events(signal: Signal, like: Tensor) -> bool:
    """Whether compiled kernels take this signal, and can be had; like: a tensor of the type and on the device."""
    real = like.dtype in (torch.float32, torch.float64) and like.device.type == "cpu"
    return isinstance(signal, SpikeRows) and real and _kernels(levels.level())


@cache
def _kernels(level: str) -> bool:
    """Whether there are compiled kernels of a level; says so once where there are none."""
    try:
        conv.library(level)
    except CompilerError as error:
        _log.warning("convolution and pooling of events run on torch's dense operations: %s", error)
        return False
    return True


def is_sparse(grad: Tensor) -> bool:
    """Whether a gradient has so many zeros that the compiled kernels take it faster to the signal than torch does."""
    return int(torch.count_nonzero(grad)) <= GRADIENT_UNTIL * grad.numel()


def forward_of(
    geometry: Geometry, signal: SpikeRows, weights: Mapping[str, Tensor], like: Tensor, keep: bool, room: Room = empty
) -> tuple[conv.Forward, Winners | None]:
    """The product of events by compiled kernels, made ready, and what its gradients need; memory comes from room."""
    events, real, winners = signal.events(_name(like)), _name(like), None
    if keep and geometry.pool == "max":
        winners = conv.new_winners(geometry, signal.n_steps * signal.n_samples, real, room)
    weight, bias = (weights[k].detach().contiguous() if k in weights else None for k in ("weight", "bias"))
    way = conv.Forward(geometry, events, weight, bias, real, winners, room)
    return way, Winners(winners) if keep else None


def backward_of(
    geometry: Geometry,
    signal: SpikeRows,
    weights: Mapping[str, Tensor],
    like: Tensor,
    wanted: Wanted,
    kept: Winners,
    room: Room = empty,
) -> tuple[conv.Backward, Gradients]:
    """The gradients of a product of events by compiled kernels, made ready, and where they will stand; memory comes
    from room, but for that of the weights' gradients."""
    found = {
        k: torch.empty_like(w, memory_format=torch.contiguous_format) for k, w in weights.items() if k in wanted.weights
    }
    shape = (signal.n_steps, signal.n_samples, *geometry.source)
    back = torch.from_numpy(room(shape, _name(like))) if wanted.signal else None
    weight = weights["weight"].detach().contiguous() if wanted.signal and "weight" in weights else None
    way = conv.Backward(
        geometry, signal.events(_name(like)), weight, _name(like), kept.of_windows, found.get("weight"),
        found.get("bias"), back, room,
    )  # fmt: skip
    return way, Gradients(back, found)


def events_product(
    geometry: Geometry, signal: SpikeRows, weights: Mapping[str, Tensor], like: Tensor, keep: bool
) -> tuple[Tensor, Winners | None]:
    """The current (T, B, *target) of events by compiled kernels, and what their gradients need."""
    way, kept = forward_of(geometry, signal, weights, like, keep)
    current = _empty((signal.n_steps, signal.n_samples, *geometry.target), like)
    pool.run(lambda begin, end: way.run(current, begin, end), signal.n_samples, _threads(geometry, signal))
    return current, kept


def events_gradients(
    geometry: Geometry,
    signal: SpikeRows,
    weights: Mapping[str, Tensor],
    grad: Tensor,
    wanted: Wanted,
    kept: Winners,
) -> Gradients:
    """The gradients of a product of events by compiled kernels."""
    if not wanted.signal and not wanted.weights:
        return Gradients(None, {})
    way, found = backward_of(geometry, signal, weights, grad, wanted, kept)
    grad = grad.contiguous()
    conv.by_parts(way, lambda begin, end: way.run(grad, begin, end), _threads(geometry, signal))
    return found


def _empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Memory of NumPy's, which has large arrays in large pages: fresh small ones cost more than filling them."""
    return torch.from_numpy(empty(shape, _name(like)))


def _name(like: Tensor) -> str:
    return str(like.dtype).removeprefix("torch.")


def _threads(geometry: Geometry, signal: SpikeRows) -> int:
    """How many threads share the work: one where there is little of it."""
    work = signal.n_spikes * geometry.outputs * math.prod(geometry.taps) if geometry.kernel is not None else 0
    return torch.get_num_threads() if work >= WORK_FOR_THREADS else 1

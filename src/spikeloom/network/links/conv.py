"""Convolution and pooling of populations with shape (channels, height, width)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ParameterError, ShapeError
from ...native.geometry import Geometry
from ...neurons.surrogates import is_number
from ..parameters import ParameterSpec
from .frames import (
    EVENTS_UNTIL,
    Pair,
    Pooling,
    Winners,
    as_frames,
    backward_of,
    by_events,
    events_gradients,
    events_product,
    forward_of,
    geometry_for,
    is_sparse,
    steps_and_samples,
)
from .link import (
    BackwardInParts,
    Ends,
    ForwardInParts,
    Gradients,
    Link,
    Room,
    Signal,
    Wanted,
    bias_spec,
    drawn,
    weight_spec,
)
from .rows import SpikeRows


def pair(value: Any) -> Pair:
    """A number or two numbers as (height, width)."""
    first, second = value if isinstance(value, (tuple, list)) else (value, value)
    return first, second


def check_pairs(owner: object, lowest: Mapping[str, int]) -> None:
    """Raises ParameterError unless each named field is a whole number not below its lowest value, or two of them."""
    for name, least in lowest.items():
        value = getattr(owner, name)
        both = value if isinstance(value, (tuple, list)) else (value, value)
        if len(both) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) and n >= least for n in both):
            raise ParameterError(
                f"{type(owner).__name__}.{name} must be a whole number from {least} on, or two of them, got {value!r}"
            )


def check_channels(link: Any) -> None:
    """Raises ParameterError unless groups, out_channels and in_channels are whole numbers, the last two where given."""
    for name in ("groups", "out_channels", "in_channels"):
        value = getattr(link, name)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not whole and (value is not None or name == "groups"):
            raise ParameterError(f"{type(link).__name__}.{name} must be a whole number from 1 on, got {value!r}")


def check_image(owner: str, ends: Ends) -> None:
    if len(ends.pre) != 3:
        raise ShapeError(
            f"{owner}: the source must have shape (channels, height, width), got {ends.pre}; give it shape="
        )


def check_target(owner: str, ends: Ends, expected: tuple[int, ...]) -> None:
    if min(expected) < 1:
        raise ShapeError(f"{owner}: the kernel is larger than the source {ends.pre} with its padding")
    if ends.post != expected:
        raise ShapeError(f"{owner}: the target must have shape {expected}, got {ends.post}; give it shape={expected}")


def _check_pooling(owner: str, prefix: str, pooling: Pooling) -> None:
    """Raises ParameterError where a padding is more than half of its window."""
    if any(2 * p > k for k, p in zip(pooling.kernel, pooling.padding, strict=True)):
        raise ParameterError(
            f"{owner}.{prefix}padding must be at most half of the kernel, got {pooling.padding} for {pooling.kernel}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv(Link):
    """A convolution with weight (out_channels, in_channels / groups, kernel height, kernel width).

    Source (in_channels, H, W), target (out_channels, H', W') with H' = (H + 2 padding - dilation (kernel - 1) - 1) //
    stride + 1. out_channels follows from the target. pool: 'max' or 'avg' pools this current over windows of
    pool_kernel_size, pool_stride (as large as the window) and pool_padding; then the target is what is left:
    (H' + 2 pool_padding - pool_kernel_size) // pool_stride + 1.
    """

    weight: Any = None
    bias: Any = None
    out_channels: int | None = None
    in_channels: int | None = None
    kernel_size: Any = (3, 3)
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    pool: str | None = None
    pool_kernel_size: Any = (2, 2)
    pool_stride: Any = None
    pool_padding: Any = 0
    w_mean: float = 0.05
    w_std: float = 0.05

    name = "conv"

    def __post_init__(self) -> None:
        strides = {} if self.pool_stride is None else {"pool_stride": 1}
        check_pairs(self, {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1})
        check_pairs(self, {"pool_kernel_size": 1, "pool_padding": 0} | strides)
        if self.pool not in (None, "max", "avg"):
            raise ParameterError(f"Conv.pool must be 'max', 'avg' or None, got {self.pool!r}")
        given = pair(self.pool_kernel_size), self.pool_stride, pair(self.pool_padding)
        if self.pool is None and given != ((2, 2), None, (0, 0)):
            raise ParameterError(
                "Conv.pool is None, so that its pool_ settings have no effect; give pool='max' or 'avg'"
            )
        check_channels(self)

    def check(self, owner: str, ends: Ends) -> None:
        check_image(owner, ends)
        if self.in_channels not in (None, ends.pre[0]):
            raise ShapeError(f"{owner}.in_channels is {self.in_channels}, but the source has shape {ends.pre}")
        if ends.pre[0] % self.groups or ends.post[0] % self.groups:
            raise ShapeError(
                f"{owner}.groups is {self.groups} and must divide the channels {ends.pre[0]} and {ends.post[0]}"
            )
        size, pooling = self._positions(ends), self._pooling()
        if pooling is not None and min(size) >= 1:
            _check_pooling(owner, "pool_", pooling)
            size = pooling.size(*size)
        check_target(owner, ends, (self.out_channels or ends.post[0], *size))

    def target(self, owner: str, pre: tuple[int, ...]) -> tuple[int, ...]:
        """The shape (out_channels, height, width) that a source of a shape leads to; ParameterError without
        out_channels."""
        check_image(owner, Ends(pre, pre))
        if self.out_channels is None:
            raise ParameterError(f"{owner}: give out_channels=, which the target does not tell here")
        size, pooling = self._positions(Ends(pre, pre)), self._pooling()
        return (self.out_channels, *(size if pooling is None or min(size) < 1 else pooling.size(*size)))

    def _positions(self, ends: Ends) -> Pair:
        """Height and width of the result of the convolution."""
        sides = zip(ends.pre[1:], pair(self.kernel_size), *self._options(), strict=True)
        height, width = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides)
        return height, width

    def _options(self) -> tuple[Pair, Pair, Pair]:
        return pair(self.stride), pair(self.padding), pair(self.dilation)

    def _pooling(self) -> Pooling | None:
        if self.pool is None:
            return None
        kernel = pair(self.pool_kernel_size)
        stride = kernel if self.pool_stride is None else pair(self.pool_stride)
        return Pooling(self.pool, kernel, stride, pair(self.pool_padding))

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        shape = (ends.post[0], ends.pre[0] // self.groups, *pair(self.kernel_size))
        weight = weight_spec(f"{path}.weight", shape, self.weight, drawn(self.w_mean, self.w_std))
        return [weight, *bias_spec(path, ends.post[0], self.bias)]

    def _geometry(self, signal: Signal, weight: Tensor, ends: Ends) -> Geometry | None:
        """The convolution as the compiled kernels take it, where they take it and are the faster way."""
        stride, padding, dilation = self._options()
        plain = self.groups == 1 and dilation == (1, 1)
        if not plain or not by_events(signal, weight) or cast(SpikeRows, signal).density > EVENTS_UNTIL:
            return None
        return geometry_for(ends, pair(self.kernel_size), self._pooling(), stride=stride, padding=padding)

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, Any]:
        weight, pooling, kept = weights["weight"], self._pooling(), None
        if (geometry := self._geometry(signal, weight, ends)) is not None:
            return events_product(geometry, cast(SpikeRows, signal), weights, weight, keep)
        current = F.conv2d(as_frames(signal), weight, weights.get("bias"), *self._options(), self.groups)
        if pooling is not None:
            current, kept = pooling.apply(current, keep)
        return current.view(*steps_and_samples(signal), *ends.post), kept

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        geometry = self._geometry(signal, weights["weight"], ends)
        if kept is None and self.pool == "max":
            kept = self.product(signal, weights, ends, keep=True)[1]
        if geometry is None:
            return self._dense_gradients(as_frames(signal), weights, ends, grad, wanted, kept)
        events, kept = cast(SpikeRows, signal), kept or Winners(None)
        if not wanted.signal or self.pool == "max" or is_sparse(grad):
            return events_gradients(geometry, events, weights, grad, wanted, kept)
        frames = grad.new_empty(events.n_steps * events.n_samples, *ends.pre)  # their values have no part in this
        back, _ = self._dense_gradients(frames, weights, ends, grad, Wanted(True, ()), None)
        _, found = events_gradients(geometry, events, weights, grad, Wanted(False, wanted.weights), kept)
        return Gradients(back, found)

    def forward_in_parts(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool, room: Room
    ) -> tuple[ForwardInParts, Any] | None:
        if (geometry := self._geometry(signal, weights["weight"], ends)) is None:
            return None
        return forward_of(geometry, cast(SpikeRows, signal), weights, weights["weight"], keep, room)

    def backward_in_parts(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, wanted: Wanted, kept: Any, room: Room
    ) -> tuple[BackwardInParts, Gradients] | None:
        geometry = self._geometry(signal, weights["weight"], ends)
        if geometry is None or (wanted.signal and self.pool != "max"):  # a dense gradient may be torch's affair
            return None
        return backward_of(geometry, cast(SpikeRows, signal), weights, weights["weight"], wanted, kept, room)

    def _dense_gradients(
        self, frames: Tensor, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any
    ) -> Gradients:
        """The gradients by torch, for frames (T * B, *pre)."""
        grads, pooling = grad.reshape(-1, *ends.post), self._pooling()
        if pooling is not None:
            grads = pooling.back(grads, kept, (len(grads), ends.post[0], *self._positions(ends)))
        back, *found = torch.ops.aten.convolution_backward(
            grads, frames, weights["weight"], [ends.post[0]], *self._options(), False, [0, 0], self.groups,
            [wanted.signal, "weight" in wanted.weights, "bias" in wanted.weights],
        )  # fmt: skip
        made = {k: w for k, w in zip(("weight", "bias"), found, strict=True) if k in wanted.weights}
        return Gradients(back.view(*grad.shape[:2], *ends.pre) if wanted.signal else None, made)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Link):
    """Maximum or mean over windows of each channel, times a fixed `scale`; source and target are (C, H, W)."""

    pool: str = "max"
    kernel_size: Any = (2, 2)
    stride: Any = None
    padding: Any = 0
    scale: float = 1.0

    name = "pool"

    def __post_init__(self) -> None:
        if self.pool not in ("max", "avg"):
            raise ParameterError(f"Pool.pool must be 'max' or 'avg', got {self.pool!r}")
        check_pairs(self, {"kernel_size": 1, "padding": 0} | ({} if self.stride is None else {"stride": 1}))
        if not is_number(self.scale):
            raise ParameterError(f"Pool.scale must be a finite number, got {self.scale!r}")

    def check(self, owner: str, ends: Ends) -> None:
        check_image(owner, ends)
        pooling = self._pooling()
        _check_pooling(owner, "", pooling)
        check_target(owner, ends, (ends.pre[0], *pooling.size(*ends.pre[1:])))

    def _pooling(self) -> Pooling:
        kernel = pair(self.kernel_size)
        return Pooling(self.pool, kernel, kernel if self.stride is None else pair(self.stride), pair(self.padding))

    def _geometry(self, signal: SpikeRows, ends: Ends) -> Geometry | None:
        return geometry_for(ends, None, self._pooling()) if by_events(signal, signal.like) else None

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        return []

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, Any]:
        if isinstance(signal, SpikeRows) and (geometry := self._geometry(signal, ends)) is not None:
            current, winners = events_product(geometry, signal, weights, signal.like, keep)
            return current.mul_(self.scale), winners
        pooled, kept = self._pooling().apply(as_frames(signal), keep)
        return (pooled * self.scale).view(*steps_and_samples(signal), *ends.post), kept

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        if not wanted.signal:
            return Gradients(None, {})
        if kept is None and self.pool == "max":
            kept = self.product(signal, weights, ends, keep=True)[1]
        grads = grad * self.scale
        if isinstance(signal, SpikeRows) and (geometry := self._geometry(signal, ends)) is not None:
            return events_gradients(geometry, signal, weights, grads, wanted, kept or Winners(None))
        size = grads.shape[:2]
        back = self._pooling().back(grads.flatten(0, 1), kept, (size[0] * size[1], *ends.pre))
        return Gradients(back.view(*size, *ends.pre), {})

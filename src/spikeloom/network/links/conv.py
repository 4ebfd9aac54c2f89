"""Convolution and pooling of populations with shape (channels, height, width)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ParameterError, ShapeError
from ...neurons.surrogates import is_number
from ..parameters import ParameterSpec
from .link import Ends, Gradients, Link, Signal, bias_spec, drawn, weight_spec
from .rows import SpikeRows


def pair(value: Any) -> tuple[int, int]:
    """A number or two numbers as (height, width)."""
    first, second = value if isinstance(value, (tuple, list)) else (value, value)
    return first, second


def _check_pairs(link: Link, lowest: Mapping[str, int]) -> None:
    """Raises ParameterError unless each named field is a whole number not below its lowest value, or two of them."""
    for name, least in lowest.items():
        value = getattr(link, name)
        both = value if isinstance(value, (tuple, list)) else (value, value)
        if len(both) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) and n >= least for n in both):
            raise ParameterError(
                f"{type(link).__name__}.{name} must be a whole number from {least} on, or two of them, got {value!r}"
            )


def _frames(signal: Signal) -> Tensor:
    """(T, B, C, H, W) as (T * B, C, H, W)."""
    values = signal.dense() if isinstance(signal, SpikeRows) else signal
    return values.reshape(-1, *values.shape[2:])


def _window_of(signal: Signal) -> tuple[int, int]:
    """(T, B) of a signal."""
    return (signal.n_steps, signal.n_samples) if isinstance(signal, SpikeRows) else (signal.shape[0], signal.shape[1])


def _check_image(owner: str, ends: Ends) -> None:
    if len(ends.pre) != 3:
        raise ShapeError(
            f"{owner}: the source must have shape (channels, height, width), got {ends.pre}; give it shape="
        )


def _check_target(owner: str, ends: Ends, expected: tuple[int, ...]) -> None:
    if min(expected) < 1:
        raise ShapeError(f"{owner}: the kernel is larger than the source {ends.pre} with its padding")
    if ends.post != expected:
        raise ShapeError(f"{owner}: the target must have shape {expected}, got {ends.post}; give it shape={expected}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv(Link):
    """A convolution with weight (out_channels, in_channels / groups, kernel height, kernel width).

    Source (in_channels, H, W), target (out_channels, H', W') with H' = (H + 2 padding - dilation (kernel - 1) - 1) //
    stride + 1. out_channels follows from the target.
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
    w_mean: float = 0.05
    w_std: float = 0.05

    name = "conv"

    def __post_init__(self) -> None:
        _check_pairs(self, {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1})
        for name in ("groups", "out_channels", "in_channels"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            if not whole and (value is not None or name == "groups"):
                raise ParameterError(f"Conv.{name} must be a whole number from 1 on, got {value!r}")

    def check(self, owner: str, ends: Ends) -> None:
        _check_image(owner, ends)
        if self.in_channels not in (None, ends.pre[0]):
            raise ShapeError(f"{owner}.in_channels is {self.in_channels}, but the source has shape {ends.pre}")
        if ends.pre[0] % self.groups or ends.post[0] % self.groups:
            raise ShapeError(
                f"{owner}.groups is {self.groups} and must divide the channels {ends.pre[0]} and {ends.post[0]}"
            )
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(ends.pre[1:], *map(pair, self._window()), strict=True)
        ]
        _check_target(owner, ends, (self.out_channels or ends.post[0], *size))

    def _window(self) -> tuple[Any, Any, Any, Any]:
        return self.kernel_size, self.stride, self.padding, self.dilation

    def _options(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        return pair(self.stride), pair(self.padding), pair(self.dilation)

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        shape = (ends.post[0], ends.pre[0] // self.groups, *pair(self.kernel_size))
        weight = weight_spec(f"{path}.weight", shape, self.weight, drawn(self.w_mean, self.w_std))
        return [weight, *bias_spec(path, ends.post[0], self.bias)]

    def product(self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends) -> Tensor:
        weight = weights["weight"]
        frames = _frames(signal)
        current = F.conv2d(frames, weight, weights.get("bias"), *self._options(), self.groups)
        return current.view(*_window_of(signal), *ends.post)

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, to_signal: bool
    ) -> Gradients:
        frames = _frames(signal)
        back, weight, bias = torch.ops.aten.convolution_backward(
            grad.reshape(-1, *ends.post), frames, weights["weight"], [ends.post[0]], *self._options(), False, [0, 0],
            self.groups, [to_signal, True, "bias" in weights],
        )  # fmt: skip
        found = {"weight": weight} | ({"bias": bias} if "bias" in weights else {})
        return Gradients(back.view(*grad.shape[:2], *ends.pre) if to_signal else None, found)


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
        _check_pairs(self, {"kernel_size": 1, "padding": 0} | ({} if self.stride is None else {"stride": 1}))
        if not is_number(self.scale):
            raise ParameterError(f"Pool.scale must be a finite number, got {self.scale!r}")

    def check(self, owner: str, ends: Ends) -> None:
        _check_image(owner, ends)
        kernel, stride, padding = self._window()
        if any(2 * p > k for k, p in zip(kernel, padding, strict=True)):
            raise ParameterError(f"{owner}.padding must be at most half of the kernel, got {padding} for {kernel}")
        size = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(ends.pre[1:], kernel, stride, padding, strict=True)]
        _check_target(owner, ends, (ends.pre[0], *size))

    def _window(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        kernel = pair(self.kernel_size)
        return kernel, kernel if self.stride is None else pair(self.stride), pair(self.padding)

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        return []

    def product(self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends) -> Tensor:
        frames = _frames(signal)
        pooled = (F.max_pool2d if self.pool == "max" else F.avg_pool2d)(frames, *self._window())
        return (pooled * self.scale).view(*_window_of(signal), *ends.post)

"""Stages that change the shape of what passes: pooling, enlarging, flattening."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from ...errors import ParameterError, ShapeError
from ..links.conv import Pool, check_pairs, pair
from ..links.frames import Pooling
from ..links.link import Link
from .stage import Shape, Stage, Window


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Stage):
    """(C, H, W) as (C * H * W,)."""

    name = "flatten"
    keeps_shape = False

    def shape(self, owner: str, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def apply(
        self, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], window: Window
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        return x.flatten(2), ()


def _image(owner: str, stage: Stage, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ShapeError(f"{owner}: {stage.name} takes shape (channels, height, width), got {shape}")
    return shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Upsample(Stage):
    """Each value of (C, H, W) `upscale` times in height and width: a whole number, or one for each."""

    upscale: Any = 2

    name = "upsample"
    keeps_shape = False

    def __post_init__(self) -> None:
        check_pairs(self, {"upscale": 1})

    def shape(self, owner: str, shape: Shape) -> Shape:
        channels, height, width = _image(owner, self, shape)
        rows, columns = pair(self.upscale)
        return channels, height * rows, width * columns

    def apply(
        self, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], window: Window
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        rows, columns = pair(self.upscale)
        return x.repeat_interleave(rows, -2).repeat_interleave(columns, -1), ()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pooling(Stage):
    pool_kernel_size: Any = (2, 2)
    pool_stride: Any = None
    pool_padding: Any = 0

    keeps_shape = False
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        strides = {} if self.pool_stride is None else {"pool_stride": 1}
        check_pairs(self, {"pool_kernel_size": 1, "pool_padding": 0} | strides)
        window = self._window()
        if any(2 * p > k for k, p in zip(window.kernel, window.padding, strict=True)):
            raise ParameterError(f"{self.name}: pool_padding must be at most half of the kernel, got {window.padding}")

    def _window(self) -> Pooling:
        kernel = pair(self.pool_kernel_size)
        stride = kernel if self.pool_stride is None else pair(self.pool_stride)
        return Pooling(self.kind, kernel, stride, pair(self.pool_padding))

    def link(self) -> Link:
        window = self._window()
        return Pool(pool=self.kind, kernel_size=window.kernel, stride=window.stride, padding=window.padding)

    def shape(self, owner: str, shape: Shape) -> Shape:
        channels, height, width = _image(owner, self, shape)
        size = self._window().size(height, width)
        if min(size) < 1:
            raise ShapeError(f"{owner}: the window of {self.name} is larger than the frame {shape}")
        return (channels, *size)

    def apply(
        self, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], window: Window
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        frames, size = x.flatten(0, 1), self._window()
        pool = F.max_pool2d if self.kind == "max" else F.avg_pool2d
        y = pool(frames, size.kernel, size.stride, size.padding)
        return y.view(*x.shape[:2], *y.shape[1:]), ()


class MaxPool(_Pooling):
    """The maximum over windows of each channel."""

    name = "maxpool"
    kind = "max"


class AvgPool(_Pooling):
    """The mean over windows of each channel."""

    name = "avgpool"
    kind = "avg"

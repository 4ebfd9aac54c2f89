"""Linear stages between populations, as other formats describe them: each becomes the link of a connection."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError, UnsupportedError
from .links import Conv, Full, Link, Null, OneToOne, Pool

Shape = tuple[int, ...]
Pair = tuple[int, int]


class Stage(ABC):
    """A stage that turns what flows in, of a shape, into a current of another shape."""

    @abstractmethod
    def target(self, shape: Shape) -> Shape:
        """The shape of the result for an input of a shape; ShapeError where it does not fit."""

    @abstractmethod
    def scaled(self, gain: Any) -> Stage:
        """The stage with its result times gain: a number, or an array of the result's shape."""

    @abstractmethod
    def link(self, shape: Shape) -> Link:
        """The link that does the same from a population of a shape."""


@dataclass(frozen=True, eq=False)
class Dense(Stage):
    """weight (post, pre) times the flattened input, plus bias (post,)."""

    weight: NDArray[Any]
    bias: NDArray[Any] | None = None

    def target(self, shape: Shape) -> Shape:
        if self.weight.ndim != 2 or self.weight.shape[1] != math.prod(shape):
            raise ShapeError(f"the weight must have shape (post, {math.prod(shape)}), got {self.weight.shape}")
        return (self.weight.shape[0],)

    def scaled(self, gain: Any) -> Dense:
        factor = np.ravel(gain)
        return replace(
            self, weight=self.weight * factor[:, None], bias=None if self.bias is None else self.bias * factor
        )

    def link(self, shape: Shape) -> Link:
        return Full(weight=self.weight, bias=self.bias)


@dataclass(frozen=True, eq=False)
class Convolution(Stage):
    """weight (out, in / groups, height, width), bias (out,); stride, padding, dilation as (height, width)."""

    weight: NDArray[Any]
    bias: NDArray[Any] | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def target(self, shape: Shape) -> Shape:
        channels = self.weight.shape[1] * self.groups if self.weight.ndim == 4 else None
        if len(shape) != 3 or shape[0] != channels:
            raise ShapeError(f"the input must have shape ({channels}, height, width), got {shape}")
        sides = zip(shape[1:], self.weight.shape[2:], self.stride, self.padding, self.dilation, strict=True)
        return (self.weight.shape[0], *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides))

    def scaled(self, gain: Any) -> Convolution:
        factor = _by_channel(gain)
        bias = None if self.bias is None else self.bias * factor
        return replace(self, weight=self.weight * factor[:, None, None, None], bias=bias)

    def link(self, shape: Shape) -> Link:
        return Conv(
            weight=self.weight, bias=self.bias, kernel_size=self.weight.shape[2:], stride=self.stride,
            padding=self.padding, dilation=self.dilation, groups=self.groups,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Pooling(Stage):
    """The maximum ('max') or the mean ('avg') over windows of each channel, times `scale`; pairs (height, width)."""

    kind: str
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    scale: float = 1.0

    def target(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ShapeError(f"the input must have shape (channels, height, width), got {shape}")
        sides = zip(shape[1:], self.kernel, self.stride, self.padding, strict=True)
        return (shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in sides))

    def scaled(self, gain: Any) -> Pooling:
        factor = np.unique(gain)
        if len(factor) > 1:
            raise UnsupportedError("what it pools flows into neurons whose currents are scaled by different factors")
        return replace(self, scale=self.scale * float(factor[0]))

    def link(self, shape: Shape) -> Link:
        pairs = {"kernel_size": self.kernel, "stride": self.stride, "padding": self.padding}
        return Pool(pool=self.kind, scale=self.scale, **pairs)


@dataclass(frozen=True, eq=False)
class Factor(Stage):
    """One factor for each neuron, or one for all."""

    scale: Any = 1.0

    def target(self, shape: Shape) -> Shape:
        if np.size(self.scale) not in (1, math.prod(shape)):
            raise ShapeError(f"the scale must have shape {shape}, got {np.shape(self.scale)}")
        return shape

    def scaled(self, gain: Any) -> Factor:
        return Factor(np.ravel(self.scale) * np.ravel(gain))

    def link(self, shape: Shape) -> Link:
        return OneToOne(weight=np.ravel(self.scale) * np.ones(math.prod(shape)))


@dataclass(frozen=True)
class Direct(Stage):
    """What flows in, as it is."""

    def target(self, shape: Shape) -> Shape:
        return shape

    def scaled(self, gain: Any) -> Factor:
        return Factor(gain)

    def link(self, shape: Shape) -> Link:
        return Null()


def _by_channel(gain: Any) -> NDArray[Any]:
    """The gain of each channel of (channels, height, width), or (1,) for one gain."""
    if np.ndim(gain) == 0:
        return np.reshape(gain, 1)
    rows = np.reshape(gain, (np.shape(gain)[0], -1))
    if np.any(rows != rows[:, :1]):
        raise UnsupportedError("its result flows into neurons of one channel whose currents are scaled differently")
    return rows[:, 0]

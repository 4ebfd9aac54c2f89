"""Transposed convolution of populations with shape (channels, height, width)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ParameterError, ShapeError
from ..parameters import ParameterSpec
from .conv import check_channels, check_image, check_pairs, check_target, pair
from .frames import Pair, as_frames, steps_and_samples
from .link import Ends, Gradients, Link, Signal, Wanted, bias_spec, drawn, weight_spec


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvTranspose(Link):
    """A transposed convolution with weight (in_channels, out_channels / groups, kernel height, kernel width).

    Source (in_channels, H, W), target (out_channels, H', W') with H' = (H - 1) stride - 2 padding + dilation
    (kernel - 1) + output_padding + 1, as torch's conv_transpose2d. out_channels follows from the target.
    """

    weight: Any = None
    bias: Any = None
    out_channels: int | None = None
    in_channels: int | None = None
    kernel_size: Any = (3, 3)
    stride: Any = 1
    padding: Any = 0
    output_padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    w_mean: float = 0.05
    w_std: float = 0.05

    name = "conv_transpose"

    def __post_init__(self) -> None:
        check_pairs(self, {"kernel_size": 1, "stride": 1, "padding": 0, "output_padding": 0, "dilation": 1})
        sides = zip(*(pair(getattr(self, name)) for name in ("output_padding", "stride", "dilation")), strict=True)
        if any(extra >= max(step, spread) for extra, step, spread in sides):
            raise ParameterError(
                f"ConvTranspose.output_padding must be smaller than stride or dilation, got {self.output_padding!r}"
            )
        check_channels(self)

    def check(self, owner: str, ends: Ends) -> None:
        check_image(owner, ends)
        if self.in_channels not in (None, ends.pre[0]):
            raise ShapeError(f"{owner}.in_channels is {self.in_channels}, but the source has shape {ends.pre}")
        channels = self.out_channels or ends.post[0]
        if ends.pre[0] % self.groups or channels % self.groups:
            raise ShapeError(
                f"{owner}.groups is {self.groups} and must divide the channels {ends.pre[0]} and {channels}"
            )
        check_target(owner, ends, (channels, *self._positions(ends)))

    def target(self, owner: str, pre: tuple[int, ...]) -> tuple[int, ...]:
        """The shape (out_channels, H', W') that a source of a shape leads to; ParameterError without out_channels."""
        check_image(owner, Ends(pre, pre))
        if self.out_channels is None:
            raise ParameterError(f"{owner}: give out_channels=, which the target does not tell here")
        return (self.out_channels, *self._positions(Ends(pre, pre)))

    def _positions(self, ends: Ends) -> Pair:
        stride, padding, extra, dilation = self._options()
        sides = zip(ends.pre[1:], pair(self.kernel_size), stride, padding, extra, dilation, strict=True)
        height, width = ((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, e, d in sides)
        return height, width

    def _options(self) -> tuple[Pair, Pair, Pair, Pair]:
        return pair(self.stride), pair(self.padding), pair(self.output_padding), pair(self.dilation)

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        shape = (ends.pre[0], ends.post[0] // self.groups, *pair(self.kernel_size))
        weight = weight_spec(f"{path}.weight", shape, self.weight, drawn(self.w_mean, self.w_std))
        return [weight, *bias_spec(path, ends.post[0], self.bias)]

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, None]:
        stride, padding, extra, dilation = self._options()
        frames, bias = as_frames(signal), weights.get("bias")
        current = F.conv_transpose2d(frames, weights["weight"], bias, stride, padding, extra, self.groups, dilation)
        return current.view(*steps_and_samples(signal), *ends.post), None

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        stride, padding, extra, dilation = self._options()
        back, *found = torch.ops.aten.convolution_backward(
            grad.reshape(-1, *ends.post), as_frames(signal), weights["weight"], [ends.post[0]], stride, padding,
            dilation, True, extra, self.groups,
            [wanted.signal, "weight" in wanted.weights, "bias" in wanted.weights],
        )  # fmt: skip
        made = {k: w for k, w in zip(("weight", "bias"), found, strict=True) if k in wanted.weights}
        return Gradients(back.view(*grad.shape[:2], *ends.pre) if wanted.signal else None, made)

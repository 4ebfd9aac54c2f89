"""Every neuron to every other one of a population of the same size, and never to itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...errors import ShapeError
from ..parameters import ParameterSpec
from .link import Ends, Link, Signal, bias_spec, drawn, flat, weight_spec
from .rows import SpikeRows


@dataclass(frozen=True, kw_only=True, eq=False)
class Lateral(Link):
    """A weight (n, n - 1): row k holds those from all neurons but k, in their order, to neuron k. It starts at w_mean,
    spread by w_std; lateral inhibition by default."""

    weight: Any = None
    bias: Any = None
    w_mean: float = -0.05
    w_std: float = 0.0

    name = "lateral"

    def check(self, owner: str, ends: Ends) -> None:
        n = math.prod(ends.post)
        if math.prod(ends.pre) != n or n < 2:
            raise ShapeError(
                f"{owner}: lateral joins populations of one size, of two neurons or more, got {ends.pre} and "
                f"{ends.post}; use link_type='full'"
            )

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        n = math.prod(ends.post)
        weight = weight_spec(f"{path}.weight", (n, n - 1), self.weight, drawn(self.w_mean, self.w_std))
        return [weight, *bias_spec(path, n, self.bias)]

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, None]:
        weight = weights["weight"]
        n = len(weight)
        others = ~torch.eye(n, dtype=torch.bool, device=weight.device)
        dense = weight.new_zeros(n, n).masked_scatter(others, weight)
        if isinstance(signal, SpikeRows):
            current = signal.times(dense.t())
        else:
            current = (flat(signal) @ dense.t()).view(*signal.shape[:2], n)
        if "bias" in weights:
            current = current + weights["bias"]
        return current.reshape(*current.shape[:2], *ends.post), None

"""Neuron k to neuron k."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...errors import ShapeError
from ..parameters import ParameterSpec
from .link import Ends, Gradients, Link, Signal, Wanted, bias_spec, drawn, weight_spec
from .rows import SpikeRows


@dataclass(frozen=True, kw_only=True, eq=False)
class OneToOne(Link):
    """One weight for each pair of neurons, (n,); it starts at w_mean, spread by w_std."""

    weight: Any = None
    bias: Any = None
    w_mean: float = 0.05
    w_std: float = 0.0

    name = "one_to_one"

    def check(self, owner: str, ends: Ends) -> None:
        if math.prod(ends.pre) != math.prod(ends.post):
            raise ShapeError(
                f"{owner}: one_to_one joins populations of one size, got {ends.pre} and {ends.post}; "
                "use link_type='full'"
            )

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        n = math.prod(ends.pre)
        return [
            weight_spec(f"{path}.weight", (n,), self.weight, drawn(self.w_mean, self.w_std)),
            *bias_spec(path, n, self.bias),
        ]

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, None]:
        weight = weights["weight"]
        current = signal.scaled(weight) if isinstance(signal, SpikeRows) else signal.flatten(2) * weight
        if "bias" in weights:
            current = current + weights["bias"]
        return current.view(*current.shape[:2], *ends.post), None

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        grad = grad.flatten(2)
        found: dict[str, Tensor] = {}
        if "weight" in wanted.weights:
            if isinstance(signal, SpikeRows):
                found["weight"] = signal.summed(grad)
            else:
                found["weight"] = (grad * signal.flatten(2)).sum((0, 1))
        if "bias" in wanted.weights:
            found["bias"] = grad.sum((0, 1))
        back = (grad * weights["weight"]).view(*grad.shape[:2], *ends.pre) if wanted.signal else None
        return Gradients(back, found)

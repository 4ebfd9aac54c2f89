"""Neuron k to neuron k."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...errors import ShapeError
from ..parameters import ParameterSpec
from .link import Ends, Link, Signal, bias_spec, drawn, weight_spec
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

    def product(self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends) -> Tensor:
        values = signal.dense() if isinstance(signal, SpikeRows) else signal
        current = values.flatten(2) * weights["weight"]
        if "bias" in weights:
            current = current + weights["bias"]
        return current.view(*current.shape[:2], *ends.post)

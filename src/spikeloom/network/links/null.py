"""What is sent arrives as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...errors import ShapeError
from ..parameters import ParameterSpec
from .link import Ends, Gradients, Link, Signal, Wanted
from .rows import SpikeRows


@dataclass(frozen=True, kw_only=True, eq=False)
class Null(Link):
    """Neuron k to neuron k without a weight: the current is the signal."""

    name = "null"

    def check(self, owner: str, ends: Ends) -> None:
        if math.prod(ends.pre) != math.prod(ends.post):
            raise ShapeError(f"{owner}: null joins populations of one size, got {ends.pre} and {ends.post}")

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        return []

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, None]:
        values = signal.dense() if isinstance(signal, SpikeRows) else signal
        return values.reshape(*values.shape[:2], *ends.post), None

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        return Gradients(grad.reshape(*grad.shape[:2], *ends.pre) if wanted.signal else None, {})

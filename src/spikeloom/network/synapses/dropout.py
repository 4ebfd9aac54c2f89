"""Synapses that fail at random while a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import ParameterError
from ...neurons.surrogates import is_number
from .stage import Stage, Window


@dataclass(frozen=True, kw_only=True, eq=False)
class Dropout(Stage):
    """In training each value is zero with probability p, and 1 / (1 - p) as large otherwise; in evaluation it stays.

    Each step and sample draws anew (Srivastava et al., 2014, JMLR).
    """

    p: float = 0.5

    name = "dropout"
    draws = True

    def __post_init__(self) -> None:
        if not is_number(self.p) or not 0 <= self.p < 1:
            raise ParameterError(f"Dropout.p must be in [0, 1), got {self.p!r}")

    def apply(
        self, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], window: Window
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if not window.training or self.p == 0:
            return x, ()
        drawn = torch.rand(x.shape, generator=window.generator, dtype=x.dtype, device=x.device)
        return x * (drawn >= self.p) / (1 - self.p), ()

"""Normalisation: the weights into each neuron are scaled to a sum, or to a length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import numpy as np

from ..errors import ParameterError
from ..ops import A, Ops

Norm = Literal["l1", "l2"]
SILENT = 1e-30


def plain_number(owner: str, value: Any, *, least: float = -math.inf, finite: bool = True) -> float:
    """The value as a number of Python; ParameterError unless it is one, finite and not below the least."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    try:
        size = float(value) if number else math.nan
    except OverflowError:
        size = math.nan
    if not size >= least or (finite and math.isinf(size)):
        expected = "a finite number" if finite else "a number"
        raise ParameterError(f"{owner} must be {expected}{'' if least < 0 else ' of at least 0'}, got {value!r:.80}")
    found: float = value.item() if isinstance(value, np.generic) else value
    return found


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Normalise:
    """The weights into each neuron are scaled until they have a norm, then clipped; silent rows stay.

    A row is silent whose norm is no more than SILENT of what it should be: nothing scales it without overflow.

    total: the norm; every: after each so many steps, or (None) at the end of a run; norm: 'l1', the sum of magnitudes,
    or 'l2', the root of the sum of squares.
    """

    total: float
    every: int | None = None
    norm: Norm = "l1"

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", plain_number("Normalise.total", self.total))
        if self.total <= 0:
            raise ParameterError(f"Normalise.total must be positive, got {self.total!r}")
        whole = isinstance(self.every, int) and not isinstance(self.every, bool)
        if self.every is not None and not (whole and self.every >= 1):
            raise ParameterError(f"Normalise.every must be a number of steps, at least 1, or None, got {self.every!r}")
        if self.norm not in get_args(Norm):
            raise ParameterError(f"Normalise.norm must be one of {', '.join(get_args(Norm))}, got {self.norm!r}")

    def due(self, n_steps: int, *, last: bool) -> bool:
        """Whether it is time after so many steps; last: of a run."""
        return last if self.every is None else n_steps % self.every == 0

    def measure(self, weights: A, xp: Ops[A]) -> A:
        """What is summed over a row to find its norm."""
        found: A = xp.abs(weights) if self.norm == "l1" else weights * weights
        return found

    def factor(self, sums: A, xp: Ops[A]) -> A:
        """What each row is multiplied by, from the sums of its measures."""
        size: Any = sums if self.norm == "l1" else xp.sqrt(sums)
        heard = size > self.total * SILENT
        return xp.where(heard, self.total / xp.where(heard, size, 1.0), 1.0)

r"""Homeostasis: a rule whose target is the threshold.

    theta <- exp(-dt/tau) theta + theta_plus s     at the end of each step with the neuron's own spike s

A neuron fires where its potential reaches threshold + theta: who fires often becomes harder to excite. Diehl and Cook
2015. theta belongs to the learnt, like a weight: it stays when the state of the neurons is reset.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from ..errors import ParameterError
from ..filters import LowPass
from ..filters.low_pass import Leak
from ..ops import A

HOURS = LowPass(tau=1e7)
"""How theta decays unless told otherwise."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Homeostasis:
    """theta_plus: what a spike adds to theta; filter: how theta decays; target: the neuron's parameter it is for."""

    theta_plus: float = 0.05
    filter: LowPass = HOURS
    target: str = "v_th"

    def __post_init__(self) -> None:
        number = isinstance(self.theta_plus, (int, float)) and not isinstance(self.theta_plus, bool)
        if not number or not math.isfinite(self.theta_plus):
            raise ParameterError(f"Homeostasis.theta_plus must be a finite number, got {self.theta_plus!r}")
        if not isinstance(self.filter, LowPass):
            raise ParameterError(f"Homeostasis.filter must be a LowPass, got {self.filter!r}")

    def step(self, theta: A, post: A, leak: Leak) -> A:
        """theta (N,) after one step with the spikes post (N,), each 0 or 1; leak: the filter's coefficients."""
        spikes: Any = post
        after: A = self.filter.step((theta,), self.theta_plus * spikes, leak)[0]
        return after

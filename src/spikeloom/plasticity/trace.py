"""A trace: the filtered spikes of one end of a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from ..errors import ParameterError
from ..filters import LowPass
from ..filters.low_pass import Leak
from ..ops import A

TWENTY_MS = LowPass(tau=20.0)
"""How a trace decays unless told otherwise."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """How a rule remembers the spikes of one end.

    filter: how the trace decays, and what a spike adds to it. nearest: a spike sets the trace to that instead of adding
    it, so that a rule pairs with the nearest spike only, not with all of them. before: the trace is updated before the
    rules of a step read it, so that spikes of the same step pair; by default it is updated after them.
    """

    filter: LowPass = TWENTY_MS
    nearest: bool = False
    before: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.filter, LowPass):
            raise ParameterError(f"Trace.filter must be a LowPass, got {self.filter!r}")
        for name in ("nearest", "before"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(f"Trace.{name} must be True or False, got {getattr(self, name)!r}")

    def initial(self, spikes: A) -> A:
        """The trace of an end that never fired, for spikes (n,)."""
        (trace,) = self.filter.initial(spikes)
        return trace

    def step(self, trace: A, spikes: A, leak: Leak) -> A:
        """The trace after one step with the spikes (n,), each 0 or 1; leak: the filter's coefficients."""
        kept: Any = trace * (1 - spikes) if self.nearest else trace
        after: A = self.filter.step((kept,), spikes, leak)[0]
        return after

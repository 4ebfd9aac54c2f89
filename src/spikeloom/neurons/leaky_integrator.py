r"""Leaky integrator: a read-out that does not spike and emits its potential.

tau_m dv/dt = -(v - v_rest),   v += i   when the input i of a step arrives
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..ops import A, Ops
from .emission import Emission, Graded, NoReset
from .lif import LIFState
from .neuron import Neuron, Value, check_finite, check_flag, check_positive


@dataclass(frozen=True, kw_only=True, slots=True)
class LI(Neuron[LIFState[Any]]):
    """tau_m in ms; scale_input as in LIF."""

    tau_m: Value = 20.0
    v_rest: Value = 0.0
    scale_input: bool = False
    emission: Emission = Emission(threshold=0.0, forward=Graded(), reset=NoReset())

    State = LIFState

    def check(self) -> None:
        check_positive(self, "tau_m")
        check_flag(self, "scale_input")
        check_finite(self, "v_rest")

    def initial(self) -> LIFState[Any]:
        return LIFState(v=self.v_rest)

    def update(self, state: LIFState[A], inputs: A, dt: float, xp: Ops[A]) -> LIFState[A]:
        decay = xp.exp(-dt / self.tau_m)
        gain = 1 - decay if self.scale_input else 1.0
        return LIFState(v=self.v_rest + (state.v - self.v_rest) * decay + inputs * gain)

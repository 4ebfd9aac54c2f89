r"""Quadratic integrate-and-fire neuron, the normal form of a neuron that begins to fire at any low rate (Ermentrout &
Kopell, 1986, SIAM Journal on Applied Mathematics 46:233; Latham et al., 2000, Journal of Neurophysiology 83:808).

    tau_m dv/dt = v^2 + i

v has no unit. It rests at -sqrt(-i) while i < 0, and from i = 0 on it runs up to v_peak, which stands for infinity,
where a spike is emitted and v is set to v_reset. At constant i > 0 the period is tau_m / sqrt(i) times
atan(v_peak / sqrt(i)) - atan(v_reset / sqrt(i)), so that the rate grows as sqrt(i). A step is Heun's; v is cut at twice
v_peak before the square, which a step from below may overshoot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, ToValue
from .neuron import Neuron, Value, check_above_zero, check_finite, check_positive


class QuadraticIFState(NamedTuple, Generic[A]):
    """Membrane potential v without a unit, (B, *shape)."""

    v: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class QuadraticIF(Neuron[QuadraticIFState[Any]]):
    """tau_m in ms; v_peak (where a spike is emitted), v_reset and the start v_0 without a unit."""

    tau_m: Value = 10.0
    v_peak: Value = 10.0
    v_reset: Value = -10.0
    v_0: Value = 0.0
    emission: Emission = Emission(threshold="v_peak", reset=ToValue("v_reset"))

    State = QuadraticIFState

    def check(self) -> None:
        check_positive(self, "tau_m")
        check_above_zero(self, "v_peak")
        check_finite(self, "v_reset", "v_0")

    def initial(self) -> QuadraticIFState[Any]:
        return QuadraticIFState(v=self.v_0)

    def update(self, state: QuadraticIFState[A], inputs: A, dt: float, xp: Ops[A]) -> QuadraticIFState[A]:
        step = dt / self.tau_m
        slope = state.v * state.v + inputs
        ahead: Any = xp.minimum(state.v + step * slope, 2 * self.v_peak)
        return QuadraticIFState(v=state.v + step * 0.5 * (slope + ahead * ahead + inputs))

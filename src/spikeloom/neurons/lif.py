r"""Leaky integrate-and-fire neuron.

    tau_m dv/dt = -(v - v_rest),   v += i   when the input i of a step arrives

The decay is exact for any dt. It fires when v >= v_th; v is then set to v_reset. Defaults after SPAIC's `lif`; a
synaptic current is a low-pass filter on the connection. scale_input=True multiplies the input by 1 - exp(-dt/tau_m):
the exact response to a current that is constant over the step, so that a constant input i lifts v to v_rest + i.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, ToValue
from .neuron import Neuron, Value, check_finite, check_flag, check_positive


class LIFState(NamedTuple, Generic[A]):
    """Membrane potential v, (B, *shape), in units of the threshold."""

    v: A


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaky(Neuron[LIFState[Any]]):
    """The leaky membrane of LIF and LI; tau_m in ms, potentials in units of the threshold."""

    tau_m: Value = 8.0
    v_rest: Value = 0.0
    scale_input: bool = False

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


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LIF(Leaky):
    """tau_m in ms, potentials in units of the threshold."""

    v_th: Value = 1.0
    v_reset: Value = 0.0
    emission: Emission = Emission(reset=ToValue("v_reset"))

    def check(self) -> None:
        Leaky.check(self)
        check_finite(self, "v_th", "v_reset")

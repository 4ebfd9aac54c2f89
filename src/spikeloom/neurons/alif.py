r"""Adaptive leaky integrate-and-fire neuron: each spike raises the threshold (Bellec et al., 2020, Nature
Communications 11:3625, eq. 6-8; Bellec et al., 2018, NeurIPS, LSNN).

    v <- v exp(-dt/tau_m) + i,   z = 1 where v >= v_th + beta a,   v <- v - v_th z,   a <- a exp(-dt/tau_a) + z

The decays are exact for any dt. v is lowered in the step of the spike, in the paper in the one that follows, when all
else has decayed once more. tau_m and tau_a are those of the paper; beta = 0.27 is the 1.6 of the authors' code for
its threshold of 0.03 and a trace of unit area: 1.6 (1 - exp(-1/200)) / 0.03. The paper of 2018 subtracts the raised
threshold, Emission(reset=Subtract()), and scales the input by 1 - exp(-dt/tau_m), scale_input=True; both have a
refractory period (t_ref).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, SubtractValue
from .neuron import Neuron, Value, check_finite, check_flag, check_positive


class ALIFState(NamedTuple, Generic[A]):
    """Membrane potential v in units of the threshold, and adaptation a, which counts spikes: (B, *shape)."""

    v: A
    a: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ALIF(Neuron[ALIFState[Any]]):
    """tau_m (membrane) and tau_a (adaptation) in ms; beta: what a spike adds to the threshold."""

    tau_m: Value = 20.0
    tau_a: Value = 200.0
    beta: Value = 0.27
    v_th: Value = 1.0
    v_reset: Value = 0.0
    scale_input: bool = False
    emission: Emission = Emission(reset=SubtractValue("v_th"))

    State = ALIFState

    def check(self) -> None:
        check_positive(self, "tau_m", "tau_a")
        check_finite(self, "beta", "v_th", "v_reset")
        check_flag(self, "scale_input")

    def initial(self) -> ALIFState[Any]:
        return ALIFState(v=0.0, a=0.0)

    def update(self, state: ALIFState[A], inputs: A, dt: float, xp: Ops[A]) -> ALIFState[A]:
        decay: Any = xp.exp(-dt / self.tau_m)
        gain = 1 - decay if self.scale_input else 1.0
        return ALIFState(v=state.v * decay + inputs * gain, a=state.a)

    def threshold(self, state: ALIFState[A], xp: Ops[A]) -> Value:
        return Neuron.threshold(self, state, xp) + self.beta * state.a

    def after_spike(self, state: ALIFState[A], spikes: A, dt: float, xp: Ops[A]) -> ALIFState[A]:
        return state._replace(a=state.a * xp.exp(-dt / self.tau_a) + spikes)

r"""Current-based leaky integrate-and-fire neuron, the CubaLIF of NIR (Pedersen et al., 2024, Nature Communications
15:8122).

    tau_syn di_syn/dt = -i_syn + w_in i,   tau_m dv/dt = v_rest - v + r i_syn     with i constant over the step

The solution is exact for any dt, also where both time constants are equal. It fires when v >= v_th; v is then set to
v_reset. Defaults after Norse: 10 and 5 ms. A spike of weight 1 lasts for its step and moves the current by
w_in (1 - exp(-dt/tau_syn)); for a jump of 1, as a LIF behind a LowPass filter has it, give
w_in = 1 / (1 - exp(-dt/tau_syn)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from ..ops import A, Ops
from .emission import Emission, ToValue
from .exact import overlap
from .lif_variants import CurrentState
from .neuron import Neuron, Value, check_finite, check_positive


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class CubaLIF(Neuron[CurrentState[Any]]):
    """tau_m (membrane) and tau_syn (current) in ms; r and w_in scale the current and the input."""

    tau_m: Value = 10.0
    tau_syn: Value = 5.0
    r: Value = 1.0
    w_in: Value = 1.0
    v_rest: Value = 0.0
    v_th: Value = 1.0
    v_reset: Value = 0.0
    emission: Emission = Emission(reset=ToValue("v_reset"))

    State = CurrentState

    def check(self) -> None:
        check_positive(self, "tau_m", "tau_syn")
        check_finite(self, "r", "w_in", "v_rest", "v_th", "v_reset")

    def initial(self) -> CurrentState[Any]:
        return CurrentState(v=self.v_rest, i_syn=0.0)

    def update(self, state: CurrentState[A], inputs: A, dt: float, xp: Ops[A]) -> CurrentState[A]:
        drive: Any = inputs * self.w_in
        fading: Any = state.i_syn - drive
        leak: Any = xp.exp(-dt / self.tau_m)
        share: Any = self.r * overlap(1 / self.tau_m, 1 / self.tau_syn, dt, xp) / self.tau_m
        v = self.v_rest + (state.v - self.v_rest) * leak + drive * (self.r * (1 - leak)) + fading * share
        return CurrentState(v=v, i_syn=drive + fading * xp.exp(-dt / self.tau_syn))

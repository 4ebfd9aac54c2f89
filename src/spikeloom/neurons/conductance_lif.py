r"""Leaky integrate-and-fire neuron with conductances: an excitatory and an inhibitory port.

    tau_m dv/dt = (v_rest - v) + g_exc (e_exc - v) + g_inh (e_inh - v)

g_exc and g_inh are conductances in units of the leak; they come in by two ports of that name, each through the filter
of its connections: port='g_exc', filter=LowPass(tau=5.0) and port='g_inh', filter=LowPass(tau=10.0) for the COBA
network of Vogels & Abbott (2005, Journal of Neuroscience 25:10786) and Brette et al. (2007, Journal of Computational
Neuroscience 23:349, benchmark 1), whose values the defaults are; its weights are 0.6 and 6.7. Weights of both ports are
positive; a conductance below zero counts as none. v is exact for conductances that are constant over the step. It fires
when v >= v_th; v is then set to v_reset. The refractory period of the benchmark is with_refractory(neuron, 5.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, ToValue
from .neuron import Neuron, Value, check_finite, check_positive


class ConductanceLIFState(NamedTuple, Generic[A]):
    """Membrane potential v in mV, (B, *shape)."""

    v: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ConductanceLIF(Neuron[ConductanceLIFState[Any]]):
    """tau_m in ms; v_rest, v_th, v_reset, and the reversal potentials e_exc and e_inh in mV."""

    tau_m: Value = 20.0
    v_rest: Value = -60.0
    v_th: Value = -50.0
    v_reset: Value = -60.0
    e_exc: Value = 0.0
    e_inh: Value = -80.0
    emission: Emission = Emission(reset=ToValue("v_reset"))

    State = ConductanceLIFState
    ports = ("g_exc", "g_inh")

    def check(self) -> None:
        check_positive(self, "tau_m")
        check_finite(self, "v_rest", "v_th", "v_reset", "e_exc", "e_inh")

    def initial(self) -> ConductanceLIFState[Any]:
        return ConductanceLIFState(v=self.v_rest)

    def update(self, state: ConductanceLIFState[A], inputs: tuple[A, A], dt: float, xp: Ops[A]) -> Any:
        g_exc, g_inh = (xp.maximum(g, 0.0) for g in inputs)
        total = 1.0 + g_exc + g_inh
        held = (self.v_rest + g_exc * self.e_exc + g_inh * self.e_inh) / total
        return ConductanceLIFState(v=held + (state.v - held) * xp.exp(-dt / self.tau_m * total))

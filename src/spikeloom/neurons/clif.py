r"""Current-based leaky integrate-and-fire neuron with a double-exponential kernel (SPAIC's `clif`).

    m <- m exp(-dt/tau_p) + v_0 i,    s <- s exp(-dt/tau_q) + v_0 i,    v = m - s - e

It fires when v >= v_th, and then e <- e exp(-dt/tau_m) + v_th z: the reset is a kernel of its own, v is not set. v_0
makes the peak of the response to one unit of input 1 and is trained unless told otherwise. It is the spike response
model of the tempotron (Gutig & Sompolinsky, 2006, Nature Neuroscience 9:420), as used by STCA (Gu et al., 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

import numpy as np

from ..errors import ParameterError
from ..ops import A, Ops
from .emission import Emission, NoReset
from .neuron import Neuron, Value, check_finite, check_positive


class CLIFState(NamedTuple, Generic[A]):
    """Potential v = m - s - e, rising part m, falling part s, reset kernel e: (B, *shape), units of the threshold."""

    v: A
    m: A
    s: A
    e: A


@dataclass(frozen=True, kw_only=True, slots=True)
class CLIF(Neuron[CLIFState[Any]]):
    """tau_m (reset), tau_p and tau_q (response, tau_p > tau_q) in ms; v_0 None: the gain that makes the peak 1."""

    tau_m: Value = 20.0
    tau_p: Value = 12.0
    tau_q: Value = 8.0
    v_th: Value = 1.0
    v_0: Value = None
    emission: Emission = Emission(reset=NoReset())

    State = CLIFState
    trains = ("v_0",)

    def check(self) -> None:
        check_positive(self, "tau_m", "tau_p", "tau_q")
        check_finite(self, "v_th")
        if np.any(np.asarray(self.tau_p) <= np.asarray(self.tau_q)):
            raise ParameterError(
                "CLIF.tau_p must be greater than tau_q, or the response has no peak; "
                f"got {self.tau_p!r} and {self.tau_q!r}"
            )
        if self.v_0 is None:
            ratio = np.asarray(self.tau_p) / np.asarray(self.tau_q)
            gain = ratio ** (ratio / (ratio - 1)) / (ratio - 1)
            object.__setattr__(self, "v_0", gain if gain.ndim else float(gain))
        check_finite(self, "v_0")

    def initial(self) -> CLIFState[Any]:
        return CLIFState(v=0.0, m=0.0, s=0.0, e=0.0)

    def update(self, state: CLIFState[A], inputs: A, dt: float, xp: Ops[A]) -> CLIFState[A]:
        scaled = inputs * self.v_0
        m = state.m * xp.exp(-dt / self.tau_p) + scaled
        s = state.s * xp.exp(-dt / self.tau_q) + scaled
        return CLIFState(v=m - s - state.e, m=m, s=s, e=state.e)

    def after_spike(self, state: CLIFState[A], spikes: A, dt: float, xp: Ops[A]) -> CLIFState[A]:
        return state._replace(e=state.e * xp.exp(-dt / self.tau_m) + spikes * self.v_th)

r"""Leaky integrate-and-fire neurons of SPAIC with the current inside or with another drive, and the empty model.

    LIFM                 i_syn <- i_syn exp(-dt/tau_p) + i,   v <- v exp(-dt/tau_m) + i_syn
    ConstantCurrentLIF   tau_m dv/dt = v_rest - v + i         with i constant over the step
    NonSpikingLIF        tau_m dv/dt = m - s - v              with m and s as in CLIF, constant over the step
    Null                 v = i

The first two fire when v >= v_th; v is then set to v_reset. The others emit v. Decays are exact for any dt. SPAIC's
`constantcurrentlif` and `nonspikinglif` take forward Euler steps and read the input, or the kernels, of the step
before; the first also resets one step late, which lets a spike live on. Here both are the exact solution, without lag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .clif import put_gain
from .emission import Emission, Graded, NoReset, ToValue
from .lif import Leaky, LIFState
from .neuron import Neuron, Value, check_finite, check_positive

_READ_OUT = Emission(threshold=0.0, forward=Graded(), reset=NoReset())


class CurrentState(NamedTuple, Generic[A]):
    """Membrane potential v and synaptic current i_syn, (B, *shape), in units of the threshold."""

    v: A
    i_syn: A


class ResponseState(NamedTuple, Generic[A]):
    """Potential v, rising part m and falling part s of the response: (B, *shape)."""

    v: A
    m: A
    s: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LIFM(Neuron[CurrentState[Any]]):
    """tau_m (membrane) and tau_p (current) in ms, potentials in units of the threshold."""

    tau_m: Value = 10.0
    tau_p: Value = 1.0
    v_th: Value = 1.0
    v_reset: Value = 0.0
    emission: Emission = Emission(reset=ToValue("v_reset"))

    State = CurrentState

    def check(self) -> None:
        check_positive(self, "tau_m", "tau_p")
        check_finite(self, "v_th", "v_reset")

    def initial(self) -> CurrentState[Any]:
        return CurrentState(v=0.0, i_syn=0.0)

    def update(self, state: CurrentState[A], inputs: A, dt: float, xp: Ops[A]) -> CurrentState[A]:
        i_syn: Any = state.i_syn * xp.exp(-dt / self.tau_p) + inputs
        return CurrentState(v=state.v * xp.exp(-dt / self.tau_m) + i_syn, i_syn=i_syn)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ConstantCurrentLIF(Leaky):
    """tau_m in ms, potentials in units of the threshold; scale_input=False is LIF's input."""

    tau_m: Value = 20.0
    v_th: Value = 1.0
    v_reset: Value = 0.0
    scale_input: bool = True
    emission: Emission = Emission(reset=ToValue("v_reset"))

    def check(self) -> None:
        Leaky.check(self)
        check_finite(self, "v_th", "v_reset")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class NonSpikingLIF(Neuron[ResponseState[Any]]):
    """tau_m (membrane), tau_p and tau_q (response, tau_p > tau_q) in ms; v_0 None: the gain that makes the peak of
    m - s for one unit of input 1."""

    tau_m: Value = 1.0
    tau_p: Value = 4.0
    tau_q: Value = 1.0
    v_0: Value = None
    emission: Emission = _READ_OUT

    State = ResponseState
    trains = ("v_0",)

    def check(self) -> None:
        check_positive(self, "tau_m", "tau_p", "tau_q")
        put_gain(self, "tau_p", "tau_q")

    def initial(self) -> ResponseState[Any]:
        return ResponseState(v=0.0, m=0.0, s=0.0)

    def update(self, state: ResponseState[A], inputs: A, dt: float, xp: Ops[A]) -> ResponseState[A]:
        scaled: Any = inputs * self.v_0
        m = state.m * xp.exp(-dt / self.tau_p) + scaled
        s = state.s * xp.exp(-dt / self.tau_q) + scaled
        drive = m - s
        return ResponseState(v=drive + (state.v - drive) * xp.exp(-dt / self.tau_m), m=m, s=s)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Null(Neuron[LIFState[Any]]):
    """No parameters."""

    emission: Emission = _READ_OUT

    State = LIFState

    def initial(self) -> LIFState[Any]:
        return LIFState(v=0.0)

    def update(self, state: LIFState[A], inputs: A, dt: float, xp: Ops[A]) -> LIFState[A]:
        return LIFState(v=inputs)

r"""Izhikevich's simple model (Izhikevich, 2003, IEEE Transactions on Neural Networks 14:1569).

    dv/dt = 0.04 v^2 + 5 v + 140 - u + i,   du/dt = a (b v - u)      (v in mV, t in ms)

It fires when v >= v_th; then v is set to c and u grows by d. A step is two half steps of v by Euler's rule, then one of
u with the new v, as in the program printed with the paper, which it equals at dt = 1 ms. The defaults are the paper's
regular spiking neuron; fast spiking: a = 0.1, d = 2; intrinsically bursting: c = -55, d = 4; chattering: c = -50,
d = 2; low-threshold spiking: b = 0.25, d = 2. v is kept above -1 V, so that the parabola does not overflow. (SPAIC's
`izh` moves u by a full unit whatever dt is, and starts with u = 1; here u moves by dt, and starts at b v.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, ToValue
from .neuron import Neuron, Value, check_above_zero, check_finite

LOWEST = -1000.0
"""In mV; no neuron comes near it but under an absurd current."""


class IzhikevichState(NamedTuple, Generic[A]):
    """Membrane potential v in mV and recovery u in mV/ms: (B, *shape)."""

    v: A
    u: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Izhikevich(Neuron[IzhikevichState[Any]]):
    """a in 1/ms; b in 1/ms; c (the reset), v_th and v_0 (the start) in mV; d in mV/ms; u_0 None: b v_0."""

    a: Value = 0.02
    b: Value = 0.2
    c: Value = -65.0
    d: Value = 8.0
    v_th: Value = 30.0
    v_0: Value = -65.0
    u_0: Value = None
    emission: Emission = Emission(reset=ToValue("c"))

    State = IzhikevichState

    def check(self) -> None:
        check_above_zero(self, "a")
        check_finite(self, "b", "c", "d", "v_th", "v_0", *(["u_0"] if self.u_0 is not None else []))

    def initial(self) -> IzhikevichState[Any]:
        return IzhikevichState(v=self.v_0, u=self.b * self.v_0 if self.u_0 is None else self.u_0)

    def update(self, state: IzhikevichState[A], inputs: A, dt: float, xp: Ops[A]) -> IzhikevichState[A]:
        v = state.v
        for _ in range(2):
            v = xp.maximum(v + 0.5 * dt * (0.04 * (v * v) + 5.0 * v + 140.0 - state.u + inputs), LOWEST)
        return IzhikevichState(v=v, u=state.u + dt * self.a * (self.b * v - state.u))

    def after_spike(self, state: IzhikevichState[A], spikes: A, dt: float, xp: Ops[A]) -> IzhikevichState[A]:
        return state._replace(u=state.u + spikes * self.d)

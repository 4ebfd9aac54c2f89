r"""Generalised leaky integrate-and-fire neuron of level 5 (Teeter et al., 2018, Nature Communications 9:709).

    c_m dv/dt = i + i_1 + i_2 - (v - v_rest) / r              di_j/dt = -k_j i_j
    dtheta_s/dt = -b_s theta_s                              dtheta_v/dt = a_v (v - v_rest) - b_v theta_v

It fires when v >= theta_v + theta_s + theta_inf, and then

    v <- v_rest + f_v (v - v_rest) - delta_v,   i_j <- f_j i_j + delta_i_j,   theta_s <- theta_s + delta_theta_s

Each step is exact for a current i + i_1 + i_2 that is constant over it, as in the AllenSDK (`linear_exact`,
`three_components_exact`); the currents i_j decay exactly. Names, defaults and the state at the start are those of
SPAIC's `glif`, which takes forward Euler steps, and after a spike adds the old i_j once more; here it is as published.
The period without updates that the AllenSDK cuts out around a spike is the refractory period (t_ref).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, NoReset
from .exact import overlap
from .neuron import Neuron, Value, check_finite, check_positive


class GLIF5State(NamedTuple, Generic[A]):
    """Potential v, after-spike currents i_1 and i_2, spike and voltage part of the threshold: (B, *shape)."""

    v: A
    i_1: A
    i_2: A
    theta_s: A
    theta_v: A


_NUMBERS = (
    "v_rest", "theta_inf", "k_1", "k_2", "b_s", "a_v", "b_v", "f_v", "delta_v", "delta_theta_s", "f_1", "f_2",
    "delta_i_1", "delta_i_2", "start_i_1", "start_i_2", "start_theta_s", "start_theta_v",
)  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class GLIF5(Neuron[GLIF5State[Any]]):
    """Rates k_j, b_s, a_v and b_v in 1/ms, r c_m in ms, potentials in units of theta_inf; start_*: the state that
    it starts from."""

    c_m: Value = 60.0
    r: Value = 2.0
    v_rest: Value = 0.0
    theta_inf: Value = 1.0
    k_1: Value = 0.8
    k_2: Value = 0.6
    b_s: Value = 0.02
    a_v: Value = 0.12
    b_v: Value = 0.3
    f_v: Value = 0.1
    delta_v: Value = 0.05
    delta_theta_s: Value = 0.2
    f_1: Value = 1.0
    f_2: Value = 1.0
    delta_i_1: Value = 0.1
    delta_i_2: Value = 0.1
    start_i_1: Value = 0.08
    start_i_2: Value = 0.06
    start_theta_s: Value = 0.1
    start_theta_v: Value = 0.2
    emission: Emission = Emission(threshold="theta_inf", reset=NoReset())

    State = GLIF5State

    def check(self) -> None:
        check_positive(self, "c_m", "r")
        check_finite(self, *_NUMBERS)

    def initial(self) -> GLIF5State[Any]:
        return GLIF5State(
            v=self.v_rest,
            i_1=self.start_i_1,
            i_2=self.start_i_2,
            theta_s=self.start_theta_s,
            theta_v=self.start_theta_v,
        )

    def update(self, state: GLIF5State[A], inputs: A, dt: float, xp: Ops[A]) -> GLIF5State[A]:
        leak = 1 / (self.r * self.c_m)
        target = (inputs + state.i_1 + state.i_2) * self.r
        fading = state.v - self.v_rest - target
        return GLIF5State(
            v=self.v_rest + target + fading * xp.exp(-dt * leak),
            i_1=state.i_1 * xp.exp(-dt * self.k_1),
            i_2=state.i_2 * xp.exp(-dt * self.k_2),
            theta_s=state.theta_s * xp.exp(-dt * self.b_s),
            theta_v=state.theta_v * xp.exp(-dt * self.b_v)
            + target * (self.a_v * overlap(self.b_v, 0.0, dt, xp))
            + fading * (self.a_v * overlap(self.b_v, leak, dt, xp)),
        )

    def threshold(self, state: GLIF5State[A], xp: Ops[A]) -> Value:
        return Neuron.threshold(self, state, xp) + state.theta_s + state.theta_v

    def after_spike(self, state: GLIF5State[A], spikes: A, dt: float, xp: Ops[A]) -> GLIF5State[A]:
        reset = self.v_rest + self.f_v * (state.v - self.v_rest) - self.delta_v
        return state._replace(
            v=state.v + spikes * (reset - state.v),
            i_1=state.i_1 + spikes * (self.delta_i_1 + state.i_1 * (self.f_1 - 1)),
            i_2=state.i_2 + spikes * (self.delta_i_2 + state.i_2 * (self.f_2 - 1)),
            theta_s=state.theta_s + spikes * self.delta_theta_s,
        )

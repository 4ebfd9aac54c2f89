r"""Resonate-and-fire neurons: damped oscillators that answer to input at their own frequency.

`resonate_and_fire` (Izhikevich, 2001, Neural Networks 14:883), with z = u + i v:

    dz/dt = (b + i omega) z,   u += input   when the input of a step arrives

It fires when v >= v_th; then z is set to i: v to v_reset = 1, u to 0. Rotation and decay are exact for any dt (to
rounding for |omega| dt up to 2 pi; beyond pi the oscillation has less than two steps a turn). The paper leaves b < 0
and omega free. The defaults are ours: what is left after a turn, exp(2 pi b / |omega|) = 0.53, is that of BrainPy's
b = -1 and omega = 10, which have no unit, and a turn of 2 pi ms has 63 steps of 0.1 ms.

`balanced_resonate_and_fire` (Higuchi, Kairat, Bohte & Otte, 2024, ICML, Balanced Resonate-and-Fire Neurons), with
z = v + i u, step delta = dt / 1000 s, and a refractory variable q:

    b = (sqrt(1 - (delta omega)^2) - 1) / delta - b_offset - q,   z <- z + delta ((b + i omega) z + input)

It fires when v >= v_th + q; then q <- gamma q + 1, else q <- gamma q; z is not reset. The first term of b is where this
step neither damps nor swells. omega and b_offset are trained, in absolute value. The paper's delta of 0.01 is
dt = 10 ms. delta omega above 1 has no such boundary and counts as 1 in the root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, NoReset, ToValue
from .neuron import Neuron, Value, check_finite

_HALVINGS = 4


class ResonateState(NamedTuple, Generic[A]):
    """v = Im z, which fires, and u = Re z, which takes the input: (B, *shape), in units of the threshold."""

    v: A
    u: A


class BalancedState(NamedTuple, Generic[A]):
    """v = Re z, which takes the input and fires, u = Im z, and the refractory variable q: (B, *shape)."""

    v: A
    u: A
    q: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ResonateAndFire(Neuron[ResonateState[Any]]):
    """b (the damping, below 0) in 1/ms; omega in rad/ms; v_th and v_reset in units of the threshold."""

    b: Value = -0.1
    omega: Value = 1.0
    v_th: Value = 1.0
    v_reset: Value = 1.0
    emission: Emission = Emission(reset=ToValue("v_reset"))

    State = ResonateState

    def check(self) -> None:
        check_finite(self, "b", "omega", "v_th", "v_reset")

    def initial(self) -> ResonateState[Any]:
        return ResonateState(v=0.0, u=0.0)

    def update(self, state: ResonateState[A], inputs: A, dt: float, xp: Ops[A]) -> ResonateState[A]:
        cosine, sine = rotation(self.omega * dt)
        kept = xp.exp(self.b * dt)
        along, across = kept * cosine, kept * sine
        return ResonateState(v=across * state.u + along * state.v, u=along * state.u - across * state.v + inputs)

    def after_spike(self, state: ResonateState[A], spikes: A, dt: float, xp: Ops[A]) -> ResonateState[A]:
        return state._replace(u=state.u * (1 - spikes))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class BalancedResonateAndFire(Neuron[BalancedState[Any]]):
    """omega in rad/s; b_offset in 1/s; gamma: what q keeps in a step; v_th in units of the threshold."""

    omega: Value = 10.0
    b_offset: Value = 1.0
    gamma: Value = 0.9
    v_th: Value = 1.0
    emission: Emission = Emission(reset=NoReset())

    State = BalancedState
    trains = ("omega", "b_offset")

    def check(self) -> None:
        check_finite(self, "omega", "b_offset", "gamma", "v_th")

    def initial(self) -> BalancedState[Any]:
        return BalancedState(v=0.0, u=0.0, q=0.0)

    def update(self, state: BalancedState[A], inputs: A, dt: float, xp: Ops[A]) -> BalancedState[A]:
        delta, omega = dt * 0.001, xp.abs(self.omega)
        boundary = xp.sqrt(xp.maximum(1.0 - (delta * omega) * (delta * omega), 1e-12)) - 1.0
        kept = 1.0 + boundary - delta * xp.abs(self.b_offset) - delta * state.q
        turned = delta * omega
        v = kept * state.v - turned * state.u + delta * inputs
        return BalancedState(v=v, u=kept * state.u + turned * state.v, q=state.q)

    def threshold(self, state: BalancedState[A], xp: Ops[A]) -> Value:
        return Neuron.threshold(self, state, xp) + state.q

    def after_spike(self, state: BalancedState[A], spikes: A, dt: float, xp: Ops[A]) -> BalancedState[A]:
        return state._replace(q=self.gamma * state.q + spikes)


def rotation(angle: Any) -> tuple[Any, Any]:
    """Cosine and sine in products and sums alone: the series of an angle / 16, doubled four times."""
    x = angle * 2.0**-_HALVINGS
    s = x * x
    versine = s * 0.5 * (1 - s / 12 * (1 - s / 30 * (1 - s / 56 * (1 - s / 90 * (1 - s / 132)))))
    sine = x * (1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72 * (1 - s / 110)))))
    for _ in range(_HALVINGS):
        versine, sine = 2 * versine * (2 - versine), 2 * sine * (1 - versine)
    return 1 - versine, sine

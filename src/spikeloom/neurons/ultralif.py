r"""Neurons of the max-plus algebra, differentiable without a surrogate (Minoza, 2026, ICML, UltraLIF).

With LSE(x...) = eps log(sum exp(x / eps)), a maximum that eps softens, and eps = exp(log_eps) kept within 0.1 and 20:

    `ultralif`     v <- LSE(v + log tau, i),   s = 1 / (1 + exp(-(v - v_th) / eps)),   v <- v (1 - s)
    `ultradlif`    v <- tau v + i,   s as above of LSE(left, v, right) in place of v,   v <- v (1 - s)

left and right are the neighbours along the last axis, which is a ring. With diffuses=True the potential itself spreads:
v <- LSE(left, v, right) + i, s of v; the released code holds both forms. The output s is graded, with its exact
derivative; Emission(variable='a', threshold=0.0, forward='step', reset='none') hardens it to spikes (s >= 1/2), and
only then is it a spiking neuron. tau, 0.9, is what a step keeps, not a time. v_th is 0 as in the released library, 1 in
its ablation. log_eps, one number for a layer, is trained unless told otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, NoReset, Smooth
from .neuron import Neuron, Value, check_above_zero, check_finite, check_flag

EPS_LIMITS = 0.1, 20.0
GRADED = Emission(variable="a", threshold=0.0, forward=Smooth(1.0), reset=NoReset())


class UltraState(NamedTuple, Generic[A]):
    """Potential v, and a: how far above the threshold it was before the reset, in units of eps. (B, *shape)."""

    v: A
    a: A


@dataclass(frozen=True, kw_only=True, slots=True)
class Ultra(Neuron[UltraState[Any]]):
    """What the two neurons share; tau is the factor of a step, potentials in units of their own."""

    tau: Value = 0.9
    log_eps: Value = 0.0
    v_th: Value = 0.0
    emission: Emission = GRADED

    State = UltraState
    trains = ("log_eps",)

    def check(self) -> None:
        check_above_zero(self, "tau")
        check_finite(self, "log_eps", "v_th")

    def initial(self) -> UltraState[Any]:
        return UltraState(v=0.0, a=0.0)

    def after_spike(self, state: UltraState[A], spikes: A, dt: float, xp: Ops[A]) -> UltraState[A]:
        return state._replace(v=state.v * (1 - spikes))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class UltraLIF(Ultra):
    """tau: what a step keeps; log_eps: the logarithm of the temperature; v_th: where s is one half."""

    def update(self, state: UltraState[A], inputs: A, dt: float, xp: Ops[A]) -> UltraState[A]:
        eps = temperature(self.log_eps, xp)
        v = soft_maximum((state.v + xp.log(self.tau), inputs), eps, xp)
        return UltraState(v=v, a=(v - self.v_th) / eps)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class UltraDLIF(Ultra):
    """The parameters of UltraLIF; diffuses: whether the potential itself spreads to the neighbours."""

    diffuses: bool = False

    coupled = "each neuron to its two neighbours"

    def check(self) -> None:
        Ultra.check(self)
        check_flag(self, "diffuses")

    def update(self, state: UltraState[A], inputs: A, dt: float, xp: Ops[A]) -> UltraState[A]:
        eps = temperature(self.log_eps, xp)
        v = state.v if self.diffuses else self.tau * state.v + inputs
        spread = soft_maximum(_with_neighbours(v), eps, xp)
        if self.diffuses:
            v = spread = spread + inputs
        return UltraState(v=v, a=(spread - self.v_th) / eps)


def temperature(log_eps: Any, xp: Ops[Any]) -> Any:
    """eps within its limits."""
    return xp.minimum(xp.maximum(xp.exp(log_eps), EPS_LIMITS[0]), EPS_LIMITS[1])


def soft_maximum(values: tuple[Any, ...], eps: Any, xp: Ops[Any]) -> Any:
    """eps log(sum exp(x / eps)) of several values; nothing overflows."""
    largest = values[0]
    for value in values[1:]:
        largest = xp.maximum(largest, value)
    first, *others = (xp.exp((value - largest) / eps) for value in values)
    for other in others:
        first = first + other
    return largest + eps * xp.log(first)


def _with_neighbours(v: Any) -> tuple[Any, Any, Any]:
    """The left neighbours, v itself, and the right neighbours on a ring."""
    n = v.shape[-1]
    places = range(n)
    return v[..., [(k - 1) % n for k in places]], v, v[..., [(k + 1) % n for k in places]]

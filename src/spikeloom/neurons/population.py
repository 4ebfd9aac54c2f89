r"""Rate models of populations: the mean field, and the continuous attractor with divisive normalisation.

Both integrate what comes in by two ports, i_syn (from connections, scaled by rho) and i_ext (as it is):

    tau du/dt = -u + rho i_syn + i_ext

exactly for an input that is constant over the step, and emit a rate r:

    `meanfield`    r = max(u, 0)
    `cann`         r = max(u, 0)^2 / (1 + k rho sum(max(u, 0)^2)), the sum over the population

`meanfield` is the threshold-linear model of Wilson & Cowan (1972, Biophysical Journal 12:1) in the form that SPAIC has
it; `cann` is SPAIC's `cann_field`, the continuous attractor network of Wu, Hamaguchi & Amari (2008, Neural Computation
20:994), whose recurrent connection is a Gaussian of the distance; with neurons that stand dx apart, the density that
the paper calls rho is this rho / dx. (SPAIC steps u by Euler's rule, squares u below 0 too, so that inhibition excites,
and its `cann_field` stops with an error.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, Graded, NoReset
from .neuron import Neuron, Value, check_finite, check_positive

RATE = Emission(variable="r", threshold=0.0, forward=Graded(), reset=NoReset())


class RateState(NamedTuple, Generic[A]):
    """Synaptic input u and rate r: (B, *shape)."""

    u: A
    r: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class MeanField(Neuron[RateState[Any]]):
    """tau in ms; rho: the factor of i_syn."""

    tau: Value = 1.0
    rho: Value = 0.1
    emission: Emission = RATE

    State = RateState
    ports = ("i_syn", "i_ext")

    def check(self) -> None:
        check_positive(self, "tau")
        check_finite(self, "rho")

    def initial(self) -> RateState[Any]:
        return RateState(u=0.0, r=0.0)

    def update(self, state: RateState[A], inputs: tuple[A, A], dt: float, xp: Ops[A]) -> RateState[A]:
        u = _integrated(self, state.u, inputs, dt, xp)
        return RateState(u=u, r=xp.maximum(u, 0.0))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class CANN(Neuron[RateState[Any]]):
    """tau in ms; rho: the density of neurons, the factor of i_syn; k: the strength of the global inhibition."""

    tau: Value = 1.0
    rho: Value = 0.02
    k: Value = 0.01
    emission: Emission = RATE

    State = RateState
    ports = ("i_syn", "i_ext")
    coupled = "by the sum over the population that divides each rate"

    def check(self) -> None:
        check_positive(self, "tau")
        check_finite(self, "rho", "k")

    def initial(self) -> RateState[Any]:
        return RateState(u=0.0, r=0.0)

    def update(self, state: RateState[A], inputs: tuple[A, A], dt: float, xp: Ops[A]) -> RateState[A]:
        u = _integrated(self, state.u, inputs, dt, xp)
        driven = xp.maximum(u, 0.0)
        square = driven * driven
        total = square.sum(tuple(range(1, square.ndim)), keepdims=True)
        return RateState(u=u, r=square / (1 + self.k * self.rho * total))


def _integrated(neuron: MeanField | CANN, u: Any, inputs: tuple[Any, Any], dt: float, xp: Ops[Any]) -> Any:
    kept = xp.exp(-dt / neuron.tau)
    synaptic, external = inputs
    return u * kept + (neuron.rho * synaptic + external) * (1 - kept)

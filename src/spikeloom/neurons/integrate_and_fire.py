r"""Integrate-and-fire neuron without a leak.

    v += i - constant_decay   each step

It fires when v >= v_th; v is then set to v_reset. Defaults after SPAIC's `if`; for the soft reset give
Emission(reset=Subtract()).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

from ..ops import A, Ops
from .emission import Emission, ToValue
from .neuron import Neuron, Value, check_finite


class IFState(NamedTuple, Generic[A]):
    """Membrane potential v, (B, *shape), in units of the threshold."""

    v: A


@dataclass(frozen=True, kw_only=True, slots=True)
class IF(Neuron[IFState[Any]]):
    """Potentials in units of the threshold; constant_decay is lost in each step."""

    constant_decay: Value = 0.0
    v_th: Value = 1.0
    v_reset: Value = 0.0
    emission: Emission = Emission(reset=ToValue("v_reset"))

    State = IFState

    def check(self) -> None:
        check_finite(self, "constant_decay", "v_th", "v_reset")

    def initial(self) -> IFState[Any]:
        return IFState(v=0.0)

    def update(self, state: IFState[A], inputs: A, dt: float, xp: Ops[A]) -> IFState[A]:
        return IFState(v=state.v + inputs - self.constant_decay)

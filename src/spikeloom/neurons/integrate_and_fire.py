r"""Integrate-and-fire neurons without a leak (SPAIC's `if`, `ifsoftreset`, `ifb`, `nonspikingifb`).

    v += i - constant_decay   each step (IF, IFSoftReset),      v += i + bias   each step (IFB, NonSpikingIFB)

They fire when v >= v_th. IF and IFB then set v to v_reset; IFSoftReset subtracts the threshold, so that nothing above
it is lost (SPAIC's subtracts v itself, which is the hard reset again). NonSpikingIFB does not fire: it emits v. The
soft reset is that of Rueckauer et al., 2017, Frontiers in Neuroscience 11:682, eq. 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, Graded, NoReset, Subtract, ToValue
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


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class IFSoftReset(IF):
    """IF whose reset subtracts the threshold; v_reset is for an emission that asks for it."""

    emission: Emission = Emission(reset=Subtract())


@dataclass(frozen=True, kw_only=True, slots=True)
class Biased(Neuron[IFState[Any]]):
    """The membrane of IFB and NonSpikingIFB; bias comes in with every step."""

    bias: Value = 0.0

    State = IFState

    def check(self) -> None:
        check_finite(self, "bias")

    def initial(self) -> IFState[Any]:
        return IFState(v=0.0)

    def update(self, state: IFState[A], inputs: A, dt: float, xp: Ops[A]) -> IFState[A]:
        return IFState(v=state.v + (inputs + self.bias))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class IFB(Biased):
    """Potentials and bias in units of the threshold."""

    v_th: Value = 1.0
    v_reset: Value = 0.0
    emission: Emission = Emission(reset=ToValue("v_reset"))

    def check(self) -> None:
        Biased.check(self)
        check_finite(self, "v_th", "v_reset")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class NonSpikingIFB(Biased):
    """An adder that emits its potential: a read-out."""

    emission: Emission = Emission(threshold=0.0, forward=Graded(), reset=NoReset())

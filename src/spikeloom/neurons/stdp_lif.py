r"""Leaky integrate-and-fire neurons for networks that learn by STDP (SPAIC's `lifstdp_ex`, `alifstdp_ex`,
`lifstdp_ih`), after Diehl & Cook, 2015, Frontiers in Computational Neuroscience 9:99.

    v <- v_rest + decay_v (v - v_rest) + i,   theta <- decay_th theta

    LIFSTDPEx    fires when v >= v_th + theta:   v <- v_reset,      theta <- theta + th_inc
    ALIFSTDPEx   fires when v >= v_th + theta:   v <- v - v_reset,  theta <- theta + th_inc (v_th + theta)
    LIFSTDPIh    fires when v >= v_th:           v <- v_reset

As in SPAIC the decays are what remains after one step, whatever dt is: for a time constant tau give exp(-dt/tau). Its
defaults are those of the paper for dt = 1 ms. It starts from rest, in SPAIC from the default of v_rest.

`run` starts theta from 0 again, as all states; in SPAIC theta survives from run to run. To keep it from sample to
sample give the samples one after the other with `run_continue`, and between them, as the paper does, a pause without
input in which v comes to rest: `run_continue` keeps v too. A rule with the target `v_th` keeps a threshold that is
learnt, run by run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .checks import check_factor
from .emission import Emission, SubtractValue, ToValue
from .lif import LIFState
from .neuron import Neuron, Value, check_finite

_PER_100, _PER_10 = math.exp(-1 / 100), math.exp(-1 / 10)
_PER_1E7, _PER_1E5 = math.exp(-1e-7), math.exp(-1e-5)


class ThetaState(NamedTuple, Generic[A]):
    """Membrane potential v and what spikes have added to the threshold, theta: (B, *shape), mV."""

    v: A
    theta: A


@dataclass(frozen=True, kw_only=True, slots=True)
class Homeostatic(Neuron[ThetaState[Any]]):
    """The membrane and the threshold of LIFSTDPEx and ALIFSTDPEx."""

    decay_v: Value = _PER_100
    decay_th: Value = _PER_1E7
    th_inc: Value = 0.05
    v_th: Value = -52.0
    v_rest: Value = -65.0
    v_reset: Value = -60.0

    State = ThetaState

    def check(self) -> None:
        check_factor(self, "decay_v", "decay_th")
        check_finite(self, "th_inc", "v_th", "v_rest", "v_reset")

    def initial(self) -> ThetaState[Any]:
        return ThetaState(v=self.v_rest, theta=0.0)

    def update(self, state: ThetaState[A], inputs: A, dt: float, xp: Ops[A]) -> ThetaState[A]:
        v: Any = self.v_rest + self.decay_v * (state.v - self.v_rest) + inputs
        return ThetaState(v=v, theta=state.theta * self.decay_th)

    def threshold(self, state: ThetaState[A], xp: Ops[A]) -> Value:
        return Neuron.threshold(self, state, xp) + state.theta


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LIFSTDPEx(Homeostatic):
    """Potentials in mV; decay_v and decay_th from 0 to 1; a spike adds th_inc to theta."""

    emission: Emission = Emission(reset=ToValue("v_reset"))

    def after_spike(self, state: ThetaState[A], spikes: A, dt: float, xp: Ops[A]) -> ThetaState[A]:
        return state._replace(theta=state.theta + spikes * self.th_inc)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ALIFSTDPEx(Homeostatic):
    """Decays from 0 to 1; a spike adds the part th_inc of the threshold to theta, and takes v_reset from v."""

    decay_th: Value = _PER_1E5
    th_inc: Value = 0.001
    v_th: Value = 2.0
    v_rest: Value = 0.0
    v_reset: Value = 2.0
    emission: Emission = Emission(reset=SubtractValue("v_reset"))

    def after_spike(self, state: ThetaState[A], spikes: A, dt: float, xp: Ops[A]) -> ThetaState[A]:
        return state._replace(theta=state.theta + spikes * self.th_inc * self.threshold(state, xp))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LIFSTDPIh(Neuron[LIFState[Any]]):
    """Potentials in mV; decay_v from 0 to 1."""

    decay_v: Value = _PER_10
    v_th: Value = -40.0
    v_rest: Value = -60.0
    v_reset: Value = -45.0
    emission: Emission = Emission(reset=ToValue("v_reset"))

    State = LIFState

    def check(self) -> None:
        check_factor(self, "decay_v")
        check_finite(self, "v_th", "v_rest", "v_reset")

    def initial(self) -> LIFState[Any]:
        return LIFState(v=self.v_rest)

    def update(self, state: LIFState[A], inputs: A, dt: float, xp: Ops[A]) -> LIFState[A]:
        return LIFState(v=self.v_rest + self.decay_v * (state.v - self.v_rest) + inputs)

r"""Leaky integrate-and-fire neurons in whole numbers (SPAIC's `lifint` and `diehlandcook`).

    LIFInt         v <- decay (v - v_rest) + v_rest + i       where the neuron does not rest
    DiehlAndCook   thresh <- thresh >> 1                      where thresh > max_threshold
                   v <- (decay (v - v_rest) >> shift_voltage) + v_rest
                   v <- v + (weight_sum_coef i >> shift_weight_sum_coef)     where the neuron does not rest

LIFInt fires when v >= thresh, DiehlAndCook when v > thresh, that is v >= thresh + 1; v is then set to v_reset and the
neuron rests, that is takes no input, for reset_refrac steps. DiehlAndCook then adds thresh_plus to thresh, and no v is
below lbound; its input is held between weight_sum_min and weight_sum_max.

The whole numbers are kept as floats, i without what stands behind its point. All that is computed is exact, bit for
bit what int32 gives, while the numbers stay below 2^24 in float32 (2^53 in float64): with its defaults DiehlAndCook
never leaves that range, LIFInt as long as |decay v| does not. a >> n is the floor of a / 2^n, also below zero. On the
way back a floor counts as the identity, so that such neurons train. Steps count, not ms. `run` starts thresh from its
parameter again, as all states; to keep what spikes have added give the samples one after the other with `run_continue`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

import numpy as np

from ..errors import ParameterError
from ..ops import A, Array, Ops
from .checks import check_whole
from .emission import Emission, ToValue
from .neuron import Neuron, Value


class IntegerState(NamedTuple, Generic[A]):
    """Potential v, and refrac_count: for how many steps more the neuron rests, if above 0. (B, *shape)."""

    v: A
    refrac_count: A


class DiehlAndCookState(NamedTuple, Generic[A]):
    """Potential v, threshold thresh, and refrac_count as in IntegerState: (B, *shape)."""

    v: A
    thresh: A
    refrac_count: A


def whole(x: Array, xp: Ops[Array]) -> Array:
    """The floor of x; on the way back the identity stands for it."""
    return x + xp.stop_gradient(xp.floor(x) - x)


def cut(x: Array, xp: Ops[Array]) -> Array:
    """x without what stands behind its point; on the way back the identity stands for it."""
    size = xp.floor(xp.abs(x))
    return x + xp.stop_gradient(xp.where(x < 0, -size, size) - x)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LIFInt(Neuron[IntegerState[Any]]):
    """Whole numbers; reset_refrac in steps."""

    thresh: Value = 1.0
    decay: Value = 1.0
    v_rest: Value = 0.0
    v_reset: Value = 0.0
    reset_refrac: Value = 0.0
    emission: Emission = Emission(threshold="thresh", reset=ToValue("v_reset"))

    State = IntegerState

    def check(self) -> None:
        check_whole(self, "thresh", "decay", "v_rest", "v_reset", "reset_refrac")

    def initial(self) -> IntegerState[Any]:
        return IntegerState(v=0.0, refrac_count=0.0)

    def update(self, state: IntegerState[A], inputs: A, dt: float, xp: Ops[A]) -> IntegerState[A]:
        taken = xp.where(state.refrac_count > 0, 0.0, cut(inputs, xp))
        return IntegerState(self.decay * (state.v - self.v_rest) + self.v_rest + taken, state.refrac_count - 1)

    def after_spike(self, state: IntegerState[A], spikes: A, dt: float, xp: Ops[A]) -> IntegerState[A]:
        return state._replace(refrac_count=rested(state.refrac_count, spikes, self.reset_refrac, xp))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class DiehlAndCook(Neuron[DiehlAndCookState[Any]]):
    """Whole numbers; thresh: where the threshold starts; the shifts are from 0 to 30; reset_refrac in steps."""

    thresh: Value = 213.0
    max_threshold: Value = 4915.0
    thresh_plus: Value = 66.0
    decay: Value = 1013.0
    shift_voltage: int = 10
    weight_sum_coef: Value = 154.0
    shift_weight_sum_coef: int = 10
    weight_sum_min: Value = -32767.0
    weight_sum_max: Value = 32767.0
    v_rest: Value = 0.0
    v_reset: Value = 0.0
    lbound: Value = -32767.0
    reset_refrac: Value = 5.0
    emission: Emission = Emission(threshold="thresh", reset=ToValue("v_reset"))

    State = DiehlAndCookState

    def check(self) -> None:
        numbers = [name for name in type(self).parameters() if not name.startswith("shift")]
        check_whole(self, *numbers)
        for name in ("shift_voltage", "shift_weight_sum_coef"):
            shift = getattr(self, name)
            if not isinstance(shift, int) or isinstance(shift, bool) or not 0 <= shift <= 30:
                raise ParameterError(f"DiehlAndCook.{name} must be a whole number from 0 to 30, got {shift!r}")
        if np.any(np.asarray(self.weight_sum_min) > np.asarray(self.weight_sum_max)):
            raise ParameterError(
                "DiehlAndCook.weight_sum_min must not be above weight_sum_max; "
                f"got {self.weight_sum_min!r} and {self.weight_sum_max!r}"
            )

    def initial(self) -> DiehlAndCookState[Any]:
        return DiehlAndCookState(v=0.0, thresh=self.thresh, refrac_count=0.0)

    def update(self, state: DiehlAndCookState[A], inputs: A, dt: float, xp: Ops[A]) -> DiehlAndCookState[A]:
        given = xp.minimum(xp.maximum(cut(inputs, xp), self.weight_sum_min), self.weight_sum_max)
        scaled = whole(given * self.weight_sum_coef * 0.5**self.shift_weight_sum_coef, xp)
        above = state.v - self.v_rest
        # decay * above may lie beyond 2^24; what is taken from above does not
        lost = (self.decay - 2.0**self.shift_voltage) * 0.5**self.shift_voltage
        return DiehlAndCookState(
            v=above + whole(above * lost, xp) + self.v_rest + xp.where(state.refrac_count > 0, 0.0, scaled),
            thresh=xp.where(state.thresh > self.max_threshold, whole(state.thresh * 0.5, xp), state.thresh),
            refrac_count=state.refrac_count - 1,
        )

    def threshold(self, state: DiehlAndCookState[A], xp: Ops[A]) -> Value:
        return (state.thresh if self.emission.threshold == "thresh" else Neuron.threshold(self, state, xp)) + 1

    def after_spike(self, state: DiehlAndCookState[A], spikes: A, dt: float, xp: Ops[A]) -> DiehlAndCookState[A]:
        return DiehlAndCookState(
            v=xp.maximum(state.v, self.lbound),
            thresh=state.thresh + spikes * self.thresh_plus,
            refrac_count=rested(state.refrac_count, spikes, self.reset_refrac, xp),
        )


def rested(count: Array, spikes: Array, steps: Array, xp: Ops[Array]) -> Array:
    """The count after the spikes: where there is one, it starts anew."""
    return xp.where(xp.stop_gradient(spikes) > 0, steps, count)

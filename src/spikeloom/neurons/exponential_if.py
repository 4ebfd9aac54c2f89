r"""Exponential integrate-and-fire neurons: without and with adaptation.

`exponential_if` (Fourcaud-Trocme, Hansel, van Vreeswijk & Brunel, 2003, Journal of Neuroscience 23:11628, eq. 3):

    c_m dv/dt = -g_l (v - v_rest) + g_l delta_t exp((v - v_th) / delta_t) + i

`adex` (Brette & Gerstner, 2005, Journal of Neurophysiology 94:3637): the same with -w on the right side, and

    tau_w dw/dt = a (v - v_rest) - w

v_th is where the upstroke begins: at constant input, no rest is left above v = v_th. A spike is emitted when
v >= v_peak, which stands for infinity; then v is set to v_reset, and w grows by b. In a step the linear part is exact,
with the exponential and w held (exponential Euler), and w is exact with v held. The exponent is cut at 50, so that a
narrow upstroke (a small delta_t) does not overflow: a v that steep is past v_peak a step later anyway.

The input i is a current that lasts for the step. Units of `adex`: mV, ms, pF, nS, pA; of `exponential_if`: mV, ms, and
uF/cm^2, mS/cm^2, uA/cm^2. Defaults: each paper's. `adex`'s v_peak is 20 mV, as in SPAIC, whose b of 0.0805 beside pF
and nS is the paper's 0.0805 nA and has no effect there; here b is 80.5 pA. `exponential_if` is fitted to the
Wang-Buzsaki neuron, to which a refractory period of 1.7 ms belongs: with_refractory(neuron, 1.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, ToValue
from .neuron import Neuron, Value, check_above_zero, check_finite, check_positive

LARGEST_EXPONENT = 50.0


class ExponentialIFState(NamedTuple, Generic[A]):
    """Membrane potential v in mV, (B, *shape)."""

    v: A


class AdExState(NamedTuple, Generic[A]):
    """Membrane potential v in mV and adaptation current w in pA: (B, *shape)."""

    v: A
    w: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ExponentialIF(Neuron[ExponentialIFState[Any]]):
    """c_m in uF/cm^2; g_l in mS/cm^2; v_rest, v_th (onset of the upstroke), delta_t (its width), v_peak (where a spike
    is emitted) and v_reset in mV."""

    c_m: Value = 1.0
    g_l: Value = 0.1
    v_rest: Value = -65.0
    v_th: Value = -59.9
    delta_t: Value = 3.48
    v_peak: Value = -30.0
    v_reset: Value = -68.0
    emission: Emission = Emission(threshold="v_peak", reset=ToValue("v_reset"))

    State = ExponentialIFState

    def check(self) -> None:
        check_above_zero(self, "c_m", "g_l", "delta_t")
        check_finite(self, "v_rest", "v_th", "v_peak", "v_reset")

    def initial(self) -> ExponentialIFState[Any]:
        return ExponentialIFState(v=self.v_rest)

    def update(self, state: ExponentialIFState[A], inputs: A, dt: float, xp: Ops[A]) -> ExponentialIFState[A]:
        return ExponentialIFState(v=_membrane(self, state.v, inputs, dt, xp))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class AdEx(Neuron[AdExState[Any]]):
    """c_m in pF; g_l and a (adaptation below the threshold) in nS; v_rest, v_th (onset of the upstroke), delta_t (its
    width), v_peak (where a spike is emitted) and v_reset in mV; tau_w in ms; b (adaptation by a spike) in pA."""

    c_m: Value = 281.0
    g_l: Value = 30.0
    v_rest: Value = -70.6
    v_th: Value = -50.4
    delta_t: Value = 2.0
    tau_w: Value = 144.0
    a: Value = 4.0
    b: Value = 80.5
    v_peak: Value = 20.0
    v_reset: Value = -70.6
    emission: Emission = Emission(threshold="v_peak", reset=ToValue("v_reset"))

    State = AdExState

    def check(self) -> None:
        check_above_zero(self, "c_m", "g_l", "delta_t")
        check_positive(self, "tau_w")
        check_finite(self, "v_rest", "v_th", "a", "b", "v_peak", "v_reset")

    def initial(self) -> AdExState[Any]:
        return AdExState(v=self.v_rest, w=0.0)

    def update(self, state: AdExState[A], inputs: A, dt: float, xp: Ops[A]) -> AdExState[A]:
        kept = xp.exp(-dt / self.tau_w)
        w = self.a * (state.v - self.v_rest) * (1 - kept) + state.w * kept
        return AdExState(v=_membrane(self, state.v, inputs - state.w, dt, xp), w=w)

    def after_spike(self, state: AdExState[A], spikes: A, dt: float, xp: Ops[A]) -> AdExState[A]:
        return state._replace(w=state.w + spikes * self.b)


def _membrane(neuron: ExponentialIF | AdEx, v: Any, current: Any, dt: float, xp: Ops[Any]) -> Any:
    """v after a step of dt ms in which the current and the exponential are held."""
    decay = xp.exp(-dt * neuron.g_l / neuron.c_m)
    exponent = xp.minimum((v - neuron.v_th) / neuron.delta_t, LARGEST_EXPONENT)
    drive = neuron.delta_t * xp.exp(exponent) + current / neuron.g_l
    return neuron.v_rest + (v - neuron.v_rest) * decay + drive * (1 - decay)

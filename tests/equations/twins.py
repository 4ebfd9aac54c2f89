"""Neurons written by hand, and the same as equations."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import spikeloom as sl
from spikeloom.neurons import LIF, Emission, NoReset, ToValue
from spikeloom.neurons.neuron import Neuron

TO_C, UNTOUCHED = Emission(reset=ToValue("c")), Emission(reset=NoReset())


class TwoStates(NamedTuple):
    v: Any
    u: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class IzhikevichByHand(Neuron[TwoStates]):
    """Izhikevich (2003, IEEE Transactions on Neural Networks 14:1569), one Euler step."""

    a: Any = 0.02
    b: Any = 0.2
    c: Any = -65.0
    d: Any = 8.0
    v_th: Any = 30.0
    emission: Emission = TO_C

    State = TwoStates
    trains = ("a", "b", "c", "d", "v_th")

    def initial(self):
        return TwoStates(-65.0, -13.0)

    def update(self, state, inputs, dt, xp):
        v, u = state
        return TwoStates(v + dt * (0.04 * v**2 + 5 * v + 140 - u + inputs), u + dt * (self.a * (self.b * v - u)))

    def after_spike(self, state, spikes, dt, xp):
        return state._replace(u=state.u + spikes * self.d)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptiveByHand(Neuron[TwoStates]):
    """A leaky neuron whose threshold v_th + u jumps at each spike and decays."""

    tau: Any = 9.5
    tau_u: Any = 30.0
    jump: Any = 0.2
    v_th: Any = 1.0
    emission: Emission = UNTOUCHED

    State = TwoStates
    trains = ("tau", "tau_u", "jump", "v_th")

    def initial(self):
        return TwoStates(0.0, 0.0)

    def update(self, state, inputs, dt, xp):
        return TwoStates(state.v * xp.exp(-dt / self.tau) + inputs, state.u * xp.exp(-dt / self.tau_u))

    def threshold(self, state, xp):
        return self.v_th + state.u

    def after_spike(self, state, spikes, dt, xp):
        return TwoStates(v=state.v - spikes * (self.v_th + state.u), u=state.u + spikes * self.jump)


def lif(**options):
    return sl.custom_model(
        "dv/dt = (v_rest - v + i)/tau_m : 1",
        threshold="v > v_th",
        reset="v = v_reset",
        parameters={"tau_m": 6.0, "v_rest": 0.1, "v_th": 0.9, "v_reset": -0.2},
        initial={"v": "v_rest"},
        **options,
    )


def lif_by_input(**options):
    return sl.custom_model(
        "dv/dt = (v_rest - v)/tau_m : 1",
        on_input="v += i",
        threshold="v > v_th",
        reset="v = v_reset",
        parameters={"tau_m": 6.0, "v_rest": 0.1, "v_th": 0.9, "v_reset": -0.2},
        initial={"v": "v_rest"},
        **options,
    )


def izhikevich(**options):
    return sl.custom_model(
        "dv/dt = (0.04*v**2 + 5*v + 140 - u + i)/ms : 1\ndu/dt = a*(b*v - u)/ms : 1",
        threshold="v >= v_th",
        reset="v = c; u += d",
        parameters={"a": 0.02, "b": 0.2, "c": -65, "d": 8, "v_th": 30},
        initial={"v": -65, "u": "-13"},
        method="euler",
        **options,
    )


def adaptive(**options):
    return sl.custom_model(
        "dv/dt = -v/tau : 1\ndu/dt = -u/tau_u : 1",
        on_input="v += i",
        threshold="v > v_th + u",
        reset="v -= v_th + u; u += jump",
        parameters={"tau": 9.5, "tau_u": 30.0, "jump": 0.2, "v_th": 1.0},
        **options,
    )


LIF_VALUES = {"tau_m": 6.0, "v_rest": 0.1, "v_th": 0.9, "v_reset": -0.2}
TWINS = {
    "lif": (lif, LIF(**LIF_VALUES, scale_input=True), 4.0),
    "lif by input": (lif_by_input, LIF(**LIF_VALUES), 1.0),
    "izhikevich": (izhikevich, IzhikevichByHand(), 25.0),
    "adaptive threshold": (adaptive, AdaptiveByHand(), 1.0),
}
"""The model from equations, its twin by hand, the size of the input."""

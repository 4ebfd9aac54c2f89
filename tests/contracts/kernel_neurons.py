"""Neurons as a user writes them, for what compiles kernels: each uses something that no built-in model does."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from spikeloom.neurons import Emission, NoReset, Subtract, ToValue
from spikeloom.neurons.neuron import Neuron

SUBTRACT, TO_ZERO, TO_C, UNTOUCHED = (Emission(reset=r) for r in (Subtract(), ToValue(0.0), ToValue("c"), NoReset()))


class OneState(NamedTuple):
    v: Any


class TwoStates(NamedTuple):
    v: Any
    u: Any


class ThreeStates(NamedTuple):
    v: Any
    a: Any
    b: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Adaptive(Neuron[ThreeStates]):
    """A leaky neuron whose threshold is raised by two traces of its own spikes."""

    tau: Any = 9.5
    tau_a: Any = 20.0
    tau_b: Any = 80.0
    jump_a: Any = 0.1
    jump_b: Any = 0.05
    v_th: Any = 1.0
    emission: Emission = SUBTRACT

    State = ThreeStates

    def initial(self):
        return ThreeStates(0.0, 0.0, 0.0)

    def update(self, state, inputs, dt, xp):
        v = state.v * xp.exp(-dt / self.tau) + inputs
        return ThreeStates(v, state.a * xp.exp(-dt / self.tau_a), state.b * xp.exp(-dt / self.tau_b))

    def threshold(self, state, xp):
        return self.v_th + state.a + state.b

    def after_spike(self, state, spikes, dt, xp):
        return state._replace(a=state.a + self.jump_a * spikes, b=state.b + self.jump_b * spikes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refractory(Neuron[TwoStates]):
    """A leaky neuron that rests for n_ref steps after a spike; u counts them."""

    tau: Any = 9.5
    n_ref: Any = 2.0
    v_th: Any = 1.0
    emission: Emission = TO_ZERO

    State = TwoStates

    def initial(self):
        return TwoStates(0.0, 0.0)

    def update(self, state, inputs, dt, xp):
        moved = state.v * xp.exp(-dt / self.tau) + inputs
        return TwoStates(xp.where(state.u > 0, state.v, moved), xp.maximum(state.u - 1, 0.0))

    def after_spike(self, state, spikes, dt, xp):
        return state._replace(u=state.u + self.n_ref * xp.stop_gradient(spikes))


@dataclass(frozen=True, kw_only=True, slots=True)
class Izhikevich(Neuron[TwoStates]):
    """Izhikevich (2003), with two half steps of the potential."""

    a: Any = 0.02
    b: Any = 0.2
    c: Any = -65.0
    d: Any = 8.0
    v_th: Any = 30.0
    emission: Emission = TO_C

    State = TwoStates

    def initial(self):
        return TwoStates(-65.0, -13.0)

    def update(self, state, inputs, dt, xp):
        v = state.v
        for _ in range(2):
            v = v + dt / 2 * (0.04 * v**2 + 5 * v + 140 - state.u + inputs)
        return TwoStates(v, state.u + dt * self.a * (self.b * v - state.u))

    def after_spike(self, state, spikes, dt, xp):
        return state._replace(u=state.u + spikes * self.d)


@dataclass(frozen=True, kw_only=True, slots=True)
class Everything(Neuron[TwoStates]):
    """A neuron of no meaning that uses each word of the vocabulary."""

    tau: Any = 6.0
    low: Any = -1.5
    scale: Any = 0.3
    v_th: Any = 0.8
    emission: Emission = SUBTRACT

    State = TwoStates

    def initial(self):
        return TwoStates(0.1, 0.2)

    def update(self, state, inputs, dt, xp):
        drive = xp.tanh(inputs) + self.scale * xp.exp(-xp.abs(state.v))
        growth = xp.log(1 + state.u * state.u) - xp.sqrt(0.5 + state.v**2) / 4
        near = xp.logical_and(state.v > self.low, xp.logical_not(state.u >= 1.5))
        moves = xp.logical_or(near, inputs < 0)
        v = xp.where(moves, state.v * xp.exp(-dt / self.tau) + drive, xp.maximum(state.v, -2.0) * 0.5)
        u = xp.minimum(xp.maximum(0.9 * state.u + self.scale * growth, self.low), 2.0 - state.u**3 / 50)
        return TwoStates(v + 0.05 * u, u)


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoPorts(Neuron[OneState]):
    """A leaky neuron that one current drives and another one shunts."""

    tau: Any = 7.0
    v_th: Any = 1.0
    emission: Emission = SUBTRACT

    State = OneState
    ports = ("i_exc", "i_shunt")

    def initial(self):
        return OneState(0.0)

    def update(self, state, inputs, dt, xp):
        driven, shunted = inputs
        return OneState(state.v * xp.exp(-dt / self.tau) / (1 + xp.abs(shunted)) + driven)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counter(Neuron[OneState]):
    """Adds up its input a whole number of times; `times` is structure, not a number."""

    times: int = 2
    v_th: Any = 1.0
    emission: Emission = UNTOUCHED

    State = OneState

    def initial(self):
        return OneState(0.0)

    def update(self, state, inputs, dt, xp):
        v = state.v
        for _ in range(self.times):
            v = v + inputs
        return OneState(v)

r"""Low-pass filters: one time constant, or a bank with several for each input.

    tau dy/dt = -y,   y += x   when the input x of a step arrives:   y <- exp(-dt/tau) y + x

Exact for any dt. Synaptic current, STDP and eligibility trace, sliding average, leaky read-out. With normalise=True
the input is scaled by 1 - exp(-dt/tau), so that a constant input is passed on with gain 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import ParameterError, ShapeError
from ..ops import A, Ops
from .filter import Filter, Value, check_kind, positive


class Leak(NamedTuple):
    """What a step keeps of the state, and what it takes of the input."""

    decay: Value
    gain: Value


def leak(tau: Value, dt: float, xp: Ops[Any], normalise: bool) -> Leak:
    """The coefficients for a time constant tau (a float, an array, a tensor or a symbol) and steps of dt, in ms."""
    plain = isinstance(tau, float) and isinstance(dt, (int, float))
    decay = math.exp(-dt / tau) if plain else xp.exp(-dt / tau)  # a float keeps the precision of the input
    return Leak(decay, 1.0 - decay if normalise else 1.0)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LowPass(Filter[Leak]):
    """A low-pass filter: x (B, *shape) to y (B, *shape).

    tau: in ms, one, or an array or tensor that broadcasts to (B, *shape), such as one for each neuron.
    """

    tau: Value
    normalise: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", positive("LowPass.tau", self.tau))

    def parameters(self) -> dict[str, Value]:
        return {"tau": self.tau}

    def initial(self, x: A) -> tuple[A, ...]:
        check_kind("LowPass.tau", self.tau, x)
        check_fits("LowPass.tau", self.tau, np.shape(x))
        return (x * 0.0,)

    def coefficients(self, dt: float, xp: Ops[Any]) -> Leak:
        return leak(self.tau, dt, xp, self.normalise)

    def step(self, state: tuple[A, ...], x: A, coefficients: Leak) -> tuple[A, tuple[A, ...]]:
        y = coefficients.decay * state[0] + coefficients.gain * x
        return y, (y,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LogSpaced(Filter[Leak]):
    """A bank of n low-pass filters: x (B, *shape) to y (B, *shape, n).

    tau_min, tau_max: in ms, the first and the last of n time constants with a constant ratio. taus: the n time
    constants themselves, where they are learnt; its last axis is n, it broadcasts to (B, *shape, n).
    """

    tau_min: float
    tau_max: float
    n: int
    taus: Value = None
    normalise: bool = False

    def __post_init__(self) -> None:
        for name in ("tau_min", "tau_max"):
            if not isinstance(value := positive(f"LogSpaced.{name}", getattr(self, name)), float):
                raise ParameterError(f"LogSpaced.{name} must be one time in ms, got {value!r}; give several as taus")
            object.__setattr__(self, name, value)
        if self.tau_min > self.tau_max:
            raise ParameterError(f"LogSpaced.tau_min must be at most tau_max, got {self.tau_min} and {self.tau_max}")
        if not isinstance(self.n, (int, np.integer)) or isinstance(self.n, bool) or self.n < 1:
            raise ParameterError(f"LogSpaced.n must be a positive number of filters, got {self.n!r}")
        object.__setattr__(self, "n", int(self.n))
        if self.taus is not None:
            object.__setattr__(self, "taus", positive("LogSpaced.taus", self.taus))
            if np.shape(self.taus)[-1:] != (self.n,):
                raise ShapeError(f"LogSpaced.taus must have a last axis of n = {self.n}, got {np.shape(self.taus)}")

    def time_constants(self) -> Value:
        """The n time constants in ms: taus, or those between tau_min and tau_max."""
        return np.geomspace(self.tau_min, self.tau_max, self.n) if self.taus is None else self.taus

    def parameters(self) -> dict[str, Value]:
        return {"taus": self.time_constants()}

    def initial(self, x: A) -> tuple[A, ...]:
        taus = self.time_constants()
        check_kind("LogSpaced.taus", taus, x)
        check_fits("LogSpaced.taus", taus, (*np.shape(x), self.n))
        return (x[..., None] * (taus * 0.0),)

    def coefficients(self, dt: float, xp: Ops[Any]) -> Leak:
        return leak(self.time_constants(), dt, xp, self.normalise)

    def step(self, state: tuple[A, ...], x: A, coefficients: Leak) -> tuple[A, tuple[A, ...]]:
        y = coefficients.decay * state[0] + coefficients.gain * x[..., None]
        return y, (y,)


def check_fits(owner: str, tau: Value, shape: tuple[int, ...]) -> None:
    """Raises ShapeError unless tau broadcasts to the shape of the state."""
    own = tuple(getattr(tau, "shape", ()))
    if len(own) > len(shape) or any(a not in (1, b) for a, b in zip(own[::-1], shape[::-1], strict=False)):
        raise ShapeError(f"{owner} of shape {own} must broadcast to the shape of the state, {tuple(shape)}")

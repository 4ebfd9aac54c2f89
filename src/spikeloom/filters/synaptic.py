r"""Synaptic currents of second order: a rise and a decay.

    DoubleExponential:   tau_r dr/dt = -r,   tau_d dd/dt = -d,   r += x and d += x at an input x;   y = r - d
    Alpha:               tau da/dt = -a,     tau dy/dt = -y + e a,   a += x

Both are exact for any dt. SPAIC's `2_order_synapse` is the first, with tau_r 9 ms and tau_d 2 ms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import ParameterError
from ..ops import A, Ops
from .filter import Filter, Value, check_kind, positive
from .low_pass import LowPass, check_fits, leak


class Difference(NamedTuple):
    """What a step keeps of r and of d, and what the difference is multiplied by."""

    slow: Value
    fast: Value
    scale: Value


class Cascade(NamedTuple):
    """What a step keeps of a and y, and how much of a goes over into y."""

    decay: Value
    rise: Value


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DoubleExponential(Filter[Difference]):
    """The difference of two low-pass filters: x (B, *shape) to y (B, *shape).

    An input of 1 gives y(t) = exp(-t / tau_r) - exp(-t / tau_d), from 0 at its arrival. tau_r, tau_d: in ms, tau_r the
    longer one, each a number or an array or tensor that broadcasts to (B, *shape). normalise: the peak of y is 1.
    """

    tau_r: Value
    tau_d: Value
    normalise: bool = False

    def __post_init__(self) -> None:
        for name in ("tau_r", "tau_d"):
            object.__setattr__(self, name, positive(f"DoubleExponential.{name}", getattr(self, name)))
        longer = self.tau_r > self.tau_d
        if not (longer if isinstance(longer, bool) else bool(longer.all())):
            raise ParameterError(
                f"DoubleExponential.tau_r must be longer than tau_d, got {self.tau_r!r} and {self.tau_d!r}; "
                "for one time constant use Alpha"
            )

    def parameters(self) -> dict[str, Value]:
        return {"tau_r": self.tau_r, "tau_d": self.tau_d}

    def initial(self, x: A) -> tuple[A, ...]:
        for name, tau in self.parameters().items():
            check_kind(f"DoubleExponential.{name}", tau, x)
            check_fits(f"DoubleExponential.{name}", tau, np.shape(x))
        return (x * 0.0, x * 0.0)

    def coefficients(self, dt: float, xp: Ops[Any]) -> Difference:
        slow, fast = (leak(tau, dt, xp, False).decay for tau in (self.tau_r, self.tau_d))
        return Difference(slow, fast, self._scale(xp) if self.normalise else 1.0)

    def _scale(self, xp: Ops[Any]) -> Value:
        """One over the largest value of the response, at t = log(tau_r / tau_d) tau_r tau_d / (tau_r - tau_d)."""
        rest = self.tau_r - self.tau_d
        ratio = self.tau_d / self.tau_r
        powers = (xp.exp(xp.log(ratio) * (tau / rest)) for tau in (self.tau_d, self.tau_r))
        first, second = powers
        return 1.0 / (first - second)

    def step(self, state: tuple[A, ...], x: A, coefficients: Difference) -> tuple[A, tuple[A, ...]]:
        r = coefficients.slow * state[0] + x
        d = coefficients.fast * state[1] + x
        return coefficients.scale * (r - d), (r, d)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Alpha(Filter[Cascade]):
    """The alpha function: an input of 1 gives y(t) = (t / tau) exp(1 - t / tau), whose peak is 1 at t = tau.

    x (B, *shape) to y (B, *shape). tau: in ms, one, or an array or tensor that broadcasts to (B, *shape).
    """

    tau: Value

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", positive("Alpha.tau", self.tau))

    def parameters(self) -> dict[str, Value]:
        return {"tau": self.tau}

    def initial(self, x: A) -> tuple[A, ...]:
        check_kind("Alpha.tau", self.tau, x)
        check_fits("Alpha.tau", self.tau, np.shape(x))
        return (x * 0.0, x * 0.0)

    def coefficients(self, dt: float, xp: Ops[Any]) -> Cascade:
        decay = leak(self.tau, dt, xp, False).decay
        return Cascade(decay, decay * (math.e * dt / self.tau))

    def step(self, state: tuple[A, ...], x: A, coefficients: Cascade) -> tuple[A, tuple[A, ...]]:
        y = coefficients.decay * state[1] + coefficients.rise * state[0]
        return y, (coefficients.decay * state[0] + x, y)


def first_order_synapse(tau: Value = 2.0) -> LowPass:
    """SPAIC's `1_order_synapse`: a current that jumps at a spike and decays with tau ms."""
    return LowPass(tau=tau)


def second_order_synapse(tau_r: Value = 9.0, tau_d: Value = 2.0) -> DoubleExponential:
    """SPAIC's `2_order_synapse`: the difference of a current that decays with tau_r ms and one with tau_d ms."""
    return DoubleExponential(tau_r=tau_r, tau_d=tau_d)

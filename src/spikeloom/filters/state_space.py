r"""A dense linear state-space system, discretised by exact zero-order hold.

    dh/dt = A h + B x,   y = C h + D x,   with x constant over each step and y read at its end

Over a step h grows by E h + F x, E = exp(A dt) - 1, F = integral of exp(A s) ds B. The series of E and F over a
fraction dt / 2^s is doubled s times (scaling and squaring), in products and sums alone: it is exact to rounding on
every kind of array, and gradients flow to A and B. Legendre memory (Voelker et al. 2019), any linear ODE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..ops import A as Arrays
from ..ops import Ops
from .filter import Filter, Value, check_kind, checked

_TERMS = 18
"""The next term of the series is below 1 / 19! = 8e-18 for a matrix of norm 1."""


class Hold(NamedTuple):
    """What a step adds to h, and what is read from it; transposed, for rows on the last axis. None: C is 1, D is 0."""

    E: Value
    F: Value
    C: Value
    D: Value


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StateSpace(Filter[Hold]):
    """A dense system: x (B, *shape, m) to y (B, *shape, p), with a state of size n.

    A (n, n) and B (n, m) in 1/ms; C (p, n), by default 1; D (p, m), by default 0.
    """

    matrices: ClassVar[tuple[str, ...]] = ("A", "B", "C", "D")

    A: Value
    B: Value
    C: Value = None
    D: Value = None

    def __post_init__(self) -> None:
        for name, value in self.parameters().items():
            value = checked(f"StateSpace.{name}", value)
            if len(np.shape(value)) != 2:
                raise ShapeError(f"StateSpace.{name} must be a matrix, got shape {np.shape(value)}")
            object.__setattr__(self, name, value)
        n, m = np.shape(self.B)
        p = n if self.C is None else np.shape(self.C)[0]
        expected = {"A": (n, n), "B": (n, m), "C": (p, n), "D": (p, m)}
        for name, value in self.parameters().items():
            if tuple(value.shape) != expected[name]:
                shapes = f"expected {expected[name]} beside B of shape {(n, m)}"
                raise ShapeError(f"StateSpace.{name} does not fit: {shapes}, got {tuple(value.shape)}")

    def parameters(self) -> dict[str, Value]:
        optional = {"C": self.C, "D": self.D}
        return {"A": self.A, "B": self.B} | {name: value for name, value in optional.items() if value is not None}

    def initial(self, x: Arrays) -> tuple[Arrays, ...]:
        for name, value in self.parameters().items():
            check_kind(f"StateSpace.{name}", value, x)
        m = self.B.shape[1]
        if np.shape(x)[-1:] != (m,):
            raise ShapeError(f"StateSpace: the last axis of the input must be {m}, as B has it, got {np.shape(x)}")
        return ((x @ self.B.T) * 0.0,)

    def coefficients(self, dt: float, xp: Ops[Any]) -> Hold:
        norm = float(xp.stop_gradient(xp.abs(self.A).sum(-1).max())) * dt
        doublings = max(0, math.frexp(norm)[1])
        h = math.ldexp(dt, -doublings)
        e_term, f_term = h * self.A, h * self.B
        e, f = e_term, f_term
        for k in range(2, _TERMS + 1):
            e_term, f_term = (h / k) * (self.A @ e_term), (h / k) * (self.A @ f_term)
            e, f = e + e_term, f + f_term
        for _ in range(doublings):
            e, f = 2.0 * e + e @ e, 2.0 * f + e @ f
        return Hold(e.T, f.T, None if self.C is None else self.C.T, None if self.D is None else self.D.T)

    def step(self, state: tuple[Arrays, ...], x: Arrays, coefficients: Hold) -> tuple[Arrays, tuple[Arrays, ...]]:
        e, f, c, d = coefficients
        h = state[0] + state[0] @ e + x @ f
        y = h if c is None else h @ c
        return (y if d is None else y + x @ d), (h,)

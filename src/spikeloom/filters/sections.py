"""A chain of second-order sections, such as `scipy.signal.bessel(..., output="sos")` designs.

    y = b0 x + z1,   z1 <- b1 x - a1 y + z2,   z2 <- b2 x - a2 y      (transposed direct form II)

The coefficients are discrete already: they belong to the sampling rate of their design, 1000 / dt Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import ParameterError, ShapeError
from ..ops import A, Ops
from ..units import check_dt
from .filter import Filter, Value, checked


class Sections(NamedTuple):
    """For each section b0, b1, b2, a1, a2."""

    rows: tuple[tuple[Value, Value, Value, Value, Value], ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SecondOrderSections(Filter[Sections]):
    """A chain of second-order sections: x (B, *shape) to y (B, *shape).

    sos: (n_sections, 6) as SciPy has it: b0, b1, b2, 1, a1, a2. The state holds z1, z2 of each section in turn.
    dt: the step in ms it was designed for; when given, a run at another step is an error.
    """

    matrices: ClassVar[tuple[str, ...]] = ("sos",)

    sos: Value
    dt: float | None = None

    def __post_init__(self) -> None:
        sos = checked("SecondOrderSections.sos", self.sos)
        shape = tuple(np.shape(sos))
        if len(shape) != 2 or shape[0] < 1 or shape[1] != 6:
            raise ShapeError(f"SecondOrderSections.sos must have shape (n_sections, 6), got {shape}")
        if not bool((sos[:, 3] == 1).all()):
            raise ParameterError(f"SecondOrderSections.sos[:, 3] must be 1, got {sos[:, 3]}; divide each row by it")
        object.__setattr__(self, "sos", sos)
        if self.dt is not None:
            object.__setattr__(self, "dt", check_dt(self.dt, "SecondOrderSections.dt"))

    def parameters(self) -> dict[str, Value]:
        return {"sos": self.sos}

    def initial(self, x: A) -> tuple[A, ...]:
        return (x * 0.0,) * (2 * len(self.sos))

    def coefficients(self, dt: float, xp: Ops[Any]) -> Sections:
        if self.dt is not None and abs(dt - self.dt) > 1e-9 * dt:
            raise ParameterError(f"SecondOrderSections was designed for dt = {self.dt} ms, got {dt}; design it anew")
        rows = self.sos.tolist() if isinstance(self.sos, np.ndarray) else self.sos
        return Sections(tuple((b0, b1, b2, a1, a2) for b0, b1, b2, _, a1, a2 in rows))

    def step(self, state: tuple[A, ...], x: A, coefficients: Sections) -> tuple[A, tuple[A, ...]]:
        after: list[A] = []
        for (b0, b1, b2, a1, a2), z1, z2 in zip(coefficients.rows, state[::2], state[1::2], strict=True):
            y = b0 * x + z1
            after += (b1 * x - a1 * y + z2, b2 * x - a2 * y)
            x = y
        return x, tuple(after)

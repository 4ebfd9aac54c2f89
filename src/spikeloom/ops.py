"""The closed vocabulary in which neurons, emissions and filters are written.

`Ops` has one implementation each for NumPy arrays (here), SymPy symbols (here, imported late) and torch tensors
(`spikeloom.backends.ops`). Arithmetic (+ - * / **) and comparisons (< <= > >= ==) are the array's own operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

A = TypeVar("A", bound=Any)
Array: TypeAlias = Any
"""A NumPy array, a torch tensor or a SymPy expression, where more cannot be said."""


class Ops(Protocol[A]):
    """Elementwise functions; each takes arrays and plain floats alike."""

    def exp(self, x: A | float) -> A: ...
    def log(self, x: A | float) -> A: ...
    def tanh(self, x: A | float) -> A: ...
    def sqrt(self, x: A | float) -> A: ...
    def abs(self, x: A | float) -> A: ...
    def floor(self, x: A | float) -> A:
        """The greatest whole number that is not above x; its derivative is 0."""

    def where(self, condition: Any, a: A | float, b: A | float) -> A:
        """a where the condition holds, else b."""

    def minimum(self, a: A | float, b: A | float) -> A: ...
    def maximum(self, a: A | float, b: A | float) -> A: ...
    def logical_and(self, a: Any, b: Any) -> Any: ...
    def logical_or(self, a: Any, b: Any) -> Any: ...
    def logical_not(self, a: Any) -> Any: ...
    def stop_gradient(self, x: A) -> A:
        """x, as a constant to differentiation."""

    def stack(self, arrays: Sequence[A], axis: int = 0) -> A:
        """The arrays as one, along a new axis."""


class NumpyOps:
    """The vocabulary on NumPy arrays."""

    exp = staticmethod(np.exp)
    log = staticmethod(np.log)
    tanh = staticmethod(np.tanh)
    sqrt = staticmethod(np.sqrt)
    abs = staticmethod(np.abs)
    floor = staticmethod(np.floor)
    minimum = staticmethod(np.minimum)
    maximum = staticmethod(np.maximum)
    logical_and = staticmethod(np.logical_and)
    logical_or = staticmethod(np.logical_or)
    logical_not = staticmethod(np.logical_not)

    @staticmethod
    def where(condition: Any, a: Any, b: Any) -> NDArray[Any]:
        return np.asarray(np.where(condition, a, b))

    @staticmethod
    def stop_gradient(x: NDArray[Any]) -> NDArray[Any]:
        return x

    @staticmethod
    def stack(arrays: Sequence[NDArray[Any]], axis: int = 0) -> NDArray[Any]:
        return np.stack(arrays, axis)


class SympyOps:
    """The vocabulary on SymPy expressions."""

    def __init__(self) -> None:
        import sympy as sp

        self.exp, self.log, self.tanh, self.sqrt, self.abs = sp.exp, sp.log, sp.tanh, sp.sqrt, sp.Abs
        self.floor, self.minimum, self.maximum = sp.floor, sp.Min, sp.Max
        self.logical_and, self.logical_or, self.logical_not = sp.And, sp.Or, sp.Not
        self._piecewise = sp.Piecewise

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return self._piecewise((a, condition), (b, True))

    @staticmethod
    def stop_gradient(x: Any) -> Any:
        return x

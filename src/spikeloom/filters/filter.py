"""The base of every filter: a linear state-space system over time, in step mode and in scan mode.

    h <- A h + B x,   y = C h + D x

The state takes in the input of a step before the output is read. A filter is parameters (frozen); its state goes in
and comes out. It runs on NumPy arrays, torch tensors and, step by step, on SymPy symbols.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar

import numpy as np

from ..errors import ParameterError, ShapeError, UnsupportedError
from ..ops import A, Ops
from ..units import check_dt

C = TypeVar("C", bound=tuple[Any, ...])
Value: TypeAlias = Any
"""A parameter's value: a float, an array, or a tensor, through which gradients flow."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Filter(ABC, Generic[C]):
    """A linear filter over time; C is the NamedTuple of its discretised coefficients.

    Arrays among the parameters are of the kind of the input: NumPy arrays, or tensors put in place with `bound`.
    matrices: the names of those whose numbers have places of their own, and never stand one for each neuron.
    """

    matrices: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def parameters(self) -> dict[str, Value]:
        """The values that may be learnt, by name; `bound` takes them back."""

    @abstractmethod
    def initial(self, x: A) -> tuple[A, ...]:
        """The state of zeros for an input of one step x, (B, *shape)."""

    @abstractmethod
    def coefficients(self, dt: float, xp: Ops[Any]) -> C:
        """The exact discretisation for steps of dt ms; gradients flow from it to the parameters."""

    @abstractmethod
    def step(self, state: tuple[A, ...], x: A, coefficients: C) -> tuple[A, tuple[A, ...]]:
        """Output and state after one step with the input x, (B, *shape)."""

    def scan(self, x: A, dt: float, xp: Ops[A], state: tuple[A, ...] | None = None) -> tuple[A, tuple[A, ...]]:
        """Outputs (T, B, *shape) of all steps of x, (T, B, *shape), and the last state.

        state: where an earlier run ended; zeros by default. Raises ShapeError for an input without steps or a state
        of another shape.
        """
        name = type(self).__name__
        if len(getattr(x, "shape", ())) == 0 or len(x) == 0:
            raise ShapeError(f"{name}.scan: x must be an array (T, B, *shape) with T >= 1, got {np.shape(x)}")
        frames = list(x)  # one split and one stack: indexing each step would make the backward pass O(T^2)
        zeros = self.initial(xp.stop_gradient(frames[0]))
        state = zeros if state is None else state
        expected, given = ([tuple(np.shape(part)) for part in parts] for parts in (zeros, state))
        if expected != given:
            raise ShapeError(f"{name}.scan: state must hold arrays of shapes {expected}, got {given}")
        coefficients = self.coefficients(check_dt(dt, f"{name}.scan: dt"), xp)
        outputs: list[A] = []
        for frame in frames:
            y, state = self.step(state, frame, coefficients)
            outputs.append(y)
        return xp.stack(outputs), state

    def bound(self, values: Mapping[str, Value]) -> Self:
        """The same filter with these parameters in place, unchecked: tensors, symbols."""
        twin = object.__new__(type(self))
        for f in fields(self):
            object.__setattr__(twin, f.name, values.get(f.name, getattr(self, f.name)))
        return twin

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = (f.name for f in fields(self))
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)

    def __hash__(self) -> int:
        return hash((type(self), *(v for v in self.parameters().values() if isinstance(v, float))))


def _same(a: Value, b: Value) -> bool:
    """Whether two values are one: tensors by identity, since each may learn apart."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    plain = (bool, int, float, type(None))
    return a is b or (isinstance(a, plain) and isinstance(b, plain) and a == b)


def checked(owner: str, value: Value) -> Value:
    """The value as a float, a floating-point array of its own, or the tensor it is; ParameterError for others."""
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError as error:
            raise ParameterError(f"{owner} must be finite, got {value!r:.80}") from error
    elif isinstance(value, (np.ndarray, list, tuple)):
        value = _array(owner, value)
    elif not (hasattr(value, "shape") and hasattr(value, "requires_grad")):
        raise ParameterError(f"{owner} must be a number, an array of numbers or a tensor, got {value!r}")
    if not _every(abs(value) < math.inf):
        raise ParameterError(f"{owner} must be finite, got {value!r}")
    return value


def positive(owner: str, value: Value, what: str = "time in ms") -> Value:
    """The checked value; ParameterError unless each of its numbers is positive. what: what the message calls it."""
    value = checked(owner, value)
    if not _every(value > 0):
        raise ParameterError(f"{owner} must be a positive {what}, got {value!r}")
    return value


def check_kind(owner: str, value: Value, x: Any) -> None:
    """Raises UnsupportedError when one of a parameter and the input is a NumPy array and the other a tensor."""
    if hasattr(value, "shape") and isinstance(value, np.ndarray) != isinstance(x, (np.ndarray, np.generic)):
        kinds = f"is a {type(value).__name__} and the input a {type(x).__name__}"
        raise UnsupportedError(f"{owner} {kinds}; convert one of them, a parameter with bound({{name: value}})")


def _every(condition: Any) -> bool:
    return condition if isinstance(condition, bool) else bool(condition.all())


def _array(owner: str, value: Any) -> np.ndarray[Any, Any]:
    try:
        array = np.array(value)
    except ValueError as error:
        raise ParameterError(f"{owner} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "iuf":
        raise ParameterError(f"{owner} must be an array of real numbers, got dtype {array.dtype}")
    return array if array.dtype.kind == "f" else array.astype(np.float64)

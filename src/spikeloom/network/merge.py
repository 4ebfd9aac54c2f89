"""Nodes without state that join the outputs of several populations, for connections to start from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..errors import ParameterError, ShapeError
from ..registry import Registry, resolve_keywords
from .component import Component
from .ends import exit_of
from .relations import nodes_behind

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Operation(ABC):
    """What a merge node makes of the outputs of its inputs in the same step; its fields are its options."""

    n_inputs: ClassVar[int | None] = None
    """How many inputs it takes; None: two or more."""

    @abstractmethod
    def shape(self, owner: str, shapes: Sequence[Shape]) -> Shape:
        """The shape of the result, without time and batch; ShapeError where the inputs do not fit each other."""

    @abstractmethod
    def apply(self, inputs: Sequence[Tensor]) -> Tensor:
        """The result (T, B, *shape) of inputs (T, B, *their shapes)."""


class _Elementwise(Operation):
    """An operation on populations of one shape."""

    def shape(self, owner: str, shapes: Sequence[Shape]) -> Shape:
        if len(set(shapes)) > 1:
            raise ShapeError(f"{owner}: its inputs must have one shape, got {', '.join(map(str, shapes))}")
        return shapes[0]


@dataclass(frozen=True, kw_only=True)
class Sum(_Elementwise):
    """a + b + ..."""

    def apply(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(torch.add, inputs)


@dataclass(frozen=True, kw_only=True)
class Product(_Elementwise):
    """a * b * ...: of spikes, the coincidences."""

    def apply(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(torch.mul, inputs)


@dataclass(frozen=True, kw_only=True)
class Ratio(_Elementwise):
    """a / (b + offset); offset: what keeps a silent denominator from zero, in units of b."""

    n_inputs = 2
    offset: float = 1.0

    def __post_init__(self) -> None:
        number = isinstance(self.offset, (int, float)) and not isinstance(self.offset, bool)
        if not number or not 0 < self.offset < math.inf:
            raise ParameterError(f"ratio.offset must be a positive number, got {self.offset!r}")

    def apply(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0] / (inputs[1] + self.offset)


@dataclass(frozen=True, kw_only=True)
class Concatenation(Operation):
    """The populations one behind the other along an axis of their shape, the first unless axis= says otherwise."""

    axis: int = 0

    def shape(self, owner: str, shapes: Sequence[Shape]) -> Shape:
        n = len(shapes[0])
        if not isinstance(self.axis, int) or isinstance(self.axis, bool) or not 0 <= self.axis < n:
            raise ParameterError(f"{owner}.axis must be an axis of {shapes[0]}, from 0 to {n - 1}, got {self.axis!r}")
        rest = {(*shape[: self.axis], *shape[self.axis + 1 :]) for shape in shapes}
        if len({len(shape) for shape in shapes}) > 1 or len(rest) > 1:
            got = ", ".join(map(str, shapes))
            raise ShapeError(f"{owner}: its inputs must have one shape but for axis {self.axis}, got {got}")
        size = sum(shape[self.axis] for shape in shapes)
        return (*shapes[0][: self.axis], size, *shapes[0][self.axis + 1 :])

    def apply(self, inputs: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(inputs), self.axis + 2)


@dataclass(frozen=True, kw_only=True)
class MatMul(Operation):
    """The matrix product a b over the last two axes, times scale; with transpose, a^T b. Earlier axes are equal."""

    n_inputs = 2
    scale: float = 1.0
    transpose: bool = False

    def __post_init__(self) -> None:
        number = isinstance(self.scale, (int, float)) and not isinstance(self.scale, bool)
        if not number or not math.isfinite(self.scale):
            raise ParameterError(f"matmul.scale must be a finite number, got {self.scale!r}")

    def shape(self, owner: str, shapes: Sequence[Shape]) -> Shape:
        a, b = shapes
        if len(a) < 2 or len(a) != len(b) or a[:-2] != b[:-2]:
            raise ShapeError(f"{owner}: its inputs must be matrices, (..., n, k) and (..., k, m), got {a} and {b}")
        n, k = (a[-1], a[-2]) if self.transpose else (a[-2], a[-1])
        if k != b[-2]:
            raise ShapeError(f"{owner}: the inner sizes must be equal, got {k} and {b[-2]} in {a} and {b}")
        return (*a[:-2], n, b[-1])

    def apply(self, inputs: Sequence[Tensor]) -> Tensor:
        a, b = inputs
        found = torch.matmul(a.transpose(-1, -2) if self.transpose else a, b)
        return found if self.scale == 1.0 else found * self.scale


MERGES: Registry[type[Operation]] = Registry("merge")
for _name, _operation in (
    ("sum", Sum),
    ("product", Product),
    ("ratio", Ratio),
    ("concatenation", Concatenation),
    ("matmul", MatMul),
):
    MERGES.add(_name, _operation)


class Merge(Component):
    """`Merge(a, b, ..., operation='sum')`: a source of connections that joins the outputs of others, without state.

    Its inputs are neuron groups, encoders, modules or merges. operation: 'sum', 'product', 'ratio' (a / (b + offset)),
    'concatenation' (axis=0), 'matmul' (scale=1, transpose=False), with its options, or an Operation. It takes no time:
    in every step it joins what its inputs put out in that step. A connection from it takes the step of a loop where
    one of its inputs lies in that loop.
    """

    kind = "merge"

    def __init__(
        self, *inputs: Component, operation: str | Operation = "sum", name: str | None = None, **options: Any
    ) -> None:
        owner = f"Merge {name!r}" if name else "Merge"
        self.operation = _operation_of(owner, operation, options)
        self.inputs = tuple(map(exit_of, inputs))
        self.check_fit()
        super().__init__(name)

    @property
    def shape(self) -> Shape:
        """The shape of what it puts out, from those of its inputs; of the merges behind it each is asked once."""
        shapes: dict[int, Shape] = {}
        for node in nodes_behind([self]):
            inputs = [shapes.get(id(part)) or part.shape for part in node.refers_to()]  # type: ignore[attr-defined]
            if isinstance(node, Merge):
                owner = f"Merge ({type(node.operation).__name__.lower()})"
                shapes[id(node)] = node.operation.shape(owner, inputs)
        return shapes[id(self)]

    @property
    def num(self) -> int:
        """How many values it puts out."""
        return math.prod(self.shape)

    def check_fit(self) -> None:
        """Raises where its inputs are no sources, too few or too many, or do not fit each other."""
        wanted = type(self.operation).n_inputs
        for part in self.inputs:
            if not hasattr(part, "shape"):
                raise ParameterError(f"Merge: an input must be a population or a node, got {type(part).__name__}")
        if len(self.inputs) < 2 or wanted not in (None, len(self.inputs)):
            count = "two or more" if wanted is None else wanted
            kind = type(self.operation).__name__.lower()
            raise ParameterError(f"Merge ({kind}) takes {count} inputs, got {len(self.inputs)}")
        _ = self.shape


def _operation_of(owner: str, operation: str | Operation, options: dict[str, Any]) -> Operation:
    if isinstance(operation, Operation):
        if options:
            raise ParameterError(f"{owner}: the operation is given as an object; give {', '.join(options)} to it")
        return operation
    kind = MERGES[operation]
    label = f"{owner}, operation {MERGES.name_of(operation)!r}"
    known = [f.name for f in fields(kind)]
    return kind(**resolve_keywords(label, "merge option", options, known))

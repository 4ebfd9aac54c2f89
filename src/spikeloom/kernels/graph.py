"""Expressions as a graph: what a neuron's lines become when they are called with symbols.

Equal expressions are one node, so that common parts are computed once, and the order of the operations is that of the
lines: a kernel rounds as the lines themselves do on tensors. Only what changes no result is simplified.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import UnsupportedError


class TraceError(UnsupportedError, AttributeError):
    """Lines that cannot be turned into an expression."""


BOOLEAN = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})
"""The operations that give true or false."""

_PYTHON: Mapping[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "neg": operator.neg,
    "exp": math.exp, "log": math.log, "tanh": math.tanh, "sqrt": math.sqrt, "abs": abs, "floor": math.floor,
    "min": min, "max": max,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip

_MAX_POWER = 8


class Expr:
    """A node: an operation on other nodes, a symbol (its value is the name) or a constant (its value is the number)."""

    __slots__ = ("args", "graph", "op", "value")

    graph: Graph
    op: str
    args: tuple[Expr, ...]
    value: Any

    def __init__(self, graph: Graph, op: str, args: tuple[Expr, ...], value: Any) -> None:
        self.graph, self.op, self.args, self.value = graph, op, args, value

    @property
    def is_bool(self) -> bool:
        """Whether it is true or false, not a number."""
        return self.op in BOOLEAN

    @property
    def is_constant(self) -> bool:
        return self.op == "const"

    def _with(self, op: str, other: Any, *, turned: bool = False) -> Any:
        try:
            node = self.graph.of(other)
        except TypeError:
            return NotImplemented
        return self.graph.node(op, node, self) if turned else self.graph.node(op, self, node)

    def __add__(self, other: Any) -> Any:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Any:
        return self._with("add", other, turned=True)

    def __sub__(self, other: Any) -> Any:
        return self._with("sub", other)

    def __rsub__(self, other: Any) -> Any:
        return self._with("sub", other, turned=True)

    def __mul__(self, other: Any) -> Any:
        return self._with("mul", other)

    def __rmul__(self, other: Any) -> Any:
        return self._with("mul", other, turned=True)

    def __truediv__(self, other: Any) -> Any:
        return self._with("div", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with("div", other, turned=True)

    def __neg__(self) -> Expr:
        return self.graph.node("neg", self)

    def __pos__(self) -> Expr:
        return self

    def __abs__(self) -> Expr:
        return self.graph.node("abs", self)

    def __pow__(self, power: Any) -> Expr:
        if not isinstance(power, (int, float, np.number)) or (abs(power) != 0.5 and not _is_small_integer(power)):
            raise TraceError(f"the power {power!r} is not a whole number up to {_MAX_POWER}; use xp.exp and xp.log")
        product: Any = self.graph.node("sqrt", self) if abs(power) == 0.5 else 1.0
        for _ in range(abs(int(power))):
            product = self * product
        return self.graph.of(product if power >= 0 else 1.0 / product)

    def __lt__(self, other: Any) -> Any:
        return self._with("lt", other)

    def __le__(self, other: Any) -> Any:
        return self._with("le", other)

    def __gt__(self, other: Any) -> Any:
        return self._with("gt", other)

    def __ge__(self, other: Any) -> Any:
        return self._with("ge", other)

    def __eq__(self, other: object) -> Any:
        return self._with("eq", other)

    def __ne__(self, other: object) -> Any:
        return self._with("ne", other)

    def __and__(self, other: Any) -> Any:
        return self._with("and", other)

    def __or__(self, other: Any) -> Any:
        return self._with("or", other)

    def __invert__(self) -> Expr:
        return self.graph.node("not", self)

    __hash__ = object.__hash__
    __array_ufunc__ = None

    def __bool__(self) -> bool:
        raise TraceError("a value of the run decides which lines run; use xp.where(condition, a, b)")

    def __float__(self) -> float:
        raise TraceError("a value of the run is used as a plain number; use the functions of xp, such as xp.exp")

    __int__ = __index__ = __float__

    def __iter__(self) -> Iterator[Any]:
        raise TraceError("a value of the run is one number for each neuron: it has no parts")

    def __getattr__(self, name: str) -> Any:
        raise TraceError(f"a value of the run has no {name!r}; use the functions of xp and plain arithmetic")

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.args))
        return f"{self.op}({inside})" if self.args else str(self.value)


def _is_small_integer(power: Any) -> bool:
    return float(power).is_integer() and abs(power) <= _MAX_POWER


class Graph:
    """The nodes of one trace."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[Any, ...], Expr] = {}

    def symbol(self, name: str) -> Expr:
        """The symbol of that name."""
        return self._kept("symbol", (), name)

    def constant(self, value: float) -> Expr:
        """The node of a number."""
        return self._kept("const", (), float(value))

    def of(self, value: Any) -> Expr:
        """A node as it is, a number as a constant; TypeError for anything else."""
        if isinstance(value, Expr):
            return value
        if isinstance(value, (bool, int, float, np.number, np.bool_)) or (
            isinstance(value, np.ndarray) and value.ndim == 0
        ):
            return self.constant(float(value))
        raise TypeError(f"{type(value).__name__} cannot stand in an expression of the run")

    def node(self, op: str, *args: Expr) -> Expr:
        """An operation on nodes, simplified where that changes no result."""
        if op in ("and", "or", "not"):
            if not all(a.is_bool for a in args):
                raise TraceError(f"xp.logical_{op} takes comparisons, not numbers; compare first")
            return self._kept(op, args, None)
        args = tuple(self._as_number(a) if a.is_bool and not (op == "where" and k == 0) else a
                     for k, a in enumerate(args))  # fmt: skip
        if op in _PYTHON and op not in BOOLEAN and all(a.is_constant for a in args):
            try:
                return self.constant(_PYTHON[op](*(a.value for a in args)))
            except (ArithmeticError, ValueError) as error:
                raise TraceError(f"{op} of {', '.join(str(a.value) for a in args)}: {error}") from error
        simple = _simple(op, args)
        return self._kept(op, args, None) if simple is None else simple

    def where(self, condition: Any, a: Any, b: Any) -> Expr:
        """a where the condition holds, else b."""
        if isinstance(condition, (bool, np.bool_)):
            return self.of(a if condition else b)
        condition, a, b = self.of(condition), self.of(a), self.of(b)
        if not condition.is_bool:
            raise TraceError("the condition of xp.where must be a comparison")
        return a if a is b else self.node("where", condition, a, b)

    def fire(self, d: Expr, slope: Expr) -> Expr:
        """1 where d >= 0, else 0; `slope` stands for its derivative."""
        return self._kept("fire", (d, slope), None)

    def total(self, parts: Iterable[Expr]) -> Expr:
        """The sum of nodes, 0 of none."""
        found = self.constant(0.0)
        for part in parts:
            found = self.node("add", found, part)
        return found

    def _as_number(self, condition: Expr) -> Expr:
        return self._kept("where", (condition, self.constant(1.0), self.constant(0.0)), None)

    def _kept(self, op: str, args: tuple[Expr, ...], value: Any) -> Expr:
        name = (op, *map(id, args), value, math.copysign(1.0, value) if op == "const" else 0)
        if name not in self._nodes:
            self._nodes[name] = Expr(self, op, args, value)
        return self._nodes[name]


def _simple(op: str, args: tuple[Expr, ...]) -> Expr | None:
    """What stands for an operation with a 0 or a 1 in it."""
    values = [a.value if a.is_constant else None for a in args]
    graph = args[0].graph
    if op in ("add", "sub") and values[1] == 0:
        return args[0]
    if op in ("add", "sub") and values[0] == 0:
        return args[1] if op == "add" else graph.node("neg", args[1])
    if op in ("mul", "div") and values[1] == 1:
        return args[0]
    if op == "mul" and values[0] == 1:
        return args[1]
    if op == "mul" and 0 in values:
        return graph.constant(0.0)
    if op == "neg" and args[0].op == "neg":
        return args[0].args[0]
    return None


class GraphOps:
    """The vocabulary of `spikeloom.ops` on the nodes of a graph; on plain numbers it gives plain numbers."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def _apply(self, op: str, *args: Any) -> Any:
        if not any(isinstance(a, Expr) for a in args):
            return _PYTHON[op](*args)
        return self._graph.node(op, *map(self._graph.of, args))

    def exp(self, x: Any) -> Any:
        return self._apply("exp", x)

    def log(self, x: Any) -> Any:
        return self._apply("log", x)

    def tanh(self, x: Any) -> Any:
        return self._apply("tanh", x)

    def sqrt(self, x: Any) -> Any:
        return self._apply("sqrt", x)

    def abs(self, x: Any) -> Any:
        return self._apply("abs", x)

    def floor(self, x: Any) -> Any:
        return self._apply("floor", x)

    def minimum(self, a: Any, b: Any) -> Any:
        return self._apply("min", a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        return self._apply("max", a, b)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return self._graph.where(condition, a, b)

    def logical_and(self, a: Any, b: Any) -> Any:
        return self._joined("and", a, b)

    def logical_or(self, a: Any, b: Any) -> Any:
        return self._joined("or", a, b)

    def _joined(self, op: str, a: Any, b: Any) -> Any:
        """Two conditions as one; a flag decides alone, or leaves it to the other."""
        if isinstance(a, (bool, np.bool_)):
            return b if bool(a) == (op == "and") else bool(a)
        if isinstance(b, (bool, np.bool_)):
            return self._joined(op, b, a)
        return self._graph.node(op, self._graph.of(a), self._graph.of(b))

    def logical_not(self, a: Any) -> Any:
        return not a if isinstance(a, (bool, np.bool_)) else self._graph.node("not", self._graph.of(a))

    def stop_gradient(self, x: Any) -> Any:
        return self._graph.node("stop", x) if isinstance(x, Expr) else x

    def stack(self, arrays: Any, axis: int = 0) -> Any:
        raise TraceError("xp.stack makes one array of several: it is not elementwise")


def in_order(roots: Iterable[Expr], *, slopes: bool = True, ends: Container[int] = ()) -> list[Expr]:
    """All nodes below some roots, each after those it is made of; slopes: also those that only the way back needs;
    ends: the ids of nodes below which none is wanted."""
    done: dict[int, Expr] = {}
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if id(node) in done:
            continue
        if ready:
            done[id(node)] = node
        else:
            stack.append((node, True))
            args = () if id(node) in ends else node.args[:1] if node.op == "fire" and not slopes else node.args
            stack.extend((a, False) for a in reversed(args))
    return list(done.values())


def evaluate(roots: Iterable[Expr], values: Mapping[str, Any], xp: Any) -> list[Any]:
    """The roots with values in place of the symbols, by a vocabulary such as that of tensors."""
    roots, found = list(roots), dict[int, Any]()
    for node in in_order(roots):
        args = [found[id(a)] for a in node.args]
        if node.op == "symbol":
            found[id(node)] = values[node.value]
        elif node.op == "const":
            found[id(node)] = node.value
        elif node.op == "fire":
            found[id(node)] = xp.where(args[0] >= 0, 1.0, 0.0)
        elif node.op in _VOCABULARY:
            found[id(node)] = getattr(xp, _VOCABULARY[node.op])(*args)
        else:
            found[id(node)] = _PYTHON[node.op](*args)
    return [found[id(root)] for root in roots]


_VOCABULARY = {
    "exp": "exp", "log": "log", "tanh": "tanh", "sqrt": "sqrt", "abs": "abs", "floor": "floor",
    "min": "minimum", "max": "maximum",
    "where": "where", "and": "logical_and", "or": "logical_or", "not": "logical_not", "stop": "stop_gradient",
}  # fmt: skip

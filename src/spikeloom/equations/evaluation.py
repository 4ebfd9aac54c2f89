"""The value of a tree, in the vocabulary of `spikeloom.ops`: on arrays, tensors and symbols alike."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from ..ops import Array, Ops
from .dimensions import UNITS
from .exponential import exprel
from .syntax import ARITHMETIC, Node

_OPERATORS: Mapping[str, Callable[..., Any]] = {
    **{op: f for op, f in ARITHMETIC.items() if op != "pow"},
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip
_LOGIC = {"and": "logical_and", "or": "logical_or", "not": "logical_not"}
GREATEST_POWER = 64
"""The greatest power that is a number. Whole ones are products, others go by exp and log."""
_AT_ONCE = 8


class Evaluator:
    """Values of trees for given values of the names, each computed once. like: an array of the population, which a
    choice between two plain numbers takes its type from."""

    def __init__(self, values: Mapping[str, Any], xp: Ops[Any], like: Array) -> None:
        self.values, self.xp, self.like = dict(values), xp, like
        self._found: dict[int, tuple[Node, Any]] = {}

    def put(self, name: str, value: Any) -> None:
        """Gives a name its value, before any tree that holds it."""
        self.values[name] = value

    def __call__(self, node: Node) -> Any:
        """The value of a tree."""
        if id(node) not in self._found:
            self._found[id(node)] = (node, self._value(node))
        return self._found[id(node)][1]

    def _value(self, node: Node) -> Any:
        if node.op == "number":
            return node.value
        if node.op == "name":
            return self.values[node.value] if node.value in self.values else UNITS[node.value].scale
        if node.op == "pow":
            return self._power(node)
        args = [*map(self, node.args)]
        if node.op in _OPERATORS:
            return _OPERATORS[node.op](*args)
        if node.op == "where":
            return self.where(*args)
        if node.op == "clip":
            return self.xp.minimum(self.xp.maximum(args[0], args[1]), args[2])
        if node.op == "exprel":
            return exprel(args[0], self.xp)
        return getattr(self.xp, _LOGIC.get(node.op, node.op))(*args)

    def _power(self, node: Node) -> Any:
        base, exponent = self(node.args[0]), node.args[1]
        if exponent.op == "number":
            power = exponent.value
            if power == 0.5:
                return self.xp.sqrt(base)
            if power.is_integer():
                return _product(base, int(power)) if power >= 0 else 1.0 / _product(base, int(-power))
        return self.xp.exp(self(exponent) * self.xp.log(base))

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """a where the condition holds, else b; a condition of plain numbers decides at once."""
        if isinstance(condition, bool):
            return a if condition else b
        if isinstance(a, float) and isinstance(b, float):
            a = self.xp.where(condition, a, self.like)
        return self.xp.where(condition, a, b)


def _product(base: Any, power: int) -> Any:
    """A whole power, in pieces that a kernel can make."""
    found = base ** (power % _AT_ONCE)
    for _ in range(power // _AT_ONCE):
        found = base**_AT_ONCE * found
    return found

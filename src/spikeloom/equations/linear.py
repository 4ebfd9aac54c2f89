"""Expressions as sums: coefficient times variable, and a rest; where an expression is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from .syntax import Node, number


class Affine(NamedTuple):
    """An expression that is a sum of its variables with coefficients, and a rest; None stands for 0."""

    coefficients: Mapping[str, Node]
    rest: Node | None


_ONE, _ZERO = number(1.0), number(0.0)


def names_in(node: Node) -> set[str]:
    """The names that a tree holds; a branch that several share is looked at once."""
    seen, waiting = dict[int, Node](), [node]
    while waiting:
        part = waiting.pop()
        if id(part) not in seen:
            seen[id(part)] = part
            waiting.extend(part.args)
    return {part.value for part in seen.values() if part.op == "name"}


def depth_of(node: Node) -> int:
    """How many levels a tree has."""
    return 1 + max(map(depth_of, node.args), default=0)


def affine(node: Node, variables: Iterable[str], parts: Mapping[str, Affine | None]) -> Affine | None:
    """An expression as a sum over the variables; None where it is none. parts: the named parts as such sums."""
    return _Decomposition(frozenset(variables), parts).of(node)


class _Decomposition:
    def __init__(self, variables: frozenset[str], parts: Mapping[str, Affine | None]) -> None:
        self.variables, self.parts = variables, parts

    def of(self, node: Node) -> Affine | None:
        if node.op == "number":
            return Affine({}, node if node.value else None)
        if node.op == "name":
            return self._name(node)
        if node.op in ("add", "sub", "neg", "mul", "div"):
            args = [self.of(part) for part in node.args]
            known = [a for a in args if a is not None]
            return _RULES[node.op](*known) if len(known) == len(args) else None
        if node.op == "where" and self._is_free(node.args[0]):
            return self._choice(*node.args)
        return Affine({}, node) if all(map(self._is_free, node.args)) else None

    def _name(self, node: Node) -> Affine | None:
        if node.value in self.variables:
            return Affine({node.value: _ONE}, None)
        part = self.parts.get(node.value, Affine({}, node))
        return Affine({}, node) if part is not None and not part.coefficients else part

    def _is_free(self, node: Node) -> bool:
        """Whether none of the variables enters a tree."""
        if node.op == "name":
            part = self.parts.get(node.value, Affine({}, None))
            return node.value not in self.variables and part is not None and not part.coefficients
        return all(map(self._is_free, node.args))

    def _choice(self, condition: Node, first: Node, second: Node) -> Affine | None:
        a, b = self.of(first), self.of(second)
        if a is None or b is None:
            return None
        names = {**a.coefficients, **b.coefficients}

        def either(x: Node | None, y: Node | None) -> Node | None:
            return None if x is None and y is None else Node("where", (condition, x or _ZERO, y or _ZERO))

        chosen = {n: either(a.coefficients.get(n), b.coefficients.get(n)) for n in names}
        return Affine({n: c for n, c in chosen.items() if c is not None}, either(a.rest, b.rest))


def _plus(a: Node | None, b: Node | None) -> Node | None:
    return b if a is None else a if b is None else Node("add", (a, b))


def _minus(a: Node | None) -> Node | None:
    return None if a is None else Node("neg", (a,))


def _times(a: Node | None, b: Node | None) -> Node | None:
    if a is None or b is None:
        return None
    return b if a is _ONE else a if b is _ONE else Node("mul", (a, b))


def _mapped(form: Affine, change: Callable[[Node | None], Node | None]) -> Affine:
    changed = {n: change(c) for n, c in form.coefficients.items()}
    return Affine({n: c for n, c in changed.items() if c is not None}, change(form.rest))


def _added(a: Affine, b: Affine) -> Affine:
    sums = {n: _plus(a.coefficients.get(n), b.coefficients.get(n)) for n in {**a.coefficients, **b.coefficients}}
    return Affine({n: c for n, c in sums.items() if c is not None}, _plus(a.rest, b.rest))


def _multiplied(a: Affine, b: Affine) -> Affine | None:
    if a.coefficients and b.coefficients:
        return None
    one, other = (a, b) if b.coefficients else (b, a)
    return _mapped(other, lambda c: _times(c, one.rest))


def _divided(a: Affine, b: Affine) -> Affine | None:
    if b.coefficients or b.rest is None:
        return None
    below = b.rest
    return _mapped(a, lambda c: None if c is None else Node("div", (c, below)))


_RULES: Mapping[str, Callable[..., Affine | None]] = {
    "add": _added,
    "sub": lambda a, b: _added(a, _mapped(b, _minus)),
    "neg": lambda a: _mapped(a, _minus),
    "mul": _multiplied,
    "div": _divided,
}

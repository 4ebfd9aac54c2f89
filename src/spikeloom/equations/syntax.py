"""Expressions as texts become trees: by Python's own grammar, of which a short list of forms is let through.

Nothing is ever run: the tree of `ast` is read node by node, and whatever is not on the list is an error. Length, depth
and number of nodes are limited, so that any text is answered in bounded time.
"""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ParameterError
from ..registry import did_you_mean

MAX_LENGTH = 2000
"""How many characters an expression may have."""
MAX_DEPTH = 60
"""How deep an expression may be nested; each operation of a long sum is one level."""
MAX_NODES = 500
"""How many operations, numbers and names an expression may have."""

FUNCTIONS: Mapping[str, int] = {
    "exp": 1, "log": 1, "tanh": 1, "sqrt": 1, "abs": 1, "floor": 1, "exprel": 1,
    "minimum": 2, "maximum": 2, "clip": 3, "where": 3,
}  # fmt: skip
"""The functions with the number of their arguments; exprel(x) is (exp(x) - 1) / x, 1 at 0."""

COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
CONDITIONS = COMPARISONS | {"and", "or", "not"}

_OPERATIONS: Mapping[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow", ast.USub: "neg", ast.Not: "not",
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne",
    ast.And: "and", ast.Or: "or",
}  # fmt: skip
ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "pow": operator.pow,
    "neg": operator.neg,
}  # fmt: skip
_HINTS: Mapping[type[ast.AST], str] = {
    ast.BitXor: "a power is written **",
    ast.BitAnd: "write `and`",
    ast.BitOr: "write `or`",
    ast.Invert: "write `not`",
    ast.IfExp: "write where(condition, a, b)",
}
_NAME = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """An operation on nodes, a number or a name (value), and the text it was written as."""

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None
    text: str = ""


def number(value: float) -> Node:
    """The node of a number."""
    return Node("number", value=float(value), text=f"{value:g}")


def is_name(name: object) -> bool:
    """Whether a text can name a variable: a letter, then letters, digits and single underscores."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and "__" not in name and not keyword.iskeyword(name)


def parse(text: str, owner: str) -> Node:
    """The tree of an expression; ParameterError, which `owner` opens, for what is not one or is too large."""
    source = clean(text, owner)
    if len(source) > MAX_LENGTH:
        raise ParameterError(f"{owner}: an expression has at most {MAX_LENGTH} characters, this one has {len(source)}")
    try:
        body = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise ParameterError(f"{owner}: `{shown(source)}` is not an expression: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ParameterError(f"{owner}: `{shown(source)}` cannot be read: {error}") from error
    return _Reader(source, owner).node(body, 0)


def clean(text: object, owner: str) -> str:
    """A text on one line, the micro and ohm signs as letters; ParameterError for other signs beyond ASCII."""
    if not isinstance(text, str):
        raise ParameterError(f"{owner} must be a text, got {text!r:.80}")
    for sign, letters in (("\u00b5", "u"), ("\u03bc", "u"), ("\u03a9", "ohm"), ("\u2126", "ohm")):
        text = text.replace(sign, letters)
    strange = next((c for c in text if not (c.isascii() and (c.isprintable() or c.isspace()))), None)
    if strange is not None:
        raise ParameterError(f"{owner}: the sign {strange!r} has no meaning in an equation")
    return " ".join(text.split())


def shown(text: str) -> str:
    """The text, cut where it is long."""
    return text if len(text) <= 80 else f"{text[:77]}..."


class _Reader:
    """From the tree of `ast` to nodes."""

    def __init__(self, source: str, owner: str) -> None:
        self.source, self.owner, self.count = source, owner, 0

    def node(self, part: ast.expr, depth: int) -> Node:
        self.count += 1
        self._check_depth(depth)
        if self.count > MAX_NODES:
            raise ParameterError(f"{self.owner}: an expression has at most {MAX_NODES} parts; name parts of it")
        text = self.source[part.col_offset : part.end_col_offset]
        match part:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return Node("number", value=self._float(value, text), text=text)
            case ast.Name(id=name):
                return Node("name", value=name, text=text)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.node(operand, depth + 1)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATIONS:
                return self._made(_OPERATIONS[type(op)], [operand], text, depth)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                return self._made(_OPERATIONS[type(op)], [left, right], text, depth)
            case ast.BoolOp(op=op, values=values):
                return self._joined(_OPERATIONS[type(op)], [self.node(v, depth + 1) for v in values], text, depth)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _OPERATIONS for op in ops):
                parts = [self.node(v, depth + 1) for v in (left, *others)]
                pairs = zip(ops, parts, parts[1:], strict=False)
                compared = [Node(_OPERATIONS[type(o)], (a, b), None, text) for o, a, b in pairs]
                return self._joined("and", compared, text, depth)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, args, text, depth)
        raise self._refusal(part, text)

    def _call(self, name: str, args: list[ast.expr], text: str, depth: int) -> Node:
        if name not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise ParameterError(
                f"{self.owner}: unknown function {shown(name)!r}{did_you_mean(name[:64], FUNCTIONS)} It has: {known}"
            )
        if len(args) != FUNCTIONS[name]:
            raise ParameterError(
                f"{self.owner}: {name} takes {FUNCTIONS[name]} argument(s), `{shown(text)}` gives {len(args)}"
            )
        return self._made(name, args, text, depth)

    def _made(self, op: str, args: list[ast.expr], text: str, depth: int) -> Node:
        nodes = tuple(self.node(a, depth + 1) for a in args)
        if op in ARITHMETIC and all(n.op == "number" for n in nodes):
            try:
                value = ARITHMETIC[op](*(n.value for n in nodes))
            except ArithmeticError as error:
                raise ParameterError(f"{self.owner}: `{shown(text)}` is no finite number: {error.args[-1]}") from error
            return Node("number", value=self._float(value, text), text=text)
        return Node(op, nodes, None, text)

    def _check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ParameterError(
                f"{self.owner}: the expression is nested deeper than {MAX_DEPTH} levels; name parts of it"
            )

    def _joined(self, op: str, parts: list[Node], text: str, depth: int) -> Node:
        self._check_depth(depth + len(parts))
        found = parts[0]
        for part in parts[1:]:
            found = Node(op, (found, part), None, text)
        return found

    def _float(self, value: Any, text: str) -> float:
        try:
            found = float(value)
        except (OverflowError, TypeError) as error:  # TypeError: a root of a negative number is complex
            raise ParameterError(f"{self.owner}: `{shown(text)}` is no finite number: {error}") from error
        if not math.isfinite(found):
            raise ParameterError(f"{self.owner}: `{shown(text)}` is no finite number")
        return found

    def _refusal(self, part: ast.expr, text: str) -> ParameterError:
        form: ast.AST = getattr(part, "op", part)
        hint = _HINTS.get(type(form), "")
        return ParameterError(
            f"{self.owner}: `{shown(text)}` has no meaning in an equation{'; ' + hint if hint else ''}. It may hold "
            f"numbers, names, + - * / **, comparisons, and, or, not, and {', '.join(FUNCTIONS)}"
        )

"""The expressions of a rule: read by the whitelist of `spikeloom.equations`, their names checked, then evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from ..equations.checking import Units
from ..equations.dimensions import NONE
from ..equations.evaluation import Evaluator
from ..equations.linear import names_in
from ..equations.syntax import FUNCTIONS, Node, is_name, parse
from ..errors import ParameterError
from ..ops import Array, Ops
from ..registry import did_you_mean

OWN_NAMES = frozenset({"s", "count", "back", "w", "w_min", "w_max", "m", "dt", *FUNCTIONS})
"""What an expression calls things by itself: no trace, variable or parameter can have these names."""


@lru_cache(maxsize=1024)
def tree(text: str) -> Node:
    """The tree of an expression that was checked."""
    return parse(text, "expression")


def names(text: str) -> set[str]:
    """The names that an expression holds."""
    return names_in(tree(text))


def check(owner: str, text: object, known: Iterable[str]) -> None:
    """Raises ParameterError unless a text is an expression over the known names whose value is a number."""
    node, has = parse(text, owner), list(known)  # type: ignore[arg-type]
    for name in sorted(names_in(node)):
        if name not in has:
            hint = did_you_mean(name, has)
            raise ParameterError(f"{owner}: `{text}` has an unknown name {name!r}{hint} It has: {', '.join(has)}")
    units = Units()
    for name in has:
        units.declare(name, NONE)
    units.number(node, owner)


def check_name(owner: str, name: object, taken: Iterable[str] = ()) -> None:
    """Raises ParameterError unless this can name a trace, a variable or a parameter beside those that are taken."""
    if not isinstance(name, str) or not is_name(name):
        raise ParameterError(f"{owner}: a name has letters, digits and single underscores, got {name!r:.80}")
    if name in OWN_NAMES or name in taken:
        raise ParameterError(f"{owner}: the name {name!r} is taken; choose another")


def value(text: str, values: Mapping[str, Any], xp: Ops[Any], like: Array) -> Any:
    """The value of an expression: an array, or a float where it holds no array; like: an array of that kind.

    Raises ParameterError where its numbers have no finite value, such as 1 / 0.
    """
    node = tree(text)
    if node.op in ("number", "name"):
        return node.value if node.op == "number" else values[node.value]
    with finite(text):
        return Evaluator(values, xp, like)(node)


@contextmanager
def finite(text: str) -> Iterator[None]:
    """Raises ParameterError where Python's arithmetic has no finite value for what stands in a text."""
    try:
        yield
    except (ArithmeticError, ValueError) as error:
        raise ParameterError(f"the rule's `{text}` has no finite value: {error}") from error

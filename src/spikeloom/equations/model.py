"""A model as its author writes it: equations, threshold, statements; taken apart, names and units not yet looked up.

    dv/dt = (v_rest - v + R*i) / tau : mV (unless refractory)     a differential equation
    i_leak = g*(v_rest - v) : nA                                  a part with a name
    tau : ms                                                      a parameter
    i_exc : nA (input)                                            an input port

`: unit` is the unit of the variable itself. An equation may go over several lines; # begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import ParameterError
from ..registry import did_you_mean
from .syntax import COMPARISONS, Node, clean, is_name, parse, shown

MAX_TEXT = 20_000
"""How many characters the equations of a model may have."""
MAX_EQUATIONS = 64
"""How many equations and declarations, and how many statements, a model may have."""

UNLESS_REFRACTORY, INPUT, CONSTANT = "unless refractory", "input", "constant"
_FLAGS = (UNLESS_REFRACTORY, INPUT, CONSTANT)
_TAIL = re.compile(r"(.*?)(?:(?<![*/(\s])\s*\(([A-Za-z ,]*)\))?", re.ASCII)
_DERIVATIVE = re.compile(r"d(\w{1,64})\s?/\s?dt", re.ASCII)
_STATEMENT = re.compile(r"(\w{1,64})\s?([-+*/]?)=(?!=)(.*)", re.ASCII)
_OPERATORS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


@dataclass(frozen=True, eq=False, slots=True)
class Equation:
    """A line of a model: the variable, its unit and flags, and what it or its derivative (is_ode) equals; a declaration
    has no node. owner opens the messages about it."""

    name: str
    unit: Node
    node: Node | None
    is_ode: bool
    flags: frozenset[str]
    owner: str


@dataclass(frozen=True, eq=False, slots=True)
class Statement:
    """An assignment to a state; op: 'add' for `+=` and so on, '' for `=`. owner opens the messages about it."""

    name: str
    op: str
    node: Node
    owner: str


@dataclass(frozen=True, eq=False, slots=True)
class Threshold:
    """A neuron fires where `above` reaches `below`, and all gates hold."""

    above: Node
    below: Node
    gates: tuple[Node, ...]


def equations(text: str, owner: str) -> list[Equation]:
    """The equations and declarations of a text, in its order."""
    if not isinstance(text, str):
        raise ParameterError(f"{owner}: the equations must be a text, got {text!r:.80}")
    if len(text) > MAX_TEXT:
        raise ParameterError(f"{owner}: the equations have {len(text)} characters, at most {MAX_TEXT} are read")
    found = [_equation(line, owner) for line in _lines(text, owner)]
    _check_count(owner, "equations", len(found))
    seen = set[str]()
    for equation in found:
        if equation.name in seen:
            raise ParameterError(f"{owner}: there are two lines for {equation.name!r}; write one")
        seen.add(equation.name)
    return found


def _check_count(owner: str, what: str, count: int) -> None:
    if count > MAX_EQUATIONS:
        raise ParameterError(f"{owner}: a model has at most {MAX_EQUATIONS} {what}, got {count}")


def _lines(text: str, owner: str) -> Iterator[str]:
    """The equations, each on one line: it ends with the line that holds its colon."""
    before = ""
    for raw in text.splitlines():
        line = f"{before} {clean(raw.partition('#')[0], owner)}".strip()
        if ":" in line:
            yield line
            before = ""
        else:
            before = line
    if before:
        raise ParameterError(f"{owner}: `{shown(before)}` lacks its unit; write `{shown(before)} : mV`, or `: 1`")


def _equation(line: str, owner: str) -> Equation:
    owner = f"{owner}: equation `{shown(line)}`"
    head, _, tail = line.rpartition(":")
    left, equals, right = head.partition("=")
    derivative = _DERIVATIVE.fullmatch(left.strip())
    name = derivative[1] if derivative else left.strip()
    if not is_name(name) or (derivative and not equals):
        raise ParameterError(
            f"{owner} must begin with `dx/dt = `, with `x = ` or, for a parameter or an input, with `x :`"
        )
    match = _TAIL.fullmatch(tail.strip())
    unit, flags = (match[1], match[2]) if match else (tail, None)
    node = parse(right.strip(), owner) if equals else None
    return Equation(name, parse(unit.strip(), f"{owner}, unit"), node, bool(derivative), _flags(flags, owner), owner)


def _flags(text: str | None, owner: str) -> frozenset[str]:
    flags = [] if text is None else [flag.strip() for flag in text.split(",")]
    for flag in flags:
        if flag not in _FLAGS:
            known = ", ".join(f"({f})" for f in _FLAGS)
            raise ParameterError(f"{owner}: unknown flag ({shown(flag)}){did_you_mean(flag, _FLAGS)} It has: {known}")
    return frozenset(flags)


def statements(text: str, owner: str) -> list[Statement]:
    """The assignments of a text, separated by `;` or line ends."""
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise ParameterError(f"{owner} must be a text such as 'v = v_reset; w += b', got {text!r:.80}")
    found = []
    for raw in re.split(r"[;\n]", text):
        if line := clean(raw.partition("#")[0], owner):
            here = f"{owner}: `{shown(line)}`"
            match = _STATEMENT.fullmatch(line)
            if match is None:
                raise ParameterError(f"{here} is no assignment such as `v = v_reset` or `w += b`")
            found.append(Statement(match[1], _OPERATORS.get(match[2], ""), parse(match[3].strip(), here), here))
    _check_count(owner, "statements", len(found))
    return found


def threshold(text: str, owner: str) -> Threshold:
    """The crossing of a condition such as `v > v_th`, and what must hold beside it."""
    parts = _conjunction(parse(text, owner))
    crossing = parts[0]
    if crossing.op in ("gt", "ge"):
        above, below = crossing.args
    elif crossing.op in ("lt", "le"):
        below, above = crossing.args
    else:
        raise ParameterError(
            f"{owner}: `{shown(text)}` must be a comparison such as `v > v_th`, or begin with one: `v > v_th and w < 3`"
        )
    return Threshold(above, below, tuple(parts[1:]))


def _conjunction(node: Node) -> list[Node]:
    return [*_conjunction(node.args[0]), *_conjunction(node.args[1])] if node.op == "and" else [node]


def is_condition(node: Node) -> bool:
    """Whether a node is true or false."""
    return node.op in COMPARISONS or node.op in ("and", "or", "not")

"""Units of expressions: found from the leaves up, compared where a sum, a comparison or an equation needs them equal.

A variable whose unit nobody gave (a parameter that is a plain number) takes the unit that the expressions ask for: each
comparison is an equation of the powers, and the first one that an unknown stands in settles it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from ..errors import ParameterError
from .dimensions import NONE, UNITS, Dimension
from .evaluation import GREATEST_POWER
from .syntax import ARITHMETIC, CONDITIONS, Node, shown


@dataclass(frozen=True)
class Kind:
    """The unit of an expression: a dimension times powers of unknown units, by name. any_unit: of a 0, which fits all;
    is_condition: true or false, no number."""

    dimension: Dimension = NONE
    unknown: Mapping[str, Fraction] = field(default_factory=dict)
    any_unit: bool = False
    is_condition: bool = False

    def __mul__(self, other: Kind) -> Kind:
        powers = {n: self.unknown.get(n, Fraction(0)) + other.unknown.get(n, Fraction(0))
                  for n in {**self.unknown, **other.unknown}}  # fmt: skip
        return Kind(
            self.dimension * other.dimension, {n: p for n, p in powers.items() if p}, self.any_unit or other.any_unit
        )

    def __pow__(self, power: Fraction) -> Kind:
        powers = {n: p * power for n, p in self.unknown.items() if p * power}
        return Kind(self.dimension**power, powers, self.any_unit)

    def __str__(self) -> str:
        unknown = [f"[{n}]" + (f"**({p})" if p != 1 else "") for n, p in self.unknown.items()]
        known = [] if unknown and self.dimension == NONE else [str(self.dimension)]
        return "*".join(known + unknown)


def _fraction(power: float) -> Fraction:
    """A power as it was meant: 1/3 where a number is as near to it as can be."""
    near = Fraction(power).limit_denominator(64)
    return near if abs(near - Fraction(power)) < 1e-12 else Fraction(power)


PLAIN, ZERO, CONDITION = Kind(), Kind(any_unit=True), Kind(is_condition=True)


class Units:
    """The units of a model's variables, as far as they are known."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}
        self._settled: dict[str, Kind] = {}

    def declare(self, name: str, dimension: Dimension | None) -> None:
        """A variable with its unit, or with one that is yet to be found."""
        self._kinds[name] = Kind(unknown={name: Fraction(1)}) if dimension is None else Kind(dimension)

    def settle(self, name: str, dimension: Dimension) -> None:
        """The unit of a variable, where the expressions have left it open."""
        if (kind := self._resolved(self._kinds[name])).unknown:
            self.equal(kind, Kind(dimension), lambda *_: "")

    def __getitem__(self, name: str) -> Dimension:
        """The unit of a variable; what is still open is 1."""
        return self._resolved(self._kinds[name]).dimension

    def _resolved(self, kind: Kind) -> Kind:
        while open_ := [n for n in kind.unknown if n in self._settled]:
            name = open_[0]
            rest = Kind(kind.dimension, {n: p for n, p in kind.unknown.items() if n != name}, kind.any_unit)
            kind = rest * self._settled[name] ** kind.unknown[name]
        return kind

    def equal(self, a: Kind, b: Kind, message: Callable[[Kind, Kind], str]) -> None:
        """Makes two units equal; ParameterError with the message for both where they cannot be."""
        if a.any_unit or b.any_unit:
            return
        a, b = self._resolved(a), self._resolved(b)
        ratio = a * b ** Fraction(-1)
        if ratio.unknown:
            name, power = list(ratio.unknown.items())[-1]
            rest = Kind(ratio.dimension, {n: p for n, p in ratio.unknown.items() if n != name})
            self._settled[name] = rest ** (-1 / power)
        elif ratio.dimension != NONE:
            raise ParameterError(message(a, b))

    def check(self, node: Node, wanted: Kind, owner: str) -> None:
        """Raises ParameterError unless an expression has a unit; `owner` opens the message."""
        found = self.number(node, owner)
        self.equal(found, wanted, lambda a, b: f"{owner}: `{shown(node.text)}` is in {a}, it must be in {b}")

    def condition(self, node: Node, owner: str) -> None:
        """Raises ParameterError unless an expression is true or false."""
        if not self.kind(node, owner).is_condition:
            raise ParameterError(
                f"{owner}: `{shown(node.text)}` is a number where a comparison such as `v > 0` must be"
            )

    def number(self, node: Node, owner: str) -> Kind:
        """The unit of an expression that is a number."""
        kind = self.kind(node, owner)
        if kind.is_condition:
            raise ParameterError(
                f"{owner}: `{shown(node.text)}` is true or false, no number; write where({shown(node.text)}, 1, 0)"
            )
        return kind

    def kind(self, node: Node, owner: str) -> Kind:
        """The unit of an expression; ParameterError, with the part and both units, where they do not fit."""
        if node.op == "number":
            return ZERO if node.value == 0 else PLAIN
        if node.op == "name":
            return self._kinds[node.value] if node.value in self._kinds else Kind(UNITS[node.value].dimension)
        if node.op in CONDITIONS:
            return self._of_condition(node, owner)
        if node.op in ARITHMETIC:
            return self._of_arithmetic(node, owner)
        return self._of_call(node, owner)

    def _of_condition(self, node: Node, owner: str) -> Kind:
        if node.op in ("and", "or", "not"):
            for part in node.args:
                self.condition(part, owner)
        else:
            self._alike(node, node.args, owner)
        return CONDITION

    def _of_arithmetic(self, node: Node, owner: str) -> Kind:
        if node.op in ("add", "sub"):
            return self._alike(node, node.args, owner)
        kinds = [self.number(part, owner) for part in node.args]
        if node.op == "neg":
            return kinds[0]
        if node.op == "mul":
            return kinds[0] * kinds[1]
        if node.op == "div":
            return kinds[0] * kinds[1] ** Fraction(-1)
        exponent = node.args[1]
        if exponent.op == "number":
            if abs(exponent.value) > GREATEST_POWER:
                raise ParameterError(
                    f"{owner}: `{shown(node.text)}`: an exponent goes up to {GREATEST_POWER}; write exp(y*log(x))"
                )
            return kinds[0] ** _fraction(exponent.value)
        for part in node.args:
            self._plain(part, owner, f"in `{shown(node.text)}`, whose exponent is no number,")
        return PLAIN

    def _of_call(self, node: Node, owner: str) -> Kind:
        if node.op == "where":
            self.condition(node.args[0], owner)
            return self._alike(node, node.args[1:], owner)
        if node.op in ("minimum", "maximum", "clip"):
            return self._alike(node, node.args, owner)
        if node.op in ("abs", "sqrt"):
            kind = self.number(node.args[0], owner)
            return kind if node.op == "abs" else kind ** Fraction(1, 2)
        self._plain(node.args[0], owner, f"{node.op} takes a number without a unit;")
        return PLAIN

    def _plain(self, node: Node, owner: str, why: str) -> None:
        found = self.number(node, owner)
        self.equal(found, PLAIN, lambda a, b: f"{owner}: {why} `{shown(node.text)}` is in {a}, it must be in {b}")

    def _alike(self, node: Node, parts: tuple[Node, ...], owner: str) -> Kind:
        """The one unit of several parts."""
        first, kind = parts[0], self.number(parts[0], owner)
        for part in parts[1:]:
            other = self.number(part, owner)
            self.equal(
                kind,
                other,
                lambda a, b, x=first, y=part: (  # type: ignore[misc]
                    f"{owner}: in `{shown(node.text)}` the units differ: "
                    f"`{shown(x.text)}` is in {a}, `{shown(y.text)}` in {b}"
                ),
            )
            if kind.any_unit:
                first, kind = part, other
        return kind

"""Differential equations, taken over one step of dt; inputs and parameters are constant over it.

Equations that are linear in all that they depend on are solved exactly. Of the others, those that are linear in their
own variable go by exponential Euler (the others of this step's beginning held), the rest by Euler; or all by one
method that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import ParameterError
from ..ops import Array, Ops
from ..registry import did_you_mean
from .evaluation import Evaluator
from .exponential import Matrix, Vector, divided, exponential, plus, times
from .linear import Affine, affine, names_in
from .syntax import Node

AUTO, EXACT, EXPONENTIAL_EULER = "auto", "exact", "exponential_euler"
_EXPLICIT: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "euler": ((), (1.0,)),
    "rk2": ((0.5,), (0.0, 1.0)),
    "rk4": ((0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}
"""How far from the start each further stage lies, by the slope of the stage before it, and the weights of all."""
METHODS = (AUTO, EXACT, EXPONENTIAL_EULER, *_EXPLICIT)
MAX_COUPLED = 10
"""How many coupled linear equations are solved exactly."""


@dataclass(frozen=True, eq=False)
class System:
    """Equations dx/dt = node by variable. parts: named parts, each after those it holds; held: the variables that stay
    as they are while a neuron is refractory; method: one of METHODS."""

    equations: Mapping[str, Node]
    parts: Mapping[str, Node]
    inputs: tuple[str, ...]
    held: frozenset[str]
    method: str
    owner: str

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            hint = did_you_mean(str(self.method)[:64], METHODS)
            raise ParameterError(f"{self.owner}: unknown method {self.method!r:.80}{hint} It has: {', '.join(METHODS)}")
        for wanted, what in ((EXACT, "linear"), (EXPONENTIAL_EULER, "linear in its own variable")):
            left = [n for n, m in self.methods.items() if self.method == wanted != m]
            if left:
                raise ParameterError(
                    f"{self.owner}: the equation of {left[0]!r} is not {what} (with at most {MAX_COUPLED} coupled "
                    f"equations), so method {wanted!r} does not hold; use method='auto', 'euler' or 'rk4'"
                )

    # ---- which method

    @cached_property
    def methods(self) -> dict[str, str]:
        """The method of each variable."""
        if self.method in _EXPLICIT:
            return dict.fromkeys(self.equations, self.method)
        linear = set[str]() if self.method == EXPONENTIAL_EULER else {n for c in self._coupled for n in c}
        found = {n: EXACT if n in linear else EXPONENTIAL_EULER for n in self.equations}
        return found | {n: "euler" for n, m in found.items() if m == EXPONENTIAL_EULER and self._alone[n] is None}

    @cached_property
    def _linear(self) -> dict[str, Affine]:
        """The equations that are linear in all states, and where possible in the inputs beside them."""
        found = {}
        jointly, states = (self._forms([*self.equations, *more]) for more in (self.inputs, ()))
        for name in self.equations:
            form = jointly[name] or states[name]
            if form is not None:
                found[name] = form
        return found

    @cached_property
    def _alone(self) -> dict[str, Affine | None]:
        """Each equation as linear in its own variable; None where it is not."""
        return {name: self._forms([name])[name] for name in self.equations}

    def _forms(self, variables: Iterable[str]) -> dict[str, Affine | None]:
        parts: dict[str, Affine | None] = {}
        variables = frozenset(variables)
        for name, node in self.parts.items():
            parts[name] = affine(node, variables, parts)
        return {name: affine(node, variables, parts) for name, node in self.equations.items()}

    def _reads(self, name: str) -> set[str]:
        return set(self._linear[name].coefficients) & set(self.equations)

    @cached_property
    def _coupled(self) -> list[list[str]]:
        """The linear equations that depend on linear ones only, in groups that do not depend on each other."""
        linear = set(self._linear)
        while open_ := {n for n in linear if self._reads(n) - linear}:
            linear -= open_
        groups: list[list[str]] = []
        for name in (n for n in self.equations if n in linear):
            joined = [g for g in groups if self._reads(name) & set(g) or any(name in self._reads(m) for m in g)]
            groups = [g for g in groups if g not in joined] + [[*(m for g in joined for m in g), name]]
        return [group for group in groups if len(group) <= MAX_COUPLED]

    # ---- one step

    @cached_property
    def _needed(self) -> list[str]:
        """The parts whose values a step takes."""
        nodes = [self.equations[n] for n, m in self.methods.items() if m != EXACT]
        forms = [f for n, m in self.methods.items() if (f := self._form(n, m)) is not None]
        nodes += [node for form in forms for node in (*form.coefficients.values(), form.rest) if node is not None]
        return needed(nodes, self.parts)

    def _form(self, name: str, method: str) -> Affine | None:
        return {EXACT: self._linear.get(name), EXPONENTIAL_EULER: self._alone[name]}.get(method)

    def step(self, values: Mapping[str, Any], resting: Any, dt: Any, xp: Ops[Any]) -> dict[str, Array]:
        """The variables after a step. values: of states, inputs and parameters by name; resting: where neurons are
        refractory, None where there is no such thing."""
        state = {name: values[name] for name in self.equations}
        solver = _Solver(self, self._evaluator(values, xp), state, resting, dt)
        found: dict[str, Array] = {}
        for group in self._coupled:
            if all(self.methods[name] == EXACT for name in group):
                found |= solver.exact(group)
        found |= {n: solver.exponential_euler(n) for n, m in self.methods.items() if m == EXPONENTIAL_EULER}
        explicit = [n for n, m in self.methods.items() if m in _EXPLICIT]
        return found | solver.explicit(explicit) if explicit else found

    def _evaluator(self, values: Mapping[str, Any], xp: Ops[Any]) -> Evaluator:
        evaluator = Evaluator(values, xp, values[next(iter(self.equations))])
        for name in self._needed:
            evaluator.put(name, evaluator(self.parts[name]))
        return evaluator


def needed(nodes: Iterable[Node], parts: Mapping[str, Node]) -> list[str]:
    """The named parts that trees hold, also by way of each other, in the order of `parts`."""
    wanted = set[str]().union(*map(names_in, nodes))
    for name in reversed(list(parts)):
        if name in wanted:
            wanted |= names_in(parts[name])
    return [name for name in parts if name in wanted]


@dataclass(frozen=True, eq=False)
class _Solver:
    """A step from one state."""

    system: System
    value: Evaluator
    state: Mapping[str, Array]
    resting: Any
    dt: Any

    def exact(self, names: Sequence[str]) -> dict[str, Array]:
        """Coupled linear equations."""
        free = self._solution(names, frozenset())
        held = self.system.held & set(names)
        if self.resting is None or not held:
            return free
        touched = any(self.system._reads(n) & held for n in names if n not in held)
        other = self._solution(names, held) if touched else free
        kept = {n: self.state[n] if n in held else other[n] for n in names}
        return {n: v if kept[n] is v else self.value.where(self.resting, kept[n], v) for n, v in free.items()}

    def _solution(self, names: Sequence[str], held: frozenset[str]) -> dict[str, Array]:
        """The solution of x' = A x + b after dt; the rows of what is held are 0."""
        forms = {n: Affine({}, None) if n in held else self.system._linear[n] for n in names}
        rates = [[self._valued(forms[i].coefficients.get(j)) for j in names] for i in names]
        sources = [s for s in self.system.inputs if any(s in form.coefficients for form in forms.values())]
        drives = [[self._valued(forms[n].rest) for n in names]]
        drives += [[self._valued(forms[n].coefficients.get(source)) for n in names] for source in sources]
        kept, (rests, *gains) = self._responses(rates, drives)
        found = {}
        for i, name in enumerate(names):
            total = self.state[name] * kept[i][i]
            for j, other in enumerate(names):
                total = plus(total, times(kept[i][j], self.state[other]) if i != j else None)
            total = plus(total, rests[i])
            for source, gain in zip(sources, gains, strict=True):
                total = plus(total, times(gain[i], self.value.values[source]))
            found[name] = total
        return found

    def _valued(self, node: Node | None) -> Any:
        return None if node is None else self.value(node)

    def _responses(self, rates: Matrix, drives: list[Vector]) -> tuple[Matrix, list[Vector]]:
        """exp(A dt), and what each drive makes over the step."""
        n = range(len(rates))
        leaves = [all(rates[i][j] is None for j in n if j != i) and all(b[i] is None for b in drives) for i in n]
        if any(rates[i][j] is not None and not leaves[j] for i in n for j in n if i != j):
            grown, found = exponential(rates, self.dt, drives)
            return [[plus(1.0 if i == j else None, grown[i][j]) for j in n] for i in n], found
        own = [0.0 if rates[i][i] is None else rates[i][i] * self.dt for i in n]
        kept = [
            [self._decay(rates[i][i]) if i == j else self._passed(rates[i][j], own[i], own[j]) for j in n] for i in n
        ]
        gains = [self._gain(rates[i][i]) if any(b[i] is not None for b in drives) else None for i in n]
        return kept, [[times(gain, part) for gain, part in zip(gains, b, strict=True)] for b in drives]

    def _decay(self, rate: Any) -> Any:
        return 1.0 if rate is None else self.value.xp.exp(rate * self.dt)

    def _gain(self, rate: Any) -> Any:
        """What a drive of 1 makes of a variable over the step."""
        return self.dt if rate is None else self.dt * divided(rate * self.dt, 0.0, self.value.xp)

    def _passed(self, rate: Any, own: Any, other: Any) -> Any:
        """What a variable makes of another one, whose rates times dt are given, over the step."""
        return None if rate is None else rate * self.dt * divided(own, other, self.value.xp)

    def exponential_euler(self, name: str) -> Array:
        """One equation that is linear in its own variable."""
        form = self.system._alone[name]
        rate, rest = (self._valued(node) for node in (form and form.coefficients.get(name), form and form.rest))
        before = self.state[name]
        after = plus(before * self._decay(rate), times(None if rest is None else self._gain(rate), rest))
        if self.resting is None or name not in self.system.held:
            return after
        return self.value.where(self.resting, before, after)

    def explicit(self, names: Sequence[str]) -> dict[str, Array]:
        """All the others, by stages from slopes."""
        distances, weights = _EXPLICIT[self.system.methods[names[0]]]
        slopes = [self._slopes(names, self.value)]
        for distance in distances:
            moved = {n: self.state[n] + slopes[-1][n] * (self.dt * distance) for n in names}
            slopes.append(self._slopes(names, self.system._evaluator(self.value.values | moved, self.value.xp)))
        found = dict(self.state)
        for weight, slope in zip(weights, slopes, strict=True):
            if weight:
                found |= {n: found[n] + slope[n] * (self.dt * weight) for n in names}
        return {n: found[n] for n in names}

    def _slopes(self, names: Sequence[str], value: Evaluator) -> dict[str, Any]:
        slopes = {n: value(self.system.equations[n]) for n in names}
        if self.resting is None:
            return slopes
        return {n: value.where(self.resting, 0.0, s) if n in self.system.held else s for n, s in slopes.items()}

"""A model from its texts: names looked up, units checked, and what a step, the threshold and the resets compute."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property

from ..errors import ParameterError
from ..registry import did_you_mean
from ..synonyms import folded
from . import model
from .checking import Kind, Units
from .definition import Definition, unit_of
from .dimensions import CURRENT, NONE, TIME, UNITS, Dimension
from .evaluation import GREATEST_POWER
from .linear import depth_of, names_in
from .model import Equation, Statement, Threshold
from .syntax import ARITHMETIC, FUNCTIONS, Node, parse, shown
from .system import System, needed

MAX_DEPTH = 100
"""How deep an expression may be nested with the named parts that it holds in their place."""
SYNAPTIC = ("i", "I", "i_syn", "I_syn", "Isyn")
"""The names of the synaptic current, where a model does not declare its inputs."""
COUNTER = "refractory"
"""The state that says how long a neuron is refractory yet: in steps, or 1 while its condition lasts."""
_ABSENT = {
    "t": "a model does not see the clock; give what changes with time as an input",
    "xi": "there is no noise in equations; give it as an input",
    "lastspike": "use refractory=, or a state that reset= sets",
}
RESERVED = frozenset({"dt", COUNTER, "spikes", "emission", *_ABSENT, *FUNCTIONS})


class Program:
    """A checked model. states, inputs and parameters: their names; ports: what the inputs are called outside; units: of
    all of them; system: the differential equations. Raises ParameterError for whatever does not fit."""

    def __init__(self, definition: Definition, taken: frozenset[str] = frozenset()) -> None:
        self.owner = definition.name
        self._read(definition)
        self.states = tuple(e.name for e in self.lines if e.is_ode)
        if not self.states:
            raise ParameterError(f"{self.owner}: there is no differential equation; write `dv/dt = ... : mV`")
        self.parameters = tuple(name for name, _ in definition.units)
        self.inputs = self._inputs()
        self.ports = tuple("i_syn" if name in SYNAPTIC else name for name in self.inputs) or ("i_syn",)
        self._check_names(taken)
        self.parts = self._parts()
        self.units = Units()
        self._check_units(definition)
        self._check_used()
        self.system = self._system(definition.method)
        found = tuple((n, str(self.units[n])) for n in self.parameters)
        self.definition = replace(definition, units=found)
        self._check_trains()

    # ---- reading

    def _read(self, definition: Definition) -> None:
        owner = self.owner
        self.lines = model.equations(definition.equations, owner)
        self.reset = model.statements(definition.reset, f"{owner}.reset")
        self.on_input = model.statements(definition.on_input, f"{owner}.on_input")
        self.threshold: Threshold | None = None
        if definition.threshold:
            self.threshold = model.threshold(definition.threshold, f"{owner}.threshold")
        elif self.reset or definition.refractory:
            raise ParameterError(f"{owner}: reset and refractory need a threshold; give threshold='v > v_th'")
        self.refractory = parse(definition.refractory, f"{owner}.refractory") if definition.refractory else None
        self.initial = {n: parse(text, f"{owner}.initial: {n}") for n, text in definition.initial}

    def _nodes(self) -> Iterable[tuple[str, Node]]:
        """All expressions of the model, with what opens a message about them."""
        yield from ((e.owner, e.node) for e in self.lines if e.node is not None)
        if self.threshold is not None:
            yield from ((f"{self.owner}.threshold", n) for n in self._crossing)
        yield from ((s.owner, s.node) for s in (*self.reset, *self.on_input))
        if self.refractory is not None:
            yield f"{self.owner}.refractory", self.refractory
        yield from ((f"{self.owner}.initial: {name}", node) for name, node in self.initial.items())

    @property
    def _crossing(self) -> tuple[Node, ...]:
        t = self.threshold
        return () if t is None else (t.above, t.below, *t.gates)

    def _inputs(self) -> tuple[str, ...]:
        """The declared inputs; where there is none, the synaptic current if the model reads it."""
        declared = tuple(e.name for e in self.lines if model.INPUT in e.flags)
        for equation in self.lines:
            if model.INPUT in equation.flags and equation.node is not None:
                raise ParameterError(
                    f"{equation.owner}: an input has no equation; write `{equation.name} : nA (input)`"
                )
            if model.UNLESS_REFRACTORY in equation.flags and not equation.is_ode:
                raise ParameterError(f"{equation.owner}: (unless refractory) stands behind a differential equation")
        known = {*self.parameters, *(e.name for e in self.lines)}
        read = [n for n in SYNAPTIC if any(n in names_in(node) for _, node in self._nodes()) and n not in known]
        if declared or not read:
            return declared
        if len(read) > 1:
            raise ParameterError(f"{self.owner}: {' and '.join(read)} both stand for the synaptic current; use one")
        return (read[0],)

    def _check_names(self, taken: frozenset[str]) -> None:
        lines = {e.name: e for e in self.lines}
        declared = [e.name for e in self.lines if e.node is None and model.INPUT not in e.flags]
        for name in declared:
            if name not in self.parameters:
                raise ParameterError(f"{lines[name].owner}: {name!r} has no value; give parameters={{{name!r}: ...}}")
        for name in self.parameters:
            if name in lines and name not in declared:
                raise ParameterError(f"{self.owner}: {name!r} has an equation; it cannot be a parameter too")
            if name in taken:
                raise ParameterError(f"{self.owner}: a parameter cannot be called {name!r}; choose another name")
        for name in (*lines, *self.parameters):
            if name in UNITS or name in RESERVED:
                what = "a unit" if name in UNITS else "a word of the equations"
                raise ParameterError(f"{self.owner}: {name!r} is {what}; choose another name")
        self._check_outside()
        known = {*lines, *self.parameters, *self.inputs}
        for owner, node in self._nodes():
            for name in sorted(names_in(node) - known - {"dt", *UNITS}):
                why = _ABSENT.get(name) or f"give parameters={{{name!r}: ...}}{did_you_mean(name, known)}"
                raise ParameterError(f"{owner}: {shown(name)!r} is no variable, parameter or unit; {why}")

    def _check_outside(self) -> None:
        """Raises ParameterError for names that monitors, connections and groups could not tell apart."""
        if len(synaptic := [name for name in self.inputs if name in SYNAPTIC]) > 1:
            raise ParameterError(
                f"{self.owner}: {' and '.join(synaptic)} both stand for the synaptic current; choose another name"
            )
        for name in self.states:
            if folded(name) in (folded("spikes"), folded("i_syn")):
                raise ParameterError(
                    f"{self.owner}: {name!r} is what monitors call the spikes or the input of every group; choose "
                    "another name for the state"
                )
        for names in (self.states, self.parameters, self.inputs):
            _check_distinct(self.owner, names)

    def _check_used(self) -> None:
        """Raises ParameterError for a parameter that no line declares and no expression reads."""
        used = {e.name for e in self.lines}.union(*(names_in(node) for _, node in self._nodes()))
        for name in self.parameters:
            if name not in used:
                raise ParameterError(
                    f"{self.owner}: nothing reads the parameter {name!r}{did_you_mean(name, used - {name})}"
                )

    def _parts(self) -> dict[str, Node]:
        """The named parts, each after those that it holds."""
        waiting = {e.name: e for e in self.lines if e.node is not None and not e.is_ode}
        parts, depths = dict[str, Node](), dict[str, int]()
        while waiting:
            ready = [e for e in waiting.values() if e.node and not names_in(e.node) & set(waiting)]
            if not ready:
                raise ParameterError(f"{self.owner}: {', '.join(waiting)} are made of each other; break the circle")
            for equation in ready:
                del waiting[equation.name]
                if equation.node is not None:
                    parts[equation.name] = equation.node
                    depths[equation.name] = self._depth(equation.owner, equation.node, depths)
        for owner, node in self._nodes():
            self._depth(owner, node, depths)
        return parts

    def _depth(self, owner: str, node: Node, depths: Mapping[str, int]) -> int:
        depth = depth_of(node) + max((depths.get(n, 0) for n in names_in(node)), default=0)
        if depth > MAX_DEPTH:
            raise ParameterError(f"{owner}: with its named parts it is nested deeper than {MAX_DEPTH} levels")
        return depth

    # ---- units

    def _check_units(self, definition: Definition) -> None:
        declared = {e.name: unit_of(e.unit, f"{e.owner}, unit")[1] for e in self.lines}
        given = {n: unit_of(parse(u, self.owner), self.owner)[1] if u else None for n, u in definition.units}
        for name in (*self.parameters, *self.inputs, *declared):
            self.units.declare(name, declared.get(name, given.get(name)))
        self.units.declare("dt", TIME)
        self._check_inputs()
        for name, dimension in given.items():
            if dimension not in (None, self.units[name]) and name in declared:
                raise ParameterError(
                    f"{self.owner}: the parameter {name!r} is given in {dimension}, declared in {self.units[name]}"
                )
        for e in sorted((e for e in self.lines if e.node is not None), key=lambda e: e.is_ode):
            self._check_equation(e, declared[e.name])
        self._check_others()
        electrical = any(self.units[n].is_electrical for n in self.states)
        for name in self.inputs:
            self.units.settle(name, CURRENT if electrical else NONE)
        for name in self.parameters:
            self.units.settle(name, NONE)

    def _check_inputs(self) -> None:
        """Raises ParameterError for an input in another unit than the system's own, which currents come in."""
        for e in self.lines:
            if model.INPUT in e.flags:
                scale, own = unit_of(e.unit, f"{e.owner}, unit")
                if not math.isclose(scale, 1.0, rel_tol=1e-9):
                    raise ParameterError(
                        f"{e.owner}: inputs, weights and monitors are in {own}; write `{e.name} : {own} (input)`, and "
                        f"give numbers in that unit"
                    )

    def _check_equation(self, equation: Equation, dimension: Dimension) -> None:
        if equation.node is not None:
            wanted = dimension / TIME if equation.is_ode else dimension
            self.units.check(equation.node, Kind(wanted), equation.owner)

    def _check_others(self) -> None:
        if self.threshold is not None:
            owner = f"{self.owner}.threshold"
            above, below = self.threshold.above, self.threshold.below
            self.units.kind(Node("ge", (above, below), None, f"{above.text} > {below.text}"), owner)
            for gate in self.threshold.gates:
                self.units.condition(gate, owner)
            if not (self._read_by(above) | self._read_by(below)) & set(self.states):
                raise ParameterError(f"{owner}: `{shown(above.text)}` is compared with no state; write `v > v_th`")
            self._check_reads(owner, self._crossing, "dt", *self.inputs)
        for statement in (*self.reset, *self.on_input):
            self._check_statement(statement)
        for statement in self.reset:
            self._check_reads(statement.owner, [statement.node], *self.inputs)
        if self.refractory is not None:
            owner = f"{self.owner}.refractory"
            if model.is_condition(self.refractory):
                self.units.condition(self.refractory, owner)
            else:
                self.units.check(self.refractory, Kind(TIME), owner)
                self._check_reads(owner, [self.refractory], *self.states)
            self._check_reads(owner, [self.refractory], *self.inputs)
        for name, node in self.initial.items():
            self._check_initial(name, node)

    def _check_statement(self, statement: Statement) -> None:
        if statement.name not in self.states:
            hint = did_you_mean(statement.name, self.states)
            raise ParameterError(
                f"{statement.owner}: only states can be set, {statement.name!r} is none{hint} "
                f"It has: {', '.join(self.states)}"
            )
        wanted = NONE if statement.op in ("mul", "div") else self.units[statement.name]
        self.units.check(statement.node, Kind(wanted), statement.owner)

    def _check_reads(self, owner: str, nodes: Iterable[Node], *forbidden: str) -> None:
        """Raises ParameterError where expressions hold a name, also by way of a part, that has no value there."""
        for node in nodes:
            if wrong := sorted(self._read_by(node) & set(forbidden)):
                raise ParameterError(f"{owner}: `{shown(node.text)}` cannot depend on {', '.join(wrong)}")

    def _read_by(self, node: Node) -> set[str]:
        """The names that an expression holds, also by way of parts."""
        return names_in(node).union(*(names_in(self.parts[name]) for name in needed([node], self.parts)))

    def _check_initial(self, name: str, node: Node) -> None:
        owner = f"{self.owner}.initial: {shown(name)}"
        if name not in self.states:
            raise ParameterError(f"{owner} is no state{did_you_mean(name, self.states)}")
        if wrong := sorted(names_in(node) - {*self.parameters, *UNITS}):
            raise ParameterError(f"{owner}: it can depend on parameters only, not on {', '.join(wrong)}")
        if not _is_arithmetic(node):
            raise ParameterError(f"{owner}: `{shown(node.text)}` must be made of numbers and parameters with + - * /")
        self.units.check(node, Kind(self.units[name]), owner)

    # ---- the rest

    def _system(self, method: str) -> System:
        odes = {e.name: e.node for e in self.lines if e.is_ode and e.node is not None}
        held = frozenset(e.name for e in self.lines if model.UNLESS_REFRACTORY in e.flags)
        if held and self.refractory is None:
            raise ParameterError(f"{self.owner}: (unless refractory) needs refractory=, such as refractory='2*ms'")
        return System(odes, self.parts, self.inputs, held, method, self.owner)

    def _check_trains(self) -> None:
        for name in self.definition.trains:
            if name not in self.parameters:
                hint = did_you_mean(name, self.parameters)
                raise ParameterError(f"{self.owner}.trains: there is no parameter {shown(name)!r}{hint}")

    @cached_property
    def crossing(self) -> tuple[str, str | float] | None:
        """The state and the parameter or number of a threshold such as `v > v_th`; None for any other threshold."""
        if self.threshold is None or self.threshold.above.value not in self.states:
            return None
        below = self.fixed(self.threshold.below)
        return None if below is None else (self.threshold.above.value, below)

    @property
    def compared(self) -> str:
        """The state that a threshold is about: the first that it holds."""
        read = names_in(self.threshold.above) | names_in(self.threshold.below) if self.threshold else set[str]()
        return next((name for name in self.states if name in read), self.states[0])

    @property
    def is_bare(self) -> bool:
        """Whether nothing but the threshold decides who fires."""
        return self.threshold is not None and not self.threshold.gates and self.refractory is None

    def reads(self, node: Node, name: str) -> bool:
        """Whether an expression holds a name, also by way of a part."""
        return name in self._read_by(node)

    def fixed(self, node: Node) -> str | float | None:
        """The name of the parameter that an expression is, or its value where it is a number; else None."""
        if node.op == "name" and node.value in self.parameters:
            return str(node.value)
        if not names_in(node) <= set(UNITS) or not _is_arithmetic(node):
            return None
        return unit_of(node, f"{self.owner}.threshold")[0]


def _check_distinct(owner: str, names: Iterable[str]) -> None:
    """Raises ParameterError for names that are the same where case and underscores are not looked at."""
    seen: dict[str, str] = {}
    for name in names:
        if folded(name) in seen:
            raise ParameterError(f"{owner}: {name!r} is as good as {seen[folded(name)]!r}; choose another name")
        seen[folded(name)] = name


def _is_arithmetic(node: Node) -> bool:
    """Whether a tree is numbers and names with + - * / and small whole powers."""
    if node.op == "pow" and not _is_small_whole(node.args[1]):
        return False
    return node.op in ("number", "name", *ARITHMETIC) and all(map(_is_arithmetic, node.args))


def _is_small_whole(node: Node) -> bool:
    return node.op == "number" and float(node.value).is_integer() and abs(node.value) <= GREATEST_POWER

r"""A neuron from equations in text.

    custom_model("dv/dt = (v_rest - v + R*i)/tau : mV", threshold="v > v_th", reset="v = v_reset",
                 parameters={"v_rest": "-70*mV", "R": "10*Mohm", "tau": "20*ms", "v_th": "-50*mV", "v_reset": "-65*mV"},
                 initial={"v": "v_rest"})

States start at 0 unless initial says otherwise, and must be below the threshold then.

equations: one a line: `dv/dt = ... : mV`, a named part `i_leak = ... : nA`, a parameter `tau : ms`, an input port
`i_exc : nA (input)`. `(unless refractory)` behind a differential equation holds the state in the refractory period.
An input is declared in ms, mV, nA, Mohm, uS, nF or what follows from them, as weights and monitors are.
Where no input is declared, the name i (or i_syn) is the synaptic current, constant over a step. dt is the step.
threshold: a comparison, with conditions beside it if need be: 'v > v_th and w < 3'. It fires from equality on, as every
neuron here. Without one the neuron emits its first state.
reset: assignments to states, in their order: 'v = v_reset; w += b'. on_input: assignments in every step, after the
equations are solved: 'v += i' makes a jump of each input.
refractory: a time ('2*ms', a number of ms, an expression of parameters): as many whole steps as fit into it follow the
spike's (Brian2 counts the spike's own among them); or a condition, for as long as it holds: 'v > -20*mV'. A neuron that
is refractory does not fire.

The texts are read by a short grammar (`spikeloom.equations`), never run as code. They make one class of neurons, whose
parameters, state and ports are those of the equations: an elementwise model like any other.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Mapping
from dataclasses import field, fields, make_dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, cast

import numpy as np

from ..equations import COUNTER, Definition, Program, Statement, after_spike, as_text, given, initial, step, threshold
from ..errors import DataError, ParameterError, SpikeloomError
from ..ops import NumpyOps, Ops
from .description import describe, neuron_from
from .emission import Emission, Forward, Graded, NoReset, Reset, Scale, Subtract, SubtractValue, ToValue
from .neuron import Neuron, check_finite
from .surrogates import Arctan, Surrogate

CUSTOM = "custom"
"""What files call a model of this kind."""


class Custom(Neuron[Any]):
    """The base of every model that `custom_model` makes. program: the checked equations; resets: the statements of a
    reset that its emission does not stand for. Values are in ms, mV, nA, Mohm, uS, nF."""

    __slots__ = ()

    program: ClassVar[Program]
    resets: ClassVar[tuple[Statement, ...]]
    own_emission: ClassVar[Emission]
    Variables: ClassVar[type[Any]]

    @property
    def definition(self) -> Definition:
        """The texts that it is made from."""
        return self.program.definition

    @property
    def methods(self) -> dict[str, str]:
        """How the equation of each state is solved: 'exact', 'exponential_euler', 'euler', 'rk2' or 'rk4'."""
        return dict(self.program.system.methods)

    @property
    def units(self) -> dict[str, str]:
        """The unit that the values of each state, input and parameter are in."""
        p = self.program
        return {name: str(p.units[name]) for name in (*p.states, *p.inputs, *p.parameters)}

    def check(self) -> None:
        check_finite(self, *self.program.parameters)
        if self.program.refractory is not None and not self.emission.forward.uses_surrogate:
            kind = type(self.emission.forward).__name__
            raise ParameterError(f"{self.program.owner}.refractory follows a spike, and {kind} emits none")
        self._check_start()

    def _check_start(self) -> None:
        """Raises ParameterError unless the first step from rest, without input, gives finite numbers, and the initial
        state is below the threshold."""
        p = self.program
        given = {name: getattr(self, name) for name in self.parameters()}
        twin = self.bound({n: np.asarray(v.detach()) for n, v in given.items() if hasattr(v, "detach")})
        try:
            with np.errstate(all="ignore"):
                start = self.State(*(np.asarray(v, dtype=np.float64) for v in twin.initial()))
                silence = np.zeros(()) if len(self.ports) == 1 else (np.zeros(()),) * len(self.ports)
                state = twin.update(start, silence, 0.1, NumpyOps())
                values = {**state._asdict(), "threshold": twin.threshold(state, NumpyOps())}
        except (ArithmeticError, ValueError) as error:
            raise ParameterError(
                f"{p.owner}: the first step cannot be computed with these parameters: {error}"
            ) from error
        for name, value in values.items():
            if not np.all(np.isfinite(value)):
                raise ParameterError(
                    f"{p.owner}: with these parameters the first step from rest gives {name} = {value}"
                )
        if p.refractory is not None:
            with np.errstate(all="ignore"):
                left = getattr(twin.after_spike(start, np.ones(()), 0.1, NumpyOps()), COUNTER)
            if np.any(np.asarray(left) < 0):
                raise ParameterError(
                    f"{p.owner}.refractory must be a time in ms from 0 on, got `{p.definition.refractory}`"
                )
        spikes = p.threshold is not None and self.emission.forward.uses_surrogate
        if spikes and all(isinstance(value, (int, float)) for value in given.values()):
            self._check_below(start)

    def _check_below(self, start: Any) -> None:
        """Raises ParameterError where a state, of numbers, has reached the threshold."""
        name = self.emission.variable
        if (v := getattr(start, name, None)) is None or not v >= (level := self.threshold(start, NumpyOps())):
            return
        p, unit = self.program, self.units[name]
        raise ParameterError(
            f"{p.owner}: the initial state fires: `{p.definition.threshold}` with {name} = {v:g} {unit}, threshold "
            f"{float(level):g} {unit}. States start at 0 unless initial= says otherwise; give "
            f"initial={{{name!r}: '...*{unit}'}} below the threshold"
        )

    def initial(self) -> Any:
        return self.Variables(**initial(self.program, self._parameters()))

    def update(self, state: Any, inputs: Any, dt: float, xp: Ops[Any]) -> Any:
        ports = inputs if isinstance(inputs, tuple) else (inputs,)
        given = dict(zip(self.program.inputs, ports, strict=False))
        return state._replace(**step(self.program, {**self._values(state), **given}, dt, xp))

    def threshold(self, state: Any, xp: Ops[Any]) -> Any:
        simple = self.program.threshold is None or self.program.crossing is not None
        level = Neuron.threshold(self, state, xp) if simple else None
        return threshold(self.program, self._values(state), level, self.emission.variable, xp)

    def after_spike(self, state: Any, spikes: Any, dt: float, xp: Ops[Any]) -> Any:
        return state._replace(**after_spike(self.program, self.resets, self._values(state), spikes, dt, xp))

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.program.parameters}

    def _values(self, state: Any) -> dict[str, Any]:
        return {**self._parameters(), **state._asdict()}

    def __reduce__(self) -> Any:
        return _again, (self.definition, {f.name: getattr(self, f.name) for f in fields(self)})

    def __str__(self) -> str:
        """The equations, how each is solved, and the parameters with their units."""
        text = self.definition.equations.strip().splitlines()
        given = [f"{n} = {getattr(self, n)!r} {self.units[n]}" for n in self.program.parameters]
        declared = {equation.name for equation in self.program.lines}
        inputs = [f"{n} : {self.units[n]} (input)" for n in self.program.inputs if n not in declared]
        chosen = [f"{n}: {method}" for n, method in self.methods.items()]
        return "\n  ".join(
            [self.definition.name, *map(str.strip, text), *inputs, *given, "solved " + ", ".join(chosen)]
        )


def custom_model(
    equations: str,
    *,
    threshold: str | None = None,
    reset: str | None = None,
    refractory: float | str | None = None,
    on_input: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    initial: Mapping[str, float | str] | None = None,
    method: str = "auto",
    trains: Iterable[str] = (),
    name: str = "CustomNeuron",
    forward: Forward | str | None = None,
    surrogate: Surrogate | str = Arctan(),
    detach_reset: bool = False,
) -> Custom:
    """A neuron from equations in text, for `NeuronGroup(10, model=...)`; the module's own text says how to write them.

    parameters: texts with units ('20*ms'), or numbers and arrays: in the unit that the equations declare for the name,
    else in the system's own (ms, mV, nA, Mohm, uS, nF, um), which monitors, weights and inputs always use. initial: of
    states, by default 0; it must be below the threshold. method: 'auto', 'exact',
    'exponential_euler', 'euler', 'rk2', 'rk4'; the model's `methods` tell what was chosen. trains: the parameters to be
    trained. name: of the class. forward, surrogate, detach_reset: as in `Emission`.
    Raises ParameterError, with the equation, the part of it and both units, where units do not fit, and for whatever
    else is wrong.
    """
    values, units, starts = given(str(name), equations, parameters or {}, initial or {})
    period = "" if refractory is None else as_text(refractory, "ms", f"{name}.refractory")
    texts = {"equations": equations, "threshold": threshold, "reset": reset, "on_input": on_input, "method": method}
    kept = {what: "" if text is None else text for what, text in texts.items()}
    trained = (trains,) if isinstance(trains, str) else tuple(trains)
    kind = _kind(Definition(name=name, refractory=period, units=units, initial=starts, trains=trained, **kept))
    options: dict[str, Any] = {"surrogate": surrogate, "detach_reset": detach_reset}
    options |= {} if forward is None else {"forward": forward}
    return kind(**values, emission=replace(kind.own_emission, **options))


def describe_custom(neuron: Custom) -> dict[str, Any]:
    """The texts, the parameters and the emission as JSON values."""
    return {"definition": neuron.definition.plain(), **describe(neuron)}


def custom_from(description: Any) -> Custom:
    """The neuron that `describe_custom` described, its texts read as carefully as a user's; DataError where the
    description does not fit."""
    if not isinstance(description, Mapping) or "definition" not in description:
        raise DataError("a custom model must be a mapping with its definition")
    try:
        kind = _kind(Definition.from_plain(description["definition"]))
    except SpikeloomError as error:
        raise DataError(f"the definition of a custom model does not fit: {error}") from error
    values = {name: value for name, value in description.items() if name != "definition"}
    if missing := [name for name in kind.parameters() if name not in values]:
        raise DataError(f"{kind.__name__}: the description lacks {', '.join(missing)}")
    return cast(Custom, neuron_from(kind, values))


_TAKEN = frozenset({*dir(Custom), "definition", "own_emission", *Emission.__dataclass_fields__})


def _kind(draft: Definition) -> type[Custom]:
    """The class of a definition, all units found: equal definitions give one class."""
    return _class_of(Program(draft, _TAKEN).definition)


@lru_cache(maxsize=256)
def _class_of(definition: Definition) -> type[Custom]:
    program = Program(definition, _TAKEN)
    emission, resets = _emission(program)
    counter = () if program.refractory is None else (COUNTER,)
    variables = namedtuple(f"{definition.name}State", (*program.states, *counter))  # type: ignore[misc]
    own = {
        "program": program,
        "resets": resets,
        "own_emission": emission,
        "Variables": variables,
        "State": variables,
        "ports": program.ports,
        "trains": definition.trains,
        "__doc__": definition.equations,
        "__module__": __name__,
    }
    members: list[Any] = [(name, Any) for name in program.parameters]
    members.append(("emission", Emission, field(default=emission)))
    made = make_dataclass(
        definition.name, members, bases=(Custom,), namespace=own, frozen=True, kw_only=True, slots=True
    )
    return cast(type[Custom], made)


def _again(definition: Definition, values: Mapping[str, Any]) -> Custom:
    kind = _class_of(definition)
    twin = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(twin, name, value)
    return twin


def _emission(program: Program) -> tuple[Emission, tuple[Statement, ...]]:
    """The emission, and the statements of the reset that it does not stand for."""
    if program.threshold is None:
        return Emission(variable=program.states[0], threshold=0.0, forward=Graded(), reset=NoReset()), ()
    variable, level = program.crossing or (program.compared, 0.0)
    chosen: Reset = NoReset()
    left = list(program.reset)
    for statement in program.reset:
        if statement.name == variable:
            chosen = _reset(program, statement)
            if not isinstance(chosen, NoReset):
                left.remove(statement)
            break
        if program.reads(statement.node, variable):
            break
    return Emission(variable=variable, threshold=level, reset=chosen), tuple(left)


def _reset(program: Program, statement: Statement) -> Reset:
    """The reset that a statement on the emission's variable is; NoReset where there is none like it."""
    value = program.fixed(statement.node)
    if value is None:
        return NoReset()
    if not statement.op:
        return ToValue(value)
    if statement.op == "sub":
        bare = program.crossing is not None and program.crossing[1] == value and program.is_bare
        return Subtract() if bare else SubtractValue(value)
    return Scale(value) if statement.op == "mul" and not isinstance(value, str) else NoReset()

"""What a model computes: its state at rest, a step, the threshold, and what a spike does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ops import Array, Ops
from .evaluation import Evaluator
from .model import Statement, is_condition
from .program import COUNTER, Program
from .system import needed

Values = Mapping[str, Any]
_OUT_OF_REACH = 1e15
"""What is added to the threshold of a neuron that cannot fire."""


def initial(program: Program, parameters: Values) -> dict[str, Any]:
    """The state at rest by name."""
    evaluator = Evaluator(parameters, None, None)  # type: ignore[arg-type]
    state = {n: evaluator(program.initial[n]) if n in program.initial else 0.0 for n in program.states}
    return state if program.refractory is None else {**state, COUNTER: 0.0}


def step(program: Program, values: Values, dt: Any, xp: Ops[Any]) -> dict[str, Array]:
    """The state after a step of dt, spikes aside; values: of parameters, states and inputs by name."""
    values = {**values, "dt": dt}
    if program.refractory is not None:
        values[COUNTER] = _refractory(program, values, xp)
    resting = None if program.refractory is None else values[COUNTER] > 0
    state = program.system.step(values, resting, dt, xp)
    for statement in program.on_input:
        after = _assigned(program, statement, {**values, **state}, xp)
        held = resting is not None and statement.name in program.system.held
        state[statement.name] = xp.where(resting, state[statement.name], after) if held else after
    return state if resting is None else {**state, COUNTER: values[COUNTER]}


def _refractory(program: Program, values: Values, xp: Ops[Any]) -> Any:
    """How long each neuron is refractory yet, in steps; 1 while the condition for it lasts."""
    left, condition = values[COUNTER], program.refractory
    if condition is None or not is_condition(condition):
        return left
    lasts = _evaluator(program, [condition], values, xp, left)(condition)
    return xp.where(xp.logical_and(left > 0, lasts), left, 0.0)


def threshold(program: Program, values: Values, simple: Any, variable: str, xp: Ops[Any]) -> Any:
    """What the emission's variable is compared with. simple: that of a threshold such as `v > v_th`, else None."""
    v = values[variable]
    if program.threshold is None:
        return simple
    above, below, gates = program.threshold.above, program.threshold.below, program.threshold.gates
    evaluator = _evaluator(program, [above, below, *gates], values, xp, v)
    level = simple
    if simple is None:
        level = evaluator(below) if above.value == variable else v - (evaluator(above) - evaluator(below))
    for gate in gates:
        level = evaluator.where(evaluator(gate), level, level + _OUT_OF_REACH)
    if program.refractory is not None:
        level = evaluator.where(values[COUNTER] > 0, level + _OUT_OF_REACH, level)
    return level


def after_spike(
    program: Program, statements: Sequence[Statement], values: Values, spikes: Array, dt: Any, xp: Ops[Any]
) -> dict[str, Array]:
    """The states that a spike changes, after the statements in their order."""
    values, found = {**values, "dt": dt}, {}
    for statement in statements:
        values[statement.name] = found[statement.name] = _assigned(program, statement, values, xp, spikes)
    if program.refractory is not None:
        found[COUNTER] = _counted(program, values, spikes, dt, xp)
    return found


def _counted(program: Program, values: Values, spikes: Array, dt: Any, xp: Ops[Any]) -> Array:
    """The steps that a neuron will be refractory for: as many as fit into its period, counted like `units.steps`."""
    condition, left = program.refractory, xp.stop_gradient(values[COUNTER])
    if condition is None or is_condition(condition):
        return xp.where(xp.stop_gradient(spikes) > 0, 1.0, left)
    period = _evaluator(program, [condition], values, xp, spikes)(condition)
    steps = xp.floor(period / dt + 1e-6)
    return xp.where(xp.stop_gradient(spikes) > 0, steps, xp.maximum(left - 1, 0.0))


def _assigned(
    program: Program, statement: Statement, values: Values, xp: Ops[Any], where: Array | None = None
) -> Array:
    """The state that a statement sets, for 0 or 1 in `where`, or everywhere."""
    before = values[statement.name]
    operand = _evaluator(program, [statement.node], values, xp, before)(statement.node)
    if statement.op in ("add", "sub"):
        change = operand if where is None else where * operand
        return before + change if statement.op == "add" else before - change
    after = before * operand if statement.op == "mul" else before / operand if statement.op == "div" else operand
    if where is None:
        return before * 0.0 + after if isinstance(after, float) else after
    kept = before * (1 - where)
    return kept if isinstance(after, float) and after == 0 else kept + where * after


def _evaluator(program: Program, nodes: Sequence[Any], values: Values, xp: Ops[Any], like: Array) -> Evaluator:
    """Values of trees, with those of the named parts that they hold."""
    evaluator = Evaluator(values, xp, like)
    for name in needed(nodes, program.parts):
        evaluator.put(name, evaluator(program.parts[name]))
    return evaluator

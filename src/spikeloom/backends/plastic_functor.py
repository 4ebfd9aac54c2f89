"""A neuron's own lines, and those of a rule, as the functors of the plastic kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..filters import LowPass
from ..kernels import Adjoint, Inlet, RuleStep, constants, evaluate, parameters, printer, trace, trace_rule
from ..native.plastic import Functor, Leaky, Learning
from ..neurons import Neuron
from ..ops import NumpyOps
from ..plasticity.expressions import finite, value
from ..plasticity.rule import Rule
from .ops import XP

_NO_WAY_BACK = Adjoint((), (), (), ())


class Functors(NamedTuple):
    """The functors of a population and of a rule, and what the rule's step is made of."""

    neuron: Functor
    learning: Learning
    step: RuleStep


def functors_of(
    neuron: Neuron[Any], rule: Rule, inlets: Sequence[Inlet], shape: tuple[int, ...], dt: float
) -> Functors:
    """The functors of a population with its inlets and a rule; TraceError where their lines cannot become a kernel."""
    functor = _neuron(neuron, inlets, shape, dt)
    step = trace_rule(rule, neuron.State._fields, functor.parameters)
    return Functors(functor, _learning(rule, step, dt), step)


def _neuron(neuron: Neuron[Any], inlets: Sequence[Inlet], shape: tuple[int, ...], dt: float) -> Functor:
    step = trace(neuron, inlets, shape)
    values = parameters(neuron, inlets, shape) | {"dt": dt}
    own = {c.value: k for k, c in enumerate(step.coefficients) if c.op == "symbol"}
    movable = {
        name: own[symbol]
        for name in neuron.parameters()
        if step.depending_on([symbol := f"neuron.{name}"]) == (own.get(symbol),)
    }
    return Functor(
        source=printer.functor(step, _NO_WAY_BACK, synaptic=False),
        coefficients=[_flat(c, shape) for c in evaluate(step.coefficients, values, XP)],
        parameters=movable,
    )


def _flat(coefficient: Any, shape: tuple[int, ...]) -> Any:
    """A coefficient as a number or as one for each neuron in a row."""
    array = np.asarray(coefficient.detach() if hasattr(coefficient, "detach") else coefficient)
    return np.broadcast_to(array, shape).reshape(-1) if array.size > 1 else array.reshape(())


def _learning(rule: Rule, step: RuleStep, dt: float) -> Learning:
    changes = [rule.changes[k] for k in step.changes]
    normalise = rule.normalise
    with finite("numbers"):
        numbers = [float(number) for number in evaluate(step.numbers, constants(rule, dt), XP)]
    return Learning(
        source=step.source,
        numbers=numbers,
        pre=[_leaky(rule.traces[name].filter, dt) for name in step.traces["pre"]],
        post=[_leaky(rule.traces[name].filter, dt) for name in step.traces["post"]],
        eligible=[_leaky(change.eligibility, dt) for change in changes if change.eligibility is not None],
        offsets={k: _leaky(change.relax, dt) for k, change in enumerate(changes) if change.relax is not None},
        w_min=float(rule.w_min),
        w_max=float(rule.w_max),
        total=1.0 if normalise is None else float(normalise.total),
        every=0 if normalise is None else normalise.every or 0,
        squares=normalise is not None and normalise.norm == "l2",
    )


def _leaky(filter: LowPass, dt: float) -> Leaky:
    return Leaky(*(_array(number) for number in filter.coefficients(dt, XP)))


def _array(number: Any) -> Any:
    return np.asarray(number) if hasattr(number, "shape") else number


def rates(rule: Rule, step: RuleStep, modulator: Any, dt: float) -> Any:
    """The learning rate of each change times its modulator: (n_changes,), or (T, n_changes) for a modulator (T,).

    Raises DataError where one is NaN or infinite.
    """
    found = []
    for k in step.changes:
        text = rule.changes[k].modulator
        with np.errstate(all="ignore"):
            m = (
                1.0
                if text == "1"
                else value(text, {**rule.parameters, "dt": dt, "m": modulator}, NumpyOps(), modulator)
            )
            found.append(np.asarray(rule.lr * m, np.float64) + np.zeros(np.shape(modulator)))
        if not np.isfinite(found[-1]).all():
            raise DataError(f"the modulator `{text}` of a rule became NaN or infinite")
    shape = (*np.shape(modulator), len(found))
    return np.ascontiguousarray(np.stack(found, -1)) if found else np.zeros(shape)

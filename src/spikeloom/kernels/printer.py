"""A step and its adjoint as C++: a functor that the headers of the native library are templates over."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .adjoint import Adjoint
from .graph import Expr, in_order
from .trace import Step

WIDTHS = (16, 32, 64)
"""How many neurons a tile may hold."""

REALS = {"float": "f32", "double": "f64"}

_INFIX = {"add": "+", "sub": "-", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==",
          "ne": "!=", "and": "&", "or": "|"}  # fmt: skip
_CALLS = {"mul": "times", "exp": "vexp", "log": "vlog", "tanh": "vtanh", "sqrt": "vsqrt", "abs": "vabs",
          "floor": "vfloor", "min": "vmin", "max": "vmax"}  # fmt: skip


def functor(step: Step, adjoint: Adjoint, *, synaptic: bool) -> str:
    """The struct `Neuron` of a step with its adjoint; synaptic: whether the synaptic input goes out as a trace."""
    numbers = {
        "states": len(step.after), "inlets": step.n_inlets, "coefficients": len(step.coefficients),
        "kept": len(adjoint.kept), "trained": len(adjoint.coefficients), "synaptic": int(synaptic),
    }  # fmt: skip
    constants = "\n".join(f"  static constexpr int {name} = {value};" for name, value in numbers.items())
    spikes = "true" if step.distance is not None else "false"
    return (
        f"struct Neuron {{\n{constants}\n  static constexpr bool spikes = {spikes};\n"
        f"{_forward(step, adjoint, synaptic)}{_adjoint(adjoint)}}};\n"
    )


def source(functor: str, real: str, width: int) -> str:
    """The source of a library: a functor for a real type and a tile width."""
    export = f"SPIKELOOM_POPULATION(Neuron, {real}, {width}, {REALS[real]}_{width})\n"
    return f'#include "spikeloom/population.hpp"\nusing namespace spikeloom;\n{functor}{export}'


_HEAD = "  template <class Real> SPIKELOOM_INLINE "


def _forward(step: Step, adjoint: Adjoint, synaptic: bool) -> str:
    outs = {f"after[{k}]": e for k, e in enumerate(step.after)}
    outs |= {f"after[{len(step.after)}]": step.synaptic} if synaptic else {}
    outs |= {f"keep[{k}]": e for k, e in enumerate(adjoint.kept)}
    outs |= {"output": step.output}
    fires = {} if step.distance is None else {"return": step.distance >= 0}
    body = lines(outs | fires)
    end = "" if fires else "    return Mask<Real>{};\n"
    return (
        f"{_HEAD}Mask<Real> forward(const Vec<Real>* s, const Vec<Real>* x, const Vec<Real>* c, Vec<Real>* after, "
        f"Vec<Real>* keep, Vec<Real>& output) {{\n    (void)s, (void)x, (void)c, (void)keep;\n{body}{end}  }}\n"
    )


def _adjoint(adjoint: Adjoint) -> str:
    outs = {f"gs[{k}]": e for k, e in enumerate(adjoint.states)}
    outs |= {f"gx[{k}]": e for k, e in enumerate(adjoint.inlets)}
    outs |= {f"gc[{k}] +=": e for k, e in enumerate(adjoint.coefficients)}
    return (
        f"{_HEAD}void adjoint(const Vec<Real>* k, Vec<Real> g, const Vec<Real>* n, Vec<Real> y, const Vec<Real>* c, "
        "Vec<Real>* gs, Vec<Real>* gx, Vec<Real>* gc) {\n"
        f"    (void)k, (void)g, (void)n, (void)y, (void)c, (void)gs, (void)gx, (void)gc;\n{lines(outs)}  }}\n"
    )


def lines(outs: Mapping[str, Expr]) -> str:
    """Assignments of expressions to their targets, or 'return' of one; common parts first."""
    names: dict[int, str] = {}
    found: list[str] = []
    for node in in_order(outs.values(), slopes=False):
        if node.op == "symbol":
            names[id(node)] = f"{node.value[0]}[{node.value[1:]}]" if len(node.value) > 1 else node.value
        elif node.is_constant:
            names[id(node)] = f"splat<Real>(Real({_number(node.value)}))"
        elif id(node) not in names:
            names[id(node)] = f"t{len(found)}"
            kind = "Mask" if node.is_bool else "Vec"
            found.append(f"    const {kind}<Real> t{len(found)} = {_text(node, names)};\n")
    for target, expr in outs.items():
        value = names[id(expr)]
        assigned = target if target.endswith("=") else f"{target} ="
        found.append(f"    return {value};\n" if target == "return" else f"    {assigned} {value};\n")
    return "".join(found)


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NAN" if math.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"


def _text(node: Expr, names: Mapping[int, str]) -> str:
    args = [names.get(id(a), "") for a in node.args]
    if node.op in _INFIX:
        return f"{args[0]} {_INFIX[node.op]} {args[1]}"
    if node.op in _CALLS:
        return f"{_CALLS[node.op]}<Real>({', '.join(args)})"
    if node.op == "where":
        return f"select<Real>({', '.join(args)})"
    if node.op == "fire":
        return f"select<Real>({args[0]} >= 0, splat<Real>(1), splat<Real>(0))"
    if node.op == "neg":
        return f"-{args[0]}"
    if node.op == "not":
        return f"~{args[0]}"
    return args[0]

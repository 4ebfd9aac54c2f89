"""A plasticity rule as C++: its traces, factors and dependence on the weight, called with symbols and printed.

The numbers of a rule do not enter the text, so that one compiled kernel serves all rules of the same expressions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ..plasticity.expressions import names, value
from ..plasticity.rule import Change, End, Rule
from .graph import Expr, Graph, GraphOps, TraceError, in_order
from .printer import lines
from .trace import DT, REFUSALS, hoisted

TRIGGERS = ("pre", "post", "step")
_COSTLY = {"exp", "log", "tanh", "sqrt"}


@dataclass(frozen=True)
class RuleStep:
    """What a rule does in a step, as the struct `Learning` of plastic.hpp.

    numbers: expressions of the rule's parameters (`rule.a_plus`, `rule.w_max`) and dt. changes: which of the rule's
    changes come in a step, in their order; traces: the names of each end's, in the order of the kernel.
    """

    source: str
    numbers: tuple[Expr, ...]
    changes: tuple[int, ...]
    traces: Mapping[End, tuple[str, ...]]


def trace_rule(rule: Rule, states: Sequence[str], moved: Mapping[str, int]) -> RuleStep:
    """The step of a rule; TraceError, with the reason, where the kernel cannot take it.

    states: the state variables of the post neurons in the order of their functor; moved: by name the coefficients of
    the functor that are a parameter alone.
    """
    _check(rule, states, moved)
    try:
        return _Symbols(rule, states, moved).traced()
    except REFUSALS as error:
        raise TraceError(f"the rule cannot become a kernel: {error}") from error


def constants(rule: Rule, dt: float) -> dict[str, float]:
    """The values of the symbols in `RuleStep.numbers`."""
    own = {**rule.parameters, "w_min": rule.w_min, "w_max": rule.w_max}
    return {f"rule.{name}": float(number) for name, number in own.items()} | {DT: dt}


def _check(rule: Rule, states: Sequence[str], moved: Mapping[str, int]) -> None:
    stepped = [change for change in rule.changes if change.stepped]
    reads = sorted(rule.read("pre"))
    unknown = sorted(rule.read("post") - set(states))
    fixed = [target for target in rule.targets if target not in moved]
    why = None
    if rule.rounding:
        why = "it rounds its weights at random, and a kernel draws no random numbers"
    elif reads:
        why = f"it reads {', '.join(reads)} of the pre end, of which a kernel has the spikes alone"
    elif unknown:
        why = f"it reads {', '.join(unknown)} of the post neurons, which have {', '.join(states)}"
    elif fixed:
        has = ", ".join(moved) or "none"
        why = f"the kernel of the neuron has no coefficient that is {fixed[0]!r} alone; it has: {has}"
    elif any("back" in names(change.pre) for change in stepped):
        why = "it reads back, a sum over all post neurons, which no change of single synapses has"
    elif any(c.eligibility is not None and not isinstance(c.eligibility.tau, float) for c in stepped):
        why = "an eligibility has several time constants; the kernel lets all synapses decay with one"
    if why is not None:
        raise TraceError(f"the rule cannot become a kernel: {why}")


class _Symbols:
    """The symbols that stand for what a rule's expressions hold: s, n, w; y0.. (traces of an end), v0.. (variables)."""

    def __init__(self, rule: Rule, states: Sequence[str], moved: Mapping[str, int]) -> None:
        self.rule, self.states, self.moved = rule, states, moved
        self.graph = Graph()
        self.xp = GraphOps(self.graph)
        own = [*rule.parameters, "w_min", "w_max"]
        self.fixed: dict[str, Any] = {name: self.graph.symbol(f"rule.{name}") for name in own}
        self.fixed["dt"] = self.graph.symbol(DT)
        self.traces: dict[End, tuple[str, ...]] = {
            end: tuple(name for name, trace in rule.traces.items() if trace.end == end) for end in get_args(End)
        }
        self.read = sorted(rule.read("post"))
        order = {trigger: k for k, trigger in enumerate(TRIGGERS)}
        stepped = [k for k, change in enumerate(rule.changes) if change.stepped]
        self.changes = tuple(sorted(stepped, key=lambda k: order[rule.changes[k].trigger]))

    def traced(self) -> RuleStep:
        roots: dict[tuple[Any, ...], Expr] = {}
        for end in get_args(End):
            for early in (True, False):
                roots |= {(end, early, k): e for k, e in self.filtered(end, early=early).items()}
            roots |= {(end, "factor", n): self.factor(end, c) for n, c in enumerate(self._changes())}
        for n, change in enumerate(self._changes()):
            if change.weight != "1":
                roots["weight", n] = self.value(change.weight, {"w": self.graph.symbol("w")})
        found, numbers = hoisted(list(roots.values()), self.graph)
        return RuleStep(self._source(dict(zip(roots, found, strict=True)), numbers), numbers, self.changes, self.traces)

    def _changes(self) -> list[Change]:
        return [self.rule.changes[k] for k in self.changes]

    def shown(self, end: End) -> dict[str, Any]:
        """What an end shows in a step."""
        symbol = self.graph.symbol
        found: dict[str, Any] = {"s": symbol("s"), "count": symbol("n")}
        if end == "post":
            found.update({name: symbol(f"v{k}") for k, name in enumerate(self.read)})
        return found | {name: symbol(f"y{k}") for k, name in enumerate(self.traces[end])}

    def value(self, text: str, values: Mapping[str, Any]) -> Expr:
        like = self.graph.symbol("w" if "w" in values else "s")
        return self.graph.of(value(text, {**self.fixed, **values}, self.xp, like))

    def filtered(self, end: End, *, early: bool) -> dict[int, Expr]:
        """The traces of an end that are updated before the changes, or after them."""
        shown, after = self.shown(end), dict[int, Expr]()
        for k, name in enumerate(self.traces[end]):
            trace = self.rule.traces[name]
            if trace.before != early:
                continue
            kept = shown[name] * (1 - shown["s"]) if trace.nearest else shown[name]
            decay, gain = self.graph.symbol(f"d{k}"), self.graph.symbol(f"g{k}")
            after[k] = shown[name] = decay * kept + gain * self.value(trace.of, shown)
        return after

    def factor(self, end: End, change: Change) -> Expr:
        """The factor of an end, without the spike of a trigger: a kernel comes there only where there is one."""
        return self.value(getattr(change, end), self.shown(end))

    def _source(self, found: Mapping[tuple[Any, ...], Expr], numbers: Sequence[Expr]) -> str:
        changes, targets = self._changes(), list(self.rule.targets)
        eligible = [n for n, change in enumerate(changes) if change.eligibility is not None]
        texts = [t.of for t in self.rule.traces.values() if t.end == "post"] + [c.post for c in changes]
        counts = any("count" in names(text) for text in texts)
        weights = {n: found["weight", n] for n in range(len(changes)) if ("weight", n) in found}
        tables = {
            "trigger": [TRIGGERS.index(change.trigger) for change in changes],
            "target": [-1 if change.on_weight else targets.index(change.target) for change in changes],
            "kept": [eligible.index(n) if n in eligible else -1 for n in range(len(changes))],
            "plain": [int(change.pre == "1") for change in changes],
            "weighted": [int(change.weight != "1") for change in changes],
            "costly": [int(n in weights and _is_costly(weights[n])) for n in range(len(changes))],
            "moved": [self.moved[target] for target in targets],
        }
        return (
            f"struct Learning {{\n  static constexpr int changes = {len(changes)}, eligible = {len(eligible)}, "
            f"targets = {len(targets)}, numbers = {len(numbers)};\n  static constexpr bool counts = "
            f"{str(counts).lower()};\n{''.join(_table(name, table) for name, table in tables.items())}"
            f"{''.join(self._end(end, found) for end in get_args(End))}"
            f"{_chosen('weight', 'Vec<Real> w', weights)}}};\n"
        )

    def _end(self, end: End, found: Mapping[tuple[Any, ...], Expr]) -> str:
        traces = [self.rule.traces[name] for name in self.traces[end]]
        variables = [self.states.index(name) for name in self.read] if end == "post" else []
        filters = "".join(
            f"    if constexpr ({'' if early else '!'}early) {{\n"
            f"{lines({f'y[{k}]': e for (own, when, k), e in _of(found, end) if own == end and when is early})}    }}\n"
            for early in (True, False)
        )
        factors = {k: e for (_, what, k), e in _of(found, end) if what == "factor"}
        return (
            f"  struct {end.capitalize()} {{\n  static constexpr int traces = {len(traces)}, "
            f"variables = {len(variables)};\n{_table('before', [int(t.before) for t in traces])}"
            f"{_table('variable', variables)}"
            f"  template <bool early, class Real> SPIKELOOM_INLINE void filter({_SHOWN}, Vec<Real>* y, "
            f"const Vec<Real>* d, const Vec<Real>* g, const Vec<Real>* c) {{\n"
            f"    (void)s, (void)n, (void)v, (void)y, (void)d, (void)g, (void)c;\n{filters}  }}\n"
            f"{_chosen('factor', f'{_SHOWN}, const Vec<Real>* y', factors)}  }};\n"
        )


_SHOWN = "Vec<Real> s, Vec<Real> n, const Vec<Real>* v"


def _of(found: Mapping[tuple[Any, ...], Expr], end: End) -> list[tuple[tuple[Any, ...], Expr]]:
    return [(name, expr) for name, expr in found.items() if name[0] == end]


def _is_costly(expr: Expr) -> bool:
    """Whether an expression of a weight calls functions that cost much on lanes that no one asked for."""
    return any(node.op in _COSTLY for node in in_order([expr]))


def _table(name: str, values: Sequence[int]) -> str:
    """A table of whole numbers; one more, as no table is empty in C++."""
    return f"  static constexpr int {name}[] = {{{', '.join(map(str, (*values, 0)))}}};\n"


def _chosen(name: str, arguments: str, found: Mapping[int, Expr]) -> str:
    """A function for each of some changes."""
    unused = ", ".join(f"(void){part.split()[-1]}" for part in arguments.split(", "))
    bodies = "".join(
        f"    if constexpr (change == {k}) {{\n{lines({'return': expr})}    }}\n" for k, expr in found.items()
    )
    return (
        f"  template <int change, class Real> SPIKELOOM_INLINE Vec<Real> {name}({arguments}, const Vec<Real>* c) {{\n"
        f"    {unused}, (void)c;\n{bodies}    return Vec<Real>{{}};\n  }}\n"
    )

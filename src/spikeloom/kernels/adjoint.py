"""The way back through a step: its adjoint as expressions, and the least that must be kept of the way forward.

Each next state and the output bring a gradient; each state, inlet and trained coefficient gets one. Cost follows the
number of kept planes, so what is kept is a minimum cut between the values of the run and all that the adjoint needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .graph import Expr, Graph, in_order
from .trace import Step, remade

_ENDLESS = 1 << 30


@dataclass(frozen=True)
class Adjoint:
    """The gradients of states, inlets and trained coefficients as expressions of what is kept (k0..), the gradients
    that come in (g for the output, n0.. for the next states, y for the synaptic input) and the coefficients.

    kept: what k0.. stand for, as expressions of the way forward.
    """

    kept: tuple[Expr, ...]
    states: tuple[Expr, ...]
    inlets: tuple[Expr, ...]
    coefficients: tuple[Expr, ...]


def adjoint(step: Step, trained: Sequence[int] = (), *, synaptic: bool = False) -> Adjoint:
    """The adjoint of a step; trained: the coefficients that get a gradient; synaptic: whether the synaptic input is
    seen from outside and so brings a gradient of its own."""
    graph = step.graph
    seeds = [(step.output, graph.symbol("g"))]
    seeds += [(expr, graph.symbol(f"n{k}")) for k, expr in enumerate(step.after)]
    seeds += [(step.synaptic, graph.symbol("y"))] if synaptic else []
    names = [f"s{k}" for k in range(len(step.after))] + [f"x{k}" for k in range(step.n_inlets)]
    names += [f"c{k}" for k in trained]
    found = _gradients(seeds, [graph.symbol(n) for n in names], graph)
    kept, rebuilt = _with_kept(found)
    n_states, n_inlets = len(step.after), step.n_inlets
    return Adjoint(
        kept,
        tuple(rebuilt[:n_states]),
        tuple(rebuilt[n_states : n_states + n_inlets]),
        tuple(rebuilt[n_states + n_inlets :]),
    )


def _gradients(seeds: Sequence[tuple[Expr, Expr]], leaves: Sequence[Expr], graph: Graph) -> list[Expr]:
    """Reverse accumulation from the seeds to the leaves."""
    parts: dict[int, list[Expr]] = {}
    for root, seed in seeds:
        parts.setdefault(id(root), []).append(seed)
    for node in reversed(in_order([root for root, _ in seeds])):
        if id(node) not in parts or not node.args:
            continue
        gradient = graph.total(parts[id(node)])
        for argument, part in zip(node.args, _local(node, gradient), strict=False):
            if part is not None and not (part.is_constant and part.value == 0):
                parts.setdefault(id(argument), []).append(part)
    return [graph.total(parts.get(id(leaf), ())) for leaf in leaves]


def _local(node: Expr, g: Expr) -> tuple[Expr | None, ...]:
    """What a gradient of a node gives to what it is made of."""
    rule = _RULES.get(node.op)
    return () if rule is None else rule(node, g, *node.args)


def _of_extreme(node: Expr, g: Expr, a: Expr, b: Expr) -> tuple[Expr, ...]:
    """Of two that are equal each gets half, as torch has it."""
    zero = node.graph.constant(0.0)
    first, second = (a > b, a < b) if node.op == "max" else (a < b, a > b)
    to_a = node.graph.where(first, g, node.graph.where(second, zero, g * 0.5))
    to_b = node.graph.where(first, zero, node.graph.where(second, g, g * 0.5))
    return to_a, to_b


def _of_where(node: Expr, g: Expr, condition: Expr, a: Expr, b: Expr) -> tuple[Expr | None, ...]:
    zero = node.graph.constant(0.0)
    return None, node.graph.where(condition, g, zero), node.graph.where(condition, zero, g)


def _of_abs(node: Expr, g: Expr, a: Expr) -> tuple[Expr, ...]:
    return (node.graph.where(a > 0, g, node.graph.where(a < 0, -g, node.graph.constant(0.0))),)


_RULES: dict[str, Callable[..., tuple[Expr | None, ...]]] = {
    "add": lambda node, g, a, b: (g, g),
    "sub": lambda node, g, a, b: (g, -g),
    "mul": lambda node, g, a, b: (g * b, g * a),
    "div": lambda node, g, a, b: (g / b, -(g * node / b)),
    "neg": lambda node, g, a: (-g,),
    "exp": lambda node, g, a: (g * node,),
    "log": lambda node, g, a: (g / a,),
    "tanh": lambda node, g, a: (g * (1.0 - node * node),),
    "sqrt": lambda node, g, a: (g / (node + node),),
    "abs": _of_abs,
    "max": _of_extreme,
    "min": _of_extreme,
    "where": _of_where,
    "fire": lambda node, g, d, slope: (g * slope,),
}


def _with_kept(roots: Sequence[Expr]) -> tuple[tuple[Expr, ...], list[Expr]]:
    """The least that must be kept for the roots, and the roots as expressions of it."""
    runs, gradients = set[int](), set[int]()
    for node in in_order(roots):
        for kind, starts in ((runs, "sx"), (gradients, "gny")):
            own = node.op == "symbol" and node.value[0] in starts
            if own or any(id(a) in kind for a in node.args):
                kind.add(id(node))
    needed = _needed(roots, runs, gradients)
    cut = _minimum_cut(needed, runs)
    # A comparison that is kept comes back as a number.
    kept = {id(e): (e.graph.symbol(f"k{k}") > 0.5 if e.is_bool else e.graph.symbol(f"k{k}")) for k, e in enumerate(cut)}
    rebuilt: dict[int, Expr] = {}
    for node in in_order(roots, ends=kept):
        rebuilt[id(node)] = kept[id(node)] if id(node) in kept else remade(node, [rebuilt[id(a)] for a in node.args])
    return tuple(e.graph.where(e, 1.0, 0.0) if e.is_bool else e for e in cut), [rebuilt[id(root)] for root in roots]


def _needed(roots: Sequence[Expr], runs: set[int], gradients: set[int]) -> list[Expr]:
    """The largest parts of the roots that hold values of the way forward and no gradient."""
    found: dict[int, Expr] = {}
    for node in in_order(roots):
        for part in node.args if id(node) in gradients else ():
            if id(part) in runs and id(part) not in gradients:
                found[id(part)] = part
    found.update({id(r): r for r in roots if id(r) in runs and id(r) not in gradients})
    return list(found.values())


def _minimum_cut(needed: Sequence[Expr], runs: set[int]) -> list[Expr]:
    """The fewest nodes from which all that is needed follows: each node is an edge (in, out) that holds one unit."""
    capacity: dict[object, dict[object, int]] = {}

    def connect(a: object, b: object, cost: int) -> None:
        capacity.setdefault(a, {})[b] = cost
        capacity.setdefault(b, {}).setdefault(a, 0)

    nodes = [n for n in in_order(needed) if id(n) in runs]
    for node in nodes:
        connect((id(node), "in"), (id(node), "out"), 1)
        inside = [a for a in node.args if id(a) in runs]
        for argument in inside:
            connect((id(argument), "out"), (id(node), "in"), _ENDLESS)
        if not inside:
            connect("values", (id(node), "in"), _ENDLESS)
    for node in needed:
        connect((id(node), "out"), "needed", _ENDLESS)
    reached = _saturated(capacity)
    return [n for n in nodes if (id(n), "in") in reached and (id(n), "out") not in reached]


def _saturated(capacity: dict[object, dict[object, int]]) -> set[object]:
    """What can still be reached from the values once the flow is greatest."""
    while True:
        before: dict[object, object] = {"values": None}
        queue: list[object] = ["values"]
        for a in queue:
            for b, left in capacity.get(a, {}).items():
                if left > 0 and b not in before:
                    before[b] = a
                    queue.append(b)
        if "needed" not in before:
            return set(before)
        trail: list[tuple[object, object]] = []
        end: object = "needed"
        while (start := before[end]) is not None:
            trail.append((start, end))
            end = start
        flow = min(capacity[a][b] for a, b in trail)
        for a, b in trail:
            capacity[a][b] -= flow
            capacity[b][a] += flow

"""One step of a population as expressions: the neuron's own lines, its emission and its filters, called with symbols.

Numbers and arrays among the parameters become symbols; what depends on them and on dt alone is hoisted into
coefficients, which are computed once, outside of the loop over time. Flags, whole numbers and texts steer the lines
and stay as they are.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..filters import Filter
from ..neurons import Emission, Neuron, advance
from .graph import Expr, Graph, GraphOps, TraceError, in_order

DT = "dt"
REFUSALS = (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError)


@dataclass(frozen=True)
class Inlet:
    """What flows into a port: through a filter with so many state variables, or straight."""

    port: str
    filter: Filter[Any] | None = None
    n_states: int = 0


@dataclass(frozen=True)
class Step:
    """A step as expressions of the symbols s0.. (states), x0.. (inlets) and c0.. (coefficients).

    output: what leaves; distance: v - threshold of what spikes, None where the output is graded. after: the states of
    the neuron, then of the filters. synaptic: what enters the first port. coefficients: expressions of the parameters
    (`neuron.tau_m`, `inlet0.tau`, `emission.surrogate.alpha`) and dt.
    """

    graph: Graph
    n_inlets: int
    output: Expr
    distance: Expr | None
    after: tuple[Expr, ...]
    synaptic: Expr
    coefficients: tuple[Expr, ...]

    def depending_on(self, names: Iterable[str]) -> tuple[int, ...]:
        """The coefficients that depend on any of these parameters."""
        wanted = set(names)
        return tuple(
            k
            for k, c in enumerate(self.coefficients)
            if any(n.op == "symbol" and n.value in wanted for n in in_order([c]))
        )


def trace(neuron: Neuron[Any], inlets: Sequence[Inlet], shape: tuple[int, ...] = ()) -> Step:
    """The step of a population of that shape; TraceError, with the line, where it cannot be traced."""
    if why := type(neuron).coupled or neuron.emission.forward.coupled:
        raise TraceError(f"{type(neuron).__name__} cannot become a kernel: it is coupled, {why}")
    graph = Graph()
    xp = GraphOps(graph)
    bound = _with_symbols(neuron, graph, shape)
    try:
        return _traced(bound, inlets, graph, xp, shape)
    except REFUSALS as error:
        raise TraceError(f"{type(neuron).__name__} cannot become a kernel: {_place(error)}{error}") from error


def parameters(neuron: Neuron[Any], inlets: Sequence[Inlet], shape: tuple[int, ...] = ()) -> dict[str, Any]:
    """The values of all that `trace` makes symbols of, by name."""
    found = _values("neuron", {n: getattr(neuron, n) for n in neuron.parameters()}, shape)
    found.update(_values("emission", {"threshold": neuron.emission.threshold}, shape))
    for part in ("forward", "surrogate", "reset"):
        found.update(_values(f"emission.{part}", _fields(getattr(neuron.emission, part)), shape))
    for k, inlet in enumerate(inlets):
        if inlet.filter is not None:
            found.update(_values(f"inlet{k}", _numbers(inlet.filter), shape))
    return found


def _fields(part: Any) -> dict[str, Any]:
    return {f.name: getattr(part, f.name) for f in fields(part)} if is_dataclass(part) else {}


def _numbers(filter: Filter[Any]) -> dict[str, Any]:
    """The parameters of a filter that are no matrices."""
    return {name: value for name, value in filter.parameters().items() if name not in filter.matrices}


def _values(owner: str, given: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    return {f"{owner}.{name}": value for name, value in given.items() if _varies(value, shape)}


def _varies(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether a value is a number, also as an array of one, or an array with one for each neuron."""
    if isinstance(value, (float, np.floating)):
        return True
    own = getattr(value, "shape", None)
    if own is None:
        return False
    return tuple(own) == shape or (len(own) <= len(shape) and set(own) <= {1})


def _bound(part: Any, owner: str, graph: Graph, shape: tuple[int, ...]) -> Any:
    """A frozen dataclass with symbols in place of its numbers, past its checks."""
    if not is_dataclass(part):
        return part
    twin = object.__new__(type(part))
    for name, value in _fields(part).items():
        object.__setattr__(twin, name, graph.symbol(f"{owner}.{name}") if _varies(value, shape) else value)
    return twin


def _with_symbols(neuron: Neuron[Any], graph: Graph, shape: tuple[int, ...]) -> Neuron[Any]:
    given = neuron.emission
    emission: Emission = _bound(given, "emission", graph, shape)
    for part in ("forward", "surrogate", "reset"):
        object.__setattr__(emission, part, _bound(getattr(given, part), f"emission.{part}", graph, shape))
    return neuron.bound(
        {n: graph.symbol(f"neuron.{n}") for n in neuron.parameters() if _varies(getattr(neuron, n), shape)}
        | {"emission": emission}
    )


def _traced(neuron: Neuron[Any], inlets: Sequence[Inlet], graph: Graph, xp: GraphOps, shape: tuple[int, ...]) -> Step:
    dt, model = graph.symbol(DT), type(neuron)
    n_own = len(neuron.State._fields)
    states = [graph.symbol(f"s{k}") for k in range(n_own + sum(inlet.n_states for inlet in inlets))]
    ports: dict[str, Any] = {}
    after: list[Expr] = []
    first = n_own
    for k, inlet in enumerate(inlets):
        current: Any = graph.symbol(f"x{k}")
        if inlet.filter is not None:
            current, kept = _filtered(
                inlet.filter, k, current, states[first : first + inlet.n_states], graph, xp, shape
            )
            after += kept
            first += inlet.n_states
        ports[inlet.port] = current if inlet.port not in ports else ports[inlet.port] + current
    given = [ports.get(port, graph.constant(0.0)) for port in model.ports]
    distances: list[Expr] = []

    def fire(d: Any, v: Any, emission: Emission, xp: Any) -> Any:
        if not emission.forward.uses_surrogate:
            return emission.forward.output(d, v, xp)
        distances.append(graph.of(d))
        return graph.fire(distances[0], graph.of(emission.surrogate.derivative(distances[0], xp)))

    inputs: Any = given[0] if len(given) == 1 else tuple(given)
    output, state = advance(neuron, neuron.State(*states[:n_own]), inputs, dt, xp, fire)  # type: ignore[arg-type]
    roots = [graph.of(e) for e in (output, *state, *after, given[0], *distances)]
    roots, coefficients = hoisted(roots, graph)
    n_after = n_own + len(after)
    distance = roots[-1] if distances else None
    return Step(graph, len(inlets), roots[0], distance, tuple(roots[1 : 1 + n_after]), roots[1 + n_after], coefficients)


def _filtered(
    filter: Filter[Any], k: int, x: Any, states: Sequence[Expr], graph: Graph, xp: GraphOps, shape: tuple[int, ...]
) -> tuple[Any, list[Expr]]:
    """Output and next states of an inlet's filter; one that is made for a dt of its own is taken at that."""
    given = {n: graph.symbol(f"inlet{k}.{n}") for n, v in _numbers(filter).items() if _varies(v, shape)}
    bound, own = filter.bound(given), getattr(filter, "dt", None)
    y, after = bound.step(tuple(states), x, bound.coefficients(graph.symbol(DT) if own is None else own, xp))  # type: ignore[arg-type]
    return y, [graph.of(part) for part in after]


def hoisted(roots: Sequence[Expr], graph: Graph) -> tuple[list[Expr], tuple[Expr, ...]]:
    """The roots with a symbol in place of each largest part that no value of the run enters, and those parts."""
    runs, symbolic = set[int](), set[int]()
    for node in in_order(roots):
        own = node.op == "symbol" and node.value != DT and "." not in node.value
        if own or any(id(a) in runs for a in node.args):
            runs.add(id(node))
        if node.op == "symbol" or any(id(a) in symbolic for a in node.args):
            symbolic.add(id(node))
    fixed = {id(node) for node in in_order(roots) if not node.is_bool} & symbolic - runs
    found: dict[int, Expr] = {}
    coefficients: list[Expr] = []
    for node in in_order(roots, ends=fixed):
        if id(node) in fixed:
            found[id(node)] = graph.symbol(f"c{len(coefficients)}")
            coefficients.append(node)
        else:
            found[id(node)] = remade(node, [found[id(a)] for a in node.args])
    return [found[id(root)] for root in roots], tuple(coefficients)


def remade(node: Expr, args: Sequence[Expr]) -> Expr:
    """The same operation on other nodes."""
    if not args:
        return node
    if node.op == "where":
        return node.graph.where(*args)
    if node.op == "fire":
        return node.graph.fire(*args)
    return node.graph.node(node.op, *args)


def _place(error: BaseException) -> str:
    """Where the lines of a model stopped: the last place in the traceback that is neither tracing nor inside NumPy."""
    others = {Path(__file__).parent, Path(np.__file__).parent}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if others.isdisjoint(Path(f.filename).parents)]
    frames = [f for f in frames if f.name not in ("advance",)]
    if not frames:
        return ""
    frame = frames[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}: `{frame.line}`: "

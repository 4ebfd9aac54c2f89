"""Networks as other formats describe them, a graph of populations and the linear stages between them, made into ours.

A stage becomes a connection. Where several populations flow into a stage, or its result does not flow into just one,
a relay stands there: a population without memory that passes on, in the same step, the sum of what flows into it; and
before an answer where several nodes, an input or a delay flow into it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError, ShapeError, UnsupportedError
from ..filters import Filter, LowPass
from ..neurons import LI, Graded, Neuron, Null
from .component import Assembly
from .connection import Connection
from .decoder import Decoder
from .encoder import Encoder
from .graph_stages import Direct, Shape, Stage
from .group import NeuronGroup
from .loops import strong_components
from .network import Network
from .values import at

MAX_NODES = 2000
"""How many nodes, and how many edges, a graph may have."""
MAX_NEURONS = 10**7
"""How many neurons a population of a graph may have."""


@dataclass(frozen=True)
class Feed:
    """Where data of a shape come in; time: for how long, in ms; None: through the whole run."""

    shape: Shape
    time: float | None = None


@dataclass(frozen=True)
class Population:
    """Neurons; shape: None for that of what flows in. gain: a factor of their currents, one or one a neuron."""

    neuron: Neuron[Any]
    shape: Shape | None = None
    gain: Any = 1.0
    filter: Filter[Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What is read from the network."""


@dataclass(frozen=True)
class Pass:
    """Passes on what flows in, `delay` ms later and, where `flat`, along one axis."""

    delay: float = 0.0
    flat: bool = False


Node = Feed | Population | Answer | Pass | Stage


class Edge(NamedTuple):
    """From one node to another, which takes `delay` ms."""

    pre: str
    post: str
    delay: float = 0.0


class _Graph(NamedTuple):
    nodes: dict[str, Node]
    edges: list[Edge]
    shapes: dict[str, Shape]
    filters: dict[str, Filter[Any]]


def network_of(nodes: Mapping[str, Node], edges: Iterable[tuple[str, str]], coding_method: str) -> Network:
    """The network that computes what the graph says; coding_method: that of its encoders.

    Raises DataError, which names the node, for what does not fit, UnsupportedError for two stages in a row in a loop.
    """
    plain = sorted({Edge(pre, post) for pre, post in edges})
    _check(nodes, plain)
    graph = _with_relays(_with_filters(_contracted(_Graph(dict(nodes), plain, _shapes(nodes, plain), {}))))
    names, net = plain_names(graph.nodes), Network()
    made: dict[str, Any] = {}
    for key, node in graph.nodes.items():
        with at(f"node {key!r}"):
            if isinstance(node, Feed):
                made[key] = Encoder(shape=graph.shapes[key], coding_method=coding_method, time=node.time)
            elif isinstance(node, Population):
                made[key] = NeuronGroup(model=node.neuron, shape=graph.shapes[key])
            if key in made:
                _add(net, names[key], made[key])
    for edge in graph.edges:
        if edge.pre in made:
            with at(f"node {edge.post!r}"):
                _join(net, graph, edge, made, names)
    return net


def _join(net: Network, graph: _Graph, edge: Edge, made: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Adds what an edge from a population stands for: a connection, over the stage that it leads to, or a decoder."""
    pre, middle = made[edge.pre], graph.nodes[edge.post]
    if isinstance(middle, Answer):
        method = "spike_counts" if _spikes(graph, edge.pre) else "v_t"
        _add(net, names[edge.post], Decoder(dec_target=pre, coding_method=method))
        return
    stage: Stage = Direct()
    post, delay, name = edge.post, edge.delay, f"{names[edge.pre]}_to_{names[edge.post]}".replace(".", "_")
    if isinstance(middle, Stage):
        (last,) = (e for e in graph.edges if e.pre == edge.post)
        stage, post, delay, name = middle, last.post, edge.delay + last.delay, names[edge.post]
    population: Any = graph.nodes[post]
    if np.any(population.gain != 1.0):
        stage = stage.scaled(population.gain)
    link = stage.link(graph.shapes[edge.pre])
    _add(
        net,
        name,
        Connection(
            pre, made[post], link_type=link, delay=delay, filter=graph.filters.get(edge.post, population.filter)
        ),
    )


def _spikes(graph: _Graph, key: str) -> bool:
    """Whether what a node passes on are spikes, or sums of spikes."""
    node = graph.nodes[key]
    if isinstance(node, Population) and isinstance(node.neuron, Null):
        return all(_spikes(graph, edge.pre) for edge in graph.edges if edge.post == key)
    return isinstance(node, Population) and not isinstance(node.neuron.emission.forward, Graded)


def _add(net: Network, path: str, component: Any) -> None:
    """Adds a component under a path, in assemblies that are made where they are not there yet."""
    *parents, name = path.split(".")
    owner: Any = net
    for parent in parents:
        if parent not in owner.members:
            owner.add(parent, Assembly())
        owner = owner.members[parent]
    if not isinstance(owner, Assembly) or name in owner.members:
        raise DataError(f"the name {path!r} is needed twice; rename the node")
    owner.add(name, component)


def _check(nodes: Mapping[str, Node], edges: Sequence[Edge]) -> None:
    """Raises DataError for edges to nothing, nodes that lead nowhere, and too many of either."""
    if len(nodes) > MAX_NODES or len(edges) > MAX_NODES:
        raise DataError(f"a graph has at most {MAX_NODES} nodes and edges, got {len(nodes)} and {len(edges)}")
    for edge in edges:
        for key in (edge.pre, edge.post):
            if key not in nodes:
                raise DataError(f"edge {(edge.pre, edge.post)}: there is no node {key!r}")
    left, entered = {edge.pre for edge in edges}, {edge.post for edge in edges}
    for key, node in nodes.items():
        if key not in entered and not isinstance(node, Feed | Population):
            raise DataError(f"node {key!r}: nothing flows into it")
        if key not in left and isinstance(node, Stage | Pass):
            raise DataError(f"node {key!r}: its result flows nowhere")
    for edge in edges:
        if isinstance(nodes[edge.post], Feed) or isinstance(nodes[edge.pre], Answer):
            raise DataError(f"edge {edge[:2]}: nothing flows into an input or out of an output")


def _shapes(nodes: Mapping[str, Node], edges: Sequence[Edge]) -> dict[str, Shape]:
    """The shape of what each node passes on; DataError where it does not follow from what flows in."""
    found: dict[str, Shape] = {k: n.shape for k, n in nodes.items() if isinstance(n, Feed | Population) and n.shape}
    after: dict[str, list[str]] = {}
    for edge in edges:
        after.setdefault(edge.pre, []).append(edge.post)
    waiting = list(found)
    while waiting:
        key = waiting.pop()
        with at(f"node {key!r}"):
            check_size(found[key])
        for post in after.get(key, []):
            if post not in found:
                with at(f"node {post!r}"):
                    found[post] = passed_on(nodes[post], found[key])
                waiting.append(post)
    for key in nodes:
        if key not in found:
            raise DataError(f"node {key!r}: its shape follows neither from itself nor from what flows in")
    return found


def check_size(shape: Shape) -> None:
    """Raises ShapeError for a shape without neurons, or with more than MAX_NEURONS."""
    if math.prod(shape) > MAX_NEURONS or min(shape) < 1:
        raise ShapeError(f"shape {shape} must be of 1 to {MAX_NEURONS} neurons")


def passed_on(node: Node, shape: Shape) -> Shape:
    """The shape of what a node passes on for what flows in; ShapeError where it does not fit."""
    if isinstance(node, Stage):
        return node.target(shape)
    return (math.prod(shape),) if isinstance(node, Pass) and node.flat else shape


def _contracted(graph: _Graph) -> _Graph:
    """The graph without nodes that only pass on; their delays lie on the edges."""
    edges = graph.edges
    for key, node in graph.nodes.items():
        if not isinstance(node, Pass):
            continue
        into = [e for e in edges if e.post == key]
        out = [e for e in edges if e.pre == key]
        joined = [Edge(a.pre, b.post, a.delay + node.delay + b.delay) for a in into for b in out]
        if any(e.pre == e.post == key for e in joined):
            raise DataError(f"node {key!r}: it lies in a loop without a neuron")
        edges = [e for e in edges if key not in (e.pre, e.post)] + joined
        if len(edges) > MAX_NODES:
            raise DataError(f"node {key!r}: it joins more than {MAX_NODES} pairs of nodes")
    return graph._replace(nodes={k: n for k, n in graph.nodes.items() if not isinstance(n, Pass)}, edges=sorted(edges))


def _with_filters(graph: _Graph) -> _Graph:
    """The graph with leaky integrators between a stage and the one population they feed as filters of the stage."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    filters: dict[str, Filter[Any]] = {}
    for key, node in graph.nodes.items():
        into, out = [e for e in edges if e.post == key], [e for e in edges if e.pre == key]
        if not isinstance(node, Population) or type(node.neuron) is not LI or len(into) != 1 or len(out) != 1:
            continue
        stage: Any = nodes[into[0].pre]
        post = nodes[out[0].post]
        alone = sum(e.pre == into[0].pre for e in edges) == 1 and isinstance(stage, Stage)
        if not alone or not isinstance(post, Population) or post.filter is not None or np.any(node.neuron.v_rest):
            continue
        filters[into[0].pre] = LowPass(tau=node.neuron.tau_m, normalise=node.neuron.scale_input)
        nodes[into[0].pre] = stage if np.all(node.gain == 1.0) else stage.scaled(node.gain)
        edges = [e for e in edges if key not in e[:2]] + [Edge(into[0].pre, out[0].post, into[0].delay + out[0].delay)]
        del nodes[key]
    return graph._replace(nodes=nodes, edges=sorted(edges), filters=filters)


def _with_relays(graph: _Graph) -> _Graph:
    """The graph with relays, so that each stage stands between two populations, and with biases that come at once."""
    nodes, edges, shapes = dict(graph.nodes), list(graph.edges), dict(graph.shapes)
    relays: dict[str, str] = {}

    def relay(key: str, side: str, shape: Shape) -> str:
        name = next(n for k in count(1) if (n := f"{key}_{side}" + str(k) * (k > 1)) not in nodes)
        nodes[name], shapes[name], relays[name] = Population(Null()), shape, key
        return name

    for key in [key for key, node in nodes.items() if isinstance(node, Answer)]:
        into = [e for e in edges if e.post == key]
        if len(into) > 1 or into[0].delay or isinstance(nodes[into[0].pre], Feed):
            _check_sizes(key, [shapes[e.pre] for e in into])
            before = relay(key, "in", shapes[key])
            edges = [e._replace(post=before) if e.post == key else e for e in edges] + [Edge(before, key)]
    for key in [key for key, node in nodes.items() if isinstance(node, Stage)]:
        if len(into := [e for e in edges if e.post == key]) > 1:
            before = relay(key, "in", shapes[into[0].pre])
            edges = [e._replace(post=before) if e.post == key else e for e in edges] + [Edge(before, key)]
        out = [e for e in edges if e.pre == key]
        if len(out) > 1 or not isinstance(nodes[out[0].post], Population):
            behind = relay(key, "out", shapes[key])
            edges = [e._replace(pre=behind) if e.pre == key else e for e in edges] + [Edge(key, behind)]
    made = graph._replace(nodes=nodes, edges=sorted(edges), shapes=shapes)
    looped = _looped(made)
    for name, key in relays.items():
        if name in looped:
            raise UnsupportedError(
                f"node {key!r} lies in a loop where two stages follow each other, or one flows into several nodes; "
                "join the stages into one, and give each population one of its own"
            )
    return _with_prompt_biases(made, looped)


def _check_sizes(key: str, shapes: Sequence[Shape]) -> None:
    if len({math.prod(shape) for shape in shapes}) > 1:
        raise DataError(f"node {key!r}: it adds what flows in, which must be of one shape, got {shapes}")


def _looped(graph: _Graph) -> set[str]:
    """The nodes that lie in a loop with others."""
    labels = strong_components([*graph.nodes], [edge[:2] for edge in graph.edges])
    sizes = Counter(labels.values())
    return {key for key, label in labels.items() if sizes[label] > 1}


def _with_prompt_biases(graph: _Graph, looped: set[str]) -> _Graph:
    """The graph with the biases of stages that take time given to stages into the same population that take none.

    A bias is there from the first step on, but what a connection in a loop or with a delay carries comes later.
    """
    nodes = dict(graph.nodes)
    late = {e.post for e in graph.edges if e.delay} | {e.pre for e in graph.edges if e.delay} | looped
    target = {e.pre: e.post for e in graph.edges if isinstance(nodes[e.pre], Stage)}
    for key in sorted(late & target.keys()):
        stage: Any = nodes[key]
        bias = getattr(stage, "bias", None)
        if bias is None:
            continue
        prompt = [k for k in target if target[k] == target[key] and type(nodes[k]) is type(stage) and k not in late]
        if np.any(bias) and not prompt:
            raise UnsupportedError(
                f"node {key!r}: its bias would come late, with what the loop or the delay carries; give the bias to "
                f"another node of this type that flows into {target[key]!r}"
            )
        nodes[key] = replace(stage, bias=None)
        if np.any(bias):
            other: Any = nodes[prompt[0]]
            nodes[prompt[0]] = replace(other, bias=bias if other.bias is None else other.bias + bias)
    return graph._replace(nodes=nodes)


def plain_names(nodes: Mapping[str, Node]) -> dict[str, str]:
    """A path for each node: its key with what no name may hold replaced, dots parting assemblies; each path once."""
    taken: set[str] = set()
    found = {}
    for key, node in nodes.items():
        kind = type(node.neuron if isinstance(node, Population) else node).__name__.lower()
        parts = [_identifier(part, kind) for part in key.split(".")]
        within = any(other.startswith(f"{key}.") or key.startswith(f"{other}.") for other in nodes)
        path = start = ("_" if within else ".").join(parts)
        number = 2
        while path in taken:
            path, number = f"{start}_{number}", number + 1
        taken.add(path)
        found[key] = path
    return found


def _identifier(part: str, kind: str) -> str:
    """The part as an identifier that is free in an assembly; the kind goes before a number and a name that is taken."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in part).strip("_")
    return plain if plain[:1].isalpha() and not hasattr(Network, plain) else f"{kind}{plain}"

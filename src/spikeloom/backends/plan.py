"""From a network's description to a schedule: which parts run over the whole window, which step by step.

Populations in one loop form one stage, which is stepped; every other population is a stage of its own, which runs over
the whole window at once. Stages stand in the order in which spikes travel; those that one compute path can take
together form a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any

from ..errors import StateError, UnsupportedError
from ..filters import Filter
from ..network import Action, Connection, Decoder, LearnedDelays, Monitor, Network, NeuronGroup, Projection, Reward
from ..network.loops import strong_components
from ..network.printing import steps_text
from ..network.relations import nodes_behind
from ..neurons import Neuron
from .nodes import Node, groups_behind, node_of
from .rules import plasticities, ties


@dataclass(frozen=True)
class Route:
    """A connection with the steps it takes: its delay, and one more inside a loop.

    back: whether it is the way of an electrical synapse from its target to its source.
    """

    connection: Connection
    steps: int
    looped: bool
    back: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """The path of the connection, and for the way back one name more."""
        return (str(self.connection.path), "back") if self.back else (str(self.connection.path),)

    @cached_property
    def source(self) -> str:
        """The path of the component that it starts from."""
        return str((self.connection.post if self.back else self.connection.pre).path)


@dataclass(frozen=True)
class Branch:
    """All routes into one port of a population through equal filters: their currents are summed before the filter."""

    port: str
    filter: Filter[Any] | None
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Layer:
    """A population with its model, the emission of its learner in place, and all that flows into it."""

    path: str
    shape: tuple[int, ...]
    neuron: Neuron[Any]
    trains: tuple[str, ...]
    branches: tuple[Branch, ...]


@dataclass(frozen=True)
class Stage:
    """Populations that run together: over the whole window when alone and without a loop, else step by step.

    nodes: what joins outputs of its populations for others of them, step by step; before: the nodes that it needs and
    that have nothing to do with its populations, each after its inputs; plastic: the paths of its connections that a
    rule is at.
    """

    layers: tuple[Layer, ...]
    stepped: bool
    nodes: tuple[Node, ...] = ()
    before: tuple[Node, ...] = ()
    plastic: tuple[str, ...] = ()

    @property
    def paths(self) -> frozenset[str]:
        """The paths of its populations and nodes."""
        return frozenset(layer.path for layer in self.layers) | {node.path for node in self.nodes}


@dataclass(frozen=True)
class Block:
    """Stages in a row that one compute path runs, behind one autograd function.

    path: the name of the compute path; why: what keeps it from a faster one.
    """

    stages: tuple[Stage, ...]
    path: str = "torch path"
    why: str = ""

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The populations of all stages in order."""
        return tuple(layer for stage in self.stages for layer in stage.layers)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes inside of its stages in order."""
        return tuple(node for stage in self.stages for node in stage.nodes)

    @cached_property
    def before(self) -> tuple[Node, ...]:
        """The nodes that run before it, over the whole window, each after its inputs."""
        return tuple({node.path: node for stage in self.stages for node in stage.before}.values())

    @cached_property
    def paths(self) -> frozenset[str]:
        """The paths of its populations and nodes."""
        return frozenset(layer.path for layer in self.layers) | {node.path for node in self.nodes}

    @cached_property
    def needs(self) -> set[str]:
        """The paths of all that goes into its populations and nodes."""
        routes = {r.source for layer in self.layers for b in layer.branches for r in b.routes}
        return routes | {path for node in self.nodes + self.before for path in node.inputs}


@dataclass(frozen=True)
class Plan:
    """The blocks of a network in order."""

    blocks: tuple[Block, ...]
    dt: float

    def __str__(self) -> str:
        lines = [f"plan, dt {self.dt} ms"]
        for number, block in enumerate(self.blocks, 1):
            lines += [f"   {node}" for node in block.before]
            lines.append(f"{number}. {block.path}" + (f" ({block.why})" if block.why else ""))
            for stage in block.stages:
                lines += [f"   {node}, step by step" for node in stage.nodes]
                how = "step by step" if stage.stepped else "whole window"
                how += f", a rule changes {', '.join(stage.plastic)}" if stage.plastic else ""
                for layer in stage.layers:
                    lines.append(f"   {layer.path}: {type(layer.neuron).__name__} {layer.shape}, {how}")
                    lines += [f"      <- {_route_line(route)}" for b in layer.branches for route in b.routes]
        return "\n".join(lines)


def _route_line(route: Route) -> str:
    synapse = "".join(f", {stage.name}" for stage in route.connection.synapses.stages)
    synapse += f", {type(route.connection.filter).__name__}" if route.connection.filter is not None else ""
    loop = int(route.looped)
    steps = f", {steps_text(route.steps - loop, loop)}" if route.steps else ""
    return f"{route.source} by {route.connection.path} ({route.connection.link.name}{synapse}{steps})"


Choose = Callable[[Stage], tuple[str, str]]
"""The name of the compute path of a stage, and why no faster one."""


ALONE = ("torch path", "plastic path")
"""The paths that take one stage at a time."""


def _torch_only(stage: Stage) -> tuple[str, str]:
    return "torch path", ""


def make_plan(network: Network, dt: float, schedule: str = "auto", choose: Choose = _torch_only) -> Plan:
    """The schedule of a network; 'auto' steps only what must be stepped, 'step' steps everything.

    Stages of one path that can take several make one block, where none needs what stands between. Raises StateError for
    a connection, decoder or monitor that refers to what is not in the network.
    """
    groups, connections = network.groups, network.connections
    _check_members(network)
    component, tied = _components(groups, connections), ties(network)
    together = _components(groups, connections, tied) if tied else component
    order = _in_order(groups, connections, together)
    rank = {c: k for k, c in enumerate(_in_order(groups, connections, component) if tied else order)}
    plastic = frozenset(p.connection.path for p in plasticities(network))
    layers = {g.path: _layer(g, connections, component, network, dt) for g in groups}
    placed = sorted(groups, key=lambda g: rank[component[g.path]])
    members = [[layers[g.path] for g in placed if together[g.path] == c] for c in order]
    if schedule == "step":
        stages = [_stage([layer for part in members for layer in part], plastic, stepped=True)]
    else:
        stages = [_stage(part, plastic) for part in members]
    blocks = _blocks(stages, choose)
    _check_learned(blocks)
    return Plan(tuple(blocks), dt)


def _check_learned(blocks: Sequence[Block]) -> None:
    """Raises UnsupportedError for delays that learn inside a loop, but where a path finds exact times."""
    layers = (layer for block in blocks if block.path != "event path" for layer in block.layers)
    for route in (route for layer in layers for branch in layer.branches for route in branch.routes):
        if route.looped and isinstance(route.connection.delay, LearnedDelays):
            raise UnsupportedError(
                f"connection {route.connection.path!r} has delays that learn and lies in a loop; they are trained by a "
                "product over the whole window, which a loop does not have: train without the loop, or round them "
                "first (spikeloom.passes.round_delays)"
            )


def _stage(layers: Sequence[Layer], plastic: frozenset[str], *, stepped: bool = False) -> Stage:
    routes = [r for layer in layers for b in layer.branches for r in b.routes]
    groups = {layer.path for layer in layers}
    inside, before = dict[str, Node](), dict[str, Node]()
    for component in nodes_behind(r.connection.pre for r in routes):
        own = {group.path for group in groups_behind(component)} & groups
        (inside if own else before)[component.path] = node_of(component)
    looped = any(r.looped for r in routes)
    learning = tuple(r.connection.path for r in routes if r.connection.path in plastic)
    stepped = stepped or looped or bool(learning) or len(layers) > 1
    return Stage(tuple(layers), stepped, tuple(inside.values()), tuple(before.values()), learning)


def _blocks(stages: Sequence[Stage], choose: Choose) -> list[Block]:
    """One block a stage on the paths that take one alone, one a run of stages on others; a node stands between."""
    blocks: list[Block] = []
    for stage in stages:
        path, why = choose(stage)
        home = None if path in ALONE else _home(blocks, stage, path)
        if home is None:
            blocks.append(Block((stage,), path, why))
        else:
            blocks[home] = replace(blocks[home], stages=(*blocks[home].stages, stage))
    return blocks


def _home(blocks: Sequence[Block], stage: Stage, path: str) -> int | None:
    """The last block of this path, where the stage needs nothing of those that come after it."""
    alone = Block((stage,))
    for k in reversed(range(len(blocks))):
        if any(blocks[k].paths & set(node.inputs) for node in stage.before):
            return None
        if blocks[k].path == path:
            return k
        if blocks[k].paths & alone.needs:
            return None
    return None


def _check_members(network: Network) -> None:
    inside = {id(c) for c in network.walk()}
    for connection in network.connections:
        for end, part in (("pre", connection.pre), ("post", connection.post)):
            if id(part) not in inside:
                raise StateError(
                    f"connection {connection.path!r}: its {end} {part.name!r} is not in the network; "
                    f"assign it first: net.{part.name if part.name.isidentifier() else 'layer'} = ..."
                )
    for node in nodes_behind(connection.pre for connection in network.connections):
        lost = [each.name for each in node.refers_to() if id(each) not in inside]
        if lost or id(node) not in inside:
            raise StateError(f"{node.kind} {node.path!r}: {', '.join(lost) or 'it'} is not in the network; assign it")
    for projection in network.running(Projection):
        if not projection.get_connections():
            raise StateError(
                f"projection {projection.path!r} from {projection.pre.path!r} to {projection.post.path!r} has no "
                "connection; add one, or delete it: del_assembly"
            )
    rewards = [reward for reward in network.running(Reward) if reward.target is not None]
    watchers: list[Action | Decoder | Monitor | Reward] = [
        *network.decoders, *network.running(Action), *rewards, *network.monitors
    ]  # fmt: skip
    for watcher in watchers:
        if id(watcher.target) not in inside:
            raise StateError(
                f"{watcher.kind} {watcher.path!r}: its target {watcher.target.name!r} is not in the network"
            )


def _components(
    groups: Sequence[NeuronGroup], connections: Sequence[Connection], tied: Sequence[tuple[str, str]] = ()
) -> dict[str, int]:
    """The number of the strongly connected component of each population; tied ones are in one."""
    edges = [(pre.path, c.post.path) for c in connections for pre in groups_behind(c.pre)]
    edges += [(c.post.path, c.pre.path) for c in connections if c.synapses.electrical]
    edges += [edge for a, b in tied for edge in ((a, b), (b, a))]
    return strong_components([group.path for group in groups], edges)


def _in_order(groups: Sequence[NeuronGroup], connections: Sequence[Connection], component: dict[str, int]) -> list[int]:
    """The components in the order in which spikes travel; those that are free of each other in order of creation."""
    before: dict[int, set[int]] = {}
    for group in groups:
        before.setdefault(component[group.path], set())
    for c in connections:
        behind = {component[pre.path] for pre in groups_behind(c.pre)}
        before[component[c.post.path]] |= behind - {component[c.post.path]}
    return list(TopologicalSorter(before).static_order())


def _layer(
    group: NeuronGroup, connections: Sequence[Connection], component: dict[str, int], network: Network, dt: float
) -> Layer:
    gathered: list[tuple[str, Filter[Any] | None, list[Route]]] = []
    for route in _routes(group, connections, component, dt):
        own = type(group.neuron).ports[0] if route.back else route.connection.port
        for port, filter, routes in gathered:
            if port == own and filter == route.connection.filter:
                routes.append(route)
                break
        else:
            gathered.append((own, route.connection.filter, [route]))
    branches = tuple(Branch(port, filter, tuple(routes)) for port, filter, routes in gathered)
    whole = {n: float(v) for n in group.trains if isinstance(v := getattr(group.neuron, n), int)}
    neuron = group.neuron.bound({**whole, "emission": network.emission_of(group)})
    return Layer(group.path, group.shape, neuron, group.trains, branches)


def _routes(
    group: NeuronGroup, connections: Sequence[Connection], component: dict[str, int], dt: float
) -> Iterator[Route]:
    """What leads into a population."""
    for connection in connections:
        if connection.post is group:
            looped = any(component[pre.path] == component[group.path] for pre in groups_behind(connection.pre))
            yield Route(connection, connection.delay_steps(dt) + looped, looped)
        if connection.pre is group and connection.synapses.electrical:
            yield Route(connection, 1, looped=True, back=True)


def sources(plan: Plan) -> set[str]:
    """The paths of all components that a connection or a node starts from."""
    return {path for block in plan.blocks for path in block.needs}


def across(plan: Plan) -> set[str]:
    """The paths of all components whose output goes into a block that is not their own, or into a node before it."""
    return {path for block in plan.blocks for path in block.needs - block.paths}


__all__ = ["Block", "Branch", "Choose", "Layer", "Plan", "Route", "Stage", "across", "make_plan", "sources"]

"""From a network's description to a schedule: which parts run over the whole window, which step by step.

Populations in one loop form one stage, which is stepped; every other population is a stage of its own, which runs over
the whole window at once. Stages stand in the order in which spikes travel; neighbours that one compute path can take
together form a block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..errors import StateError
from ..filters import Filter
from ..network import Connection, Decoder, Monitor, Network, NeuronGroup
from ..neurons import Neuron


@dataclass(frozen=True)
class Route:
    """A connection with the steps it takes: its delay, and one more inside a loop."""

    connection: Connection
    steps: int
    looped: bool

    @property
    def source(self) -> str:
        """The path of the component that it starts from."""
        return str(self.connection.pre.path)


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
    """Populations that run together: over the whole window when alone and without a loop, else step by step."""

    layers: tuple[Layer, ...]
    stepped: bool

    @property
    def paths(self) -> frozenset[str]:
        """The paths of its populations."""
        return frozenset(layer.path for layer in self.layers)


@dataclass(frozen=True)
class Block:
    """Stages in a row that one compute path runs, behind one autograd function.

    path: the name of the compute path; why: what keeps it from a faster one.
    """

    stages: tuple[Stage, ...]
    path: str = "torch path"
    why: str = ""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The populations of all stages in order."""
        return tuple(layer for stage in self.stages for layer in stage.layers)

    @property
    def paths(self) -> frozenset[str]:
        """The paths of its populations."""
        return frozenset(layer.path for layer in self.layers)


@dataclass(frozen=True)
class Plan:
    """The blocks of a network in order."""

    blocks: tuple[Block, ...]
    dt: float

    def __str__(self) -> str:
        lines = [f"plan, dt {self.dt} ms"]
        for number, block in enumerate(self.blocks, 1):
            lines.append(f"{number}. {block.path}" + (f" ({block.why})" if block.why else ""))
            for stage in block.stages:
                how = "step by step" if stage.stepped else "whole window"
                for layer in stage.layers:
                    lines.append(f"   {layer.path}: {type(layer.neuron).__name__} {layer.shape}, {how}")
                    lines += [f"      <- {_route_line(route)}" for b in layer.branches for route in b.routes]
        return "\n".join(lines)


def _route_line(route: Route) -> str:
    synapse = f", {type(route.connection.filter).__name__}" if route.connection.filter is not None else ""
    loop = " (one of the loop)" if route.looped else ""
    steps = f", {route.steps} step{'s' * (route.steps != 1)}{loop}" if route.steps else ""
    return f"{route.source} by {route.connection.path} ({route.connection.link.name}{synapse}{steps})"


Choose = Callable[[Stage], tuple[str, str]]
"""The name of the compute path of a stage, and why no faster one."""


def _torch_only(stage: Stage) -> tuple[str, str]:
    return "torch path", ""


def make_plan(network: Network, dt: float, schedule: str = "auto", choose: Choose = _torch_only) -> Plan:
    """The schedule of a network; 'auto' steps only what must be stepped, 'step' steps everything.

    Neighbouring stages of one path that can take several make one block. Raises StateError for a connection, decoder or
    monitor that refers to what is not in the network.
    """
    groups, connections = network.groups, network.connections
    _check_members(network)
    component = _components(groups, connections)
    order = _in_order(groups, connections, component)
    layers = {g.path: _layer(g, connections, component, network, dt) for g in groups}
    members = [[layers[g.path] for g in groups if component[g.path] == c] for c in order]
    if schedule == "step":
        stages = [Stage(tuple(layer for part in members for layer in part), stepped=True)]
    else:
        stages = [_stage(part) for part in members]
    return Plan(tuple(_blocks(stages, choose)), dt)


def _stage(layers: Sequence[Layer]) -> Stage:
    looped = any(r.looped for layer in layers for b in layer.branches for r in b.routes)
    return Stage(tuple(layers), stepped=looped)


def _blocks(stages: Sequence[Stage], choose: Choose) -> list[Block]:
    """One block a stage on the torch path, one block a run of stages on any other."""
    blocks: list[Block] = []
    for stage in stages:
        path, why = choose(stage)
        if blocks and blocks[-1].path == path != "torch path":
            blocks[-1] = replace(blocks[-1], stages=(*blocks[-1].stages, stage))
        else:
            blocks.append(Block((stage,), path, why))
    return blocks


def _check_members(network: Network) -> None:
    inside = {id(c) for c in network.walk()}
    for connection in network.connections:
        for end, part in (("pre", connection.pre), ("post", connection.post)):
            if id(part) not in inside:
                raise StateError(
                    f"connection {connection.path!r}: its {end} {part.name!r} is not in the network; "
                    f"assign it first: net.{part.name if part.name.isidentifier() else 'layer'} = ..."
                )
    watchers: list[Decoder | Monitor] = [*network.decoders, *network.monitors]
    for watcher in watchers:
        if id(watcher.target) not in inside:
            raise StateError(
                f"{watcher.kind} {watcher.path!r}: its target {watcher.target.name!r} is not in the network"
            )
    if network.encoders and not network.connections:
        raise StateError(
            "the network has no connection; add one: net.c = Connection(net.input, net.layer1, link_type='full')"
        )


def _components(groups: Sequence[NeuronGroup], connections: Sequence[Connection]) -> dict[str, int]:
    """The number of the strongly connected component of each population."""
    index = {g.path: k for k, g in enumerate(groups)}
    edges = [(index[c.pre.path], index[c.post.path]) for c in connections if isinstance(c.pre, NeuronGroup)]
    rows, columns = np.array(edges, dtype=int).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(groups), len(groups)))
    _, labels = connected_components(graph, directed=True, connection="strong")
    return {g.path: int(labels[k]) for k, g in enumerate(groups)}


def _in_order(groups: Sequence[NeuronGroup], connections: Sequence[Connection], component: dict[str, int]) -> list[int]:
    """The components in the order in which spikes travel; those that are free of each other in order of creation."""
    before: dict[int, set[int]] = {}
    for group in groups:
        before.setdefault(component[group.path], set())
    for c in connections:
        if isinstance(c.pre, NeuronGroup) and component[c.pre.path] != component[c.post.path]:
            before[component[c.post.path]].add(component[c.pre.path])
    return list(TopologicalSorter(before).static_order())


def _layer(
    group: NeuronGroup, connections: Sequence[Connection], component: dict[str, int], network: Network, dt: float
) -> Layer:
    gathered: list[tuple[str, Filter[Any] | None, list[Route]]] = []
    for connection in connections:
        if connection.post is not group:
            continue
        looped = isinstance(connection.pre, NeuronGroup) and component[connection.pre.path] == component[group.path]
        route = Route(connection, connection.delay_steps(dt) + looped, looped)
        for port, filter, routes in gathered:
            if port == connection.port and filter == connection.filter:
                routes.append(route)
                break
        else:
            gathered.append((connection.port, connection.filter, [route]))
    branches = tuple(Branch(port, filter, tuple(routes)) for port, filter, routes in gathered)
    whole = {n: float(v) for n in group.trains if isinstance(v := getattr(group.neuron, n), int)}
    neuron = group.neuron.bound({**whole, "emission": network.emission_of(group)})
    return Layer(group.path, group.shape, neuron, group.trains, branches)


def sources(plan: Plan) -> set[str]:
    """The paths of all components that a connection starts from."""
    return {r.source for block in plan.blocks for layer in block.layers for b in layer.branches for r in b.routes}


def across(plan: Plan) -> set[str]:
    """The paths of all components whose output goes into a block that is not their own."""
    return {
        r.source
        for block in plan.blocks
        for layer in block.layers
        for b in layer.branches
        for r in b.routes
        if r.source not in block.paths
    }


__all__ = ["Block", "Branch", "Layer", "Plan", "Route", "Stage", "across", "make_plan", "sources"]

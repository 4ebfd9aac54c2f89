"""From a network's description to a schedule: which parts run over the whole window, which step by step.

Populations in one loop form one block, which is stepped; every other population is a block of its own, which runs over
the whole window at once. Blocks stand in the order in which spikes travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
class Block:
    """Populations that run together: over the whole window when alone and without a loop, else step by step.

    path: the name of the compute path that runs it.
    """

    layers: tuple[Layer, ...]
    stepped: bool
    path: str = "torch path"

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
            how = "step by step" if block.stepped else "whole window"
            lines.append(f"{number}. {how}, {block.path}")
            for layer in block.layers:
                lines.append(f"   {layer.path}: {type(layer.neuron).__name__} {layer.shape}")
                lines += [f"      <- {_route_line(route)}" for branch in layer.branches for route in branch.routes]
        return "\n".join(lines)


def _route_line(route: Route) -> str:
    synapse = f", {type(route.connection.filter).__name__}" if route.connection.filter is not None else ""
    loop = " (one of the loop)" if route.looped else ""
    steps = f", {route.steps} step{'s' * (route.steps != 1)}{loop}" if route.steps else ""
    return f"{route.source} by {route.connection.path} ({route.connection.link.name}{synapse}{steps})"


def make_plan(network: Network, dt: float, schedule: str = "auto") -> Plan:
    """The schedule of a network; 'auto' steps only what must be stepped, 'step' steps everything.

    Raises StateError for a connection, decoder or monitor that refers to what is not in the network.
    """
    groups, connections = network.groups, network.connections
    _check_members(network)
    component = _components(groups, connections)
    order = _in_order(groups, connections, component)
    layers = {g.path: _layer(g, connections, component, network, dt) for g in groups}
    members = [[g for g in groups if component[g.path] == c] for c in order]
    if schedule == "step":
        everything = tuple(layers[g.path] for part in members for g in part)
        return Plan((Block(everything, stepped=True),), dt)
    return Plan(tuple(_block([layers[g.path] for g in part]) for part in members), dt)


def _block(layers: Sequence[Layer]) -> Block:
    looped = any(r.looped for layer in layers for b in layer.branches for r in b.routes)
    return Block(tuple(layers), stepped=looped)


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
    neuron = group.neuron.bound({"emission": network.emission_of(group)})
    return Layer(group.path, group.shape, neuron, group.trains, branches)


def sources(plan: Plan) -> set[str]:
    """The paths of all components that a connection starts from."""
    return {r.source for block in plan.blocks for layer in block.layers for b in layer.branches for r in b.routes}


__all__ = ["Block", "Branch", "Layer", "Plan", "Route", "make_plan", "sources"]

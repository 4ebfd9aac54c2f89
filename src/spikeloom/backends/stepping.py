"""A block, step by step: deliver, integrate, emit, reset; then send what the spikes cause.

What comes from outside of a block is multiplied over the whole window at once; what travels inside of it, in each step.
A block of one population without a loop is the same with nothing inside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..neurons import advance
from .ops import XP, fire
from .plan import Branch, Layer, Route
from .product import Term, product

if TYPE_CHECKING:
    from .path import Call, Key


def step_block(call: Call) -> dict[Key, Tensor]:
    """What comes out of a block over the window by key, under the autograd mode this is called in."""
    traffic = Traffic(call)
    populations = [Population(layer, traffic) for layer in call.block.layers]
    sending = [route for p in populations for route in chain(*p.inner) if route.steps]
    for t in range(call.n_steps):
        for population in populations:
            population.step(t)
        for route in sending:
            traffic.under_way[route.connection.path].append(traffic.sent(route))
    results: dict[Key, Tensor] = {}
    for population in populations:
        results.update(population.results())
    for path, currents in traffic.under_way.items():
        results.update({("under way", path, k): current for k, current in enumerate(currents)})
    return results


class Traffic:
    """What travels on the connections of a block: this step's spikes, and the currents under way."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.now: dict[str, Tensor] = {}
        self.weights: dict[str, dict[str, Tensor]] = {}
        for key, tensor in call.tensors.items():
            if key[0] == "weight":
                self.weights.setdefault(str(key[1]), {})[str(key[2])] = tensor
        self.under_way: dict[str, deque[Tensor]] = {}

    def term(self, route: Route, signal: Tensor | None = None) -> Term:
        """The connection of a route with the signal of its source over the window, or with a given one."""
        c = route.connection
        if signal is None:
            signal = self.call.tensors.get(("signal", route.source))
        weights = self.weights.get(c.path, {})
        return Term(c.link, c.ends, self.call.rows[route.source] if signal is None else signal, weights)

    def sent(self, route: Route) -> Tensor:
        """The current that this step's spikes cause through a connection."""
        return product(self.term(route, self.now[route.source][None]))[0]

    def arriving(self, route: Route, like: Tensor) -> list[Tensor]:
        """The currents that are under way on a connection, one a step, the next to arrive first."""
        path, nothing = route.connection.path, torch.zeros_like(like)
        return [self.call.tensors.get(("under way", path, k), nothing) for k in range(route.steps)]

    def delayed(self, route: Route, current: Tensor) -> Tensor:
        """The current (T, B, *shape) of a connection from outside, shifted by its steps; the rest stays under way."""
        n = self.call.n_steps
        whole = torch.cat([torch.stack(self.arriving(route, current[0])), current.expand(n, *current.shape[1:])])
        self.under_way[route.connection.path] = deque(whole[n:].unbind(0))
        return whole[:n]


class Population:
    """The neurons of a layer with their filters, on the way through the window."""

    def __init__(self, layer: Layer, traffic: Traffic) -> None:
        call = traffic.call
        self.layer, self.traffic = layer, traffic
        self.ports = [type(layer.neuron).ports.index(branch.port) for branch in layer.branches]
        self.n_ports = len(type(layer.neuron).ports)
        values = {name: call.tensors["parameter", layer.path, name] for name in layer.trains}
        self.neuron = layer.neuron.bound(values)
        parts = self._state(call)
        self.variables = self.neuron.State(*(next(parts) for _ in self.neuron.State._fields))
        self.silence = torch.zeros_like(self.variables[0])
        self.filters = [self._filter_state(branch, parts) for branch in layer.branches]
        self.coefficients = [b.filter and b.filter.coefficients(call.dt, XP) for b in layer.branches]
        self.inner = [[r for r in b.routes if r.source in call.block.paths] for b in layer.branches]
        self.outer = [self._outer(branch) for branch in layer.branches]
        for route in chain(*self.inner):
            if route.steps:
                traffic.under_way[route.connection.path] = deque(traffic.arriving(route, self.silence))
        self.emitted: list[Tensor] = []
        self.traces: dict[str, list[Tensor]] = {n: [] for n in call.want[layer.path] if n != "spikes"}

    def _state(self, call: Call) -> Iterator[Tensor]:
        k = 0
        while (tensor := call.tensors.get(("state", self.layer.path, k))) is not None:
            yield tensor
            k += 1

    def _filter_state(self, branch: Branch, parts: Iterator[Tensor]) -> tuple[Tensor, ...]:
        return () if branch.filter is None else tuple(next(parts) for _ in branch.filter.initial(self.silence))

    def _outer(self, branch: Branch) -> Sequence[Tensor] | None:
        """The current of each step that comes from outside of the block."""
        total = None
        for route in branch.routes:
            if route.source in self.traffic.call.block.paths:
                continue
            current = product(self.traffic.term(route))
            if route.steps:
                current = self.traffic.delayed(route, current)
            total = current if total is None else total + current
        return None if total is None else total.expand(self.traffic.call.n_steps, *total.shape[1:]).unbind(0)

    def step(self, t: int) -> None:
        """One step: what arrives, through the filters into the ports; then the neurons."""
        inputs: list[Any] = [None] * self.n_ports
        for k, port in enumerate(self.ports):
            current = self._current(k, t)
            branch = self.layer.branches[k]
            if branch.filter is not None:
                current, self.filters[k] = branch.filter.step(self.filters[k], current, self.coefficients[k])
            inputs[port] = current if inputs[port] is None else inputs[port] + current
        inputs = [self.silence if i is None else i for i in inputs]
        given = inputs[0] if self.n_ports == 1 else tuple(inputs)
        output, self.variables = advance(self.neuron, self.variables, given, self.traffic.call.dt, XP, fire)
        self.traffic.now[self.layer.path] = output
        self.emitted.append(output)
        for name, trace in self.traces.items():
            trace.append(inputs[0] if name == "i_syn" else getattr(self.variables, name))

    def _current(self, k: int, t: int) -> Tensor:
        """What arrives in a branch in this step: from outside, from this step's spikes, from earlier ones."""
        outer = self.outer[k]
        total = None if outer is None else outer[t]
        for route in self.inner[k]:
            queue = self.traffic.under_way
            current = queue[route.connection.path].popleft() if route.steps else self.traffic.sent(route)
            total = current if total is None else total + current
        return self.silence if total is None else total

    def results(self) -> dict[Key, Tensor]:
        """Spikes and traces (T, B, *shape), and the last state."""
        path, shape = self.layer.path, self.silence.shape
        found: dict[Key, Tensor] = {("spikes", path): torch.stack(self.emitted)}
        found.update({("trace", path, name): torch.stack(trace) for name, trace in self.traces.items()})
        state = [*(v.expand(shape) for v in self.variables), *chain(*self.filters)]
        return found | {("state", path, k): part for k, part in enumerate(state)}

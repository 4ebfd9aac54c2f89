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

from .credited import Credited
from .learning import Learning
from .nodes import joined
from .ops import XP
from .plan import Branch, Layer, Route
from .product import Term, product
from .rules import changing
from .transmission import Transmission

if TYPE_CHECKING:
    from .path import Call, Key


def step_block(call: Call) -> dict[Key, Tensor]:
    """What comes out of a block over the window by key, under the autograd mode this is called in."""
    traffic = Traffic(call)
    populations = [Population(layer, traffic) for layer in call.block.layers]
    for population in populations:
        for route in chain(*population.inner):
            traffic.open(route, population.silence)
    sending = [route for p in populations for route in chain(*p.inner) if route.steps]
    learning = Learning(call, traffic, populations)
    for t in range(call.n_steps):
        traffic.begin(t)
        for population in populations:
            population.step(t)
        learning.step(t)
        for route in sending:
            traffic.send(route)
    learning.end()
    results: dict[Key, Tensor] = {}
    for population in populations:
        results.update(population.results())
    for key, currents in traffic.under_way.items():
        results.update({("under way", *key, k): current for k, current in enumerate(currents)})
    for special in traffic.special.values():
        results.update(special.results())
    results.update(traffic.credited.results())
    results.update(learning.results())
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
        self.under_way: dict[tuple[str, ...], deque[Tensor]] = {}
        self.special = self._special(call)
        self.credited = Credited(call)
        self.potential: dict[str, Tensor] = {}
        self.changing = changing(call.rules, call.training)
        self.nodes = {node.path: node for node in call.block.nodes}
        self._t, self._joined = 0, dict[str, Tensor]()
        self._outside: dict[str, Sequence[Tensor]] = {}

    def _special(self, call: Call) -> dict[str, Transmission]:
        """The connections that do more than a product, by path."""
        routes = (r for layer in call.block.layers for b in layer.branches for r in b.routes)
        found = {r.connection.path: r.connection for r in routes if r.connection.extras}
        return {path: Transmission(c, self.weights.get(path, {}), call) for path, c in found.items()}

    def begin(self, t: int) -> None:
        """Turns to a step."""
        self._t, self._joined = t, {}

    def output(self, path: str) -> Tensor:
        """What a population or a node puts out in this step, (B, *shape)."""
        if path not in self.nodes:
            return self.now[path] if path in self.call.block.paths else self._from_outside(path)
        if path not in self._joined:
            node = self.nodes[path]
            parameters = {str(k[2]): t for k, t in self.call.tensors.items() if k[:2] == ("parameter", path)}
            self._joined[path] = joined(node, parameters, [self.output(part)[None] for part in node.inputs])[0]
        return self._joined[path]

    def _from_outside(self, path: str) -> Tensor:
        """This step of a signal from outside of the block; unbound once, as indexing costs a copy on the way back."""
        if path not in self._outside:
            signal = self.call.tensors.get(("signal", path))
            self._outside[path] = (self.call.rows[path].dense() if signal is None else signal).unbind(0)
        steps = self._outside[path]
        return steps[self._t if len(steps) > 1 else 0]

    def term(self, route: Route, signal: Tensor | None = None) -> Term:
        """The connection of a route with the signal of its source over the window, or with a given one."""
        c = route.connection
        if signal is None:
            signal = self.call.tensors.get(("signal", route.source))
        weights = self.weights.get(c.path, {})
        return self.credited.term(route, self.call.rows[route.source] if signal is None else signal, weights)

    def each_step(self, route: Route) -> bool:
        """Whether the product of a connection is made in each step: it comes from inside, or a rule changes it."""
        return route.source in self.call.block.paths or route.connection.path in self.changing

    def from_outside(self, route: Route) -> Tensor:
        """The current (T, B, *shape), or (1, B, *shape) for a constant one, that a connection from outside brings."""
        special = self.special.get(route.connection.path)
        term = self.term(route)
        current = product(term) if special is None else special.current(term.signal)
        return self.delayed(route, current) if route.steps or self._spread(route) else current

    def sent(self, route: Route) -> Sequence[Tensor]:
        """The currents that this step causes through a connection: one, and where synapses have delays of their own
        those of the steps behind it."""
        special, c = self.special.get(route.connection.path), route.connection
        if special is not None and c.synapses.electrical:
            return [special.gap(self.potential[c.pre.path], self.potential[c.post.path], route.back)]
        signal = self.credited.signal(self.output(route.source)[None])
        current = product(self.term(route, signal)) if special is None else special.current(signal, stepped=True)
        return current.unbind(0)

    def send(self, route: Route) -> None:
        """Puts on its way what this step causes through a connection."""
        queue, currents = self.under_way[route.key], self.sent(route)
        first = len(queue) + 1 - len(currents)
        for k, current in enumerate(currents[:-1], first):
            queue[k] = queue[k] + current
        queue.append(currents[-1])

    def receive(self, route: Route) -> Tensor:
        """What arrives in this step on a connection of the block."""
        if route.key not in self.under_way:
            return self.sent(route)[0]
        if not route.steps:
            self.send(route)
        return self.under_way[route.key].popleft()

    def open(self, route: Route, like: Tensor) -> None:
        """Makes a connection of the block ready; like: a current of its target."""
        fresh = ("under way", *route.key, 0) not in self.call.tensors
        if fresh and route.connection.synapses.electrical:
            self.under_way[route.key] = deque(self.sent(route))
        elif route.steps or self._spread(route):
            self.under_way[route.key] = deque(self.arriving(route, like))

    def _spread(self, route: Route) -> int:
        special = self.special.get(route.connection.path)
        return 0 if special is None else special.spread

    def arriving(self, route: Route, like: Tensor) -> list[Tensor]:
        """The currents that are under way on a connection, one a step, the next to arrive first."""
        nothing, n = torch.zeros_like(like), route.steps + self._spread(route)
        return [self.call.tensors.get(("under way", *route.key, k), nothing) for k in range(n)]

    def delayed(self, route: Route, current: Tensor) -> Tensor:
        """The current (T, B, *shape) of a connection from outside, shifted by its steps; the rest stays under way."""
        n, spread = self.call.n_steps, self._spread(route)
        late = torch.stack(self.arriving(route, current[0]))
        whole = torch.cat([late[: route.steps], current.expand(n + spread, *current.shape[1:])])
        if spread:
            first, last = route.steps, route.steps + spread
            whole = torch.cat([whole[:first], whole[first:last] + late[first:], whole[last:]])
        self.under_way[route.key] = deque(whole[n:].unbind(0))
        return whole[:n]


class Population:
    """The neurons of a layer with their filters, on the way through the window."""

    def __init__(self, layer: Layer, traffic: Traffic) -> None:
        call = traffic.call
        self.layer, self.traffic = layer, traffic
        self.ports = [type(layer.neuron).ports.index(branch.port) for branch in layer.branches]
        self.n_ports = len(type(layer.neuron).ports)
        values = {name: call.tensors["parameter", layer.path, name] for name in layer.trains}
        self.neuron = self._own = layer.neuron.bound(values)
        self._shifts: dict[str, tuple[str, Tensor]] = {}
        parts = self._state(call)
        self.variables = self.neuron.State(*(next(parts) for _ in self.neuron.State._fields))
        self.silence = torch.zeros_like(self.variables[0])
        self.filters = [self._filter_state(branch, parts) for branch in layer.branches]
        self.coefficients = [b.filter and b.filter.coefficients(call.dt, XP) for b in layer.branches]
        self.inner = [[r for r in b.routes if traffic.each_step(r)] for b in layer.branches]
        self.outer = [self._outer(branch) for branch in layer.branches]
        traffic.potential[layer.path] = getattr(self.variables, "v", self.silence)
        self.emitted: list[Tensor] = []
        self.traces: dict[str, list[Tensor]] = {n: [] for n in call.want[layer.path] if n != "spikes"}
        self.probes = call.probes.get(layer.path, ())

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
            if self.traffic.each_step(route):
                continue
            current = self.traffic.from_outside(route)
            total = current if total is None else total + current
        return None if total is None else total.expand(self.traffic.call.n_steps, *total.shape[1:]).unbind(0)

    def shift(self, name: str, target: str, offset: Tensor) -> None:
        """Adds an offset (*shape) to a parameter of the neurons, in place of the one of that name before."""
        self._shifts[name] = target, offset
        moved: dict[str, Any] = {}
        for parameter, by in self._shifts.values():
            moved[parameter] = moved.get(parameter, getattr(self._own, parameter)) + by
        self.neuron = self._own.bound(moved)

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
        before, credited = self.variables, self.traffic.credited
        output, self.variables = credited.advanced(self.neuron, before, given)
        credited.emitted(self.layer, t, self.neuron, before, given, output)
        self.traffic.now[self.layer.path] = output
        self.traffic.potential[self.layer.path] = getattr(self.variables, "v", self.silence)
        self.emitted.append(output)
        seen = {"spikes": output, "i_syn": inputs[0], **self.variables._asdict()}
        for name, trace in self.traces.items():
            trace.append(seen[name])
        for name, probe in self.probes:
            probe.watch(t, seen[name])
        self.variables = self.neuron.State(*credited.state(tuple(self.variables)))
        self.filters = [credited.state(parts) for parts in self.filters]

    def _current(self, k: int, t: int) -> Tensor:
        """What arrives in a branch in this step: from outside, from this step's spikes, from earlier ones."""
        outer = self.outer[k]
        total = None if outer is None else outer[t]
        for route in self.inner[k]:
            current = self.traffic.receive(route)
            total = current if total is None else total + current
        return self.silence if total is None else total

    def results(self) -> dict[Key, Tensor]:
        """Spikes and traces (T, B, *shape), and the last state."""
        path, shape = self.layer.path, self.silence.shape
        found: dict[Key, Tensor] = {("spikes", path): torch.stack(self.emitted)}
        found.update({("trace", path, name): torch.stack(trace) for name, trace in self.traces.items()})
        state = [*(v.expand(shape) for v in self.variables), *chain(*self.filters)]
        return found | {("state", path, k): part for k, part in enumerate(state)}

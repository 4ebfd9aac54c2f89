"""Runs the blocks of a plan: each population over the whole window, or a block of them step by step."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..network.links import Signal, SpikeRows
from ..neurons import advance
from .ops import XP, fire
from .path import Drive, LayerState, Path, Window, layer_window, port_input
from .plan import Block, Branch, Layer, Route
from .product import Term, product


@dataclass
class RunState:
    """What a run leaves for the one that continues it: states by layer, currents under way by connection."""

    layers: dict[str, LayerState] = field(default_factory=dict)
    under_way: dict[str, list[Tensor]] = field(default_factory=dict)

    def detached(self) -> RunState:
        """The same values without their graph: gradients end where a run ends."""
        layers = {
            k: LayerState(tuple(v.detach() for v in s.neuron), tuple(tuple(v.detach() for v in f) for f in s.filters))
            for k, s in self.layers.items()
        }
        return RunState(layers, {k: [v.detach() for v in c] for k, c in self.under_way.items()})


@dataclass
class Runner:
    """One run of a plan: signals by path of their source, wanted traces by path, and the state on the way.

    weights: the tensors of each connection by name; parameters: those of each population; batch: samples.
    """

    path: Path
    dt: float
    n_steps: int
    batch: int
    weights: Mapping[str, Mapping[str, Tensor]]
    parameters: Mapping[str, Mapping[str, Tensor]]
    want: Mapping[str, Sequence[str]]
    signals: dict[str, Signal]
    state: RunState
    like: Tensor
    traces: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def run(self, blocks: Sequence[Block]) -> None:
        """Runs the blocks in order; results are in `signals`, `traces` and `state`."""
        for block in blocks:
            if block.stepped:
                _Stepper(self, block).run()
            else:
                self._whole_window(block.layers[0])

    def _whole_window(self, layer: Layer) -> None:
        ports = type(layer.neuron).ports
        drives = [self._drive(branch, ports.index(branch.port)) for branch in layer.branches]
        window = Window(layer.neuron, self.dt, self.n_steps, tuple(self.want[layer.path]))
        parameters = self.parameters[layer.path]
        spikes, traces, last = layer_window(self.path, window, drives, parameters, self.layer_state(layer))
        self.signals[layer.path], self.traces[layer.path] = spikes, traces
        self.state.layers[layer.path] = last

    def _drive(self, branch: Branch, port: int) -> Drive:
        at_once = [r for r in branch.routes if r.steps == 0]
        later = [self.delayed(r) for r in branch.routes if r.steps > 0]
        current = sum(later[1:], later[0]) if later else None
        return Drive(port, branch.filter, tuple(self.term(r) for r in at_once), current)

    def term(self, route: Route, signal: Signal | None = None) -> Term:
        """The connection of a route with the signal of its source, or with a given one."""
        c = route.connection
        return Term(c.link, c.ends, self.signals[route.source] if signal is None else signal, self.weights[c.path])

    def delayed(self, route: Route) -> Tensor:
        """The current (T, B, *shape) of a connection, shifted by its steps; what is under way is kept."""
        current = product(self.term(route))
        current = current.expand(self.n_steps, *current.shape[1:])
        earlier = torch.stack(self.arriving(route, current[0]))
        whole = torch.cat([earlier, current])
        self.state.under_way[route.connection.path] = list(whole[self.n_steps :].unbind(0))
        return whole[: self.n_steps]

    def arriving(self, route: Route, like: Tensor) -> list[Tensor]:
        """The currents that are under way on a connection, one a step, the next to arrive first."""
        kept = self.state.under_way.get(route.connection.path)
        return kept if kept is not None else [torch.zeros_like(like)] * route.steps

    def layer_state(self, layer: Layer) -> LayerState:
        """The state of a population: where the last run left it, or at rest."""
        if layer.path in self.state.layers:
            return self.state.layers[layer.path]
        bound = layer.neuron.bound(self.parameters[layer.path])
        zeros = self.like.new_zeros(self.batch, *layer.shape)
        neuron = tuple(zeros + value for value in bound.initial())
        filters = tuple(() if b.filter is None else tuple(b.filter.initial(zeros)) for b in layer.branches)
        return LayerState(neuron, filters)


class _Stepper:
    """A block, step by step: deliver, integrate, emit, reset; then send what the spikes cause."""

    def __init__(self, runner: Runner, block: Block) -> None:
        self.runner, self.block = runner, block
        self.inner = [r for layer in block.layers for b in layer.branches for r in b.routes if r.source in block.paths]
        self.outer = {layer.path: [self._outer(b) for b in layer.branches] for layer in block.layers}
        self.neurons = {x.path: x.neuron.bound(runner.parameters[x.path]) for x in block.layers}
        self.coefficients = {
            x.path: [None if b.filter is None else b.filter.coefficients(runner.dt, XP) for b in x.branches]
            for x in block.layers
        }
        self.states = {x.path: runner.layer_state(x) for x in block.layers}
        self.queues = {r.connection.path: deque(self._queued(r)) for r in self.inner if r.steps}
        self.now: dict[str, Tensor] = {}

    def _outer(self, branch: Branch) -> Sequence[Tensor] | None:
        """The current of each step that comes from outside of the block, over the whole window at once."""
        runner, total = self.runner, None
        for route in branch.routes:
            if route.source in self.block.paths:
                continue
            current = product(runner.term(route)) if route.steps == 0 else runner.delayed(route)
            total = current if total is None else total + current
        return None if total is None else total.expand(runner.n_steps, *total.shape[1:]).unbind(0)

    def _queued(self, route: Route) -> list[Tensor]:
        return self.runner.arriving(route, self.runner.like.new_zeros(self.runner.batch, *route.connection.post.shape))

    def run(self) -> None:
        """Runs the window and hands signals, traces and states to the runner."""
        runner = self.runner
        spikes: dict[str, list[Tensor]] = {x.path: [] for x in self.block.layers}
        seen: dict[str, dict[str, list[Tensor]]] = {p: {n: [] for n in runner.want[p]} for p in spikes}
        for t in range(runner.n_steps):
            for layer in self.block.layers:
                observed = self._step(layer, t)
                spikes[layer.path].append(self.now[layer.path])
                for name, trace in seen[layer.path].items():
                    trace.append(observed[name])
            for route in self.inner:
                if route.steps:
                    self.queues[route.connection.path].append(self._sent(route))
        for path in spikes:
            runner.signals[path] = torch.stack(spikes[path])
            runner.traces[path] = {name: torch.stack(trace) for name, trace in seen[path].items()}
        runner.state.layers.update(self.states)
        runner.state.under_way.update({path: list(queue) for path, queue in self.queues.items()})

    def _step(self, layer: Layer, t: int) -> dict[str, Any]:
        """One step of a population; what can be observed of it."""
        state, ports = self.states[layer.path], type(layer.neuron).ports
        inputs: list[Any] = [None] * len(ports)
        filters = []
        for k, branch in enumerate(layer.branches):
            current, kept = self._current(layer, k, t), state.filters[k]
            if branch.filter is not None:
                current, kept = branch.filter.step(kept, current, self.coefficients[layer.path][k])
            filters.append(tuple(kept))
            port = ports.index(branch.port)
            inputs[port] = current if inputs[port] is None else inputs[port] + current
        inputs = [torch.zeros_like(state.neuron[0]) if i is None else i for i in inputs]
        neuron = self.neurons[layer.path]
        variables = neuron.State(*state.neuron)
        output, variables = advance(neuron, variables, port_input(tuple(inputs)), self.runner.dt, XP, fire)
        self.now[layer.path] = output
        self.states[layer.path] = LayerState(tuple(variables), tuple(filters))
        return {"i_syn": inputs[0], **variables._asdict()}

    def _current(self, layer: Layer, k: int, t: int) -> Tensor:
        """What arrives in a branch in this step: from outside, from this step's spikes, from earlier ones."""
        outer = self.outer[layer.path][k]
        total = None if outer is None else outer[t]
        for route in layer.branches[k].routes:
            if route.source not in self.block.paths:
                continue
            current = self.queues[route.connection.path].popleft() if route.steps else self._sent(route)
            total = current if total is None else total + current
        return torch.zeros_like(self.states[layer.path].neuron[0]) if total is None else total

    def _sent(self, route: Route) -> Tensor:
        """The current that this step's spikes cause through a connection."""
        return product(self.runner.term(route, self.now[route.source][None]))[0]


def to_signal(raw: Any, n_steps: int, like: Tensor) -> Signal:
    """What an encoder made, as what connections take: Spikes as rows of events, values as a tensor."""
    if hasattr(raw, "offsets"):
        return SpikeRows(raw, n_steps, like)
    return torch.as_tensor(raw).to(like)

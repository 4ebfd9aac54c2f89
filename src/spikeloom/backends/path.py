"""The seam of the compute paths: one layer over a whole window, forward and backward.

A `Path` computes a population from what flows into it: it may fuse product, filter and scan, keep what it likes for
the way back, and give the gradient of the current; weights' gradients are made by the links (`Term.gradients`), so
that they have one place. `layer_window` puts a path behind one autograd function a layer and window. `TorchPath` is
the reference: plain tensor operations under autograd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..errors import StateError
from ..filters import Filter
from ..neurons import Neuron, advance
from .ops import XP, fire
from .product import Term, apply


@dataclass(frozen=True)
class Drive:
    """What flows into one branch of a layer: terms, and a ready current (T, B, *shape) of delayed connections."""

    port: int
    filter: Filter[Any] | None
    terms: tuple[Term, ...]
    current: Tensor | None = None


class LayerState(NamedTuple):
    """The state of a layer between steps: its neurons' variables and, for each branch, its filter's."""

    neuron: tuple[Tensor, ...]
    filters: tuple[tuple[Tensor, ...], ...]


@dataclass(frozen=True)
class Window:
    """What stays the same over one call: model, time step, number of steps, batch, and the traces that are wanted."""

    neuron: Neuron[Any]
    dt: float
    n_steps: int
    want: tuple[str, ...]


class Outcome(NamedTuple):
    """Output (T, B, *shape), the wanted traces of the same shape, the last state, and what `backward` needs."""

    spikes: Tensor
    traces: dict[str, Tensor]
    state: LayerState
    saved: Any


class LayerGradients(NamedTuple):
    """The gradients of each branch's current (T, B, *shape), of the parameters by name, and of the first state."""

    currents: list[Tensor | None]
    parameters: dict[str, Tensor | None]
    state: LayerState


class Path(Protocol):
    """One way to compute a layer."""

    def forward(
        self,
        window: Window,
        drives: Sequence[Drive],
        parameters: Mapping[str, Tensor],
        state: LayerState,
        differentiable: bool,
    ) -> Outcome:
        """The layer over the window from a first state; tensors without a graph."""

    def backward(
        self, saved: Any, grad_spikes: Tensor | None, grad_traces: Mapping[str, Tensor | None], grad_state: LayerState
    ) -> LayerGradients:
        """The gradients at the gradients of what `forward` gave (None where there is none); once for each forward."""


def total_current(drive: Drive, n_steps: int, like: Tensor) -> Tensor:
    """The summed current (T, B, *shape) of a drive, before its filter; like: one state variable (B, *shape)."""
    total = drive.current
    for term in drive.terms:
        current = term.product()
        total = current if total is None else total + current
    return (
        like.new_zeros(1, *like.shape).expand(n_steps, *like.shape)
        if total is None
        else total.expand(n_steps, *like.shape)
    )


@dataclass
class _Graph:
    """The graph of a forward pass of the torch path: its leaves and its results."""

    currents: list[Tensor]
    parameters: dict[str, Tensor]
    state: LayerState
    spikes: Tensor
    traces: dict[str, Tensor]
    last: LayerState


class TorchPath:
    """The reference path: the neuron's own lines on tensors, step after step, differentiated by autograd."""

    def forward(
        self,
        window: Window,
        drives: Sequence[Drive],
        parameters: Mapping[str, Tensor],
        state: LayerState,
        differentiable: bool,
    ) -> Outcome:
        like = state.neuron[0]
        currents = [total_current(drive, window.n_steps, like).detach() for drive in drives]
        leaves = {k: p.detach() for k, p in parameters.items()}
        first = _map_state(Tensor.detach, state)
        if differentiable:
            for leaf in [*currents, *leaves.values(), *_flat_state(first)]:
                leaf.requires_grad_()
        with torch.set_grad_enabled(differentiable):
            spikes, traces, last = scan(window, drives, currents, leaves, first)
        graph = _Graph(currents, leaves, first, spikes, traces, last) if differentiable else None
        return Outcome(
            spikes.detach(), {k: v.detach() for k, v in traces.items()}, _map_state(Tensor.detach, last), graph
        )

    def backward(
        self, saved: Any, grad_spikes: Tensor | None, grad_traces: Mapping[str, Tensor | None], grad_state: LayerState
    ) -> LayerGradients:
        results = [saved.spikes, *saved.traces.values(), *_flat_state(saved.last)]
        grads = [grad_spikes, *(grad_traces[k] for k in saved.traces), *_flat_state(grad_state)]
        pairs = [(r, g) for r, g in zip(results, grads, strict=True) if g is not None and r.requires_grad]
        leaves = [*saved.currents, *saved.parameters.values(), *_flat_state(saved.state)]
        found: Sequence[Tensor | None] = [None] * len(leaves)
        if pairs:
            found = torch.autograd.grad([r for r, _ in pairs], leaves, [g for _, g in pairs], allow_unused=True)
        n, m = len(saved.currents), len(saved.parameters)
        state = _like_state(saved.state, list(found[n + m :]))
        return LayerGradients(list(found[:n]), dict(zip(saved.parameters, found[n : n + m], strict=True)), state)


def scan(
    window: Window,
    drives: Sequence[Drive],
    currents: Sequence[Tensor],
    parameters: Mapping[str, Tensor],
    state: LayerState,
) -> tuple[Tensor, dict[str, Tensor], LayerState]:
    """Output, wanted traces and last state of a population driven by the currents (T, B, *shape) of its branches."""
    neuron = window.neuron.bound(parameters)
    inputs: list[Any] = [None] * len(type(neuron).ports)
    filters = []
    for drive, current, kept in zip(drives, currents, state.filters, strict=True):
        if drive.filter is not None:
            current, kept = drive.filter.scan(current, window.dt, XP, kept)
        filters.append(tuple(kept))
        inputs[drive.port] = current if inputs[drive.port] is None else inputs[drive.port] + current
    silent = state.neuron[0].new_zeros(()).expand(window.n_steps, *state.neuron[0].shape)
    inputs = [silent if i is None else i for i in inputs]
    steps = zip(*(i.unbind(0) for i in inputs), strict=True)
    variables = neuron.State(*state.neuron)
    spikes: list[Tensor] = []
    traces: dict[str, list[Tensor]] = {name: [] for name in window.want if name != "i_syn"}
    for arriving in steps:
        output, variables = advance(neuron, variables, port_input(arriving), window.dt, XP, fire)
        spikes.append(output)
        for name, trace in traces.items():
            trace.append(getattr(variables, name))
    stacked = {name: torch.stack(trace) for name, trace in traces.items()}
    if "i_syn" in window.want:
        stacked["i_syn"] = inputs[0].clone()
    shape = state.neuron[0].shape
    last = LayerState(tuple(v if v.shape == shape else v.expand(shape) for v in variables), tuple(filters))
    return torch.stack(spikes), stacked, last


def port_input(arriving: tuple[Tensor, ...]) -> Any:
    """The input of a step as a model takes it: an array for one port, a tuple for several."""
    return arriving[0] if len(arriving) == 1 else arriving


def _flat_state(state: LayerState) -> list[Any]:
    return [*state.neuron, *(part for kept in state.filters for part in kept)]


def _like_state(state: LayerState, parts: list[Any]) -> LayerState:
    rest = iter(parts)
    neuron = tuple(next(rest) for _ in state.neuron)
    return LayerState(neuron, tuple(tuple(next(rest) for _ in kept) for kept in state.filters))


def _map_state(function: Any, state: LayerState) -> LayerState:
    return _like_state(state, [function(part) for part in _flat_state(state)])


@dataclass
class _Call:
    """One call of a path behind autograd: its tensors by key, in one order for the way there and back."""

    path: Path
    window: Window
    drives: Sequence[Drive]
    parameters: Mapping[str, Tensor]
    state: LayerState

    def tensors(self) -> dict[tuple[Any, ...], Tensor]:
        found: dict[tuple[Any, ...], Tensor] = {}
        for b, drive in enumerate(self.drives):
            if drive.current is not None:
                found["current", b] = drive.current
            for k, term in enumerate(drive.terms):
                if isinstance(term.signal, Tensor):
                    found["signal", b, k] = term.signal
                found.update({("weight", b, k, name): w for name, w in term.weights.items()})
        found.update({("parameter", name): p for name, p in self.parameters.items()})
        found.update({("state", k): part for k, part in enumerate(_flat_state(self.state))})
        return found

    def gradients(self, given: LayerGradients, needed: Mapping[tuple[Any, ...], bool]) -> dict[tuple[Any, ...], Any]:
        found: dict[tuple[Any, ...], Any] = {("parameter", n): g for n, g in given.parameters.items()}
        found.update({("state", k): part for k, part in enumerate(_flat_state(given.state))})
        for b, (drive, grad) in enumerate(zip(self.drives, given.currents, strict=True)):
            if grad is None:
                continue
            found["current", b] = grad
            for k, term in enumerate(drive.terms):
                to_signal = needed.get(("signal", b, k), False)
                if not to_signal and not any(needed["weight", b, k, name] for name in term.weights):
                    continue
                back = term.gradients(grad, to_signal)
                found["signal", b, k] = back.signal
                found.update({("weight", b, k, name): g for name, g in back.weights.items()})
        return found


class _LayerFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        differentiable = any(ctx.needs_input_grad)
        outcome = call.path.forward(call.window, call.drives, call.parameters, call.state, differentiable)
        ctx.call, ctx.saved = call, outcome.saved
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return (outcome.spikes, *(outcome.traces[name] for name in call.window.want), *_flat_state(outcome.state))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        _ = ctx.saved_tensors  # raises where a weight was changed in place since
        call, saved, ctx.saved = ctx.call, ctx.saved, None
        if saved is None:
            raise StateError("this run was differentiated already; run the network again, or add the losses first")
        n = 1 + len(call.window.want)
        traces = dict(zip(call.window.want, grads[1:n], strict=True))
        state = _like_state(call.state, list(grads[n:]))
        keys = list(call.tensors())
        needed = dict(zip(keys, ctx.needs_input_grad[1:], strict=True))
        found = call.gradients(call.path.backward(saved, grads[0], traces, state), needed)
        return (None, *(found.get(key) if needed[key] else None for key in keys))


def layer_window(
    path: Path, window: Window, drives: Sequence[Drive], parameters: Mapping[str, Tensor], state: LayerState
) -> tuple[Tensor, dict[str, Tensor], LayerState]:
    """Output (T, B, *shape), wanted traces and last state of a layer over a window, differentiable."""
    call = _Call(path, window, drives, parameters, state)
    results = apply(_LayerFunction, call, *call.tensors().values())
    n = 1 + len(window.want)
    traces = dict(zip(window.want, results[1:n], strict=True))
    return results[0], traces, _like_state(state, list(results[n:]))

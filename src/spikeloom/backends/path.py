"""The seam of the compute paths: one block over a whole window, forward and backward.

A `Path` computes the populations of a block from all that flows into them: signals, weights, parameters, states and
currents under way go in as tensors by key; spikes, traces, states and currents under way come out. It may fuse
product, filter, scan and weight gradient as it likes and keep what it needs for the way back. `run_block` puts a path
behind one autograd function a block and window.

Keys in:  ("signal", source), ("weight", connection, name), ("parameter", layer, name), ("state", layer, k),
          ("under way", connection, k), ("rule", rule, part), ("kept", tensor) of rules
Keys out: ("spikes", layer) where wanted, ("trace", layer, variable), ("state", layer, k); without a gradient
          ("under way", connection, k), and, of what is not wanted, ("bits", layer), the spikes as integers
          (T, B, words), or ("mean", layer), the mean output. A path that knows exact times gives ("first spike",
          layer), (B, *shape) in ms, beside wanted spikes. Of rules also ("learnt", connection), its weight,
          where wanted ("weights", connection), that of each step, and ("to gradient", connection, learner), the
          change of a weight that is not applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import StateError, UnsupportedError
from ..network.credit import BPTT, Credit
from ..network.links import SpikeRows
from ..network.rules import Plasticity
from .plan import Block
from .product import apply
from .stepping import step_block

Key = tuple[str | int, ...]
Tensors = Mapping[Key, Tensor]


class Probe(Protocol):
    """Takes the gradients of an observable."""

    def watch(self, t: int, value: Tensor) -> None:
        """Asks for the gradient of the value (B, *shape) of step t."""


@dataclass(frozen=True)
class Call:
    """A block over a window: n steps of dt ms of a batch.

    tensors: all that can carry a gradient, by key; a state (B, *shape), a signal (T, B, *shape) or (1, B, *shape) where
    it is constant. rows: the signals that come as events. want: what is asked for, by layer: 'spikes' and traces.
    probes: by layer, what takes the gradients of an observable, step by step, on the way back; for the torch path.
    training: whether the network is in training; seed: of what connections draw in this run. credit: which paths
    gradients take. rules: those of the network; begun: how many steps came before this window.
    """

    block: Block
    dt: float
    n_steps: int
    want: Mapping[str, Sequence[str]]
    tensors: Tensors
    rows: Mapping[str, SpikeRows]
    probes: Mapping[str, Sequence[tuple[str, Probe]]] = field(default_factory=dict)
    training: bool = True
    seed: int = 0
    credit: Credit = BPTT
    rules: Sequence[Plasticity] = ()
    begun: int = 0


class Path(Protocol):
    """One way to compute a block; keeps_state: whether a run can go on from the state that it leaves."""

    name: str
    keeps_state: bool

    def forward(self, call: Call, needs: frozenset[Key]) -> tuple[Tensors, Any]:
        """What comes out by key, without a graph, and what `backward` needs; nothing where no gradient is needed."""

    def backward(self, saved: Any, grads: Tensors) -> Mapping[Key, Tensor | None]:
        """The gradients of what was needed, at the gradients of what came out; once for each forward."""


class TorchPath:
    """The reference path: the neurons' own lines on tensors, step after step, differentiated by autograd."""

    name = "torch path"
    keeps_state = True

    def forward(self, call: Call, needs: frozenset[Key]) -> tuple[Tensors, Any]:
        leaves = {key: t.detach().requires_grad_(key in needs) for key, t in call.tensors.items()}
        with torch.set_grad_enabled(bool(needs)):
            results = step_block(replace(call, tensors=leaves))
        needed = {key: leaf for key, leaf in leaves.items() if key in needs}
        return {key: r.detach() for key, r in results.items()}, (needed, results) if needs else None

    def backward(self, saved: Any, grads: Tensors) -> Mapping[Key, Tensor | None]:
        leaves, results = saved
        pairs = [(results[key], grad) for key, grad in grads.items() if results[key].requires_grad]
        if not pairs:
            return {}
        outputs, given = zip(*pairs, strict=True)
        found = torch.autograd.grad(outputs, list(leaves.values()), given, allow_unused=True)
        return dict(zip(leaves, found, strict=True))


class _BlockFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, path: Path, call: Call, needs: frozenset[Key], keys: list[Key], *tensors: Tensor) -> Any:
        results, ctx.saved = path.forward(call, needs)
        ctx.path, ctx.inputs = path, list(call.tensors)
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        keys.extend(results)
        ctx.outputs = keys
        ctx.mark_non_differentiable(*(r for key, r in results.items() if not _carries_gradient(key, r)))
        return tuple(results.values())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise UnsupportedError("a run has no second derivatives; call backward without create_graph=True")
        saved, ctx.saved = ctx.saved, None
        if saved is None:
            raise StateError("this run was differentiated already; run the network again, or add the losses first")
        try:
            _ = ctx.saved_tensors
        except RuntimeError as error:
            raise StateError(
                "a weight, a parameter or an input was changed in place between the run and backward(); run again"
            ) from error
        given = {key: grad for key, grad in zip(ctx.outputs, grads, strict=True) if grad is not None}
        found = ctx.path.backward(saved, given)
        ctx.path = None  # which leads to the network, whose decoder holds this: no collector sees through torch's graph
        return (None, None, None, None, *(found.get(key) for key in ctx.inputs))


_STATES = frozenset({"under way", "mean", "rule", "kept", "learnt", "weights", "to gradient"})


def _carries_gradient(key: Key, result: Tensor) -> bool:
    return key[0] not in _STATES and result.is_floating_point()


def run_block(path: Path, call: Call) -> Tensors:
    """What comes out of a block by key; differentiable where gradients are on and something needs one."""
    needs = (
        frozenset(key for key, t in call.tensors.items() if t.requires_grad) if torch.is_grad_enabled() else frozenset()
    )
    if not needs:
        return path.forward(call, needs)[0]
    keys: list[Key] = []
    results = apply(_BlockFunction, path, call, needs, keys, *call.tensors.values())
    return dict(zip(keys, results, strict=True))

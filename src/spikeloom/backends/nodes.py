"""What stands between populations and has no state: merges, and torch modules.

A node takes the outputs of its inputs and gives one signal, (T, B, *shape), over the whole window before a block, or
inside of a block one step at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.func import functional_call

from ..errors import ShapeError, UnsupportedError
from ..network import Component, Merge, Module, NeuronGroup
from ..network.links import Signal, SpikeRows
from ..network.relations import nodes_behind

Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Node:
    """A node by path, with the paths of its inputs.

    apply: from the parameters by name and the inputs, each (T, B, *its shape), to the signal (T, B, *shape).
    """

    path: str
    kind: str
    inputs: tuple[str, ...]
    apply: Callable[[Parameters, Sequence[Tensor]], Tensor]

    def __str__(self) -> str:
        return f"{self.path}: {self.kind} of {', '.join(self.inputs)}"


def node_of(component: Component) -> Node:
    """The node that a merge or a module is."""
    inputs = tuple(part.path for part in component.refers_to())
    if isinstance(component, Merge):
        operation = component.operation
        return Node(component.path, type(operation).__name__, inputs, lambda _, parts: operation.apply(parts))
    assert isinstance(component, Module)
    return Node(component.path, type(component.torch_module).__name__, inputs, _Called(component))


@dataclass(frozen=True)
class _Called:
    """A torch module called on all steps and samples at once."""

    component: Module

    def __call__(self, parameters: Parameters, parts: Sequence[Tensor]) -> Tensor:
        module, shape = self.component.torch_module, self.component.shape
        lead = parts[0].shape[:2]
        found: Any = functional_call(module, dict(parameters), tuple(part.flatten(0, 1) for part in parts))
        if not isinstance(found, Tensor):
            raise UnsupportedError(
                f"module {self.component.path!r} must give one tensor, got {type(found).__name__}; wrap it in an "
                "nn.Module whose forward gives one and keeps no state"
            )
        if found.shape[:1] != (lead.numel(),) or found[:1].numel() != self.component.num:
            raise ShapeError(
                f"module {self.component.path!r} must give ({lead.numel()}, {', '.join(map(str, shape))}), T * B and "
                f"the shape of its target, got {tuple(found.shape)}"
            )
        return found.reshape(*lead, *shape)


def groups_behind(component: Component) -> list[NeuronGroup]:
    """The neuron groups that a source is made of: itself, or those behind a node."""
    parts = [component, *(part for node in nodes_behind([component]) for part in node.refers_to())]
    return list({id(part): part for part in parts if isinstance(part, NeuronGroup)}.values())


def joined(node: Node, parameters: Parameters, signals: Sequence[Signal]) -> Tensor:
    """The signal of a node from those of its inputs over a window; constant ones are spread over its steps."""
    parts = [signal.dense() if isinstance(signal, SpikeRows) else signal for signal in signals]
    n_steps = max(len(part) for part in parts)
    return node.apply(parameters, [part.expand(n_steps, *part.shape[1:]) for part in parts])

"""A torch module between populations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from torch import nn
from torch.nn.parameter import is_lazy

from ..errors import ParameterError
from ..registry import canonical
from .component import Assembly, Component
from .connection import Connection
from .ends import entrance_of, exit_of
from .group import NeuronGroup, population_shape
from .links import Null
from .parameters import ParameterSpec


class Module(Assembly):
    """`Module(torch_module, input_targets=layer1, output_targets=layer2)`: any `torch.nn.Module` between populations.

    What the input targets put out goes into the module, whose result arrives at the output targets as current, through
    connections without weights, the module's members. The module is called on the whole window at once, (T * B, *shape)
    for each input, and step by step, (B, *shape), where it lies in a loop; it must keep no state from call to call, and
    give one tensor with as many values a sample as each target has neurons. input_var_names: what it reads of the
    inputs, which is their output 'O'. output_var_names: the ports of the targets. Its parameters and buffers are
    weights of the network, trained and saved as any other; a file does not hold the module itself. With shape= in place
    of output_targets, connections start from it as from a population.
    """

    kind = "module"
    refers: ClassVar[tuple[str, ...]] = ("_inputs",)

    def __init__(
        self,
        module: nn.Module | None = None,
        name: str | None = None,
        input_targets: Component | Iterable[Component] = (),
        input_var_names: str | Iterable[str] = "O",
        output_targets: Component | Iterable[Component] = (),
        output_var_names: str | Iterable[str] | None = None,
        shape: Iterable[int] | None = None,
    ) -> None:
        super().__init__(name)
        label = f"Module {name!r}" if name else "Module"
        self._torch = _checked_module(label, module)
        self._inputs = tuple(exit_of(part) for part in _listed(label, "input_targets", input_targets))
        named = [] if shape is not None and not output_targets else _listed(label, "output_targets", output_targets)
        targets = [entrance_of(part) for part in named]
        for part in self._inputs:
            if not hasattr(part, "shape"):
                raise ParameterError(f"{label}.input_targets must be populations or nodes, got {type(part).__name__}")
        for variable in _spread(label, "input_var_names", input_var_names, len(self._inputs)):
            if canonical("observable", variable.replace("[updated]", ""), ("spikes",)) is None:
                raise ParameterError(f"{label}.input_var_names must be 'O', the output of its inputs, got {variable!r}")
        self._trained = frozenset(
            name for name, p in self._torch.named_parameters(remove_duplicate=False) if p.requires_grad
        )
        self._shape = _shape_of(label, targets) if targets else population_shape(label, None, shape)
        ports = _spread(label, "output_var_names", output_var_names, len(targets))
        for k, (target, port) in enumerate(zip(targets, ports, strict=True)):
            connection = Connection(self, target, link_type=Null(), port=None if port == "Isyn" else port)
            self.add("out" if k == 0 else f"out_{k}", connection)

    @property
    def torch_module(self) -> nn.Module:
        """The module that was given, with the parameters in use."""
        return self._torch

    @property
    def inputs(self) -> tuple[Component, ...]:
        """The populations and nodes whose output goes into it."""
        return self._inputs

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what it puts out: that of its first target."""
        return self._shape

    @property
    def num(self) -> int:
        """How many values it puts out for a sample and step."""
        return math.prod(self.shape)

    def parameter_specs(self) -> list[ParameterSpec]:
        """The parameters and buffers of the module, as the parameter store keeps them."""
        parameters = self._torch.named_parameters(remove_duplicate=False)
        tensors = {**dict(parameters), **dict(self._torch.named_buffers(remove_duplicate=False))}
        kept = self._torch.state_dict().keys()
        return [
            ParameterSpec(f"{self.path}.{name}", tuple(tensor.shape), tensor, name in self._trained)
            for name, tensor in tensors.items()
            if name in kept
        ]


def _checked_module(label: str, module: Any) -> nn.Module:
    if not isinstance(module, nn.Module):
        raise ParameterError(f"{label}.module must be a torch.nn.Module, got {type(module).__name__}")
    if any(is_lazy(tensor) for tensor in [*module.parameters(), *module.buffers()]):
        raise ParameterError(f"{label}: the module has lazy parameters; call it once on data of the right shape first")
    return module


def _listed(label: str, what: str, given: Any) -> list[Component]:
    parts = [given] if isinstance(given, Component) else given
    parts = list(parts) if isinstance(parts, (list, tuple)) else []
    if not parts or not all(isinstance(part, Component) for part in parts):
        raise ParameterError(f"{label}.{what} must be a component or a list of them, got {given!r}")
    return parts


def _spread(label: str, what: str, given: Any, n: int) -> list[Any]:
    """One name for each of n, from one for all or a list."""
    names = list(given) if isinstance(given, (list, tuple)) else [given]
    names = names * n if len(names) == 1 else names
    if len(names) != n or not all(isinstance(name, str) or name is None for name in names):
        raise ParameterError(f"{label}.{what} must be a name, or one for each of {n}, got {given!r}")
    return ["O" if name is None and what == "input_var_names" else name for name in names]


def _shape_of(label: str, targets: list[Component]) -> tuple[int, ...]:
    for target in targets:
        if not isinstance(target, NeuronGroup):
            raise ParameterError(f"{label}.output_targets must be neuron groups, got {type(target).__name__}")
    sizes = {target.num for target in targets}  # type: ignore[attr-defined]
    if len(sizes) != 1:
        raise ParameterError(f"{label}.output_targets must be of one size, got {sorted(sizes)}")
    shape: tuple[int, ...] = targets[0].shape  # type: ignore[attr-defined]
    return shape

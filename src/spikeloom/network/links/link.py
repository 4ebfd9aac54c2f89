"""The structure of a connection: which weights there are, and how spikes become currents through them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ParameterError, ShapeError
from ..initializers import Constant, Initializer, Normal
from ..parameters import ParameterSpec, as_array
from .rows import SpikeRows

Signal = Tensor | SpikeRows
"""What travels: values (T, B, *shape), or (1, B, *shape) where they are constant in time, or spikes as events."""


class Ends(NamedTuple):
    """The shapes of the two populations that a connection joins."""

    pre: tuple[int, ...]
    post: tuple[int, ...]


class Gradients(NamedTuple):
    """What flows back through a product: to the signal (None for events) and to each weight."""

    signal: Tensor | None
    weights: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Link(ABC):
    """A kind of structure. Its fields are what `Connection(..., link_type=...)` accepts beside its own.

    product is linear in each weight; `gradients` is its adjoint, the one place where a weight's gradient is made.
    """

    name: ClassVar[str]

    @abstractmethod
    def check(self, owner: str, ends: Ends) -> None:
        """Raises ShapeError where the two populations do not fit this structure."""

    @abstractmethod
    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        """The weights it needs, named `<path>.<weight>`."""

    @abstractmethod
    def product(self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends) -> Tensor:
        """The current (T, B, *post shape) that a signal (T, B, *pre shape) causes; T is 1 for a constant signal."""

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, to_signal: bool
    ) -> Gradients:
        """The adjoint of `product` at a gradient of the current; by default found by autograd."""
        leaves = {k: w.detach().requires_grad_(w.is_floating_point()) for k, w in weights.items()}
        values = signal.dense() if isinstance(signal, SpikeRows) else signal
        values = values.detach().requires_grad_(to_signal)
        with torch.enable_grad():
            current = self.product(values, leaves, ends)
        wanted = {k: w for k, w in leaves.items() if w.requires_grad}
        inputs = [*wanted.values(), *([values] if to_signal else [])]
        if not inputs:
            return Gradients(None, {})
        found = torch.autograd.grad(current, inputs, grad)
        return Gradients(found[-1] if to_signal else None, dict(zip(wanted, found, strict=False)))


def settings(link: Link) -> dict[str, Any]:
    """The fields of a link by name."""
    return {f.name: getattr(link, f.name) for f in fields(link)}


def flat(values: Tensor) -> Tensor:
    """(T, B, *shape) as (T * B, n)."""
    return values.flatten(2).flatten(0, 1)


def weight_spec(path: str, shape: tuple[int, ...], given: Any, default: Initializer) -> ParameterSpec:
    """A weight that starts as the given array or initializer, or as the default one."""
    source = default if given is None else given
    if isinstance(source, Initializer):
        return ParameterSpec(path, shape, lambda generator: source.draw(shape, generator))
    array = numbers(path, source)
    if array.shape != shape:
        axes = " (post, pre)" if len(shape) == 2 else ""
        raise ShapeError(f"{path} must have shape {shape}{axes}, got {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ParameterError(f"{path} must hold finite numbers, got NaN or infinity")
    return ParameterSpec(path, shape, array.astype(np.float64))


def numbers(owner: str, given: Any) -> NDArray[Any]:
    """An array, a tensor or nested lists as an array; ParameterError unless it holds real numbers."""
    try:
        array = as_array(given)
    except ValueError as error:
        raise ParameterError(f"{owner} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ParameterError(f"{owner} must be an array of numbers or an initializer, got {given!r:.80}")
    return array


def bias_spec(path: str, size: int, given: Any) -> list[ParameterSpec]:
    """The bias as a list of one spec, or of none where it is None or False; True starts at zero."""
    if given is None or given is False:
        return []
    return [weight_spec(f"{path}.bias", (size,), None if given is True else given, Constant(0.0))]


def drawn(w_mean: float, w_std: float) -> Initializer:
    """The initializer that w_mean and w_std ask for."""
    return Normal(w_mean, w_std)

"""The structure of a connection: which weights there are, and how spikes become currents through them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ParameterError, ShapeError
from ..initializers import INITIALIZERS, Constant, Initializer, Normal
from ..parameters import ParameterSpec, check_finite, numbers
from .rows import SpikeRows

MAX_ENTRIES = 1 << 34
"""How many entries a weight may have."""

Signal = Tensor | SpikeRows
"""What travels: values (T, B, *shape), or (1, B, *shape) where they are constant in time, or spikes as events."""


class Ends(NamedTuple):
    """The shapes of the two populations that a connection joins."""

    pre: tuple[int, ...]
    post: tuple[int, ...]


class Gradients(NamedTuple):
    """What flows back through a product: to the signal (T, B, *shape), and to each weight; what was not wanted is left
    out."""

    signal: Tensor | None
    weights: dict[str, Tensor]


class Wanted(NamedTuple):
    """Whether the signal needs a gradient, and the names of the weights that do."""

    signal: bool
    weights: Collection[str]


Room = Callable[[tuple[int, ...], Any], NDArray[Any]]
"""Where an array of a shape and type comes from; it may hold anything."""


class ForwardInParts(Protocol):
    """A product made ready: run writes the current (T, n, *post shape) of the samples from begin to end, the first
    sample of which is `first`."""

    def run(self, current: Any, begin: int, end: int, first: int = 0) -> None: ...


class BackwardInParts(Protocol):
    """An adjoint made ready: run takes the gradient of the current, (T, B, *post shape) or in tiles
    [tile][T * B][width], of the samples from begin to end back; ranges begin at multiples of `part`, a power of two;
    `finish` comes after the last one."""

    part: int

    def run(self, grad: Any, begin: int, end: int) -> None: ...
    def finish(self) -> None: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Link(ABC):
    """A kind of structure. Its fields are what `Connection(..., link_type=...)` accepts beside its own.

    product is linear in each weight; `gradients` is its adjoint, the one place where a weight's gradient is made.
    What product keeps for it is the link's own affair.
    """

    name: ClassVar[str]

    @classmethod
    def ignored(cls, given: Mapping[str, Any]) -> set[str]:
        """The fields that are left without effect by those that are given."""
        return {"w_mean", "w_std"} if given.get("weight") is not None else set()

    def pairs(self, n_pre: int, n_post: int) -> float:
        """How many pairs of neurons are looked at to find its synapses, about; 0 where none is."""
        return 0

    @abstractmethod
    def check(self, owner: str, ends: Ends) -> None:
        """Raises ShapeError where the two populations do not fit this structure."""

    @abstractmethod
    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        """The weights it needs, named `<path>.<weight>`."""

    @abstractmethod
    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, Any]:
        """The current (T, B, *post shape) that a signal (T, B, *pre shape) causes, T is 1 for a constant signal; and,
        where `keep` asks for it, what helps `gradients`, or None. Differentiable for a dense signal."""

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        """The adjoint of `product` at a gradient of the current; by default found by autograd.

        kept: what the product of the same signal and weights kept; None where it was not asked to.
        """
        leaves = {k: w.detach().requires_grad_(k in wanted.weights) for k, w in weights.items()}
        values = signal.dense() if isinstance(signal, SpikeRows) else signal
        values = values.detach().requires_grad_(wanted.signal)
        inputs = {k: w for k, w in [("", values), *leaves.items()] if w.requires_grad}
        if not inputs:
            return Gradients(None, {})
        with torch.enable_grad():
            current, _ = self.product(values, leaves, ends)
        found = dict(zip(inputs, torch.autograd.grad(current, list(inputs.values()), grad), strict=True))
        return Gradients(found.pop("", None), found)

    def forward_in_parts(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool, room: Room
    ) -> tuple[ForwardInParts, Any] | None:
        """`product` for a range of samples at a time, so that what is made stays near; None where it has no such."""
        return None

    def backward_in_parts(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, wanted: Wanted, kept: Any, room: Room
    ) -> tuple[BackwardInParts, Gradients] | None:
        """`gradients` after a product in parts, for a range of samples at a time, and where they will stand."""
        return None


def flat(values: Tensor) -> Tensor:
    """(T, B, *shape) as (T * B, n)."""
    return values.flatten(2).flatten(0, 1)


def check_entries(path: str, shape: tuple[int, ...]) -> None:
    """Raises ParameterError for a weight with more entries than it may have."""
    if math.prod(shape) > MAX_ENTRIES:
        raise ParameterError(
            f"{path} would have shape {shape}, more than {MAX_ENTRIES} entries; join smaller populations, or use "
            "link_type='sparse' with a small density"
        )


def weight_spec(path: str, shape: tuple[int, ...], given: Any, default: Initializer) -> ParameterSpec:
    """A weight that starts as the given array or initializer, or as the default one."""
    check_entries(path, shape)
    source = default if given is None else given
    if isinstance(source, Initializer):
        return ParameterSpec(path, shape, lambda generator: source.draw(shape, generator))
    if isinstance(source, str):
        made = f": spikeloom.{INITIALIZERS.name_of(source)}()" if source in INITIALIZERS else " such as normal(std=0.1)"
        raise ParameterError(f"{path} must be an array of numbers or an initializer{made}, got the text {source!r}")
    array = numbers(path, source, "an array of numbers or an initializer")
    if array.shape != shape:
        axes = " (post, pre)" if len(shape) == 2 else ""
        raise ShapeError(f"{path} must have shape {shape}{axes}, got {array.shape}")
    with np.errstate(over="ignore"):  # of a wider type; infinity is refused below
        array = array.astype(np.float64)
    check_finite(path, array)
    return ParameterSpec(path, shape, array)


def bias_spec(path: str, size: int, given: Any) -> list[ParameterSpec]:
    """The bias as a list of one spec, or of none where it is None or False; True starts at zero."""
    if given is None or given is False:
        return []
    return [weight_spec(f"{path}.bias", (size,), None if given is True else given, Constant(0.0))]


def drawn(w_mean: float, w_std: float) -> Initializer:
    """The initializer that w_mean and w_std ask for."""
    return Normal(w_mean, w_std)

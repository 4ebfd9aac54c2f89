"""The product of a connection under autograd: the one place where a weight's gradient is made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from ..network.links.link import BackwardInParts, Ends, ForwardInParts, Gradients, Link, Room, Signal, Wanted


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """The result of an autograd function; torch leaves `apply` without types."""
    return cast(Any, function).apply(*arguments)


@dataclass
class Term:
    """A signal on its way through a link: signal, weights by name, the shapes of the two ends.

    pre: makes what stands for the signal in the gradient of the weights; back: the weights that bring the gradient to
    the signal; None: the signal and the weights themselves. beside: makes a gradient of the current that reaches the
    weights alone, beside the one that comes, or None.
    """

    link: Link
    ends: Ends
    signal: Signal
    weights: Mapping[str, Tensor]
    pre: Callable[[], Signal] | None = None
    back: Mapping[str, Tensor] | None = None
    beside: Callable[[], Tensor | None] | None = None
    _kept: Any = field(default=None, init=False, repr=False)

    def product(self, keep: bool = True) -> Tensor:
        """The current (T, B, *post shape), T = 1 for a constant signal; without a graph.

        keep: whether what the link found is kept for `gradients`, which otherwise finds it again.
        """
        with torch.no_grad():
            current, self._kept = self.link.product(self.signal, self.weights, self.ends, keep)
        return current

    def gradients(self, grad: Tensor, to_signal: bool, names: Collection[str] | None = None) -> Gradients:
        """What a gradient of the current, (T, B, *post shape), gives to the signal, where it is wanted, and to the
        weights of the given names (None: to all that have one)."""
        if names is None:
            names = [name for name, weight in self.weights.items() if weight.is_floating_point()]
        if isinstance(self.signal, Tensor) and self.signal.shape[0] == 1:
            grad = grad.sum(0, keepdim=True)
        with torch.no_grad():
            if self.pre is None and self.back is None and self.beside is None:
                wanted = Wanted(to_signal, names)
                return self.link.gradients(self.signal, self.weights, self.ends, grad, wanted, self._kept)
            return self._credited(grad, to_signal, names)

    def _credited(self, grad: Tensor, to_signal: bool, names: Collection[str]) -> Gradients:
        signal, back = self.signal if self.pre is None else self.pre(), self.back or self.weights
        by_signal, by_weights = Wanted(to_signal, ()), Wanted(False, names)
        found = self.link.gradients(signal, self.weights, self.ends, grad, by_weights, self._kept).weights
        if self.beside is not None and (more := self.beside()) is not None:
            more = more.sum(0, keepdim=True) if isinstance(self.signal, Tensor) and self.signal.shape[0] == 1 else more
            added = self.link.gradients(self.signal, self.weights, self.ends, more, by_weights, self._kept).weights
            found = {name: of_grad + added[name] for name, of_grad in found.items()}
        return Gradients(self.link.gradients(self.signal, back, self.ends, grad, by_signal, self._kept).signal, found)

    def forward_in_parts(self, keep: bool, room: Room) -> ForwardInParts | None:
        """`product` for a range of samples at a time; None where the link has no such."""
        made = self.link.forward_in_parts(self.signal, self.weights, self.ends, keep, room)
        if made is None:
            return None
        way, self._kept = made
        return way

    def backward_in_parts(
        self, to_signal: bool, names: Collection[str], room: Room
    ) -> tuple[BackwardInParts, Gradients] | None:
        """`gradients` for a range of samples at a time, and where they will stand; after `forward_in_parts`."""
        wanted = Wanted(to_signal, names)
        return self.link.backward_in_parts(self.signal, self.weights, self.ends, wanted, self._kept, room)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, term: Term, signal: Tensor | None, *weights: Tensor) -> Tensor:
        ctx.term = term
        ctx.save_for_backward(*([signal] if signal is not None else []), *weights)
        return term.product(keep=any(ctx.needs_input_grad))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        _ = ctx.saved_tensors  # raises where a weight was changed in place since
        _, to_signal, *needed = ctx.needs_input_grad
        names = [name for name, needs in zip(ctx.term.weights, needed, strict=True) if needs]
        found = ctx.term.gradients(grad, to_signal, names)
        return (None, found.signal, *(found.weights.get(name) for name in ctx.term.weights))


def product(term: Term, stands_in: Tensor | None = None) -> Tensor:
    """The current of a term, with its gradients to signal and weights.

    stands_in: what gets the gradient of a signal that comes as events, (T, B, *pre).
    """
    signal = term.signal if isinstance(term.signal, Tensor) else stands_in
    return cast(Tensor, apply(_Product, term, signal, *term.weights.values()))

"""The product of a connection under autograd: the one place where a weight's gradient is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from ..network.links import Ends, Gradients, Link, Signal


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """The result of an autograd function; torch leaves `apply` without types."""
    return cast(Any, function).apply(*arguments)


@dataclass(frozen=True)
class Term:
    """A signal on its way through a link: signal, weights by name, the shapes of the two ends."""

    link: Link
    ends: Ends
    signal: Signal
    weights: Mapping[str, Tensor]

    def product(self) -> Tensor:
        """The current (T, B, *post shape), T = 1 for a constant signal; without a graph."""
        with torch.no_grad():
            return self.link.product(self.signal, self.weights, self.ends)

    def gradients(self, grad: Tensor, to_signal: bool) -> Gradients:
        """What a gradient of the current, (T, B, *post shape), gives to signal and weights."""
        if isinstance(self.signal, Tensor) and self.signal.shape[0] == 1:
            grad = grad.sum(0, keepdim=True)
        return self.link.gradients(self.signal, self.weights, self.ends, grad, to_signal)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, term: Term, signal: Tensor | None, *weights: Tensor) -> Tensor:
        ctx.term, ctx.has_signal = term, signal is not None
        ctx.save_for_backward(*([signal] if signal is not None else []), *weights)
        return term.product()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        _ = ctx.saved_tensors  # raises where a weight was changed in place since
        found = ctx.term.gradients(grad, ctx.has_signal and ctx.needs_input_grad[1])
        return (None, found.signal, *(found.weights.get(name) for name in ctx.term.weights))


def product(term: Term) -> Tensor:
    """The current of a term, with its gradients to signal and weights."""
    signal = term.signal if isinstance(term.signal, Tensor) else None
    return cast(Tensor, apply(_Product, term, signal, *term.weights.values()))

"""The vocabulary of `spikeloom.ops` on torch tensors, and the step with a surrogate derivative."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ..neurons import Emission, Surrogate

Number = Tensor | float


def _of_two(on_tensors: Callable[..., Tensor], on_floats: Callable[..., float], a: Number, b: Number) -> Any:
    """A function of two, of which one may be a float: it becomes a tensor like the other."""
    if isinstance(a, Tensor):
        return on_tensors(a, torch.as_tensor(b, dtype=a.dtype, device=a.device))
    if isinstance(b, Tensor):
        return on_tensors(torch.as_tensor(a, dtype=b.dtype, device=b.device), b)
    return on_floats(a, b)


class TorchOps:
    """Elementwise functions on tensors; on plain floats they give plain floats."""

    @staticmethod
    def exp(x: Number) -> Any:
        return torch.exp(x) if isinstance(x, Tensor) else math.exp(x)

    @staticmethod
    def log(x: Number) -> Any:
        return torch.log(x) if isinstance(x, Tensor) else math.log(x)

    @staticmethod
    def tanh(x: Number) -> Any:
        return torch.tanh(x) if isinstance(x, Tensor) else math.tanh(x)

    @staticmethod
    def sqrt(x: Number) -> Any:
        return torch.sqrt(x) if isinstance(x, Tensor) else math.sqrt(x)

    @staticmethod
    def abs(x: Number) -> Any:
        return torch.abs(x) if isinstance(x, Tensor) else math.fabs(x)

    @staticmethod
    def floor(x: Number) -> Any:
        return torch.floor(x) if isinstance(x, Tensor) else float(math.floor(x))

    @staticmethod
    def where(condition: Any, a: Number, b: Number) -> Any:
        if isinstance(condition, bool):
            return a if condition else b
        return torch.where(condition, a, b)

    @staticmethod
    def minimum(a: Number, b: Number) -> Any:
        return _of_two(torch.minimum, min, a, b)

    @staticmethod
    def maximum(a: Number, b: Number) -> Any:
        return _of_two(torch.maximum, max, a, b)

    @staticmethod
    def logical_and(a: Any, b: Any) -> Any:
        return a & b

    @staticmethod
    def logical_or(a: Any, b: Any) -> Any:
        return a | b

    @staticmethod
    def logical_not(a: Any) -> Any:
        return ~a if isinstance(a, Tensor) else not a

    @staticmethod
    def stop_gradient(x: Tensor) -> Tensor:
        return x.detach()

    @staticmethod
    def stack(arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        return torch.stack(list(arrays), axis)


XP = TorchOps()


class SurrogateStep(torch.autograd.Function):
    """1 where d >= 0, else 0; on the way back the surrogate stands for the derivative."""

    @staticmethod
    def forward(ctx: Any, d: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(d)
        ctx.surrogate = surrogate
        return (d >= 0).to(d.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (d,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(d, XP), None


def fire(d: Tensor, v: Tensor, emission: Emission, xp: TorchOps) -> Any:
    """The output of an emission, with its surrogate where the forward asks for one."""
    if emission.forward.uses_surrogate:
        return cast(Any, SurrogateStep).apply(d, emission.surrogate)
    return emission.forward.output(d, v, xp)

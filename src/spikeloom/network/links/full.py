"""Every neuron to every neuron."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..parameters import ParameterSpec
from .link import Ends, Gradients, Link, Signal, Wanted, bias_spec, drawn, flat, weight_spec
from .rows import SpikeRows


@dataclass(frozen=True, kw_only=True, eq=False)
class Full(Link):
    """A dense weight (post, pre); normal with w_mean and w_std unless `weight` (array or initializer) is given."""

    weight: Any = None
    bias: Any = None
    w_mean: float = 0.005
    w_std: float = 0.05

    name = "full"

    def check(self, owner: str, ends: Ends) -> None:
        """Any two populations fit."""

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        post, pre = math.prod(ends.post), math.prod(ends.pre)
        weight = weight_spec(f"{path}.weight", (post, pre), self.weight, drawn(self.w_mean, self.w_std))
        return [weight, *bias_spec(path, post, self.bias)]

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, None]:
        weight, bias = weights["weight"].contiguous(), weights.get("bias")  # the order of sums depends on strides
        if isinstance(signal, SpikeRows):
            current = signal.times(weight.t())
        else:
            current = (flat(signal) @ weight.t()).view(*signal.shape[:2], weight.shape[0])
        if bias is not None:
            current = current + bias
        return current.reshape(*current.shape[:2], *ends.post), None

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        flat_grad = flat(grad)
        found: dict[str, Tensor] = {}
        if "weight" in wanted.weights:
            if isinstance(signal, SpikeRows):
                found["weight"] = signal.transposed_times(grad.flatten(2)).t()
            else:
                found["weight"] = flat_grad.t() @ flat(signal)
        if "bias" in wanted.weights:
            found["bias"] = flat_grad.sum(0)
        back = (flat_grad @ weights["weight"].contiguous()).view(*grad.shape[:2], *ends.pre) if wanted.signal else None
        return Gradients(back, found)

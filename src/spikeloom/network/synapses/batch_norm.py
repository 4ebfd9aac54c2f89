"""Batch normalisation of currents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...errors import ParameterError, UnsupportedError
from ...neurons.surrogates import is_number
from ..parameters import ParameterSpec
from .stage import Shape, Stage, Window


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchNorm(Stage):
    """gamma (x - mean) / sqrt(variance + eps) + beta for each channel, or each neuron of a shape of one axis.

    In training mean and variance are those of the window, over steps, samples and positions (Zheng et al., 2021, AAAI),
    and move the running ones by `momentum`; evaluation uses the running ones (Ioffe & Szegedy, 2015, ICML). gamma and
    beta are trained. Training step by step, in a loop, has no window: it is an error.
    """

    momentum: float = 0.1
    eps: float = 1e-5

    name = "batch_norm"
    parameters = ("gamma", "beta", "running_mean", "running_var")

    def __post_init__(self) -> None:
        if not is_number(self.momentum) or not 0 < self.momentum <= 1:
            raise ParameterError(f"BatchNorm.momentum must be in (0, 1], got {self.momentum!r}")
        if not is_number(self.eps) or self.eps <= 0:
            raise ParameterError(f"BatchNorm.eps must be a positive number, got {self.eps!r}")

    def specs(self, path: str, shape: Shape) -> list[ParameterSpec]:
        zeros, ones = np.zeros(shape[0]), np.ones(shape[0])
        return [
            ParameterSpec(f"{path}.gamma", zeros.shape, ones),
            ParameterSpec(f"{path}.beta", zeros.shape, zeros),
            ParameterSpec(f"{path}.running_mean", zeros.shape, zeros, trainable=False),
            ParameterSpec(var := f"{path}.running_var", zeros.shape, ones, False, partial(_check_variance, var)),
        ]

    def apply(
        self, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], window: Window
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if window.training and window.stepped:
            raise UnsupportedError(
                "batch normalisation is trained over a whole window, which a loop has not: keep it out of the loop, or "
                "call net.eval()"
            )
        gamma, beta, mean, var = (weights[name] for name in self.parameters)
        y = F.batch_norm(x.flatten(0, 1), mean, var, gamma, beta, window.training, self.momentum, self.eps)
        return y.view(x.shape), ()


def _check_variance(name: str, values: NDArray[Any]) -> None:
    if np.any(values < 0):
        raise ParameterError(f"{name} must hold variances, zero or more, got {values.min():g}; 1 is its start")

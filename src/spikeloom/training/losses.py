"""Losses by name: functions of the decoder's answer (B, n) and the labels (B,)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ParameterError, UnsupportedError
from ..network import NeuronGroup, Tap
from ..registry import Registry

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(answer: Tensor, label: Tensor) -> Tensor:
    """The cross entropy of the answers as logits."""
    return F.cross_entropy(answer, label)


def normalised_cross_entropy(answer: Tensor, label: Tensor) -> Tensor:
    """The cross entropy of (answer - mean) / (std + 0.1), over the whole batch, as SPAIC's examples take it."""
    scaled = (answer - answer.mean().detach()) / (torch.std(answer).detach() + 0.1)
    return F.cross_entropy(scaled, label)


LOSSES: Registry[Loss] = Registry("loss")
LOSSES.add("cross_entropy", cross_entropy)
LOSSES.add("normalised_cross_entropy", normalised_cross_entropy)


class RateLoss:
    """`RateLoss({net.hidden: (low, high)}, weight=0.01)`: a loss that keeps firing rates between bounds, in Hz.

    For `fit` it is a loss of answer and labels, the loss named `loss` plus the penalty; by hand `penalty` is added to
    any loss of the last run. The penalty is weight times the sum over the populations of the mean of
    max(0, r - high)^2 + max(0, low - r)^2 over its rates r in Hz: each neuron's mean over the batch, or with
    per='layer' the population's (Zenke & Vogels, 2021, Neural Computation 33:899). Its gradient goes through spikes.
    """

    def __init__(
        self,
        bounds: Mapping[NeuronGroup, tuple[float, float]],
        weight: float = 1.0,
        loss: str | Loss = "cross_entropy",
        per: str = "neuron",
    ) -> None:
        if not isinstance(bounds, Mapping) or not bounds:
            raise ParameterError(f"RateLoss.bounds must map neuron groups to (low, high) in Hz, got {bounds!r}")
        self.bounds = {_spiking(group): _checked_bounds(group, pair) for group, pair in bounds.items()}
        if not _is_rate(weight) or weight == math.inf:
            raise ParameterError(f"RateLoss.weight must be a finite number of at least 0, got {weight!r}")
        if per not in ("neuron", "layer"):
            raise ParameterError(f"RateLoss.per must be 'neuron' or 'layer', got {per!r}")
        if not isinstance(loss, str) and not callable(loss):
            raise ParameterError(f"RateLoss.loss must be a name or a function of answer and labels, got {loss!r}")
        self.weight, self.per = float(weight), per
        self.loss: Loss = LOSSES[loss] if isinstance(loss, str) else loss
        self._taps = {group: Tap(group) for group in self.bounds}

    def rates(self) -> dict[NeuronGroup, Tensor]:
        """The mean rates in the last run in Hz: (n,) of each neuron, or a number with per='layer'."""
        means = {group: tap.rates.mean(0) for group, tap in self._taps.items()}
        return means if self.per == "neuron" else {group: mean.mean() for group, mean in means.items()}

    @property
    def penalty(self) -> Tensor:
        """The weighted penalty of the last run, one number; StateError before the first."""
        terms = []
        for group, rate in self.rates().items():
            low, high = self.bounds[group]
            terms.append((F.relu(rate - high) ** 2 + F.relu(low - rate) ** 2).mean())
        return torch.stack(terms).sum() * self.weight

    def __call__(self, answer: Tensor, label: Tensor) -> Tensor:
        """The loss of an answer and its labels, plus the penalty of the run that gave it."""
        return self.loss(answer, label) + self.penalty


def _spiking(group: Any) -> NeuronGroup:
    if not isinstance(group, NeuronGroup):
        raise ParameterError(f"RateLoss.bounds must map neuron groups to (low, high), got {type(group).__name__}")
    if group not in group.network.spiking:
        raise UnsupportedError(f"RateLoss: {group.path!r} ({group.model}) emits no spikes, so it has no firing rate")
    return group


def _checked_bounds(group: NeuronGroup, pair: Any) -> tuple[float, float]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(map(_is_rate, pair)) or pair[0] > pair[1]:
        raise ParameterError(f"RateLoss: the bounds of {group.path!r} must be 0 <= low <= high in Hz, got {pair!r}")
    return float(pair[0]), float(pair[1])


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0

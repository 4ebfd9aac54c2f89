"""Losses by name: functions of the decoder's answer (B, n) and the labels (B,)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ParameterError, ShapeError, UnsupportedError
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


def tempotron(answer: Tensor, label: Tensor, v_th: float = 1.0) -> Tensor:
    """How far greatest potentials (B, n) lie on the wrong side of the threshold, summed over neurons, mean of samples.

    The neuron of the label must reach v_th at some time, the others must not. For read-outs that do not spike and the
    decoding 'voltage_max': the gradient is then the postsynaptic potential at the time of the greatest potential, the
    tempotron's rule (Guetig and Sompolinsky 2006, Nature Neuroscience 9:420, eq. 2). Another threshold than 1:
    functools.partial(tempotron, v_th=10.0).
    """
    own = F.one_hot(label, answer.shape[1]).bool()
    return torch.where(own, F.relu(v_th - answer), F.relu(answer - v_th)).sum(1).mean()


def temporal_cross_entropy(answers: Tensor, label: Tensor, regularisation: float = 1e-3, target: float = 1.0) -> Tensor:
    """The loss of each step, (T,), of answers (T, B, n) and labels (B,); its mean is TET (Deng et al. 2022, ICLR).

    (1 - r) cross entropy + r mean((answer - target)^2), r the regularisation, which draws all answers to a target.
    """
    if not 0 <= regularisation <= 1:
        raise ParameterError(f"regularisation must be a share, 0 to 1, got {regularisation!r}")
    if answers.ndim != 3 or label.shape != answers.shape[1:2]:
        raise ShapeError(
            f"answers must have shape (T, B, n) and label (B,), got {tuple(answers.shape)} and {tuple(label.shape)}"
        )
    each = F.cross_entropy(answers.flatten(0, 1), label.repeat(len(answers)), reduction="none")
    drawn = ((answers - target) ** 2).mean((1, 2))
    return (1 - regularisation) * each.view(answers.shape[:2]).mean(1) + regularisation * drawn


def linear_cka(x: Tensor, y: Tensor) -> Tensor:
    """How alike features x (..., B, n) and y (..., B, m) of the same B samples are, 0 to 1: centred kernel alignment.

    |X^T Y|^2 / (|X^T X| |Y^T Y|) of features about their means (Kornblith et al. 2019, ICML); 1 where one is the other
    rotated and scaled, 0 where one does not vary.
    """
    if x.ndim < 2 or x.shape[:-1] != y.shape[:-1]:
        got = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ShapeError(f"features must have shapes (..., B, n) and (..., B, m), got {got}")
    of_x, of_y = (_centred(f) @ _centred(f).mT for f in (x, y))
    of_itself = ((of * of).sum((-2, -1)) for of in (of_x, of_y))
    norm_x, norm_y = (torch.where(square > 0, square, 1.0).sqrt() for square in of_itself)
    return ((of_x * of_y).sum((-2, -1)) / (norm_x * norm_y)).to(torch.result_type(x, y * 1.0))


def _centred(features: Tensor) -> Tensor:
    """Features about their means, the greatest 1 or -1; zeros where they differ by rounding alone."""
    wide = features.double()
    centred = wide - wide.mean(-2, keepdim=True)
    largest, greatest = (part.detach().abs().amax((-2, -1), keepdim=True) for part in (centred, wide))
    varies = largest > greatest * torch.finfo(wide.dtype).eps * features.shape[-2]
    return torch.where(varies, centred, 0.0) / torch.where(varies, largest, 1.0)


LOSSES: Registry[Loss] = Registry("loss")
LOSSES.add("cross_entropy", cross_entropy)
LOSSES.add("normalised_cross_entropy", normalised_cross_entropy)
LOSSES.add("tempotron", tempotron)


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
        self.bounds = {_rated(group): _checked_bounds(group, pair) for group, pair in bounds.items()}
        if not _is_rate(weight) or weight == math.inf:
            raise ParameterError(f"RateLoss.weight must be a finite number of at least 0, got {weight!r}")
        if per not in ("neuron", "layer"):
            raise ParameterError(f"RateLoss.per must be 'neuron' or 'layer', got {per!r}")
        if not isinstance(loss, str) and not callable(loss):
            raise ParameterError(f"RateLoss.loss must be a name or a function of answer and labels, got {loss!r}")
        self.weight, self.per = float(weight), per
        self.loss: Loss = LOSSES[loss] if isinstance(loss, str) else loss
        self._taps = {group: Tap(group) for group in self.bounds}

    @property
    def populations(self) -> list[NeuronGroup]:
        """Those whose rates are kept."""
        return list(self.bounds)

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


def spiking(owner: str, group: NeuronGroup) -> NeuronGroup:
    """The group itself; UnsupportedError where it emits no spikes."""
    if group not in group.network.spiking:
        raise UnsupportedError(f"{owner}: {group.path!r} ({group.model}) emits no spikes, so it has no firing rate")
    return group


def _rated(group: Any) -> NeuronGroup:
    if not isinstance(group, NeuronGroup):
        raise ParameterError(f"RateLoss.bounds must map neuron groups to (low, high), got {type(group).__name__}")
    return spiking("RateLoss", group)


def _checked_bounds(group: NeuronGroup, pair: Any) -> tuple[float, float]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(map(_is_rate, pair)) or pair[0] > pair[1]:
        raise ParameterError(f"RateLoss: the bounds of {group.path!r} must be 0 <= low <= high in Hz, got {pair!r}")
    return float(pair[0]), float(pair[1])


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0

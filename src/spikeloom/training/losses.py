"""Losses by name: functions of the decoder's answer (B, n) and the labels (B,)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

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

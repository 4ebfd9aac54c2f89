"""A loss of each population's own, so that none needs errors from those behind it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..errors import ParameterError, ShapeError
from ..network import NeuronGroup, Tap
from .evaluation import loss_of
from .losses import Loss, spiking


def square_waves(n_classes: int, n: int, lowest: float = 50.0, highest: float = 512.0) -> NDArray[np.float64]:
    """Fixed read-out weights (n_classes, n): sign(sin(2 pi f k / n)) / n of neuron k, f from lowest to highest."""
    frequencies = np.linspace(lowest, highest, n_classes)[:, None]
    return np.sign(np.sin(2 * np.pi * frequencies * np.arange(n) / n)) / n


class LocalLoss:
    """`LocalLoss([net.one, net.two])`: the loss of the answer, and a cross entropy of each population's own spikes.

    For `fit`, a loss of answer and labels: the loss named `loss`, which trains what the decoder reads, plus `weight`
    times, for each population, the mean over steps and samples of the cross entropy of B s, its spikes s through fixed
    `square_waves` B. With credit 'tess', which brings no errors from population to population, each learns from its own
    (TESS; Apolinario, Roy and Frenkel 2025): the learning signal is B^T (softmax(B s) - label).
    """

    def __init__(
        self,
        populations: NeuronGroup | Iterable[NeuronGroup],
        weight: float = 0.3,
        loss: str | Loss = "cross_entropy",
    ) -> None:
        given = list(populations) if isinstance(populations, Iterable) else [populations]
        if not given or not all(isinstance(group, NeuronGroup) for group in given) or len(set(given)) < len(given):
            raise ParameterError(f"LocalLoss.populations must be neuron groups, each once, got {populations!r:.80}")
        self.populations = [spiking("LocalLoss", group) for group in given]
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < float("inf"):
            raise ParameterError(f"LocalLoss.weight must be a positive number, got {weight!r}")
        self.weight, self.loss = float(weight), loss_of(loss)
        self._taps = [Tap(group) for group in self.populations]
        self._readouts: dict[tuple[int, int], NDArray[np.float64]] = {}

    def __call__(self, answer: Tensor, label: Tensor) -> Tensor:
        """The loss of an answer and its labels, with those of the populations in the run that gave it."""
        local = [self._of(tap, answer.shape[1], label) for tap in self._taps]
        return self.loss(answer, label) + self.weight * torch.stack(local).sum()

    def _of(self, tap: Tap, n_classes: int, label: Tensor) -> Tensor:
        spikes = tap.value.flatten(2)
        if spikes.shape[1] != len(label):
            raise ShapeError(
                f"LocalLoss: the last run of {tap.target.path!r} had {spikes.shape[1]} samples, there are {len(label)} "
                "labels"
            )
        size = (n_classes, spikes.shape[2])
        if size not in self._readouts:
            self._readouts[size] = square_waves(*size)
        read = spikes @ torch.from_numpy(self._readouts[size].T).to(spikes)
        return F.cross_entropy(read.flatten(0, 1), label.repeat(len(spikes)))

"""Answers, loss, accuracy and firing rate of a network on data."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError, ShapeError, StateError
from ..network import Decoder, Encoder, Network, Sink
from .losses import LOSSES, Loss
from .progress import Bar


@dataclass(frozen=True)
class Metrics:
    """Means over samples: loss, accuracy (0 to 1), firing rate of all populations in Hz; how many samples."""

    loss: float
    accuracy: float
    rate_hz: float
    samples: int


@dataclass
class Tally:
    """Running sums that become Metrics; plain numbers, so that a checkpoint can hold them."""

    loss: float = 0.0
    correct: int = 0
    rate: float = 0.0
    samples: int = 0

    def add(self, loss: float, answer: Tensor, label: Tensor, rate_hz: float) -> None:
        """Takes a batch."""
        n = len(label)
        self.loss += loss * n
        self.correct += int((answer.detach().argmax(1) == label).sum())
        self.rate += rate_hz * n
        self.samples += n

    def metrics(self) -> Metrics:
        """The means so far."""
        n = max(1, self.samples)
        return Metrics(self.loss / n, self.correct / n, self.rate / n, self.samples)


def ends(network: Network) -> tuple[Encoder, Decoder]:
    """The one encoder and the one decoder of a network; StateError where there are others or none."""
    for kind, found in (("encoder", network.encoders), ("decoder", network.decoders)):
        if len(found) != 1:
            names = ", ".join(c.path for c in found) or "none"
            raise StateError(f"training needs one {kind} in the network, found {names}; write the loop by hand instead")
    return network.encoders[0], network.decoders[0]


def loss_of(loss: str | Loss) -> Loss:
    """The loss by its name, or the function itself."""
    return LOSSES[loss] if isinstance(loss, str) else loss


def answer(network: Network, data: Any, label: Any, time: float, record: Sink | None = None) -> tuple[Tensor, Tensor]:
    """The decoder's answer to a batch after a run of `time` ms, and the labels as a tensor beside it."""
    encoder, decoder = ends(network)
    encoder(data)
    network.run(time, record=record)
    found: Tensor = decoder.predict
    labels = torch.as_tensor(np.asarray(label), device=found.device)
    if found.ndim != 2 or labels.shape != found.shape[:1]:
        raise ShapeError(f"labels must have shape ({len(found)},) beside an answer (B, n), got {tuple(labels.shape)}")
    if len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= found.shape[1]):
        raise DataError(
            f"labels must lie from 0 to {found.shape[1] - 1}, what decoder {decoder.path!r} answers; "
            f"got {int(labels.min())} to {int(labels.max())}"
        )
    return found, labels


def mean_rate(network: Network) -> float:
    """The mean firing rate of all neurons in the last run, in Hz."""
    rates = network.firing_rates()
    sizes = {group.path: group.num for group in network.groups}
    return sum(rates[path] * n for path, n in sizes.items()) / sum(sizes.values())


def evaluate(
    network: Network,
    data: Iterable[Any],
    *,
    time: float,
    loss: str | Loss = "cross_entropy",
    record: Sink | None = None,
    progress: bool = True,
) -> Metrics:
    """Loss, accuracy and firing rate over the batches [data, labels] of a loader; nothing is learned.

    time: of each run in ms. record: a recorder that takes what happens in every run.
    """
    function, tally = loss_of(loss), Tally()
    with torch.no_grad(), Bar("test", _length(data), shown=progress) as bar:
        for values, label in data:
            found, labels = answer(network, values, label, time, record)
            tally.add(float(function(found, labels)), found, labels, mean_rate(network))
            now = tally.metrics()
            bar.step(loss=now.loss, accuracy=now.accuracy, rate_hz=now.rate_hz)
    return tally.metrics()


def _length(data: Iterable[Any]) -> int | None:
    return len(data) if isinstance(data, Sized) else None


def predict(network: Network, data: Iterable[Any], *, time: float, progress: bool = True) -> NDArray[Any]:
    """The decoder's answers (samples, n) over the batches of a loader, `[data, labels]` or data alone."""
    encoder, decoder = ends(network)
    answers = []
    with torch.no_grad(), Bar("predict", _length(data), shown=progress) as bar:
        for batch in data:
            encoder(batch[0] if isinstance(batch, (list, tuple)) else batch)
            network.run(time)
            answers.append(decoder.predict.cpu().numpy())
            bar.step()
    return np.concatenate(answers) if answers else np.zeros((0, decoder.num), np.float32)

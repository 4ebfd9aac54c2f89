"""Answers, loss, accuracy and firing rate of a network on data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..datasets import Dataset
from ..errors import DataError, ParameterError, ShapeError, StateError
from ..network import Decoder, Encoder, Network, Sink
from ..registry import takes_only_its_own
from .losses import LOSSES, Loss
from .progress import Bar


@dataclass(frozen=True)
class Metrics:
    """Means over samples: loss, accuracy (0 to 1), firing rate of all spiking populations in Hz; how many samples."""

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


def loss_of(loss: str | Loss, network: Network | None = None) -> Loss:
    """The loss by its name, or the function itself; ParameterError where its populations are not of the network."""
    if not isinstance(loss, str) and not callable(loss):
        raise ParameterError(
            f"loss must be a name or a function of answer and labels, got {loss!r}; use {list(LOSSES)}"
        )
    function = LOSSES[loss] if isinstance(loss, str) else loss
    for group in getattr(function, "populations", ()):
        if network is not None and group not in network.groups:
            raise ParameterError(
                f"{type(function).__name__}: population {group.name!r} is not in the network that is run; make the "
                "loss of its own populations"
            )
    return function


def scored(loss: Loss, found: Tensor, labels: Tensor) -> Tensor:
    """The loss of a batch, one number; ShapeError where the function gives something else."""
    value: Any = loss(found, labels)
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise ShapeError(f"a loss must be a tensor of one number, got {got}; return its mean")
    return value


def answer(network: Network, data: Any, time: float, record: Sink | None = None) -> Tensor:
    """The decoder's answer (B, n) to a batch after a run of `time` ms."""
    encoder, decoder = ends(network)
    encoder(data)
    network.run(time, record=record)
    return read(decoder)


def read(decoder: Decoder) -> Tensor:
    """What a decoder answers (B, n) to the last run; ShapeError where it answers something else."""
    found: Tensor = decoder.predict
    if found.ndim != 2:
        raise ShapeError(
            f"decoder {decoder.path!r} ({decoder.coding_method}) answers with shape {tuple(found.shape)}, not (B, n); "
            "use coding_method='spike_counts'"
        )
    return found


def labels_for(network: Network, found: Tensor, label: Any) -> Tensor:
    """The labels (B,) as a tensor beside an answer (B, n); an error unless they are classes that it has."""
    labels = torch.as_tensor(np.asarray(label), device=found.device)
    if labels.shape != found.shape[:1]:
        raise ShapeError(f"labels must have shape ({len(found)},), one a sample, got {tuple(labels.shape)}")
    if labels.is_floating_point():
        raise DataError(f"labels must be whole numbers, the classes, got {labels.dtype}")
    if len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= found.shape[1]):
        raise DataError(
            f"labels must lie from 0 to {found.shape[1] - 1}, what decoder {ends(network)[1].path!r} answers; "
            f"got {int(labels.min())} to {int(labels.max())}"
        )
    return labels


def mean_rate(network: Network) -> float:
    """The mean firing rate of all neurons that spike in the last run, in Hz; 0 where none does."""
    rates = network.firing_rates()
    sizes = {group.path: group.num for group in network.spiking}
    return sum(rates[path] * n for path, n in sizes.items()) / max(1, sum(sizes.values()))


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """Evaluation without gradients; afterwards the network is in the mode it was in."""
    mode = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(mode)


@takes_only_its_own("training option")
def evaluate(
    network: Network,
    data: Iterable[Any],
    *,
    time: float,
    loss: str | Loss = "cross_entropy",
    record: Sink | None = None,
    progress: bool = True,
) -> Metrics:
    """Loss, accuracy and firing rate over the batches [data, labels] of a loader, in evaluation; nothing is learned.

    time: of each run in ms. record: a recorder that takes what happens in every run.
    """
    function, tally = loss_of(loss, network), Tally()
    with evaluating(network), Bar("test", _length(data), shown=progress) as bar:
        for values, label in data:
            found = answer(network, values, time, record)
            labels = labels_for(network, found, label)
            tally.add(float(scored(function, found, labels)), found, labels, mean_rate(network))
            now = tally.metrics()
            bar.step(loss=now.loss, accuracy=now.accuracy, rate_hz=now.rate_hz)
    if not tally.samples:
        raise DataError("evaluate: the data gave no samples; a generator that was used up must be made anew")
    return tally.metrics()


def _length(data: Iterable[Any]) -> int | None:
    """How many batches there are, where that is known; ParameterError for samples that are not in batches."""
    if isinstance(data, Dataset):
        raise ParameterError(f"{data.name} is a data set of single samples; wrap it: Dataloader(data, 64)")
    return len(data) if isinstance(data, Sized) else None


def predict(network: Network, data: Iterable[Any], *, time: float, progress: bool = True) -> NDArray[Any]:
    """The decoder's answers (samples, n) in evaluation over the batches of a loader, `[data, labels]` or data alone."""
    answers = []
    with evaluating(network), Bar("predict", _length(data), shown=progress) as bar:
        for batch in data:
            values = batch[0] if isinstance(batch, (list, tuple)) else batch
            answers.append(answer(network, values, time).cpu().numpy())
            bar.step()
    return np.concatenate(answers) if answers else np.zeros((0, ends(network)[1].num), np.float32)

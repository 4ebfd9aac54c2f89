"""Training: epochs over a loader, with progress, checkpoints and exact resume."""

from __future__ import annotations

import json
import time as clock
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..datasets import Dataloader
from ..errors import DataError, ParameterError, StateError
from ..network import Network
from .checkpoint import load_checkpoint, save_checkpoint
from .evaluation import Metrics, Tally, answer, evaluate, loss_of, mean_rate
from .interrupt import StopRequest
from .learner import Learner
from .losses import Loss
from .progress import Bar


@dataclass(frozen=True)
class Epoch:
    """What an epoch gave: its number from 1 on, training and validation figures, the learning rate it had."""

    epoch: int
    train: Metrics
    validation: Metrics | None
    learning_rate: float


@dataclass
class Progress:
    """Where a training stands: epochs done, figures of the epoch under way."""

    history: list[Epoch] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    @property
    def epoch(self) -> int:
        """The number of the epoch under way, from 1 on."""
        return len(self.history) + 1


class Interrupted(KeyboardInterrupt):
    """A training that was asked to stop, after it wrote its checkpoint."""


@dataclass
class _Training:
    network: Network
    loader: Dataloader
    learner: Learner
    loss: Loss
    time: float
    epochs: int
    validation: Any
    checkpoint: Path | None
    checkpoint_seconds: float
    patience: int | None
    shown: bool
    after_epoch: Callable[[Epoch], None] | None
    progress: Progress = field(default_factory=Progress)

    def run(self) -> list[Epoch]:
        done = (self.progress.epoch - 1) * len(self.loader) + self.loader.state_dict()["batches"]
        total = self.epochs * len(self.loader)
        with StopRequest() as stop, Bar("train", total, done=done, shown=self.shown) as bar:
            while self.progress.epoch <= self.epochs and not self._stalled():
                self._epoch(stop, bar)
        return self.progress.history

    def _epoch(self, stop: StopRequest, bar: Bar) -> None:
        written = clock.monotonic()
        for values, label in self.loader:
            self._step(values, label)
            now = self.progress.tally.metrics()
            bar.step(label=f"epoch {self.progress.epoch}", loss=now.loss, accuracy=now.accuracy, rate_hz=now.rate_hz)
            if stop.requested:
                self._interrupt()
            if self.checkpoint is not None and clock.monotonic() - written >= self.checkpoint_seconds:
                self.save()
                written = clock.monotonic()
        self._end_epoch()

    def _step(self, values: Any, label: Any) -> None:
        found, labels = answer(self.network, values, label, self.time)
        loss = self.loss(found, labels)
        value = float(loss.detach())
        if value != value:
            raise DataError(f"the loss became NaN in epoch {self.progress.epoch}; lower the learning rate")
        self.learner.optim_zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.learner.optim_step()
        self.progress.tally.add(value, found, labels, mean_rate(self.network))

    def _end_epoch(self) -> None:
        validation = None
        if self.validation is not None:
            validation = evaluate(self.network, self.validation, time=self.time, loss=self.loss, progress=False)
        rate = float(self.learner.optim.param_groups[0]["lr"])
        record = Epoch(self.progress.epoch, self.progress.tally.metrics(), validation, rate)
        self.progress.history.append(record)
        self.progress.tally = Tally()
        if self.learner.schedule is not None:
            watched = validation or record.train
            self.learner.optim_schedule(*([watched.loss] if self.learner.watches_metric else []))
        if self.checkpoint is not None:
            self.save()
        if self.after_epoch is not None:
            self.after_epoch(record)

    def _stalled(self) -> bool:
        """Whether the watched loss has not become better for `patience` epochs."""
        losses = [(e.validation or e.train).loss for e in self.progress.history]
        return (
            self.patience is not None
            and len(losses) > self.patience
            and min(losses[-self.patience :]) >= min(losses[: -self.patience])
        )

    def _interrupt(self) -> None:
        if self.checkpoint is None:
            raise Interrupted("training interrupted; there is no checkpoint: give checkpoint=")
        self.save()
        raise Interrupted(f"training interrupted; its checkpoint is {self.checkpoint}: go on with resume=True")

    def save(self) -> None:
        """Writes the checkpoint."""
        schedule = self.learner.schedule
        state = {
            "parameters": self.network.state_dict(),
            "optimizer": self.learner.optim.state_dict(),
            "schedule": None if schedule is None else schedule.state_dict(),
            "generator": json.dumps(self.network.generator.bit_generator.state),
            "loader": json.dumps(self.loader.state_dict()),
            "history": json.dumps([asdict(epoch) for epoch in self.progress.history]),
            "tally": asdict(self.progress.tally),
            "epochs": self.epochs,
        }
        save_checkpoint(self.checkpoint_path, state)

    def load(self) -> None:
        """Goes back to where the checkpoint was written."""
        path = self.checkpoint_path
        state = load_checkpoint(path)
        try:
            self.network.load_state_dict(state["parameters"])
            self.learner.optim.load_state_dict(state["optimizer"])
            if self.learner.schedule is not None:
                self.learner.schedule.load_state_dict(state["schedule"])
            self.network.generator.bit_generator.state = json.loads(state["generator"])
            self.loader.load_state_dict(json.loads(state["loader"]))
            self.progress = Progress(_history(json.loads(state["history"])), Tally(**state["tally"]))
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise DataError(f"{path} does not fit this training: {error}") from error

    @property
    def checkpoint_path(self) -> Path:
        if self.checkpoint is None:
            raise ParameterError("fit: give checkpoint=, the file to resume from")
        return self.checkpoint


def _history(records: Any) -> list[Epoch]:
    return [
        Epoch(
            int(r["epoch"]),
            Metrics(**r["train"]),
            None if r["validation"] is None else Metrics(**r["validation"]),
            float(r["learning_rate"]),
        )
        for r in records
    ]


def fit(
    network: Network,
    data: Dataloader,
    *,
    epochs: int,
    time: float,
    loss: str | Loss = "cross_entropy",
    validation: Dataloader | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 30.0,
    resume: bool = False,
    patience: int | None = None,
    progress: bool = True,
    after_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Trains a network with its learner and returns what each epoch gave.

    data: a Dataloader of batches [data, labels]; time: of each run in ms; loss: 'cross_entropy',
    'normalised_cross_entropy' or a function of the decoder's answer (B, n) and the labels (B,). checkpoint: a file
    written after each epoch, every `checkpoint_seconds` and on Ctrl-C, which then raises Interrupted; resume=True goes
    on from it, bit for bit as if nothing had happened. patience: epochs without a better (validation) loss after which
    training ends. Raises StateError where the network has no learner with an optimizer, DataError when the loss is NaN.
    """
    learner = _checked(network, data, epochs=epochs, patience=patience)
    path = None if checkpoint is None else Path(checkpoint)
    training = _Training(
        network, data, learner, loss_of(loss), time, epochs, validation, path, checkpoint_seconds, patience,
        progress, after_epoch,
    )  # fmt: skip
    if resume:
        training.load()
    return training.run()


def _checked(network: Network, data: Any, **counts: int | None) -> Learner:
    """The one learner of the network; an error where an argument of `fit` cannot be used."""
    if not isinstance(data, Dataloader):
        raise ParameterError(
            f"fit: data must be a Dataloader, got {type(data).__name__}; wrap it: Dataloader(data, 64)"
        )
    for name, value in counts.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ParameterError(f"fit.{name} must be a whole number from 1 on, got {value!r}")
    learners = [learner for learner in network.learners if isinstance(learner, Learner)]
    if len(learners) != 1:
        raise StateError(
            f"fit needs one learner in the network, found {len(learners)}; add net.learner = Learner(net, 'STCA')"
        )
    return learners[0]

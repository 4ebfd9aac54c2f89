"""Training: epochs over a loader, with progress, checkpoints and exact resume."""

from __future__ import annotations

import copy
import json
import logging
import math
import time as clock
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Dataloader
from ..errors import DataError, ParameterError, StateError, StorageError
from ..network import Network, Sink, narrow_delays
from ..network.parameters import check_fit
from ..registry import takes_only_its_own
from .checkpoint import load_checkpoint, save_checkpoint
from .evaluation import Metrics, Tally, ends, evaluate, loss_of
from .interrupt import StopRequest
from .learner import Learner
from .losses import Loss
from .progress import Bar
from .windows import Windows, whole_run, windows_of

_log = logging.getLogger(__name__)


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
    validation: Dataloader | None
    checkpoint: Path | None
    checkpoint_seconds: float
    patience: int | None
    shown: bool
    after_epoch: Callable[[Epoch], None] | None
    windows: Windows | None
    record: Sink | None
    progress: Progress = field(default_factory=Progress)

    def run(self) -> list[Epoch]:
        under_way = self.loader.state_dict()["batches"] if self.progress.tally.samples else 0
        done = (self.progress.epoch - 1) * len(self.loader) + under_way
        total = self.epochs * len(self.loader)
        self.network.train()
        with StopRequest() as stop, Bar("train", total, done=done, shown=self.shown) as bar:
            while self.progress.epoch <= self.epochs and not self._stalled():
                self._epoch(stop, bar)
                if stop.requested:
                    self._interrupt()
        return self.progress.history

    def _epoch(self, stop: StopRequest, bar: Bar) -> None:
        narrow_delays(self.network, (self.progress.epoch - 1) / self.epochs)
        written = clock.monotonic()
        for values, label in self.loader:
            self._step(values, label)
            now = self.progress.tally.metrics()
            bar.step(
                label=f"epoch {self.progress.epoch}/{self.epochs}",
                loss=now.loss,
                accuracy=now.accuracy,
                rate_hz=now.rate_hz,
            )
            if stop.requested:
                self._interrupt()
            if self.checkpoint is not None and clock.monotonic() - written >= self.checkpoint_seconds:
                self.save()
                written = clock.monotonic()
        self._end_epoch()

    def _step(self, values: Any, label: Any) -> None:
        self.learner.optim_zero_grad()
        run = whole_run if self.windows is None else self.windows.run
        given = run(self.network, values, label, self.time, self.loss, self.record)
        self._check_finite(given.loss)
        self._check_taught()
        self.learner.optim_step()
        self.progress.tally.add(given.loss, given.answer, given.labels, given.rate_hz)

    def _check_finite(self, loss: float) -> None:
        """Raises before the step: weights of NaN are silent, since no neuron fires any more."""
        grads = {n: p.grad for n, p in self.network.named_parameters() if p.grad is not None}
        wrong = [f"the gradient of {name}" for name, grad in grads.items() if not bool(grad.isfinite().all())]
        if wrong or not math.isfinite(loss):
            what = wrong[0] if math.isfinite(loss) else "the loss"
            raise DataError(f"{what} became NaN or infinite in epoch {self.progress.epoch}; lower the learning rate")

    def _check_taught(self) -> None:
        """Raises where no error reaches a connection that is trained: none comes from the populations behind it."""
        if self.network.credit.back != "none":
            return
        parameters = dict(self.network.named_parameters())
        for connection in filter(self.learner.trains, self.network.connections):
            if (weight := parameters.get(f"{connection.path}.weight")) is not None and weight.grad is None:
                raise StateError(
                    f"credit without errors from behind (back='none'): no loss of {connection.post.path!r}'s own "
                    f"teaches {connection.path!r}; give fit loss=LocalLoss(...) of it, or train others alone"
                )

    def _end_epoch(self) -> None:
        validation = None
        if self.validation is not None:
            validation = evaluate(self.network, self.validation, time=self.time, loss=self.loss, progress=False)
        rate = float(self.learner.optim.param_groups[0]["lr"])
        record = Epoch(self.progress.epoch, self.progress.tally.metrics(), validation, rate)
        self.progress.history.append(record)
        self.progress.tally = Tally()
        if record.train.rate_hz == 0 and self.network.spiking:
            _log.warning("epoch %d: no neuron fired; give larger weights, more input or a lower v_th", record.epoch)
        if self.learner.schedule is not None:
            self._move_schedule((validation or record.train).loss)
        if self.after_epoch is not None:
            self.after_epoch(record)
        if self.checkpoint is not None:
            self.save()

    def _move_schedule(self, loss: float) -> None:
        with warnings.catch_warnings():
            # After a resume at the end of an epoch torch has not seen the steps of the optimizer.
            warnings.filterwarnings("ignore", "Detected call of .lr_scheduler.step", UserWarning)
            self.learner.optim_schedule(loss if self.learner.watches_metric else None)

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
        save_checkpoint(self.checkpoint_path, self._state())

    def load(self) -> None:
        """Goes back to where the checkpoint was written; where it does not fit, nothing is changed."""
        path = self.checkpoint_path
        state = load_checkpoint(path)
        before = copy.deepcopy(self._state())
        try:
            self._check_fit(state)
            self._restore(state)
            self.loader.load_state_dict(json.loads(state["loader"]))
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            self._restore(before)
            raise DataError(f"{path} does not fit this training: {error}") from error

    def _state(self) -> dict[str, Any]:
        schedule = self.learner.schedule
        return {
            "settings": self._settings(),
            "parameters": self.network.state_dict(),
            "optimizer": self.learner.optim.state_dict(),
            "schedule": None if schedule is None else schedule.state_dict(),
            "seed": self.network.seed,
            "generator": _state_of(self.network.generator),
            "loader": json.dumps(self.loader.state_dict()),
            "validation": None if self.validation is None else _state_of(self.validation.generator),
            "history": json.dumps([asdict(epoch) for epoch in self.progress.history]),
            "tally": asdict(self.progress.tally),
        }

    def _settings(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to fit, beside the parameters' names and shapes."""
        learner = self.learner
        return {
            "optimizer": type(learner.optim).__name__,
            "schedule": None if learner.schedule is None else type(learner.schedule).__name__,
            "precision": str(learner.parameters[0].dtype),
            "time": float(self.time),
            "dt": float(self.network.backend.dt),
            "windows": str(self.windows),
        }

    def _check_fit(self, state: dict[str, Any]) -> None:
        check_fit({name: tuple(value.shape) for name, value in state["parameters"].items()}, self.network.specs())
        settings = {"windows": "None"} | state["settings"]  # what is older than windows has none
        for name, here in self._settings().items():
            if settings[name] != here:
                raise ParameterError(f"its {name} is {settings[name]!r}, here it is {here!r}")

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["parameters"])
        self.learner.optim.load_state_dict(state["optimizer"])
        if self.learner.schedule is not None:
            self.learner.schedule.load_state_dict(state["schedule"])
        self.network.set_random_seed(state["seed"])
        self.network.generator.bit_generator.state = json.loads(state["generator"])
        if self.validation is not None and state["validation"] is not None:
            self.validation.generator.bit_generator.state = json.loads(state["validation"])
        self.progress = Progress(_history(json.loads(state["history"])), Tally(**state["tally"]))

    @property
    def checkpoint_path(self) -> Path:
        if self.checkpoint is None:
            raise ParameterError("fit: give checkpoint=, the file to resume from")
        return self.checkpoint


def _state_of(generator: np.random.Generator) -> str:
    return json.dumps(generator.bit_generator.state, default=lambda value: value.tolist())


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


@takes_only_its_own("training option")
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
    window: float | None = None,
    n_windows: int | None = None,
    last_windows: bool = False,
    record: Sink | None = None,
) -> list[Epoch]:
    """Trains a network, put in training mode, with its learner and returns what each epoch gave.

    data: a Dataloader of batches [data, labels]; time: of each run in ms; loss: 'cross_entropy',
    'normalised_cross_entropy' or a function of the decoder's answer (B, n) and labels (B,). checkpoint: a file written
    after each epoch, every `checkpoint_seconds` and on Ctrl-C, which raises Interrupted; resume=True goes on from it,
    bit for bit, with its seed and learning rate. patience: epochs without a better (validation) loss that end training.
    after_epoch: called before the epoch's checkpoint is written. window: in ms; the loss is the mean over such windows,
    at the end of each, and gradients end where one begins (truncated backpropagation; with one dt SLTT), in memory that
    does not grow with the run. n_windows: how many, drawn for each batch (SLTT-K) or with last_windows=True the last,
    have a gradient. record: a recorder of each run of training. StateError: no learner with an optimizer, or no loss
    that teaches what it trains; DataError: a loss or gradient not finite, or an unfit checkpoint, with no change.
    """
    training = _Training(
        network, data, _checked(network, data, validation, epochs=epochs, patience=patience),
        loss_of(loss, network), time, epochs, validation, _checked_path(checkpoint, checkpoint_seconds),
        checkpoint_seconds, patience, progress, after_epoch, windows_of(window, n_windows, last_windows), record,
    )  # fmt: skip
    if resume:
        training.load()
    return training.run()


def _checked(network: Network, data: Any, validation: Any, **counts: int | None) -> Learner:
    """The one learner of the network; an error where an argument of `fit` cannot be used."""
    for name, loader in (("data", data), ("validation", validation)):
        if not isinstance(loader, Dataloader) and (name == "data" or loader is not None):
            kind = type(loader).__name__
            whole = f"{name}.dataset" if hasattr(loader, "dataset") else name  # a loader of torch
            raise ParameterError(f"fit: {name} must be a Dataloader, got {kind}; wrap it: Dataloader({whole}, 64)")
        if loader is not None and len(loader) == 0:
            raise DataError(f"fit: {name} gives no batches; it holds fewer samples than one batch")
    for name, value in counts.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ParameterError(f"fit.{name} must be a whole number from 1 on, got {value!r}")
    learners = [learner for learner in network.learners if isinstance(learner, Learner)]
    if learners and not any(learner.by_gradient for learner in learners):
        raise StateError(
            f"fit trains by gradients; learner {learners[0].path!r} has a rule, which learns in runs: net.run(time)"
        )
    learners = [learner for learner in learners if learner.by_gradient]
    if len(learners) != 1:
        raise StateError(
            f"fit needs one learner in the network, found {len(learners)}; add net.learner = Learner(net, 'STCA')"
        )
    _, decoder = ends(network)
    layers = {layer.path: layer for block in network.plan.blocks for layer in block.layers}
    if decoder.target.path in layers and not layers[decoder.target.path].branches:
        raise StateError(
            f"decoder {decoder.path!r} reads {decoder.target.path!r}, which no connection reaches; connect it, or "
            "decode another group"
        )
    return learners[0]


def _checked_path(checkpoint: str | Path | None, seconds: Any) -> Path | None:
    """The checkpoint's path; StorageError now rather than after the first epoch where its folder is not there."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise ParameterError(f"fit.checkpoint_seconds must be a time in s, zero or more, got {seconds!r}")
    if checkpoint is not None and not Path(checkpoint).parent.is_dir():
        raise StorageError(f"cannot write {checkpoint}: there is no folder {Path(checkpoint).parent}; make it first")
    return None if checkpoint is None else Path(checkpoint)

"""The report of a training run: how it learned, what went in, what happened inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis import Picture, Section, Table, plots, session_report, write_report
from ..datasets import Dataset
from ..recording import Session
from ..training import Epoch, Metrics
from ..units import duration_steps
from .config import TrainConfig
from .model import Splits

_SHOWN = 4


def write_run_report(
    folder: Path, config: TrainConfig, data: Splits, history: Sequence[Epoch], result: Metrics, parameters: int
) -> Path:
    """Writes `report.html` into a run's folder from what the run left there; its path."""
    with Session(folder / "session") as session:
        sections = [
            _summary(config, data, history, result, parameters),
            _learning(history),
            *_inputs(session, config, data.test),
            Section(
                "What happened inside",
                f"The recorded test run. Its batches follow one another in model time: each {config.time:g} ms show "
                "another test sample, and sample 0 is the first one of each batch.",
            ),
            *session_report(session),
        ]
    return write_report(folder / "report.html", f"spikeloom run {folder.name}", sections)


def _summary(config: TrainConfig, data: Splits, history: Sequence[Epoch], result: Metrics, parameters: int) -> Section:
    cards = {
        "test accuracy": f"{result.accuracy:.2%}",
        "test loss": f"{result.loss:.3f}",
        "mean firing rate": f"{result.rate_hz:.1f} Hz",
        "epochs": len(history),
        "trained parameters": f"{parameters:,}",
        "seed": config.seed,
    }
    layers = " - ".join(map(str, (math.prod(data.test.shape), *config.hidden, data.test.n_classes * config.pop_size)))
    text = (
        f"{data.test.name}: {len(data.train):,} training and {len(data.test):,} test samples. A network of {layers} "
        f"{config.model} neurons, {config.encoding} input, {config.time:g} ms a sample in steps of {config.dt:g} ms, "
        f"trained with {config.algorithm} and {config.optimizer}."
    )
    return Section("Result", text, cards=cards)


def _learning(history: Sequence[Epoch]) -> Section:
    test = [epoch.validation for epoch in history if epoch.validation is not None]
    panels: dict[str, dict[str, Sequence[float]]] = {
        "accuracy (%)": {"train": [100 * e.train.accuracy for e in history], "test": [100 * m.accuracy for m in test]},
        "loss": {"train": [e.train.loss for e in history], "test": [m.loss for m in test]},
        "firing rate (Hz)": {"train": [e.train.rate_hz for e in history], "test": [m.rate_hz for m in test]},
    }
    caption = "Accuracy, loss and mean firing rate of all neurons after each epoch, on training and test set."
    picture = Picture(plots.training_curves(panels), caption, "Curves of accuracy, loss and firing rate over epochs")
    rows = [_row(epoch) for epoch in history[-5:]]
    columns = ("epoch", "train loss", "train accuracy", "test loss", "test accuracy", "learning rate")
    return Section("How it learned", figures=[picture], table=Table(columns, rows))


def _row(epoch: Epoch) -> tuple[Any, ...]:
    test = epoch.validation
    after = ("", "") if test is None else (f"{test.loss:.4f}", f"{test.accuracy:.2%}")
    return (epoch.epoch, f"{epoch.train.loss:.4f}", f"{epoch.train.accuracy:.2%}", *after, f"{epoch.learning_rate:.3g}")


def _inputs(session: Session, config: TrainConfig, test: Dataset) -> list[Section]:
    """Pictures of the first test samples beside the spikes they became; none where the input is not spikes."""
    node = session.nodes()[0]
    if "input" not in session.layers(node):
        return []
    spikes = next(iter(session.spikes(node, "input"))).first(duration_steps(config.time, config.dt)).spikes
    shown = min(_SHOWN, len(spikes), len(test))
    values, labels = test.batch(np.arange(shown))
    figure = plots.inputs_beside_spikes(_pictures(np.asarray(values)), spikes[:shown], [int(label) for label in labels])
    caption = "The first test samples with their labels, and the spikes that the encoder made of each."
    return [
        Section("What went in", figures=[Picture(figure, caption, "Input pictures beside rasters of their spikes")])
    ]


def _pictures(values: NDArray[Any]) -> NDArray[Any]:
    """Samples (K, ...) as pictures (K, H, W): square where they are flat squares, else one row."""
    if values.ndim == 3:
        return values
    if values.ndim > 3:
        return np.asarray(values.mean(axis=tuple(range(1, values.ndim - 2))))
    side = math.isqrt(values.shape[1])
    return values.reshape(len(values), *((side, side) if side * side == values.shape[1] else (1, -1)))

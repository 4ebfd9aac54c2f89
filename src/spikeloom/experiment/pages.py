"""The report of a training run: how it learned, what went in, what happened inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis import LayerView, Picture, Section, Table, plots, session_report, votes, write_report
from ..datasets import Dataset
from ..errors import DataError
from ..neurons import NEURONS
from ..recording import Session
from ..training import Epoch, Metrics
from ..units import duration_steps
from .config import TrainConfig
from .model import Splits

_SHOWN = 4


@dataclass(frozen=True)
class _Answers:
    """What recorded output spikes say of test samples: the samples' numbers, their true classes and the answers.

    `first` is the answer for the first sample of each run, as "true -> answer".
    """

    index: NDArray[np.int64]
    truth: NDArray[np.int64]
    answer: NDArray[np.int64]
    first: tuple[str, ...]


def write_run_report(
    folder: Path, config: TrainConfig, data: Splits, history: Sequence[Epoch], result: Metrics, parameters: int
) -> Path:
    """Writes `report.html` into a run's folder from what the run left there; its path."""
    sections = [_summary(config, data, history, result, parameters), _learning(history)]
    try:
        with Session(folder / "session") as session:
            sections += _inside(session, config, data.test)
    except DataError as error:
        sections.append(Section("What happened inside", f"The recording of the test run cannot be shown: {error}"))
    return write_report(folder / "report.html", f"spikeloom run {folder.name}", sections)


def _inside(session: Session, config: TrainConfig, test: Dataset) -> list[Section]:
    if not session.nodes():
        return [Section("What happened inside", "Nothing of the test run was recorded.")]
    node = session.nodes()[0]
    answers = _answers(session, node, config, test)
    hidden = [f"hidden{k}" for k in range(1, len(config.hidden) + 1)]
    threshold = _threshold(config)
    views = {name: LayerView(threshold=threshold) for name in ("input", *hidden)}
    views["output"] = LayerView(classes=test.classes, notes=answers.first, threshold=threshold)
    text = (
        f"The recorded part of the final test run. Each run of the network lasts {config.time:g} ms and shows up to "
        f"{config.batch_size} test samples side by side, one batch; the runs follow one another in model time. "
        "Rasters and potentials show sample 0, the first of each batch."
    )
    return [
        *_inputs(session, node, config, test, answers),
        *_confusion(answers, test),
        Section("What happened inside", text),
        *session_report(session, views=views),
    ]


def _threshold(config: TrainConfig) -> float | None:
    """The potential at which the neurons fire, where it is one number."""
    options: dict[str, Any] = dict(config.parameters)
    neuron = NEURONS[config.model](**options)
    threshold = neuron.emission.threshold
    value = getattr(neuron, threshold) if isinstance(threshold, str) else threshold
    return float(value) if neuron.emission.variable == "v" and isinstance(value, (int, float)) else None


def _answers(session: Session, node: str, config: TrainConfig, test: Dataset) -> _Answers:
    """The answers of all whole runs, counted from the recorded spikes of the output; none without them."""
    index, answer, first = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], []
    n_steps = duration_steps(config.time, config.dt)
    if "output" in session.layers(node):
        for found in (votes(batch, test.n_classes) for batch in session.spikes(node, "output")):
            for start, length, said in zip(found.start, found.n_steps, found.answers, strict=True):
                numbers = start // n_steps * config.batch_size + np.arange(len(said))
                known = length == n_steps and start % n_steps == 0 and numbers[-1] < len(test)
                first.append(
                    f"{_label(test, numbers[0])} \N{RIGHTWARDS ARROW} {test.classes[said[0]]}" if known else ""
                )
                index += [numbers] if known else []
                answer += [said] if known else []
    numbers = np.concatenate(index)
    truth = np.array([test[int(k)][1] for k in numbers], np.int64)
    return _Answers(numbers, truth, np.concatenate(answer), tuple(first))


def _label(test: Dataset, index: int) -> object:
    return test.classes[test[int(index)][1]]


def _confusion(answers: _Answers, test: Dataset) -> list[Section]:
    if not len(answers.index):
        return []
    right, total = int((answers.truth == answers.answer).sum()), len(answers.index)
    text = (
        f"Of {len(test):,} test samples, {total:,} were recorded; {right:,} of them were answered rightly "
        f"({right / total:.2%}). The answer is the class whose neurons in the output fire most."
    )
    figure = plots.confusion_matrix(answers.truth, answers.answer, test.classes)
    caption = "Samples by true class and answer: what lies off the diagonal was mistaken. Darker: more of the row."
    return [
        Section("What it answered", text, [Picture(figure, caption, f"Confusion matrix, {right} of {total} right")])
    ]


def _summary(config: TrainConfig, data: Splits, history: Sequence[Epoch], result: Metrics, parameters: int) -> Section:
    cards = {
        "test accuracy": f"{result.accuracy:.2%}",
        "test loss": f"{result.loss:.3f}",
        "mean rate of neurons": f"{result.rate_hz:.1f} Hz",
        "epochs": len(history),
        "trained parameters": f"{parameters:,}",
        "seed": config.seed,
    }
    layers = " - ".join(map(str, (math.prod(data.test.shape), *config.hidden, data.test.n_classes * config.pop_size)))
    text = (
        f"{data.test.name}: {len(data.train):,} training and {len(data.test):,} test samples. A network of {layers} "
        f"{config.model} neurons, {config.encoding} input, {config.time:g} ms a sample in steps of {config.dt:g} ms, "
        f"trained with {config.algorithm} and {config.optimizer}.\n\n"
        "Accuracy, loss and rate above are those of a final run over the test set with the trained network."
    )
    if config.encoding == "poisson":
        text += " Poisson input is drawn anew in every run, so they differ a little from the last epoch's below."
    return Section("Result", text, cards=cards)


def _learning(history: Sequence[Epoch]) -> Section:
    test = [epoch.validation for epoch in history if epoch.validation is not None]
    panels: dict[str, dict[str, Sequence[float]]] = {
        "accuracy (%)": {"train": [100 * e.train.accuracy for e in history], "test": [100 * m.accuracy for m in test]},
        "loss": {"train": [e.train.loss for e in history], "test": [m.loss for m in test]},
        "firing rate (Hz)": {"train": [e.train.rate_hz for e in history], "test": [m.rate_hz for m in test]},
    }
    captions = ("Samples answered rightly.", "Loss per sample.", "Mean rate of all neurons, input aside.")
    row = [
        Picture(plots.training_curve(label, curves), caption, f"Curves of {label} over epochs, training and test")
        for (label, curves), caption in zip(panels.items(), captions, strict=True)
    ]
    rows = [_row(epoch) for epoch in history[-5:]]
    columns = ("epoch", "train loss", "train accuracy", "test loss", "test accuracy", "learning rate")
    text = "Training figures are means over an epoch while weights change; test figures are taken after it."
    if len(history) > len(rows):
        text += f" The table shows the last {len(rows)} epochs."
    return Section("How it learned", text, row=row, table=Table(columns, rows))


def _row(epoch: Epoch) -> tuple[Any, ...]:
    test = epoch.validation
    after = ("", "") if test is None else (f"{test.loss:.4f}", f"{test.accuracy:.2%}")
    return (epoch.epoch, f"{epoch.train.loss:.4f}", f"{epoch.train.accuracy:.2%}", *after, f"{epoch.learning_rate:.3g}")


def _inputs(session: Session, node: str, config: TrainConfig, test: Dataset, answers: _Answers) -> list[Section]:
    """Pictures of the first recorded test samples beside their spikes; none where the input is not spikes."""
    n_steps = duration_steps(config.time, config.dt)
    batch = next(session.spikes(node, "input"), None) if "input" in session.layers(node) else None
    if batch is None or batch.start % n_steps:
        return []
    begin = batch.start // n_steps * config.batch_size
    spikes = batch.first(n_steps).spikes
    shown = min(_SHOWN, len(spikes), len(test) - begin)
    values, _ = test.batch(np.arange(begin, begin + shown))
    said = dict(zip(answers.index.tolist(), answers.answer.tolist(), strict=True))
    labels = [f"true {_label(test, k)}" for k in range(begin, begin + shown)]
    for k in range(shown):
        labels[k] += f"\nanswer {test.classes[said[begin + k]]}" if begin + k in said else ""
    figure = plots.inputs_beside_spikes(_pictures(np.asarray(values)), spikes[:shown], labels)
    caption = (
        "The first recorded test samples with true class and answer, and the spikes that the encoder made of each."
    )
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

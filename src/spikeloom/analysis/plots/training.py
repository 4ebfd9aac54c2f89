"""How a network learned and what it answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ...errors import ParameterError, ShapeError
from ...spikes import Spikes
from ..style import INK, MUTED, SEQUENTIAL, colour_bar, cycled, dress, folded, legend, new_figure
from .rasters import draw_spikes


def training_curves(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """A figure with one panel a quantity, over epochs.

    `panels` maps a label with unit, such as 'accuracy (%)', 'loss' or 'firing rate (Hz)', to named curves such as
    {'train': [...], 'test': [...]}.
    """
    if not panels:
        raise ParameterError("training_curves.panels must hold at least one panel, got none")
    figure = new_figure(max(4.0 * len(panels), 5), 3.2)
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (label, curves) in zip(every, panels.items(), strict=True):
        _draw_curves(axes, label, curves)
    return figure


def training_curve(label: str, curves: Mapping[str, Sequence[float]]) -> Figure:
    """A figure of one quantity over epochs: a panel of `training_curves`, small enough to stand beside others."""
    figure = new_figure(3.6, 2.9)
    _draw_curves(figure.add_subplot(), label, curves)
    return figure


def confusion_matrix(
    truth: ArrayLike, answers: ArrayLike, classes: Sequence[object], *, title: str = "Answers by class"
) -> Figure:
    """A figure of how many samples of each true class (rows) got each answer (columns); both count from 0."""
    truth, answers = np.asarray(truth), np.asarray(answers)
    n = len(classes)
    if truth.shape != answers.shape or truth.ndim != 1 or not len(truth):
        raise ShapeError(f"confusion_matrix needs a truth and an answer a sample, got {truth.shape}, {answers.shape}")
    if min(truth.min(), answers.min()) < 0 or max(truth.max(), answers.max()) >= n:
        raise ParameterError(f"confusion_matrix: truth and answers must be in 0..{n - 1}, the classes")
    counts = np.bincount(truth * n + answers, minlength=n * n).reshape(n, n)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = float(np.clip(1.6 + 0.42 * n, 4, 9))
    figure = new_figure(size, size)
    axes = dress(figure.add_subplot(), title, "answer", "true class", grid=None)
    image = axes.imshow(share, cmap=SEQUENTIAL, vmin=0, vmax=1)
    shown = range(0, n, -(-n // 30))
    names = [str(classes[k]) for k in shown]
    axes.set_xticks(shown, names, rotation=90 if max(map(len, names)) > 3 or n > 20 else 0)
    axes.set_yticks(shown, names)
    if n > 20:
        colour_bar(image, axes, "share of the true class")
    for row, column in np.argwhere(counts) if n <= 20 else ():
        ink = "white" if share[row, column] > 0.5 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=9, color=ink)
    return figure


def inputs_beside_spikes(
    images: ArrayLike, spikes: Spikes, labels: Sequence[object] | None = None, *, title: str = "Inputs and their spikes"
) -> Figure:
    """A figure with one row a sample: the image (K, H, W) at the left, the spikes it evokes at the right."""
    images = np.asarray(images, float)
    if images.ndim != 3 or len(images) != len(spikes) or not len(images):
        raise ShapeError(f"images must have shape (K, H, W) with K = {len(spikes)} samples, got {images.shape}")
    figure = new_figure(8, 0.6 + 1.5 * len(images))
    figure.suptitle(folded(title, 8), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    every = figure.subplots(len(images), 2, squeeze=False, width_ratios=(1, 4.4))
    for k, (left, right) in enumerate(every):
        left.imshow(images[k], cmap="gray_r", interpolation="nearest")
        left.set(xticks=[], yticks=[])
        left.set_ylabel("" if labels is None else str(labels[k]), rotation=0, ha="right", va="center", color=INK)
        for spine in left.spines.values():
            spine.set_color(MUTED)
        last = k == len(images) - 1
        dress(right, "", "time (ms)" if last else "", "neuron", grid=None)
        right.tick_params(labelbottom=last)
        draw_spikes(right, spikes[k], 1.2)
    return figure


def _draw_curves(axes: Axes, label: str, curves: Mapping[str, Sequence[float]]) -> None:
    name = label.partition(" (")[0]
    dress(axes, name[:1].upper() + name[1:], "epoch", label)
    for (curve, values), (colour, dashes) in zip(curves.items(), cycled(len(curves)), strict=True):
        epochs = np.arange(1, len(values) + 1)
        marker = "o" if len(values) <= 30 else None
        axes.plot(
            epochs, values, color=colour, linestyle=dashes, linewidth=1.6, marker=marker, markersize=3.5, label=curve
        )
    last = max((len(values) for values in curves.values()), default=1)
    axes.set_xlim(1 - 0.04 * last, last + 0.04 * last) if last > 1 else axes.set_xlim(0.5, 1.5)
    axes.set_xticks(_epoch_ticks(max(last, 1)))
    if curves:
        legend(axes)


def _epoch_ticks(last: int) -> list[int]:
    """About six round epochs, and always the last one."""
    step = next(s * 10**p for p in range(12) for s in (1, 2, 5) if last / (s * 10**p) <= 8)
    return [*(k for k in range(step, last, step) if last - k > 0.6 * step), last]

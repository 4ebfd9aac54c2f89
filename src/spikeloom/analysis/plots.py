"""Figures of spikes, potentials, weights and training; each function returns a matplotlib `Figure` of its own.

No global state of matplotlib is used: nothing is shown, and nothing has to be closed. `save` writes a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from ..errors import ParameterError, ShapeError, StorageError
from ..spikes import Spikes
from .measures import checked_runs, population_rate
from .style import BLUE, COLOURS, DARK, INK, MUTED, VERMILION, draw_classes, draw_runs, dress, legend, new_figure

_MOST_POINTS = 200_000
_MOST_BARS = 120


def save(figure: Figure, path: str | Path, dpi: float = 150) -> Path:
    """The path, after the figure has been written there in the format of its ending; folders are made."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=dpi)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def raster(
    spikes: Spikes,
    sample: int = 0,
    *,
    max_neurons: int | None = None,
    title: str = "Spikes",
    runs: ArrayLike | None = None,
    classes: Sequence[object] = (),
    notes: Sequence[str] = (),
) -> Figure:
    """A figure of one sample's spikes over time; of more than 2e5 spikes it shows a binned image instead of points.

    Of more than `max_neurons` neurons the first ones are shown, and the title says so. runs (R, 2): the stretches in
    ms that were recorded, parted by lines, with a note above each where there are as many. classes: the names of as
    many equal bands of neurons, all of which are shown then.
    """
    train = _sample(spikes, sample)
    shown = train.n_neurons if max_neurons is None or classes else min(max_neurons, train.n_neurons)
    if shown < 1:
        raise ParameterError(f"raster.max_neurons must be at least 1, got {max_neurons}")
    figure = new_figure(8, 3.6 if shown <= 60 else 4.6)
    if shown < train.n_neurons:
        title = f"{title} (first {shown} of {train.n_neurons} neurons)"
    axes = dress(figure.add_subplot(), title, "time (ms)", "neuron", grid=None)
    _draw_spikes(axes, train, shown, 2.8 if shown <= 60 else 3.8)
    if runs is not None:
        draw_runs(axes, checked_runs(train, runs), notes)
    if classes:
        draw_classes(axes, shown, classes)
    return figure


def rate_timeline(
    spikes: Spikes,
    bin_ms: float = 50.0,
    *,
    recorded_fraction: float = 1.0,
    title: str = "Firing rate",
    runs: ArrayLike | None = None,
) -> Figure:
    """A figure of the population rate over time, averaged over samples, with the mean as a dashed line.

    Where only a fraction of the spikes was recorded, rates are divided by it. runs (R, 2): the stretches in ms that
    were recorded; bins begin anew with each.
    """
    found = population_rate(spikes, bin_ms, runs)
    rate = found.rate.mean(axis=0) / recorded_fraction
    figure = new_figure(8, 2.8)
    axes = dress(figure.add_subplot(), title, "time (ms)", "rate (Hz per neuron)")
    for k, (begin, end) in enumerate(stretches := checked_runs(spikes, runs)):
        inside = (found.start >= begin) & (found.start < end)
        edges = np.append(found.start[inside], end)
        axes.stairs(rate[inside], edges, fill=True, color=BLUE, alpha=0.25)
        axes.stairs(
            rate[inside], edges, baseline=None, color=BLUE, linewidth=1.4, label=None if k else f"bins of {bin_ms:g} ms"
        )
    mean = float(rate @ found.width / found.width.sum())
    axes.axhline(mean, color=VERMILION, linewidth=1.2, linestyle="--", label=f"mean {mean:.1f} Hz")
    draw_runs(axes, stretches)
    axes.set(xlim=(0, spikes.duration), ylim=(0, max(1.25 * float(rate.max(initial=0)), 1e-3)))
    legend(axes, loc="upper right", ncols=2)
    return figure


def neuron_rate_bars(rates: ArrayLike, *, title: str = "Rate of each neuron") -> Figure:
    """A figure of the rates (N,) in Hz: one bar a neuron, or a histogram where there are more than 120."""
    rates = _flat(rates, "neuron_rate_bars.rates")
    figure = new_figure(8, 2.8)
    if len(rates) > _MOST_BARS:
        axes = dress(figure.add_subplot(), title, "rate (Hz)", "neurons")
        axes.hist(rates, bins=40, color=BLUE, edgecolor="white", linewidth=0.5)
        axes.axvline(rates.mean(), color=VERMILION, linewidth=1.2, linestyle="--", label=f"mean {rates.mean():.1f} Hz")
    else:
        axes = dress(figure.add_subplot(), title, "neuron", "rate (Hz)")
        axes.bar(np.arange(len(rates)), rates, width=0.8, color=BLUE)
        axes.axhline(rates.mean(), color=VERMILION, linewidth=1.2, linestyle="--", label=f"mean {rates.mean():.1f} Hz")
        axes.set_xlim(-0.7, len(rates) - 0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(0, max(1.2 * rates.max(), 1e-3))
    legend(axes, loc="upper right")
    return figure


def membrane_traces(
    v: ArrayLike,
    dt: float,
    *,
    threshold: float | None = None,
    neurons: Sequence[int] | None = None,
    time: ArrayLike | None = None,
    runs: ArrayLike | None = None,
    title: str = "Membrane potential",
) -> Figure:
    """A figure of potentials v (T, N) with one panel a neuron: of `neurons`, else the first three.

    They are at steps of dt ms, or at times `time` (T,). runs (R, 2): stretches in ms that the lines do not cross.
    """
    v = np.asarray(v, float)
    if v.ndim != 2 or not v.size:
        raise ShapeError(f"membrane_traces.v must have shape (T, N), got {v.shape}")
    chosen = range(min(3, v.shape[1])) if neurons is None else neurons
    if not all(0 <= n < v.shape[1] for n in chosen):
        raise ParameterError(f"membrane_traces.neurons must be in 0..{v.shape[1] - 1}, got {list(chosen)}")
    at = np.arange(len(v)) * dt if time is None else np.asarray(time, float)
    stretches = np.array([[-np.inf, np.inf]]) if runs is None else np.asarray(runs, float)
    figure = new_figure(8, 0.8 + 1.3 * len(chosen))
    every = figure.subplots(len(chosen), 1, squeeze=False, sharex=True)[:, 0]
    for axes, n in zip(every, chosen, strict=True):
        dress(axes, title if axes is every[0] else "", "time (ms)" if axes is every[-1] else "", f"neuron {n}")
        for begin, end in stretches:
            inside = (at >= begin) & (at < end)
            axes.plot(at[inside], v[inside, n], color=BLUE, linewidth=1.4)
        if threshold is not None:
            axes.axhline(threshold, color=VERMILION, linewidth=1.1, linestyle=(0, (4, 3)))
        if runs is not None:
            draw_runs(axes, stretches)
        axes.margins(x=0.01, y=0.12)
    label = "potential" if threshold is None else f"potential (threshold = {threshold:g})"
    figure.supylabel(label, fontsize=9.5, color=INK)
    return figure


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
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    names = [str(name) for name in classes]
    axes.set_xticks(range(n), names, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(range(n), names)
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
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
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
        _draw_spikes(right, spikes[k], spikes.n_neurons, 1.2)
    return figure


def weights_histogram(weights: ArrayLike, *, title: str = "Weights") -> Figure:
    """A figure of the distribution of weights of any shape, with mean and standard deviation in its title."""
    flat = _flat(weights, "weights_histogram.weights")
    figure = new_figure(6, 3)
    title = f"{title}: {flat.size:,} values, mean {flat.mean():.3g}, std {flat.std():.3g}"
    axes = dress(figure.add_subplot(), title, "weight", "synapses")
    axes.hist(flat, bins=60, color=BLUE)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    return figure


def _draw_curves(axes: Axes, label: str, curves: Mapping[str, Sequence[float]]) -> None:
    name = label.partition(" (")[0]
    dress(axes, name[:1].upper() + name[1:], "epoch", label)
    for (curve, values), colour in zip(curves.items(), _cycled(len(curves)), strict=True):
        epochs = np.arange(1, len(values) + 1)
        marker = "o" if len(values) <= 30 else None
        axes.plot(epochs, values, color=colour, linewidth=1.6, marker=marker, markersize=3.5, label=curve)
    last = max((len(values) for values in curves.values()), default=1)
    axes.set_xlim(1 - 0.04 * last, last + 0.04 * last) if last > 1 else axes.set_xlim(0.5, 1.5)
    axes.set_xticks(_epoch_ticks(max(last, 1)))
    if curves:
        legend(axes)


def _epoch_ticks(last: int) -> list[int]:
    """About six round epochs, and always the last one."""
    step = next(s * 10**p for p in range(12) for s in (1, 2, 5) if last / (s * 10**p) <= 8)
    return [*(k for k in range(step, last, step) if last - k > 0.6 * step), last]


def _draw_spikes(axes: Axes, train: Spikes, n: int, height: float) -> None:
    """Draws the spikes of the first n neurons of one sample into axes that are about `height` inches high."""
    inside = train.ids < n
    time, ids, duration = train.times_ms()[inside], train.ids[inside], train.duration
    if len(time) > _MOST_POINTS:
        # Whole steps and whole neurons in each pixel, or it would show stripes that are not in the data.
        step = duration / 1200 if train.dt is None else train.dt * np.ceil(duration / train.dt / 1200)
        group, columns = -(-n // 400), int(np.ceil(duration / step - 1e-9))
        pixel = (ids // group).astype(np.int64) * columns + np.minimum((time / step + 1e-9).astype(int), columns - 1)
        counts = np.bincount(pixel, minlength=-(-n // group) * columns).reshape(-1, columns)
        across, up = np.arange(columns + 1) * step, np.arange(len(counts) + 1) * group - 0.5
        top = float(np.percentile(counts, 99.5))
        image = axes.pcolormesh(across, up, counts, cmap="Blues", vmin=0, vmax=max(top, 1), rasterized=True)
        bar = axes.figure.colorbar(image, ax=axes, pad=0.01)
        bar.set_label(f"spikes per {step:.3g} ms and {group:g} neurons", fontsize=8.5, color=INK)
        bar.ax.tick_params(labelsize=8, colors=MUTED)
    else:
        row = 72 * height / n
        width = float(np.clip(60 / max(len(time), 1) ** 0.5, 0.8, 1.6))
        axes.scatter(time, ids, s=float(np.clip(1.5 * row, 2.4, 9.0)) ** 2, marker="|", linewidths=width, color=DARK)
    axes.set(xlim=(-0.01 * duration, duration), ylim=(-0.5, n - 0.5))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _sample(spikes: Spikes, sample: int) -> Spikes:
    if not 0 <= sample < len(spikes):
        raise ParameterError(f"sample must be in 0..{len(spikes) - 1}, got {sample}")
    return spikes[sample]


def _flat(values: ArrayLike, owner: str) -> NDArray[np.float64]:
    flat = np.asarray(values, float).ravel()
    if not flat.size or not np.isfinite(flat).all():
        raise ParameterError(f"{owner} must be finite numbers, at least one, got {flat}")
    return flat


def _cycled(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]


__all__ = [
    "confusion_matrix",
    "inputs_beside_spikes",
    "membrane_traces",
    "neuron_rate_bars",
    "raster",
    "rate_timeline",
    "save",
    "training_curve",
    "training_curves",
    "weights_histogram",
]

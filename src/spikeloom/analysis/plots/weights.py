"""Weights: how they are distributed, who is connected to whom, and how both change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError, ShapeError
from ..style import (
    BLUE,
    DIVERGING,
    INK,
    MUTED,
    SEQUENTIAL,
    colour_bar,
    cycled,
    dress,
    legend,
    legend_below,
    new_figure,
    time_axis,
    time_unit,
    whole_ticks,
)
from .checks import counted, finite

_SIDE = 600
"""A matrix of more rows or columns is drawn by the means of blocks."""
_MOST_CURVES, _MOST_IMAGES = 6, 4
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def weights_histogram(weights: ArrayLike | Mapping[str, ArrayLike], *, title: str = "Weights") -> Figure:
    """A figure of the distribution of weights of any shape, with mean and standard deviation in its title.

    Several by name, such as {'before': w0, 'after': w1}, share their bins and are told apart by colour and dashes; at
    most six.
    """
    if not isinstance(weights, Mapping):
        flat = finite(weights, "weights_histogram.weights")
        figure = new_figure(6, 3)
        title = f"{title}: {counted(flat.size, 'value')}, mean {flat.mean():.3g}, std {flat.std():.3g}"
        axes = dress(figure.add_subplot(), title, "weight", "synapses")
        axes.hist(flat, bins=60, color=BLUE)
        _mark_zero(axes)
        return figure
    named = {name: finite(w, f"weights_histogram.weights[{name!r}]") for name, w in weights.items()}
    if not 1 <= len(named) <= _MOST_CURVES:
        raise ParameterError(f"weights_histogram.weights must be 1 to {_MOST_CURVES} sets, got {len(named)}")
    figure = new_figure(6, 3)
    axes = dress(figure.add_subplot(), title, "weight", "synapses")
    edges = np.histogram_bin_edges(np.concatenate(list(named.values())), bins=60)
    for (name, flat), (colour, dashes) in zip(named.items(), cycled(len(named)), strict=True):
        axes.stairs(
            np.histogram(flat, edges)[0], edges, baseline=None, color=colour, linestyle=dashes, linewidth=1.5,
            label=f"{name}: mean {flat.mean():.3g}, std {flat.std():.3g}",
        )  # fmt: skip
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    _mark_zero(axes)
    legend_below(figure)
    return figure


def weights_matrix(weights: ArrayLike, *, title: str = "Weights") -> Figure:
    """A figure of the weights (post, pre) of a connection, white where they are 0.

    Where they have two signs, negative ones are orange and positive ones blue. Of more than 600 rows or columns the
    means of blocks are shown, and the title says of which.
    """
    matrix = finite(weights, "weights_matrix.weights", "post", "pre")
    shown, block = _blocks(matrix)
    size = np.clip(np.array(matrix.shape[::-1]) / max(matrix.shape) * 5.5, 1.6, 5.5)
    note = f" (means of {block[0]:,} x {block[1]:,})" if max(block) > 1 else ""
    figure = new_figure(float(size[0]) + 1.6, float(size[1]) + 1.0)
    axes = dress(figure.add_subplot(), f"{title}{note}", "from neuron", "to neuron", grid=None)
    _draw_matrix(axes, shown, matrix.shape, _scale([shown]), bar=True)
    return figure


def weights_over_time(
    snapshots: Iterable[tuple[float, ArrayLike]],
    *,
    at: Sequence[float] | None = None,
    title: str = "Weights over time",
) -> Figure:
    """A figure of weights that change: their mean and quantiles over time, above up to four of them as images.

    snapshots: (time in ms, weights) in the order of time, such as `Session.weights` gives, of one shape; they are
    taken one by one. Images are drawn of weights (post, pre): of those at the times `at`, by default of the first, the
    last and two between. Raises ParameterError for no snapshots, for times that fall and for `at` where there is none,
    ShapeError for weights that change their shape.
    """
    time: list[float] = []
    rows: list[NDArray[np.float64]] = []
    images, shape = _Spread(), ()
    for t, given in snapshots:
        w = finite(given, "weights_over_time.snapshots", *(f"n{k}" for k in range(np.ndim(given)) if np.ndim(given)))
        shape = shape if rows else w.shape
        if w.shape != shape:
            raise ShapeError(f"weights_over_time.snapshots must all have shape {shape}, got {w.shape} at {t:g} ms")
        if not np.isfinite(t) or (time and t < time[-1]):
            raise ParameterError(f"weights_over_time.snapshots must come in the order of time, got {t:g} ms")
        time.append(float(t))
        rows.append(np.append(np.quantile(w, _QUANTILES), w.mean()))
        if w.ndim == 2 and (at is None or np.isclose(at, t).any()):
            images.add(float(t), _blocks(w)[0])
    if not rows:
        raise ParameterError("weights_over_time.snapshots must hold at least one snapshot, got none")
    chosen = images.chosen()
    if at is not None and len(chosen) != len(at):
        raise ParameterError(
            f"weights_over_time.at must be the times of at most {_MOST_IMAGES} snapshots (post, pre), got {list(at)}"
        )
    told = f"{title} ({counted(len(time), 'snapshot')})"
    return _drawn(np.array(time), np.array(rows), chosen, shape, told)


def _drawn(
    time: NDArray[Any],
    rows: NDArray[Any],
    chosen: list[tuple[float, NDArray[np.float64]]],
    shape: tuple[int, ...],
    title: str,
) -> Figure:
    figure = new_figure(8, 2.8 + (2.5 if chosen else 0))
    grid = figure.add_gridspec(1 + bool(chosen), max(len(chosen), 1), height_ratios=(2.8, 2.3)[: 1 + bool(chosen)])
    axes = dress(figure.add_subplot(grid[0, :]), title, "time (ms)", "weight")
    _draw_quantiles(axes, time, rows, [t for t, _ in chosen])
    scale = _scale([w for _, w in chosen]) if chosen else (0.0, 1.0)
    unit, name = time_unit(float(time[-1] - time[0]))
    for k, (t, w) in enumerate(chosen):
        small = dress(
            figure.add_subplot(grid[1, k]),
            f"{t / unit:,.6g} {name}",
            "from neuron",
            "to neuron" if k == 0 else "",
            grid=None,
        )
        _draw_matrix(small, w, shape, scale, bar=k == len(chosen) - 1)
    return figure


def _mark_zero(axes: Axes) -> None:
    """A line at 0 where that is near: far off it would leave no room for the weights."""
    low, high = axes.get_xlim()
    if low - (high - low) <= 0 <= high + (high - low):
        axes.axvline(0, color=MUTED, linewidth=0.8)
    whole_ticks(axes.yaxis, int(axes.get_ylim()[1]) + 1)


class _Spread:
    """A few of the things it is shown, the first and the last among them and the others evenly between."""

    def __init__(self) -> None:
        self._held: list[tuple[float, NDArray[np.float64]]] = []
        self._last: tuple[float, NDArray[np.float64]] | None = None
        self._every, self._seen = 1, 0

    def add(self, t: float, image: NDArray[np.float64]) -> None:
        self._last = (t, image)
        if self._seen % self._every == 0:
            self._held.append(self._last)
        self._seen += 1
        if len(self._held) > 16:
            self._held, self._every = self._held[::2], self._every * 2

    def chosen(self) -> list[tuple[float, NDArray[np.float64]]]:
        every = [*self._held, self._last] if self._last is not None and self._held[-1] is not self._last else self._held
        where = np.unique(np.rint(np.linspace(0, len(every) - 1, min(_MOST_IMAGES, len(every)))).astype(int))
        return [item for k in where if (item := every[k]) is not None]


def _draw_quantiles(axes: Axes, time: NDArray[Any], rows: NDArray[Any], marked: list[float]) -> None:
    if len(time) == 1:  # a band must have a width to be seen
        time, rows = time[0] + np.array([-0.5, 0.5]), np.repeat(rows, 2, axis=0)
    low, below, middle, above, high, mean = rows.T
    axes.fill_between(time, low, high, color=BLUE, alpha=0.15, linewidth=0, label="5 to 95 %")
    axes.fill_between(time, below, above, color=BLUE, alpha=0.3, linewidth=0, label="25 to 75 %")
    mark = "o" if len(time) <= 30 else None
    axes.plot(time, middle, color=BLUE, linewidth=1.2, linestyle="--", label="median")
    axes.plot(time, mean, color=INK, linewidth=1.6, marker=mark, markersize=3.5, label="mean")
    for t in marked:
        axes.axvline(t, color=MUTED, linewidth=0.7, linestyle=":")
    axes.margins(x=0.02)
    time_axis(axes, float(time[-1] - time[0]))
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.2 * (top - bottom))
    legend(axes, loc="upper left", ncols=4)


def _draw_matrix(
    axes: Axes, shown: NDArray[Any], shape: tuple[int, ...], scale: tuple[float, float], bar: bool
) -> None:
    extent = (-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5)
    image = axes.imshow(
        shown, cmap=DIVERGING if scale[0] < 0 else SEQUENTIAL, vmin=scale[0], vmax=scale[1], extent=extent,
        aspect="auto", interpolation="nearest" if shown.size < _SIDE**2 / 4 else "antialiased",
    )  # fmt: skip
    whole_ticks(axes.xaxis, shape[1])
    whole_ticks(axes.yaxis, shape[0])
    if bar:
        colour_bar(image, axes, "weight")


def _scale(shown: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Least and greatest weight in colour; centred at 0 where there are two signs or negative ones alone."""
    low, high = min(float(w.min()) for w in shown), max(float(w.max()) for w in shown)
    top = max(-low, high) or 1.0
    return (-top, top) if low < 0 else (0.0, top)


def _blocks(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The matrix, or the means of blocks of it, and how many rows and columns a block has."""
    rows, columns = (-(-n // _SIDE) for n in matrix.shape)
    if rows == columns == 1:
        return matrix, (1, 1)
    starts = [np.arange(0, n, step) for n, step in zip(matrix.shape, (rows, columns), strict=True)]
    sums = np.add.reduceat(np.add.reduceat(matrix, starts[0], axis=0), starts[1], axis=1)
    lengths = [np.diff(np.append(s, n)) for s, n in zip(starts, matrix.shape, strict=True)]
    return sums / np.outer(*lengths), (rows, columns)

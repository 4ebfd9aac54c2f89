"""Rasters: spikes over time and neurons, as points or, where they are many, as an image of their counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError, ShapeError
from ...spikes import Spikes
from ...spikes.validate import check_count
from ...units import check_dt, duration_steps, times
from ..measures import checked_runs
from ..style import (
    DARK,
    MUTED,
    SEQUENTIAL,
    colour_bar,
    draw_classes,
    draw_runs,
    dress,
    new_figure,
    time_axis,
    whole_ticks,
)
from ..windows import Window
from .checks import one_sample

_MOST_POINTS = 200_000
_MOST_VECTORS = 20_000
"""More marks than these are one image in an SVG file."""
_ROWS, _COLUMNS = 400, 800
_APART = 400
"""Of so few neurons and steps each can be told apart as a point, however many fire."""
_CHUNK = 1 << 20


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
    found = _accumulated(one_sample(spikes, sample), None if classes else max_neurons)
    return found.result(title=title, runs=runs, classes=classes, notes=notes)


def draw_spikes(axes: Axes, train: Spikes, height: float) -> None:
    """Draws one sample as a raster into axes that are about `height` inches high."""
    _accumulated(train, None).draw(axes, height)


class RasterAccumulator:
    """A raster of one sample of a recording that may be bigger than memory: takes its windows, then gives the figure.

    The recording has `n_neurons` neurons, of which the first `max_neurons` are shown, and lasts `duration` ms. What is
    held are at most 2e5 spikes, and the counts of an image that has whole steps and whole neurons in each cell.
    """

    def __init__(self, n_neurons: int, duration: float, *, sample: int = 0, max_neurons: int | None = None) -> None:
        self._n_neurons = check_count(n_neurons, "RasterAccumulator.n_neurons")
        most = self._n_neurons if max_neurons is None else check_count(max_neurons, "raster.max_neurons")
        self._shown = min(most, self._n_neurons)
        self._duration = check_dt(duration, "RasterAccumulator.duration")
        self._sample = check_count(sample, "RasterAccumulator.sample", least=0)
        self._group = -(-self._shown // _ROWS)
        n_rows = -(-self._shown // self._group)
        row = np.arange(self._n_neurons) // self._group
        row[self._shown :] = n_rows  # a row of its own, which is not shown
        self._first_cell = row * _COLUMNS
        self._counts = np.zeros((n_rows + 1) * _COLUMNS, np.int64)
        self._dt: float | None = None
        self._width = self._duration / _COLUMNS
        self._points: list[tuple[NDArray[np.float64], NDArray[Any]]] = []
        self._n_points = 0

    def add(self, window: Window) -> None:
        """Takes the next window of the layer.

        Raises ShapeError for another population, ParameterError where it lacks the sample or lies out of the duration.
        """
        spikes, (step, n_steps, dt) = window.spikes, window.spikes.grid
        if spikes.n_neurons != self._n_neurons:
            raise ShapeError(f"RasterAccumulator: windows must have {self._n_neurons} neurons, got {spikes.n_neurons}")
        if self._sample >= len(spikes):
            raise ParameterError(f"RasterAccumulator.sample must be in 0..{len(spikes) - 1}, got {self._sample}")
        n_all, stop = duration_steps(self._duration, dt), window.begin + n_steps
        if window.begin < 0 or stop > n_all or dt != (self._dt or dt):
            raise ParameterError(
                f"RasterAccumulator: windows must lie in {self._duration:g} ms and have one dt, "
                f"got steps {window.begin} to {stop} of {dt:g} ms"
            )
        per_column = -(-n_all // _COLUMNS)
        self._dt, self._width = dt, times(per_column, dt)
        column = np.arange(window.begin, stop) // per_column
        mine = slice(spikes.offsets[self._sample], spikes.offsets[self._sample + 1])
        for at, ids in _chunks(step[mine], spikes.ids[mine]):
            self._count(column[at], ids)
            self._keep(times(at.astype(np.int64) + window.begin, dt), ids)

    def add_times(self, time: NDArray[np.float64], ids: NDArray[Any]) -> None:
        """Takes spikes of neurons `ids` at times in ms that need not lie on a grid."""
        for at, of in _chunks(time, ids):
            if at.min() < 0 or at.max() >= self._duration or of.min() < 0 or of.max() >= self._n_neurons:
                raise ParameterError(
                    f"RasterAccumulator: spikes must be of {self._n_neurons} neurons in {self._duration:g} ms, "
                    f"got neurons {of.min()} to {of.max()}, {at.min():g} to {at.max():g} ms"
                )
            self._count(np.minimum((at / self._width + 1e-9).astype(np.int64), _COLUMNS - 1), of)
            self._keep(at, of)

    def result(
        self,
        *,
        title: str = "Spikes",
        runs: ArrayLike | None = None,
        classes: Sequence[object] = (),
        notes: Sequence[str] = (),
    ) -> Figure:
        """The figure of what was added so far; `raster` says what else can be drawn."""
        if self._shown < self._n_neurons:
            title = f"{title} (first {self._shown:,} of {self._n_neurons:,} neurons)"
        height = float(np.clip(1.7 + 0.12 * self._shown, 2.0, 4.6))
        figure = new_figure(8, height)
        axes = dress(figure.add_subplot(), title, "time (ms)", "neuron", grid=None)
        self.draw(axes, height - 0.8)
        if runs is not None:
            silent = Spikes.from_times((), (), self._n_neurons, self._duration, n_samples=1)
            draw_runs(axes, checked_runs(silent, runs), notes)
        if classes:
            draw_classes(axes, self._shown, classes)
        return figure

    def draw(self, axes: Axes, height: float) -> None:
        """Draws what was added so far into axes that are about `height` inches high."""
        counts = self._counts[:-_COLUMNS].reshape(-1, _COLUMNS)
        if not counts.any():
            axes.text(0.5, 0.5, "no spikes", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        elif self.is_image:
            self._draw_image(axes, counts)
        else:
            self._draw_points(axes, height)
        axes.set(xlim=(-0.01 * self._duration, self._duration), ylim=(-0.5, self._shown - 0.5))
        whole_ticks(axes.yaxis, self._shown)
        time_axis(axes, self._duration)

    @property
    def is_image(self) -> bool:
        """Whether spikes are counted in the cells of an image, as more than fit as points, so far."""
        return int(self._counts[:-_COLUMNS].sum()) > self._most_points()

    def _n_columns(self) -> int:
        return min(_COLUMNS, int(np.ceil(self._duration / self._width - 1e-9)))

    def _most_points(self) -> int:
        """How many points the picture has room for: of more than half the cells of its image they cover each other."""
        n_rows, n_columns = len(self._counts) // _COLUMNS - 1, self._n_columns()
        if n_rows == self._shown and n_rows * n_columns <= _APART**2 / 4 and n_columns <= _APART:
            return n_rows * n_columns
        return min(_MOST_POINTS, n_rows * n_columns // 2)

    def _count(self, column: NDArray[np.int64], ids: NDArray[Any]) -> None:
        cell = self._first_cell[ids]
        cell += column
        self._counts += np.bincount(cell, minlength=len(self._counts))

    def _keep(self, time: NDArray[np.float64], ids: NDArray[Any]) -> None:
        """Keeps spikes as points until they are too many."""
        if self._n_points > _MOST_POINTS:
            return
        inside = ids < self._shown
        self._points.append((time[inside], ids[inside]))
        self._n_points += int(inside.sum())
        if self._n_points > _MOST_POINTS:
            self._points.clear()

    def _draw_image(self, axes: Axes, counts: NDArray[np.int64]) -> None:
        n_columns = self._n_columns()
        extent = (0, n_columns * self._width, -0.5, len(counts) * self._group - 0.5)
        top = max(float(np.percentile(counts[counts > 0], 99)), 1)
        # A picture of fewer pixels than cells shows their means: none is left out.
        image = axes.imshow(
            counts[:, :n_columns], cmap=SEQUENTIAL, vmin=0, vmax=top, extent=extent, origin="lower", aspect="auto"
        )
        label = f"spikes per {self._width:,.4g} ms" + (f" and {self._group:,} neurons" if self._group > 1 else "")
        colour_bar(image, axes, label, whole=True, above=bool(counts.max() > top))

    def _draw_points(self, axes: Axes, height: float) -> None:
        time, ids = (np.concatenate(parts) for parts in zip(*self._points, strict=True))
        least = float(np.clip(60 / len(time) ** 0.5, 2.4, 6.0))
        size = float(np.clip(1.5 * 72 * height / self._shown, least, 9.0)) ** 2
        width = float(np.clip(60 / len(time) ** 0.5, 0.8, 1.6))
        many = len(time) > _MOST_VECTORS
        axes.scatter(time, ids, s=size, marker="|", linewidths=width, color=DARK, rasterized=many)


def _accumulated(train: Spikes, max_neurons: int | None) -> RasterAccumulator:
    found = RasterAccumulator(train.n_neurons, train.duration, max_neurons=max_neurons)
    if train.step is None:
        found.add_times(train.times_ms(), train.ids)
    else:
        found.add(Window.of(train))
    return found


def _chunks(first: NDArray[Any], second: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Two arrays of one length in pieces that the processor's cache holds better than the whole."""
    for begin in range(0, len(first), _CHUNK):
        yield first[begin : begin + _CHUNK], second[begin : begin + _CHUNK]

"""Membrane potentials over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ...errors import ShapeError
from ...spikes import Spikes
from ...units import times
from ..style import BLUE, DARK, INK, VERMILION, draw_runs, dress, new_figure, time_axis
from .checks import chosen_neurons, finite

Array = NDArray[np.float64]

_COLUMNS = 2000
"""A longer trace is drawn by its least and greatest value in as many stretches; nothing of it can be told apart."""


def membrane_traces(
    v: ArrayLike,
    dt: float,
    *,
    threshold: float | ArrayLike | None = None,
    spikes: Spikes | None = None,
    neurons: Sequence[int] | None = None,
    time: ArrayLike | None = None,
    runs: ArrayLike | None = None,
    title: str = "Membrane potential",
    quantity: str = "potential",
) -> Figure:
    """A figure of potentials v (T, N) with one panel a neuron: of `neurons`, else the first three.

    They are at steps of dt ms, or at times `time` (T,). threshold: one for all, or (N,). spikes: one sample of the same
    neurons, marked above the traces; recorded potentials are those after the reset, so that they show no spike
    themselves. runs (R, 2): stretches in ms that the lines do not cross. quantity: what v is.
    """
    values = finite(v, "membrane_traces.v", "T", "N")
    chosen = chosen_neurons(neurons, values.shape[1], 3, "membrane_traces.neurons")
    at = times(np.arange(len(values)), dt) if time is None else finite(time, "membrane_traces.time", "T")
    if len(at) != len(values):
        raise ShapeError(f"membrane_traces.time must have shape ({len(values)},) as v has, got {at.shape}")
    levels = _levels(threshold, values.shape[1])
    stretches = np.asarray([[-np.inf, np.inf]] if runs is None else runs, float)
    _check_train(spikes, values.shape[1])
    figure = new_figure(8, 0.9 + 1.25 * len(chosen))
    every = figure.subplots(len(chosen), 1, squeeze=False, sharex=True)[:, 0]
    for axes, n in zip(every, chosen, strict=True):
        head = (title, _key(levels, spikes)) if axes is every[0] else ("", "")
        dress(axes, head[0], "time (ms)" if axes is every[-1] else "", f"neuron {n}", beside=head[1])
        _draw_trace(axes, at, values[:, n], stretches)
        _draw_level(axes, levels, n)
        if runs is not None:
            draw_runs(axes, stretches)
        if spikes is not None:
            _draw_marks(axes, spikes.times_ms()[spikes.ids == n])
    figure.supylabel(quantity, fontsize=9.5, color=INK)
    return figure


def _draw_trace(axes: Axes, at: Array, v: Array, stretches: Array) -> None:
    for begin, end in stretches:
        inside = (at >= begin) & (at < end)
        alone = "o" if inside.sum() == 1 else None
        axes.plot(*_thinned(at[inside], v[inside]), color=BLUE, linewidth=1.2, marker=alone, markersize=3.5)
    axes.margins(x=0.01, y=0.12)
    time_axis(axes, float(at[-1] - at[0]))


def _draw_level(axes: Axes, levels: Array | None, n: int) -> None:
    if levels is not None:
        axes.axhline(levels[n % len(levels)], color=VERMILION, linewidth=1.1, linestyle=(0, (4, 3)))


def _levels(threshold: float | ArrayLike | None, n: int) -> Array | None:
    levels = None if threshold is None else finite(threshold, "membrane_traces.threshold")
    if levels is not None and len(levels) not in (1, n):
        raise ShapeError(f"membrane_traces.threshold must be one or {n} numbers, got {len(levels)}")
    return levels


def _check_train(spikes: Spikes | None, n: int) -> None:
    if spikes is not None and (len(spikes) != 1 or spikes.n_neurons != n):
        raise ShapeError(
            f"membrane_traces.spikes must be one sample of the {n} neurons of v, "
            f"got {len(spikes)} samples of {spikes.n_neurons}; select one by spikes[b]"
        )


def _key(levels: Array | None, spikes: Spikes | None) -> str:
    parts = [f"dashed: threshold{f' {levels[0]:g}' if len(levels) == 1 else ''}"] if levels is not None else []
    parts += ["ticks: spikes"] if spikes is not None else []
    return ", ".join(parts)


def _draw_marks(axes: Axes, time: Array) -> None:
    """Ticks in a strip above the traces, one a spike."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.16 * (high - low))
    strip = axes.get_xaxis_transform()
    axes.vlines(time, 0.88, 0.98, transform=strip, color=DARK, linewidth=1.0, rasterized=len(time) > _COLUMNS)


def _thinned(at: Array, v: Array) -> tuple[Array, Array]:
    """The points of a line; of a long one the least and greatest of each stretch, which look the same."""
    if len(v) <= 4 * _COLUMNS:
        return at, v
    starts = np.linspace(0, len(v), _COLUMNS, endpoint=False).astype(np.int64)
    ends = np.stack((np.minimum.reduceat(v, starts), np.maximum.reduceat(v, starts)), axis=1)
    return np.repeat(at[starts], 2), ends.ravel()

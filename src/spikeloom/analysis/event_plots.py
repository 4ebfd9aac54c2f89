"""Figures of event-camera streams; each function returns a matplotlib `Figure` of its own."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..events import Events, accumulate
from ..spikes.validate import check_count
from .style import INK, MUTED, OFF, ON, coloured, dress, folded, legend, new_figure, time_axis

_DENSE = 0.2
"""How many events a pixel a frame has at the most, as a mean: more would blur what moves."""

_MOST_BINS, _BURST = 200, 4
"""How many bins the rate has, and how many times the usual rate a burst is that leaves the axes."""


def draw_events(events: Events, n_frames: int = 6, *, title: str | None = None) -> Figure:
    """A figure of a recording: a row of frames at equal distances, ON blue and OFF orange, over the rate of events.

    A frame holds the events of its part of the time, or of the middle of that where they are many; the bands below show
    which. `title` stands above, by default the number of events, the sensor and the duration.
    """
    events, n_frames = events.sorted(), check_count(n_frames, "draw_events.n_frames")
    shape = events.height / events.width
    figure = new_figure(10, min(6.0, 2.6 + shape * 10 / n_frames))
    rows = figure.add_gridspec(2, n_frames, height_ratios=(shape * 10 / n_frames, 1.6))
    if title is None:
        number = f"{len(events):,} event{'s' * (len(events) != 1)}"
        title = f"{number}, {events.width} x {events.height} pixels, {_short(events.duration / 1000)} s"
    figure.suptitle(folded(title, 10), x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    first = float(events.t[0]) / 1000 if len(events) else 0.0
    windows = _windows(events, n_frames, first)
    shown = [accumulate(events.between(low, high)) for low, high in windows]
    scale = _scale(shown)
    for column, ((low, high), counts) in enumerate(zip(windows, shown, strict=True)):
        axes = figure.add_subplot(rows[0, column])
        axes.imshow(coloured(counts / scale))
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{_short((low + high) / 2 - first)} ms", fontsize=8.5, color=MUTED, pad=3)
        for spine in axes.spines.values():
            spine.set_color(MUTED)
    _draw_rate(figure.add_subplot(rows[1, :]), events, windows, first)
    return figure


def _windows(events: Events, n: int, first: float) -> list[tuple[float, float]]:
    """Begin and end of each frame's events in ms."""
    part = (events.duration + 0.001) / n  # the last event is in the last part
    dense = len(events) / n / (events.width * events.height)
    width = part * min(1.0, _DENSE / dense) if dense else part
    middles = first + part * (np.arange(n) + 0.5)
    return [(float(middle - width / 2), float(middle + width / 2)) for middle in middles]


def _scale(shown: list[NDArray[np.int32]]) -> float:
    """The number of events that is drawn in full colour: few pixels have more."""
    counts = np.concatenate([frame[frame > 0] for frame in shown])
    return float(max(1.0, np.percentile(counts, 95))) if counts.size else 1.0


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _draw_rate(axes: Axes, events: Events, windows: list[tuple[float, float]], first: float) -> None:
    """Draws the rates of ON and OFF events over the time since the first one, and a band for each frame."""
    dress(axes, "", "time since the first event (ms)", "events a ms")
    duration = max(events.duration, 0.001)
    edges = np.linspace(0, duration, int(np.clip(len(events) // 40, 1, _MOST_BINS)) + 1)
    since = events.t / 1000 - first
    rates = [np.histogram(since[events.p == p], edges)[0] / np.diff(edges) for p in (0, 1)]
    for rate, colour, name in zip(rates, (OFF, ON), ("OFF", "ON"), strict=True):
        axes.stairs(rate, edges, baseline=None, color=colour, linewidth=1.3, label=name)
    for low, high in windows:
        axes.axvspan(low - first, high - first, color=INK, alpha=0.1, linewidth=0)
    peak, usual = float(np.max(rates)), float(np.percentile(rates, 98))
    bursts = 0 < _BURST * usual < peak
    time_axis(axes, duration)
    axes.set(xlim=(0, duration), ylim=(0, 1.5 * usual if bursts else max(1.15 * peak, 1e-3)))
    if bursts:
        at = float(edges[np.unravel_index(np.argmax(rates), np.shape(rates))[1]])
        axes.text(
            0.01, 0.93, f"peak of {peak:,.0f} at {_short(at)} ms", transform=axes.transAxes, fontsize=8.5, va="top"
        )
    legend(axes, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)

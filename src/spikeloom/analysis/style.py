"""The one look of all figures: sizes, colours, axes. Colours after Okabe and Ito, distinct to every eye."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import ParameterError

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
INK, MUTED, GRID = "#1F2933", "#52606D", "#E4E7EB"
DARK = "#003A5D"
"""The blue of small marks, which a lighter one would make vanish."""

_MOST_LINES, _MOST_NOTES = 60, 12


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, with a white ground and a canvas of its own."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, title: str, x: str, y: str, *, grid: str | None = "y") -> Axes:
    """The axes with title, labels with units, and the common look; `grid` is 'x', 'y', 'both' or None."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=8)
    axes.set_xlabel(x, fontsize=9.5, color=INK)
    axes.set_ylabel(y, fontsize=9.5, color=INK)
    axes.tick_params(labelsize=8.5, colors=MUTED, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.set_axisbelow(True)
    if grid is not None:
        axes.grid(axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    return axes


def legend(axes: Axes, **options: Any) -> None:
    """A legend without a frame, on a ground that lines do not shine through."""
    axes.legend(framealpha=0.9, edgecolor="none", fontsize=8.5, labelcolor=INK, **options)


def draw_runs(axes: Axes, runs: NDArray[np.float64], notes: Sequence[str] = ()) -> None:
    """Draws a thin line where a run begins, grey where nothing was recorded, and a note above each run.

    Of more runs than can be told apart the lines and the notes are left out.
    """
    ends = np.append(0.0, runs[:-1, 1])
    for begin, end in zip(runs[:, 0], ends, strict=True):
        if begin > end:
            axes.axvspan(end, begin, facecolor=GRID, edgecolor=MUTED, hatch="//", linewidth=0, alpha=0.6)
    if len(runs) <= _MOST_LINES:
        for begin in runs[1:, 0]:
            axes.axvline(begin, color=MUTED, linewidth=0.7, alpha=0.7)
    if len(notes) == len(runs) <= _MOST_NOTES:
        axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=11, fontweight="bold", color=INK, pad=24)
        for (begin, end), note in zip(runs, notes, strict=True):
            above = axes.get_xaxis_transform()
            axes.text((begin + end) / 2, 1.015, note, fontsize=9, color=INK, transform=above, ha="center", va="bottom")


def draw_classes(axes: Axes, n: int, classes: Sequence[object]) -> None:
    """Draws n neurons as equal bands, one a class, and names them at the axis."""
    if n % len(classes):
        raise ParameterError(f"the classes must divide the {n} neurons, got {len(classes)} of them")
    size = n // len(classes)
    for k in range(0, len(classes), 2):
        axes.axhspan(k * size - 0.5, (k + 1) * size - 0.5, color=BLUE, alpha=0.09, linewidth=0, zorder=0)
    axes.set_yticks([(k + 0.5) * size - 0.5 for k in range(len(classes))], [str(name) for name in classes])
    axes.set_ylabel("votes for class")

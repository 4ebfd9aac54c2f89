"""The one look of all figures: sizes, colours, axes. Colours after Okabe and Ito, distinct to every eye."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from ..errors import ParameterError

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
INK, MUTED, GREY, GRID = "#1F2933", "#52606D", "#A9B3BD", "#E4E7EB"
DARK = "#003A5D"
"""The blue of small marks, which a lighter one would make vanish."""
ON, OFF = BLUE, VERMILION
SEQUENTIAL = LinearSegmentedColormap.from_list(
    "spikeloom", [(0.0, "white"), (0.03, "#D5E7F3"), (0.5, "#3C93C6"), (0.75, "#00619A"), (1.0, "#002238")]
)
"""From nothing, which is white, to much; the least that there is can be told from nothing."""
DIVERGING = LinearSegmentedColormap.from_list("spikeloom_signed", ["#7A3300", VERMILION, "white", BLUE, DARK], N=257)
"""From negative, orange, through 0, white, to positive, blue."""
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (6, 1.5, 1.2, 1.5)), (0, (1.2, 1.2)), (0, (3, 3)), (0, (9, 2)))

_MOST_LINES, _MOST_NOTES = 60, 12
_LONG, _FEW = 20_000.0, 8
_CHARACTER, _MARGIN = 0.098, 0.5
"""Inches that a letter of a title takes, and that lie left of it."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, with a white ground and a canvas of its own."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def folded(title: str, inches: float) -> str:
    """The title in lines that fit into so many inches."""
    width = max(12, int((inches - _MARGIN) / _CHARACTER))
    return "\n".join(textwrap.fill(line, width) for line in title.split("\n"))


def dress(axes: Axes, title: str, x: str, y: str, *, grid: str | None = "y", beside: str = "") -> Axes:
    """The axes with title, labels with units, and the common look; `grid` is 'x', 'y', 'both' or None.

    A long title is broken into lines; `beside` stands in small letters at its right.
    """
    room = axes.bbox.width / axes.figure.dpi / 0.775 - 0.065 * len(beside)
    axes.set_title(folded(title, room), loc="left", fontsize=11, fontweight="bold", color=INK, pad=8)
    axes.set_title(beside, loc="right", fontsize=8.5, color=MUTED, pad=8)
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


def legend_below(figure: Figure) -> None:
    """A legend under all axes, where names of any length cover nothing, for which the figure grows."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    width = figure.get_figwidth()
    names = [folded(name, 1.3 * (width - 0.7)) for name in names]
    longest = max(len(line) for name in names for line in name.split("\n"))
    columns = min(len(names), max(1, int(width / (0.068 * longest + 0.7))))
    lines = sum(1 + name.count("\n") for name in names)
    figure.set_figheight(figure.get_figheight() + 0.19 * -(-lines // columns))
    figure.legend(handles, names, loc="outside lower left", ncols=columns, frameon=False, fontsize=8.5, labelcolor=INK)


def time_unit(duration: float) -> tuple[int, str]:
    """How many ms the unit has in which times of so many ms are named, and its name: 's' of more than 20 s."""
    return (1000, "s") if duration > _LONG else (1, "ms")


def time_axis(axes: Axes, duration: float) -> None:
    """Names the axis of time in ms or s; the data stay in ms."""
    scale, unit = time_unit(duration)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / scale:,.6g}"))
    if axes.get_xlabel():
        axes.set_xlabel(axes.get_xlabel().replace("(ms)", f"({unit})"))


def whole_ticks(axis: Axis, n: int) -> None:
    """Puts ticks at whole numbers of 0 to n - 1: at all of few, at about six of many."""
    if n <= _FEW:
        axis.set_ticks(range(n))
    else:
        axis.set_major_locator(MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Puts ticks on a logarithmic axis from low to high: at powers of ten or, of less than two decades, between too."""
    near = high < 100 * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if near else (1,)))
    if near:
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def colour_bar(image: ScalarMappable, axes: Axes, label: str, *, whole: bool = False, above: bool = False) -> None:
    """A bar beside the axes that says what the colours of an image mean; `above`: values beyond it are in its last."""
    bar = axes.figure.colorbar(image, ax=axes, pad=0.015, extend="max" if above else "neither")
    bar.set_label(label, fontsize=8.5, color=INK)
    bar.ax.tick_params(labelsize=8, colors=MUTED)
    bar.outline.set_visible(False)
    if whole:
        bar.locator = MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10])
        bar.update_ticks()


def coloured(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """An image (H, W, 3) of OFF and ON strengths (2, H, W), of which 1 is full colour, on a white ground."""
    image = np.ones((*strength.shape[1:], 3))
    for plane, colour in zip(np.clip(strength, 0, 1), (OFF, ON), strict=True):
        image *= 1 - plane[..., None] * (1 - np.array(to_rgb(colour)))
    return image


def cycled(n: int) -> list[tuple[str, Any]]:
    """n colours, each with dashes of its own, so that lines are told apart in print without colour too."""
    return [(COLOURS[k % len(COLOURS)], _DASHES[k % len(_DASHES)]) for k in range(n)]


def draws_lines(n_runs: int) -> bool:
    """Whether lines between so many runs can be told apart, so that they are drawn."""
    return n_runs <= _MOST_LINES


def draw_runs(axes: Axes, runs: NDArray[np.float64], notes: Sequence[str] = ()) -> None:
    """Draws a thin line where a run begins, grey where nothing was recorded, and a note above each run.

    Of more runs than can be told apart the lines and the notes are left out.
    """
    ends = np.append(0.0, runs[:-1, 1])
    for begin, end in zip(runs[:, 0], ends, strict=True):
        if begin > end:
            axes.axvspan(end, begin, facecolor=GRID, edgecolor=MUTED, hatch="//", linewidth=0, alpha=0.6)
    if draws_lines(len(runs)):
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

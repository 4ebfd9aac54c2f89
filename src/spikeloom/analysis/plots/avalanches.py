"""The sizes of avalanches: bursts of activity between two silences of a population."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ...errors import ParameterError
from ..style import BLUE, MUTED, VERMILION, dress, legend, log_ticks, new_figure
from .checks import counted, finite

_SLOPE = -1.5
"""That of the sizes of a critical branching process (Beggs and Plenz 2003)."""


def avalanche_sizes(
    sizes: ArrayLike, *, branching_ratio: float | None = None, title: str = "Avalanche sizes"
) -> Figure:
    """A figure of the share of avalanches of each size (spikes), both axes logarithmic, in bins that grow.

    The dashed line is a guide of slope -3/2 to the eye, not a fit. branching_ratio: is told in the title.
    """
    found = finite(sizes, "avalanche_sizes.sizes", least=0)
    if (found < 1).any() or (found % 1 != 0).any():
        raise ParameterError(f"avalanche_sizes.sizes must be whole numbers of spikes, at least 1, got {found.min():g}")
    told = counted(len(found), "avalanche")
    if branching_ratio is not None and np.isfinite(branching_ratio):
        told += f", branching ratio {branching_ratio:.2f}"
    figure = new_figure(5.6, 3.6)
    axes = dress(
        figure.add_subplot(), f"{title}: {told}", "size (spikes)", "share of avalanches, per size", grid="both"
    )
    if not len(found):
        axes.text(0.5, 0.5, "no avalanches", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        return figure
    edges = np.unique(np.floor(np.geomspace(1, found.max() + 1, 25))) - 0.5
    edges = np.append(edges[edges < found.max()], found.max() + 0.5)
    counts, _ = np.histogram(found, edges)
    share = counts / np.diff(edges) / len(found)
    middle = np.sqrt((edges[:-1] + 0.5) * (edges[1:] - 0.5))
    seen = counts > 0
    axes.plot(middle[seen], share[seen], "o", color=BLUE, markersize=5, label="recorded")
    if seen.sum() > 1:
        guide = share[seen][0] * (middle[seen] / middle[seen][0]) ** _SLOPE
        axes.plot(middle[seen], guide, color=VERMILION, linewidth=1.3, linestyle="--", label="guide of slope -3/2")
    axes.set(xscale="log", yscale="log")
    axes.margins(0.06)
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        log_ticks(axis, low, high)
    legend(axes, loc="upper right")
    return figure

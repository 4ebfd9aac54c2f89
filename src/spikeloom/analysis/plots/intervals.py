"""The distribution of the intervals between spikes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError, ShapeError
from ...units import check_dt
from ..style import BLUE, MUTED, VERMILION, dress, legend, log_ticks, new_figure
from .checks import finite

Array = NDArray[np.float64]


def isi_histogram(
    intervals: ArrayLike,
    *,
    edges: ArrayLike | None = None,
    mean: float | None = None,
    cv: float | None = None,
    dt: float | None = None,
    log: bool = False,
    title: str = "Intervals between spikes",
) -> Figure:
    """A figure of how long intervals between spikes are, beside those of a Poisson process of the same mean.

    intervals (K,): their lengths in ms; or, with edges (K + 1,) of bins in ms, how many lie in each. mean in ms: that
    of all of them, where the bins leave some out; by default that of what is given. cv: is told in the title. dt in ms:
    the step of a grid that they lie on, which bins should not cut. log: a logarithmic axis of time, with the share of
    each tenth of a decade; of bins, the first must begin above 0.
    """
    if edges is None:
        counts, bins, total, found = _counted(finite(intervals, "isi_histogram.intervals", least=0), log, dt)
    else:
        counts, bins = _checked_bins(intervals, edges, log)
        total = int(counts.sum())
        found = float(counts @ (bins[1:] + bins[:-1]) / 2 / max(total, 1))
    mean = found if mean is None else mean
    told = [f"{total:,}"] + ([f"mean {mean:.3g} ms"] if total else [])
    told += [f"CV {cv:.2f}"] if cv is not None and np.isfinite(cv) else []
    figure = new_figure(6, 3)
    per = "per 0.1 decade" if log else "per ms"
    axes = dress(figure.add_subplot(), f"{title}: {', '.join(told)}", "interval (ms)", f"% {per}")
    if total:
        _draw(axes, counts / total, bins, mean, log)
    else:
        axes.text(0.5, 0.5, "no intervals", transform=axes.transAxes, ha="center", va="center", color=MUTED)
    return figure


def _draw(axes: Axes, share: Array, bins: Array, mean: float, log: bool) -> None:
    width = 10 * np.diff(np.log10(bins)) if log else np.diff(bins)
    axes.stairs(100 * share / width, bins, fill=True, color=BLUE, alpha=0.8, label="recorded")
    if log:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, bins[0], bins[-1])
    t = np.geomspace(bins[0], bins[-1], 300) if log else np.linspace(bins[0], bins[-1], 300)
    poisson = np.exp(-t / mean) / mean * (t * np.log(10) / 10 if log else 1)
    axes.plot(t, 100 * poisson, color=VERMILION, linewidth=1.4, linestyle="--", label="Poisson, same mean")
    axes.set_xlim(bins[0] if log else 0, bins[-1])
    axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    legend(axes, loc="best")


def _counted(values: Array, log: bool, dt: float | None) -> tuple[Array, Array, int, float]:
    """How many intervals lie in each bin, the bins' edges, how many there are in all, and their mean."""
    if (values <= 0).any():
        raise ParameterError(f"isi_histogram.intervals must be positive times in ms, got {values.min():g}")
    bins = _bins(values, log, None if dt is None else check_dt(dt, "isi_histogram.dt"))
    mean = float(values.mean()) if len(values) else 0.0
    return np.histogram(values, bins)[0].astype(float), bins, len(values), mean


def _bins(values: Array, log: bool, dt: float | None) -> Array:
    """Edges that the axis shows alike, up to the longest interval or, on a linear axis, the 99.5th percentile."""
    if not len(values):
        return np.array([1.0, 2.0])
    low, high = values.min(), values.max() if log else max(np.percentile(values, 99.5), 1.5 * values.mean())
    if log:
        edges = np.geomspace(low * 0.95, high * 1.05, int(np.clip(10 * np.log10(high / low), 5, 60)) + 1)
    else:
        edges = np.linspace(0, high * 1.02, int(np.clip(len(values) ** 0.5, 8, 60)) + 1)
    if dt is None:
        return edges
    step = np.floor(edges / dt + 1e-9)
    if not log:
        step = np.arange(0, step[-1] + 1, max(1, np.rint(step[-1] / (len(edges) - 1))))
    return (np.unique(np.append(step, np.floor(high / dt + 1e-9))) + 0.5) * dt


def _checked_bins(counts: ArrayLike, edges: ArrayLike, log: bool) -> tuple[Array, Array]:
    held, bins = finite(counts, "isi_histogram.intervals", "K"), finite(edges, "isi_histogram.edges", "K + 1")
    if len(bins) != len(held) + 1:
        raise ShapeError(f"isi_histogram.edges must be one more than the {len(held)} counts, got {len(bins)}")
    if (held < 0).any() or (np.diff(bins) <= 0).any() or bins[0] < 0 or (log and bins[0] == 0):
        least = "above 0" if log else "0"
        raise ParameterError(f"isi_histogram: counts must be at least 0, edges rise from {least} or later in ms")
    return held, bins

"""Rates over time, and of each neuron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError
from ...spikes import Spikes
from ..measures import PopulationRate
from ..measures import population_rate as measured_rate
from ..style import BLUE, VERMILION, cycled, draw_runs, dress, legend, legend_below, new_figure, time_axis, whole_ticks
from .checks import finite

_MOST_BARS = 120
_MOST_LINES = 6


def rate_timeline(
    spikes: Spikes | PopulationRate,
    bin_ms: float = 50.0,
    *,
    recorded_fraction: float = 1.0,
    title: str = "Firing rate",
    runs: ArrayLike | None = None,
) -> Figure:
    """A figure of the population rate over time, averaged over samples, with the mean as a dashed line.

    It is measured in bins of bin_ms, or was measured before. Where only a fraction of the spikes was recorded, rates
    are divided by it. runs (R, 2): the stretches in ms that were recorded; bins begin anew with each.
    """
    if not 0 < recorded_fraction <= 1:
        raise ParameterError(f"rate_timeline.recorded_fraction must be in (0, 1], got {recorded_fraction!r}")
    found = measured_rate(spikes, bin_ms, runs) if isinstance(spikes, Spikes) else spikes
    width = bin_ms if isinstance(spikes, Spikes) else float(found.width.max())
    end = float(found.start[-1] + found.width[-1])
    stretches = np.array([[found.start[0], end]]) if runs is None else np.asarray(runs, float)
    rate = np.nanmean(found.rate, axis=0) / recorded_fraction
    figure = new_figure(8, 2.8)
    axes = dress(figure.add_subplot(), title, "time (ms)", "rate (Hz per neuron)")
    for k, (begin, stop) in enumerate(stretches):
        inside = (found.start >= begin - 1e-9) & (found.start < stop - 1e-9)
        edges = np.append(found.start[inside], stop)
        axes.stairs(rate[inside], edges, fill=True, color=BLUE, alpha=0.25)
        axes.stairs(
            rate[inside], edges, baseline=None, color=BLUE, linewidth=1.4, label=None if k else f"bins of {width:g} ms"
        )
    mean = float(rate @ found.width / found.width.sum())
    axes.axhline(mean, color=VERMILION, linewidth=1.2, linestyle="--", label=f"mean {_hertz(mean)}")
    draw_runs(axes, stretches)
    axes.set(xlim=(0, end), ylim=(0, 1.25 * float(rate.max(initial=0)) or 1))
    time_axis(axes, end)
    legend(axes, loc="upper right", ncols=2)
    return figure


def population_rate(rates: PopulationRate | Mapping[str, PopulationRate], *, title: str = "Population rate") -> Figure:
    """A figure of the rates of populations over time: a line each, the mean over samples, in one unit.

    Around a line stands the band in which the middle 80 % of five samples or more lie. `rates` are measured by
    `measures.population_rate`; of several, by name, at most six are drawn in one figure.
    """
    named = {"": rates} if isinstance(rates, PopulationRate) else dict(rates)
    if not 1 <= len(named) <= _MOST_LINES:
        raise ParameterError(f"population_rate.rates must be 1 to {_MOST_LINES} populations, got {len(named)}")
    figure = new_figure(8, 3.0)
    axes = dress(figure.add_subplot(), title, "time (ms)", "rate (Hz per neuron)")
    for (name, found), (colour, dashes) in zip(named.items(), cycled(len(named)), strict=True):
        rate = finite(found.rate, f"population_rate.rates[{name!r}].rate", "B", "K")
        middle = found.start + found.width / 2
        if len(rate) >= 5:
            low, high = np.quantile(rate, (0.1, 0.9), axis=0)
            axes.fill_between(middle, low, high, color=colour, alpha=0.18, linewidth=0)
        mark = "o" if len(middle) == 1 else None
        axes.plot(middle, rate.mean(axis=0), color=colour, linestyle=dashes, linewidth=1.4, marker=mark, label=name)
    end = max(float(found.start[-1] + found.width[-1]) for found in named.values())
    axes.set_xlim(min(float(found.start[0]) for found in named.values()), end)
    top = max(float(found.rate.max()) for found in named.values())
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1] if top else 1)
    time_axis(axes, end)
    if "" not in named:
        legend_below(figure)
    return figure


def _edges(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """The edges of about 40 bins, each around as many of the rates that whole numbers of spikes make."""
    levels = np.unique(np.round(rates, 9))
    span = float(levels[-1] - levels[0]) or 1.0
    step = float(np.diff(levels).min(initial=span))
    width = max(1, np.ceil(span / 40 / step)) * step
    return np.asarray(levels[0] - step / 2 + width * np.arange(np.ceil((span + step) / width) + 1))


def neuron_rate_bars(rates: ArrayLike, *, title: str = "Rate of each neuron") -> Figure:
    """A figure of the rates (N,) in Hz: one bar a neuron, or a histogram where there are more than 120."""
    found = finite(rates, "neuron_rate_bars.rates")
    figure = new_figure(8, 2.8)
    mean = float(found.mean())
    line: dict[str, Any] = {"color": VERMILION, "linewidth": 1.2, "linestyle": "--", "label": f"mean {_hertz(mean)}"}
    if len(found) > _MOST_BARS:
        axes = dress(figure.add_subplot(), title, "rate (Hz)", "neurons")
        axes.hist(found, bins=_edges(found).tolist(), color=BLUE, edgecolor="white", linewidth=0.5)
        axes.axvline(mean, **line)
    else:
        axes = dress(figure.add_subplot(), title, "neuron", "rate (Hz)")
        axes.bar(np.arange(len(found)), found, width=0.8, color=BLUE)
        axes.axhline(mean, **line)
        axes.set_xlim(-0.7, len(found) - 0.3)
        whole_ticks(axes.xaxis, len(found))
        axes.set_ylim(0, 1.2 * found.max() or 1)
    legend(axes, loc="upper right")
    return figure


def _hertz(rate: float) -> str:
    return f"{rate:,.1f} Hz" if rate >= 1 or rate == 0 else f"{rate:.2g} Hz"

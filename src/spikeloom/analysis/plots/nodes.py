"""What nodes did, over simulated time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...errors import ParameterError
from ..style import INK, cycled, dress, legend, new_figure, time_axis

_HATCHES = ("", "////", "....", "xxxx")
_MOST_KINDS, _MOST_NODES, _MOST_EDGES = 24, 60, 200


class Span(NamedTuple):
    """A stretch of simulated time, in ms, in which a node had one status."""

    begin: float
    end: float
    status: str


def node_timeline(spans: Mapping[str, Iterable[Span]], *, title: str = "What nodes did") -> Figure:
    """A figure of the status of each node over simulated time: a row a node, a bar a span, a colour a status.

    Where nothing is known of a node, its row is empty. Raises ParameterError for no nodes or more than 60, for more
    than 24 statuses, and for spans that end before they begin or overlap.
    """
    rows = {node: sorted(Span(*span) for span in given) for node, given in spans.items()}
    if not 1 <= len(rows) <= _MOST_NODES:
        raise ParameterError(f"node_timeline.spans must be of 1 to {_MOST_NODES} nodes, got {len(rows)}")
    for node, held in rows.items():
        _check_spans(node, held)
    statuses = sorted({span.status for held in rows.values() for span in held})
    if len(statuses) > _MOST_KINDS:
        raise ParameterError(f"node_timeline.spans must have at most {_MOST_KINDS} statuses, got {len(statuses)}")
    colours = [colour for colour, _ in cycled(len(statuses))]
    looks = {name: (colours[k], _HATCHES[k // 6]) for k, name in enumerate(statuses)}
    figure = new_figure(8, 1.5 + 0.34 * len(rows))
    axes = dress(figure.add_subplot(), title, "simulated time (ms)", "", grid="x")
    for row, held in enumerate(rows.values()):
        for status, (colour, hatch) in looks.items():
            bars = [(span.begin, span.end - span.begin) for span in held if span.status == status]
            points = [begin for begin, length in bars if not length]
            axes.vlines(points, row - 0.36, row + 0.36, color=colour, linewidth=2.5)
            edge = 0.4 if len(held) <= _MOST_EDGES else 0.0
            axes.broken_barh(bars, (row - 0.36, 0.72), facecolor=colour, hatch=hatch, edgecolor="white", linewidth=edge)
    axes.set_yticks(range(len(rows)), rows, color=INK)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    ends = [end for held in rows.values() for span in held for end in span[:2]]
    if ends:
        axes.set_xlim(min(ends), max(ends) if max(ends) > min(ends) else min(ends) + 1)
        time_axis(axes, max(ends) - min(ends))
    patches = [Patch(facecolor=c, hatch=h, edgecolor="white", label=name) for name, (c, h) in looks.items()]
    if patches:
        place = {"loc": "upper left", "bbox_to_anchor": (1.005, 1.0)}
        legend(axes, handles=patches, **place)
    return figure


def _check_spans(node: str, held: list[Span]) -> None:
    ends = np.array([span[:2] for span in held], float).reshape(-1, 2)
    if not np.isfinite(ends).all() or (ends[:, 1] < ends[:, 0]).any():
        raise ParameterError(f"node_timeline: spans of {node!r} must begin before they end, at times in ms")
    if (ends[1:, 0] < ends[:-1, 1] - 1e-9).any():
        raise ParameterError(f"node_timeline: spans of {node!r} must not overlap; a node has one status at a time")

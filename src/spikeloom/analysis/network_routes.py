"""How connections run between the nodes of a picture, and where their labels stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.path import Path as Curve
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from .network_layout import BOX, Place

Places = Mapping[str, Place]
_BOW = 0.62
"""How far apart in rows connections between the same two nodes run."""
_LANE = 0.26
"""How far apart in rows two connections run beside each other past the same nodes."""


@dataclass(frozen=True, eq=False)
class Edge:
    """From one node to another, with the label, and whether it takes the step of a loop."""

    pre: str
    post: str
    label: str
    looped: bool


def routes(edges: Sequence[Edge], places: Places) -> list[Curve]:
    """The curve of each edge: from the right side of a box to the left side of another, past those between them."""
    lanes: list[tuple[float, int, int]] = []
    found = []
    for edge in edges:
        start = places[edge.pre].row + _port(edge, [e for e in edges if e.pre == edge.pre], places, "post")
        end = places[edge.post].row + _port(edge, [e for e in edges if e.post == edge.post], places, "pre")
        twins = [e for e in edges if (e.pre, e.post) == (edge.pre, edge.post)]
        bow = (twins.index(edge) - (len(twins) - 1) / 2) * _BOW
        first, last = places[edge.pre].column, places[edge.post].column
        if last == first + 1 or (last > first and not _blocked(places, edge, (start + end) / 2)):
            found.append(_across(first + BOX[0], start, last - BOX[0], end, bow))
        else:
            found.append(_around(edge, start, end, places, lanes))
    return found


def _across(x0: float, y0: float, x1: float, y1: float, bow: float) -> Curve:
    bend = (x1 - x0) / 2
    points = [(x0, y0), (x0 + bend, y0 + bow), (x1 - bend, y1 + bow), (x1, y1)]
    return Curve(points, [Curve.MOVETO, *[Curve.CURVE4] * 3])


def _around(edge: Edge, start: float, end: float, places: Places, lanes: list[tuple[float, int, int]]) -> Curve:
    """A way round in a row that no box lies in, beside those that run there already, which it joins."""
    x0, x1 = places[edge.pre].column + BOX[0], places[edge.post].column - BOX[0]
    first, last = sorted((places[edge.pre].column, places[edge.post].column))
    middle = (start + end) / 2 + (0.05 if x1 < x0 else 0.0)
    steps = range(len(lanes) + 1)
    rows = [p.row + side * (BOX[1] + 0.2 + k * _LANE) for p in places.values() for side in (-1, 1) for k in steps]
    used = [row for row, begin, stop in lanes if begin <= last and first <= stop]
    free = [r for r in rows if not _blocked(places, edge, r) and all(abs(r - u) > 0.9 * _LANE for u in used)]
    via = min(free, key=lambda row: (abs(row - middle), row))
    lanes.append((via, first, last))
    lead, lane = (0.2, 0.15) if x1 < x0 else (0.2, -0.15)
    out, back = x0 + lead, x1 - lead
    points = [
        (x0, start), (out, start), (out, via), (out - lane, via),
        (back + lane, via), (back, via), (back, end), (x1, end),
    ]  # fmt: skip
    return Curve(points, [Curve.MOVETO, *[Curve.CURVE4] * 3, Curve.LINETO, *[Curve.CURVE4] * 3])


def _port(edge: Edge, beside: Sequence[Edge], places: Places, end: str) -> float:
    """How far from the middle of a box an edge leaves or meets it, among those that do so beside it."""
    order = sorted(beside, key=lambda e: (places[getattr(e, end)].row, places[getattr(e, end)].column))
    spread = min(0.16, 0.4 / max(1, len(order)))
    return (order.index(edge) - (len(order) - 1) / 2) * spread


def _blocked(places: Places, edge: Edge, row: float) -> bool:
    """Whether a box lies in this row on the way of an edge; one that goes back passes by both of its ends."""
    first, last = sorted((places[edge.pre].column, places[edge.post].column))
    onward = places[edge.post].column > places[edge.pre].column
    between = range(first + onward, last + 1 - onward)
    return any(p.column in between and abs(p.row - row) < BOX[1] + 0.1 for p in places.values())


def label_places(
    curves: Sequence[Curve], sizes: Sequence[tuple[float, float]], places: Places
) -> list[tuple[float, float]]:
    """Where on its curve each label stands: near the middle, where it covers least of boxes and of other labels.

    Labels of short curves, which have least choice, are placed first.
    """
    ways = [_along(curve) for curve in curves]
    found = [(0.0, 0.0)] * len(curves)
    boxes = [(p.column, p.row, 2 * BOX[0], 2 * BOX[1]) for p in places.values()]
    labels: list[tuple[float, float, float, float]] = []

    def covered(at: tuple[float, float], size: tuple[float, float]) -> float:
        here = (*at, *size)
        return 5 * sum(_overlap(here, box) for box in boxes) + sum(_overlap(here, label) for label in labels)

    for k in sorted(range(len(curves)), key=lambda k: ways[k].length):
        found[k] = min(ways[k].points, key=lambda at: covered(at, sizes[k]))
        labels.append((*found[k], *sizes[k]))
    return found


class _Way(NamedTuple):
    """The length of a curve, and points on it, those near the middle first."""

    length: float
    points: list[tuple[float, float]]


def _along(curve: Curve) -> _Way:
    (polygon,) = curve.transformed(Affine2D().scale(100)).to_polygons(closed_only=False)
    points: NDArray[np.float64] = np.asarray(polygon) / 100
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = 0.5 + np.array([0.0, *(side * k for k in np.linspace(0.04, 0.36, 9) for side in (-1, 1))])
    x, y = (np.interp(at * length[-1], length, points[:, k]) for k in (0, 1))
    return _Way(float(length[-1]), [(float(a), float(b)) for a, b in zip(x, y, strict=True)])


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """The area that two boxes share; each as its centre, width and height."""
    sides = (max(0.0, (a[k + 2] + b[k + 2]) / 2 - abs(a[k] - b[k])) for k in (0, 1))
    width, height = sides
    return width * height

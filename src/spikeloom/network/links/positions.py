"""Where neurons stand, and how far they are from each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...errors import ParameterError, ShapeError
from ...neurons.surrogates import is_number
from ..parameters import check_finite, numbers
from .drawn import rows_of
from .link import Ends

Floats = NDArray[np.float64]

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], Floats]
"""Targets, sources and their distances, one for each pair."""

ENTRIES = 1 << 22
"""How many differences of positions are held at a time."""
_SPARSE = 0.05
"""Up to which share of all pairs the near ones are looked up in a tree."""


@dataclass(frozen=True)
class Space:
    """The positions of two populations, (n, axes) each, and the period of each axis where space is a torus."""

    pre: Floats
    post: Floats
    period: Floats | None

    def distances(self, rows: slice) -> Floats:
        """The Euclidean distances (some post, pre), by the shortest way around a torus."""
        return self._lengths(self.post[rows, None, :] - self.pre[None, :, :])

    def between(self, post: NDArray[np.int64], pre: NDArray[np.int64]) -> Floats:
        """The distance of each target to the source beside it."""
        return self._lengths(self.post[post] - self.pre[pre])

    def _lengths(self, difference: Floats) -> Floats:
        apart = np.abs(difference)
        if self.period is not None:
            apart = np.mod(apart, self.period)
            apart = np.minimum(apart, self.period - apart)
        found: Floats = np.sqrt((apart**2).sum(-1))
        return found

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """The first post neuron and the distances of some at a time, so that memory is bounded."""
        entries = max(1, ENTRIES // self.pre.shape[1])
        for rows in rows_of(len(self.post), len(self.pre), entries):
            yield rows.start, self.distances(rows)

    def near(self, radius: float) -> Iterator[Pairs]:
        """All pairs up to a distance, in order, some at a time, so that memory is bounded and time is about that of
        their number."""
        if math.isinf(radius):
            yield from self._looked_through(radius)
            return
        (sources, targets), reach = self._wrapped(), self._reach(radius)
        tree = cKDTree(sources, boxsize=self.period)
        counts = tree.query_ball_point(targets, reach, return_length=True)
        if counts.sum() > _SPARSE * len(sources) * len(targets):
            yield from self._looked_through(radius)
            return
        for rows in _cut(counts, max(1, ENTRIES // sources.shape[1])):
            found = cKDTree(targets[rows], boxsize=self.period).sparse_distance_matrix(
                tree, reach, output_type="ndarray"
            )
            post, pre = found["i"] + rows.start, found["j"]
            order = np.lexsort((pre, post))
            post, pre = post[order], pre[order]
            distances = self.between(post, pre)
            inside = distances <= radius
            yield post[inside], pre[inside], distances[inside]

    def _looked_through(self, radius: float) -> Iterator[Pairs]:
        """The same by the distances of all pairs."""
        for first, distances in self.blocks():
            rows, pre = np.nonzero(distances <= radius)
            yield first + rows, pre, distances[rows, pre]

    def _wrapped(self) -> tuple[Floats, Floats]:
        """The positions of sources and targets, on a torus those from zero up to its extent."""
        if self.period is None:
            return self.pre, self.post
        pre, post = (np.mod(positions, self.period) for positions in (self.pre, self.post))
        return np.where(pre < self.period, pre, 0.0), np.where(post < self.period, post, 0.0)

    def _reach(self, radius: float) -> float:
        """A little more than the radius, so that what rounding does to positions takes no pair away."""
        largest = max(np.abs(positions).max(initial=0.0) for positions in (self.pre, self.post))
        return float(radius * (1 + 1e-9) + 1e-12 * largest)


def _cut(counts: NDArray[np.int64], entries: int) -> Iterator[slice]:
    """Rows with so many entries each, in slices of about so many entries, one row at least."""
    parts = np.cumsum(counts) // entries
    edges = [0, *(np.nonzero(np.diff(parts))[0] + 1), len(counts)]
    return (slice(int(a), int(b)) for a, b in itertools.pairwise(edges))


def check_place(owner: str, link: Any) -> None:
    """Raises ParameterError for the wrong kind of extent or periodic."""
    if not isinstance(link.periodic, bool):
        raise ParameterError(f"{owner}.periodic must be True or False, got {link.periodic!r}")
    extent = link.extent if isinstance(link.extent, (list, tuple)) else [link.extent]
    if link.extent is not None and not all(is_number(side) and side > 0 for side in extent):
        raise ParameterError(f"{owner}.extent must be a positive length, or one for each axis, got {link.extent!r}")


def check_self(owner: str, self_connections: bool, ends: Ends) -> None:
    """Raises ShapeError where a population that cannot be joined to itself is to have no self-connections."""
    if not self_connections and math.prod(ends.post) != math.prod(ends.pre):
        raise ShapeError(
            f"{owner}.self_connections=False is for a population joined to itself, got {ends.pre} and {ends.post}"
        )


def space_of(owner: str, link: Any, ends: Ends) -> Space:
    """The space of a link with the fields pre_positions, post_positions, extent and periodic.

    A population without given positions stands on the grid of its shape, in the middle of cells that fill the extent;
    without an extent the targets are 1 apart. Raises ShapeError or ParameterError where positions do not fit.
    """
    given = [
        None if positions is None else _given(f"{owner}.{end}_positions", positions, shape)
        for end, positions, shape in (("pre", link.pre_positions, ends.pre), ("post", link.post_positions, ends.post))
    ]
    axes = next((p.shape[1] for p in given if p is not None), len(ends.post))
    if all(p is not None for p in given) and link.extent is None:
        if link.periodic:
            raise ParameterError(f"{owner}.periodic needs extent=, the length after which space begins again")
        extent = None
    else:
        extent = _extent(owner, link.extent, axes, ends)
    placed = [p if p is not None else _grid(owner, shape, extent, axes) for p, shape in zip(given, ends, strict=True)]
    if placed[0].shape[1] != placed[1].shape[1]:
        raise ShapeError(
            f"{owner}: positions must have one number of axes, got {placed[0].shape} and {placed[1].shape}"
        )
    return Space(placed[0], placed[1], extent if link.periodic else None)


def _given(owner: str, positions: Any, shape: tuple[int, ...]) -> Floats:
    found = numbers(owner, positions).astype(np.float64)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) != math.prod(shape) or not found.shape[1]:
        raise ShapeError(f"{owner} must have shape ({math.prod(shape)}, axes), got {found.shape}")
    check_finite(owner, found)
    return found


def _extent(owner: str, given: Any, axes: int, ends: Ends) -> Floats:
    if given is None:
        if len(ends.post) != axes:
            raise ShapeError(f"{owner}: give extent=, the lengths of the {axes} axes")
        return np.array(ends.post, np.float64)
    sides = np.array(given if isinstance(given, (list, tuple)) else [given] * axes, np.float64)
    if len(sides) != axes:
        raise ShapeError(f"{owner}.extent must have {axes} lengths, one for each axis, got {given!r}")
    return sides


def _grid(owner: str, shape: tuple[int, ...], extent: Floats | None, axes: int) -> Floats:
    if len(shape) != axes or extent is None:
        raise ShapeError(f"{owner}: a population of shape {shape} has no grid of {axes} axes; give its positions")
    sides = [(np.arange(n) + 0.5) * (length / n) for n, length in zip(shape, extent, strict=True)]
    return np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, axes)

"""Where neurons stand, and how far they are from each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError, ShapeError
from ...neurons.surrogates import is_number
from ..parameters import check_finite, numbers
from .drawn import rows_of
from .link import Ends

Floats = NDArray[np.float64]

ENTRIES = 1 << 22
"""How many differences of positions are held at a time."""


@dataclass(frozen=True)
class Space:
    """The positions of two populations, (n, axes) each, and the period of each axis where space is a torus."""

    pre: Floats
    post: Floats
    period: Floats | None

    def distances(self, rows: slice) -> Floats:
        """The Euclidean distances (some post, pre), by the shortest way around a torus."""
        apart = np.abs(self.post[rows, None, :] - self.pre[None, :, :])
        if self.period is not None:
            apart = np.mod(apart, self.period)
            apart = np.minimum(apart, self.period - apart)
        found: Floats = np.sqrt((apart**2).sum(2))
        return found

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """The first post neuron and the distances of some at a time, so that memory is bounded."""
        entries = max(1, ENTRIES // self.pre.shape[1])
        for rows in rows_of(len(self.post), len(self.pre), entries):
            yield rows.start, self.distances(rows)


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

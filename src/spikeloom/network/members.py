"""Components of a network by their path in a file, and checks that all kinds of them share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import DataError, StateError
from ..registry import did_you_mean
from .component import Component

MAX_NEURONS = 10**7
"""How many neurons a population in a file may have."""
Members = Mapping[str, Component]
"""The components of a network by path, and the network itself as 'network', which no component may be called."""
Paths = Mapping[int, str]


def member(what: str, path: Any, members: Members) -> Component:
    """The component at a path; DataError with a suggestion where there is none."""
    if not isinstance(path, str) or path not in members:
        raise DataError(f"{what}: there is no component {path!r}{did_you_mean(str(path), members)}")
    return members[path]


def path_of(component: Component, end: str, other: Component, paths: Paths) -> str:
    """The path of what a component refers to; StateError where that is not in the network."""
    if id(other) not in paths:
        raise StateError(
            f"{component.kind} {component.path!r}: its {end} {other.name!r} is not in the network; assign it first"
        )
    return paths[id(other)]


def shape_of(values: Mapping[str, Any]) -> list[int]:
    """The described shape of a population; DataError where it is none or too large."""
    shape = values["shape"]
    if not isinstance(shape, list) or not 0 < len(shape) <= 8 or not all(type(n) is int and n > 0 for n in shape):
        raise DataError(f"shape must be a list of up to 8 positive whole numbers, got {shape!r:.80}")
    if math.prod(shape) > MAX_NEURONS:
        raise DataError(f"shape {shape} has more than {MAX_NEURONS} neurons, the most that a file may ask for")
    return shape

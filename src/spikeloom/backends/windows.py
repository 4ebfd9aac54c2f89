"""The windows of time that a block goes back in, each of them run forward again: less is kept, and what is stays near.

Keeping costs the way to memory and back: measured, .2 ms a megabyte where the planes do not fit the cache. Running
forward again costs the products once more, so it is free where few events arrive at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .path import Call
from .plan import Layer

WINDOW = 16 << 20
"""How many bytes of planes a window has at most, about: so many are kept in any case."""

EVENTS_AT_MOST = 32.0
"""How many events a neuron gets in a step at most, on the average, where running forward again costs nothing."""

RATE = 0.1
"""The share of neurons of a population taken to fire in a step, before it is known."""

Windows = list[tuple[int, int]]


def windows_of(call: Call, planes: Mapping[str, int], sparing: bool | None) -> Windows:
    """The windows of a block, from and to; one where everything is kept.

    planes: how many bytes each population keeps in a step. sparing: True: as little as can be, windows of the square
    root of the steps; None: where it costs nothing; False: never.
    """
    size, a_step = call.n_steps, max(1, sum(planes.values()))
    if sparing:
        size = math.isqrt(size)
    elif sparing is None and a_step * size > WINDOW and _cheap(call, planes):
        size = -(-size // -(-size * a_step // WINDOW))
    size = max(1, size)
    return [(a, min(a + size, call.n_steps)) for a in range(0, max(1, call.n_steps), size)]


def _cheap(call: Call, planes: Mapping[str, int]) -> bool:
    """Whether no population steps in a loop, and few events arrive."""
    if any(stage.stepped for stage in call.block.stages):
        return False
    events = sum(planes[layer.path] * _events(layer, call) for layer in call.block.layers)
    return events <= EVENTS_AT_MOST * sum(planes.values())


def _events(layer: Layer, call: Call) -> float:
    """How many events a neuron of a population gets in a step, about."""
    routes = (route for branch in layer.branches for route in branch.routes)
    return sum(_sent(route.source, math.prod(route.connection.ends.pre), call) for route in routes)


def _sent(source: str, n: int, call: Call) -> float:
    rows = call.rows.get(source)
    if rows is None or rows.spikes is None:
        return RATE * n
    return len(rows.spikes.ids) / max(1, rows.n_steps * rows.n_samples)

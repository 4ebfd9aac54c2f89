"""The windows of time that a block goes back in, each of them run forward again: less is kept, and what is stays near.

Keeping costs the way to memory and back: measured, .2 ms a megabyte where the planes do not fit the cache. Running
forward again costs the products and the neurons' lines once more, and every window goes over the weights and their
gradients again. It is left where both are measured to be no dearer, about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..kernels import Model
from .path import Call
from .plan import Layer

WINDOW = 16 << 20
"""How many bytes of planes a window has at most, about: so many are kept in any case."""

LEAST_STEPS, LEAST_SAMPLES = 16, 8
"""A window has so many steps at least, and a batch so many samples: shorter ones do not pay for their beginning."""

OPERATIONS_AT_MOST = 40.0
"""How many events and operations a neuron takes in a step for each plane kept, at most, on the average."""

OVER_WEIGHTS = 6
"""What a window moves for each byte of weights: it reads them and adds to their gradients."""

RATE = 0.1
"""The share of neurons of a population taken to fire in a step, before it is known."""

Windows = list[tuple[int, int]]


@dataclass(frozen=True)
class Kept:
    """A population that keeps planes for the way back: its model, and how many bytes they take in a step."""

    model: Model
    nbytes: int


def windows_of(call: Call, kept: Mapping[str, Kept], sparing: bool | None) -> Windows:
    """The windows of a block, from and to; one where everything is kept.

    sparing: True: as little as can be, windows of the square root of the steps; None: where it costs no time; False:
    never.
    """
    size, a_step = call.n_steps, max(1, sum(each.nbytes for each in kept.values()))
    if sparing:
        size = math.isqrt(size)
    elif sparing is None and a_step * size > WINDOW:
        parts = -(-size * a_step // WINDOW)
        size = -(-size // parts) if _cheap(call, kept, parts) else size
    size = max(1, size)
    return [(a, min(a + size, call.n_steps)) for a in range(0, max(1, call.n_steps), size)]


def _cheap(call: Call, kept: Mapping[str, Kept], parts: int) -> bool:
    """Whether running so many windows forward again takes no longer than keeping everything."""
    samples = len(next(t for key, t in call.tensors.items() if key[0] == "state"))
    if samples < LEAST_SAMPLES or call.n_steps < LEAST_STEPS * parts or any(s.stepped for s in call.block.stages):
        return False
    total = sum(each.nbytes for each in kept.values())
    weights = sum(t.nbytes for key, t in call.tensors.items() if key[0] == "weight")
    if OVER_WEIGHTS * weights * parts > total * call.n_steps:
        return False
    work = 0.0
    for layer in call.block.layers:
        model = kept[layer.path].model
        work += kept[layer.path].nbytes * (_events(layer, call) + model.operations) / model.planes
    return work <= OPERATIONS_AT_MOST * total


def _events(layer: Layer, call: Call) -> float:
    """How many events a neuron of a population gets in a step, about."""
    routes = (route for branch in layer.branches for route in branch.routes)
    return sum(_sent(route.source, math.prod(route.connection.ends.pre), call) for route in routes)


def _sent(source: str, n: int, call: Call) -> float:
    rows = call.rows.get(source)
    if rows is None or rows.spikes is None:
        return RATE * n
    return len(rows.spikes.ids) / max(1, rows.n_steps * rows.n_samples)

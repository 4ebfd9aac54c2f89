"""What brings current to a population of the kernel path.

A product with events, or with a population of the same loop, is made inside the kernel; a product with a dense signal
by register blocks before it; any other link makes its current itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..native import products
from ..native.events import EventRows, rows_of_raster
from ..native.population import BITS, EVENTS, NOTHING, VALUES, Source
from ..network.links import Full, Gradients, SpikeRows
from .kernel_layer import KernelLayer
from .path import Call, Key
from .plan import Route
from .product import Term
from .staged import Staged

DENSE_FROM = 0.4
"""The density of a signal from which a dense product is faster than its events."""


@dataclass
class Feed:
    """A route into an inlet of a population.

    origin: the population of the block that it comes from, inner: of the same stage; rows: its events; dense: a dense
    signal (T or 1, B, K); term: the product of a link that makes its current itself; in_parts: whether it did so for
    some samples at a time; found: what that finds on the way back; ahead: whether it was passed on before it was found;
    sums: of its weight's gradient, window by window.
    """

    route: Route
    inlet: int
    weights: Mapping[str, Tensor]
    origin: KernelLayer | None = None
    inner: bool = False
    rows: EventRows | None = None
    dense: Tensor | None = None
    term: Term | Staged | None = None
    in_parts: bool = False
    found: Gradients | None = None
    ahead: bool = False
    sums: products.WeightSums | None = None

    @property
    def steps(self) -> int:
        """The steps that the route takes."""
        return self.route.steps

    def wanted(self, needs: frozenset[Key]) -> tuple[bool, list[str]]:
        """Whether the signal gets a gradient, and which of the weights do."""
        path = self.route.connection.path
        names = [name for name in self.weights if ("weight", path, name) in needs]
        return ("signal", self.route.source) in needs or self.origin is not None, names


def feeds_of(post: KernelLayer, built: Mapping[str, KernelLayer], stage: frozenset[str], call: Call) -> Iterator[Feed]:
    """The feeds of a population; built: the populations of the block up to its own stage."""
    for inlet, branch in enumerate(post.layer.branches):
        for route in branch.routes:
            path = route.connection.path
            weights = {str(k[2]): t.detach() for k, t in call.tensors.items() if k[:2] == ("weight", path)}
            feed = Feed(route, inlet, weights, built.get(route.source), route.source in stage)
            if not feed.inner:
                _find_signal(feed, post, call)
            yield feed


def _find_signal(feed: Feed, post: KernelLayer, call: Call) -> None:
    """Puts events, dense signal or term in place: sparse or dense by the measured density."""
    link, ends, origin = feed.route.connection.link, feed.route.connection.ends, feed.origin
    if feed.route.connection.synapses.stages:
        wanted = feed.wanted(post.needs)
        feed.term = Staged(feed.route.connection, _signal(feed, call), feed.weights, call, *wanted)
        return
    if not isinstance(link, Full):
        feed.term = Term(link, ends, _signal(feed, call), feed.weights)
        return
    if origin is not None:
        if origin.bits is not None and origin.rows.density < DENSE_FROM:
            feed.rows = origin.rows
        else:
            feed.dense = origin.raster
        return
    if (events := call.rows.get(feed.route.source)) is not None:
        feed.rows = events.events(post.numpy)
        return
    signal = call.tensors["signal", feed.route.source].detach()
    flat = signal.flatten(2).contiguous()
    rows = rows_of_raster(flat, post.numpy) if len(flat) == post.steps else None
    if rows is not None and rows.density < DENSE_FROM:
        feed.rows = rows
    else:
        feed.dense = flat


def _signal(feed: Feed, call: Call) -> Any:
    """The signal of a route for a link that makes its current itself."""
    if (origin := feed.origin) is not None:
        if origin.bits is not None:
            return SpikeRows.of(origin.rows, origin.layer.shape, torch.empty(0, dtype=origin.dtype))
        return origin.raster.view(origin.steps, origin.samples, *origin.layer.shape)
    source = feed.route.source
    return call.rows[source] if source in call.rows else call.tensors["signal", source].detach()


def source_of(feed: Feed, post: KernelLayer) -> Source | None:
    """What the kernel itself makes of a feed; None where its current is made before."""
    if feed.term is not None or feed.dense is not None:
        return None
    source = Source(kind=NOTHING, inlet=feed.inlet, delay=feed.steps, size=feed.weights["weight"].shape[1])
    source.weight = post.packed(feed.weights["weight"]).ctypes.data
    if "bias" in feed.weights:
        source.bias = post.padded(feed.weights["bias"]).ctypes.data
    if feed.rows is not None:
        rows = post.hold(feed.rows)
        source.kind, source.start, source.ids = EVENTS, rows.start.ctypes.data, rows.ids.ctypes.data
        source.values = None if rows.values is None else rows.values.ctypes.data
    elif feed.origin is not None and feed.origin.bits is not None:
        source.kind, source.bits, source.words = BITS, feed.origin.bits.ctypes.data, feed.origin.words
    elif feed.origin is not None and feed.origin.values is not None:
        source.kind, source.dense = VALUES, feed.origin.values.data_ptr()
    return source


def add_currents(feed: Feed, post: KernelLayer, call: Call, alone: bool) -> None:
    """Adds what a feed brings as dense current: a dense product, a link's own product, and what was under way.

    alone: whether it is the only one into its inlet, so that its current may be made for some samples at a time.
    """
    current = None
    way = None
    if feed.term is not None and alone and not feed.steps:
        way = feed.term.forward_in_parts(bool(post.needs), post.lease.empty)
    if way is not None:
        post.ways[feed.inlet], feed.in_parts = way, True
        return
    if feed.term is not None:
        made = feed.term.product(keep=bool(post.needs))
        current = made.reshape(*made.shape[:2], post.n)
    elif feed.dense is not None:
        current = _dense_product(feed, feed.dense, post)
    late = [call.tensors.get(("under way", feed.route.connection.path, k)) for k in range(feed.steps)]
    if current is not None and feed.steps:
        nothing = current.new_zeros(feed.steps, post.samples, post.n)
        current = torch.cat([nothing, current.expand(post.steps, -1, -1)])[: post.steps]
    if any(part is not None for part in late):
        if current is None:
            current = torch.zeros(post.steps, post.samples, post.n, dtype=post.dtype)
        for t, part in enumerate(late[: post.steps]):
            if part is not None:
                current[t] += part.detach().reshape(post.samples, post.n)
    if current is not None:
        before = post.currents.get(feed.inlet)
        post.currents[feed.inlet] = (current if before is None else before + current).contiguous()


def _dense_product(feed: Feed, signal: Tensor, post: KernelLayer) -> Tensor:
    weight = feed.weights["weight"]
    out = torch.empty(*signal.shape[:2], post.n, dtype=post.dtype)
    flat = signal.to(post.dtype).reshape(-1, weight.shape[1]).contiguous()
    products.dense_product(flat, post.packed(weight), post.n, out.view(-1, post.n), threads=post.threads)
    return out + feed.weights["bias"] if "bias" in feed.weights else out


def under_way(feed: Feed, post: KernelLayer, call: Call) -> dict[Key, Tensor]:
    """The currents that a route with steps still carries when the window ends, the next to arrive first."""
    found: dict[Key, Tensor] = {}
    path, shape = feed.route.connection.path, post.layer.shape
    for k in range(feed.steps):
        t = post.steps - feed.steps + k
        if t < 0:
            late = call.tensors.get(("under way", path, k + post.steps))
            found["under way", path, k] = torch.zeros(post.samples, *shape, dtype=post.dtype) if late is None else late
        else:
            term = Term(feed.route.connection.link, feed.route.connection.ends, _frame(feed, t, call), feed.weights)
            found["under way", path, k] = term.product(keep=False)[0].to(post.dtype)
    return found


def _frame(feed: Feed, t: int, call: Call) -> Tensor:
    """The signal of a route in one step, (1, B, *pre)."""
    shape = feed.route.connection.ends.pre
    if feed.origin is not None:
        origin = feed.origin
        if origin.bits is None:
            assert origin.values is not None
            frame = origin.values[t]
        else:
            bytes_ = origin.bits[t].view(np.uint8)
            frame = torch.from_numpy(np.unpackbits(bytes_, axis=-1, bitorder="little")[:, : origin.n]).to(origin.dtype)
        return frame.reshape(1, origin.samples, *shape)
    signal = _signal(feed, call)
    dense = signal.dense() if isinstance(signal, SpikeRows) else signal
    return dense[t : t + 1] if len(dense) > 1 else dense

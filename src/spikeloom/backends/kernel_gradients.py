"""What flows back from a population of the kernel path to what brought it current, window of steps by window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..native import products
from ..native.events import Columns, EventRows, columns, empty
from ..native.population import Target
from ..network.links.link import BackwardInParts
from .kernel_feeds import Feed
from .kernel_layer import KernelLayer
from .path import Key

Found = dict[Key, Tensor]
Ways = dict[int, BackwardInParts]
"""How products that were made in parts go back in parts, by inlet."""


def target_of(feed: Feed, pre: KernelLayer, post: KernelLayer) -> Target:
    """What a population's output gets back through a dense weight."""
    target = Target(width=post.width, size=post.n, rows=post.population.rows, delay=feed.steps)
    target.grad = post.current_gradient(feed.inlet).ctypes.data
    target.panels = pre.panels(feed.route.connection.path, feed.weights["weight"]).ctypes.data
    return target


def ways_back(feeds: Sequence[Feed], post: KernelLayer, needs: frozenset[Key]) -> Ways:
    """How the products of a population's feeds go back in parts; what they will find is named in the feed."""
    ways: Ways = {}
    for feed in feeds:
        if feed.term is None or not feed.in_parts:
            continue
        to_signal, names = feed.wanted(needs)
        room = post.lease.empty if feed.origin is not None else empty  # what leaves the block is not used again
        if (names or to_signal) and (made := feed.term.backward_in_parts(to_signal, names, room)) is not None:
            ways[feed.inlet], feed.found = made
    return ways


def add_gradients(feed: Feed, post: KernelLayer, needs: frozenset[Key], found: Found) -> Tensor | None:
    """Adds to what was found what a feed's weights, its signal and its currents under way get from a window; gives,
    apart, what a link that makes its current itself gives to a population of the block, (T, B, *pre)."""
    path = feed.route.connection.path
    signal: Key = ("signal", feed.route.source)
    _add_under_way(feed, post, needs, found)
    if feed.term is not None:
        return _add_by_link(feed, post, needs, found)
    if ("weight", path, "weight") in needs:
        _add_weight(feed, post, found)
    if ("weight", path, "bias") in needs:
        _add_bias(feed, post, found)
    if feed.origin is None and signal in needs:
        _add_signal(feed, post, found, signal)
    return None


def _add_under_way(feed: Feed, post: KernelLayer, needs: frozenset[Key], found: Found) -> None:
    first, last = post.window
    for t in range(first, min(feed.steps, last)):
        key: Key = ("under way", feed.route.connection.path, t)
        if key in needs:
            found[key] = post.dense_gradient(feed.inlet)[t - first]


def _add_by_link(feed: Feed, post: KernelLayer, needs: frozenset[Key], found: Found) -> Tensor | None:
    """The adjoint of the link's own product; it sees the whole window of the run at once."""
    assert feed.term is not None
    path, signal = feed.route.connection.path, ("signal", feed.route.source)
    made = feed.found
    if made is None:
        made = feed.term.gradients(_sent(post.dense_gradient(feed.inlet), feed.steps), *feed.wanted(needs))
    found.update({("weight", path, name): weight for name, weight in made.weights.items()})
    if feed.origin is not None:
        return made.signal
    if made.signal is not None:
        found[signal] = (found[signal] + made.signal).contiguous() if signal in found else _own(made.signal)
    return None


def _own(grad: Tensor) -> Tensor:
    """A gradient that leaves the block, in memory of its own: a link without weights passes on what it was given."""
    return grad.clone(memory_format=torch.contiguous_format)


def _sent(grad: Tensor, steps: int) -> Tensor:
    """A gradient of what arrives as one of what was sent `steps` steps before."""
    if not steps:
        return grad
    late = min(steps, len(grad))
    return torch.cat([grad[late:], grad.new_zeros(late, *grad.shape[1:])])


def _arrived(feed: Feed, post: KernelLayer) -> tuple[Any, int, int]:
    """The gradient of an inlet's current in the steps of the window in which the route brings something,
    [tile][row][width], and the steps in which that was sent, from and to."""
    first, last = post.window
    begin = max(first, feed.steps)
    end = max(begin, last)
    g = post.current_gradient(feed.inlet)[:, (begin - first) * post.samples : (end - first) * post.samples]
    return np.ascontiguousarray(g), begin - feed.steps, end - feed.steps


def _sum_for(found: Found, key: Key, shape: Any, post: KernelLayer) -> tuple[Tensor, bool]:
    """The sum of a gradient so far, and whether there is one; else memory for the first part."""
    before = key in found
    if not before:
        found[key] = torch.empty(shape, dtype=post.dtype)
    return found[key], before


def _add_weight(feed: Feed, post: KernelLayer, found: Found) -> None:
    if (rows := _rows(feed)) is not None:
        _add_by_events(feed, rows, post, found)
        return
    weight = feed.weights["weight"]
    out, before = _weight_sum(feed, post, found)
    dense = feed.dense if feed.origin is None or feed.dense is not None else feed.origin.raster
    assert dense is not None
    g, begin, end = _arrived(feed, post)
    constant = len(dense) == 1
    flat = (dense if constant else dense[begin:end]).to(post.dtype).reshape(-1, weight.shape[1]).contiguous()
    g = _summed(g, post) if constant else g
    products.dense_weight_gradient(flat, g, post.n, out, accumulate=before, threads=post.threads)


def _add_by_events(feed: Feed, rows: EventRows, post: KernelLayer, found: Found) -> None:
    """At once where the window is the whole run; else into sums that `write_sums` brings into the weight's order."""
    first, last = post.window
    g, shift = post.current_gradient(feed.inlet), first - feed.steps
    if last - first == post.steps:
        out, before = _weight_sum(feed, post, found)
        products.weight_gradient(rows, g, post.n, out, first_step=shift, accumulate=before, threads=post.threads)
        return
    events: EventRows | Columns = rows
    if g.shape[1] != (last - first) * post.samples:  # rows of a later window stand behind
        begin = max(0, shift)
        events = columns(rows, first_step=begin, n_steps=max(0, last - feed.steps - begin), threads=post.threads)
    feed.sums = feed.sums or products.WeightSums(post.n, post.threads)
    feed.sums.add(events, g, shift)


def write_sums(feed: Feed, post: KernelLayer, found: Found) -> None:
    """Brings the sums of the windows' weight gradients to what was found."""
    if feed.sums is not None:
        out, before = _weight_sum(feed, post, found)
        feed.sums.write(out, before)


def _weight_sum(feed: Feed, post: KernelLayer, found: Found) -> tuple[Tensor, bool]:
    return _sum_for(found, ("weight", feed.route.connection.path, "weight"), feed.weights["weight"].shape, post)


def _rows(feed: Feed) -> EventRows | None:
    """The events of a feed, where it has them."""
    if feed.inner and feed.origin is not None and feed.origin.bits is not None:
        return feed.origin.rows
    return feed.rows


def _add_bias(feed: Feed, post: KernelLayer, found: Found) -> None:
    """The kernel's own sum is over all steps, the last window on the way back completes it; a bias that is late has not
    come in all of them. Taking the others off would leave a rounding residue where the gradient is zero."""
    key: Key = ("weight", feed.route.connection.path, "bias")
    total = found.setdefault(key, torch.zeros(post.n, dtype=post.dtype))
    first, last = post.window
    if not feed.steps:
        if first == 0:
            total += post.bias_gradient(feed.inlet)
        return
    begin = min(max(first, feed.steps), last) - first
    rows = (begin * post.samples, (last - first) * post.samples)
    g = post.current_gradient(feed.inlet)
    products.bias_gradient(g, post.n, total, rows=rows, accumulate=True, threads=post.threads)


def _add_signal(feed: Feed, post: KernelLayer, found: Found, key: Key) -> None:
    weight, dense = feed.weights["weight"], feed.dense
    constant = dense is not None and len(dense) == 1
    n_steps, k = 1 if constant else post.steps, weight.shape[1]
    if key not in found:
        found[key] = torch.zeros(n_steps, post.samples, *feed.route.connection.ends.pre, dtype=post.dtype)
    g, begin, end = _arrived(feed, post)
    rows = found[key].view(n_steps, post.samples, k)
    rows = (rows if constant else rows[begin:end]).view(-1, k)
    g = _summed(g, post) if constant else g
    products.signal_gradient(g, post.n, weight.contiguous(), rows, accumulate=True, threads=post.threads)


def _summed(g: Any, post: KernelLayer) -> Any:
    """A tiled gradient summed over time: that of a constant signal."""
    n_steps = g.shape[1] // max(1, post.samples)
    return torch.from_numpy(g).view(post.tiles, n_steps, post.samples, post.width).sum(1).numpy()

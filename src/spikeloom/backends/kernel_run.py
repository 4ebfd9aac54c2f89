"""A block on the kernel path over a window: forward through its stages, and back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..kernels.model import width_for
from ..native import pool
from ..native.population import BLOCK, in_turn
from .kernel_feeds import Feed, add_currents, feeds_of, source_of, under_way
from .kernel_gradients import Found, Ways, add_gradients, target_of, ways_back, write_sums
from .kernel_layer import NEAR, Frame, KernelLayer
from .path import Call, Key, Tensors
from .plan import Layer, Stage
from .staged import Staged
from .windows import Kept, Windows, windows_of

if TYPE_CHECKING:
    from .kernel_path import KernelPath

NEAR_BACK = 1 << 24
"""How many bytes of planes go back together, about: what flows between populations does not go far away."""


class KernelRun:
    """The populations of a block, what brings them current, and what flows back through them, once.

    Where it goes back in windows of time the membranes are not kept: the state is, at the start of each, and the way
    back runs the window forward again.
    """

    def __init__(self, path: KernelPath, call: Call, needs: frozenset[Key]) -> None:
        self.path, self.call, self.needs = path, call, needs
        self.threads = path.threads_for(call)
        self.frame = Frame(call, needs, path.workspace.lease(), self.threads)
        self.layers: dict[str, KernelLayer] = {}
        self.feeds: dict[str, list[Feed]] = {}
        self.states: dict[tuple[str, int], NDArray[Any]] = {}
        self.windows: Windows = [(0, call.n_steps)]

    @property
    def sparing(self) -> bool:
        """Whether windows are run again on the way back."""
        return len(self.windows) > 1

    def forward(self) -> Found:
        """What comes out of the block by key."""
        if self.needs and self._may_spare():
            self.windows = windows_of(self.call, self._kept(), self.path.sparing)
        self.layers = {layer.path: self._made(layer) for layer in self.call.block.layers}
        for stage in self.call.block.stages:
            self._run(stage)
        results: Found = {}
        for path, layer in self.layers.items():
            results.update(self._results(path, layer))
        return results

    def _made(self, layer: Layer) -> KernelLayer:
        """A population with its kernels: all have them before the first current, which can move running means."""
        return KernelLayer(self.path.compiled(layer, self.needs, self.call.want[layer.path]), self.frame)

    def _may_spare(self) -> bool:
        """Whether a window's way back needs nothing of other windows: a link that makes its current itself does."""
        return all(self.path.in_kernel(layer) for layer in self.call.block.layers)

    def _kept(self) -> dict[str, Kept]:
        """What each population keeps in a step."""
        kept = {}
        for layer in self.call.block.layers:
            first, n = self.call.tensors["state", layer.path, 0], math.prod(layer.shape)
            model = self.path.compiled(layer, self.needs, self.call.want[layer.path]).model
            padded = -(-n // width_for(n)) * width_for(n)
            kept[layer.path] = Kept(model, model.planes * len(first) * padded * first.element_size())
        return kept

    def _run(self, stage: Stage) -> None:
        layers = [self.layers[layer.path] for layer in stage.layers]
        for post in layers:
            feeds = list(feeds_of(post, self.layers, stage.paths, self.call))
            inlets = Counter(feed.inlet for feed in feeds)
            for feed in feeds:
                add_currents(feed, post, self.call, alone=not stage.stepped and inlets[feed.inlet] == 1)
            post.prepare([source for feed in feeds if (source := source_of(feed, post)) is not None])
            self.feeds[post.layer.path] = feeds
            if self.needs and not self.sparing:
                post.keep()
        for first, last in self.windows:
            for post in layers:
                if self.sparing:
                    self.states[post.layer.path, first] = post.state.copy()
                post.to_window(first, last)
            self._forward(stage)

    def _forward(self, stage: Stage) -> None:
        if stage.stepped:
            self.in_turn("forward", stage)
        else:
            self.layers[stage.layers[0].path].run()

    def in_turn(self, way: str, stage: Stage) -> None:
        """Takes the populations of a loop through their window, forward or backward."""
        layers = [self.layers[layer.path] for layer in stage.layers]
        parts = [(p.library, f"{way}_step_{p.suffix}", p.population) for p in layers]
        units = layers[0].teams if way == "forward" else layers[0].blocks
        together = max(1, units) if way == "forward" and self._heavy(stage) else 1
        pool.run(lambda a, b: in_turn(f"steps_{way}", parts, layers[0].window, together, a, b), units, self.threads)

    def _heavy(self, stage: Stage) -> bool:
        """Whether the weights of a loop are too large for the cache: then all samples use them tile by tile."""
        weights = [w for p in stage.layers for f in self.feeds[p.path] if f.inner for w in f.weights.values()]
        return sum(w.numel() * w.element_size() for w in weights) > NEAR

    def _results(self, path: str, layer: KernelLayer) -> Found:
        shape = (layer.steps, layer.samples, *layer.layer.shape)
        found: Found = {("trace", path, name): t.view(shape) for name, t in layer.traces.items()}
        if "spikes" in self.call.want[path] or layer.bits is None:
            found["spikes", path] = layer.raster.view(shape)
        if layer.bits is not None:
            found["bits", path] = torch.from_numpy(layer.bits.view(np.int64).copy())
        found.update({("state", path, k): part for k, part in enumerate(layer.tensors_of(layer.state))})
        for feed in self.feeds[path]:
            found.update(under_way(feed, layer, self.call))
            found.update(feed.term.states() if isinstance(feed.term, Staged) else {})
        return found

    # ---- the way back

    def backward(self, grads: Tensors) -> Found:
        """The gradients of what was needed; once."""
        found: Found = {}
        for layer in self.layers.values():
            layer.prepare_back(grads)
        given = {
            path: self.layers[path].as_plane(grads["spikes", path]) for path in self.layers if ("spikes", path) in grads
        }
        for first, last in reversed(self.windows):
            if self.sparing:
                self._again(first, last)
            WayBack(self, dict(given), found).run()
        for path, layer in self.layers.items():
            found.update(layer.own_gradients())
            for feed in self.feeds[path]:
                write_sums(feed, layer, found)
        return found

    def _again(self, first: int, last: int) -> None:
        """Runs a window forward once more, and this time keeps what the way back needs."""
        ahead = max((feed.steps for feeds in self.feeds.values() for feed in feeds), default=0)
        for path, layer in self.layers.items():
            layer.to_window(first, last)
            layer.state[:] = self.states[path, first]
            layer.forget_traces()
            layer.keep(ahead)
        for stage in self.call.block.stages:
            self._forward(stage)


class WayBack:
    """The way back through the stages of a block, in a window of steps.

    outside: what reaches the outputs of populations from elsewhere, by path, (T, B, n). Stages that are no loops are
    gathered, and taken back together for a block of samples at a time, as long as nothing needs one of them whole.
    """

    def __init__(self, run: KernelRun, outside: dict[str, Tensor], found: Found) -> None:
        self.of, self.outside, self.found = run, outside, found
        self.gathered: list[tuple[KernelLayer, Ways]] = []

    def run(self) -> None:
        for stage in reversed(self.of.call.block.stages):
            layers = [self.of.layers[layer.path] for layer in stage.layers]
            for pre in layers:
                self._receive(pre)
            if stage.stepped:
                self._take_back()
                self.of.in_turn("backward", stage)
                self._add_gradients(layers)
                continue
            (post,) = layers
            feeds = self.of.feeds[post.layer.path]
            self.gathered.append((post, ways_back(feeds, post, self.of.needs)))
            if not all(self._ahead(feed) for feed in feeds):
                self._take_back()
        self._take_back()

    def _receive(self, pre: KernelLayer) -> None:
        targets = [
            target_of(feed, pre, self.of.layers[taker])
            for taker, feeds in self.of.feeds.items()
            for feed in feeds
            if feed.origin is pre and feed.term is None
        ]
        pre.receive(targets, self.outside.get(pre.layer.path))

    def _ahead(self, feed: Feed) -> bool:
        """Names the memory that a feed's signal gets its gradient in before it stands there, where that may be."""
        source = feed.route.source
        if feed.origin is None or feed.term is None:
            return True
        if feed.found is None or feed.found.signal is None or source in self.outside:
            return False
        self.outside[source] = feed.origin.as_plane(feed.found.signal)
        feed.ahead = True
        return True

    def _take_back(self) -> None:
        """Takes the gathered populations back, then makes the gradients that need them whole."""
        layers = [layer for layer, _ in self.gathered]
        ways = [way for _, of_layer in self.gathered for way in of_layer.values()]
        n_samples = layers[0].samples if layers else 0
        unit = max([BLOCK, *(way.part for way in ways)])  # both are powers of two
        part = max(1, _near_part(layers) // unit) * unit

        def some(begin: int, end: int) -> None:
            for first in range(begin * part, min(end * part, n_samples), part):
                for layer, of_layer in self.gathered:
                    layer.run_back(first, min(first + part, n_samples), of_layer)

        pool.run(some, -(-n_samples // part), self.of.threads)
        for way in ways:
            way.finish()
        self.gathered = []
        self._add_gradients(layers)

    def _add_gradients(self, layers: Sequence[KernelLayer]) -> None:
        for post in layers:
            for feed in self.of.feeds[post.layer.path]:
                back = add_gradients(feed, post, self.of.needs, self.found)
                if back is not None and not feed.ahead:
                    source = feed.route.source
                    grad = self.of.layers[source].as_plane(back)
                    self.outside[source] = self.outside[source] + grad if source in self.outside else grad


def _near_part(layers: Sequence[KernelLayer]) -> int:
    """How many samples go back through all populations together so that what flows between them stays near; blocks."""
    if not layers:
        return BLOCK
    first, last = layers[0].window
    of_block = BLOCK * (last - first) * sum(layer.tiles * layer.width * layer.state.itemsize for layer in layers)
    threads = layers[0].threads
    return BLOCK * max(1, min(NEAR_BACK // max(1, of_block), -(-layers[0].blocks // threads)))

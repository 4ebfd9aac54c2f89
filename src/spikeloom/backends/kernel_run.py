"""A block on the kernel path over a window: forward through its stages, and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..native import pool
from ..native.population import in_turn
from .kernel_feeds import Feed, add_currents, feeds_of, source_of, under_way
from .kernel_gradients import Found, add_gradients, target_of
from .kernel_layer import Frame, KernelLayer
from .path import Call, Key, Tensors
from .plan import Stage

if TYPE_CHECKING:
    from .kernel_path import KernelPath


class KernelRun:
    """The populations of a block, what brings them current, and what flows back through them, once.

    In the sparing mode the membranes are not kept: the state is, every so many steps, and the way back runs each window
    between two of these forward again.
    """

    def __init__(self, path: KernelPath, call: Call, needs: frozenset[Key]) -> None:
        self.path, self.call, self.needs = path, call, needs
        self.threads = path.threads_for(call)
        self.frame = Frame(call, needs, path.workspace.lease(), self.threads)
        self.layers: dict[str, KernelLayer] = {}
        self.feeds: dict[str, list[Feed]] = {}
        self.states: dict[tuple[str, int], NDArray[Any]] = {}
        self.windows = [(0, call.n_steps)]

    @property
    def sparing(self) -> bool:
        """Whether windows are run again on the way back."""
        return len(self.windows) > 1

    def forward(self) -> Found:
        """What comes out of the block by key."""
        if self.needs and self.path.sparing and self._may_spare():
            size = max(1, math.isqrt(self.call.n_steps))
            self.windows = [(a, min(a + size, self.call.n_steps)) for a in range(0, self.call.n_steps, size)]
        for stage in self.call.block.stages:
            self._run(stage)
        results: Found = {}
        for path, layer in self.layers.items():
            results.update(self._results(path, layer))
        return results

    def _may_spare(self) -> bool:
        """Whether a window's way back needs nothing of other windows: a link that makes its current itself does."""
        return all(self.path.in_kernel(layer) for layer in self.call.block.layers)

    def _run(self, stage: Stage) -> None:
        for layer in stage.layers:
            compiled = self.path.compiled(layer, self.needs, self.call.want[layer.path])
            self.layers[layer.path] = KernelLayer(compiled, self.frame)
        layers = [self.layers[layer.path] for layer in stage.layers]
        for post in layers:
            feeds = list(feeds_of(post, self.layers, stage.paths, self.call))
            for feed in feeds:
                add_currents(feed, post, self.call)
            post.prepare([source for feed in feeds if (source := source_of(feed, post)) is not None])
            self.feeds[post.layer.path] = feeds
            if self.needs and not self.sparing:
                post.keep()
        for first, last in self.windows:
            for post in layers:
                if self.sparing:
                    self.states[post.layer.path, first] = post.state.copy()
                post.to_window(first, last)
            self._step("forward", stage)

    def _step(self, way: str, stage: Stage) -> None:
        """Takes the populations of a stage through their window, forward or backward."""
        layers = [self.layers[layer.path] for layer in stage.layers]
        if not stage.stepped:
            layers[0].run() if way == "forward" else layers[0].run_back()
            return
        parts = [(p.library, f"{way}_step_{p.suffix}", p.population) for p in layers]
        units = layers[0].teams if way == "forward" else layers[0].blocks
        pool.run(lambda a, b: in_turn(f"steps_{way}", parts, *layers[0].window, a, b), units, self.threads)

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
            outside = dict(given)
            for stage in reversed(self.call.block.stages):
                self._back(stage, outside, found)
        for layer in self.layers.values():
            found.update(layer.own_gradients())
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
            self._step("forward", stage)

    def _back(self, stage: Stage, outside: dict[str, Tensor], found: Found) -> None:
        layers = [self.layers[layer.path] for layer in stage.layers]
        for pre in layers:
            targets = [
                target_of(feed, pre, self.layers[taker])
                for taker, feeds in self.feeds.items()
                for feed in feeds
                if feed.origin is pre and feed.term is None
            ]
            pre.receive(targets, outside.get(pre.layer.path))
        self._step("backward", stage)
        for post in layers:
            for feed in self.feeds[post.layer.path]:
                if (back := add_gradients(feed, post, self.needs, found)) is not None:
                    source = feed.route.source
                    grad = self.layers[source].as_plane(back)
                    outside[source] = outside[source] + grad if source in outside else grad

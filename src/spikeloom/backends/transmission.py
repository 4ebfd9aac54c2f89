"""What a connection does beside its plain product: synapses around it, delays of single synapses, gap junctions."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..network import Connection, LearnedDelays
from ..network.links import Ends, Full, Link, OneToOne, Signal, Sparse, SpikeRows
from ..network.parameters import as_array
from ..network.synapses import Stage, Window
from .lags import Lags, Late, after_delays, over_lags
from .product import Term, product

if TYPE_CHECKING:
    from .path import Call, Key

_SYNAPSES = Sparse()
States = tuple[Tensor, ...]


class Transmission:
    """A connection on its way through a window, with the state of its synapses.

    spread: how many steps later than the others the current of the slowest synapse arrives. stands_in: see `product`.
    """

    def __init__(
        self, connection: Connection, weights: Mapping[str, Tensor], call: Call, stands_in: Tensor | None = None
    ) -> None:
        self.connection, self.call, self.weights, self._stands_in = connection, call, weights, stands_in
        own = {"delay", "sigma", *(name for stage in connection.synapses.stages for name in stage.parameters)}
        self.link_weights = {name: w for name, w in weights.items() if name not in own}
        if isinstance(connection.delay, LearnedDelays):
            connection.delay.check(f"{connection.path}.delay", as_array(weights["delay"]))
        self.spread, self._list = self._spread(), Sparse()  # a list of its own: what it keeps goes with the run
        device = next(iter(call.tensors.values())).device
        words = np.random.SeedSequence([call.seed, zlib.crc32(connection.path.encode())]).generate_state(1, np.uint64)
        self.generator = torch.Generator(device).manual_seed(int(words[0]) >> 1)
        self._states: dict[tuple[str, int], States] = {}

    def current(self, signal: Signal, *, stepped: bool = False) -> Tensor:
        """The current (T + spread, B, *post) that a signal (T, B, *pre) causes from its first step on.

        stepped: whether it is that of one step among others; else a constant signal is spread over the window.
        """
        synapses = self.connection.synapses
        window = Window(self.call.dt, self.call.training, self.generator, stepped)
        if isinstance(signal, Tensor) and not stepped:
            signal = signal.expand(self.call.n_steps, *signal.shape[1:])
        if synapses.before:
            signal = self._through("before", synapses.before, *self._entered(signal), window)
        current = self._delayed(signal) if "delay" in self.weights else self._product(signal)
        return self._through("after", synapses.after, current, 0, window)

    def gap(self, pre: Tensor, post: Tensor, back: bool) -> Tensor:
        """The current (B, *shape) into the post population, w (v_pre - v_post); back: into the pre one."""
        link, ends, weights = self.connection.link, self.connection.ends, self.link_weights
        if back:
            link, ends, weights = _transposed(link, ends, weights)
            pre, post = post, pre
        given, shared = (product(Term(link, ends, v[None], weights))[0] for v in (pre, torch.ones_like(pre)))
        return given - shared * post

    def results(self) -> dict[Key, Tensor]:
        """The state of its synapses, as a run that continues takes it."""
        path, each = self.connection.path, self._states.items()
        return {("under way", path, side, k, j): part for (side, k), state in each for j, part in enumerate(state)}

    def _entered(self, signal: Signal) -> tuple[Tensor, int]:
        """A signal as values, and how many stages it has passed: events pass the first by its link, if it has one."""
        if not isinstance(signal, SpikeRows):
            return signal, 0
        stage = self.connection.synapses.before[0]
        if (link := stage.link()) is None:
            return signal.dense(), 0
        ends = Ends(signal.shape, stage.shape(self.connection.path, signal.shape))
        return product(Term(link, ends, signal, {}), self._stands_in), 1

    def _through(self, side: str, stages: tuple[Stage, ...], x: Tensor, passed: int, window: Window) -> Tensor:
        for k, stage in enumerate(stages[passed:], passed):
            state = self._states.get((side, k)) or self._state(side, k, stage, x[0])
            x, self._states[side, k] = stage.apply(x, state, self.weights, window)
        return x

    def _state(self, side: str, k: int, stage: Stage, x: Tensor) -> States:
        rest, path = stage.initial(x.detach()), self.connection.path
        return tuple(self.call.tensors.get(("under way", path, side, k, j), part) for j, part in enumerate(rest))

    def _product(self, signal: Signal) -> Tensor:
        return product(Term(self.connection.link, self.connection.ends, signal, self.link_weights), self._stands_in)

    def _spread(self) -> int:
        if isinstance(delay := self.connection.delay, LearnedDelays):
            return round(delay.max / self.call.dt)
        return int(self._late.max()) if "delay" in self.weights and self._late.numel() else 0

    @property
    def _late(self) -> Tensor:
        """The delay of each synapse in steps."""
        return torch.round(self.weights["delay"].flatten().double() / self.call.dt).long()

    @cached_property
    def _synapses(self) -> tuple[Tensor, Tensor, Tensor, list[int], list[int]]:
        """(post, pre), weight and delay of each synapse, in order of delays; which there are, how many have each."""
        weight, late = self.weights["weight"].flatten(), self._late
        if "indices" in self.weights:
            pairs = self.weights["indices"]
        elif isinstance(self.connection.link, OneToOne):
            pairs = torch.arange(len(weight), device=weight.device).expand(2, -1)
        else:
            places = torch.arange(len(weight), device=weight.device)
            n_pre = self.weights["weight"].shape[1]
            pairs = torch.stack([places // n_pre, places % n_pre])
        order = torch.argsort(late, stable=True)
        delays, counts = torch.unique_consecutive(late[order], return_counts=True)
        return pairs[:, order], weight[order], late[order], delays.tolist(), counts.tolist()

    @cached_property
    def _places(self) -> Tensor:
        """The synapses as those of targets that stand there once for each delay, the shortest first."""
        pairs, _, late, _, _ = self._synapses
        return torch.stack([late * math.prod(self.connection.ends.post) + pairs[0], pairs[1]])

    def _delayed(self, signal: Signal) -> Tensor:
        """The current of a window in which each synapse has its own delay."""
        ends, n_post = self.connection.ends, math.prod(self.connection.ends.post)
        n_steps = signal.n_steps if isinstance(signal, SpikeRows) else len(signal)
        learns = isinstance(self.connection.delay, LearnedDelays) and self.call.training
        total = self._over_lags(signal) if learns else self._each_delay(signal, n_steps, n_post)
        if "bias" in self.weights:
            bias = self.weights["bias"].expand(n_steps, 1, n_post)
            total = total + F.pad(bias, (0, 0, 0, 0, 0, self.spread))
        return total.reshape(*total.shape[:2], *ends.post)

    def _over_lags(self, signal: Signal) -> Tensor:
        """The current (T + spread, B, n_post) of delays that learn."""
        link, ends, sigma = self.connection.link, self.connection.ends, float(self.weights["sigma"])
        beside = {name: w for name, w in self.link_weights.items() if name == "indices"}
        lags = Lags(link, ends, signal, beside, self.spread + 1, sigma, self.call.dt)
        return over_lags(lags, self.weights["weight"], self.weights["delay"])

    def _each_delay(self, signal: Signal, n_steps: int, n_post: int) -> Tensor:
        """The current (T + spread, B, n_post) of whole steps of delay, in memory of the synapses."""
        pairs, weight, _, delays, counts = self._synapses
        if n_steps == 1:
            made = self._sparse(signal, self._places, weight, (self.spread + 1) * n_post)[0]
            return made.view(len(made), self.spread + 1, n_post).transpose(0, 1)
        way = Late(Ends(self.connection.ends.pre, (n_post,)), signal, pairs, delays, counts, self.spread)
        return after_delays(way, weight)

    def _sparse(self, signal: Signal, pairs: Tensor, weight: Tensor, n_post: int) -> Tensor:
        ends = Ends(self.connection.ends.pre, (n_post,))
        return product(Term(self._list, ends, signal, {"indices": pairs, "weight": weight}))


def _transposed(link: Link, ends: Ends, weights: Mapping[str, Tensor]) -> tuple[Link, Ends, dict[str, Tensor]]:
    """The link from the targets to the sources through the same weights."""
    turned = Ends(ends.post, ends.pre)
    if "indices" in weights:
        return _SYNAPSES, turned, {"indices": weights["indices"].flip(0), "weight": weights["weight"]}
    if isinstance(link, OneToOne):
        return link, turned, dict(weights)
    return Full(), turned, {"weight": weights["weight"].t()}

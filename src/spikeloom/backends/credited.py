"""What the torch path does to give credit as a learner says: see `network.credit`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import UnsupportedError
from ..network.credit import Credit
from ..network.links import Signal, SpikeRows
from .plan import Route
from .product import Term

if TYPE_CHECKING:
    from .path import Call, Key


class Credited:
    """The terms of a block's connections, with what stands for signal and weights on the way back."""

    def __init__(self, call: Call) -> None:
        self.credit: Credit = call.credit
        self._call = call
        self._traces: dict[tuple[str, ...], Tensor] = {}
        routes = (route for layer in call.block.layers for b in layer.branches for route in b.routes)
        extras = [f"{r.connection.path}, {r.connection.extras}" for r in routes if r.connection.extras]
        if extras and not self.credit.is_plain:
            raise UnsupportedError(f"only credit 'bptt' passes {extras[0]}; leave that, or the credit, out")

    def signal(self, x: Tensor) -> Tensor:
        """What a population sends to a later step."""
        return x if self.credit.carry else x.detach()

    def state(self, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What is kept from one step for the next."""
        return parts if self.credit.carry else tuple(part.detach() for part in parts)

    def term(self, route: Route, signal: Signal, weights: Mapping[str, Tensor]) -> Term:
        """A connection with what it carries over some steps; where traces take the place of spikes, in every step."""
        c = route.connection
        if self.credit.trace is not None and route.source not in self._call.block.paths:
            dense = signal.dense() if isinstance(signal, SpikeRows) else signal
            signal = dense.expand(self._call.n_steps, *dense.shape[1:])
        term = Term(c.link, c.ends, signal, weights)
        if self.credit.trace is not None and isinstance(signal, Tensor):
            trace = self._trace(route, signal.detach(), self.credit.trace)
            term.pre = lambda: trace
        if self.credit.back != "weights" and "weight" in weights:
            term.back = {**weights, "weight": self._back(c.path, weights["weight"].detach())}
        return term

    def results(self) -> dict[Key, Tensor]:
        """The traces, as a run that continues takes them."""
        return {("under way", *key, "trace"): trace for key, trace in self._traces.items()}

    def _back(self, path: str, weight: Tensor) -> Tensor:
        """What stands for a weight on the way back: its signs, or random numbers, times its mean magnitude."""
        if self.credit.back == "sign":
            return torch.sign(weight) * weight.abs().mean()
        return _random(self.credit.seed, path, tuple(weight.shape)).to(weight) * weight.abs().mean()

    def _trace(self, route: Route, spikes: Tensor, decay: float) -> Tensor:
        """The decaying sum of past spikes in each of these steps, (T, B, *shape)."""
        trace = self._traces.get(route.key)
        if trace is None:
            trace = self._call.tensors.get(("under way", *route.key, "trace"), torch.zeros_like(spikes[0]))
        found = []
        for step in spikes:
            trace = trace * decay + step
            found.append(trace)
        self._traces[route.key] = trace
        return torch.stack(found)


@lru_cache(maxsize=64)
def _random(seed: int, path: str, shape: tuple[int, ...]) -> Tensor:
    drawn = np.random.default_rng([seed, zlib.crc32(path.encode())])
    return torch.from_numpy(drawn.standard_normal(shape))

"""What the torch path does to give credit as a learner says: see `network.credit`."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UnsupportedError
from ..network import Network, NeuronGroup
from ..network.credit import Credit
from ..network.links import Signal, SpikeRows
from ..neurons import Graded, advance
from .nodes import groups_behind
from .ops import XP, fire
from .plan import Layer, Route
from .product import Term
from .rules import changing

if TYPE_CHECKING:
    from .path import Call, Key


class Credited:
    """The terms of a block's connections, with what stands for signal and weights on the way back."""

    def __init__(self, call: Call) -> None:
        self.credit: Credit = call.credit
        self._call = call
        self._changing = changing(call.rules, call.training)
        self._traces: dict[tuple[str, ...], Tensor] = {}
        self._beside: dict[str, dict[int, Tensor]] = {}
        routes = (route for layer in call.block.layers for b in layer.branches for route in b.routes)
        extras = [f"{r.connection.path}, {r.connection.extras}" for r in routes if r.connection.extras]
        if extras and not self.credit.is_plain:
            raise UnsupportedError(f"only credit 'bptt' passes {extras[0]}; leave that, or the credit, out")
        if self.credit.post_trace is not None:
            self._check_post_trace()

    def signal(self, x: Tensor) -> Tensor:
        """What a population sends to a later step."""
        return x if self.credit.carry else x.detach()

    def state(self, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What is kept from one step for the next."""
        return parts if self.credit.carry else tuple(part.detach() for part in parts)

    def term(self, route: Route, signal: Signal, weights: Mapping[str, Tensor]) -> Term:
        """A connection with what it carries over some steps; where traces take the place of spikes, in every step."""
        c = route.connection
        stepped = route.source in self._call.block.paths or c.path in self._changing
        if self.credit.trace is not None and not stepped:
            dense = signal.dense() if isinstance(signal, SpikeRows) else signal
            signal = dense.expand(self._call.n_steps, *dense.shape[1:])
        alone = self.credit.back == "none" or (not self.credit.relay and _fires(c.post))
        if alone and isinstance(signal, Tensor):
            signal = signal.detach()
        term = Term(c.link, c.ends, signal, weights)
        if self.credit.post_trace is not None:
            term.beside = lambda: self._errors(c.post.path)
        if self.credit.trace is not None and isinstance(signal, Tensor):
            trace = self._trace(route, signal.detach(), self.credit.trace)
            term.pre = lambda: trace
        if self.credit.back in ("random", "adaptive", "sign") and "weight" in weights:
            term.back = {**weights, "weight": self._back(c.path, weights["weight"].detach())}
        return term

    def advanced(self, neuron: Any, state: Any, given: Any) -> tuple[Tensor, Any]:
        """Output and state of a population after one step; without relay no gradient passes the reset."""
        output, after = advance(neuron, state, given, self._call.dt, XP, fire)
        if self.credit.relay or isinstance(neuron.emission.forward, Graded):
            return output, after
        held = neuron.bound({"emission": replace(neuron.emission, detach_reset=True)})
        _, apart = advance(held, state, given, self._call.dt, XP, fire)
        name = neuron.emission.variable
        return output, after._replace(**{name: getattr(apart, name)})

    def emitted(self, layer: Layer, t: int, neuron: Any, state: Any, given: Any, output: Tensor) -> None:
        """Takes what a population emitted in a step, from the state before it and what was given: for `post_trace`,
        its psi, d(output)/d(given), and on the way back the error of its output times the trace of psi."""
        if self.credit.post_trace is None or isinstance(neuron.emission.forward, Graded) or not layer.branches:
            return
        with torch.enable_grad():
            leaf, before = given.detach().requires_grad_(), type(state)(*(part.detach() for part in state))
            (psi,) = torch.autograd.grad(advance(neuron, before, leaf, self._call.dt, XP, fire)[0].sum(), leaf)
        key = (*layer.branches[0].routes[0].key, "psi")
        kept = self._traces.get(key, self._call.tensors.get(("under way", *key, "trace")))
        trace = self._traces[key] = psi if kept is None else kept * self.credit.post_trace + psi
        if output.requires_grad:
            errors = self._beside.setdefault(layer.path, {})
            output.register_hook(lambda error: errors.__setitem__(t, error * trace))  # type: ignore[no-untyped-call]

    def _errors(self, path: str) -> Tensor | None:
        """What `emitted` took of a population on the way back, (T, B, *shape)."""
        if not (found := self._beside.get(path, {})):
            return None
        nothing = torch.zeros_like(next(iter(found.values())))
        return torch.stack([found.get(t, nothing) for t in range(self._call.n_steps)])

    def _check_post_trace(self) -> None:
        """Raises UnsupportedError for what has no trace of psi."""
        for layer in self._call.block.layers:
            for branch in layer.branches:
                path = branch.routes[0].connection.path
                late = any(r.steps or r.source in self._call.block.paths for r in branch.routes)
                if late or branch.filter is not None or len(type(layer.neuron).ports) > 1:
                    raise UnsupportedError(
                        f"credit with post_trace takes connections without delay, loop and filter, into neurons with "
                        f"one port, on TorchBackend(schedule='auto'); connection {path!r} is none: leave post_trace out"
                    )

    def results(self) -> dict[Key, Tensor]:
        """The traces, as a run that continues takes them."""
        return {("under way", *key, "trace"): trace for key, trace in self._traces.items()}

    def _back(self, path: str, weight: Tensor) -> Tensor:
        """What stands for a weight on the way back: its signs, or random numbers, times its mean magnitude; or the
        weight and a random number."""
        if self.credit.back == "sign":
            return torch.sign(weight) * weight.abs().mean()
        drawn = _random(self.credit.seed, path, tuple(weight.shape)).to(weight)
        if self.credit.back == "adaptive":
            return weight + drawn / math.sqrt(math.prod(weight.shape[1:]))
        return drawn * weight.abs().mean()

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


def check_taught(network: Network) -> None:
    """Raises UnsupportedError where spikes pass no errors on, and a population that fires has nothing that teaches it:
    no read-out that it leads to, no decoder, no loss."""
    if network.credit.relay:
        return
    taught = {decoder.target.path for decoder in network.decoders} | {tap.target.path for tap in network.taps}
    taught |= {part.path for c in network.connections if not _fires(c.post) for part in groups_behind(c.pre)}
    for group in network.spiking:
        if group.path not in taught:
            raise UnsupportedError(
                f"credit without relay (e-prop): {group.path!r} leads to no read-out, so that no error reaches it; "
                "connect it to a group of model 'li' that is decoded"
            )


def _fires(group: NeuronGroup) -> bool:
    return not isinstance(group.neuron.emission.forward, Graded)


@lru_cache(maxsize=64)
def _random(seed: int, path: str, shape: tuple[int, ...]) -> Tensor:
    drawn = np.random.default_rng([seed, zlib.crc32(path.encode())])
    return torch.from_numpy(drawn.standard_normal(shape))

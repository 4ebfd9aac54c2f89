"""Plasticity in a run of a network: the rules of its learners, step by step, on tensors.

A run changes copies of the weights and of what rules add to neuron parameters; they take the place of those in the
parameter store when the run is done, so that a run that fails changes nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, ParameterError, ShapeError, UnsupportedError
from ..network import Connection, Network
from ..network.links import Ends, Link, OneToOne, SynapseList
from ..network.rewards import Reward
from ..network.rules import Plasticity
from ..plasticity import Rule
from ..plasticity.stepping import RuleState, Stepper
from .ops import XP
from .product import Term
from .rewarded import Rewarded

if TYPE_CHECKING:
    from .path import Call, Key
    from .stepping import Population, Traffic


def plasticities(network: Network) -> list[Plasticity]:
    """The rules of a run, by learner, each at a connection that takes part."""
    running = {id(connection) for connection in network.connections}
    return [p for learner in network.learners for p in learner.plasticities() if id(p.connection) in running]


def ties(network: Network) -> list[tuple[str, str]]:
    """Pairs of populations that must be stepped together, so that a rule at the second sees each step of the first."""
    found = []
    for p in plasticities(network):
        post = p.connection.post.path
        if p.rule.read("pre"):
            found.append((p.connection.pre.path, post))
        if isinstance(p.modulator, tuple):
            found.append((p.modulator[0].path, post))
        if isinstance(p.modulator, Reward) and not p.modulator.given_whole:
            found.append((p.modulator.target.path, post))
    return found


class Rules:
    """The rules of a build with the tensors that they change: weights, offsets, and how many runs they learnt in."""

    def __init__(self, network: Network, weights: Mapping[str, Mapping[str, Tensor]], buffers: Mapping[str, Tensor]):
        self.all = plasticities(network)
        self._network = network
        self._weights = {p.connection.path: weights[p.connection.path]["weight"] for p in self.all}
        names = [*(p.offset(target) for p in self.all for target in p.targets), *(p.runs for p in self.all)]
        self._kept = {name: buffers[name] for name in names if name in buffers}
        _check_shared(network, self.all)

    def active(self) -> list[Plasticity]:
        """The rules that learn in a run that comes now."""
        return [p for p in self.all if self._network.training and p.rule.lr > 0]

    def check_batch(self, batch: int) -> None:
        """Raises ParameterError where a batch has no stated meaning for a rule that learns."""
        for p in self.active() if batch > 1 else ():
            if p.batch is None:
                raise ParameterError(
                    f"learner {p.learner!r}: what a batch of {batch} means to a rule is not stated; give batch='mean', "
                    "'sum' or, for samples one after another, 'sequential' and one sample a run"
                )
            if p.batch == "sequential":
                raise ParameterError(f"learner {p.learner!r}: batch='sequential' takes one sample a run, got {batch}")

    def placed(self, path: str, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The weights of a connection for a run: a copy of what a rule changes in it."""
        if any(p.connection.path == path and p.changes_weights for p in self.active()):
            return {**weights, "weight": weights["weight"].detach().clone()}
        return weights

    def of(self, paths: Collection[str]) -> list[Plasticity]:
        """The rules at connections into some populations."""
        return [p for p in self.all if p.connection.post.path in paths]

    def tensors(self, paths: Collection[str]) -> dict[Key, Tensor]:
        """What the rules of some populations keep from run to run."""
        names = {n for p in self.of(paths) for n in (*map(p.offset, p.targets), p.runs)}
        return {("kept", name): self._kept[name] for name in sorted(names & self._kept.keys())}

    def commit(self, results: Mapping[Key, Tensor]) -> None:
        """Puts what a run has learnt in place; DataError, and no change, where that is NaN or infinite."""
        for key, learnt in results.items():
            if key[0] in ("learnt", "kept", "to gradient") and not bool(torch.isfinite(learnt).all()):
                raise DataError(
                    f"what a rule makes of {key[1]!r} became NaN or infinite in this run, which leaves all as it was; "
                    "give the rule a smaller lr, or bounds: w_min, w_max"
                )
        with torch.no_grad():
            for key, learnt in results.items():
                if key[0] == "learnt":
                    self._weights[str(key[1])].copy_(learnt)
                elif key[0] == "kept":
                    self._kept[str(key[1])].copy_(learnt)
                elif key[0] == "to gradient":
                    weight = self._weights[str(key[1])]
                    weight.grad = -learnt if weight.grad is None else weight.grad - learnt


def _check_shared(network: Network, rules: Sequence[Plasticity]) -> None:
    """Raises ParameterError where gradients and a rule would both change a connection."""
    for p in rules:
        others = [o for o in network.learners if o.by_gradient and o.trains(p.connection)] if p.changes_weights else []
        if others:
            raise ParameterError(
                f"connection {p.connection.path!r} is changed by the rule of learner {p.learner!r} and trained by "
                f"gradients of learner {others[0].path!r}; leave it out of one of them: trainable=[...]"
            )


class Structure:
    """The synapses of a connection on tensors: see `plasticity.stepping.Synapses`.

    in_place: whether weights that it is given may be written to.
    """

    def __init__(self, connection: Connection, rule: Rule, weights: Mapping[str, Tensor], call: Call, in_place: bool):
        self.link: Link = connection.link
        self.ends: Ends = connection.ends
        self.path, self.in_place = connection.path, in_place
        self._weights = dict(weights)
        self._edges = edges_of(connection, rule, weights)
        self._generator: torch.Generator | None = None
        if rule.rounding:
            words = np.random.SeedSequence([call.seed, zlib.crc32(self.path.encode()), call.begun])
            seed = int(words.generate_state(1, np.uint64)[0]) >> 1
            self._generator = torch.Generator(weights["weight"].device).manual_seed(seed)

    def outer(self, pre: Tensor, post: Tensor) -> Tensor:
        term = Term(self.link, self.ends, pre[None], self._weights)
        return term.gradients(post[None], False, ["weight"]).weights["weight"]

    def each(self, pre: Tensor, post: Tensor) -> Tensor:
        return torch.stack([self.outer(pre[k : k + 1], post[k : k + 1]) for k in range(len(post))])

    def back(self, post: Tensor, weights: Tensor) -> Tensor:
        signal = post.new_zeros(1, len(post), *self.ends.pre)
        found = Term(self.link, self.ends, signal, {**self._weights, "weight": weights}).gradients(post[None], True, [])
        assert found.signal is not None
        return found.signal[0]

    def rows(self, values: Tensor) -> Tensor:
        if isinstance(self.link, OneToOne):
            return values
        if isinstance(self.link, SynapseList) and "indices" in self._weights:
            post = self._weights["indices"][0]
            return values.new_zeros(int(np.prod(self.ends.post))).index_add_(0, post, values)[post]
        if self.link.name == "conv_transpose":
            raise UnsupportedError(
                f"connection {self.path!r}: the weights of conv_transpose are not normalised by rules"
            )
        return values.sum() if values.ndim == 1 else values.flatten(1).sum(1).view(-1, *[1] * (values.ndim - 1))

    def moved(self, weights: Tensor, by: Tensor) -> Tensor:
        return self._within(weights.add_(by) if self.in_place else weights + by)

    def scaled(self, weights: Tensor, by: Tensor) -> Tensor:
        return self._within(weights.mul_(by) if self.in_place else weights * by)

    def uniform(self, like: Tensor) -> Tensor:
        return torch.rand(like.shape, dtype=like.dtype, device=like.device, generator=self._generator)

    def _within(self, weights: Tensor) -> Tensor:
        return weights if self._edges is None else weights.clamp_(*self._edges)


def edges_of(connection: Connection, rule: Rule, weights: Mapping[str, Tensor]) -> tuple[Any, Any] | None:
    """The least and the largest weight that the rule and the connection allow; None where both allow any."""
    low, high = rule.w_min, rule.w_max
    if connection.bounds is None:
        return None if np.isinf([low, high]).all() else (low, high)
    indices = weights["indices"].cpu().numpy() if "indices" in weights else None
    least, largest = connection.bounds.of(connection.link, indices)
    found = np.maximum(low, least), np.minimum(high, largest)
    if np.any(found[0] > found[1]):
        raise ParameterError(
            f"connection {connection.path!r}: no weight is within the bounds of the rule, {low:g} .. {high:g}, and "
            "those that its sign=, w_min= and w_max= set"
        )
    like = weights["weight"]
    if all(np.ndim(edge) == 0 for edge in found):
        return float(found[0]), float(found[1])
    edges = [torch.as_tensor(edge, dtype=like.dtype, device=like.device).expand_as(like) for edge in found]
    return edges[0], edges[1]


class Learning:
    """The rules of a block on their way through a window."""

    def __init__(self, call: Call, traffic: Traffic, populations: Sequence[Population]) -> None:
        by_path = {population.layer.path: population for population in populations}
        inside = [p for p in call.rules if p.connection.post.path in by_path]
        self._populations = by_path
        self._offsets = {p.offset(target): (p.connection.post.path, target) for p in inside for target in p.targets}
        for name, (path, target) in self._offsets.items():
            by_path[path].shift(name, target, call.tensors["kept", name])
        active = [p for p in inside if call.training and p.rule.lr > 0]
        self._running = [_Running(p, call, traffic, by_path) for p in active]
        watched = {p.connection.path for p in active if "weight" in call.want.get(p.connection.path, ())}
        self._watched: dict[str, list[Tensor]] = {path: [] for path in watched}
        self._traffic = traffic

    def step(self, t: int) -> None:
        """What the rules do at the end of a step."""
        for running in self._running:
            running.step(t)
            self._shift(running)
        for path, steps in self._watched.items():
            steps.append(self._traffic.weights[path]["weight"].detach().clone())

    def end(self) -> None:
        """What the rules do at the end of the window."""
        for running in self._running:
            running.end()
            self._shift(running)
        for path, steps in self._watched.items():
            steps[-1] = self._traffic.weights[path]["weight"].detach().clone()

    def results(self) -> dict[Key, Tensor]:
        """The weights and offsets that were learnt, and the state that a run that continues takes."""
        found: dict[Key, Tensor] = {("weights", path): torch.stack(steps) for path, steps in self._watched.items()}
        for running in self._running:
            found.update(running.results())
        return found

    def _shift(self, running: _Running) -> None:
        for target in running.plasticity.targets:
            name = running.plasticity.offset(target)
            path, _ = self._offsets[name]
            self._populations[path].shift(name, target, running.state.offsets[target])


class _Running:
    """One rule at one connection on its way through a window."""

    def __init__(self, p: Plasticity, call: Call, traffic: Traffic, populations: Mapping[str, Population]) -> None:
        self.plasticity, self.call, self.traffic = p, call, traffic
        self._populations = populations
        weights = traffic.weights[p.connection.path]
        batch = len(call.tensors["state", p.connection.post.path, 0])
        rule = rule_of(p, weights["weight"])
        structure = Structure(p.connection, rule, weights, call, in_place=p.apply and not torch.is_grad_enabled())
        share = 1.0 / batch if p.batch == "mean" else 1.0
        self.stepper = Stepper(rule, structure, call.dt, XP, share)
        self._reads: dict[str, set[str]] = {"pre": rule.read("pre"), "post": rule.read("post")}
        self._reward, self._modulator = None, modulating(p, batch, weights["weight"])
        if isinstance(p.modulator, Reward) and not p.modulator.given_whole:
            like = weights["weight"].new_zeros(batch, p.modulator.target.num)
            self._reward = Rewarded(p.modulator, p.key, call, like)
        self._moved = torch.zeros_like(weights["weight"]) if not p.apply else None
        with torch.no_grad():
            self.state = self._initial(weights["weight"].detach(), batch)

    def _initial(self, weights: Tensor, batch: int) -> RuleState[Tensor]:
        p, call, connection = self.plasticity, self.call, self.plasticity.connection
        like = weights.new_zeros(batch, *connection.pre.shape), weights.new_zeros(batch, *connection.post.shape)
        offsets = {target: call.tensors["kept", p.offset(target)] for target in p.targets}
        fresh = self.stepper.initial(weights, *like, offsets)
        traces = {n: call.tensors.get(("rule", p.key, n), x) for n, x in fresh.traces.items()}
        eligible = {k: call.tensors.get(("rule", p.key, k), x) for k, x in fresh.eligible.items()}
        return RuleState(traces, eligible, offsets)

    @torch.no_grad()
    def step(self, t: int) -> None:
        weights = self._weights()
        if self._reward is not None:
            seen = self.traffic.output(self._reward.path).detach()
            self._reward.step(seen, last=t + 1 == self.call.n_steps)
        stepped, self.state = self.stepper.step(weights, self.state, *self._seen(), self._modulation())
        self._put(weights, stepped, self.call.begun + t + 1, last=False)

    @torch.no_grad()
    def end(self) -> None:
        runs = self.call.tensors.get(("kept", self.plasticity.runs))
        first, weights = runs is not None and not bool(runs), self._weights()
        ended, self.state = self.stepper.end(weights, self.state, *self._seen(), self._modulation(), first=first)
        self._put(weights, ended, self.call.begun + self.call.n_steps, last=True)

    def results(self) -> dict[Key, Tensor]:
        p, path = self.plasticity, self.plasticity.connection.path
        found: dict[Key, Tensor] = {("rule", p.key, name): trace for name, trace in self.state.traces.items()}
        found.update({("rule", p.key, k): eligible for k, eligible in self.state.eligible.items()})
        found.update({("kept", p.offset(target)): offset for target, offset in self.state.offsets.items()})
        if self._reward is not None:
            found.update(self._reward.results())
        if (runs := self.call.tensors.get(("kept", p.runs))) is not None:
            found["kept", p.runs] = runs + 1
        if self._moved is not None:
            found["to gradient", path, p.learner] = self._moved
        elif p.changes_weights:
            found["learnt", path] = self._weights()
        return found

    def _weights(self) -> Tensor:
        return self.traffic.weights[self.plasticity.connection.path]["weight"].detach()

    def _put(self, before: Tensor, after: Tensor, n_steps: int, *, last: bool) -> None:
        """Takes the weights after a change; what is not applied is summed up."""
        if self._moved is not None:
            self._moved += after - before
            return
        if not self.plasticity.changes_weights:
            return
        path, asked = self.plasticity.connection.path, self.stepper.rule.normalise
        if asked is not None and (asked.every is None) is last:
            after = self.stepper.normalised(after, n_steps, last=last)
        self.traffic.weights[path] = {**self.traffic.weights[path], "weight": after}

    def _seen(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What both ends show in this step."""
        connection = self.plasticity.connection
        found = []
        for end, path in (("pre", connection.pre.path), ("post", connection.post.path)):
            seen = {"s": self.traffic.output(path).detach()}
            for name in self._reads[end]:
                seen[name] = self._variable(path, name)
            found.append(seen)
        return found[0], found[1]

    def _variable(self, path: str, name: str) -> Tensor:
        population = self._populations[path]
        variable: Tensor = getattr(population.variables, name)
        return variable.detach().expand(population.silence.shape)

    def _modulation(self) -> Any:
        """What modulates this step: a number, or a tensor that broadcasts to (B, *post)."""
        given, post = self.plasticity.modulator, self.plasticity.connection.post
        if isinstance(given, tuple):
            group, name = given
            path = group.path
            seen = self.traffic.output(path).detach() if name == "spikes" else self._variable(path, name)
            return seen.reshape(len(seen), *[1] * len(post.shape)) if group.num == 1 else seen
        return self._modulator if self._reward is None else self._reward.modulation(len(post.shape))


def modulating(p: Plasticity, batch: int, like: Tensor) -> Any:
    """The numbers that modulate a whole run: one, or one a sample, (B, 1, ...)."""
    given = p.modulator
    if isinstance(given, Reward):
        given = given.value if given.given_whole else None
    if given is None or isinstance(given, tuple):
        return 1.0
    owner = f"learner {p.learner!r}: the modulator"
    try:
        found = torch.as_tensor(given, dtype=like.dtype, device=like.device).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ParameterError(f"{owner} must be a number or one for each sample, got {given!r:.80}: {error}") from error
    if not found.isfinite().all():
        raise ParameterError(f"{owner} must hold finite numbers, got {given!r:.80}")
    if found.numel() == 1:
        return float(found)
    if found.shape != (batch,):
        raise ShapeError(
            f"{owner} must be one number or one for each of {batch} samples, got shape {tuple(found.shape)}"
        )
    return found.view(batch, *[1] * len(p.connection.post.shape))


def _weights_only(rule: Rule) -> Rule:
    changes = tuple(change for change in rule.changes if change.on_weight)
    return rule if changes == rule.changes else replace(rule, changes=changes)


def rule_of(p: Plasticity, like: Tensor) -> Rule:
    """The rule as it stands at its connection: without what another one moves, its time constants as tensors."""
    return _on_tensors(p.rule if p.targets else _weights_only(p.rule), like)


def _on_tensors(rule: Rule, like: Tensor) -> Rule:
    """The rule with tensors in place of the arrays among its time constants."""

    def bound(filter: Any) -> Any:
        if filter is None or isinstance(filter.tau, float):
            return filter
        return filter.bound({"tau": torch.as_tensor(filter.tau).detach().to(like)})

    traces = {name: replace(trace, filter=bound(trace.filter)) for name, trace in rule.traces.items()}
    changes = tuple(replace(c, eligibility=bound(c.eligibility), relax=bound(c.relax)) for c in rule.changes)
    return rule if (traces, changes) == (rule.traces, rule.changes) else replace(rule, traces=traces, changes=changes)


def changing(rules: Iterable[Plasticity], training: bool) -> set[str]:
    """The paths of the connections whose weights change in a run."""
    return {p.connection.path for p in rules if training and p.rule.lr > 0 and p.changes_weights}

"""The rules of a block in a run: step by step, on tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import ParameterError, ShapeError
from ..network.rewards import Reward
from ..network.rules import Plasticity
from ..plasticity import Rule
from ..plasticity.stepping import RuleState, Stepper
from .ops import XP
from .rewarded import Rewarded
from .synapses import Structure

if TYPE_CHECKING:
    from .path import Call, Key
    from .stepping import Population, Traffic


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
        structure = Structure(p, rule, weights, call, in_place=p.apply and not torch.is_grad_enabled())
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
    """What modulates a whole run: 1, a number as a tensor (), which may be infinite on its way, or (B, 1, ...)."""
    given = p.modulator
    if isinstance(given, Reward):
        given = given.value if given.given_whole else None
    if given is None or isinstance(given, tuple):
        return 1.0
    owner = f"learner {p.learner!r}: the modulator"
    try:
        found = torch.as_tensor(given, dtype=like.dtype, device=like.device).detach()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ParameterError(f"{owner} must be a number or one for each sample, got {given!r:.80}: {error}") from error
    if not found.isfinite().all():
        raise ParameterError(f"{owner} must hold finite numbers, got {given!r:.80}")
    if found.numel() == 1:
        return found.reshape(())
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

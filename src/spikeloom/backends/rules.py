"""Plasticity in a run of a network: which rules learn, and what a run that is done leaves of them.

A run changes copies of the weights and of what rules add to neuron parameters; they take the place of those in the
parameter store when the run is done, so that a run that fails changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import DataError, ParameterError
from ..network import Network, NeuronGroup
from ..network.parameters import as_array
from ..network.rewards import Reward
from ..network.rules import Plasticity

if TYPE_CHECKING:
    from .path import Key


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
        self._network, self._tensors = network, buffers
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
        if not self.all:
            return
        for key, learnt in results.items():
            if key[0] in ("learnt", "kept", "to gradient") and not bool(torch.isfinite(learnt).all()):
                raise DataError(
                    f"what a rule makes of {key[1]!r} became NaN or infinite in this run, which leaves all as it was; "
                    "give the rule a smaller lr, or bounds: w_min, w_max"
                )
        self._check_moved(results)
        with torch.no_grad():
            for key, learnt in results.items():
                if key[0] == "learnt":
                    self._weights[str(key[1])].copy_(learnt)
                elif key[0] == "kept":
                    self._kept[str(key[1])].copy_(learnt)
                elif key[0] == "to gradient":
                    weight = self._weights[str(key[1])]
                    weight.grad = -learnt if weight.grad is None else weight.grad - learnt

    def _check_moved(self, results: Mapping[Key, Tensor]) -> None:
        """Raises DataError where a run took a neuron's parameter out of its domain, such as tau_m below zero."""
        moved: dict[NeuronGroup, dict[str, Any]] = {}
        for p in self.all:
            group, name = p.connection.post, p.offset
            for target in p.targets if any(("kept", name(t)) in results for t in p.targets) else ():
                values = moved.setdefault(group, {})
                start = values.get(target, self._tensors.get(f"{group.path}.{target}", getattr(group.neuron, target)))
                values[target] = as_array(start) + as_array(results["kept", name(target)])
        for group, values in moved.items():
            try:
                replace(group.neuron, **values)
            except ParameterError as error:
                raise DataError(
                    f"a rule took {group.path!r} in this run to where it has no meaning, which leaves all as it was: "
                    f"{error}"
                ) from error


def _check_shared(network: Network, rules: Sequence[Plasticity]) -> None:
    """Raises ParameterError where gradients and a rule would both change a connection."""
    for p in rules:
        others = [o for o in network.learners if o.by_gradient and o.trains(p.connection)] if p.changes_weights else []
        if others:
            raise ParameterError(
                f"connection {p.connection.path!r} is changed by the rule of learner {p.learner!r} and trained by "
                f"gradients of learner {others[0].path!r}; leave it out of one of them: trainable=[...]"
            )


def changing(rules: Iterable[Plasticity], training: bool) -> set[str]:
    """The paths of the connections whose weights change in a run."""
    return {p.connection.path for p in rules if training and p.rule.lr > 0 and p.changes_weights}

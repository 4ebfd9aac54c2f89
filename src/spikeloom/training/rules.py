"""Learners that learn by a rule: the rule, what it means for a batch, what modulates it, and what it keeps."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, ParameterError, StateError
from ..network import Component, Connection, Members, member
from ..network.parameters import ParameterSpec, numbers
from ..network.rules import Plasticity, batch_of, check_modulator, plastic_connections
from ..network.values import entries, mapping
from ..plasticity import Rule
from ..plasticity.description import describe, rule_from
from .rule_algorithms import RULES

if TYPE_CHECKING:
    from .learner import Learner


class RulePart:
    """The rule of a learner.

    named: whether the learner's algorithm and options say which; else the rule itself is written to files.
    """

    def __init__(self, learner: Learner, rule: Rule, *, named: bool, batch: Any, apply: Any) -> None:
        owner = "Learner" if learner._name is None else f"Learner {learner._name!r}"
        if not isinstance(apply, bool):
            raise ParameterError(f"{owner}.apply must be True or False, got {apply!r}")
        self._learner, self.rule, self._named = learner, rule, named
        self.batch, self.apply = batch_of(owner, batch), apply

    def connections(self) -> list[Connection]:
        """The connections whose weights it may change, hidden ones too."""
        return [c for c in self._learner.network.of_kind(Connection) if c.is_parameter and self._learner.trains(c)]

    def plasticities(self) -> list[Plasticity]:
        """The rule at each connection; an error where there is none, or one that it does not fit."""
        learner, owner = self._learner, f"learner {self._learner.path!r}"
        connections = plastic_connections(owner, self.connections(), self.rule)
        check_modulator(owner, learner.modulator, [c.post for c in connections])
        for part in _parts(learner.modulator):
            if part.is_hidden or part not in learner.network.walk():
                raise StateError(
                    f"{owner}: its modulator {part.name!r} is hidden or not in the network; show or add it"
                )
        found, moved = [], set[str]()
        for connection in connections:
            path = connection.post.path
            moves = connection.takes_part and path not in moved
            if moves:
                moved.add(path)
            targets = self.rule.targets if moves else ()
            found.append(Plasticity(learner, connection, self.batch, self.apply, targets))
        return found

    def specs(self) -> list[ParameterSpec]:
        """What it keeps from run to run: offsets on parameters of neurons; how often it learnt, where it asks."""
        if self._learner._owner is None or self._learner.ancestors()[-1].kind != "network":
            return []
        groups = {connection.post.path: connection for connection in self.connections()}
        rule, path = self.rule, self._learner.path
        found = []
        for connection in groups.values():
            p = Plasticity(self._learner, connection, self.batch, self.apply, rule.targets)
            shape = connection.post.shape
            found += [ParameterSpec(p.offset(t), shape, np.zeros(shape), trainable=False) for t in rule.targets]
        if any(change.trigger == "first" for change in rule.changes):
            found.append(ParameterSpec(f"{path}.runs", (), np.zeros((), np.int64), trainable=False))
        return found

    def describe(self) -> dict[str, Any]:
        """What the learner's description holds of it."""
        found: dict[str, Any] = {"batch": self.batch, "apply": self.apply}
        if not self._named:
            found["rule"] = describe(self.rule)
        if (modulator := self._described_modulator()) is not None:
            found["modulator"] = modulator
        return found

    def _described_modulator(self) -> Any:
        given, path = self._learner.modulator, self._learner._path
        if given is None or isinstance(given, Component):
            return None if given is None else {"component": path(given)}
        owner = f"learner {self._learner.name!r}: the modulator"
        if _parts(given):
            check_modulator(owner, given, [])
            return {"component": path(given[0]), "observable": given[1]}
        return {"numbers": numbers(owner, given, "a number or one for each sample").tolist()}

    def line(self) -> str:
        """Its rate, what a batch means to it and what modulates it, in a few words."""
        batch = "" if self.batch is None else f", batch {self.batch}"
        given = self._learner.modulator
        source = given[0] if isinstance(given, tuple) and given else given
        by = f", modulated by {source.path}" if isinstance(source, Component) else ""
        return f"rule lr {self.rule.lr:g}{batch}{by}{'' if self.apply else ', to the gradient'}"


def is_numbers(modulator: Any) -> bool:
    """Whether a modulator is numbers or nothing, not a component."""
    return not _parts(modulator)


def _parts(modulator: Any) -> list[Component]:
    """The components that a modulator reads."""
    given = modulator if isinstance(modulator, tuple) else (modulator,)
    return [part for part in given if isinstance(part, Component)]


def with_rate(rule: Rule, algorithm: str, options: Mapping[str, Any], lr: float | None) -> Rule:
    """The rule that an algorithm and its options make, or a rule of its own, with another learning rate."""
    if lr is None:
        return rule
    maker = RULES.get(algorithm)
    takes = maker is not None and "lr" in inspect.signature(maker).parameters
    return maker(**options, lr=lr) if maker is not None and takes else replace(rule, lr=lr)


def settings_from(values: Mapping[str, Any], members: Members) -> dict[str, Any]:
    """The arguments of a learner that `RulePart.describe` described."""
    found = {name: values[name] for name in ("batch", "apply") if name in values}
    if "rule" in values:
        found["algorithm"] = rule_from(mapping("rule", values["rule"]))
    if "modulator" in values:
        found["modulator"] = _modulator_from(values["modulator"], members)
    return found


def _modulator_from(values: Any, members: Members) -> Any:
    given = entries("modulator", values, (), ("component", "observable", "numbers"))
    if "numbers" in given:
        if not isinstance(given["numbers"], (int, float, list)):
            raise DataError(f"modulator: numbers must be a number or a list, got {given['numbers']!r:.80}")
        return given["numbers"]
    if "component" not in given:
        raise DataError("modulator lacks component, or numbers")
    component = member("modulator", given["component"], members)
    return (component, given["observable"]) if "observable" in given else component


def none_of(owner: str, algorithm: str, **given: Any) -> None:
    """Raises ParameterError for what only a rule takes, where the algorithm is none."""
    for name, value in given.items():
        if value is not None and value is not True:
            raise ParameterError(f"{owner}: {name}= is for rules; algorithm {algorithm!r} trains by gradients")

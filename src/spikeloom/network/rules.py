"""A rule at a connection, as a learner attaches it: what engines read of plasticity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from ..errors import ParameterError, UnsupportedError
from ..neurons import Neuron
from ..plasticity import Rule
from ..registry import did_you_mean
from .component import Component
from .connection import Connection
from .group import NeuronGroup
from .rewards import Reward

Batch = Literal["sequential", "mean", "sum"]


class Taught(Protocol):
    """A learner with a rule."""

    @property
    def path(self) -> str: ...

    @property
    def rule(self) -> Rule | None: ...

    @property
    def modulator(self) -> Any: ...


@dataclass(frozen=True, eq=False)
class Plasticity:
    """A rule at a connection.

    source: the learner; batch: what the samples of a batch mean; apply: whether the weights change in the run, or their
    change is subtracted from `.grad` of the weight at its end. targets: the parameters of the post population that it
    moves; a learner moves those of a population by one of its connections alone.
    """

    source: Taught
    connection: Connection
    batch: Batch | None
    apply: bool
    targets: tuple[str, ...]

    @property
    def learner(self) -> str:
        """The path of the learner."""
        return self.source.path

    @property
    def rule(self) -> Rule:
        """The rule, as the learner has it now."""
        found = self.source.rule
        assert found is not None
        return found

    @property
    def modulator(self) -> Any:
        """None, numbers (one, or a list of one a sample), a Reward, or a tuple of a population and one of its
        observables, as the learner has it now."""
        given = self.source.modulator
        if isinstance(given, NeuronGroup):
            return given, "spikes"
        numbers = isinstance(given, tuple) and not any(isinstance(part, Component) for part in given)
        return list(given) if numbers else given

    @property
    def key(self) -> str:
        """What tells it apart in a network."""
        return f"{self.learner}:{self.connection.path}"

    @property
    def changes_weights(self) -> bool:
        """Whether weights may differ from one step to the next."""
        made = any(change.on_weight for change in self.rule.changes) or self.rule.normalise is not None
        return self.apply and made

    def offset(self, target: str) -> str:
        """The name of the tensor that holds what it added to a parameter of the post population.

        A population beside the learner, or below, goes by its path from there, which a copy of both has too; others by
        their whole path behind an underscore, with which no other name begins.
        """
        above, post = self.learner.rpartition(".")[0], self.connection.post.path
        if not above:
            return f"{self.learner}.{flat_name(post)}_{target}"
        inside = post.removeprefix(f"{above}.")
        return f"{self.learner}.{'_' if inside == post else ''}{flat_name(inside)}_{target}"

    @property
    def runs(self) -> str:
        """The name of the tensor that counts the runs it learnt in."""
        return f"{self.learner}.runs"


def flat_name(path: str) -> str:
    """A path as one name."""
    return path.replace("_", "__").replace(".", "_")


def batch_of(owner: str, given: Any) -> Batch | None:
    """What a batch means, by name; ParameterError for others."""
    known = get_args(Batch)
    if given is not None and given not in known:
        raise ParameterError(
            f"{owner}.batch must be one of {', '.join(known)}, got {given!r}{did_you_mean(str(given), known)}"
        )
    return given  # type: ignore[no-any-return]


def plastic_connections(owner: str, connections: Iterable[Connection], rule: Rule) -> list[Connection]:
    """The connections that a rule can change; ParameterError where there is none, UnsupportedError for one whose
    structure or synapses a rule does not fit."""
    found = [c for c in connections if c.is_parameter]
    if not found:
        raise ParameterError(
            f"{owner}: a rule changes the weights of connections, and trainable= holds none that has trained ones; "
            "give it a connection, or an assembly with one, whose is_parameter is True"
        )
    for connection in found:
        _check_connection(owner, connection, rule)
    return found


def _check_connection(owner: str, connection: Connection, rule: Rule) -> None:
    where = f"{owner}: connection {connection.name!r}"
    if connection.extras:
        raise UnsupportedError(f"{where} has {connection.extras}, which no rule changes; leave that, or the rule, out")
    if not any(spec.name.endswith(".weight") for spec in connection.parameter_specs()):
        raise UnsupportedError(f"{where} ({connection.link.name}) has no weight that a rule could change")
    for end, part in (("pre", connection.pre), ("post", connection.post)):
        read = sorted(rule.read(end))  # type: ignore[arg-type]
        has = part.neuron.State._fields if isinstance(part, NeuronGroup) else ()
        for name in read:
            if name not in has:
                known = ", ".join(["s", *has])
                raise ParameterError(
                    f"{where}: the rule reads {name!r} of {end}, which {part.kind} {part.name!r} has not"
                    f"{did_you_mean(name, has)} It has: {known}"
                )
    for target in rule.targets:
        _check_target(where, connection.post, target)


def movable(neuron: Neuron[Any]) -> list[str]:
    """The parameters that a rule can move: numbers, one or one for each neuron."""
    flags = {name for name in neuron.parameters() if isinstance(getattr(neuron, name), bool)}
    return [name for name in neuron.parameters() if name not in flags | set(type(neuron).matrices)]


def _check_target(where: str, post: NeuronGroup, target: str) -> None:
    known = movable(post.neuron)
    if target not in known:
        raise ParameterError(
            f"{where}: the rule moves {target!r}, which {post.name!r} has not{did_you_mean(target, known)} "
            f"It has: {', '.join(known)}"
        )


def check_modulator(owner: str, modulator: Any, posts: Iterable[NeuronGroup]) -> None:
    """Raises ParameterError for a component that cannot modulate a rule at connections into these populations."""
    if isinstance(modulator, NeuronGroup):
        modulator = (modulator, "spikes")
    if isinstance(modulator, tuple) and len(modulator) == 2 and isinstance(modulator[0], NeuronGroup):
        group, name = modulator
        known = ("spikes", *group.neuron.State._fields)
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise ParameterError(
                f"{owner}.modulator: {group.name!r} shows no {name!r}{hint} It has: {', '.join(known)}"
            )
        for post in posts:
            if group.num != 1 and group.shape != post.shape:
                raise ParameterError(
                    f"{owner}.modulator: {group.name!r} of shape {group.shape} modulates {post.name!r} of shape "
                    f"{post.shape}; give a population of one neuron, or of that shape"
                )
    elif isinstance(modulator, tuple) and any(isinstance(part, Component) for part in modulator):
        raise ParameterError(f"{owner}.modulator: give a population and one of its variables, (group, 'v')")
    elif isinstance(modulator, Reward):
        _check_reward(owner, modulator, posts)
    elif isinstance(modulator, Component):
        raise ParameterError(f"{owner}.modulator: a {modulator.kind} has no value; give a Reward, or (group, 'spikes')")


def _check_reward(owner: str, reward: Reward, posts: Iterable[NeuronGroup]) -> None:
    """Raises ParameterError where a reward of each neuron does not fit the populations behind the connections."""
    for post in posts if reward.judgement.of_each_neuron else ():
        if reward.target.shape != post.shape:
            raise ParameterError(
                f"{owner}.modulator: {reward.coding_method} gives each neuron of {reward.target.name!r}, "
                f"{reward.target.shape}, a reward and cannot modulate {post.name!r}, {post.shape}; use 'global_reward'"
            )

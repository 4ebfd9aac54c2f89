"""Which populations of two assemblies a projection joins: policies, combined with `&`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..errors import DataError, ParameterError
from ..registry import Registry, takes_only_its_own
from .component import Assembly, Component
from .encoder import Encoder
from .group import NeuronGroup, labels
from .relations import family
from .values import entries, made, mapping, named

Pair = tuple[Component, Component]
P = TypeVar("P", bound="ConnectPolicy")


def populations(part: Component, *, sources: bool) -> list[Component]:
    """The neuron groups of an assembly, with its encoders where they may be sources; a population itself."""
    kinds = (NeuronGroup, Encoder) if sources else (NeuronGroup,)
    return [each for each in family(part) if isinstance(each, kinds)]


class ConnectPolicy(ABC):
    """A choice among the pairs of a source in one assembly and a neuron group in another; `a & b`: what both choose."""

    @abstractmethod
    def pairs(self, pre: Component, post: Component) -> list[Pair]:
        """The pairs to join, in the order of the sources, then of the targets."""

    @abstractmethod
    def __str__(self) -> str:
        """What it looks for, for errors."""

    def __and__(self, other: ConnectPolicy) -> Both:
        return Both(self, other)


@dataclass(frozen=True)
class Both(ConnectPolicy):
    """What two policies both choose."""

    first: ConnectPolicy
    second: ConnectPolicy

    def __post_init__(self) -> None:
        for policy in (self.first, self.second):
            if not isinstance(policy, ConnectPolicy):
                raise ParameterError(f"a policy can only be joined by & with another policy, got {policy!r}")

    def pairs(self, pre: Component, post: Component) -> list[Pair]:
        chosen = {(id(a), id(b)) for a, b in self.second.pairs(pre, post)}
        return [(a, b) for a, b in self.first.pairs(pre, post) if (id(a), id(b)) in chosen]

    def __str__(self) -> str:
        return f"{self.first} and {self.second}"


def _told(policy: type[P]) -> type[P]:
    """The policy, which tells what SPAIC has and it has not: `level`, the last of the arguments there."""
    made = takes_only_its_own("connect policy option", "level")(policy.__init__)
    policy.__init__ = made  # type: ignore[method-assign]
    return policy


@_told
@dataclass(frozen=True)
class _TypePolicy(ConnectPolicy):
    """pre_types, post_types: labels (`NeuronGroup(neuron_type=...)`), one or several; None: any population fits."""

    pre_types: Any = None
    post_types: Any = None

    def __post_init__(self) -> None:
        for f in fields(self):
            given = getattr(self, f.name)
            if given is not None:
                object.__setattr__(self, f.name, labels(f"{type(self).__name__}.{f.name}", given))

    def pairs(self, pre: Component, post: Component) -> list[Pair]:
        sources = [a for a in populations(pre, sources=True) if self._fits(a, self.pre_types)]
        targets = [b for b in populations(post, sources=False) if self._fits(b, self.post_types)]
        return [(a, b) for a in sources for b in targets]

    @abstractmethod
    def _fits(self, part: Component, wanted: tuple[str, ...] | None) -> bool: ...

    def __str__(self) -> str:
        return f"{type(self).__name__}(pre_types={self.pre_types}, post_types={self.post_types})"


class IncludedTypePolicy(_TypePolicy):
    """`IncludedTypePolicy(pre_types, post_types)`: populations with one of the labels; None takes all."""

    def _fits(self, part: Component, wanted: tuple[str, ...] | None) -> bool:
        return wanted is None or bool(set(wanted) & set(types_of(part)))


class ExcludedTypePolicy(_TypePolicy):
    """`ExcludedTypePolicy(pre_types, post_types)`: populations with none of the labels; None takes all."""

    def _fits(self, part: Component, wanted: tuple[str, ...] | None) -> bool:
        return wanted is None or not set(wanted) & set(types_of(part))


@_told
@dataclass(frozen=True)
class IndexConnectPolicy(ConnectPolicy):
    """`IndexConnectPolicy([0, 1], [2, (1, 0)])`: the first index of one list with the first of the other, and so on.

    An index is the number of a population in the order of creation, or a pair (level, number): level 0 is the assembly
    itself, 1 its members, 2 theirs; an assembly stands for all populations in it.
    """

    pre_indexs: Any
    post_indexs: Any

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, _indices(f"IndexConnectPolicy.{f.name}", getattr(self, f.name)))
        if len(self.pre_indexs) != len(self.post_indexs):
            raise ParameterError(
                f"IndexConnectPolicy: pre_indexs and post_indexs must be of one length, got {len(self.pre_indexs)} and "
                f"{len(self.post_indexs)}"
            )

    def pairs(self, pre: Component, post: Component) -> list[Pair]:
        found: dict[tuple[int, int], Pair] = {}
        for a, b in zip(self.pre_indexs, self.post_indexs, strict=True):
            for source in populations(_at(pre, a, sources=True), sources=True):
                for target in populations(_at(post, b, sources=False), sources=False):
                    found[id(source), id(target)] = source, target
        return list(found.values())

    def __str__(self) -> str:
        return f"IndexConnectPolicy({list(self.pre_indexs)}, {list(self.post_indexs)})"


def types_of(part: Component) -> tuple[str, ...]:
    """The labels of a population; an encoder has none."""
    return part.neuron_type if isinstance(part, NeuronGroup) else ()


def _indices(owner: str, given: Any) -> tuple[int | tuple[int, int], ...]:
    each = [tuple(i) if isinstance(i, (list, tuple)) else i for i in given] if isinstance(given, (list, tuple)) else []
    whole = [n for i in each for n in (i if isinstance(i, tuple) and len(i) == 2 else (i,))]
    if not each or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in whole):
        raise ParameterError(f"{owner} must be a list of numbers or pairs (level, number) from 0 on, got {given!r:.80}")
    return tuple(each)


def _at(part: Component, index: int | tuple[int, int], *, sources: bool) -> Component:
    """The population or assembly at an index; ParameterError with what is there."""
    if isinstance(index, int):
        level, known = "population", populations(part, sources=sources)
    else:
        levels = part.get_leveled_groups() if isinstance(part, Assembly) else [[part]]
        level, known = f"member of level {index[0]}", levels[index[0]] if index[0] < len(levels) else []
        index = index[1]
    if index >= len(known):
        names = ", ".join(each.path for each in known) or "none"
        raise ParameterError(f"IndexConnectPolicy: {part.path!r} has no {level} {index}; it has: {names}")
    return known[index]


POLICIES: Registry[type[ConnectPolicy]] = Registry("connect policy")
for _policy in (IncludedTypePolicy, ExcludedTypePolicy, IndexConnectPolicy):
    POLICIES.add(_policy.__name__, _policy)


def describe_policy(policy: ConnectPolicy) -> dict[str, Any]:
    """A policy as JSON values."""
    if isinstance(policy, Both):
        return {"both": [describe_policy(policy.first), describe_policy(policy.second)]}
    return {"policy": named(POLICIES, policy)} | {f.name: getattr(policy, f.name) for f in fields(policy)}  # type: ignore[arg-type]


def policy_from(values: Any) -> ConnectPolicy:
    """The policy that `describe_policy` described; DataError for what is missing or wrong."""
    if isinstance(values, dict) and "both" in values:
        both = entries("a policy", values, ("both",))["both"]
        if not isinstance(both, list) or len(both) != 2:
            raise DataError(f"both must be a list of two policies, got {both!r:.80}")
        return Both(policy_from(both[0]), policy_from(both[1]))
    options = mapping("a policy", values)
    kind = POLICIES[options.pop("policy", "")]
    return made("a policy", kind, options)

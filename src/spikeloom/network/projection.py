"""What joins two assemblies: a connection for each pair of populations that its policies choose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import count
from types import NoneType
from typing import Any, ClassVar

from ..errors import ParameterError
from .component import Assembly, Component
from .connection import Connection
from .policies import Both, ConnectPolicy, Pair, populations, types_of


class Projection(Assembly):
    """`Projection(pre, post, policies=[...], link_type='full', ConnectionParameters={...})` between two assemblies.

    policies: which pairs of a population of pre and one of post are joined: those that all of them choose, such as
    `IncludedTypePolicy('exc', 'inh')`; ConnectionParameters: what each connection is given beside its link_type. The
    connections are made at once, as members: `net.prj.members`, named `<source>_to_<target>`; a population that comes
    later is not joined. Without policies and link_type it is empty, to be filled with connections by hand.
    Raises ParameterError where the policies choose no pair.
    """

    kind = "projection"
    refers: ClassVar[tuple[str, ...]] = ("_pre", "_post")

    def __init__(
        self,
        pre: Assembly | Component,
        post: Assembly | Component,
        policies: ConnectPolicy | Iterable[ConnectPolicy] = (),
        link_type: Any = None,
        ConnectionParameters: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        label = f"Projection {name!r}" if name else "Projection"
        for end, part, sources in (("pre", pre, True), ("post", post, False)):
            if not isinstance(part, Component) or not (
                isinstance(part, Assembly) or populations(part, sources=sources)
            ):
                raise ParameterError(f"{label}.{end} must be an assembly or a population, got {type(part).__name__}")
        if not isinstance(ConnectionParameters, (Mapping, NoneType)):
            raise ParameterError(f"{label}.ConnectionParameters must map names to values, got {ConnectionParameters!r}")
        self._pre, self._post, self._policy = pre, post, _joined(label, policies)
        if self._policy is None and (link_type is not None or ConnectionParameters):
            raise ParameterError(
                f"{label} makes no connection: without policies nothing says which populations to join; "
                "policies=[IncludedTypePolicy()] joins every one of pre to every one of post"
            )
        if self._policy is not None:
            for source, target in _pairs(label, self._policy, pre, post):
                options = {"link_type": link_type} | dict(ConnectionParameters or {})
                self.add(self._name_of(source, target), Connection(source, target, **options))

    @property
    def pre(self) -> Component:
        """Where its connections start: an assembly, or one population."""
        return self._pre

    @property
    def post(self) -> Component:
        """Where its connections end: an assembly, or one population."""
        return self._post

    @property
    def policy(self) -> ConnectPolicy | None:
        """What chose its connections; None where they were added by hand."""
        return self._policy

    @classmethod
    def empty(cls, pre: Component, post: Component, policy: ConnectPolicy | None) -> Projection:
        """A projection whose connections are yet to be added: those of a file."""
        made = Projection(pre, post)
        made._policy = policy
        return made

    def _name_of(self, source: Component, target: Component) -> str:
        """A name of its own for a connection: `a_to_b`, then `a_to_b_1`; `pre`, `post` for what has no name yet."""
        name = f"{source._name or 'pre'}_to_{target._name or 'post'}"
        names = (name if k == 0 else f"{name}_{k}" for k in count())
        return next(each for each in names if not hasattr(self, each))


def _joined(label: str, policies: Any) -> ConnectPolicy | None:
    """One policy that stands for all; None where there is none."""
    given = [policies] if isinstance(policies, ConnectPolicy) else policies
    if not isinstance(given, (list, tuple)) or not all(isinstance(policy, ConnectPolicy) for policy in given):
        raise ParameterError(f"{label}.policies must be policies such as [IncludedTypePolicy('exc')], got {policies!r}")
    return reduce(Both, given) if given else None


def _pairs(label: str, policy: ConnectPolicy, pre: Component, post: Component) -> list[Pair]:
    """The pairs that a policy chooses; ParameterError, with all that it looked at, where there are none."""
    if pairs := policy.pairs(pre, post):
        return pairs
    looked = []
    for end, sources in ((pre, True), (post, False)):
        parts = [f"{p.name} ({', '.join(types_of(p)) or 'no type'})" for p in populations(end, sources=sources)]
        looked.append(f"{end.name}: {', '.join(parts) or 'no population'}")
    raise ParameterError(
        f"{label} makes no connection: {policy} chooses no pair of {looked[0]}; and {looked[1]}. "
        "Labels are given by NeuronGroup(neuron_type=...)"
    )

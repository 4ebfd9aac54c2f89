"""Whether what a learner trains is reached by gradients along its pathway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import ParameterError
from ..network import Component, Connection, NeuronGroup

if TYPE_CHECKING:
    from .learner import Learner


def check_pathway(learner: Learner) -> None:
    """Raises ParameterError for a trained connection or population that no gradient of a decoder reaches."""
    network = learner.network
    if not network.decoders:
        return
    graded = {id(group) for group in network.groups} - {id(group) for group in network.spiking}
    passing = {id(group) for group in network.groups if id(group) in graded or learner.passes(group)}
    reached = {id(d.target) for d in network.decoders if id(d.target) in passing or d.variable != "spikes"}
    growing = True
    while growing:
        sources = [pre for c in network.connections if id(c.post) in reached for pre in _groups_behind(c.pre)]
        more = {id(group) for group in sources if id(group) in passing} - reached
        reached |= more
        growing = bool(more)
    for owner in (c for c in network.walk() if isinstance(c, (NeuronGroup, Connection)) and learner.trains(c)):
        group = owner.post if isinstance(owner, Connection) else owner
        if id(group) not in reached and any(spec.trainable for spec in owner.parameter_specs()):
            raise ParameterError(
                f"learner {learner.name!r}: no gradient reaches {owner.path!r}, since pathway= leaves out populations "
                f"between it and the decoder; add them, {group.path!r} first"
            )


def _groups_behind(source: Component) -> Iterator[NeuronGroup]:
    """The populations whose output a connection carries: its source, or those that a node joins."""
    if isinstance(source, NeuronGroup):
        yield source
    else:
        for part in source.refers_to():
            yield from _groups_behind(part)

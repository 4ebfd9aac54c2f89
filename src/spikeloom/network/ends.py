"""Where an assembly is entered and left: its ends, for what is joined to it as a whole."""

from __future__ import annotations

from ..errors import ParameterError
from .component import Assembly, Component
from .relations import below


def exit_of(part: Component) -> Component:
    """The part itself, or for an assembly in a network its only neuron group from which nothing goes on in it."""
    return _only_end(part, "exit")


def entrance_of(part: Component) -> Component:
    """The part itself, or for an assembly its only neuron group that gets input from outside or from encoders alone."""
    return _only_end(part, "entrance")


def _only_end(part: Component, side: str) -> Component:
    if not isinstance(part, Assembly) or part.kind in ("module", "network"):
        return part
    ends = [group for group in part.walk() if group.kind == "neuron group" and not _goes_on(group, part, side)]
    if len(ends) == 1:
        return ends[0]
    found = ", ".join(end.path for end in ends) or "none"
    raise ParameterError(
        f"{part.kind} {part.path!r} must have one {side} to be joined as a whole, it has: {found}; give a neuron group "
        "in it, or use a Projection"
    )


def _goes_on(group: Component, assembly: Assembly, side: str) -> bool:
    """Whether another population or node of the assembly comes before the group, or behind it for the exit."""
    for part in assembly.walk():
        pre, post = getattr(part, "pre", None), getattr(part, "post", None)
        if part.kind == "connection" and pre is not post:
            if side == "entrance" and post is group and pre is not None and pre.kind not in ("encoder", "generator"):
                return True
            if side == "exit" and pre is group:
                return True
        if side == "exit" and part.kind in ("merge", "module") and any(each is group for each in part.refers_to()):
            return True
    return False


def stand_in(part: Component, old: Component, new: Component, attribute: str, whole: bool) -> Component:
    """What stands for a part of an old component when a new one takes its place.

    attribute: as what it is referred to: 'post' asks for an entrance, all else for an exit; whole: whether the new one
    itself stands for the old one, an assembly too.
    """
    if part is old and whole:
        return new
    same = None if part is old else below(new).get(part.path.removeprefix(f"{old.path}."))
    if same is not None:
        return same
    return entrance_of(new) if attribute == "post" else exit_of(new)

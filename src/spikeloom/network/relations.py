"""What lies in a component, and what it refers to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .component import Component

NODES = ("merge", "module")
"""The kinds of components that join the outputs of others, without state."""


def family(component: Component) -> list[Component]:
    """The component and all that lies in it, in order of creation."""
    return [component, *component.walk()]


def below(component: Component) -> dict[str, Component]:
    """All that lies in a component by its name in it: `layer1`, `block.layer1`."""
    start = "" if component._owner is None else f"{component.path}."
    return {part.path.removeprefix(start): part for part in component.walk()}


def reached_from(components: Iterable[Component]) -> list[Component]:
    """The components and all that they refer to, directly or through others, each once."""
    found: dict[int, Component] = {}
    waiting = list(components)
    while waiting:
        if id(part := waiting.pop()) not in found:
            found[id(part)] = part
            waiting += part.refers_to()
    return list(found.values())


def nodes_behind(components: Iterable[Component]) -> list[Component]:
    """The nodes among some components and behind them, each once and after those behind it."""
    found: dict[int, Component] = {}
    waiting = [(component, False) for component in reversed(list(components))]
    while waiting:
        component, through = waiting.pop()
        if component.kind not in NODES or id(component) in found:
            continue
        if through:
            found[id(component)] = component
        else:
            waiting += [(component, True), *((part, False) for part in reversed(component.refers_to()))]
    return list(found.values())

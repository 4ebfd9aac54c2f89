"""Where the parts of a network stand in its picture: columns in the order of spikes, assemblies as blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import NamedTuple

from ..network.loops import strong_components

BOX = 0.27, 0.33
"""Half of a node's width and height, in columns and rows."""
TITLE, PADDING = 0.42, 0.16
"""What a block needs above and below its parts, in rows."""


class Place(NamedTuple):
    """A column, and the row of the centre from the top."""

    column: int
    row: float


class Frame(NamedTuple):
    """An assembly: its path, how deep it lies, its first and last column, its upper and lower end in rows."""

    path: str
    depth: int
    first: int
    last: int
    top: float
    bottom: float


@dataclass
class _Item:
    """A node, or a block with what lies in it, with its size and its offset within the block that it lies in."""

    path: str
    nodes: list[str]
    first: int
    last: int
    height: float
    inner: list[_Item]
    top: float = 0.0


def columns(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The column of each node: behind all that flow into it, loops unrolled from where they are entered."""
    labels = strong_components(nodes, edges)
    members: dict[int, list[str]] = {}
    for node in nodes:
        members.setdefault(labels[node], []).append(node)
    before: dict[int, set[int]] = {label: set() for label in members}
    for a, b in edges:
        if labels[a] != labels[b]:
            before[labels[b]].add(labels[a])
    found: dict[str, int] = {}
    for label in TopologicalSorter(before).static_order():
        start = max((found[a] + 1 for a, b in edges if labels[b] == label and a in found), default=0)
        for node, depth in _depths(members[label], edges).items():
            found[node] = start + depth
    return found


def _depths(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """How many steps within a loop each of its nodes lies behind those that are entered from outside."""
    inside = set(nodes)
    entered = {b for a, b in edges if b in inside and a not in inside}
    found = {node: 0 for node in nodes if node in entered} or {nodes[0]: 0}
    waiting = list(found)
    for node in waiting:
        for a, b in edges:
            if a == node and b in inside and b not in found:
                found[b] = found[a] + 1
                waiting.append(b)
    return found


def placed(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> tuple[dict[str, Place], list[Frame]]:
    """The place of each node, which is one row high, and the frames of the assemblies that their paths name."""
    column = columns(nodes, edges)
    whole = _block("", list(nodes), column, edges)
    places: dict[str, Place] = {}
    frames: list[Frame] = []

    def walk(item: _Item, top: float, depth: int) -> None:
        for part in item.inner:
            at = top + part.top
            if part.inner:
                frames.append(Frame(part.path, depth, part.first, part.last, at, at + part.height))
                walk(part, at + TITLE, depth + 1)
            else:
                places[part.path] = Place(column[part.path], at + part.height / 2)

    walk(whole, 0.0, 0)
    return places, frames


def _block(path: str, nodes: list[str], column: Mapping[str, int], edges: Sequence[tuple[str, str]]) -> _Item:
    """A block with its parts stacked so that none covers another, each near what flows into it."""
    depth = path.count(".") + 1 if path else 0
    groups: dict[str, list[str]] = {}
    for node in nodes:
        parts = node.split(".")
        groups.setdefault(".".join(parts[: depth + 1]), []).append(node)
    items = []
    for key, inside in groups.items():
        if inside == [key]:
            items.append(_Item(key, [key], column[key], column[key], 1.0, []))
        else:
            items.append(_block(key, inside, column, edges))
    items.sort(key=lambda item: item.first)
    for k, item in enumerate(items):
        item.top = _free(item, items[:k], edges)
    lowest = min(item.top for item in items)
    for item in items:
        item.top -= lowest
    height = max(item.top + item.height for item in items) + TITLE + PADDING
    return _Item(path, nodes, min(i.first for i in items), max(i.last for i in items), height, items)


def _free(item: _Item, placed: Sequence[_Item], edges: Iterable[tuple[str, str]]) -> float:
    """The top nearest to the middle of what flows into an item where nothing lies yet."""
    sources = {a for a, b in edges if b in item.nodes}
    near = [other.top + other.height / 2 for other in placed if sources.intersection(other.nodes)]
    wish = (sum(near) / len(near) if near else 0.0) - (item.height / 2 if near else 0.0)
    taken = [(o.top, o.top + o.height) for o in placed if o.first <= item.last and item.first <= o.last]
    tops = [wish, *(end for _, end in taken), *(begin - item.height for begin, _ in taken)]
    free = [t for t in tops if all(t + item.height <= begin + 1e-9 or t >= end - 1e-9 for begin, end in taken)]
    return min(free, key=lambda top: (abs(top - wish), top))

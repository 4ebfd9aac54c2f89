"""A network as a picture: populations in the order in which spikes travel, connections between them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

from ..errors import StateError
from ..network import Action, Connection, Decoder, Encoder, Network, NeuronGroup, Reward
from ..network.printing import filter_text, inputs_of, is_delayed, loop_connections, parameter_count, value_text
from ..network.relations import NODES
from .network_layout import BOX, Frame, Place, placed
from .network_routes import Edge, label_places, routes
from .plots import save
from .style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILION, new_figure

if TYPE_CHECKING:
    from ..network import Component

_WIDE, _HIGH = 3.3, 1.3
"""Inches of a column and of a row."""
_LABEL = 32
"""How many letters a line of a label may have; a filter that needs more is named by its class."""
_LARGEST = 60.0
"""The longest side of a figure in inches: more is drawn smaller."""


def plot_network(network: Network, path: str | os.PathLike[str] | None = None) -> Figure:
    """A figure of a network, left to right; with a path it is written there too, in the format of its ending.

    Each node shows its model, its shape and how many parameters are trained; each connection its link type, its
    parameters, filter and delay, and, in another colour, the step that it takes in a loop. Assemblies are framed; what
    is hidden is left out. Raises StateError for a network without members.
    """
    nodes, edges = _nodes(network), _edges(network)
    if not nodes:
        raise StateError("Network.plot: the network is empty; add a neuron group first")
    places, frames = placed([*nodes], [(e.pre, e.post) for e in edges])
    wide = max(place.column for place in places.values()) + 1
    low = max([place.row + 0.5 for place in places.values()] + [frame.bottom for frame in frames])
    curves = routes(edges, places)
    rows = [float(row) for curve in curves for row in np.asarray(curve.vertices)[:, 1]]
    low, high = max([low, *(row + 0.25 for row in rows)]), min([-0.1, *(row - 0.25 for row in rows)])
    scale = min(1.0, _LARGEST / max(wide * _WIDE, (low - high) * _HIGH))
    figure = new_figure(max(4.0, wide * _WIDE * scale), max(2.2, (low - high + 0.25) * _HIGH * scale))
    axes = figure.add_subplot()
    axes.set(xlim=(-0.5, wide - 0.5), ylim=(low, high))
    axes.axis("off")
    axes.set_title(_title(network), loc="left", fontsize=12 * scale, fontweight="bold", color=INK)
    for frame in frames:
        _draw_frame(axes, frame, scale)
    sizes = [_size(edge.label) for edge in edges]
    for edge, curve, at in zip(edges, curves, label_places(curves, sizes, places), strict=True):
        _draw_edge(axes, edge, curve, at, scale)
    for key, component in nodes.items():
        _draw_node(axes, component, places[key], scale)
    if path is not None:
        save(figure, os.fspath(path))
    return figure


def _title(network: Network) -> str:
    total = sum(map(parameter_count, network.walk()))
    neurons = sum(group.num for group in network.groups)
    return f"{network._name or type(network).__name__}: {neurons:,} neurons, {total:,} parameters"


def _nodes(network: Network) -> dict[str, Component]:
    """What is drawn as a box, by path."""
    kinds = ("generator", "action", "reward", *NODES)
    shown = [c for c in network.walk() if isinstance(c, Encoder | NeuronGroup | Decoder) or c.kind in kinds]
    return {component.path: component for component in shown if component.takes_part}


def _edges(network: Network) -> list[Edge]:
    looped = loop_connections(network)
    found = [Edge(c.pre.path, c.post.path, _label(c, id(c) in looped), id(c) in looped) for c in network.connections]
    found += [Edge(part.path, c.path, "", False) for c in network.walk() if c.takes_part for part in inputs_of(c)]
    readers = [*network.decoders, *network.running(Action), *network.running(Reward)]
    return found + [Edge(reader.target.path, reader.path, "", False) for reader in readers if reader.target is not None]


def _label(connection: Connection, looped: bool) -> str:
    shapes = {s.name.rpartition(".")[2]: s.shape for s in connection.parameter_specs()}
    weight = "×".join(map(str, shapes["weight"])) if "weight" in shapes else ""
    count = parameter_count(connection)
    lines = [f"{connection.link.name} {weight}".rstrip(), *([f"{count:,} parameters"] if count else [])]
    if connection.filter is not None:
        whole = filter_text(connection.filter)
        lines.append(whole if len(whole) <= _LABEL else type(connection.filter).__name__)
    times = [f"delay {value_text(connection.delay)} ms"] if is_delayed(connection) else []
    lines += [" + ".join([*times, *(["1 step"] if looped else [])])] if times or looped else []
    return "\n".join(lines)


def _size(label: str) -> tuple[float, float]:
    """About how wide and high a label is, in columns and rows."""
    lines = label.split("\n")
    return max(map(len, lines)) * 0.055 / _WIDE, len(lines) * 0.125 / _HIGH


def _text(component: Component) -> tuple[str, list[str]]:
    """The colour of a node and its lines below the name."""
    shape = " × ".join(map(str, getattr(component, "shape", ())))
    count = parameter_count(component)
    trained = [f"{count:,} parameter{'s' * (count != 1)}"] if count else []
    if isinstance(component, NeuronGroup):
        colour = BLUE if component in component.network.spiking else SKY
        return colour, [
            f"{component.num:,} {component.model}",
            *([shape] if len(component.shape) > 1 else []),
            *trained,
        ]
    if isinstance(component, Encoder):
        return GREEN, [f"{component.coding_method} encoder", shape]
    if isinstance(component, Decoder | Action):
        return PURPLE, [component.coding_method, str(component.num)]
    if isinstance(component, Reward):
        return PURPLE, [component.coding_method]
    return ORANGE, [component.kind, shape, *trained]


def _draw_node(axes: Axes, component: Component, place: Place, scale: float) -> None:
    half, tall = BOX
    colour, lines = _text(component)
    x, y = place
    box = FancyBboxPatch(
        (x - half, y - tall), 2 * half, 2 * tall, boxstyle="round,pad=0,rounding_size=0.06", facecolor="white",
        edgecolor=colour, linewidth=1.8 * scale, zorder=3,
    )  # fmt: skip
    axes.add_patch(box)
    axes.add_patch(
        FancyBboxPatch(
            (x - half, y - tall), 2 * half, 2 * tall, boxstyle="round,pad=0,rounding_size=0.06", facecolor=colour,
            edgecolor="none", alpha=0.1, zorder=3,
        )
    )  # fmt: skip
    step = 0.155
    top = y - step * len(lines) / 2
    axes.text(
        x, top, component.name, ha="center", va="center", fontsize=9.5 * scale, fontweight="bold", color=INK, zorder=4
    )
    for k, line in enumerate(lines, 1):
        axes.text(x, top + k * step, line, ha="center", va="center", fontsize=8 * scale, color=MUTED, zorder=4)


def _draw_frame(axes: Axes, frame: Frame, scale: float) -> None:
    inset = 0.03 * frame.depth
    left, right = frame.first - 0.47 + inset, frame.last + 0.47 - inset
    axes.add_patch(
        FancyBboxPatch(
            (left, frame.top + 0.05), right - left, frame.bottom - frame.top - 0.1, zorder=0.5 + 0.01 * frame.depth,
            boxstyle="round,pad=0,rounding_size=0.08", facecolor="#F5F7FA" if frame.depth % 2 == 0 else "#EAEEF3",
            edgecolor=MUTED, linewidth=0.8 * scale, linestyle=(0, (4, 3)),
        )
    )  # fmt: skip
    name = frame.path.rpartition(".")[2]
    axes.text(
        left + 0.04, frame.top + 0.2, name, fontsize=9 * scale, color=MUTED, style="italic", va="center", zorder=4
    )


def _draw_edge(axes: Axes, edge: Edge, curve: Curve, at: tuple[float, float], scale: float) -> None:
    colour = VERMILION if edge.looped else MUTED
    arrow = FancyArrowPatch(
        path=curve, arrowstyle="-|>", mutation_scale=11 * scale, color=colour, linewidth=1.3 * scale, zorder=2,
        shrinkA=0, shrinkB=0,
    )  # fmt: skip
    axes.add_patch(arrow)
    if edge.label:
        ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.0}
        axes.text(
            *at, edge.label, ha="center", va="center", fontsize=7 * scale, zorder=2.5, bbox=ground, linespacing=1.15,
            color=VERMILION if edge.looped else INK,
        )  # fmt: skip

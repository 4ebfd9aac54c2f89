"""A network as a tree of text: shapes, parameters, links, filters, delays, and the step that loops take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from .actions import Action
from .component import Assembly, Component
from .connection import Connection
from .decoder import Decoder
from .encoder import Encoder
from .generator import Generator
from .group import NeuronGroup
from .links import Pool
from .loops import strong_components
from .monitors import Monitor
from .network import Network
from .protocols import Attached
from .relations import NODES
from .rewards import Reward

_SHOWN = 6
"""How many values of an array are written out."""


def tree(network: Network) -> str:
    """One line a member, with its place in the tree; the last line counts neurons and parameters."""
    looped = loop_connections(network)
    head = " ".join([type(network).__name__, *([network._name] if network._name else [])])
    lines = [f"{head}, dt {network.backend.dt:g} ms", *_branches(network, "", looped)]
    counts = {
        "neuron": sum(group.num for group in network.groups),
        "connection": len(network.connections),
        "parameter": sum(parameter_count(component) for component in network.walk()),
    }
    lines.append(", ".join(counted(count, what) for what, count in counts.items()))
    return "\n".join(lines)


def counted(count: int, what: str) -> str:
    """A number with its noun: '1 step', '2 steps'."""
    return f"{count} {what}{'s' * (count != 1)}"


def steps_text(delay: int, loop: int) -> str:
    """How many steps a connection takes, and for what: '3 steps: 2 of delay, 1 for the loop'."""
    if delay and loop:
        return f"{counted(delay + loop, 'step')}: {delay} of delay, {loop} for the loop"
    return f"{counted(loop, 'step')} for the loop" if loop else f"{counted(delay, 'step')} of delay"


def loop_connections(network: Network) -> set[int]:
    """The ids of the connections whose two ends lie in one loop: each takes one step."""
    connections = network.connections
    edges = [(c.pre, c.post) for c in connections] + [(part, c) for c in network.walk() for part in inputs_of(c)]
    edges += [(c.post, c.pre) for c in connections if c.synapses.electrical]
    nodes = {id(end): end for edge in edges for end in edge}
    labels = strong_components([*nodes], [(id(a), id(b)) for a, b in edges])
    return {id(c) for c in connections if labels[id(c.pre)] == labels[id(c.post)]}


def inputs_of(component: Component) -> tuple[Component, ...]:
    """What flows into a node without a connection: the inputs of a merge or a module."""
    return getattr(component, "inputs", ()) if component.kind in NODES else ()


def parameter_count(component: Component) -> int:
    """How many trained numbers a component has of its own."""
    return sum(math.prod(spec.shape) for spec in component.parameter_specs() if spec.trainable)


def _branches(assembly: Assembly, indent: str, looped: set[int]) -> Iterable[str]:
    members = list(assembly.members.values())
    for number, member in enumerate(members, 1):
        last = number == len(members)
        yield f"{indent}{'└─' if last else '├─'} {member.name}: {line(member, looped)}{', hidden' * member.is_hidden}"
        if isinstance(member, Assembly):
            yield from _branches(member, indent + ("   " if last else "│  "), looped)


def line(component: Component, looped: set[int]) -> str:
    """What a component is, in one line."""
    if isinstance(component, NeuronGroup):
        return ", ".join([f"{component.num} x {component.model}", f"shape {component.shape}", *_parameters(component)])
    if isinstance(component, Connection):
        return ", ".join(_connection(component, looped))
    if isinstance(component, Encoder | Generator):
        target = component.target if isinstance(component, Generator) else None
        into = "" if target is None else f"into {target.path}"
        parts = [f"{component.kind} {component.coding_method}", f"shape {component.shape}", into]
        return ", ".join([*filter(None, parts), *_values(component.options)])
    if isinstance(component, Decoder):
        return f"decoder {component.coding_method} of {component.target.path}, {component.num}"
    if isinstance(component, Action | Reward):
        return ", ".join(_agent(component))
    if isinstance(component, Monitor):
        return f"{component.kind} of {component.target.path}, {component.variable}"
    if isinstance(component, Attached):
        return component.line()
    if inputs := inputs_of(component):
        does = getattr(component, "operation", getattr(component, "torch_module", None))
        return f"{component.kind} {type(does).__name__} of {', '.join(part.path for part in inputs)}"
    return f"{component.kind} of {len(component.members)}" if isinstance(component, Assembly) else component.kind


def _parameters(group: NeuronGroup) -> Iterable[str]:
    """The parameters of a population as they are now; those that are trained are marked."""
    for name in group.neuron.parameters():
        mark = " (trained)" if name in group.trains else ""
        value = group.get_value(name)
        if _is_set(value):
            yield f"{name} {value_text(value)}{mark}"


def _agent(component: Action | Reward) -> Iterable[str]:
    """Its method, its target and the options that are not their defaults."""
    target = component.target
    yield f"{component.kind} {component.coding_method}{'' if target is None else f' of {target.path}'}"
    if isinstance(component, Action):
        yield f"{component.num}"
        yield from [f"epsilon {component.epsilon:g}"] if component.epsilon else []
    elif not component.given_whole and component.dec_sample_step != 1:
        every = component.dec_sample_step
        yield "at the end of each run" if every is None else f"every {counted(every, 'step')}"
    options = component.choice if isinstance(component, Action) else component.judgement
    yield from settings(options)


def _values(options: dict[str, Any]) -> Iterable[str]:
    return (f"{name} {value_text(value)}" for name, value in options.items())


def _connection(connection: Connection, looped: set[int]) -> Iterable[str]:
    yield f"{connection.pre.path} -> {connection.post.path}"
    kind = f" {connection.link.pool}" if isinstance(connection.link, Pool) else ""
    yield f"{connection.link.name}{kind}"
    yield from (f"{s.name.rpartition('.')[2]} {s.shape}" for s in connection.parameter_specs())
    yield from settings(connection.link)
    if connection.filter is not None:
        yield filter_text(connection.filter)
    if connection.port != type(connection.post.neuron).ports[0]:
        yield f"port {connection.port}"
    if connection.extras:
        yield connection.extras
    if isinstance(connection.delay, float) and connection.delay:
        yield f"delay {connection.delay:g} ms"
    if id(connection) in looped:
        yield steps_text(0, 1)


def filter_text(system: Any) -> str:
    """A filter in one line."""
    values = [(f.name, getattr(system, f.name)) for f in fields(system)]
    inside = ", ".join(f"{name} {value_text(v)}" for name, v in values if _is_set(v))
    return f"{type(system).__name__}({inside})"


def is_delayed(connection: Connection) -> bool:
    """Whether a connection has a delay, one for all or one for each synapse."""
    return not isinstance(connection.delay, float) or connection.delay > 0


def settings(link: Any) -> Sequence[str]:
    """The settings of a link that are not their defaults, weights, how they start and the kind of a pool aside."""
    aside = ["weight", "bias", "indices", "w_mean", "w_std"] + ["pool"] * isinstance(link, Pool)
    given: list[Any] = [(f.name, getattr(link, f.name), f.default) for f in fields(link) if f.name not in aside]
    return [f"{name} {value_text(value)}" for name, value, default in given if not np.array_equal(value, default)]


def _is_set(value: Any) -> bool:
    """Whether a value says more than that something is not there or not done."""
    return not (value is None or (isinstance(value, bool | np.bool_) and not value))


def value_text(value: Any) -> str:
    """A value in a few letters: of a long array its range and its shape."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        if not isinstance(value, np.ndarray):
            return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        if value.size > _SHOWN:
            return f"{value.min():g} to {value.max():g}, {value.shape}"
        return f"[{', '.join(f'{v:g}' for v in value.ravel())}]"
    return f"{value:g}"

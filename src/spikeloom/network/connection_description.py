"""A connection as plain values, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import DataError, UnsupportedError
from ..filters import LogSpaced, filter_from
from ..filters import describe as describe_filter
from .connection import Connection
from .initializers import INITIALIZERS, Initializer
from .learned_delays import LearnedDelays
from .links import LINKS, Drawn, Link, Sparse
from .members import MAX_NEURONS, Members, Paths, member, path_of
from .synapses import STAGES, Stage
from .values import entries, made, mapping, named, settings_of

MAX_PAIRS = 10**9
"""How many pairs of neurons a file may ask to be looked at when synapses are drawn."""

_NEEDED = ("pre", "post", "link_type", "link", "delay", "filter", "port")
_OPTIONAL = ("before", "after", "electrical", "sign", "w_min", "w_max", "is_parameter", "drawn_from")


def describe_connection(connection: Connection, paths: Paths) -> dict[str, Any]:
    """All but its parameters; of given arrays of weights, delays and synapses only that there are some."""
    ends = {end: path_of(connection, end, getattr(connection, end), paths) for end in ("pre", "post")}
    filter = None if connection.filter is None else describe_filter(connection.filter)
    link = {"link_type": named(LINKS, connection.link), "link": _describe_link(connection)}
    delay = {"delay": _describe_delay(connection)}
    return ends | link | delay | {"filter": filter, "port": connection.port} | _optional(connection)


def _describe_delay(connection: Connection) -> Any:
    if isinstance(connection.delay, LearnedDelays):
        return {"learned": connection.delay.describe()}
    return _start(connection.delay) if connection.has_synapse_delays else connection.delay


def _optional(connection: Connection) -> dict[str, Any]:
    """What is not as it is by default."""
    synapses = connection.synapses
    found: dict[str, Any] = {}
    for side, stages in (("before", synapses.before), ("after", synapses.after)):
        if stages:
            found[side] = [{"synapse": _stage_name(stage)} | settings_of(stage) for stage in stages]
    if synapses.electrical:
        found["electrical"] = True
    for name in ("sign", "w_min", "w_max"):
        if (value := getattr(connection, name)) is not None:
            found[name] = np.asarray(value).ravel().tolist() if np.ndim(value) else value
    if not connection.is_parameter:
        found["is_parameter"] = False
    if isinstance(connection.link, Drawn):
        connection.parameter_specs()  # from now on its synapses belong to this seed and name
        found["drawn_from"] = connection._drawn_from
    return found


def _stage_name(stage: Stage) -> str:
    if STAGES.get(stage.name) is not type(stage):
        kind = type(stage).__name__
        raise UnsupportedError(f"synapse {kind} has no name to be saved under; known: {', '.join(STAGES)}")
    return stage.name


def _describe_link(connection: Connection) -> dict[str, Any]:
    """The settings of a link; of given arrays only that there is a bias, and how many synapses a sparse link has."""
    values = settings_of(connection.link)
    given = {k for k in ("weight", "bias", "indices") if _is_array(values.get(k))}
    if isinstance(connection.link, Sparse):
        values.pop("indices")
        if given & {"weight", "indices"}:
            values["density"] = _density(connection)
    for name in given & values.keys():
        values[name] = True if name == "bias" else None
    return values | {k: _start(v) for k, v in values.items() if isinstance(v, Initializer)}


def _start(value: Any) -> dict[str, Any]:
    """An initializer; for an array, whose numbers stand in the file of the weights, that of zeros."""
    if not isinstance(value, Initializer):
        return {"initializer": "constant", "constant_value": 0.0}
    return {"initializer": named(INITIALIZERS, value)} | settings_of(value)


def _density(connection: Connection) -> float:
    """The fraction of joined pairs from which the number of given synapses follows."""
    n = connection.parameter_specs()[0].shape[1]
    if n == 0:
        raise UnsupportedError(f"connection {connection.path!r} has no synapse at all; remove it before saving")
    return n / (math.prod(connection.ends.pre) * math.prod(connection.ends.post))


def _is_array(value: Any) -> bool:
    return value is not None and not isinstance(value, (bool, Initializer))


def connection_from(values: dict[str, Any], members: Members) -> Connection:
    """The connection that was described; DataError and what the connection itself raises for wrong values."""
    entries("a connection", values, _NEEDED, _OPTIONAL)
    pre, post = (member(end, values[end], members) for end in ("pre", "post"))
    filter = None if values["filter"] is None else filter_from(values["filter"])
    if isinstance(filter, LogSpaced):  # a connection refuses it too, but tries its n filters on every neuron first
        raise UnsupportedError("filter: a LogSpaced bank changes the shape of a current; use LowPass")
    delay = _delay(values["delay"])
    if not isinstance(values["port"], str):
        raise DataError(f"port must be a name, got {values['port']!r:.80}")
    link = _link(LINKS[values["link_type"]], values["link"])
    _check_pairs(link, pre, post)
    own = {name: values[name] for name in ("sign", "w_min", "w_max", "is_parameter") if name in values}
    connection = Connection(
        pre, post, link_type=link, delay=delay, filter=filter, port=values["port"], syn_type=_synapses(values), **own
    )
    connection._drawn_from = _key(values, link)
    if any(math.prod(shape) > MAX_NEURONS for shape in connection.ends):
        raise DataError(f"its synapses lead to shapes {tuple(connection.ends)}, more than {MAX_NEURONS} neurons")
    return connection


def _delay(described: Any) -> Any:
    if isinstance(described, dict) and "learned" in described:
        return LearnedDelays.from_description(entries("delay", described, ("learned",))["learned"])
    if isinstance(described, dict):
        return _initializer("delay", described)
    if type(described) not in (int, float):
        raise DataError(f"delay must be a number, an initializer or learned, got {described!r:.80}")
    return described


def _synapses(values: Mapping[str, Any]) -> list[Any] | None:
    """The synapses in order, with the product of the weights in its place."""
    electrical = values.get("electrical", False)
    if not isinstance(electrical, bool):
        raise DataError(f"electrical must be true or false, got {electrical!r:.80}")
    if electrical:
        return ["electrical"]
    sides = []
    for side in ("before", "after"):
        described = values.get(side, [])
        if not isinstance(described, list):
            raise DataError(f"{side} must be a list of synapses, got {described!r:.80}")
        sides.append([_stage(f"{side}[{k}]", stage) for k, stage in enumerate(described)])
    return [*sides[0], "basic", *sides[1]] if any(sides) else None


def _stage(where: str, described: Any) -> Stage:
    options = mapping(where, described)
    name = options.pop("synapse", None)
    if name not in STAGES:
        raise DataError(f"{where}.synapse must be one of {', '.join(STAGES)}, got {name!r:.80}")
    return made(where, STAGES[name], options)


def _check_pairs(link: Link, pre: Any, post: Any) -> None:
    """Raises DataError where drawing the synapses would take longer than a file may ask for."""
    shapes = [getattr(end, "shape", ()) for end in (pre, post)]
    n = link.pairs(*(math.prod(shape) for shape in shapes))
    if n > MAX_PAIRS:
        raise DataError(f"link: {n:.3g} pairs of neurons to choose from; a file may ask for at most {MAX_PAIRS}")


def _key(values: Mapping[str, Any], link: Link) -> tuple[int, ...] | None:
    key = values.get("drawn_from")
    if key is None:
        return None
    whole = isinstance(key, list) and len(key) == 2 and all(type(n) is int and 0 <= n < 2**128 for n in key)
    if not whole or not isinstance(link, Drawn):
        raise DataError(f"drawn_from must be two whole numbers, of a link whose synapses are drawn, got {key!r:.80}")
    return tuple(key)


def _initializer(where: str, described: Mapping[str, Any]) -> Initializer:
    options = {k: v for k, v in described.items() if k != "initializer"}
    return made(where, INITIALIZERS[described.get("initializer", "")], options)


def _link(kind: type[Link], described: Any) -> Link:
    values = mapping("link", described)
    if values.get("indices") is not None:
        raise DataError("link.indices: synapses stand in the file of the weights")
    for name in ("weight", "bias"):
        start = values.get(name)
        if isinstance(start, dict):
            values[name] = _initializer(f"link.{name}", start)
        elif start is not None and not (name == "bias" and isinstance(start, bool)):
            raise DataError(
                f"link.{name} must be an initializer or null, got {start!r:.80}; weights have their own file"
            )
    return made("link", kind, values)

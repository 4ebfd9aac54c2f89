"""A network as plain values, and back: what a file holds beside the weights.

Nothing in a description is ever run: names are looked up in registries, every value is checked, sizes are limited.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError, StateError, UnsupportedError
from ..filters import LogSpaced, filter_from
from ..filters import describe as describe_filter
from ..neurons import NEURONS, neuron_from
from ..neurons import describe as describe_neuron
from ..registry import Registry, did_you_mean
from .component import Assembly, Component
from .connection import Connection
from .decoder import Decoder
from .decodings import DECODINGS
from .encoder import Encoder
from .group import NeuronGroup
from .initializers import INITIALIZERS, Initializer
from .links import LINKS, Link, Sparse
from .monitors import SpikeMonitor, StateMonitor
from .network import Network
from .values import at, entries, made, mapping, named, plain, settings_of
from .weights import put_weights

FORMAT, VERSION = "spikeloom.network", 1
MAX_NEURONS = 10**7
"""How many neurons a population in a file may have."""
MAX_WEIGHTS = 10**9
"""How many parameters a network in a file may have."""

ATTACHED: Registry[Any] = Registry("kind of component")
"""Attached components by the name of their kind; the class has `describe()` and `from_description(values, members)`."""
ATTACHED.add("learner", "spikeloom.training:Learner")

Members = Mapping[str, Component]
"""The components of a network by path, and the network itself as 'network', which no component may be called."""
Paths = Mapping[int, str]


def describe(network: Network) -> dict[str, Any]:
    """The network as JSON values: all but its weights, which are in its parameter store.

    Equal networks give equal descriptions. Raises StateError for a component that refers to one outside of the network,
    UnsupportedError for what has no name to be saved under and for values that no file can hold.
    """
    members = network.walk()
    paths = {id(network): "network"} | {id(c): c.path for c in members}
    dt = network.backend.dt
    head = {"format": FORMAT, "version": VERSION, "name": network._name, "seed": network.seed, "dt": dt}
    described = {c.path: plain(f"components.{c.path}", _described(c, paths)) for c in members}
    return {**plain("network", head), "components": described}


def network_from(description: Mapping[str, Any]) -> Network:
    """The network that `describe` described, with its seed and dt.

    Its weights are those under `weights`, where a file has them, else they are yet to be drawn or loaded. Raises
    DataError, with the place in the description, for whatever is missing, unknown or wrong.
    """
    with at("description"):
        values = plain("description", description)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DataError(f"this is no description of a network: its format must be {FORMAT!r}")
        if values.get("version") != VERSION:
            raise DataError(f"version {values.get('version')!r} is unknown, this release reads version {VERSION}")
        entries("the mapping", values, ("format", "version", "name", "seed", "dt", "components"), ("weights",))
        network = Network(values["name"])
        network.set_random_seed(values["seed"])
        network.set_backend_dt(values["dt"])
        components = mapping("components", values["components"])
    _fill(network, components)
    _check_sizes(network)
    if "weights" in values:
        with at("weights"):
            put_weights(network, {k: np.asarray(v) for k, v in mapping("it", values["weights"]).items()})
    return network


def _fill(network: Network, described: Mapping[str, Any]) -> None:
    """Makes the components, those first that others refer to, and adds them in the order of the file."""
    members: dict[str, Component] = {"network": network}
    kinds = {}
    for path, values in described.items():
        with at(f"components.{path}"):
            kinds[path] = _kind(values)
    for path in sorted(described, key=lambda path: kinds[path].stage):
        with at(f"components.{path}"):
            if path == "network":
                raise DataError("'network' is the network itself; choose another name")
            members[path] = kinds[path].build({k: v for k, v in described[path].items() if k != "kind"}, members)
    for path in described:
        with at(f"components.{path}"):
            parent, dot, name = path.rpartition(".")
            owner = members.get(parent) if dot else network
            if not isinstance(owner, Assembly) or parent == "network":
                raise DataError(f"there is no assembly {parent!r} that it could lie in")
            owner.add(name, members[path])


def _check_sizes(network: Network) -> None:
    total = 0
    owners: list[NeuronGroup | Connection] = [*network.groups, *network.connections]
    for owner in owners:
        with at(f"components.{owner.path}"):
            shapes = [spec.shape for spec in owner.parameter_specs()]
            total += sum(map(math.prod, shapes))
            if total > MAX_WEIGHTS:
                raise DataError(f"parameters of shapes {shapes}: a network in a file has at most {MAX_WEIGHTS} in all")


class Kind(NamedTuple):
    """How components of one class are described and made again, and at which stage: 0 refers to nothing."""

    stage: int
    describe: Callable[[Any, Paths], dict[str, Any]]
    build: Callable[[dict[str, Any], Members], Component]


def _described(component: Component, paths: Paths) -> dict[str, Any]:
    name = "assembly" if isinstance(component, Assembly) else _CLASSES.get(type(component))
    if name is not None:
        return {"kind": name} | _KINDS[name].describe(component, paths)
    values: dict[str, Any] = component.describe() if hasattr(component, "describe") else {}
    return {"kind": named(ATTACHED, component)} | values


def _kind(values: Any) -> Kind:
    name = values.get("kind") if isinstance(values, dict) else None
    if not isinstance(name, str):
        raise DataError("a component must be a mapping with its 'kind'")
    if name in _KINDS:
        return _KINDS[name]
    if name not in ATTACHED:
        known = [*_KINDS, *ATTACHED]
        raise DataError(f"unknown kind {name!r}{did_you_mean(name, known)} Known: {', '.join(known)}")
    return Kind(2, lambda *_: {}, ATTACHED[name].from_description)


def member(what: str, path: Any, members: Members) -> Component:
    """The component at a path; DataError with a suggestion where there is none."""
    if not isinstance(path, str) or path not in members:
        raise DataError(f"{what}: there is no component {path!r}{did_you_mean(str(path), members)}")
    return members[path]


def _path(component: Component, end: str, other: Component, paths: Paths) -> str:
    if id(other) not in paths:
        raise StateError(
            f"{component.kind} {component.path!r}: its {end} {other.name!r} is not in the network; assign it first"
        )
    return paths[id(other)]


def _shape(values: Mapping[str, Any]) -> list[int]:
    shape = values["shape"]
    if not isinstance(shape, list) or not 0 < len(shape) <= 8 or not all(type(n) is int and n > 0 for n in shape):
        raise DataError(f"shape must be a list of up to 8 positive whole numbers, got {shape!r:.80}")
    if math.prod(shape) > MAX_NEURONS:
        raise DataError(f"shape {shape} has more than {MAX_NEURONS} neurons, the most that a file may ask for")
    return shape


def _describe_group(group: NeuronGroup, paths: Paths) -> dict[str, Any]:
    neuron = {"model": named(NEURONS, group.neuron), "parameters": describe_neuron(group.neuron)}
    return {"shape": group.shape} | neuron | {"trains": group.trains}


def _group(values: dict[str, Any], members: Members) -> NeuronGroup:
    entries("a neuron group", values, ("shape", "model", "parameters", "trains"))
    neuron = neuron_from(NEURONS[values["model"]], values["parameters"])
    trains = values["trains"]
    if not isinstance(trains, list) or not all(isinstance(name, str) for name in trains):
        raise DataError(f"trains must be a list of parameters' names, got {trains!r:.80}")
    return NeuronGroup(model=neuron, shape=_shape(values), parameter_variables=trains)


def _describe_encoder(encoder: Encoder, paths: Paths) -> dict[str, Any]:
    return {"shape": encoder.shape, "coding_method": encoder.coding_method, "options": encoder.options}


def _encoder(values: dict[str, Any], members: Members) -> Encoder:
    entries("an encoder", values, ("shape", "coding_method", "options"))
    options = mapping("options", values["options"])
    if not isinstance(values["coding_method"], str):
        raise DataError(f"coding_method must be a name, got {values['coding_method']!r:.80}")
    for name, value in options.items():
        if not isinstance(value, (bool, int, float, str)):
            raise DataError(f"options.{name} must be a number or a text, got {value!r:.80}")
    return Encoder(shape=_shape(values), coding_method=values["coding_method"], **options)


def _describe_decoder(decoder: Decoder, paths: Paths) -> dict[str, Any]:
    target = _path(decoder, "target", decoder.target, paths)
    return {"target": target, "coding_method": decoder.coding_method, "options": settings_of(decoder.decoding)}


def _decoder(values: dict[str, Any], members: Members) -> Decoder:
    entries("a decoder", values, ("target", "coding_method", "options"))
    options = settings_of(made("options", DECODINGS[values["coding_method"]], values["options"]))
    target: Any = member("target", values["target"], members)
    return Decoder(dec_target=target, coding_method=values["coding_method"], **options)


def _describe_monitor(monitor: StateMonitor | SpikeMonitor, paths: Paths) -> dict[str, Any]:
    return {"target": _path(monitor, "target", monitor.target, paths), "variable": monitor.variable}


def _monitor(kind: type[Any]) -> Callable[[dict[str, Any], Members], Component]:
    def build(values: dict[str, Any], members: Members) -> Component:
        entries("a monitor", values, ("target", "variable"))
        if not isinstance(values["variable"], str):
            raise DataError(f"variable must be the name of an observable, got {values['variable']!r:.80}")
        monitor: Component = kind(member("target", values["target"], members), values["variable"])
        return monitor

    return build


def _describe_connection(connection: Connection, paths: Paths) -> dict[str, Any]:
    ends = {end: _path(connection, end, getattr(connection, end), paths) for end in ("pre", "post")}
    synapse = None if connection.filter is None else describe_filter(connection.filter)
    link = {"link_type": named(LINKS, connection.link), "link": _describe_link(connection)}
    return ends | link | {"delay": connection.delay, "filter": synapse, "port": connection.port}


def _connection(values: dict[str, Any], members: Members) -> Connection:
    entries("a connection", values, ("pre", "post", "link_type", "link", "delay", "filter", "port"))
    pre, post = (member(end, values[end], members) for end in ("pre", "post"))
    synapse = None if values["filter"] is None else filter_from(values["filter"])
    if isinstance(synapse, LogSpaced):  # a connection refuses it too, but tries its n filters on every neuron first
        raise UnsupportedError("filter: a LogSpaced bank changes the shape of a current; use LowPass")
    if type(values["delay"]) not in (int, float) or not isinstance(values["port"], str):
        raise DataError(f"delay must be a number and port a name, got {values['delay']!r:.80}, {values['port']!r:.80}")
    link = _link(LINKS[values["link_type"]], values["link"])
    target: Any = post
    return Connection(pre, target, link_type=link, delay=values["delay"], filter=synapse, port=values["port"])


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
    starts = {k: v for k, v in values.items() if isinstance(v, Initializer)}
    return values | {k: {"initializer": named(INITIALIZERS, v)} | settings_of(v) for k, v in starts.items()}


def _density(connection: Connection) -> float:
    """The fraction of joined pairs from which the number of given synapses follows."""
    n = connection.parameter_specs()[0].shape[1]
    if n == 0:
        raise UnsupportedError(f"connection {connection.path!r} has no synapse at all; remove it before saving")
    return n / (math.prod(connection.ends.pre) * math.prod(connection.ends.post))


def _is_array(value: Any) -> bool:
    return value is not None and not isinstance(value, (bool, Initializer))


def _link(kind: type[Link], described: Any) -> Link:
    values = mapping("link", described)
    if values.get("indices") is not None:
        raise DataError("link.indices: synapses stand in the file of the weights")
    for name in ("weight", "bias"):
        start = values.get(name)
        if isinstance(start, dict):
            options = {k: v for k, v in start.items() if k != "initializer"}
            initializer = INITIALIZERS[start.get("initializer", "")]
            values[name] = made(f"link.{name}", initializer, options)
        elif start is not None and not (name == "bias" and isinstance(start, bool)):
            raise DataError(
                f"link.{name} must be an initializer or null, got {start!r:.80}; weights have their own file"
            )
    return made("link", kind, values)


_KINDS: dict[str, Kind] = {
    "assembly": Kind(0, lambda *_: {}, lambda values, _: Assembly(**entries("an assembly", values, ()))),
    "neuron_group": Kind(0, _describe_group, _group),
    "encoder": Kind(0, _describe_encoder, _encoder),
    "connection": Kind(1, _describe_connection, _connection),
    "decoder": Kind(1, _describe_decoder, _decoder),
    "state_monitor": Kind(1, _describe_monitor, _monitor(StateMonitor)),
    "spike_monitor": Kind(1, _describe_monitor, _monitor(SpikeMonitor)),
}
_CLASSES: Mapping[type[Any], str] = {
    NeuronGroup: "neuron_group", Encoder: "encoder", Connection: "connection", Decoder: "decoder",
    StateMonitor: "state_monitor", SpikeMonitor: "spike_monitor",
}  # fmt: skip

"""A network as plain values, and back: what a file holds beside the weights.

Nothing in a description is ever run: names are looked up in registries, every value is checked, sizes are limited.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..neurons import CUSTOM, NEURONS, Custom, custom_from, describe_custom, neuron_from, without_refractory
from ..neurons import describe as describe_neuron
from ..registry import Registry, did_you_mean
from .actions import Action
from .component import Assembly, Component
from .connection import Connection
from .connection_description import connection_from, describe_connection
from .decoder import Decoder
from .encoder import Encoder
from .end_description import (
    GENERATOR,
    WATCHER,
    action_from,
    decoder_from,
    describe_action,
    describe_decoder,
    describe_encoder,
    describe_generator,
    describe_input,
    describe_monitor,
    describe_reward,
    encoder_from,
    generator_from,
    input_from,
    monitor_from,
    reward_from,
)
from .generator import Generator
from .group import NeuronGroup
from .members import Members, Paths
from .members import shape_of as _shape
from .merge import Merge
from .module import Module
from .monitors import SpikeMonitor, StateMonitor
from .network import Network
from .node_description import (
    NODES,
    describe_merge,
    describe_module,
    describe_projection,
    in_order,
    merge_from,
    module_from,
    projection_from,
)
from .population import InputPopulation
from .projection import Projection
from .rewards import Reward
from .values import at, entries, mapping, named, plain
from .weights import put_weights

FORMAT, VERSION = "spikeloom.network", 1
MAX_WEIGHTS = 10**9
"""How many parameters a network in a file may have."""

ATTACHED: Registry[Any] = Registry("kind of component")
"""Attached components by the name of their kind; the class has `describe()` and `from_description(values, members)`."""
ATTACHED.add("learner", "spikeloom.training:Learner")


def describe(network: Network) -> dict[str, Any]:
    """The network as JSON values: all but its weights, which are in its parameter store.

    Equal networks give equal descriptions. Raises StateError for a component that refers to one outside of the network,
    UnsupportedError for what has no name to be saved under and for values that no file can hold.
    """
    members = network.walk()
    paths = {id(network): "network"} | {id(c): c.path for c in members}
    dt = network.backend.dt
    head = {"format": FORMAT, "version": VERSION, "name": network._name, "seed": network.seed, "dt": dt}
    described = {c.path: plain(f"components.{c.path}", _described(c, paths) | _hidden(c)) for c in members}
    return {**plain("network", head), "components": described}


def network_from(description: Mapping[str, Any], modules: Mapping[str, Any] | None = None) -> Network:
    """The network that `describe` described, with its seed and dt.

    modules: the torch module of each Module by path; a description holds none.

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
    _fill(network, components, dict(modules or {}))
    _check_sizes(network)
    if "weights" in values:
        with at("weights"):
            put_weights(network, {k: np.asarray(v) for k, v in mapping("it", values["weights"]).items()})
    return network


def _fill(network: Network, described: Mapping[str, Any], modules: Mapping[str, Any]) -> None:
    """Makes the components, those first that others refer to, and adds them in the order of the file."""
    members: dict[str, Component] = {"network": network}
    kinds = {}
    for path, values in described.items():
        with at(f"components.{path}"):
            kinds[path] = _kind(values)
    known = [path for path in described if described[path]["kind"] == "module"]
    if strays := [path for path in modules if path not in known]:
        raise DataError(f"modules: there is no Module {strays[0]!r}{did_you_mean(strays[0], known)}")
    for path in in_order(described, {path: kind.stage for path, kind in kinds.items()}):
        with at(f"components.{path}"):
            if path == "network":
                raise DataError("'network' is the network itself; choose another name")
            values = {k: v for k, v in described[path].items() if k not in ("kind", "hidden")}
            if described[path]["kind"] == "module":
                values["given"] = modules.get(path)
            members[path] = kinds[path].build(values, members)
    for path in described:
        with at(f"components.{path}"):
            parent, dot, name = path.rpartition(".")
            owner = members.get(parent) if dot else network
            if not isinstance(owner, Assembly) or parent == "network":
                raise DataError(f"there is no assembly {parent!r} that it could lie in")
            owner.add(name, members[path])
            if (hidden := described[path].get("hidden", False)) is True:
                members[path].assembly_hide()
            elif hidden is not False:
                raise DataError(f"hidden must be true or left out, got {hidden!r:.80}")


def _hidden(component: Component) -> dict[str, Any]:
    return {"hidden": True} if component._hidden else {}


def _check_sizes(network: Network) -> None:
    total = 0
    for owner in network.owners():
        with at(f"components.{owner.path}"):
            shapes = [spec.shape for spec in owner.parameter_specs()]
            total += sum(map(math.prod, shapes))
            if total > MAX_WEIGHTS:
                raise DataError(f"parameters of shapes {shapes}: a network in a file has at most {MAX_WEIGHTS} in all")


class Kind(NamedTuple):
    """How components of one class are described and made again, and at which stage: 0 refers to nothing."""

    stage: float
    describe: Callable[[Any, Paths], dict[str, Any]]
    build: Callable[[dict[str, Any], Members], Component]


def _described(component: Component, paths: Paths) -> dict[str, Any]:
    name = _CLASSES.get(type(component), "assembly" if isinstance(component, Assembly) else None)
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


def _describe_group(group: NeuronGroup, paths: Paths) -> dict[str, Any]:
    if isinstance(group.neuron, Custom):
        neuron: dict[str, Any] = {"model": CUSTOM, "parameters": describe_custom(group.neuron)}
    else:
        model = named(NEURONS, without_refractory(group.neuron))
        neuron = {"model": model, "parameters": describe_neuron(group.neuron)}
    types = {"neuron_type": group.neuron_type} if group.neuron_type else {}
    return {"shape": group.shape} | neuron | {"trains": group.trains} | types


def _group(values: dict[str, Any], members: Members) -> NeuronGroup:
    entries("a neuron group", values, ("shape", "model", "parameters", "trains"), ("neuron_type",))
    model, parameters = values["model"], values["parameters"]
    neuron = custom_from(parameters) if model == CUSTOM else neuron_from(NEURONS[model], parameters)
    trains = values["trains"]
    if not isinstance(trains, list) or not all(isinstance(name, str) for name in trains):
        raise DataError(f"trains must be a list of parameters' names, got {trains!r:.80}")
    types = values.get("neuron_type", [])
    if not isinstance(types, list):
        raise DataError(f"neuron_type must be a list of labels, got {types!r:.80}")
    return NeuronGroup(model=neuron, shape=_shape(values), parameter_variables=trains, neuron_type=types)


_KINDS: dict[str, Kind] = {
    "assembly": Kind(0, lambda *_: {}, lambda values, _: Assembly(**entries("an assembly", values, ()))),
    "neuron_group": Kind(0, _describe_group, _group),
    "encoder": Kind(0, describe_encoder, encoder_from),
    "input_population": Kind(0, describe_input, input_from),
    "generator": Kind(GENERATOR, describe_generator, generator_from),
    "merge": Kind(NODES, describe_merge, merge_from),
    "module": Kind(NODES, describe_module, module_from),
    "projection": Kind(1, describe_projection, projection_from),
    "connection": Kind(1, describe_connection, connection_from),
    "decoder": Kind(1, describe_decoder, decoder_from),
    "action": Kind(1, describe_action, action_from),
    "reward": Kind(1, describe_reward, reward_from),
    "state_monitor": Kind(WATCHER, describe_monitor, monitor_from(StateMonitor)),
    "spike_monitor": Kind(WATCHER, describe_monitor, monitor_from(SpikeMonitor)),
}
_CLASSES: Mapping[type[Any], str] = {
    Merge: "merge", Module: "module", Projection: "projection",
    NeuronGroup: "neuron_group", Encoder: "encoder", Connection: "connection", Decoder: "decoder",
    StateMonitor: "state_monitor", SpikeMonitor: "spike_monitor", Generator: "generator",
    InputPopulation: "input_population", Action: "action", Reward: "reward",
}  # fmt: skip

"""A network as the nodes and edges of a NIR graph."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedError
from ..filters import LowPass
from ..neurons import IF, LI, LIF, CubaLIF, Graded, Neuron, NoReset, Step, ToValue
from ..neurons import Null as NullNeuron
from .connection import Connection
from .encoder import Encoder
from .group import NeuronGroup
from .links import Conv, Full, Link, Null, OneToOne, Pool, SynapseList
from .links.conv import pair
from .network import Network
from .nir_time import MS, Clock
from .printing import loop_connections

Shape = tuple[int, ...]
DENSE: tuple[type[Link], ...] = (Full, SynapseList)
"""The link types that are written as the matrix they stand for."""
MAX_ENTRIES = 10**8
"""How many entries a matrix may have that stands for a sparse connection."""


class Export:
    """One export: the nodes and edges so far."""

    def __init__(self, network: Network, clock: Clock) -> None:
        self.network, self.clock = network, clock
        self.weights = network.draw_parameters().arrays()
        self.nodes: dict[str, dict[str, Any]] = {}
        self.edges: list[tuple[str, str]] = []
        self.shapes = _shapes(network)
        self.looped = loop_connections(network)

    def graph(self) -> dict[str, Any]:
        """The graph as nested mappings, nodes in the order of the network's members."""
        _check_members(self.network)
        for encoder in self.network.encoders:
            self.nodes[encoder.path] = {"type": "Input", "shape": np.array(self.shapes[encoder.path])}
        relays = [group.path for group in self.network.groups if isinstance(group.neuron, NullNeuron)]
        synapses = {group.path: self._population(group) for group in self.network.groups if group.path not in relays}
        for connection in self.network.connections:
            self._connection(connection, synapses.get(connection.post.path, False))
        self._outputs()
        self._join(relays)
        metadata = {"producer": "spikeloom", "dt": self.clock.dt / MS, "integration": self.clock.integration}
        edges = np.array(self.edges, dtype=object).reshape(-1, 2)
        return {"type": "NIRGraph", "nodes": self.nodes, "edges": edges, "metadata": metadata}

    def _add(self, name: str, kind: str, **values: Any) -> str:
        if name in self.nodes:
            raise UnsupportedError(f"NIR: the name {name!r} is needed twice; rename one of the components")
        self.nodes[name] = {"type": kind} | values
        return name

    def _population(self, group: NeuronGroup) -> bool:
        """Adds the node of a population; whether the filter of its connections is part of it."""
        neuron = group.neuron.bound({name: group.get_value(name) for name in group.neuron.parameters()})
        shape = self.shapes[group.path]
        kind, values = _node(group.path, neuron, self.clock)
        into = [c.filter for c in self.network.connections if c.post is group]
        synapse = into[0] if into and all(f == into[0] for f in into) else None
        joined = isinstance(synapse, LowPass) and kind in ("LIF", "LI") and self.clock.integration == "euler"
        if joined:
            tau_syn, w_in = _synapse(synapse, self.clock)
            values = {"tau_syn": tau_syn, "tau_mem": values.pop("tau"), **values, "w_in": w_in}
            kind = f"Cuba{kind}"
        self._add(group.path, kind, **{name: _filled(value, shape) for name, value in values.items()})
        return joined

    def _join(self, relays: Iterable[str]) -> None:
        """Takes relays out: what flows into one flows on to where it leads."""
        for path in relays:
            into, out = ([e for e in self.edges if e[side] == path] for side in (1, 0))
            rest = [e for e in self.edges if path not in e]
            self.edges = rest + [(pre, post) for pre, _ in into for _, post in out]

    def _connection(self, connection: Connection, joined: bool) -> None:
        """Adds the nodes and edges of a connection; joined: whether the population has its filter."""
        path, at = connection.path, connection.pre.path
        pre, post = self.shapes[connection.pre.path], self.shapes[connection.post.path]
        if connection.port != type(connection.post.neuron).ports[0]:
            raise UnsupportedError(f"NIR: connection {path!r} flows into port {connection.port!r}; NIR has one port")
        if connection.extras:
            raise UnsupportedError(f"NIR: connection {path!r} has {connection.extras}, for which NIR has no node")
        if self.weights.get(f"{path}.bias") is not None and (connection.delay or id(connection) in self.looped):
            raise UnsupportedError(
                f"NIR: connection {path!r} has a bias, which comes late with its delay or its loop, in NIR at once; "
                "give the bias to a connection without"
            )
        chain: list[tuple[str, str, dict[str, Any]]] = []
        if not isinstance(connection.delay, float):
            raise UnsupportedError(
                f"NIR: connection {path!r} has a delay for each synapse; NIR has one for each neuron"
            )
        if connection.delay:
            chain.append((f"{path}.delay", "Delay", {"delay": np.full(pre, connection.delay / MS)}))
        if not isinstance(connection.link, Conv | Pool) and len(pre) > 1:
            flatten = {"start_dim": 0, "end_dim": -1, "input_type": np.array(pre)}
            chain.append((f"{path}.flatten", "Flatten", flatten))
        if not isinstance(connection.link, Conv | Pool) and len(post) > 1:
            raise UnsupportedError(
                f"NIR: connection {path!r} flows into {connection.post.path!r} of shape {post}, which a convolution or "
                "pooling needs; NIR has no node that gives a flat result a shape. Put a convolution in its place"
            )
        chain += _stages(connection, self.weights, pre)
        if connection.filter is not None and not joined:
            chain.append((f"{path}.filter", *_filter(connection, post, self.clock)))
        for name, kind, values in chain:
            self.edges.append((at, self._add(name, kind, **values)))
            at = name
        self.edges.append((at, connection.post.path))

    def _outputs(self) -> None:
        """Adds an output for each decoder; without decoders for each population that flows into nothing."""
        targets = [(decoder.path, decoder.target) for decoder in self.network.decoders]
        if not targets:
            inner = {c.pre.path for c in self.network.connections}
            last = [group for group in self.network.groups if group.path not in inner]
            targets = [("output" if len(last) == 1 else f"output.{group.path}", group) for group in last]
        for name, group in targets:
            shape = np.array(self.shapes[group.path])
            self.edges.append((group.path, self._add(name, "Output", shape=shape)))


def _check_members(network: Network) -> None:
    for connection in network.connections:
        if not isinstance(connection.pre, Encoder | NeuronGroup):
            raise UnsupportedError(
                f"NIR: connection {connection.path!r} starts at the {connection.pre.kind} {connection.pre.path!r}, for "
                "which NIR has no node; only encoders and neuron groups have one"
            )


def _shapes(network: Network) -> dict[str, Shape]:
    """The shape of each population: its own where a convolution or a pooling meets it, else flat; an input's own."""
    framed = {end.path for c in network.connections if isinstance(c.link, Conv | Pool) for end in (c.pre, c.post)}
    found = {group.path: group.shape if group.path in framed else (group.num,) for group in network.groups}
    return found | {encoder.path: encoder.shape for encoder in network.encoders}


def _filled(value: Any, shape: Shape) -> NDArray[np.float64]:
    """One value for each neuron of a shape."""
    value = np.asarray(value, dtype=np.float64)
    return np.full(shape, value) if value.ndim == 0 else value.reshape(shape)


def _node(path: str, neuron: Neuron[Any], clock: Clock) -> tuple[str, dict[str, Any]]:
    """Type and parameters of the node of a model; UnsupportedError for what NIR does not have."""
    emission = neuron.emission
    spiking = isinstance(emission.forward, Step) and isinstance(emission.reset, ToValue)
    graded = isinstance(emission.forward, Graded) and isinstance(emission.reset, NoReset)
    if type(neuron) not in (IF, LI, LIF, CubaLIF) or emission.variable != "v":
        raise UnsupportedError(
            f"NIR: {path!r} is a {type(neuron).__name__}, for which NIR has no node; it has nodes for if, lif, li and "
            "cubalif, and for lif behind a low-pass filter"
        )
    if isinstance(neuron, CubaLIF) and clock.integration != "exact":
        raise UnsupportedError(f"NIR: {path!r} is a cubalif, whose equations are solved as one: integration='exact'")
    if not spiking and not graded:
        raise UnsupportedError(
            f"NIR: {path!r} emits by {type(emission.forward).__name__} and resets by {type(emission.reset).__name__}; "
            "NIR's neurons spike and are set to a value: emission=Emission(reset=ToValue('v_reset'))"
        )
    values = _integration(path, neuron, clock)
    if spiking:
        target = emission.reset.value  # type: ignore[attr-defined]
        values["v_threshold"] = _read(neuron, emission.threshold)
        values["v_reset"] = _read(neuron, target)
    kind = {IF: "I", CubaLIF: "CubaLI"}.get(type(neuron), "LI")
    return kind + "F" * spiking, values


def _integration(path: str, neuron: Any, clock: Clock) -> dict[str, Any]:
    if isinstance(neuron, IF):
        if np.any(neuron.constant_decay):
            raise UnsupportedError(f"NIR: {path!r} has a constant_decay, which NIR does not have; give it as a bias")
        return {"r": MS / clock.dt}
    if isinstance(neuron, CubaLIF):
        times = {"tau_syn": clock.to_seconds(neuron.tau_syn), "tau_mem": clock.to_seconds(neuron.tau_m)}
        return times | {"r": neuron.r, "v_leak": neuron.v_rest, "w_in": neuron.w_in}
    r = 1.0 if neuron.scale_input else 1.0 / clock.taken(neuron.tau_m)
    return {"tau": clock.to_seconds(neuron.tau_m), "r": r, "v_leak": neuron.v_rest}


def _read(neuron: Any, given: str | float) -> Any:
    return getattr(neuron, given) if isinstance(given, str) else given


def _synapse(low_pass: Any, clock: Clock) -> tuple[Any, Any]:
    """tau_syn and w_in of a low-pass filter."""
    return clock.to_seconds(low_pass.tau), 1.0 if low_pass.normalise else 1.0 / clock.taken(low_pass.tau)


def _filter(connection: Connection, shape: Shape, clock: Clock) -> tuple[str, dict[str, Any]]:
    """The filter of a connection as a leaky integrator of its own."""
    if not isinstance(connection.filter, LowPass):
        name = type(connection.filter).__name__
        raise UnsupportedError(f"NIR: connection {connection.path!r} has a {name}; NIR has low-pass filters only")
    tau, gain = _synapse(connection.filter, clock)
    values = {"tau": tau, "r": gain, "v_leak": 0.0}
    return "LI", {name: _filled(value, shape) for name, value in values.items()}


def _stages(
    connection: Connection, weights: Mapping[str, NDArray[Any]], pre: Shape
) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Names, types and values of the nodes that the link of a connection stands for."""
    link, path = connection.link, connection.path
    if isinstance(link, Conv):
        weight = weights[f"{path}.weight"]
        bias = weights.get(f"{path}.bias", np.zeros(len(weight), weight.dtype))
        window = {name: np.array(pair(getattr(link, name))) for name in ("stride", "padding", "dilation")}
        size = {"input_shape": np.array(connection.ends.pre[1:]), "groups": link.groups}
        stages = [(path, "Conv2d", {"weight": weight, "bias": bias} | window | size)]
        if link.pool is not None:
            stride = link.pool_kernel_size if link.pool_stride is None else link.pool_stride
            stages.append(
                (f"{path}.pool", *_pool(path, link.pool, link.pool_kernel_size, stride, link.pool_padding, 1.0))
            )
        return stages
    if isinstance(link, Pool):
        stride = link.kernel_size if link.stride is None else link.stride
        return [(path, *_pool(path, link.pool, link.kernel_size, stride, link.padding, link.scale))]
    if isinstance(link, OneToOne) and f"{path}.bias" not in weights:
        return [(path, "Scale", {"scale": weights[f"{path}.weight"]})]
    if isinstance(link, Null):
        return []
    if not isinstance(link, DENSE):
        raise UnsupportedError(f"NIR: connection {path!r} is a {link.name!r} link, for which NIR has no node")
    matrix, offset = _matrix(connection, weights)
    if offset is None:
        return [(path, "Linear", {"weight": matrix})]
    return [(path, "Affine", {"weight": matrix, "bias": offset})]


def _matrix(connection: Connection, weights: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    path, pre, post = connection.path, math.prod(connection.ends.pre), math.prod(connection.ends.post)
    weight: Any = weights[f"{path}.weight"]
    bias = weights.get(f"{path}.bias")
    if weight.shape == (post, pre):
        return weight, bias
    if pre * post > MAX_ENTRIES:
        raise UnsupportedError(f"NIR: connection {path!r} would be a matrix of {post} x {pre}, more than {MAX_ENTRIES}")
    matrix: Any = np.zeros((post, pre), weight.dtype)
    np.add.at(matrix, tuple(weights[f"{path}.indices"]), weight)
    return matrix, bias


def _pool(path: str, kind: str, kernel: Any, stride: Any, padding: Any, scale: float) -> tuple[str, dict[str, Any]]:
    names = {1.0: "AvgPool2d", float(math.prod(pair(kernel))): "SumPool2d"}
    if kind != "avg" or scale not in names:
        raise UnsupportedError(
            f"NIR: connection {path!r} pools by {kind!r} with scale {scale}; NIR has the mean and the sum: pool='avg' "
            "with scale 1 or as many as the window holds"
        )
    windows = {"kernel_size": kernel, "stride": stride, "padding": padding}
    return names[scale], {name: np.array(pair(value)) for name, value in windows.items()}

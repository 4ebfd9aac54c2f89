"""What a recorded network costs by its description: connection by connection, in memory, and on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, UnknownNameError
from ...registry import did_you_mean
from .activity import Activity
from .cost import effective_macs, energy_proxy_pj, whole

_MOST = 1 << 62


@dataclass(frozen=True)
class ConnectionCost:
    """What the spikes of a connection's source cause in it, in all samples together.

    synaptic_operations = acs + macs; energy_proxy_pj: by the defaults of `energy_proxy_pj`. weight_bits: of one weight.
    """

    path: str
    pre: str
    post: str
    n_spikes: int
    synaptic_operations: int
    acs: int
    macs: int
    dense_macs: int
    energy_proxy_pj: float
    weight_bits: int


class MemoryVolume(NamedTuple):
    """Bits to hold: all weights (which neurons a list of synapses joins is not counted), the state variables of one
    sample, and the spikes of one step as a bit for each neuron."""

    weight_bits: int
    state_bits: int
    spike_bits: int


class Communication(NamedTuple):
    """What a layer sends to another layer, or to another node, in all samples together.

    bitmap_bytes: a bit for each neuron and step; event_bytes: an address for each spike, ceil(log2 N) bits, and its
    value where it is graded, value_bits.
    """

    pre: str
    to: str
    n_spikes: int
    bitmap_bytes: int
    event_bytes: int


def connection_costs(description: Mapping[str, Any], activities: Mapping[str, Activity]) -> tuple[ConnectionCost, ...]:
    """The cost of each connection whose source's activity is known.

    description: what `spikeloom.backends.described.describe` says, as a session keeps it in the metadata "network";
    activities: by the path of the layer. DataError where the description is not one, or not of these layers.
    """
    costs = []
    for path, entry in _part(description, "connections").items():
        pre, post = _text(entry, "pre", path), _text(entry, "post", path)
        if pre not in activities:
            continue
        found = activities[pre]
        fan_out = _fan_out(entry, path, _size_of(description, pre, found))
        if float((found.counts * fan_out.astype(np.float64)).sum()) >= _MOST:
            raise DataError(f"description: fan_out of {path!r} makes {_MOST} operations or more")
        done = effective_macs(found, fan_out, _number(entry, "macs", path))
        n_spikes = round(int(found.counts.sum()) / found.recorded_fraction)
        energy, bits = energy_proxy_pj(done.acs, done.macs), _number(entry, "weight_bits", path)
        costs.append(ConnectionCost(path, pre, post, n_spikes, done.acs + done.macs, *done, energy, bits))
    return tuple(costs)


def memory_volume(description: Mapping[str, Any]) -> MemoryVolume:
    """The bits that a network holds; description: as for `connection_costs`."""
    weights = sum(
        _number(entry, "weights", path) * _number(entry, "weight_bits", path)
        for path, entry in _part(description, "connections").items()
    )
    layers = _part(description, "layers")
    sizes = {path: math.prod(_shape(description, path)) for path in layers}
    bits = _number(description, "bits", "network")
    states = sum(sizes[path] * _number(entry, "states", path) for path, entry in layers.items())
    return MemoryVolume(weights, states * bits, sum(sizes.values()))


def communication_volume(
    description: Mapping[str, Any],
    activities: Mapping[str, Activity],
    nodes: Mapping[str, str] | None = None,
    value_bits: int = 8,
) -> tuple[Communication, ...]:
    """What goes from layer to layer: one entry for each two that a connection joins, whatever their number.

    nodes: the node that each layer lives on, by its path; then what goes from layer to node, once for all that live
    there, and nothing within a node. Layers without activity are left out. description: as for `connection_costs`.
    """
    whole("communication_volume.value_bits", value_bits, 0)
    found = {}
    for path, entry in _part(description, "connections").items():
        pre, post = _text(entry, "pre", path), _text(entry, "post", path)
        to = post if nodes is None else _node(nodes, post)
        if pre in activities and (nodes is None or _node(nodes, pre) != to):
            n = _size_of(description, pre, activities[pre])
            found[pre, to] = Communication(pre, to, *_sent(activities[pre], n, value_bits))
    return tuple(found.values())


def _size_of(description: Mapping[str, Any], layer: str, found: Activity) -> int:
    """How many neurons a layer has; DataError where its activity is that of another number."""
    n = math.prod(_shape(description, layer))
    if len(found.counts) != n:
        raise DataError(f"description: layer {layer!r} has {n} neurons, its activity {len(found.counts)}")
    return n


def _sent(found: Activity, n: int, value_bits: int) -> tuple[int, int, int]:
    """The spikes, and the bytes that they take as bits and as events."""
    n_spikes, graded = (round(int(c.sum()) / found.recorded_fraction) for c in (found.counts, found.graded))
    address = max(1, (n - 1).bit_length())
    return n_spikes, -(-n * found.n_steps // 8), -(-(n_spikes * address + graded * value_bits) // 8)


def _node(nodes: Mapping[str, str], layer: str) -> str:
    if layer not in nodes:
        raise UnknownNameError(f"nodes: layer {layer!r} has no node{did_you_mean(layer, nodes)}")
    return nodes[layer]


def _part(description: Mapping[str, Any], name: str) -> Mapping[str, Mapping[str, Any]]:
    part = description.get(name) if isinstance(description, Mapping) else None
    if not isinstance(part, Mapping) or not all(isinstance(entry, Mapping) for entry in part.values()):
        raise DataError(f"description: {name!r} must map paths to settings, got {part!r:.80}")
    return part


def _number(entry: Mapping[str, Any], name: str, path: str) -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST:
        raise DataError(f"description: {name} of {path!r} must be a whole number, zero or more, got {value!r:.80}")
    return value


def _text(entry: Mapping[str, Any], name: str, path: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str):
        raise DataError(f"description: {name} of {path!r} must be the path of a layer, got {value!r:.80}")
    return value


def _shape(description: Mapping[str, Any], layer: str) -> list[int]:
    shape = _part(description, "layers").get(layer, {}).get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and 0 < n < 1 << 31 for n in shape) or len(shape) > 32:
        raise DataError(f"description: the shape of layer {layer!r} must hold whole numbers, got {shape!r:.80}")
    if math.prod(shape) >= _MOST:
        raise DataError(f"description: layer {layer!r} has {_MOST} neurons or more, got the shape {shape!r:.80}")
    return shape


def _fan_out(entry: Mapping[str, Any], path: str, n: int) -> NDArray[np.int64]:
    """The fan-out of each of n neurons."""
    given = entry.get("fan_out")
    values = given if isinstance(given, list) else [given] * n
    if len(values) != n or not all(type(v) is int and 0 <= v < 1 << 40 for v in values):
        raise DataError(
            f"description: fan_out of {path!r} must be a whole number or one for each of {n} neurons, got {given!r:.80}"
        )
    return np.array(values, np.int64)

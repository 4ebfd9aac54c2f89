"""What a built network says of itself to a sink, as JSON values: its layers, and how far a spike of each reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..network import Connection, Network, NeuronGroup
from ..network.links import Conv, Ends, Link, Pool
from ..network.links.conv import pair
from ..network.links.link import Wanted
from ..network.synapses import AvgPool, MaxPool, Stage, Window

if TYPE_CHECKING:
    from .torch_backend import TorchBuild

Weights = Mapping[str, Tensor]


def describe(build: TorchBuild) -> dict[str, Any]:
    """The layers and connections of a built network, as values that JSON holds.

    dt in ms; bits of a number. layers, by path: kind ('group', 'encoder', 'generator', ...), model, shape, states, how
    many variables each neuron has, and v_th, the potential at which it fires, None where it has none or one a neuron.
    connections, by path: pre, post, link; synapses: how many there are with a weight other than zero, each shared
    weight as often as it is used; weights: how many numbers are stored for them, and weight_bits of each; fan_out: how
    many synapses a spike of each presynaptic neuron reaches, one number where it is the same for all; macs: the
    multiplications of one step without regard to zeros. An electrical synapse carries no spikes: its fan_out is 0.
    """
    network = build.network
    with torch.inference_mode(False):
        connections = {connection.path: _connection(build, connection) for connection in network.connections}
    return {
        "dt": build.dt,
        "bits": 8 * build.like.element_size(),
        "layers": {component.path: _layer(build, component) for component in _layers(network)},
        "connections": connections,
    }


def _layers(network: Network) -> list[Any]:
    """Every component of a run that has neurons or values to send."""
    found = [*network.encoders, *network.generators, *network.groups, *(c.pre for c in network.connections)]
    return list({component.path: component for component in found}.values())


def _layer(build: TorchBuild, component: Any) -> dict[str, Any]:
    is_group = isinstance(component, NeuronGroup)
    return {
        "kind": "group" if is_group else component.kind,
        "model": _model(component),
        "shape": list(component.shape),
        "states": len(component.neuron.State._fields) if is_group else 0,
        "v_th": _threshold(build, component) if is_group else None,
    }


def _model(component: Any) -> str:
    """The name of its model, coding method or operation."""
    for name in ("model", "coding_method", "operation"):
        if hasattr(component, name):
            found = getattr(component, name)
            return found if isinstance(found, str) else type(found).__name__.lower()
    return type(component).__name__


def _threshold(build: TorchBuild, group: NeuronGroup) -> float | None:
    named = group.neuron.emission.threshold
    value: Any = named
    if isinstance(named, str):
        value = build.parameters[group.path].get(named, getattr(group.neuron, named, None))
    value = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    return float(value) if value is not None and np.ndim(value) == 0 and np.isfinite(value) else None


def _connection(build: TorchBuild, connection: Connection) -> dict[str, Any]:
    weights = build.weights[connection.path]
    weight = weights.get("weight")
    reached = fan_out(connection, weights)
    return {
        "pre": str(connection.pre.path),
        "post": connection.post.path,
        "link": connection.link.name,
        "synapses": int(_synapses(connection, weights).sum()),
        "weights": 0 if weight is None else weight.numel(),
        "weight_bits": 0 if weight is None else 8 * weight.element_size(),
        "fan_out": int(reached[0]) if len(reached) and (reached == reached[0]).all() else reached.tolist(),
        "macs": int(_synapses(connection, weights, zeros=True).sum()),
    }


def fan_out(connection: Connection, weights: Weights) -> NDArray[np.int64]:
    """How many synapses with a weight other than zero a spike of each presynaptic neuron reaches, (n_pre,).

    weights: the tensors of the connection by name. What stands before the weights is passed: a spike counts in each
    window of a pooling and each copy of an upsampling. Zeros for an electrical synapse.
    """
    if connection.synapses.electrical:
        return np.zeros(math.prod(connection.pre.shape), np.int64)
    reached = _synapses(connection, weights).view(1, 1, *connection.ends.pre)
    with torch.enable_grad():
        spikes = reached.new_zeros(1, 1, *connection.pre.shape).requires_grad_()
        arrived = spikes
        for stage in connection.synapses.before:
            arrived = _passed(stage, arrived)
        (back,) = torch.autograd.grad(arrived, spikes, reached)
    whole: NDArray[np.int64] = back.flatten().round().long().cpu().numpy()
    return whole


def _synapses(connection: Connection, weights: Weights, *, zeros: bool = False) -> Tensor:
    """How many synapses lead from each entry of what the link takes, (n,), those with weight zero too where asked for.

    The adjoint of the link's product at a gradient of one everywhere, with one in place of every weight.
    """
    link, ends = _counting(connection)
    device = next((w.device for w in weights.values()), None)
    like = torch.zeros((), dtype=torch.float64 if math.prod(ends.post) >= 1 << 24 else torch.float32, device=device)
    beside = {"delay", "sigma", *(name for stage in connection.synapses.stages for name in stage.parameters)}
    own = {name: w.detach() for name, w in weights.items() if name not in beside}
    masks = {k: ((w != 0) | zeros).to(like) if w.is_floating_point() else w for k, w in own.items()}
    signal, grad = like.new_zeros(1, 1, *ends.pre), like.new_ones(1, 1, *ends.post)
    back = cast(Tensor, link.gradients(signal, masks, ends, grad, Wanted(True, ())).signal)
    return back.detach().flatten().double().round()


def _counting(connection: Connection) -> tuple[Link, Ends]:
    """The link whose product counts synapses: without the pooling of a current, and each window of a pooling as one."""
    link, ends = connection.link, connection.ends
    if isinstance(link, Conv) and link.pool is not None:
        bare = Conv(
            out_channels=ends.post[0], kernel_size=link.kernel_size, stride=link.stride, padding=link.padding,
            dilation=link.dilation, groups=link.groups,
        )  # fmt: skip
        return bare, Ends(ends.pre, bare.target(connection.path, ends.pre))
    if isinstance(link, Pool):
        return replace(link, pool="avg", scale=float(math.prod(pair(link.kernel_size)))), ends
    return link, ends


def _passed(stage: Stage, x: Tensor) -> Tensor:
    """What a stage does to where spikes arrive: each window of a pooling gets each of its spikes."""
    if isinstance(stage, (MaxPool, AvgPool)):
        over = stage._window()
        pooled = F.avg_pool2d(x.flatten(0, 1), *over[1:]) * math.prod(over.kernel)
        return pooled.view(*x.shape[:2], *pooled.shape[1:])
    if stage.keeps_shape:
        return x
    return stage.apply(x, (), {}, Window(1.0, False, torch.Generator(), False))[0]

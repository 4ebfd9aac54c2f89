"""Networks of torch, `nn.Sequential`, as networks of populations.

What becomes what, in steps of dt:

    Linear, Conv2d, AvgPool2d, MaxPool2d, Flatten     connections with the same weights: equal
    Dropout, Identity                                 nothing: equal to evaluation
    ReLU                                              `if` that gives back the threshold, 1: close, see below
    modules with a `neuron` of ours                   populations of it
    Leaky, Synaptic (snnTorch)                        `lif`, behind a low-pass filter for Synaptic: equal
    IFNode, LIFNode, ParametricLIFNode (SpikingJelly) `if`, `lif` with scale_input=decay_input: equal

Equal: spike for spike to the rounding of numbers, but where a potential meets its threshold exactly (snnTorch fires
for v > threshold, we and SpikingJelly for v >= threshold) and where snnTorch has more than the threshold left after it
took it off at once (reset_delay=False), for which it then asks twice the threshold. Neurons are known by the name of
their class, or of a base class, and its attributes; snntorch and spikingjelly need not be there.

ReLU: with the same input x in every step, and 0 <= x <= 1 for what flows into a unit that is active, the spikes a step
after T steps lie within 1 / T of max(x, 0) in the first layer of ReLUs; above 1 a unit fires in every step. In deeper
layers they come near as T grows, without a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import ParameterError, ShapeError, UnsupportedError
from ..filters import LowPass
from ..neurons import IF, LIF, Emission, Neuron, NoReset, Reset, Subtract, SubtractValue, ToValue
from ..units import check_dt
from .graph import Answer, Feed, Node, Pass, Population, check_size, network_of, passed_on
from .graph_stages import Convolution, Dense, Pooling, Shape
from .group import population_shape
from .links.conv import pair
from .network import Network
from .parameters import as_array


def from_torch(
    module: Any, shape: Any, dt: float = 0.1, coding_method: str = "constant_current", time: float | None = None
) -> Network:
    """The network of an `nn.Sequential` for data of a shape (without batch and time), in steps of dt ms.

    Its encoder is `input`, its decoder `output`: spike counts, or the last stage's result in every step where no neuron
    follows it. The weights are copied. Raises UnsupportedError, which names the module, for one that is not known,
    ShapeError, which names it too, where what flows into it does not fit. time: for how long the data flow in, in ms;
    None: through the whole run.
    """
    if not isinstance(module, nn.Sequential):
        raise ParameterError(f"Network.from_torch takes an nn.Sequential, got {type(module).__name__}")
    dt = check_dt(dt, "Network.from_torch: dt")
    size = population_shape("Network.from_torch", None, shape)
    source = "the data, shape="
    nodes: dict[str, Node] = {"input": Feed(size, time)}
    seen: dict[int, str] = {}
    for path, part in _parts(module):
        if (first := seen.setdefault(id(part), path)) != path and next(part.parameters(), None) is not None:
            raise UnsupportedError(
                f"Network.from_torch: module {path!r} is {first!r} once more; weights cannot be shared, so use a copy"
            )
        try:
            nodes[path] = _node(part, dt)
        except UnsupportedError as error:
            raise UnsupportedError(f"Network.from_torch: module {path!r} ({type(part).__name__}): {error}") from error
        size = _fitting(nodes[path], f"module {path!r} ({type(part).__name__})", f"{source}{size}", size)
        source = f"the result of {path!r}, of shape "
    if all(isinstance(node, Feed | Pass) for node in nodes.values()):
        raise ParameterError("Network.from_torch: the nn.Sequential has no module with weights or neurons; add one")
    nodes["output"] = Answer()
    names = [*nodes]
    network = network_of(nodes, pairwise(names), coding_method)
    network.set_backend_dt(dt)
    return network


def _fitting(node: Node, name: str, given: str, shape: Shape) -> Shape:
    """The shape of what a module gives for what it is given; ShapeError, which names both, where that does not fit."""
    try:
        result = passed_on(node, shape)
        check_size(result)
    except ShapeError as error:
        raise ShapeError(f"Network.from_torch: {name} does not fit {given}: {error}") from error
    if isinstance(node, Population):
        for parameter in node.neuron.parameters():
            if (n := np.size(getattr(node.neuron, parameter))) not in (1, math.prod(shape)):
                raise ShapeError(f"Network.from_torch: {name} has parameters for {n} neurons, which do not fit {given}")
    return result


def _parts(module: nn.Sequential, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, part in module._modules.items():  # named_children leaves out a module that comes again
        if part is None:
            continue
        if isinstance(part, nn.Sequential):
            yield from _parts(part, f"{path}{name}.")
        else:
            yield f"{path}{name}", part


def _node(part: nn.Module, dt: float) -> Node:
    if isinstance(neuron := getattr(part, "neuron", None), Neuron):
        return Population(neuron)
    for kind, read in _LAYERS.items():
        if isinstance(part, kind):
            return read(part)
    for kind in type(part).__mro__:
        if kind.__name__ in _NEURONS and not kind.__module__.startswith("torch"):
            return _NEURONS[kind.__name__](part, dt)
    known = ", ".join([*(kind.__name__ for kind in _LAYERS), *_NEURONS])
    raise UnsupportedError(f"it has no counterpart; known are: {known}")


def _flatten(part: Any) -> Pass:
    if (part.start_dim, part.end_dim) != (1, -1):
        raise UnsupportedError(f"it flattens axes {part.start_dim} to {part.end_dim}; only all but the batch, (1, -1)")
    return Pass(flat=True)


def _linear(part: Any) -> Dense:
    return Dense(as_array(part.weight), None if part.bias is None else as_array(part.bias))


def _convolution(part: Any) -> Convolution:
    if part.padding_mode != "zeros" or isinstance(part.padding, str):
        raise UnsupportedError("its padding must be given in numbers, and be of zeros")
    bias = None if part.bias is None else as_array(part.bias)
    return Convolution(as_array(part.weight), bias, part.stride, part.padding, part.dilation, part.groups)


def _pooling(part: Any) -> Pooling:
    kind = "max" if isinstance(part, nn.MaxPool2d) else "avg"
    plain = {"ceil_mode": False, "count_include_pad": True, "divisor_override": None, "dilation": 1}
    plain["return_indices"] = False
    for name, value in plain.items():
        given = getattr(part, name, value)
        if given != value and not (name == "dilation" and pair(given) == (1, 1)):
            raise UnsupportedError(f"{name} must be {value}, got {given}")
    return Pooling(kind, pair(part.kernel_size), pair(part.stride), pair(part.padding))


def _relu(part: Any) -> Population:
    return Population(IF(emission=Emission(reset=Subtract())))


_LAYERS: Mapping[type[nn.Module], Callable[[Any], Node]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.AvgPool2d: _pooling,
    nn.MaxPool2d: _pooling,
    nn.Flatten: _flatten,
    nn.Identity: lambda part: Pass(),
    nn.Dropout: lambda part: Pass(),
    nn.ReLU: _relu,
}


def _value(part: Any, name: str) -> Any:
    """An attribute of a module as a number, or an array where it differs from neuron to neuron."""
    array = as_array(getattr(part, name)).astype(np.float64)
    return float(array.flat[0]) if np.all(array == array.flat[0]) else array


def _kept(owner: str, kept: Any, dt: float) -> Any:
    """The time constant in ms with which a step keeps this share of the potential."""
    if np.any(np.asarray(kept) <= 0) or np.any(np.asarray(kept) >= 1):
        raise UnsupportedError(f"{owner} must lie between 0 and 1, got {kept}")
    tau = -dt / np.log(kept)
    return float(tau) if np.ndim(tau) == 0 else tau


def _leaky(part: Any, dt: float) -> Population:
    for name in ("inhibition", "state_quant"):
        if getattr(part, name, False):
            raise UnsupportedError(f"{name} has no counterpart")
    beta, v_th = _value(part, "beta"), _value(part, "threshold")
    neuron = LIF(tau_m=_kept("beta", beta, dt), v_th=v_th, emission=Emission(reset=_snntorch_reset(part, beta, v_th)))
    return Population(neuron)


def _snntorch_reset(part: Any, beta: Any, v_th: Any) -> Reset:
    """snnTorch takes the threshold off after the decay of the next step: threshold / beta before it."""
    if part.reset_mechanism == "zero":
        return ToValue(0.0)
    if part.reset_mechanism == "none":
        return NoReset()
    if not part.reset_delay:
        return Subtract()
    taken = np.divide(v_th, beta)
    if taken.ndim:
        raise UnsupportedError("with reset_delay=True its beta and threshold must be numbers; give reset_delay=False")
    return SubtractValue(float(taken))


def _synaptic(part: Any, dt: float) -> Population:
    if part.reset_mechanism == "zero" and part.reset_delay:
        raise UnsupportedError("with reset_mechanism='zero' a step's current is lost; give reset_delay=False")
    alpha, made = _kept("alpha", _value(part, "alpha"), dt), _leaky(part, dt)
    return Population(made.neuron, filter=LowPass(tau=alpha))


def _jelly_reset(part: Any) -> tuple[float, Reset]:
    """Where the potential rests, and the reset of SpikingJelly."""
    return (0.0, Subtract()) if part.v_reset is None else (float(part.v_reset), ToValue("v_reset"))


def _if_node(part: Any, dt: float) -> Population:
    rest, reset = _jelly_reset(part)
    if rest:
        raise UnsupportedError("v_reset must be 0 or None: its potential starts there")
    return Population(IF(v_th=float(part.v_threshold), emission=Emission(reset=reset)))


def _lif_node(part: Any, dt: float) -> Population:
    inverse = float(torch.sigmoid(part.w)) if hasattr(part, "w") else 1.0 / _value(part, "tau")
    rest, reset = _jelly_reset(part)
    neuron = LIF(
        tau_m=_kept("1 - 1 / tau", 1.0 - inverse, dt), scale_input=bool(part.decay_input), v_rest=rest, v_reset=rest,
        v_th=float(part.v_threshold), emission=Emission(reset=reset),
    )  # fmt: skip
    return Population(neuron)


_NEURONS: Mapping[str, Callable[[Any, float], Node]] = {
    "Leaky": _leaky,
    "Synaptic": _synaptic,
    "IFNode": _if_node,
    "LIFNode": _lif_node,
    "ParametricLIFNode": _lif_node,
}

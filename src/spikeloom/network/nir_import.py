"""NIR nodes as the graph of a network: neurons, stages, delays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, UnsupportedError
from ..filters import LowPass
from ..neurons import IF, LI, LIF, CubaLIF, Emission, Graded, NoReset
from ..registry import did_you_mean
from .graph import Answer, Feed, Node, Pass, Population
from .graph_stages import Convolution, Dense, Factor, Pair, Pooling, Shape
from .nir_time import MS, Clock
from .parameters import numbers
from .values import at

_DEPTH = 8
_SAME = 1e-6
"""How far apart two gains may lie and be one: the rounding of files in single precision."""
_POTENTIAL = Emission(threshold=0.0, forward=Graded(), reset=NoReset())
"""What lets a neuron emit its potential."""

Values = Mapping[str, Any]


class Parts(NamedTuple):
    """The nodes of a graph, those of graphs within it too, by path, and the edges between them."""

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]


def parts_of(graph: Values, clock: Clock, where: str = "", depth: int = 0) -> Parts:
    """The parts of a NIR graph as nested mappings; DataError, which names the node, for what is wrong or unknown."""
    described, edges = graph.get("nodes"), _edges(graph.get("edges"))
    if graph.get("type") != "NIRGraph" or not isinstance(described, Mapping) or depth > _DEPTH:
        raise DataError(f"{where or 'the file'} must hold a NIRGraph with nodes and edges, at most {_DEPTH} deep")
    found = Parts({}, [])
    ends: dict[str, tuple[str, str]] = {}
    for key, values in described.items():
        path = f"{where}{key}"
        if isinstance(values, Mapping) and values.get("type") == "NIRGraph":
            inner = parts_of(values, clock, f"{path}.", depth + 1)
            ends[key] = _ends(path, inner)
            found.nodes.update(_opened(inner.nodes))
            found.edges.extend(inner.edges)
        else:
            with at(f"node {path!r}"):
                found.nodes[path] = node_of(values, clock)
            ends[key] = path, path
    for pre, post in edges:
        if pre not in ends or post not in ends:
            raise DataError(f"edge {(pre, post)}: there is no node {pre if pre not in ends else post!r}")
        found.edges.append((ends[pre][1], ends[post][0]))
    return found


def _edges(given: Any) -> list[tuple[str, str]]:
    try:
        pairs = [(pre, post) for pre, post in given]
    except (TypeError, ValueError) as error:
        raise DataError(f"edges must be pairs of names: {error}") from error
    if not all(isinstance(name, str) for pair in pairs for name in pair):
        raise DataError("edges must be pairs of names")
    return pairs


def _ends(path: str, inner: Parts) -> tuple[str, str]:
    """The one input and the one output of a graph within a graph."""
    found = []
    for kind in (Feed, Answer):
        keys = [key for key, node in inner.nodes.items() if isinstance(node, kind)]
        if len(keys) != 1:
            raise UnsupportedError(f"node {path!r}: a graph within a graph must have one input and one output")
        found.append(keys[0])
    return found[0], found[1]


def _opened(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes of a graph within a graph: its input and its output only pass on."""
    return {key: Pass() if isinstance(node, Feed | Answer) else node for key, node in nodes.items()}


def node_of(values: Any, clock: Clock) -> Node:
    """The node that a mapping with its `type` describes."""
    kind = values.get("type") if isinstance(values, Mapping) else None
    if not isinstance(kind, str) or kind not in _READERS:
        known = ", ".join(_READERS)
        raise UnsupportedError(f"unknown type {kind!r}{did_you_mean(str(kind), _READERS)} Known: {known}")
    return _READERS[kind](values, clock)


def _array(values: Values, name: str, default: Any = None) -> NDArray[Any]:
    given = values.get(name)
    if given is None:
        if default is None:
            raise DataError(f"it lacks {name}")
        given = default
    array = numbers(name, given)
    if not np.all(np.isfinite(array)):
        raise DataError(f"{name} must hold finite numbers")
    return array


def _shape(values: Values, name: str) -> Shape:
    array = np.ravel(_array(values, name))
    if array.dtype.kind not in "iu" or not 0 < len(array) <= 8 or np.any(array < 1):
        raise DataError(f"{name} must be up to 8 positive whole numbers, got {array!r:.80}")
    return tuple(int(n) for n in array)


def _pair(values: Values, name: str) -> Pair:
    array = np.ravel(_array(values, name))
    if array.dtype.kind not in "iu" or len(array) not in (1, 2):
        raise DataError(f"{name} must be one or two whole numbers, got {array!r:.80}")
    return int(array[0]), int(array[-1])


def _same_shape(values: Values, names: Iterable[str]) -> tuple[Shape | None, list[Any]]:
    """The shape of the parameters of neurons (None: one value for all), and each as a number or an array of it."""
    arrays = [_array(values, name, np.zeros(1) if name == "v_reset" else None) for name in names]
    arrays = [array.astype(np.float64) for array in arrays]
    shapes = {array.shape for array in arrays if array.size != 1}
    if len(shapes) > 1:
        raise DataError(f"its parameters must have one shape, got {sorted(shapes)}")
    shape = next(iter(shapes), None)
    found = [float(a.flat[0]) if a.size and np.all(a == a.flat[0]) else a for a in arrays]
    return shape, found


def _input_scale(r: Any, taken: Any) -> tuple[bool, Any]:
    """Whether a step scales its input by 1 - decay (`taken`), and by what its currents are multiplied beside it."""
    if np.allclose(r, 1.0, rtol=_SAME, atol=0):
        return True, 1.0
    if np.allclose(np.multiply(r, taken), 1.0, rtol=_SAME, atol=0):
        return False, 1.0
    return True, r


def _membrane(values: Values, clock: Clock, tau: str = "tau", *more: str) -> tuple[Shape | None, dict[str, Any], Any]:
    shape, (tau_s, r, v_leak, *rest) = _same_shape(values, (tau, "r", "v_leak", *more))
    tau_m = _one(clock.from_seconds(tau, tau_s))
    scale, gain = _input_scale(r, clock.taken(tau_m))
    return shape, {"tau_m": tau_m, "v_rest": v_leak, "scale_input": scale} | dict(zip(more, rest, strict=True)), gain


def _one(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else value


def _lif(values: Values, clock: Clock, tau: str = "tau") -> Population:
    shape, parameters, gain = _membrane(values, clock, tau, "v_threshold", "v_reset")
    return Population(LIF(v_th=parameters.pop("v_threshold"), **parameters), shape, gain)


def _li(values: Values, clock: Clock, tau: str = "tau") -> Population:
    shape, parameters, gain = _membrane(values, clock, tau)
    return Population(LI(**parameters), shape, gain)


def _cuba(spiking: bool) -> Callable[[Values, Clock], Population]:
    """A neuron with a synaptic current: solved as one where that is exact, else a membrane behind a low-pass filter."""

    def read(values: Values, clock: Clock) -> Population:
        values = {"w_in": 1.0} | dict(values)
        if clock.integration == "exact":
            return _cuba_exact(values, clock, spiking)
        made = (_lif if spiking else _li)(values, clock, "tau_mem")
        shape, (tau_s, w_in) = _same_shape(values, ("tau_syn", "w_in"))
        tau = _one(clock.from_seconds("tau_syn", tau_s))
        normalise, gain = _input_scale(w_in, clock.taken(tau))
        gain = gain if np.all(made.gain == 1.0) else np.multiply(made.gain, gain)
        return Population(made.neuron, made.shape or shape, gain, LowPass(tau=tau, normalise=normalise))

    return read


def _cuba_exact(values: Values, clock: Clock, spiking: bool) -> Population:
    names = ("tau_mem", "tau_syn", "r", "w_in", "v_leak", *(("v_threshold", "v_reset") if spiking else ()))
    shape, (tau_m, tau_syn, r, w_in, v_rest, *rest) = _same_shape(values, names)
    tau_m, tau_syn = (_one(clock.from_seconds(n, t)) for n, t in (("tau_mem", tau_m), ("tau_syn", tau_syn)))
    more = dict(zip(("v_th", "v_reset"), rest, strict=True)) if spiking else {"emission": _POTENTIAL}
    return Population(CubaLIF(tau_m=tau_m, tau_syn=tau_syn, r=r, w_in=w_in, v_rest=v_rest, **more), shape)


def _if(values: Values, clock: Clock) -> Population:
    shape, (r, v_th, v_reset) = _same_shape(values, ("r", "v_threshold", "v_reset"))
    return Population(IF(v_th=v_th, v_reset=v_reset), shape, _per_step(r, clock))


def _integrator(values: Values, clock: Clock) -> Population:
    shape, (r,) = _same_shape(values, ("r",))
    return Population(IF(emission=_POTENTIAL), shape, _per_step(r, clock))


def _per_step(r: Any, clock: Clock) -> Any:
    gain = np.multiply(r, clock.dt / MS)
    return 1.0 if np.allclose(gain, 1.0, rtol=_SAME, atol=0) else _one(gain)


def _convolution(values: Values, clock: Clock) -> Convolution:
    weight, bias = _array(values, "weight"), _array(values, "bias", np.zeros(1))
    if weight.ndim != 4:
        raise DataError(f"weight must have shape (out, in / groups, height, width), got {weight.shape}")
    stride, dilation = _pair(values, "stride"), _pair(values, "dilation")
    padding = _padding(values, weight.shape[2:], stride, dilation)
    groups = int(_array(values, "groups").item())
    return Convolution(weight, bias if np.any(bias) else None, stride, padding, dilation, groups)


def _padding(values: Values, kernel: Shape, stride: Pair, dilation: Pair) -> Pair:
    given = values.get("padding")
    if not isinstance(given, str):
        return _pair(values, "padding")
    if given == "valid":
        return 0, 0
    around = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if given != "same" or stride != (1, 1) or any(n % 2 for n in around):
        raise UnsupportedError(f"padding {given!r} with kernel {kernel} and stride {stride}; give two whole numbers")
    return around[0] // 2, around[1] // 2


def _pooling(summed: bool) -> Callable[[Values, Clock], Pooling]:
    def read(values: Values, clock: Clock) -> Pooling:
        kernel = _pair(values, "kernel_size")
        scale = float(math.prod(kernel)) if summed else 1.0
        return Pooling("avg", kernel, _pair(values, "stride"), _pair(values, "padding"), scale)

    return read


def _delay(values: Values, clock: Clock) -> Pass:
    delay = _array(values, "delay").astype(np.float64) * MS
    if np.any(delay != delay.flat[0]) or delay.flat[0] < 0:
        raise UnsupportedError("delays that differ from neuron to neuron, or below zero, are not read; give one delay")
    return Pass(delay=round(float(delay.flat[0]), 9))


_READERS: Mapping[str, Callable[[Values, Clock], Node]] = {
    "Input": lambda values, _: Feed(_shape(values, "shape")),
    "Output": lambda *_: Answer(),
    "Affine": lambda values, _: Dense(_array(values, "weight"), _array(values, "bias")),
    "Linear": lambda values, _: Dense(_array(values, "weight")),
    "Scale": lambda values, _: Factor(_array(values, "scale")),
    "Conv2d": _convolution,
    "SumPool2d": _pooling(summed=True),
    "AvgPool2d": _pooling(summed=False),
    "Flatten": lambda *_: Pass(flat=True),
    "Delay": _delay,
    "I": _integrator,
    "IF": _if,
    "LI": _li,
    "LIF": _lif,
    "CubaLI": _cuba(spiking=False),
    "CubaLIF": _cuba(spiking=True),
}

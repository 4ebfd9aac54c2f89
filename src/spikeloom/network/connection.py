"""What carries spikes from one population to another."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import ParameterError, UnsupportedError
from ..filters import Filter
from ..ops import NumpyOps
from ..registry import canonical, fill_keywords, resolve_keywords
from ..units import steps
from .component import Component
from .group import NeuronGroup
from .links import LINKS, Ends, Link
from .parameters import ParameterHandle, ParameterSpec, numbers


@runtime_checkable
class Source(Protocol):
    """A component that a connection can start from: it has a population shape."""

    shape: tuple[int, ...]


class Connection(Component):
    """`Connection(pre, post, link_type='full', delay=..., filter=..., **link parameters)`.

    link_type: 'full', 'one_to_one', 'sparse', 'conv', 'pool', or a Link; its parameters (weight, bias, w_mean,
    kernel_size, ...) are given beside it. delay: a fixed transmission delay in ms. filter: the synaptic current, a
    linear filter between the product and the neuron's port (`LowPass(tau=5.0)`); without one the current of a spike
    arrives at once. port: which input of the neuron it feeds. A connection between populations that lie in one loop
    takes one time step more; every other one takes none.
    """

    kind = "connection"

    def __init__(
        self,
        pre: Any,
        post: NeuronGroup,
        *more: Any,
        link_type: str | Link | None = None,
        delay: float = 0.0,
        filter: Filter[Any] | None = None,
        port: str | None = None,
        name: str | None = None,
        **keywords: Any,
    ) -> None:
        label = f"Connection {name!r}" if name else "Connection"
        if more:
            raise ParameterError(f"{label}: after pre and post, give each by name: link_type={more[0]!r}")
        own, keywords = fill_keywords(label, "connection", {"link_type": link_type}, keywords)
        if not isinstance(pre, Component) or not isinstance(pre, Source):
            raise ParameterError(f"{label}.pre must be an encoder or a neuron group, got {type(pre).__name__}")
        if not isinstance(post, NeuronGroup):
            raise ParameterError(f"{label}.post must be a neuron group, got {type(post).__name__}")
        if isinstance(delay, bool) or not isinstance(delay, (int, float, np.number)) or not 0 <= delay < float("inf"):
            raise ParameterError(f"{label}.delay must be a time in ms, zero or more, got {delay!r}")
        self.pre, self.post = pre, post
        self.link = _link(label, own["link_type"], keywords)
        self.delay, self.filter = float(delay), filter
        self.port = _port(label, post, port)
        self.link.check(f"{label} ({self.link.name})", self.ends)
        self.link.specs(label, self.ends)  # raises where a given weight does not fit
        _check_filter(label, filter, post)
        super().__init__(name)

    @property
    def ends(self) -> Ends:
        """The shapes of the two populations."""
        return Ends(self.pre.shape, self.post.shape)

    def delay_steps(self, dt: float) -> int:
        """The delay in steps of dt ms; ParameterError unless it is a whole number of them."""
        count = steps(self.delay, dt)
        if abs(count * dt - self.delay) > 1e-6 * dt * max(1, count):
            raise ParameterError(
                f"connection {self.name!r}: delay {self.delay} ms is not a whole number of steps of {dt} ms"
            )
        return count

    def parameter_specs(self) -> list[ParameterSpec]:
        """The weights of its link, as the parameter store keeps them."""
        return self.link.specs(self.path, self.ends)

    @property
    def weight(self) -> ParameterHandle:
        """The weight: `.value` is the tensor in use, assignment to it copies."""
        return self._handle("weight")

    @property
    def bias(self) -> ParameterHandle:
        """The bias, where the connection has one."""
        return self._handle("bias")

    def _settings(self) -> list[str]:
        return [f.name for f in fields(self.link)]

    def _refusal(self, name: str) -> str:
        if name in ("weight", "bias"):
            way = f"net.{self.path}.{name}.value = ..."
            return f"connection {self.name!r}: {name} is a parameter; assign to its value: {way}"
        return super()._refusal(name)

    def _handle(self, which: str) -> ParameterHandle:
        specs = {spec.name: spec for spec in self.parameter_specs()}
        if f"{self.path}.{which}" not in specs:
            raise ParameterError(f"connection {self.name!r} ({self.link.name}) has no {which}")
        return ParameterHandle(self.network.store, specs[f"{self.path}.{which}"], self.network.seed)


def _link(label: str, link_type: str | Link | None, keywords: dict[str, Any]) -> Link:
    if link_type is None:
        raise ParameterError(f"{label}: give link_type=, one of: {', '.join(LINKS)}")
    if isinstance(link_type, Link):
        if keywords:
            raise ParameterError(f"{label}: the link is given as an object; give {', '.join(keywords)} to it")
        return link_type
    kind = LINKS[link_type]
    owner = f"{label}, link_type {kind.name!r}"
    values = resolve_keywords(owner, "link parameter", keywords, [f.name for f in fields(kind)])
    values = {k: numbers(f"{owner}: {k}", v).copy() if hasattr(v, "shape") else v for k, v in values.items()}
    if ignored := sorted(kind.ignored(values) & values.keys()):
        raise ParameterError(f"{owner}: the given weight or indices leave {', '.join(ignored)} without effect; omit it")
    return kind(**values)


def _check_filter(label: str, filter: Any, post: NeuronGroup) -> None:
    """Raises unless the filter turns a current of the target's shape into one of the same shape."""
    if filter is None:
        return
    if not isinstance(filter, Filter):
        raise ParameterError(f"{label}.filter must be a Filter such as LowPass(tau=5.0), got {filter!r}")
    current = np.zeros((1, *post.shape))
    filtered, _ = filter.step(filter.initial(current), current, filter.coefficients(1.0, NumpyOps()))
    if filtered.shape != current.shape:
        kind = type(filter).__name__
        raise UnsupportedError(
            f"{label}.filter: a {kind} turns shape {post.shape} into {filtered.shape[1:]}; use LowPass"
        )


def _port(label: str, post: NeuronGroup, port: str | None) -> str:
    ports = type(post.neuron).ports
    if port is None:
        return ports[0]
    found = canonical("observable", port, ports)
    if found is None:
        raise ParameterError(f"{label}.port must be one of {', '.join(ports)}, got {port!r}")
    return found

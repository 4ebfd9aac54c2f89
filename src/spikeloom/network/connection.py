"""What carries spikes from one population to another."""

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, UnsupportedError
from ..filters import Filter
from ..neurons import Neuron
from ..neurons.custom import Custom
from ..ops import NumpyOps
from ..registry import canonical, fill_keywords, resolve_keywords
from .bounds import Bounds, bounds_of, put_back
from .component import Component
from .delays import are_rounded, check_delays, delay_specs, drawn_between, given_delay, whole_steps
from .ends import entrance_of, exit_of
from .group import NeuronGroup
from .initializers import Constant
from .learned_delays import LearnedDelays, check_width
from .links import LINKS, Drawn, Ends, Link, SynapseList
from .links.link import bias_spec
from .parameters import ParameterHandle, ParameterSpec, as_array, numbers, plain_number
from .synapses import check_synapses, link_ends, pipeline, pooled_link, settings_of_synapses, stage_specs
from .values import at


@runtime_checkable
class Source(Protocol):
    """A component that a connection can start from: it has a population shape."""

    shape: tuple[int, ...]


class Connection(Component):
    """`Connection(pre, post, link_type='full', delay=..., filter=..., **link parameters)`.

    link_type: a name in LINKS ('full', 'sparse', 'random', 'conv', ...) or a Link; its parameters (weight, bias,
    w_mean, kernel_size, ...) are given beside it. delay: a fixed transmission delay in ms, or one for each synapse: an
    array in the shape of the weight, or an initializer (a bias has none). Delays are whole numbers of steps of dt;
    those that an initializer draws at random are rounded to them. LearnedDelays(max=...): one for each synapse, that
    is trained.
    filter: the synaptic current, a linear filter between the product and the neuron's port (`LowPass(tau=5.0)`);
    without one the current of a spike arrives at once. syn_type, syn_kwargs: what else stands in it, in order
    (`['basic', 'dropout']`, `{'p': 0.3}`; SYNAPSES has the names). port: which input of the neuron it feeds;
    to be given where a model from equations has several.
    sign: 1 or -1, or one of them for each pre neuron (Dale's law); w_min, w_max: bounds; weights start and stay within
    them through every step of a learner (`net.constrain()` does it for any other optimizer). is_parameter: whether the
    weights are trained. A connection between populations that lie in one loop takes one time step more; every other one
    takes none.
    """

    kind = "connection"

    def __init__(
        self,
        pre: Any,
        post: Any,
        *more: Any,
        link_type: str | Link | None = None,
        delay: Any = 0.0,
        filter: Filter[Any] | None = None,
        port: str | None = None,
        syn_type: Any = None,
        syn_kwargs: Any = None,
        sign: Any = None,
        w_min: float | None = None,
        w_max: float | None = None,
        is_parameter: bool = True,
        name: str | None = None,
        **keywords: Any,
    ) -> None:
        label = f"Connection {name!r}" if name else "Connection"
        if more:
            raise ParameterError(f"{label}: after pre and post, give each by name: link_type={more[0]!r}")
        own, keywords = fill_keywords(label, "connection", {"link_type": link_type}, keywords)
        self.pre, self.post = _two_ends(label, pre, post)
        kind = _name_of(label, own["link_type"])
        syn_type, syn_kwargs, keywords = settings_of_synapses(label, syn_type, syn_kwargs, keywords)
        self.synapses = pipeline(label, syn_type, syn_kwargs, kind, filter)
        delay, keywords = drawn_between(label, delay, keywords)
        link = _link(label, own["link_type"], keywords)
        self.link, self.synapses = pooled_link(link, self.synapses)
        self.delay, self.filter = given_delay(label, delay, self.link), self.synapses.filter
        self.sign, self.w_min, self.w_max = sign, plain_number(w_min), plain_number(w_max)
        self.is_parameter = is_parameter
        self._drawn_from: tuple[int, ...] | None = None
        self._bounds: Bounds | None = None
        self.port = _port(label, self.post, port)
        self._name = name
        self.check_fit()
        super().__init__(name)

    def check_fit(self) -> None:
        """Raises where link, synapses, filter, port or bounds do not fit the two populations."""
        label = f"Connection {self._name!r}" if self._name else "Connection"
        if not isinstance(self.post, NeuronGroup) or not isinstance(self.pre, Source):
            raise ParameterError(f"{label} cannot lead from a {self.pre.kind} to a {self.post.kind}")
        ends = link_ends(label, self.synapses, self.link, self.pre.shape, self.post.shape)
        if not isinstance(self.is_parameter, bool):
            raise ParameterError(f"{label}.is_parameter must be True or False, got {self.is_parameter!r}")
        self.link.check(f"{label} ({self.link.name})", ends)
        self._bounds = bounds_of(label, self.link, ends, self.sign, self.w_min, self.w_max)
        self._specs(label, ends, None)  # raises where a given weight or delay does not fit
        _check_filter(label, self.filter, self.post)
        _port(label, self.post, self.port)
        check_synapses(label, self)

    @property
    def ends(self) -> Ends:
        """The shapes that the link joins: those of the two populations, but where a synapse changes them."""
        if not self.synapses.stages:
            return Ends(self.pre.shape, self.post.shape)
        return link_ends(f"connection {self.name!r}", self.synapses, self.link, self.pre.shape, self.post.shape)

    @property
    def has_synapse_delays(self) -> bool:
        """Whether each synapse has a delay of its own."""
        return not isinstance(self.delay, float)

    @property
    def bounds(self) -> Bounds | None:
        """What its sign and bounds allow a weight; None where they allow any."""
        return self._bounds

    @property
    def extras(self) -> str:
        """In a few words what it has beside link, delay and filter; empty where it has nothing."""
        if self.synapses.electrical:
            return "an electrical synapse"
        if self.synapses.stages:
            return f"a synapse with {', '.join(stage.name for stage in self.synapses.stages)}"
        if isinstance(self.delay, LearnedDelays):
            return f"delays that learn, up to {self.delay.max:g} ms"
        return "a delay for each synapse" if self.has_synapse_delays else ""

    def delay_steps(self, dt: float) -> int:
        """The delay of all synapses in steps of dt ms, zero where each has its own; ParameterError unless delays that
        are not rounded, and the longest of those that learn, are whole numbers of them."""
        if isinstance(self.delay, float):
            return int(whole_steps(f"connection {self.name!r}", self.delay, dt)[0])
        if isinstance(self.delay, LearnedDelays):
            self.delay.check_steps(label := f"connection {self.name!r}: LearnedDelays.max", dt)
            whole_steps(label, self.delay.max, dt)
        elif not are_rounded(self.delay):
            whole_steps(f"connection {self.name!r}", as_array(self._handle("delay").value), dt)
        return 0

    def parameter_specs(self) -> list[ParameterSpec]:
        """The weights of its link, the delays and parameters of its synapses, as the parameter store keeps them."""
        if isinstance(self.link, Drawn) and self._drawn_from is None:
            network = self.network
            name = network.store.drawn_as(f"{self.path}.indices")
            self._drawn_from = network.seed, zlib.crc32(name.encode())
        return self._specs(self.path, self.ends, self._drawn_from)

    def _specs(self, path: str, ends: Ends, key: tuple[int, ...] | None) -> list[ParameterSpec]:
        """The specs at a path; without a key, those that are yet to be drawn are left out."""
        if isinstance(self.link, Drawn):
            specs = (
                bias_spec(path, math.prod(ends.post), self.link.bias)
                if key is None
                else self.link.specs(path, ends, key)
            )
        else:
            specs = self.link.specs(path, ends)
        found = {spec.name.rpartition(".")[2]: spec for spec in specs}
        if not self.is_parameter:
            found = {name: replace(spec, trainable=False) for name, spec in found.items()}
        if self._bounds is not None and "weight" in found:
            found["weight"] = self._bounded(found["weight"], found.get("indices"))
        if "weight" in found:
            delays = delay_specs(path, self.delay, found["weight"], self._accept_delays)
            found |= {spec.name.rpartition(".")[2]: spec for spec in delays}
        if "indices" in found and isinstance(self.link, SynapseList):
            link, name = self.link, found["indices"].name
            found["indices"] = replace(found["indices"], accept=lambda a: link.check_synapses(name, a, ends))
        return [*found.values(), *stage_specs(path, self.synapses, self.pre.shape, ends)]

    def _bounded(self, weight: ParameterSpec, indices: ParameterSpec | None) -> ParameterSpec:
        """The weight within its bounds: given ones are checked, drawn ones put there."""
        bounds, initial = cast(Bounds, self._bounds), weight.initial

        def edges() -> tuple[Any, Any]:
            return bounds.of(self.link, None if indices is None else self._placed(indices))

        def accept(array: NDArray[Any]) -> None:
            bounds.check(weight.name, array, edges())

        def start(generator: np.random.Generator) -> NDArray[Any]:
            if callable(initial):
                return bounds.started(initial(generator), edges())
            accept(as_array(initial))
            return as_array(initial)

        given = not callable(initial)
        if given and (indices is None or not callable(indices.initial)):
            accept(as_array(initial))
        return replace(weight, initial=start, accept=accept)

    def _placed(self, indices: ParameterSpec) -> NDArray[Any]:
        """The synapses as the store has them, or as they are given before there is one."""
        if self.__dict__.get("_owner") is None or self.ancestors()[-1].kind != "network":
            return as_array(indices.initial)
        return as_array(self.network.store.require(indices, self.network.seed))

    def _accept_delays(self, delays: NDArray[Any]) -> None:
        """Raises ParameterError for delays that are no times, or that a built network has no steps for."""
        network = self.network
        check_delays(f"{self.path}.delay", delays)
        if network._build is not None and not are_rounded(self.delay):
            whole_steps(f"connection {self.name!r}", delays, network.backend.dt)

    def constrain(self) -> None:
        """Puts the weight back within sign and bounds, where it was drawn already and has any, learned delays too."""
        store = self.network.store
        if isinstance(self.delay, LearnedDelays) and (late := f"{self.path}.delay") in store:
            store.put(late, put_back(store[late], (0.0, self.delay.max)))
        if self._bounds is None or (name := f"{self.path}.weight") not in store:
            return
        where = f"{self.path}.indices"
        edges = self._bounds.of(self.link, as_array(store[where]) if where in store else None)
        store.put(name, put_back(store[name], edges))

    def fix_delays(self) -> None:
        """Makes delays that learn fixed ones, of the values that the parameter store has then: whole steps."""
        object.__setattr__(self, "delay", Constant(0.0))
        self._changed()

    def check_weights(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raises unless arrays by the name of the parameter are what this connection may have: synapses that its link
        can have, weights within the bounds, delays that are times, variances."""
        indices = arrays.get("indices")
        if indices is not None and isinstance(self.link, SynapseList):
            if indices.dtype != np.int64:
                raise DataError(f"weights: '{self.path}.indices' must be int64, got dtype {indices.dtype}")
            self.link.check_synapses(f"weights: '{self.path}.indices'", indices, self.ends)
        if self._bounds is not None:
            edges = self._bounds.of(self.link, indices)
            self._bounds.check(f"weights: {self.path!r}.weight", arrays["weight"], edges)
        with at("weights"):
            if isinstance(self.delay, LearnedDelays):
                self.delay.check(f"{self.path}.delay", arrays["delay"])
                check_width(f"{self.path}.sigma")(arrays["sigma"])
            elif "delay" in arrays:
                self._accept_delays(arrays["delay"])
            for spec in stage_specs(self.path, self.synapses, self.pre.shape, self.ends):
                if spec.accept is not None:
                    spec.accept(arrays[spec.name.rpartition(".")[2]])

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


def _two_ends(label: str, pre: Any, post: Any) -> tuple[Any, NeuronGroup]:
    """The source and the population that it leads to."""
    pre, post = exit_of(pre), entrance_of(post)
    if not isinstance(pre, Component) or not isinstance(pre, Source):
        raise ParameterError(f"{label}.pre must be an encoder or a neuron group, got {type(pre).__name__}")
    if not isinstance(post, NeuronGroup):
        raise ParameterError(f"{label}.post must be a neuron group, got {type(post).__name__}")
    return pre, post


def _name_of(label: str, link_type: Any) -> str:
    if isinstance(link_type, Link):
        return link_type.name
    if link_type is None:
        raise ParameterError(f"{label}: give link_type=, one of: {', '.join(LINKS)}")
    return LINKS.name_of(link_type)


def _link(label: str, link_type: str | Link, keywords: dict[str, Any]) -> Link:
    if isinstance(link_type, Link):
        if keywords:
            raise ParameterError(f"{label}: the link is given as an object; give {', '.join(keywords)} to it")
        return link_type
    kind = LINKS[link_type]
    owner = f"{label}, link_type {kind.name!r}"
    own = list(inspect.signature(Connection.__init__).parameters)[4:-1]
    values = resolve_keywords(owner, "link parameter", keywords, [f.name for f in fields(kind)], own)
    values = {k: plain_number(v) for k, v in values.items()}
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
    if isinstance(post.neuron, Custom):
        _check_inputs(label, post.neuron, port)
    if port is None:
        return ports[0]
    found = canonical("observable", port, ports)
    if found is None:
        raise ParameterError(f"{label}.port must be one of {', '.join(_port_names(post.neuron))}, got {port!r}")
    return found


def _check_inputs(label: str, neuron: Custom, port: str | None) -> None:
    """Raises where a model from equations reads no input, or more than one and none is asked for."""
    name, inputs = neuron.definition.name, neuron.program.inputs
    if not inputs:
        raise ParameterError(
            f"{label}: {name} takes no input: name `i` in an equation, in on_input=, or declare `x : nA (input)`"
        )
    if port is None and len(inputs) > 1:
        raise ParameterError(
            f"{label}: {name} has several inputs; give port= (of a Generator: coding_var_name=), one of: "
            f"{', '.join(_port_names(neuron))}"
        )


def _port_names(neuron: Neuron[Any]) -> tuple[str, ...]:
    """The ports by the names that they have where the model is written; `port=` takes these too."""
    return neuron.program.inputs if isinstance(neuron, Custom) else type(neuron).ports

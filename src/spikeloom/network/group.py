"""A population of neurons of one model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, replace
from types import NoneType
from typing import Any

import numpy as np

from ..errors import ParameterError, ShapeError
from ..neurons import (
    NEURONS,
    Emission,
    Neuron,
    custom_model,
    function_model,
    refractory_model,
    with_refractory,
    without_refractory,
)
from ..registry import fill_keywords, resolve_keywords
from .component import Component
from .parameters import ParameterHandle, ParameterSpec, as_array, constant_spec, numbers

OBSERVABLES = ("spikes", "i_syn")
"""What every group shows beside the state variables of its model."""


def population_shape(owner: str, num: Any, shape: Any) -> tuple[int, ...]:
    """The shape of a population from its number and / or its shape, which must agree."""
    if num is None and shape is None:
        raise ParameterError(f"{owner}: give num= (how many) or shape=")
    given = num if shape is None else shape
    sizes = tuple(given) if given is shape and isinstance(shape, Iterable) else (given,)
    if not sizes or not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in sizes):
        raise ParameterError(f"{owner}: num and shape must be positive whole numbers, got {given!r}")
    if num is not None and math.prod(sizes) != num:
        raise ParameterError(f"{owner}: shape {sizes} has {math.prod(sizes)} neurons, num says {num}; give one of them")
    return tuple(int(n) for n in sizes)


def labels(owner: str, given: Any) -> tuple[str, ...]:
    """One label or several as a tuple; ParameterError for anything else."""
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    if not found or not all(isinstance(label, str) and label for label in found):
        raise ParameterError(f"{owner} must be a label such as 'excitatory', or a list of them, got {given!r}")
    return found


class NeuronGroup(Component):
    """`NeuronGroup(num, model, shape=..., **parameters)`: a population of one model.

    model: a name such as 'clif', or a Neuron. Parameters of the model by name (`tau_m=10.0`, `v_th=...`), each a number
    or an array of the population's shape; `param={...}` is merged into them. t_ref, or refractory, is a refractory
    period in ms for any model that spikes (`spikeloom.neurons.refractory`). parameter_variables: the names of the
    parameters to be trained (default: the model's own choice). emission: in place of the model's.
    neuron_type: labels such as 'excitatory', one or several, that the policies of a projection choose by.
    Raises ParameterError for a name that the model does not have.
    """

    kind = "neuron group"

    def __init__(
        self,
        num: int | None = None,
        model: str | Neuron[Any] | None = None,
        shape: int | Iterable[int] | None = None,
        *,
        name: str | None = None,
        param: Mapping[str, Any] | None = None,
        parameter_variables: Iterable[str] | None = None,
        emission: Emission | None = None,
        neuron_type: str | Iterable[str] = (),
        **keywords: Any,
    ) -> None:
        owner = f"NeuronGroup {name!r}" if name else "NeuronGroup"
        own: dict[str, Any] = {"num": num, "model": model, "shape": shape}
        own, keywords = fill_keywords(owner, "neuron group", own, keywords)
        self.shape = population_shape(owner, own["num"], own["shape"])
        if own["model"] is None:
            raise ParameterError(f"{owner}: give model=, one of: {', '.join(NEURONS)}")
        if not isinstance(param, (Mapping, NoneType)):
            raise ParameterError(f"{owner}.param must map names to values, got {param!r}")
        self.neuron = _neuron(owner, own["model"], param or {}, keywords).sized(self.shape)
        if emission is not None:
            self.neuron = replace(self.neuron, emission=emission)
        self.neuron_type = labels(f"{owner}.neuron_type", neuron_type) if neuron_type else ()
        self.trains = self._trained(owner, parameter_variables)
        self._check_shapes(owner)
        _check_reset(owner, without_refractory(self.neuron))
        super().__init__(name)

    @staticmethod
    def custom_model(*arguments: Any, **options: Any) -> Any:
        """A model from equations in text, as `spikeloom.custom_model` takes them; or, from SPAIC's input_vars,
        output_vars and new_vars_dict, a decorator that makes one of a function (`spikeloom.neurons.from_function`)."""
        in_text = "equations" in options or (arguments and isinstance(arguments[0], str))
        return custom_model(*arguments, **options) if in_text else function_model(*arguments, **options)

    @property
    def num(self) -> int:
        """How many neurons it has."""
        return math.prod(self.shape)

    @property
    def model(self) -> str:
        """The name of its model."""
        kind = type(without_refractory(self.neuron))
        return next((n for n in NEURONS if NEURONS[n] is kind), kind.__name__)

    @property
    def observables(self) -> tuple[str, ...]:
        """What can be monitored: spikes, i_syn and the state variables of the model."""
        return (*OBSERVABLES, *self.neuron.State._fields)

    def parameter_specs(self) -> list[ParameterSpec]:
        """The trained parameters of the model, as the parameter store keeps them."""
        specs = []
        for parameter in self.trains:
            value, name = getattr(self.neuron, parameter), f"{self.path}.{parameter}"
            drawn = value is None and parameter in type(self.neuron).matrices
            specs.append(self._drawn(name, parameter) if drawn else constant_spec(name, np.asarray(value, np.float64)))
        return specs

    def _drawn(self, name: str, parameter: str) -> ParameterSpec:
        size, bound = self.neuron.matrix(parameter, self.shape)
        return ParameterSpec(name, size, lambda generator: generator.uniform(-bound, bound, size))

    def get_value(self, name: str) -> Any:
        """The value of a model parameter: what was trained where it is trained, else what was given."""
        found = resolve_keywords(f"NeuronGroup {self.name!r}", "neuron parameter", {name: 0}, self.neuron.parameters())
        (parameter,) = found
        if parameter in self.trains and self._owner is not None:
            spec = self.parameter_specs()[self.trains.index(parameter)]
            value = as_array(ParameterHandle(self.network.store, spec, self.network.seed).value)
            return float(value) if value.ndim == 0 else value
        return getattr(self.neuron, parameter)

    def _settings(self) -> list[str]:
        return list(self.neuron.parameters())

    def _trained(self, owner: str, names: Iterable[str] | None) -> tuple[str, ...]:
        if names is None:
            return type(self.neuron).trains
        if not isinstance(names, Iterable):
            raise ParameterError(f"{owner}.parameter_variables must be a list of names, got {names!r}")
        names = [names] if isinstance(names, str) else list(names)
        drawn, fixed = type(self.neuron).matrices, (bool, NoneType)
        known = [p for p in self.neuron.parameters() if p in drawn or not isinstance(getattr(self.neuron, p), fixed)]
        return tuple(resolve_keywords(f"{owner}.parameter_variables", "neuron parameter", dict.fromkeys(names), known))

    def _check_shapes(self, owner: str) -> None:
        matrices = type(self.neuron).matrices
        for parameter in matrices:
            if getattr(self.neuron, parameter) is None and parameter not in self.trains:
                raise ParameterError(
                    f"{owner}.{parameter} is drawn where it is trained; give its values, or train it: "
                    f"parameter_variables=[{', '.join(map(repr, matrices))}]"
                )
        for parameter in (n for n in self.neuron.parameters() if n not in matrices):
            value = getattr(self.neuron, parameter)
            shape = np.shape(value)
            if shape not in ((), self.shape):
                raise ShapeError(f"{owner}.{parameter} must be a number or have shape {self.shape}, got shape {shape}")


def _neuron(owner: str, model: str | Neuron[Any], param: Mapping[str, Any], keywords: Mapping[str, Any]) -> Neuron[Any]:
    if isinstance(model, Neuron):
        period, rest = fill_keywords(owner, "neuron parameter", {"t_ref": None}, {**param, **keywords})
        if rest:
            raise ParameterError(
                f"{owner}: the model is given as an object; give {', '.join(rest)} to it, not to the group"
            )
        return model if period["t_ref"] is None else with_refractory(model, _number(owner, period, "t_ref"))
    name = NEURONS.name_of(model)
    kind = NEURONS[name]
    parameters = list(dict.fromkeys([*kind.parameters(), "t_ref"]))
    owner = f"{owner}, model {name!r}"
    values = resolve_keywords(owner, "neuron parameter", param, parameters)
    more = resolve_keywords(owner, "neuron parameter", keywords, parameters)
    if twice := set(values) & set(more):
        raise ParameterError(f"{owner}: {', '.join(sorted(twice))} is given in param= and beside it; give it once")
    plain = {k: _number(owner, values | more, k) for k in values | more}
    if "t_ref" in plain and "t_ref" not in kind.parameters():
        kind = refractory_model(kind)
    return kind(**plain)


def _check_reset(owner: str, neuron: Neuron[Any]) -> None:
    """Raises ParameterError where a value to reset to was given and nothing reads it."""
    defaults = {f.name: f.default for f in fields(neuron) if f.default is not MISSING}
    for name in (n for n in neuron.unread() if n in defaults):
        if np.any(np.asarray(getattr(neuron, name)) != defaults[name]):
            raise ParameterError(
                f"{owner}: {name} has no effect, since {type(neuron.emission.reset).__name__} does not read it; give "
                f"emission=Emission(reset=ToValue({name!r})), or leave it out; a class that reads it itself says so: "
                f"reads = ({name!r},)"
            )


def _number(owner: str, values: Mapping[str, Any], name: str) -> Any:
    """A parameter as it was given; a tensor as an array."""
    value = values[name]
    return numbers(f"{owner}: {name}", value) if hasattr(value, "detach") else value

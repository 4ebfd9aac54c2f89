"""A population of neurons of one model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import NoneType
from typing import Any

import numpy as np

from ..errors import ParameterError, ShapeError
from ..neurons import NEURONS, Emission, Neuron
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


class NeuronGroup(Component):
    """`NeuronGroup(num, model, shape=..., **parameters)`: a population of one model.

    model: a name such as 'clif', or a Neuron. Parameters of the model by name (`tau_m=10.0`, `v_th=...`), each a number
    or an array of the population's shape; `param={...}` is merged into them. parameter_variables: the names of the
    parameters to be trained (default: the model's own choice). emission: in place of the model's.
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
        self.neuron = _neuron(owner, own["model"], param or {}, keywords)
        if emission is not None:
            self.neuron = replace(self.neuron, emission=emission)
        self.trains = self._trained(owner, parameter_variables)
        self._check_shapes(owner)
        super().__init__(name)

    @property
    def num(self) -> int:
        """How many neurons it has."""
        return math.prod(self.shape)

    @property
    def model(self) -> str:
        """The name of its model."""
        return next((n for n in NEURONS if NEURONS[n] is type(self.neuron)), type(self.neuron).__name__)

    @property
    def observables(self) -> tuple[str, ...]:
        """What can be monitored: spikes, i_syn and the state variables of the model."""
        return (*OBSERVABLES, *self.neuron.State._fields)

    def parameter_specs(self) -> list[ParameterSpec]:
        """The trained parameters of the model, as the parameter store keeps them."""
        specs = []
        for parameter in self.trains:
            value = np.asarray(getattr(self.neuron, parameter), dtype=np.float64)
            specs.append(constant_spec(f"{self.path}.{parameter}", value))
        return specs

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
        known = [p for p in self.neuron.parameters() if not isinstance(getattr(self.neuron, p), bool)]
        return tuple(resolve_keywords(f"{owner}.parameter_variables", "neuron parameter", dict.fromkeys(names), known))

    def _check_shapes(self, owner: str) -> None:
        for parameter in self.neuron.parameters():
            value = getattr(self.neuron, parameter)
            shape = np.shape(value)
            if shape not in ((), self.shape):
                raise ShapeError(f"{owner}.{parameter} must be a number or have shape {self.shape}, got shape {shape}")


def _neuron(owner: str, model: str | Neuron[Any], param: Mapping[str, Any], keywords: Mapping[str, Any]) -> Neuron[Any]:
    if isinstance(model, Neuron):
        if param or keywords:
            given = ", ".join([*param, *keywords])
            raise ParameterError(f"{owner}: the model is given as an object; give {given} to it, not to the group")
        return model
    name = NEURONS.name_of(model)
    parameters = NEURONS[name].parameters()
    owner = f"{owner}, model {name!r}"
    values = resolve_keywords(owner, "neuron parameter", param, parameters)
    more = resolve_keywords(owner, "neuron parameter", keywords, parameters)
    if twice := set(values) & set(more):
        raise ParameterError(f"{owner}: {', '.join(sorted(twice))} is given in param= and beside it; give it once")
    plain: dict[str, Any] = {
        k: numbers(f"{owner}: {k}", v) if hasattr(v, "detach") else v for k, v in (values | more).items()
    }
    return NEURONS[name](**plain)

"""Emissions and parameters as plain values, for files, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ..errors import DataError, SpikeloomError, UnsupportedError
from ..registry import Registry
from .emission import PARTS, Emission
from .neuron import Neuron
from .refractory import refractory_model


def describe(neuron: Neuron[Any]) -> dict[str, Any]:
    """The parameters and the emission of a model as JSON values."""
    values = {name: _plain(getattr(neuron, name)) for name in neuron.parameters()}
    return values | {"emission": _describe_emission(neuron.emission)}


def neuron_from(model: type[Neuron[Any]], description: Mapping[str, Any]) -> Neuron[Any]:
    """The model with described parameters; DataError where the description does not fit."""
    if not isinstance(description, Mapping):
        raise DataError(f"{model.__name__}: the description must be a mapping, got {type(description).__name__}")
    values = dict(description)
    if "t_ref" in values and "t_ref" not in model.parameters():
        model = refractory_model(model)
    unknown = [name for name in values if name not in (*model.parameters(), "emission")]
    if unknown:
        raise DataError(f"{model.__name__}: the description has unknown parameters {unknown}")
    if "emission" in values:
        values["emission"] = _emission_from(model.__name__, values["emission"])
    try:
        return model(**values)
    except SpikeloomError as error:
        raise DataError(f"the description of {model.__name__} does not fit: {error}") from error


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _describe_emission(emission: Emission) -> dict[str, Any]:
    plain = {name: getattr(emission, name) for name in ("variable", "threshold", "detach_reset")}
    return plain | {part: _describe_part(registry, getattr(emission, part)) for part, registry in PARTS.items()}


def _describe_part(registry: Registry[Any], part: Any) -> dict[str, Any]:
    name = next((n for n in registry if registry[n] is type(part)), None)
    if name is None:
        raise UnsupportedError(f"{registry.kind} {type(part).__name__} has no name to be stored by; register it")
    return {"name": name} | {f.name: getattr(part, f.name) for f in fields(part)}


def _emission_from(owner: str, description: Any) -> Emission:
    try:
        values = dict(description)
        for part, registry in PARTS.items():
            options = dict(values[part])
            values[part] = registry[options.pop("name")](**options)
        return Emission(**values)
    except SpikeloomError as error:
        raise DataError(f"{owner}.emission: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{owner}.emission: the description is not complete or has a wrong type: {error}") from error

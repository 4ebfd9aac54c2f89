"""Filters by name, as plain values for files, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from ..errors import DataError, UnsupportedError
from ..registry import Registry, resolve_keywords
from .filter import Filter
from .low_pass import LogSpaced, LowPass
from .sections import SecondOrderSections
from .state_space import StateSpace
from .synaptic import Alpha, DoubleExponential

FILTERS: Registry[type[Filter[Any]]] = Registry("filter")
FILTERS.add("low_pass", LowPass)
FILTERS.add("log_spaced", LogSpaced)
FILTERS.add("state_space", StateSpace)
FILTERS.add("second_order_sections", SecondOrderSections)
FILTERS.add("double_exponential", DoubleExponential)
FILTERS.add("alpha", Alpha)


def describe(system: Filter[Any]) -> dict[str, Any]:
    """The filter as JSON values: its name under `filter`, and its parameters; tensors as their values.

    Raises UnsupportedError for a class that is not in FILTERS.
    """
    name = next((name for name in FILTERS if FILTERS[name] is type(system)), None)
    if name is None:
        kind = type(system).__name__
        raise UnsupportedError(f"a {kind} has no name to be saved under; register it with FILTERS.add(name, {kind})")
    values = {f.name: getattr(system, f.name) for f in fields(system)}
    return {"filter": name} | {k: v.tolist() if hasattr(v, "tolist") else v for k, v in values.items()}


def filter_from(description: Mapping[str, Any]) -> Filter[Any]:
    """The filter that `describe` described; arrays come back as float64.

    Raises DataError for a description without name or needed parameter, UnknownNameError and ParameterError (with
    a "did you mean") for names that do not exist, and what the filter itself raises for wrong values.
    """
    if not isinstance(description, Mapping) or "filter" not in description:
        raise DataError(f"a filter's description must hold its name under 'filter', got {description!r}")
    name = FILTERS.name_of(description["filter"])
    model = FILTERS[name]
    known = fields(model)
    given = {k: v for k, v in description.items() if k != "filter"}
    values = resolve_keywords(f"filter {name!r}", "filter parameter", given, [f.name for f in known])
    missing = [f.name for f in known if f.default is MISSING and f.name not in values]
    if missing:
        raise DataError(f"filter {name!r}: the description lacks {', '.join(missing)}")
    return model(**values)

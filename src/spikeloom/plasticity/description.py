"""Rules as plain values for files, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from ..errors import DataError
from ..filters.description import describe as describe_filter
from ..filters.description import filter_from
from ..filters.filter import Filter
from ..registry import did_you_mean
from .normalise import Normalise
from .rule import Change, Rule, Trace

_INFINITE = {"inf": math.inf, "-inf": -math.inf}


def describe(rule: Rule) -> dict[str, Any]:
    """The rule as JSON values."""
    values = _record(rule)
    values["traces"] = {name: _record(trace) for name, trace in rule.traces.items()}
    values["changes"] = [_record(change) for change in rule.changes]
    values["normalise"] = None if rule.normalise is None else _record(rule.normalise)
    return values


def rule_from(description: Any) -> Rule:
    """The rule that `describe` described; DataError for what is none, ParameterError for wrong values in it."""
    values = _checked("a rule", Rule, description)
    traces = values.get("traces", {})
    if not isinstance(traces, Mapping) or not isinstance(changes := values.get("changes", []), list):
        raise DataError("a rule's traces must be a mapping and its changes a list")
    values["traces"] = {name: _made(f"trace {name!r}", Trace, each) for name, each in traces.items()}
    values["changes"] = tuple(_made("a change", Change, change) for change in changes)
    if (normalise := values.get("normalise")) is not None:
        values["normalise"] = _made("normalise", Normalise, normalise)
    if not isinstance(variables := values.get("variables", []), list):
        raise DataError(f"a rule's variables must be a list, got {variables!r:.80}")
    return Rule(**values)


def _record(record: Any) -> dict[str, Any]:
    """The fields of a record, those of filters described; an infinite bound as a text, which JSON has not."""
    return {f.name: _plain(getattr(record, f.name)) for f in fields(record)}


def _plain(value: Any) -> Any:
    if isinstance(value, Filter):
        return describe_filter(value)
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _checked(what: str, model: type[Any], values: Any) -> dict[str, Any]:
    """The described fields of a record; DataError unless it has all that it needs and nothing else."""
    if not isinstance(values, Mapping):
        raise DataError(f"{what} must be a mapping, got {values!r:.80}")
    known = {f.name: f for f in fields(model)}
    for name in values:
        if name not in known:
            raise DataError(f"{what} has an unknown entry {name!r:.80}{did_you_mean(str(name)[:80], known)}")
    needed = [n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in values]:
        raise DataError(f"{what} lacks {', '.join(missing)}")
    return {n: _INFINITE.get(v, v) if isinstance(v, str) and n in ("w_min", "w_max") else v for n, v in values.items()}


def _made(what: str, model: type[Any], values: Any) -> Any:
    found = _checked(what, model, values)
    filters = {n: filter_from(v) for n, v in found.items() if isinstance(v, Mapping) and "filter" in v}
    return model(**(found | filters))

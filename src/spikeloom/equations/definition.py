"""A model as texts: what a user wrote, and what a file holds of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..errors import ParameterError
from ..ops import NumpyOps
from ..registry import did_you_mean
from .checking import Units
from .dimensions import NONE, UNITS, Dimension
from .evaluation import Evaluator
from .linear import names_in
from .model import equations
from .syntax import Node, clean, is_name, parse, shown

MAX_PARAMETERS = 128
"""How many parameters a model may have."""
Pairs = tuple[tuple[str, str], ...]
_FREQUENT = ("1", "mV", "ms", "nA", "nS", "Mohm", "pF", "Hz", "um", "second", "volt", "amp")
_SPACED = re.compile(r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s+([A-Za-z].*)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The texts of a model. units: of each parameter, '' where it is to be found; initial: of each state that does not
    start at 0; threshold, refractory: '' for none; trains: the parameters that are trained unless a group says else."""

    name: str
    equations: str
    threshold: str = ""
    reset: str = ""
    refractory: str = ""
    on_input: str = ""
    method: str = "auto"
    units: Pairs = ()
    initial: Pairs = ()
    trains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise ParameterError(f"custom_model.name must be a name such as 'MyNeuron', got {self.name!r:.80}")
        for field in ("equations", "threshold", "reset", "refractory", "on_input", "method"):
            if not isinstance(getattr(self, field), str):
                raise ParameterError(f"{self.name}.{field} must be a text, got {getattr(self, field)!r:.80}")
        for field in ("units", "initial"):
            for key, text in getattr(self, field):
                if not is_name(key) or not isinstance(text, str):
                    raise ParameterError(f"{self.name}.{field} must map names to texts, got {key!r:.80}: {text!r:.80}")
        if len(self.units) > MAX_PARAMETERS:
            raise ParameterError(f"{self.name} has {len(self.units)} parameters, a model may have {MAX_PARAMETERS}")

    def plain(self) -> dict[str, Any]:
        """As JSON values, for files."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return values | {"units": dict(self.units), "initial": dict(self.initial), "trains": list(self.trains)}

    @classmethod
    def from_plain(cls, values: Any) -> Definition:
        """The definition that `plain` described; ParameterError for anything else."""
        known = {f.name for f in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != known:
            raise ParameterError(f"the definition of a model must be a mapping with just {', '.join(sorted(known))}")
        if not isinstance(values["trains"], (list, tuple)) or not all(map(is_name, values["trains"])):
            raise ParameterError(f"trains must be a list of names, got {values['trains']!r:.80}")
        for field in ("units", "initial"):
            if not isinstance(values[field], Mapping):
                raise ParameterError(f"{field} must be a mapping, got {values[field]!r:.80}")
        pairs = {field: tuple(values[field].items()) for field in ("units", "initial")}
        return cls(**{**values, **pairs, "trains": tuple(values["trains"])})


def unit_of(node: Node, owner: str) -> tuple[float, Dimension]:
    """The size, in the system's own unit, and the dimension of an expression of numbers and units."""
    for name in names_in(node):
        if name not in UNITS:
            hint = did_you_mean(name[:64], _FREQUENT)
            raise ParameterError(
                f"{owner}: there is no unit {shown(name)!r}{hint} Units are {', '.join(_FREQUENT)} and their kin"
            )
    dimension = NONE * Units().number(node, owner).dimension
    try:
        with np.errstate(all="ignore"):
            scale = float(Evaluator({}, NumpyOps(), 0.0)(node))
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ParameterError(f"{owner}: `{shown(node.text)}` is no number with a unit") from error
    if not math.isfinite(scale):
        raise ParameterError(f"{owner}: `{shown(node.text)}` is no finite number")
    return scale, dimension


def given(
    owner: str, text: str, parameters: Mapping[str, Any], initial: Mapping[str, Any]
) -> tuple[dict[str, Any], Pairs, Pairs]:
    """What a user gave, in the system's own units: values of parameters, their units ('' where open), start values as
    texts. A number is in the unit that the equations declare for its name."""
    declared = {e.name: e.unit for e in equations(text, owner)}
    values, units = dict[str, Any](), dict[str, str]()
    for name, value in _named(f"{owner}.parameters", parameters):
        here = f"{owner}.parameters: {name}"
        if isinstance(value, str):
            values[name], dimension = _quantity(value, here)
            units[name] = str(dimension)
        elif name in declared:
            scale, dimension = unit_of(declared[name], f"{here}, unit")
            values[name], units[name] = _scaled(value, scale), str(dimension)
        else:
            values[name], units[name] = value, ""
    starts = {
        name: as_text(value, declared[name].text if name in declared else "1", f"{owner}.initial: {name}")
        for name, value in _named(f"{owner}.initial", initial)
    }
    return values, tuple(units.items()), tuple(starts.items())


def _named(owner: str, values: Any) -> list[tuple[str, Any]]:
    if not isinstance(values, Mapping):
        raise ParameterError(f"{owner} must map names to values, got {values!r:.80}")
    for name in values:
        if not is_name(name):
            raise ParameterError(f"{owner}: {name!r:.80} cannot be a name; use letters, digits and single underscores")
    return list(values.items())


def _quantity(text: str, owner: str) -> tuple[float, Dimension]:
    """The value and the dimension of a text such as '20*ms' or '20 ms'."""
    text = clean(text, owner)
    match = _SPACED.fullmatch(text)
    return unit_of(parse(f"{match[1]}*({match[2]})" if match else text, owner), owner)


def _scaled(value: Any, scale: float) -> Any:
    """A number or an array in a unit of that size, in the system's own."""
    if scale == 1:
        return value
    return value * scale if isinstance(value, (int, float)) else np.asarray(value) * scale


def as_text(value: Any, unit: str, owner: str) -> str:
    """A number as a text with its unit; a text as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        raise ParameterError(f"{owner} must be a finite number or a text such as '2*ms', got {value!r:.80}")
    return f"{float(value)!r}*({unit})"

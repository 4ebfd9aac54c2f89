"""SPAIC's `syn_type`: what stands in a connection, in order, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...errors import ParameterError, UnsupportedError
from ...filters import Filter, first_order_synapse, second_order_synapse
from ...registry import Registry, canonical, resolve_keywords
from ..parameters import plain_number
from .batch_norm import BatchNorm
from .dropout import Dropout
from .shaping import AvgPool, Flatten, MaxPool, Upsample
from .short_term import ShortTermPlasticity, depression, facilitation
from .stage import Stage


class Place(NamedTuple):
    """Where the link's own product stands; link: the only link type that it is for."""

    link: str | None = None


class Electrical(NamedTuple):
    """A gap junction in place of the product with spikes."""


Part = Stage | Filter[Any] | Place | Electrical
SYNAPSES: Registry[Callable[..., Part]] = Registry("synapse")
STAGES: dict[str, type[Stage]] = {
    kind.name: kind for kind in (Dropout, BatchNorm, Flatten, Upsample, AvgPool, MaxPool, ShortTermPlasticity)
}
"""The stages by name, as files hold them."""
for _name, _kind in STAGES.items():
    SYNAPSES.add(_name, _kind)
SYNAPSES.add("basic", lambda: Place())
SYNAPSES.add("conv", lambda: Place("conv"))
SYNAPSES.add("conv_transpose", lambda: Place("conv_transpose"))
SYNAPSES.add("directpass", lambda: Place("null"))
SYNAPSES.add("electrical", lambda: Electrical())
SYNAPSES.add("depression", depression)
SYNAPSES.add("facilitation", facilitation)
SYNAPSES.add("first_order_synapse", first_order_synapse)
SYNAPSES.add("second_order_synapse", second_order_synapse)


class Pipeline(NamedTuple):
    """Stages before and after the product, the filter at the end, and whether it is a gap junction."""

    before: tuple[Stage, ...] = ()
    after: tuple[Stage, ...] = ()
    filter: Filter[Any] | None = None
    electrical: bool = False

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages in order."""
        return (*self.before, *self.after)


def settings_of_synapses(
    owner: str, syn_type: Any, given: Any, keywords: Mapping[str, Any]
) -> tuple[list[Any], Any, dict[str, Any]]:
    """The synapses as a list, their settings, and the keywords without those that are settings of a synapse."""
    entries = list(syn_type) if isinstance(syn_type, (list, tuple)) else [] if syn_type is None else [syn_type]
    if given is not None and not entries:
        raise ParameterError(f"{owner}.syn_kwargs are the settings of syn_type=; give it too")
    given = {} if given is None else given
    known = {name for entry in entries if isinstance(entry, str) for name in _settings(entry)}
    mine = {name: value for name, value in keywords.items() if canonical("synapse setting", name, known)}
    if mine and not isinstance(given, Mapping):
        raise ParameterError(f"{owner}: give {', '.join(mine)} in syn_kwargs too, which is a list of mappings")
    if twice := [name for name in mine if name in given]:
        raise ParameterError(f"{owner}: {', '.join(twice)} is given in syn_kwargs and beside it; give it once")
    return entries, {**given, **mine} if mine else given, {k: v for k, v in keywords.items() if k not in mine}


def pipeline(owner: str, entries: list[Any], settings: Any, link: str, filter: Any = None) -> Pipeline:
    """The pipeline that names, stages and filters in a list stand for, with their settings.

    settings: a mapping, each entry of which goes to every part that has it, or a list of one mapping a part. link: the
    name of the link type; filter: one that is given beside. Without a part that says where the product stands
    ('basic', 'conv', ...), it stands before all that does not act on spikes. Raises UnknownNameError, ParameterError or
    UnsupportedError for what does not fit.
    """
    parts = _parts(owner, entries, settings)
    if any(isinstance(part, Electrical) for part in parts):
        if len(parts) > 1:
            raise ParameterError(f"{owner}.syn_type: 'electrical' stands alone, got {entries!r}")
        return Pipeline(filter=filter, electrical=True)
    if parts and isinstance(parts[-1], Filter):
        if filter is not None:
            raise ParameterError(f"{owner}.filter is given, and syn_type ends with one; give one of them")
        *parts, filter = parts
    return _ordered(owner, parts, link)._replace(filter=filter)


def _ordered(owner: str, parts: list[Part], link: str) -> Pipeline:
    places = [k for k, part in enumerate(parts) if isinstance(part, Place)]
    if len(places) > 1:
        raise ParameterError(f"{owner}.syn_type: the product with the weights stands there {len(places)} times")
    for part in parts:
        if isinstance(part, Filter):
            raise ParameterError(f"{owner}.syn_type: a filter such as {type(part).__name__} must be the last, and one")
        if isinstance(part, Place) and part.link not in (None, link):
            raise ParameterError(f"{owner}.syn_type is for link_type={part.link!r}, got {link!r}")
    stages = [part for part in parts if isinstance(part, Stage)]
    first = places[0] if places else max([k + 1 for k, s in enumerate(stages) if s.needs_signal], default=0)
    before, after = tuple(stages[:first]), tuple(stages[first:])
    for stage in after:
        if stage.needs_signal:
            raise ParameterError(f"{owner}.syn_type: {stage.name} acts on spikes; put it before the product")
    if sum(isinstance(stage, BatchNorm) for stage in stages) > 1:
        raise UnsupportedError(f"{owner}.syn_type: a connection has one batch_norm at most")
    return Pipeline(before, after)


def _parts(owner: str, entries: list[Any], settings: Any) -> list[Part]:
    each = settings if isinstance(settings, (list, tuple)) else None
    if each is not None and (len(each) != len(entries) or not all(isinstance(s, Mapping) for s in each)):
        raise ParameterError(f"{owner}.syn_kwargs must hold one mapping for each of {len(entries)} synapses")
    if each is None and not isinstance(settings, Mapping):
        raise ParameterError(f"{owner}.syn_kwargs must be a mapping or a list of mappings, got {settings!r}")
    known = [() if isinstance(entry, (Stage, Filter)) else _settings(entry) for entry in entries]
    if each is None:
        union = list(dict.fromkeys(name for names in known for name in names))
        given = resolve_keywords(f"{owner}.syn_kwargs", "synapse setting", settings, union)
        each = [{k: v for k, v in given.items() if k in names} for names in known]
    parts: list[Part] = []
    for entry, own in zip(entries, each, strict=True):
        if isinstance(entry, (Stage, Filter)):
            if own:
                raise ParameterError(f"{owner}.syn_kwargs: {type(entry).__name__} is given as an object; omit {own}")
            parts.append(entry)
            continue
        where = f"{owner}, synapse {entry!r}"
        settings_of = resolve_keywords(where, "synapse setting", own, _settings(entry))
        parts.append(SYNAPSES[entry](**{k: plain_number(v) for k, v in settings_of.items()}))
    return parts


def _settings(name: Any) -> tuple[str, ...]:
    """The settings of a synapse by name."""
    return tuple(inspect.signature(SYNAPSES[name]).parameters)

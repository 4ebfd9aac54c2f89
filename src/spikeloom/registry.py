"""Look-up of names: one registry for each kind of thing, with synonyms and a "did you mean"."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from importlib import import_module
from typing import Any, Generic, ParamSpec, TypeVar, cast

from .absent import absent
from .errors import ParameterError, UnknownNameError
from .synonyms import SYNONYMS, folded

T = TypeVar("T")
P = ParamSpec("P")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'tau_m'?` when a known name is near, else a full stop."""
    by_fold = {folded(k): k for k in known}
    close = difflib.get_close_matches(folded(name), by_fold, n=1, cutoff=0.6)
    return f"; did you mean {by_fold[close[0]]!r}?" if close else "."


def canonical(kind: str, name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` stands for (case, underscores and synonyms of `kind` aside), or None.

    Raises ParameterError for what is no text.
    """
    if not isinstance(name, str):
        raise ParameterError(f"{kind}: a name must be a text, got {name!r}")
    by_fold = {folded(k): k for k in known}
    key = folded(name)
    if key in by_fold:
        return by_fold[key]
    synonyms = {folded(a): folded(b) for a, b in SYNONYMS.get(kind, {}).items()}
    return by_fold.get(synonyms.get(key, ""))


def resolve_keywords(
    owner: str, kind: str, given: Mapping[str, Any], known: Iterable[str], beside: Iterable[str] = ()
) -> dict[str, Any]:
    """The given keywords under their canonical names.

    `owner` opens the message (`NeuronGroup 'layer1', model 'lif'`), `kind` names the synonyms' table; `beside` are
    names that are taken elsewhere, which a message may suggest.
    Raises ParameterError for a name that is not known, or for one that was given twice.
    """
    known = list(known)
    resolved: dict[str, Any] = {}
    for name, value in given.items():
        found = canonical(kind, name, known)
        if found is None and (why := absent(kind, name)) is not None:
            raise ParameterError(why)
        if found is None:
            names = [*known, *beside]
            has = ", ".join(names) or "none"
            raise ParameterError(f"{owner}: unknown parameter {name!r}{did_you_mean(name, names)} It has: {has}")
        if found in resolved:
            raise ParameterError(f"{owner}: parameter {found!r} was given twice, once as {name!r}; give it once")
        resolved[found] = value
    return resolved


def fill_keywords(
    owner: str, kind: str, own: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`own` with what is None there taken from the given keywords, under any of its names, and the other keywords.

    Raises ParameterError for one that was given twice.
    """
    filled, rest = dict(own), {}
    for name, value in given.items():
        found = canonical(kind, name, own)
        if found is None:
            rest[name] = value
        elif filled[found] is not None:
            raise ParameterError(f"{owner}: {found} was given twice, once as {name!r}; give it once")
        else:
            filled[found] = value
    return filled, rest


def takes_only_its_own(kind: str, *after: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Makes a function raise ParameterError, with a suggestion, for arguments that it does not have.

    `kind` names the table of absent names, `after` what SPAIC takes by position behind the function's own arguments.
    """

    def wrap(function: Callable[P, T]) -> Callable[P, T]:
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
        known, method = [p.name for p in parameters], "self" in inspect.signature(function).parameters
        places = method + sum(p.kind is not inspect.Parameter.KEYWORD_ONLY for p in parameters)

        @wraps(function)
        def call(*given: P.args, **named: P.kwargs) -> T:
            owner = type(given[0]).__name__ if function.__name__ == "__init__" else function.__qualname__
            beyond = after[:1] if len(given) > places else ()
            if len(given) > places and not after:
                by_name = ", ".join(f"{name}=" for name in known[places - method :])
                raise ParameterError(f"{owner}: got {given[places]!r:.80} without a name; it has: {by_name}")
            for name in [*beyond, *(n for n in named if n not in known)]:
                if (why := absent(kind, name)) is not None:
                    raise ParameterError(why)
                has = ", ".join(known)
                raise ParameterError(f"{owner}: unknown parameter {name!r}{did_you_mean(name, known)} It has: {has}")
            return function(*given, **named)

        return call

    return wrap


class Registry(Generic[T]):
    """Things by name. An entry may be the thing itself or `package.module:attribute`, imported when asked for."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T | str] = {}

    def add(self, name: str, entry: T | str) -> None:
        """Registers an entry; a name that is taken is an error."""
        if canonical(self.kind, name, self._entries) is not None:
            raise ParameterError(f"{self.kind} {name!r} is already registered; choose another name")
        self._entries[name] = entry

    def name_of(self, name: str) -> str:
        """The canonical name; UnknownNameError with a suggestion where there is none."""
        if not isinstance(name, str):
            raise UnknownNameError(f"{self.kind} must be a name (one of: {', '.join(self)}), got {name!r}")
        if type(name) is str and name in self._entries:
            return name
        found = canonical(self.kind, name, self._entries)
        if found is None and (why := absent(self.kind, name)) is not None:
            raise UnknownNameError(why)
        if found is None:
            spelt = [alias for alias, meant in SYNONYMS.get(self.kind, {}).items() if meant in self._entries]
            hint = did_you_mean(name, [*self._entries, *spelt])
            raise UnknownNameError(f"unknown {self.kind} {name!r}{hint} Known: {', '.join(self)}")
        return found

    def __getitem__(self, name: str) -> T:
        entry = self._entries[self.name_of(name)]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            return cast(T, getattr(import_module(module), attribute))
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and canonical(self.kind, name, self._entries) is not None

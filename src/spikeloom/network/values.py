"""Plain values, as files hold them: what can be written, and checks of what was read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from ..errors import DataError, SpikeloomError, UnsupportedError
from ..registry import Registry, did_you_mean

T = TypeVar("T")
_MAX_DEPTH = 32


def plain(where: str, value: Any, depth: int = 0) -> Any:
    """The value as JSON values of its own: arrays and tuples as lists, NumPy's numbers as Python's.

    Raises UnsupportedError for what no file holds: NaN and infinity, objects, functions, nesting beyond 32 levels.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if (isinstance(value, int) and abs(value) < 2**128) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth < _MAX_DEPTH and isinstance(value, (list, tuple)):
        return [plain(where, part, depth + 1) for part in value]
    if depth < _MAX_DEPTH and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {str(key): plain(f"{where}.{key}", part, depth + 1) for key, part in value.items()}
    shown = type(value).__name__ if isinstance(value, (list, tuple, Mapping)) else f"{value!r:.80}"
    raise UnsupportedError(
        f"{where} must be a finite number, a text, or a list or mapping of such to stand in a file, got {shown}"
    )


@contextmanager
def at(where: str) -> Iterator[None]:
    """What goes wrong inside becomes a DataError that names the place in the file."""
    try:
        yield
    except (SpikeloomError, ArithmeticError, TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}") from error


def mapping(what: str, value: Any) -> dict[str, Any]:
    """The value, which is a mapping."""
    if not isinstance(value, dict):
        raise DataError(f"{what} must be a mapping, got {type(value).__name__}")
    return dict(value)


def entries(what: str, value: Any, needed: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    """The value, which is a mapping with the needed keys and none but those and the optional ones."""
    needed = list(needed)
    known = [*needed, *optional]
    values = mapping(what, value)
    for key in values:
        if key not in known:
            raise DataError(f"{what} has an unknown entry {key!r}{did_you_mean(str(key), known)}")
    missing = [key for key in needed if key not in values]
    if missing:
        raise DataError(f"{what} lacks {', '.join(missing)}")
    return values


def named(registry: Registry[Any], part: object) -> str:
    """The name of an object's class in a registry; UnsupportedError where it has none."""
    kind = type(part)
    name = next((name for name in registry if registry[name] is kind), None)
    if name is None:
        known = ", ".join(registry)
        raise UnsupportedError(
            f"{registry.kind} {kind.__name__} has no name to be saved under; register the class (known: {known})"
        )
    return name


def settings_of(part: Any) -> dict[str, Any]:
    """The fields of a dataclass by name."""
    return {f.name: getattr(part, f.name) for f in fields(part)}


def made(what: str, model: type[T], values: Any) -> T:
    """A dataclass from described fields, each of the kind of its default; fields left out keep their default."""
    known = {f.name: f.default for f in fields(model)}  # type: ignore[arg-type]
    for name, value in entries(what, values, [k for k, v in known.items() if v is MISSING], known).items():
        _check_kind(f"{what}.{name}", value, known[name])
    return model(**values)


def _check_kind(what: str, value: Any, default: Any) -> None:
    if isinstance(default, (bool, str)):
        fits, expected = type(value) is type(default), "true or false" if isinstance(default, bool) else "a text"
    elif isinstance(default, float):
        fits, expected = type(value) in (int, float), "a number"
    else:
        return
    if not fits:
        raise DataError(f"{what} must be {expected}, got {value!r:.80}")

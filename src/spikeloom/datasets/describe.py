"""What a file, a folder or a data set holds, recognised by its content."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError, StorageError
from ..registry import Registry

Progress = Callable[[float], None]
"""Is told, now and then, which share of the work (0..1) is done."""

HEAD = 1 << 16


def quiet(done: float) -> None:
    """A progress that tells nobody."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What lies at `source`; what does not apply is None. `as_json` gives these names, in this order.

    kind: what it is, as in KINDS, or "data set"; format: how it is stored, or of what class its samples are. samples:
    how many recordings, rows, images, arrays' first entries or files; events: how many events or spikes. sensor_size:
    (width, height) in pixels; shape: of the array, or of a sample where there are several. start, end: the first and
    the last time in ms. bytes: the size of the file. classes: their names. details: what else the content tells.
    """

    source: str
    kind: str
    format: str
    samples: int | None = None
    events: int | None = None
    sensor_size: tuple[int, int] | None = None
    shape: tuple[int, ...] | None = None
    start: float | None = None
    end: float | None = None
    bytes: int | None = None
    classes: tuple[str, ...] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The fields by name, in values that JSON can hold."""
        return {entry.name: plain(getattr(self, entry.name)) for entry in fields(self)}

    def __str__(self) -> str:
        told = {name: value for name, value in self.as_json().items() if name != "details"}
        rows = {name: value for name, value in (told | plain(self.details)).items() if value not in (None, {}, [])}
        width = max(map(len, rows)) + 2
        return "\n".join(f"{name.replace('_', ' '):<{width}}{shown(name, value)}" for name, value in rows.items())


class Fault(NamedTuple):
    """What is wrong in a file, and where: empty where the message says it."""

    source: str
    message: str

    def __str__(self) -> str:
        return self.message if self.message.startswith(self.source) else f"{self.source}: {self.message}"


@dataclass(frozen=True)
class Kind:
    """A kind of data in a file or folder.

    what: in a line; suffixes: of names that it usually has, for people. recognises(path, head): whether it is of this
    kind, head being the first bytes of a file, empty for a folder; it does not raise. describe(path, progress) reads as
    much as it needs; faults(path, progress) reads all and gives what is wrong.
    """

    what: str
    suffixes: str
    recognises: Callable[[Path, bytes], bool]
    describe: Callable[[Path, Progress], Description]
    faults: Callable[[Path, Progress], Iterator[Fault]] | None = None


KINDS: Registry[Kind] = Registry("kind of data")
"""In the order in which they are asked: the first that recognises the content is it."""
for _name, _entry in {
    "captions": "CAPTIONS", "folder": "FOLDER", "spikes": "SPIKES", "neuron_data": "NEURON_DATA", "idx": "IDX",
    "npy": "NPY", "sound": "SOUND", "image": "IMAGE", "table": "TABLE_OF_TEXTS", "events": "EVENTS", "text": "TEXT",
}.items():  # fmt: skip
    KINDS.add(_name, f"spikeloom.datasets.kinds:{_entry}")


def kind_of(path: str | os.PathLike[str]) -> str:
    """The name of the kind of what lies there. Raises DataError for an unknown one, StorageError where nothing is."""
    place = Path(path)
    head = b""
    if not place.is_dir():
        if not place.is_file():
            found = "neither: write what it gives to a file first" if place.exists() else "nothing"
            raise StorageError(f"{place}: expected a file or a folder, found {found}")
        try:
            with place.open("rb") as file:
                head = file.read(HEAD)
        except OSError as error:
            raise StorageError(f"cannot read {place}: {error.strerror or error}") from error
    kind = next((name for name in KINDS if KINDS[name].recognises(place, head)), None)
    if kind is None:
        got = f"the bytes {head[:16].hex(' ')}" if head else "an empty folder" if place.is_dir() else "an empty file"
        raise DataError(f"{place}: expected one of: {', '.join(KINDS)}; got {got}")
    return kind


def describe(path: str | os.PathLike[str], progress: Progress = quiet) -> Description:
    """What lies at a path. Raises DataError where it is unknown or damaged."""
    return KINDS[kind_of(path)].describe(Path(path), progress)


def faults(path: str | os.PathLike[str], progress: Progress = quiet) -> Iterator[Fault]:
    """What is wrong with a file, or with every file in a folder, each of which is read wholly."""
    place, kind = Path(path), KINDS[kind_of(path)]
    if kind.faults is not None:
        yield from kind.faults(place, progress)
        return
    try:
        kind.describe(place, progress)
    except DataError as error:
        yield Fault(str(place), str(error))


def plain(value: Any) -> Any:
    """A value as JSON holds it; numbers that are not finite as texts."""
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    finite = value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and isfinite(value))
    return value if finite else str(value)


def shown(name: str, value: Any) -> str:
    """A value of `as_json` for people."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if name in ("sensor_size", "shape") and value:
        return " x ".join(map(str, value)) + (" pixels" if name == "sensor_size" else "")
    if name in ("start", "end"):
        return f"{value:,.3f} ms"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(key, entry)}" for key, entry in value.items())
    if isinstance(value, list):
        head = ", ".join(map(str, value[:12]))
        return f"{head}, ... ({len(value)})" if len(value) > 12 else head
    return str(value)

"""The file of a cached data set: safetensors, read by memory mapping and checked before anything is believed.

Columns of all samples lie one after the other; `offsets` (n + 1,) tells where in them each sample begins. The metadata
hold the kind of samples, their facts, the key, what the source was, and the SHA-256 of the whole file, in which its own
digits, and those of the stamps of the source, count as zeros.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, final

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, StorageError
from ..storage import atomic_file

FORMAT, VERSION = "spikeloom.cache", "1"
_DTYPES = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "F64": "<f8", "F32": "<f4"}
_CODES = {np.dtype(name): code for code, name in _DTYPES.items()}
_MOST_HEADER = 1 << 26
_ALIGNED = 64
_CHUNK = 1 << 22
_NO_DIGEST = "0" * 64

Columns = Mapping[str, NDArray[Any]]
"""Arrays by name, whose first axis is that of the entries."""


@final
class CacheFile:
    """An open cache file: `columns` as arrays that lie in the file, and `metadata`, texts by name.

    Raises DataError for a file that is none, cut, longer than it says, or, with `verify`, other than it was written.
    """

    def __init__(self, path: Path, *, verify: bool = True) -> None:
        self.path, self.verify = path, verify
        try:
            with path.open("rb") as file:
                header, begin = _header(file, path)
                self.metadata = _metadata(header, path)
                if verify and _digest(file, begin, self.metadata) != self.metadata.get("digest"):
                    raise DataError(f"{path}: expected content of the SHA-256 in its header, got other; it is damaged")
            self.columns = {name: _column(path, name, entry, begin) for name, entry in header.items()}
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror or error}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.path,)

    def restamp(self, stamps: str) -> None:
        """Notes other stamps of the source in the file, where it may be written: they save work, no more."""
        known = self.metadata.get("stamps", "")
        if stamps == known or len(stamps) != len(known):
            return
        with suppress(OSError), self.path.open("r+b") as file:
            place = file.read(struct.unpack("<Q", file.read(8))[0]).find(known.encode())
            if place >= 0:
                file.seek(8 + place)
                file.write(stamps.encode())

    def facts(self) -> Any:
        """What the writer told of all samples."""
        return parsed(self.metadata.get("facts", ""), self.path)

    def column(self, name: str, dtype: Any, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
        """The column of this name, type and shape; DataError where it is another one."""
        array = self.columns.get(name)
        if array is None or array.dtype != np.dtype(dtype) or (shape is not None and array.shape != shape):
            got = "none" if array is None else f"{array.dtype} of shape {array.shape}"
            raise DataError(
                f"{self.path}: expected a column {name!r} of {np.dtype(dtype)} and shape {shape}, got {got}"
            )
        return array

    def offsets(self, n: int, entries: int) -> NDArray[np.int64]:
        """Where each of n samples begins in columns of so many entries, (n + 1,)."""
        offsets = self.column("offsets", np.int64, (n + 1,))
        if offsets[0] != 0 or offsets[-1] != entries or (np.diff(offsets) < 0).any():
            raise DataError(f"{self.path}: offsets must ascend from 0 to {entries}")
        return offsets


@final
class CacheWriter:
    """Columns that grow sample by sample, in files beside the cache file, which they become at the end."""

    def __init__(self, path: Path) -> None:
        self._path, self._stack = path, ExitStack()
        self._files: dict[str, IO[bytes]] = {}
        self._like: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._entries: dict[str, int] = {}

    def __enter__(self) -> CacheWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def append(self, columns: Columns) -> None:
        """Adds entries to columns; those of one name are of one type and of one shape, the first axis aside."""
        for name, array in columns.items():
            dtype = array.dtype.newbyteorder("<")
            if name not in self._files:
                column = tempfile.TemporaryFile(dir=self._path.parent)  # noqa: SIM115
                self._files[name] = self._stack.enter_context(column)
                self._like[name], self._entries[name] = (dtype, array.shape[1:]), 0
            if self._like[name] != (dtype, array.shape[1:]):
                had = f"{self._like[name][1]} of {self._like[name][0]}"
                raise DataError(
                    f"cached: samples must be of one shape and type, got {array.shape[1:]} of {array.dtype} after {had}"
                )
            self._files[name].write(np.ascontiguousarray(array, dtype).data)
            self._entries[name] += len(array)

    def drop(self, name: str) -> None:
        """Leaves a column out."""
        self._files.pop(name).close()

    def close(self, metadata: Mapping[str, str]) -> None:
        """Writes the cache file, which appears whole or not at all."""
        header = self._header({**metadata, "digest": _NO_DIGEST})
        found = hashlib.sha256(_blank(header, metadata))
        with atomic_file(self._path) as file:
            file.write(header)
            for name in self._order():
                self._files[name].seek(0)
                while data := self._files[name].read(_CHUNK):
                    found.update(data)
                    file.write(data)
            file.seek(0)
            file.write(header.replace(_NO_DIGEST.encode(), found.hexdigest().encode()))

    def _order(self) -> list[str]:
        """The columns with the widest numbers first, so that each is aligned."""
        return sorted(self._files, key=lambda name: (-self._like[name][0].itemsize, name))

    def _header(self, metadata: Mapping[str, str]) -> bytes:
        entries: dict[str, Any] = {"__metadata__": {"format": FORMAT, "version": VERSION, **metadata}}
        end = 0
        for name in self._order():
            dtype, shape = self._like[name]
            n = self._entries[name]
            begin, end = end, end + n * math.prod(shape) * dtype.itemsize
            entries[name] = {
                "dtype": _CODES[dtype],
                "shape": [self._entries[name], *shape],
                "data_offsets": [begin, end],
            }
        text = json.dumps(entries).encode()
        text += b" " * (-(8 + len(text)) % _ALIGNED)
        return struct.pack("<Q", len(text)) + text


def parsed(text: str | bytes, path: Path) -> Any:
    """JSON as values; DataError for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected JSON in the header, got what is none ({error})") from error


def _reopened(path: Path) -> CacheFile:
    return CacheFile(path, verify=False)


def _header(file: IO[bytes], path: Path) -> tuple[dict[str, Any], int]:
    """The header's entries, and where the columns begin; the columns lie one after the other up to the file's end."""
    size = path.stat().st_size
    head = file.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
    if length > min(_MOST_HEADER, size - 8):
        raise DataError(
            f"{path}: expected a cache file, whose header has a length below that of the file, got {head!r}"
        )
    header = parsed(file.read(length), path)
    if not isinstance(header, dict):
        raise DataError(f"{path}: expected a header of names, got {type(header).__name__}")
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape: Any = entry.get("shape") if isinstance(entry, dict) else None
        whole = isinstance(shape, list) and all(type(n) is int and 0 <= n < 2**48 for n in shape) and len(shape) < 32
        if not whole or entry.get("dtype") not in _DTYPES:
            raise DataError(f"{path}: expected a type and a shape for the column {name!r}, got {entry!r:.200}")
        begin, end = end, end + math.prod(shape) * np.dtype(_DTYPES[entry["dtype"]]).itemsize
        if (place := entry.get("data_offsets")) != [begin, end] or 8 + length + end > size:
            raise DataError(
                f"{path}: expected the column {name!r} at {[begin, end]} within the file, got {place!r:.60}"
            )
    if 8 + length + end != size:
        raise DataError(f"{path}: expected {8 + length + end} bytes, got {size}; it was cut or grew")
    return header, 8 + length


def _metadata(header: dict[str, Any], path: Path) -> dict[str, str]:
    """The texts of the header, which is left with the columns."""
    found = header.pop("__metadata__", None)
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise DataError(f"{path}: expected metadata of a cached data set, got none")
    if (found.get("format"), found.get("version")) != (FORMAT, VERSION):
        raise DataError(
            f"{path}: expected {FORMAT} {VERSION}, got {found.get('format')!r} {found.get('version')!r:.40}"
        )
    return found


def _blank(header: bytes, metadata: Mapping[str, str]) -> bytes:
    """The header with zeros in place of what may change."""
    for name in ("digest", "stamps"):
        if len(text := metadata.get(name, "").encode()) == len(_NO_DIGEST):
            header = header.replace(text, _NO_DIGEST.encode())
    return header


def _digest(file: IO[bytes], begin: int, metadata: Mapping[str, str]) -> str:
    """The SHA-256 that a file with this metadata, whose columns begin at a byte, should have."""
    file.seek(0)
    found = hashlib.sha256(_blank(file.read(begin), metadata))
    while data := file.read(_CHUNK):
        found.update(data)
    return found.hexdigest()


def _column(path: Path, name: str, entry: Mapping[str, Any], begin: int) -> NDArray[Any]:
    """A column that lies in the file; one without numbers is made anew."""
    dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
    if not math.prod(shape):
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "r", begin + entry["data_offsets"][0], shape)


def pieces(array: NDArray[Any], offsets: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[Any]:
    """The entries of the chosen samples of a column, one after the other, in memory."""
    if not chosen.size:
        return np.zeros((0, *array.shape[1:]), array.dtype)
    if chosen[-1] - chosen[0] == chosen.size - 1 and (np.diff(chosen) == 1).all():
        return np.array(array[offsets[chosen[0]] : offsets[chosen[-1] + 1]])
    plain = array.view(np.ndarray)
    return np.concatenate([plain[offsets[i] : offsets[i + 1]] for i in chosen])


def joined(parts: Iterable[str]) -> str:
    """The SHA-256 of texts, in their order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

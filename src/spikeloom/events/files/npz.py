"""NPZ: a zip archive of NumPy arrays t, x, y and p (or as fields.NAMES has them), or of one structured array of these.

Nothing is unpickled, and the archive is read a piece at a time; its checksums are checked once, when it is opened.
Times are whole numbers of microseconds. `width` and `height` tell the sensor's size, where they are there. Source:
NumPy enhancement proposal 1 (the NPY format).
"""

from __future__ import annotations

import ast
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..container import DTYPES, LARGEST_SIDE, Events
from .bounded import BoundedFile
from .columns import Columns
from .fields import fields, put_checked
from .format import Damage, Format, Size, Source, Step

ROWS = 1 << 15
"""Events in a block."""
EVENTS_PER_BYTE = 16
"""Events that a byte of an archive may hold; an archive that promises more is refused."""
LONGEST_HEADER = 1 << 14
PIECE = 1 << 20

_FAILURES = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, KeyError,
             struct.error, OverflowError)  # fmt: skip
"""What zipfile raises for archives that are damaged, encrypted, or packed in a way that it does not know."""


class Array(NamedTuple):
    """An array of the archive: its entry, type and length, and the byte of the entry where its numbers begin."""

    entry: zipfile.ZipInfo
    dtype: np.dtype[Any]
    n: int
    begin: int


class NPZ(Format):
    """Archives of `numpy.savez` and `savez_compressed`; new ones are not compressed."""

    name = "npz"
    suffixes = (".npz",)
    ordered = False
    memory_per_byte = 13 * EVENTS_PER_BYTE + 2

    def recognises(self, head: bytes, size: int) -> bool:
        return head.startswith(b"PK\x03\x04") and b".npy" in head[30 : 30 + 256]

    def open(self, path: Path, block_bytes: int) -> Source:
        try:
            return NpzSource(path)
        except DataError:  # the archive is whole, what it holds is none of events
            raise
        except _FAILURES as error:
            raise DataError(f"{path}, byte 0: expected a zip archive of arrays, got a damaged one: {error}") from error

    def write(self, file: IO[bytes], blocks: Iterable[Events], sensor_size: Size) -> None:
        n = 0
        parts = {name: TemporaryFile() for name in DTYPES}  # noqa: SIM115
        try:
            for block in blocks:
                n += len(block)
                for name, part in parts.items():
                    part.write(np.ascontiguousarray(getattr(block, name)).data)
            with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                for name, side in zip(("width", "height"), sensor_size, strict=True):
                    with archive.open(f"{name}.npy", "w") as entry:
                        np.lib.format.write_array(entry, np.array(side), allow_pickle=False)
                for name, part in parts.items():
                    _copy(archive, name, part, n)
        finally:
            for part in parts.values():
                part.close()


def _copy(archive: zipfile.ZipFile, name: str, part: IO[bytes], n: int) -> None:
    """An entry with n numbers, which a file holds."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
        head = {"descr": np.dtype(DTYPES[name]).newbyteorder("<").str, "fortran_order": False, "shape": (n,)}
        np.lib.format.write_array_header_1_0(entry, head)
        part.seek(0)
        while piece := part.read(PIECE):
            entry.write(piece)


class NpzSource(Source):
    """An open archive. A place is the number of an event."""

    begin = 0

    def __init__(self, path: Path) -> None:
        self._file = BoundedFile(path)
        try:
            self._archive = zipfile.ZipFile(self._file)
            self._open(path)
        except BaseException:
            self._file.close()
            raise

    def _open(self, path: Path) -> None:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in self._archive.infolist()}
        found = fields(entries)
        chosen = {entries[name].filename: entries[name] for name in found.values()}
        if len(found) < len(DTYPES):
            chosen = {entry.filename: entry for entry in entries.values()} if len(entries) == 1 else {}
        arrays = {name: _array(path, self._archive, entry) for name, entry in chosen.items()}
        self._n = _length(path, list(arrays.values()))
        self._columns: dict[str, tuple[str, str | None]] = {}
        if len(found) < len(DTYPES) and arrays:
            only = next(iter(arrays))
            self._columns = {field: (only, name) for field, name in fields(arrays[only].dtype.names or ()).items()}
        elif arrays:
            self._columns = {field: (entries[name].filename, None) for field, name in found.items()}
        if len(self._columns) < len(DTYPES):
            raise DataError(f"{path}: expected arrays t, x, y and p, or one structured array of these, "
                            f"got {', '.join(list(entries)[:20]) or 'none'}")  # fmt: skip
        for name, field in self._columns.values():
            dtype = arrays[name].dtype if field is None else arrays[name].dtype[field]
            if dtype.kind not in "iub":
                raise DataError(
                    f"{path}: expected whole numbers (times in microseconds) in {name}, got {dtype}; read other arrays "
                    "with np.load, and give them to Events.from_arrays"
                )
        _check_sums(self._archive, [array.entry for array in arrays.values()])
        sides = [_side(path, self._archive, entries.get(name)) for name in ("width", "height")]
        self.sensor_size = (sides[0], sides[1]) if sides[0] and sides[1] else None
        self.header = {"arrays": ", ".join(list(entries)[:20])}
        self._arrays = arrays
        self._files = {name: self._archive.open(array.entry) for name, array in arrays.items()}

    def block(self, place: int, out: Columns) -> Step:
        end = min(place + ROWS, self._n)
        try:
            pieces = {name: self._read(name, place, end) for name in self._arrays}
        except _FAILURES as error:
            return Step(place, True, Damage(place, "numbers of the archive", str(error), self.unit))
        columns = [pieces[name] if field is None else pieces[name][field] for name, field in self._at("txyp")]
        damage = put_checked(out, columns, place)
        return Step(end, end == self._n or damage is not None, damage)

    def most(self) -> int:
        return self._n

    def done(self, place: int) -> float:
        return place / max(self._n, 1)

    def where(self, place: int, event: int) -> int:
        return place + event

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._archive.close()
        self._file.close()

    def _at(self, names: str) -> list[tuple[str, str | None]]:
        return [self._columns[name] for name in names]

    def _read(self, name: str, begin: int, end: int) -> NDArray[Any]:
        array, file = self._arrays[name], self._files[name]
        file.seek(array.begin + begin * array.dtype.itemsize)
        wanted = (end - begin) * array.dtype.itemsize
        data = file.read(wanted)
        if len(data) != wanted:
            raise ValueError(f"{len(data)} bytes instead of {wanted} in {name}")
        return np.frombuffer(data, array.dtype)


def _array(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    """An array's type, length and place, from the header of its entry."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: expected {entry.filename} as it is or deflated, got method {entry.compress_type}")
    with archive.open(entry) as file:
        start = file.read(12)
        version = start[6:7]
        length = int.from_bytes(start[8:10] if version == b"\x01" else start[8:12], "little")
        if not start.startswith(b"\x93NUMPY") or version not in (b"\x01", b"\x02", b"\x03") or length > LONGEST_HEADER:
            raise DataError(f"{path}: expected an array of NumPy in {entry.filename}, got {start!r}")
        begin = (10 if version == b"\x01" else 12) + length
        text = (start + file.read(begin - len(start)))[begin - length :].decode("latin-1")
    try:
        head = ast.literal_eval(text.strip())
        dtype = np.lib.format.descr_to_dtype(head["descr"])
        shape, turned = head["shape"], head["fortran_order"]
        one = len(shape) == 1 and type(shape[0]) is int and shape[0] >= 0 and turned in (True, False)
    except (ValueError, SyntaxError, TypeError, KeyError, IndexError, MemoryError, RecursionError) as error:
        raise DataError(f"{path}: expected the header of an array in {entry.filename}, got {text[:80]!r}") from error
    if shape != () and not one:
        raise DataError(f"{path}: expected an array of one axis in {entry.filename}, got shape {shape!r}")
    n = shape[0] if shape else 1
    if dtype.hasobject or dtype.itemsize == 0 or begin + n * dtype.itemsize != entry.file_size:
        expected = f"{n} numbers in {entry.file_size - begin} bytes of {entry.filename}"
        raise DataError(f"{path}: expected {expected}, got the type {dtype}")
    return Array(entry, dtype, n, begin)


def _length(path: Path, arrays: list[Array]) -> int:
    """How many events the arrays hold, all the same, and not more than such a file can."""
    lengths = {array.n for array in arrays}
    size = path.stat().st_size
    if len(lengths) > 1:
        raise DataError(f"{path}: expected arrays of one length, got {sorted(lengths)}")
    if max(lengths, default=0) > EVENTS_PER_BYTE * size:
        raise DataError(f"{path}: expected at most {EVENTS_PER_BYTE} events for each of its {size} bytes, "
                        f"got {max(lengths)}")  # fmt: skip
    if any(array.dtype.itemsize * array.n > 64 * EVENTS_PER_BYTE * size for array in arrays):
        raise DataError(f"{path}: expected numbers of events, got larger ones")
    return lengths.pop() if lengths else 0


def _check_sums(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """Reads entries to their end, where zipfile checks them."""
    for entry in entries:
        with archive.open(entry) as file:
            while file.read(PIECE):
                pass


def _side(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo | None) -> int:
    """How many pixels an array of one whole number tells; 0 where there is none."""
    if entry is None:
        return 0
    array = _array(path, archive, entry)
    if array.n != 1 or array.dtype.kind not in "iu":
        raise DataError(f"{path}: expected one whole number in {entry.filename}, got {array.n} of {array.dtype}")
    with archive.open(entry) as file:
        side = int(np.frombuffer(file.read()[array.begin :], array.dtype)[0])
    if not 1 <= side <= LARGEST_SIDE:
        raise DataError(f"{path}: expected 1 to {LARGEST_SIDE} pixels in {entry.filename}, got {side}")
    return side

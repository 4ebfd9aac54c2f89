"""HDF5: the datasets t, x, y and p of a group, or a dataset of records of these.

    written   /events/{t, x, y, p} in chunks, with the attributes width and height of the group
    read      the same under the names of fields.NAMES in /events or at the root, with /t_offset (DSEC), and
              /CD/events (Prophesee), whose attribute `geometry` of the file tells the size

Times are whole numbers of microseconds. Only datasets that are in the file itself are read: no links to others, no
external or virtual storage. Values are fetched and unpacked here (deflate, shuffle, Fletcher32, LZF, LZ4, Zstandard,
and Blosc with the codecs LZ4, zlib and Zstandard), every length checked; files with other filters are refused. The
inner structures, such as the index of chunks, are read by libhdf5, which is written in C and is not made for hostile
files: read files from strangers in a process of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from ...errors import DataError, UnsupportedError
from ..container import DTYPES, LARGEST_SIDE, Events
from .columns import Columns
from .fields import fields, put_checked
from .format import Damage, Format, Size, Source, Step
from .hdf5_chunks import Rows, filters, refused, stored_type

SIGNATURE = b"\x89HDF\r\n\x1a\n"
ROWS = 1 << 15
"""Events in a block."""
CHUNK = 1 << 12
"""Events in a chunk of a new file."""
EVENTS_PER_BYTE = 16
"""Events that a byte of a file may hold; one that promises more is refused."""
LARGEST_CHUNK = 1 << 24
"""Bytes of a chunk that any file may have; a larger one must be no larger than the file is."""
FAR = 1 << 62
"""Times from here on have no room for an offset."""
LONGEST_TEXT = 64
PLACES = ("CD/events", "events", "/")
ECF = 36559
FILTERS = {ECF: "ECF of Prophesee", 4: "SZIP", 5: "NBIT", 6: "scale-offset", 307: "BZIP2", 32008: "bitshuffle",
           32013: "ZFP", 32026: "Blosc 2"}  # fmt: skip
"""What is not unpacked here, by its number."""

_FAILURES = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, NotImplementedError, MemoryError)
"""What h5py raises for files that are damaged."""


class HDF5(Format):
    """Files of HDF5. New ones are not compressed."""

    name = "hdf5"
    suffixes = (".h5", ".hdf5")
    ordered = False
    memory_per_byte = 13 * EVENTS_PER_BYTE + 2
    crash_safe = False

    def recognises(self, head: bytes, size: int) -> bool:
        return head.startswith(SIGNATURE)

    def open(self, path: Path, block_bytes: int) -> Source:
        with path.open("rb") as file:
            if (start := file.read(len(SIGNATURE))) != SIGNATURE:
                raise DataError(f"{path}, byte 0: expected the signature of HDF5, got {start!r}")
        try:
            return Hdf5Source(path)
        except _FAILURES as error:
            if isinstance(error, (DataError, UnsupportedError)):
                raise
            raise DataError(f"{path}, byte 0: expected a file of HDF5, got a damaged one: {error}") from error

    def write(self, file: IO[bytes], blocks: Iterable[Events], sensor_size: Size) -> None:
        with h5py.File(file, "w") as target:
            group = target.create_group("events")
            group.attrs["width"], group.attrs["height"] = sensor_size
            for name, dtype in DTYPES.items():
                group.create_dataset(name, (0,), np.dtype(dtype).newbyteorder("<"), maxshape=(None,), chunks=(CHUNK,))
            n = 0
            for block in blocks:
                for name in DTYPES:
                    group[name].resize(n + len(block), axis=0)
                    group[name][n:] = getattr(block, name)
                n += len(block)


class Hdf5Source(Source):
    """An open file. A place is the number of an event."""

    begin = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = h5py.File(path, "r")
        try:
            self._columns = self._found()
            self._n = self._length()
            self._rows = self._readers()
            self._offset = self._start()
            self.sensor_size = self._size()
            self.header = {"datasets": ", ".join(sorted({dataset.name for dataset, _ in self._columns.values()}))}
        except BaseException:
            self._file.close()
            raise

    def block(self, place: int, out: Columns) -> Step:
        end = min(place + ROWS, self._n)
        try:
            read = {name: rows(place, end) for name, rows in self._rows.items()}
            if "" in read:
                read = {name: read[""][field] for name, (_, field) in self._columns.items()}
        except _FAILURES as error:
            return Step(place, True, Damage(place, "readable chunks", str(error), self.unit))
        before = out.n
        damage = put_checked(out, [read[name] for name in "txyp"], place)
        t = out.t[before : out.n]
        if self._offset and (far := np.flatnonzero((t >= FAR) | (t <= -FAR))).size:
            out.n = before + int(far[0])
            damage = Damage(place + int(far[0]), "a time below 2^62 us", str(t[far[0]]), self.unit)
        out.t[before : out.n] += self._offset
        return Step(end, end == self._n or damage is not None, damage)

    def most(self) -> int:
        return self._n

    def done(self, place: int) -> float:
        return place / max(self._n, 1)

    def where(self, place: int, event: int) -> int:
        return place + event

    def close(self) -> None:
        self._file.close()

    def _found(self) -> dict[str, tuple[Any, str | None]]:
        """The dataset, and the field where it holds records, of each column."""
        for place in PLACES:
            node = self._node(place)
            if isinstance(node, h5py.Dataset):
                found = fields(node.dtype.names or ())
                columns: dict[str, tuple[Any, str | None]] = {field: (node, name) for field, name in found.items()}
            else:
                found = fields(node) if isinstance(node, h5py.Group) else {}
                columns = {field: (self._node(f"{place}/{name}"), None) for field, name in found.items()}
            if len(columns) == len(DTYPES):
                for name, (dataset, field) in columns.items():
                    self._check(name, dataset, field)
                return columns
        held = ", ".join(list(self._file)[:20])
        raise DataError(f"{self._path}: expected /events or /CD/events with t, x, y and p, got {held or 'nothing'}")

    def _node(self, place: str) -> Any:
        """A group or dataset of this file; None where there is none. DataError for a link that leads elsewhere."""
        node: Any = self._file
        for name in place.strip("/").split("/"):
            if not name:
                continue
            if not isinstance(node, h5py.Group) or name not in node:
                return None
            if not isinstance(node.get(name, getlink=True), h5py.HardLink):
                raise DataError(f"{self._path}: expected {name} in the file itself, got a link to it")
            node = node[name]
        return node

    def _check(self, name: str, dataset: Any, field: str | None) -> None:
        """Raises DataError for a dataset that is none of numbers, or could not be read in bounded memory."""
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1:
            raise DataError(f"{self._path}: expected a dataset of one axis as {name}, got {dataset!r}")
        dtype, stored = dataset.dtype, stored_type(dataset.id.get_type())
        if field is not None:
            dtype, stored = dtype[field], stored[field] if field in (stored.names or ()) else np.dtype(np.void)
        if stored.kind not in "iu" or dataset.dtype.hasobject:
            raise DataError(f"{self._path}: expected whole numbers (times in microseconds) as {name}, got {dtype}")
        if dataset.external or dataset.is_virtual:
            raise DataError(
                f"{self._path}: expected {dataset.name} in the file itself, got external or virtual storage"
            )
        bound = max(LARGEST_CHUNK, self._path.stat().st_size)
        if dataset.chunks is not None and dataset.chunks[0] * dataset.dtype.itemsize > bound:
            raise DataError(f"{self._path}: expected chunks of at most {bound} bytes, got {dataset.chunks}")
        if (other := refused(filters(dataset))) is not None:
            raise UnsupportedError(
                f"{self._path}: {dataset.name} is packed with {FILTERS.get(other.code, other.name or 'a filter')} "
                f"(filter {other.code}), which is not unpacked here as it cannot be checked; write a copy that is: "
                "h5repack -f GZIP=4 IN OUT, with the filter's plugin in HDF5_PLUGIN_PATH"
            )

    def _readers(self) -> dict[str, Rows]:
        """What reads the rows of each column; under "" that of the records."""
        found = {name: Rows(dataset) for name, (dataset, field) in self._columns.items() if field is None}
        return found or {"": Rows(self._columns["t"][0])}

    def _length(self) -> int:
        lengths, size = {len(dataset) for dataset, _ in self._columns.values()}, self._path.stat().st_size
        if len(lengths) > 1:
            raise DataError(f"{self._path}: expected t, x, y and p of one length, got {sorted(lengths)}")
        if max(lengths) > EVENTS_PER_BYTE * size:
            raise DataError(f"{self._path}: expected at most {EVENTS_PER_BYTE} events for each of its {size} bytes, "
                            f"got {max(lengths)}")  # fmt: skip
        return lengths.pop()

    def _start(self) -> int:
        """The time that DSEC's files add to all others."""
        offset = self._node("t_offset")
        if offset is None:
            return 0
        if not isinstance(offset, h5py.Dataset) or not _is_number(offset) or offset.external or offset.is_virtual:
            raise DataError(f"{self._path}: expected one whole number as t_offset, got {offset!r}")
        if offset.chunks is not None:
            raise DataError(f"{self._path}: expected t_offset in one piece, got it in chunks")
        start = int(np.ravel(offset[()])[0])
        if abs(start) >= FAR:
            raise DataError(f"{self._path}: expected a time below 2^62 us as t_offset, got {start}")
        return start

    def _size(self) -> Size | None:
        """The sensor's size by the attributes width and height, or geometry ('1280x720'), of the group or the file."""
        owners = [self._file, *(node for node in map(self._node, PLACES) if node is not None)]
        sides = {name: _number(owner, name) for owner in owners for name in ("width", "height") if name in owner.attrs}
        texts = [_text(owner, "geometry") for owner in owners if "geometry" in owner.attrs]
        found = next((match for text in texts if (match := re.fullmatch(r"(\d{1,5})x(\d{1,5})", text))), None)
        width, height = (
            (sides["width"], sides["height"]) if len(sides) == 2 else map(int, found.groups() if found else (0, 0))
        )
        if not width and not height:
            return None
        if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
            raise DataError(f"{self._path}: expected 1 to {LARGEST_SIDE} pixels a side, got {width} x {height}")
        return width, height


def _number(owner: Any, name: str) -> int:
    """An attribute that is one whole number; 0 for another."""
    return int(np.ravel(owner.attrs[name])[0]) if _is_number(owner.attrs.get_id(name)) else 0


def _text(owner: Any, name: str) -> str:
    """An attribute that is one short text; an empty one for another."""
    attribute = owner.attrs.get_id(name)
    if attribute.shape != () or attribute.dtype.kind not in "SO" or attribute.dtype.itemsize > LONGEST_TEXT:
        return ""
    value = owner.attrs[name]
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _is_number(stored: Any) -> bool:
    """Whether a dataset or attribute is one whole number."""
    return stored.dtype.kind in "iu" and stored.shape in ((), (1,))

"""Where the arrays of variable length of an HDF5 file lie, so that they can be read in place.

A data set of such arrays holds references into global heaps; HDF5's own reading of them copies each, and does not end
on some damaged files. Source: HDF5 File Format Specification 3.0, III.E (global heap) and VIII (variable length).
"""

from __future__ import annotations

from struct import unpack_from
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, UnsupportedError
from ..events.files.hdf5_chunks import Filter, Rows, filters, most_packed, refused, unfiltered

REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
_HEAD = 16
"""The bytes that a heap begins with, and each object in it."""


class Arrays(NamedTuple):
    """The arrays of a data set: what refers to each, the file's bytes and the byte that addresses count from, the type
    of the numbers, and the name of the data set."""

    references: NDArray[Any]
    content: NDArray[np.uint8]
    base: int
    dtype: np.dtype[Any]
    name: str

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many numbers each has."""
        return self.references["length"].astype(np.int64)

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The byte at which the arrays of these rows begin, 0 for an empty one; DataError unless they lie in heaps of
        the file of which none overlaps another."""
        place, heap, end = np.zeros(len(rows), np.int64), -1, 0
        found: dict[int, tuple[int, int]] = {}
        held = np.flatnonzero(self.references["length"][rows])
        chosen = self.references[rows[held]]
        order = np.lexsort((chosen["index"], chosen["address"]))
        for k, (length, address, index) in zip(held[order].tolist(), chosen[order].tolist(), strict=True):
            owner, size = f"{self.name}: sample {rows[k]}", length * self.dtype.itemsize
            if address != heap:
                heap, start = address, self.base + address
                if start < end:
                    raise DataError(f"{owner} lies in a heap at byte {start}, within another one")
                found, end = _heap(self.content, start, owner)
            place[k], given = found.get(index, (0, -1))
            if given != size:
                raise DataError(f"{owner} must be an object of {size} bytes in the heap at {heap}")
        return place


def arrays_of(data: Any, content: NDArray[np.uint8], kinds: str) -> Arrays:
    """The arrays of a data set whose file has this content; DataError unless they hold little-endian numbers of these
    NumPy kinds, all together no more than the file can hold."""
    base = h5py.check_vlen_dtype(data.dtype)
    if base is None or np.dtype(base).kind not in kinds:
        raise DataError(f"{data.name} must hold an array of numbers of kind {kinds} for each sample, got {data.dtype}")
    if not data.id.get_type().get_super().equal(h5py.h5t.py_create(np.dtype(base).newbyteorder("<"))):
        raise DataError(f"{data.name} must hold little-endian numbers of a standard type")
    if data.file.id.get_create_plist().get_sizes() != (8, 8):
        raise DataError(f"{data.name}: only files with addresses of 8 bytes are read")
    arrays = Arrays(_references(data, content), content, data.file.userblock_size, np.dtype(base), data.name)
    total = int(arrays.lengths.sum()) * arrays.dtype.itemsize
    if total > content.size:
        raise DataError(f"{data.name}: its samples claim {total} bytes, the file has {content.size}")
    return arrays


def texts_of(data: Any, content: NDArray[np.uint8], longest: int) -> list[bytes]:
    """The texts of variable length of a data set, the first `longest` bytes of each."""
    if data.file.id.get_create_plist().get_sizes() != (8, 8):
        raise DataError(f"{data.name}: only files with addresses of 8 bytes are read")
    arrays = Arrays(_references(data, content), content, data.file.userblock_size, np.dtype(np.uint8), data.name)
    places = arrays.places(np.arange(len(data)))
    ends = places + np.minimum(arrays.lengths, longest)
    return [bytes(content[begin:end]) for begin, end in zip(places, ends, strict=True)]


def plain_rows(data: Any, content: NDArray[np.uint8]) -> NDArray[Any]:
    """The numbers or texts of fixed length of a data set of one axis, none of which libhdf5 unpacks."""
    known_filters(data)
    if max(data.size, (data.chunks or (0,))[0]) * data.dtype.itemsize > content.size + (1 << 20):
        raise DataError(f"{data.name} claims {data.size} entries in chunks of {data.chunks}, more than the file holds")
    rows = Rows(data)(0, len(data))
    if rows.dtype.kind not in "iu" and data.dtype.kind != "S":
        raise DataError(
            f"{data.name} must hold whole numbers that fill their bytes, or texts, got others ({data.dtype})"
        )
    return rows if rows.dtype.kind in "iu" else rows.view(data.dtype)


def _heap(content: NDArray[np.uint8], start: int, name: str) -> tuple[dict[int, tuple[int, int]], int]:
    """The objects of the heap at a byte: where each begins and its size, by index; and where the heap ends."""
    head = bytes(content[start : start + _HEAD]) if start < content.size else b""
    size = int.from_bytes(head[8:], "little")
    if head[:5] != b"GCOL\x01" or not _HEAD <= size <= content.size - start:
        raise DataError(f"{name}: expected a heap at byte {start}, got {head.hex(' ') or 'the end of the file'}")
    objects, at, end = {}, start + _HEAD, start + size
    while at + _HEAD <= end:
        index, size = unpack_from("<H6xQ", content.data, at)
        if index == 0:
            break
        if size > end - at - _HEAD:
            raise DataError(f"{name}: the object at byte {at} claims {size} bytes, its heap ends at {end}")
        objects[index] = at + _HEAD, size
        at += _HEAD + (size + 7) // 8 * 8
    return objects, end


def known_filters(data: Any) -> list[Filter]:
    """The filters of a data set; UnsupportedError for one that is not undone here."""
    if (other := refused(pipeline := filters(data))) is not None:
        raise UnsupportedError(f"{data.name}: filter {other.name!r} is not known; h5repack -f GZIP=4 IN OUT copies it")
    return pipeline


def _references(data: Any, content: NDArray[np.uint8]) -> NDArray[Any]:
    """The references of a data set, one for each sample."""
    n, chunk = len(data), (data.chunks or (0,))[0]
    references = np.zeros(n, REFERENCE)
    if n > content.size or chunk * REFERENCE.itemsize > content.size + (1 << 20):
        raise DataError(f"{data.name} claims {n} samples in chunks of {chunk}, more than the file can hold")
    if not chunk:
        start = data.id.get_offset()
        if start is not None:
            references[:] = np.frombuffer(bytes(content[start:][: references.nbytes]), REFERENCE)
        elif data.id.get_storage_size():
            raise DataError(f"{data.name} must be laid out in one piece or in chunks")
        return references
    pipeline, infos = known_filters(data), list[Any]()
    data.id.chunk_iter(infos.append)  # one by one each is looked for from the first on
    for info in infos:
        first = info.chunk_offset[0]
        if info.size > most_packed(chunk * REFERENCE.itemsize) or first >= n:
            raise DataError(f"{data.name}: the chunk of sample {first} claims {info.size} bytes; the file is damaged")
        part = references[first:][:chunk]
        raw = bytes(content[info.byte_offset :][: info.size])
        try:
            raw = unfiltered(raw, pipeline, info.filter_mask, chunk * REFERENCE.itemsize)
        except ValueError as error:
            raise DataError(f"{data.name}: expected a whole chunk of sample {first}, got {error}") from error
        part[:] = np.frombuffer(raw, REFERENCE)[: len(part)]
    return references

"""Rows of a dataset of HDF5, whose bytes are fetched and unpacked here, each length checked.

libhdf5 does not check how much a chunk becomes: for one that is too short it gives what the memory happens to hold
there, and some of its filters write where they should not. None of them is run here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from .packed import unblosc, unlz4, unlzf, unshuffled, unzip, unzstd

SHUFFLE, FLETCHER32 = 2, 3
UNPACK: dict[int, Callable[[bytes, int], bytes]] = {
    1: unzip, 32000: unlzf, 32001: unblosc, 32004: unlz4, 32015: unzstd
}  # fmt: skip
"""What undoes a filter that packs, by its number: of its bytes, as many as are given at most."""
_CHECKSUM = 4
_SUMMED = 1 << 16
"""Bytes that are summed at once."""


class Filter(NamedTuple):
    """A filter of a dataset: its number, its settings and its name."""

    code: int
    settings: tuple[int, ...]
    name: str


def filters(dataset: Any) -> list[Filter]:
    """The filters of a dataset, in their order on writing."""
    creation = dataset.id.get_create_plist()
    found = [creation.get_filter(k) for k in range(creation.get_nfilters())]
    return [Filter(int(code), settings, name.decode("utf-8", "replace")) for code, _, settings, name in found]


def refused(pipeline: list[Filter]) -> Filter | None:
    """The first of the filters that is not undone here: one that is not known, or the second that packs."""
    packing = 0
    for each in pipeline:
        packing += each.code in UNPACK
        if packing > 1 or each.code not in (*UNPACK, SHUFFLE, FLETCHER32):
            return each
    return None


def unfiltered(raw: bytes, pipeline: list[Filter], mask: int, size: int) -> bytes:
    """The `size` bytes of a chunk, its filters undone but for those that bits of `mask` name; ValueError for others."""
    for k in reversed(range(len(pipeline))):
        code, settings, _ = pipeline[k]
        if mask >> k & 1:
            continue
        if code == FLETCHER32:
            raw = _summed(raw)
        elif code == SHUFFLE:
            item = settings[0] if settings else 0
            if not 1 <= item <= size:
                raise ValueError(f"shuffled numbers of {item} bytes")
            raw = unshuffled(raw, item)
        else:
            raw = UNPACK[code](raw, size + _CHECKSUM * len(pipeline))
    if len(raw) != size:
        raise ValueError(f"{'more' if len(raw) > size else len(raw)} bytes instead of {size}")
    return raw


def most_packed(size: int) -> int:
    """How many bytes a chunk of `size` bytes may take in a file: one that could not be packed takes a little more."""
    return size + size // 8 + 4096


class Rows:
    """The rows of a dataset of one axis, as the integers that the file holds; others of its numbers are left out.

    The last chunk is kept, as the next rows are mostly in it.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset, self.dtype = dataset, stored_type(dataset.id.get_type())
        self._filters = filters(dataset)
        self._start, self._chunk = -1, np.empty(0, self.dtype)

    def __call__(self, begin: int, end: int) -> NDArray[Any]:
        """The rows from `begin` to before `end`; ValueError or OSError where the file does not hold them."""
        if end <= begin:
            return np.empty(0, self.dtype)
        if self.dataset.chunks is None:
            return self._piece(begin, end)
        size = self.dataset.chunks[0]
        parts = []
        for start in range(begin // size * size, end, size):
            if start != self._start:
                self._start, self._chunk = -1, self._unpacked(start)
                self._start = start
            parts.append(self._chunk[max(begin - start, 0) : end - start])
        return np.concatenate(parts)

    def _unpacked(self, start: int) -> NDArray[Any]:
        """The rows of the chunk that begins at a row."""
        whole = self.dataset.chunks[0] * self.dtype.itemsize
        mask, raw = self.dataset.id.read_direct_chunk((start,), out=np.empty(most_packed(whole), np.uint8))
        try:
            data = unfiltered(bytes(raw), self._filters, mask, whole)
        except ValueError as error:
            raise ValueError(f"a chunk at {start} of {error}") from error
        return np.frombuffer(data, self.dtype)

    def _piece(self, begin: int, end: int) -> NDArray[Any]:
        """Rows of a dataset that lies in one piece, or in the header of its object."""
        where, item = self.dataset.id.get_offset(), self.dtype.itemsize
        if where is None:
            if self.dataset.id.get_create_plist().get_layout() != h5py.h5d.COMPACT:
                raise ValueError("no values in the file")
            return np.ascontiguousarray(self.dataset[begin:end]).view(self.dtype)
        with open(self.dataset.file.filename, "rb") as file:
            file.seek(where + begin * item)
            data = file.read((end - begin) * item)
        if len(data) != (end - begin) * item:
            raise ValueError(f"{len(data)} bytes instead of {(end - begin) * item} at byte {where + begin * item}")
        return np.frombuffer(data, self.dtype)


def stored_type(kind: Any) -> np.dtype[Any]:
    """The type of NumPy for the whole numbers of a type of HDF5, or for its fields that are such; others are void."""
    size = kind.get_size()
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        places = [(kind.get_member_name(k), stored_type(kind.get_member_type(k)), kind.get_member_offset(k))
                  for k in range(kind.get_nmembers())]  # fmt: skip
        whole = [(name.decode("utf-8", "replace"), dtype, at) for name, dtype, at in places if dtype.kind in "iu"]
        names, formats, offsets = ([entry[k] for entry in whole] for k in range(3))
        layout: Any = {"names": names, "formats": formats, "offsets": offsets, "itemsize": size}
        record: np.dtype[Any] = np.dtype(layout)
        return record
    if isinstance(kind, h5py.h5t.TypeEnumID):
        kind = kind.get_super()
    if isinstance(kind, h5py.h5t.TypeIntegerID) and kind.get_precision() == 8 * size and size in (1, 2, 4, 8):
        order = ">" if kind.get_order() == h5py.h5t.ORDER_BE else "<"
        return np.dtype(f"{order}{'i' if kind.get_sign() == h5py.h5t.SGN_2 else 'u'}{size}")
    return np.dtype(f"V{size}")


def _summed(raw: bytes) -> bytes:
    """Bytes without the checksum of Fletcher behind them, which is compared."""
    data, first, second = raw[:-_CHECKSUM], 0, 0
    for begin in range(0, len(data), _SUMMED):
        piece = data[begin : begin + _SUMMED]
        words = np.frombuffer(piece + bytes(len(piece) % 2), ">u2").astype(np.uint64)
        second += first * words.size + int((words * np.arange(words.size, 0, -1, dtype=np.uint64)).sum())
        first += int(words.sum())
    told = int.from_bytes(raw[-_CHECKSUM:], "little")
    if len(raw) < _CHECKSUM or ((told & 0xFFFF) % 65535, (told >> 16) % 65535) != (first % 65535, second % 65535):
        raise ValueError(f"{len(data)} bytes whose checksum is another")
    return data

"""An HDF5 file that is only ever appended to, so that what has been flushed cannot be lost.

Every state of the file between two writes is a whole HDF5 file. A flush

1. appends all new blocks beyond the end that the superblock states, and new names in unused space of their heaps;
2. raises that end (8 bytes of the superblock);
3. replaces, for each group that changed, the 16 bytes of its header that say where its members are.

So a process that is killed anywhere leaves the groups as they were or as they are to be. h5py writes into the middle of
what is there: of 1,110 places at which its sequence of writes can end, 753 leave a file that cannot be read.
"""

from __future__ import annotations

import errno
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from struct import pack
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, StateError
from .hdf5_messages import UNDEFINED, chunked_layout, contiguous_layout, dataset_header, shuffle_and_deflate
from .hdf5_trees import CHUNK_FAN, FAN, HEADER_BYTES, LEAF, Group, Space, chunk_tree

SIGNATURE = b"\x89HDF\r\n\x1a\n"
END_FIELD = 44
"""Where the superblock (version 1) states the end of the file."""
SUPERBLOCK_BYTES = 100
_CHUNK_BYTES = 1 << 19
_JOINED_BYTES = 1 << 20


class Hdf5File:
    """A new HDF5 file of groups and data sets, open for writing; FileExistsError when there is one of that path.

    What is given is held in memory until `flush`. Any HDF5 from 1.8 on reads the file, also while it grows.

    fsync: a flush returns when its data are safe from a loss of power too.
    """

    def __init__(self, path: str | Path, fsync: bool = False) -> None:
        self._fsync = fsync
        self._root = Group()
        self._changed: dict[Group, None] = {}
        content, self._space = _first_blocks(self._root)
        self._file: int | None = _created(Path(path), content)
        _share(self._file)

    def __contains__(self, name: str) -> bool:
        *folders, last = name.split("/")
        group = self._root
        for folder in folders:
            if folder not in group.groups:
                return False
            group = group.groups[folder]
        return last in group

    def group(self, name: str) -> None:
        """Makes a group, and those above it, unless it is there."""
        self._group(name.split("/"))

    def dataset(
        self,
        name: str,
        data: Any,
        attributes: Mapping[str, Any] | None = None,
        compression: int | None = None,
        *,
        replace: bool = False,
    ) -> None:
        """Adds a data set of numbers, bytes or records, under groups that are made as needed.

        Its attributes are such as well, of at most 64 KB each. compression: the level of zlib, 1 to 9, after the bytes
        of each item were taken apart; None stores `data` as it is, and it must not change before the next flush.
        ParameterError for a name that is taken, but with `replace`.
        """
        *folders, last = name.split("/")
        array, stated = _plain(data), {key: _plain(value) for key, value in (attributes or {}).items()}
        if name in self and (not replace or self._is_group(name)):
            raise ParameterError(f"data set {name!r} is in the file already; take another name")
        space = Space(self._space.end)
        if compression is None or not array.size or not array.ndim:
            place = space.place(_bytes_of(array)) if array.size else 0
            layout, filters = contiguous_layout(place, array.nbytes), None
        else:
            layout = _placed_chunks(array, compression, space)
            filters = shuffle_and_deflate(array.itemsize, compression)
        header = space.place(dataset_header(f"/{name}", array.dtype, array.shape, layout, filters, stated))
        self._group(folders).waiting[last] = header
        self._space.writes += space.writes
        self._space.end = space.end

    def flush(self) -> None:
        """Makes all that was given part of the file, each group in one step, in the order in which they were used last.

        Raises OSError when the disk refuses: the groups are as they were, or some of them as they are to be, and what
        is missing waits for the next flush.
        """
        if not self._changed:
            return
        space = Space(self._space.end)
        changes = [group.changed(space) for group in self._changed]
        for address, content in _joined(sorted(self._space.writes + space.writes, key=lambda write: write[0])):
            self._write(address, content)
        self._sync()
        self._write(END_FIELD, pack("<Q", space.end))
        self._sync()
        self._space = Space(space.end)
        for change in changes:
            self._write(change.group.address + HEADER_BYTES, change.pair)
            change.apply()
            del self._changed[change.group]
        self._sync()

    def close(self) -> None:
        """Flushes, and closes the file also when that fails; a second call does nothing."""
        if self._file is not None:
            try:
                self.flush()
            finally:
                os.close(self._file)
                self._file = None

    def _group(self, folders: Sequence[str]) -> Group:
        group = anchor = self._root
        for folder in folders:
            if folder not in group.groups:
                if not folder or folder == "." or "\0" in folder or folder in group:
                    raise ParameterError(f"{'/'.join(folders)!r} must name groups, but {folder!r} cannot be one")
                group.groups[folder] = group.waiting[folder] = Group()
                self._mark(anchor)
            group = group.groups[folder]
            anchor = group if group.address else anchor
        self._mark(anchor)
        return group

    def _mark(self, group: Group) -> None:
        self._changed.pop(group, None)
        self._changed[group] = None

    def _is_group(self, name: str) -> bool:
        *folders, last = name.split("/")
        return last in self._group(folders).groups

    def _write(self, address: int, content: bytes | memoryview) -> None:
        if self._file is None:
            raise StateError("Hdf5File is closed; make a new one of another path")
        _write_all(self._file, content, address)

    def _sync(self) -> None:
        if self._fsync and self._file is not None:
            os.fdatasync(self._file)


def _first_blocks(root: Group) -> tuple[bytes, Space]:
    """The superblock and the empty root group, and the space behind them."""
    space = Space(SUPERBLOCK_BYTES)
    change = root.changed(space)
    address = change.placed(space)
    change.apply()
    blocks = b"".join(content for _, content in space.writes)
    return superblock(address, space.end) + blocks, Space(space.end)


def superblock(root: int, end: int) -> bytes:
    """The first bytes of a file whose root group has its header at this address."""
    head = SIGNATURE + pack("<8B4H", 1, 0, 0, 0, 0, 8, 8, 0, LEAF // 2, FAN // 2, 0, 0)
    return head + pack("<HHQQQQQQII16x", CHUNK_FAN // 2, 0, 0, UNDEFINED, end, UNDEFINED, 0, root, 0, 0)


def stated_end(head: bytes) -> int | None:
    """The end of the file that the first bytes of an HDF5 file of version 0 or 1 state; None for other bytes."""
    place = {0: 40, 1: END_FIELD}.get(head[8]) if len(head) >= SUPERBLOCK_BYTES and head.startswith(SIGNATURE) else None
    return None if place is None else int.from_bytes(head[place : place + 8], "little")


def _created(path: Path, content: bytes) -> int:
    """The descriptor of a new file, which has this content from the moment it has its name."""
    file, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        os.fchmod(file, 0o644)
        _write_all(file, content, 0)
        try:
            os.link(temporary, path)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            # This file system has no links: the name is taken with an empty file, which is then replaced.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
            os.replace(temporary, path)
    except BaseException:
        os.close(file)
        raise
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    return file


def _write_all(file: int, content: bytes | memoryview, address: int) -> None:
    rest = memoryview(content)
    while rest:
        n = os.pwrite(file, rest, address)
        rest, address = rest[n:], address + n


def _share(file: int) -> None:
    """Takes HDF5's own lock of a reader: others may read, and h5py refuses to open the file for writing."""
    import fcntl

    with suppress(OSError):  # File systems without locks: then nobody is kept from writing.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _plain(value: Any) -> NDArray[Any]:
    """The value as an array that lies in memory as it will in the file."""
    array = np.asarray(value)
    if array.dtype.kind == "S" and not array.itemsize:
        array = array.astype("S1")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return memoryview(cast(Any, array.reshape(-1).view(np.uint8)))


def _chunk_shape(shape: Sequence[int], item_bytes: int) -> tuple[int, ...]:
    """Chunks of about half a megabyte, whole along the last axes, of nearly equal lengths along the one that is cut."""
    room, chunk = max(1, _CHUNK_BYTES // item_bytes), []
    for n in reversed(shape):
        most = min(n, max(1, room))
        chunk.append(-(-n // -(-n // most)))
        room //= most
    return tuple(reversed(chunk))


def _placed_chunks(array: NDArray[Any], level: int, space: Space) -> bytes:
    """Places the compressed chunks of an array and their index; the layout that names it."""
    chunk = _chunk_shape(array.shape, array.itemsize)
    placed: list[tuple[int, int, Sequence[int]]] = []
    for place in product(*(range(0, n, size) for n, size in zip(array.shape, chunk, strict=True))):
        part = array[tuple(slice(at, at + size) for at, size in zip(place, chunk, strict=True))]
        content = np.zeros(chunk, array.dtype)
        content[tuple(map(slice, part.shape))] = part
        deflated = _deflated(content.reshape(-1).view(np.uint8).reshape(-1, array.itemsize), level)
        placed.append((space.place(deflated), len(deflated), place))
    return chunked_layout(chunk_tree(placed, chunk, array.itemsize, space), chunk, array.itemsize)


def _deflated(items: NDArray[np.uint8], level: int) -> bytes:
    """The bytes (items, bytes of each) shuffled and deflated, each place with a Huffman code of its own."""
    stream = zlib.compressobj(level)
    parts = [stream.compress(plane) + stream.flush(zlib.Z_SYNC_FLUSH) for plane in np.ascontiguousarray(items.T)]
    return b"".join(parts) + stream.flush()


def _joined(writes: Sequence[tuple[int, bytes | memoryview]]) -> Iterator[tuple[int, bytes | memoryview]]:
    """The writes, in the order of their addresses, with small ones that meet in one."""
    start, end = 0, 0
    parts: list[bytes | memoryview] = []
    for address, content in writes:
        if parts and (address != end or end - start + len(content) > _JOINED_BYTES):
            yield start, parts[0] if len(parts) == 1 else b"".join(parts)
            parts = []
        start = start if parts else address
        parts.append(content)
        end = address + len(content)
    if parts:
        yield start, parts[0] if len(parts) == 1 else b"".join(parts)

"""Formats that are a header and a stream of bytes: chunks, places, cuts and memory are handled here, once."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..container import Events
from .columns import Columns
from .format import HEAD, Damage, Format, Size, Source, Step

Bytes = NDArray[np.uint8]
"""A piece of a file."""


class Header(NamedTuple):
    """What stands before the events: its length in bytes, the state in which decoding begins, and its facts."""

    length: int
    state: Any
    sensor_size: Size | None = None
    facts: Mapping[str, Any] = {}


class Decoded(NamedTuple):
    """What decoding a chunk found: the bytes used, the state behind them, and the damage, its offset in the chunk."""

    used: int
    state: Any
    damage: Damage | None = None


class Codec(Format):
    """A format of bytes. States are values: decode and encode return new ones and change none."""

    bytes_per_event: ClassVar[int]
    """The fewest bytes that an event takes; 1 where several share a byte."""
    counted: ClassVar[bool] = False
    """Whether `most` looks at the bytes, so that a pass through the file tells how much memory its events take."""

    @abstractmethod
    def header(self, head: bytes, size: int) -> Header:
        """The header of a file of `size` bytes, from its first bytes.

        Raises DataError that opens with `byte N: expected ..., got ...`; the file's name is put before it.
        """

    @abstractmethod
    def decode(self, data: Bytes, state: Any, out: Columns, final: bool) -> Decoded:
        """Adds the events of a chunk to `out`, as far as they are whole; `final`: nothing comes behind the chunk.

        What is not used comes again at the start of the next chunk; bytes left over at the end are damage. An address
        outside of the sensor is found by the caller.
        """

    def most(self, data: Bytes, state: Any) -> int:
        """How many events a chunk holds at most."""
        return data.size // self.bytes_per_event

    def skipped(self, state: Any) -> Mapping[str, int]:
        """How much of what is no event was met until a state was reached, by its name."""
        return {}

    @abstractmethod
    def head(self, sensor_size: Size) -> tuple[bytes, Any]:
        """The header of a new file, and the state in which encoding begins."""

    @abstractmethod
    def encode(self, events: Events, state: Any) -> tuple[Bytes, Any]:
        """The bytes of a block, and the state behind it. Raises DataError for what the format cannot hold."""

    def open(self, path: Path, block_bytes: int) -> Source:
        return CodecSource(self, path, block_bytes)

    def write(self, file: IO[bytes], blocks: Iterable[Events], sensor_size: Size) -> None:
        head, state = self.head(sensor_size)
        file.write(head)
        for block in blocks:
            data, state = self.encode(block, state)
            file.write(data.data)


class Place(NamedTuple):
    """A byte of the file and the decoder's state there."""

    offset: int
    state: Any


class CodecSource(Source):
    """An open file of a codec."""

    unit = "byte"
    begin: Place

    def __init__(self, codec: Codec, path: Path, block_bytes: int) -> None:
        self._codec = codec
        self._file = path.open("rb", buffering=0)
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._buffer: Bytes = np.empty(block_bytes, np.uint8)
            header = codec.header(self._file.read(HEAD), self._size)
        except DataError as error:
            self._file.close()
            raise DataError(f"{path}, {error}") from error
        self.sensor_size, self.header = header.sensor_size, header.facts
        self.begin = Place(header.length, header.state)

    def block(self, place: Place, out: Columns) -> Step:
        data = self._read(place.offset)
        final = data.size < self._buffer.size or place.offset + data.size >= self._size
        out.reserve(self._codec.most(data, place.state))
        used, state, damage = self._codec.decode(data, place.state, out, final)
        left = data.size - used
        if damage is not None:
            damage = damage._replace(offset=place.offset + damage.offset)
        elif left and (final or not used):
            damage = Damage(place.offset + used, "a whole event", f"{left} bytes, which make none")
        return Step(Place(place.offset + used, state), final or damage is not None, damage)

    def most(self) -> int:
        if not self._codec.counted:
            return (self._size - self.begin.offset) // self._codec.bytes_per_event
        offsets = range(self.begin.offset, self._size, self._buffer.size)
        return sum(self._codec.most(self._read(offset), self.begin.state) for offset in offsets)

    def done(self, place: Place) -> float:
        return place.offset / max(self._size, 1)

    def where(self, place: Place, event: int) -> int:
        """The byte behind the longest part of the block that gives no more events than those before this one."""
        data = self._read(place.offset)
        low, high = 0, data.size
        while low + 1 < high:
            middle = (low + high) // 2
            fewer = self._decoded(data[:middle], place)[0] <= event
            low, high = (middle, high) if fewer else (low, middle)
        return place.offset + self._decoded(data[:low], place)[1]

    def skipped(self, place: Place) -> Mapping[str, int]:
        return self._codec.skipped(place.state)

    def close(self) -> None:
        self._file.close()

    def _decoded(self, data: Bytes, place: Place) -> tuple[int, int]:
        """How many events a part of a block gives, and how many bytes it takes for them."""
        out = Columns(self._codec.most(data, place.state))
        used = self._codec.decode(data, place.state, out, False).used
        return out.n, used

    def _read(self, offset: int) -> Bytes:
        """The bytes from an offset on, as many as a block has or the file had when it was opened."""
        wanted = self._buffer[: max(0, self._size - offset)]
        self._file.seek(offset)
        got = 0
        while got < wanted.size and (more := self._file.readinto(wanted[got:].data)):
            got += more
        return self._buffer[:got]

"""The seam of event files: what a format is, and what an open file of it gives.

A format that is no plain stream of bytes (a container such as HDF5) is a `Format` with a `Source`. For one that is,
see `codec.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple

from ...errors import DataError
from ..container import LARGEST_SIDE, Events
from .columns import Columns

Size = tuple[int, int]
"""(width, height) in pixels."""

HEAD = 1 << 16
"""How many of a file's first bytes a format may see to recognise it; a header ends within them."""


class Damage(NamedTuple):
    """Where a file is damaged: the byte (or what `unit` says), what was expected there, and what was found."""

    offset: int
    expected: str
    got: str
    unit: str = "byte"

    def __str__(self) -> str:
        return f"{self.unit} {self.offset}: expected {self.expected}, got {self.got}"

    def error(self, path: Path) -> DataError:
        """The error that tells of it."""
        return DataError(f"{path}, {self}; errors='keep' reads the events before it")


class Step(NamedTuple):
    """What reading a block found: the place behind it, whether it was the last one, and the damage that ended it."""

    place: Any
    last: bool
    damage: Damage | None = None


class Source(ABC):
    """An open file, read block by block. A place is any value that tells where a block begins and what is needed there.

    Reading a block depends on nothing but its place: places are kept, and blocks read again from them in any order.
    """

    sensor_size: Size | None
    """As the file says; None where it does not: then it is as large as its events need."""
    header: Mapping[str, Any]
    """Facts that the file states of itself, by their names in the file; texts, numbers and truths."""
    begin: Any
    """The place of the first block."""
    unit: ClassVar[str] = "event"
    """What `where` counts."""

    @abstractmethod
    def block(self, place: Any, out: Columns) -> Step:
        """Adds the events of the block at a place to `out`; the memory of a block is bounded, whatever the file's size.

        Damage is not raised but returned, behind the good events. A block may be without events.
        """

    def most(self) -> int:
        """How many events the file holds at most; 0: unknown."""
        return 0

    def done(self, place: Any) -> float:
        """Which share of the file, 0..1, lies before a place; for progress."""
        return 0.0

    def where(self, place: Any, event: int) -> int:
        """Where in the file the event of this number in the block at a place stands, in the source's unit."""
        return event

    def skipped(self, place: Any) -> Mapping[str, int]:
        """How much of what is no event (triggers, inertial data) stood before a place, by its name."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Closes the file."""


class Format(ABC):
    """A kind of event file: how it is recognised, opened and written."""

    name: ClassVar[str]
    """As in FORMATS."""
    suffixes: ClassVar[tuple[str, ...]]
    """Endings of file names, lower case, with the dot."""
    largest_side: ClassVar[int] = LARGEST_SIDE
    """How many pixels a side of the sensor may have in such a file."""
    largest_rows: ClassVar[int] = LARGEST_SIDE
    """How many rows it may have, where that is fewer."""
    ordered: ClassVar[bool] = True
    """Whether such a file holds events only in order of time, from 0 on."""
    latest: ClassVar[int] = 1 << 63
    """Times before this one, in microseconds, can be written."""
    memory_per_byte: ClassVar[int]
    """How many bytes of memory reading a file takes at most for each byte of it, beside a few blocks."""
    writable: ClassVar[bool] = True
    crash_safe: ClassVar[bool] = True
    """Whether no content can crash the process; False where a C library reads it that does not promise that."""

    @abstractmethod
    def recognises(self, head: bytes, size: int) -> bool:
        """Whether a file of `size` bytes that begins with `head` (up to HEAD bytes) is of this format."""

    @abstractmethod
    def open(self, path: Path, block_bytes: int) -> Source:
        """The file, whose blocks take about `block_bytes` of it. Raises DataError for a header that is damaged."""

    @abstractmethod
    def write(self, file: IO[bytes], blocks: Iterable[Events], sensor_size: Size) -> None:
        """Writes all blocks, which are checked and of one sensor size, to a new file that is open for reading too."""

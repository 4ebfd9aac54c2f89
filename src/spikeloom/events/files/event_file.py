"""An open event file of any format: its facts, its events block by block, and reading by time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import numpy as np

from ...errors import ParameterError, StateError, StorageError
from ..container import Events
from .columns import Columns, Facts
from .format import Damage, Format, Size, Step
from .formats import recognised

Errors = Literal["raise", "keep"]
Progress = Callable[[float], None]
"""Is told, now and then, which share of the work (0..1) is done."""

BLOCK_BYTES = 1 << 19
SMALLEST_BLOCK = 64
_NOTHING = Events.from_arrays([], [], [], [])
_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A block in the index: its place, how many events it has, and their least and greatest time in microseconds."""

    place: Any
    n: int
    low: int
    high: int


class Index(NamedTuple):
    """What one pass through a file found: its blocks, the place behind the last one, and the sensor its events need."""

    entries: tuple[Entry, ...]
    end: Any
    size: Size


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is in an event file; times in ms, those of an empty file are None."""

    path: Path
    format: str
    n_events: int
    sensor_size: Size
    start: float | None
    end: float | None
    header: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    damage: Damage | None = None


class EventFile:
    """An event file, whose format is recognised by its content unless it is given. It is a context manager.

    Iterating gives `Events`, one block of the file after the other: memory is bounded whatever the file's size.
    `sensor_size` is (width, height), in place of what the file says. errors='keep' ends at the first damage, which
    `damage` and a warning tell of, and keeps the events before it; 'raise' raises DataError there. `block_bytes` is
    how much of the file is read at a time, `progress` is told the share of a pass through the file that is done.
    """

    path: Path
    damage: Damage | None
    """Where the file is damaged, as far as it was read with errors='keep'; None: nowhere."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        format: str | Format | None = None,
        sensor_size: Size | None = None,
        *,
        errors: Errors = "raise",
        block_bytes: int = BLOCK_BYTES,
        progress: Progress | None = None,
    ) -> None:
        if errors not in ("raise", "keep"):
            raise ParameterError(f"EventFile.errors must be 'raise' or 'keep', got {errors!r}")
        if not isinstance(block_bytes, int) or block_bytes < SMALLEST_BLOCK:
            raise ParameterError(f"EventFile.block_bytes must be at least {SMALLEST_BLOCK}, got {block_bytes!r}")
        given = None if sensor_size is None else Events.from_arrays([], [], [], [], sensor_size).sensor_size
        self.path, self.damage = Path(path), None
        self._errors, self._progress = errors, progress
        try:
            self._format = recognised(self.path, format)
            self._source = self._format.open(self.path, block_bytes)
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {error.strerror or error}") from error
        self._size = given or self._source.sensor_size
        self._index: Index | None = None
        self._open = True

    @property
    def format(self) -> str:
        """The name of the format, as in FORMATS."""
        return self._format.name

    @property
    def header(self) -> dict[str, Any]:
        """What the file states of itself."""
        return dict(self._source.header)

    @property
    def sensor_size(self) -> Size:
        """(width, height) as given, else as the file says, else as large as its events need (one pass finds out)."""
        if self._size is None:
            self._size = self._indexed().size
        return self._size

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; nothing can be read from it then."""
        if self._open:
            self._source.close()
        self._open = False

    def __iter__(self) -> Iterator[Events]:
        size = self.sensor_size
        for out, facts, _ in self._blocks(Columns):
            if out.n:
                yield _events(out, size, bool(facts.is_sorted))

    def read(self, start: float | None = None, end: float | None = None) -> Events:
        """The events with start <= t < end, both in ms (None: no bound); only the blocks that hold such are decoded.

        The first call with a bound makes an index, by one pass through the file.
        """
        _NOTHING.between(start, end)
        if start is None and end is None:
            return self._whole()
        low = -np.inf if start is None else start * 1000 - 1
        high = np.inf if end is None else end * 1000 + 1
        chosen = [entry for entry in self._indexed().entries if entry.high >= low and entry.low <= high]
        out = Columns(sum(entry.n for entry in chosen))
        found = [self._block(entry.place, out)[1] for entry in chosen]
        return _events(out, self.sensor_size, _is_sorted(found)).between(start, end)

    def summary(self) -> Summary:
        """What is in the file, by one pass through it."""
        index = self._indexed()
        low = min((entry.low for entry in index.entries), default=None)
        high = max((entry.high for entry in index.entries), default=None)
        return Summary(
            path=self.path,
            format=self.format,
            n_events=sum(entry.n for entry in index.entries),
            sensor_size=self.sensor_size,
            start=None if low is None else low / 1000,
            end=None if high is None else high / 1000,
            header=self.header,
            skipped={name: count for name, count in self._source.skipped(index.end).items() if count},
            damage=self.damage,
        )

    def _whole(self) -> Events:
        """All events, decoded into arrays that are made once."""
        out = Columns(self._source.most())
        found = [facts for _, facts, _ in self._blocks(lambda: out)]
        size = self._size = self._size or _size_of(found)
        return _events(out, size, _is_sorted(found))

    def _indexed(self) -> Index:
        """The index, made on first need."""
        if self._index is None:
            found: list[Entry] = []
            blocks: list[Facts] = []
            place = end = self._source.begin
            for out, facts, end in self._blocks(Columns):
                if out.n:
                    found.append(Entry(place, out.n, facts.low, facts.high))
                    blocks.append(facts)
                place = end
            self._index = Index(tuple(found), end, _size_of(blocks))
        return self._index

    def _blocks(self, columns: Callable[[], Columns]) -> Iterator[tuple[Columns, Facts, Any]]:
        """Every block, read into columns that are asked for each time: these, its facts, and the place behind it."""
        place, last = self._source.begin, False
        while not last:
            out = columns()
            step, facts = self._block(place, out)
            place, last = step.place, step.last
            if self._progress is not None:
                self._progress(1.0 if last else self._source.done(place))
            yield out, facts, place

    def _block(self, place: Any, out: Columns) -> tuple[Step, Facts]:
        """Reads a block and checks its events; damage is raised or told."""
        if not self._open:
            raise StateError(f"{self.path} is closed; open it again with EventFile")
        begin, (width, height) = out.n, self._size or (self._format.largest_side,) * 2
        try:
            step = self._source.block(place, out)
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {error.strerror or error}") from error
        facts = out.facts(begin, width, height)
        if (event := facts.outside) >= 0:
            x, y = out.x[begin + event], out.y[begin + event]
            where = self._source.where(place, event)
            damage = Damage(where, f"an event within {width} x {height} pixels", f"x {x}, y {y}", self._source.unit)
            out.n = begin + event
            step, facts = Step(step.place, True, damage), out.facts(begin, width, height)
        if step.damage is not None:
            self._tell(step.damage)
        return step, facts

    def _tell(self, damage: Damage) -> None:
        """Raises the damage, or keeps it and warns of it, once."""
        if self._errors == "raise":
            raise damage.error(self.path)
        if self.damage is None:
            _log.warning("%s is damaged, %s; the events before it are read", self.path, damage)
            self.damage = damage


def _events(out: Columns, size: Size, is_sorted: bool) -> Events:
    t, x, y, p = (getattr(out, name)[: out.n] for name in "txyp")
    return Events(t=t, x=x, y=y, p=p, width=size[0], height=size[1], is_sorted=is_sorted)


def _is_sorted(blocks: Sequence[Facts]) -> bool:
    """Whether the events of blocks that follow each other are in order of time."""
    filled = [facts for facts in blocks if facts.low <= facts.high]
    follow = all(before.high <= facts.low for before, facts in pairwise(filled))
    return follow and all(facts.is_sorted for facts in filled)


def _size_of(blocks: Sequence[Facts]) -> Size:
    """The smallest sensor that has the events of blocks."""
    most_x, most_y = (max((getattr(facts, name) for facts in blocks), default=0) for name in ("most_x", "most_y"))
    return max(most_x, 0) + 1, max(most_y, 0) + 1

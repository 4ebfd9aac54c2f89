"""Writing event files: whole or not at all, block by block."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ...errors import DataError, ParameterError, ShapeError
from ...storage import atomic_file
from ..container import Events
from ..filters_native import contiguous
from .columns import Facts, facts_of
from .event_file import Errors, EventFile, Progress
from .format import Format, Size
from .formats import for_writing

BLOCK = 1 << 17
"""How many events are encoded at a time."""


def read_events(
    path: str | os.PathLike[str],
    format: str | Format | None = None,
    sensor_size: Size | None = None,
    errors: Errors = "raise",
    start: float | None = None,
    end: float | None = None,
) -> Events:
    """The events of a file, from `start` and before `end` in ms (None: no bound).

    The format is recognised by the content. `sensor_size` is (width, height), by default what the file says, or as
    large as its events need. Raises DataError for a damaged file, naming the byte; errors='keep' returns the events
    before the damage and logs a warning.
    """
    with EventFile(path, format, sensor_size, errors=errors) as file:
        return file.read(start, end)


def write_events(
    path: str | os.PathLike[str],
    events: Events | Iterable[Events],
    format: str | Format | None = None,
    sensor_size: Size | None = None,
) -> None:
    """Writes events, or blocks of events one after the other, to a file, which appears whole or not at all.

    The format is told by the path's suffix, or given where several have it. `sensor_size` is needed only for an
    iterable without blocks. Raises DataError for what the format cannot hold.
    """
    file = Path(path)
    chosen = for_writing(file, format)
    blocks = iter([events] if isinstance(events, Events) else events)
    first = next(blocks, None)
    if first is None and sensor_size is None:
        raise ParameterError("write_events: there are no blocks; give sensor_size=(width, height)")
    size = sensor_size or _events(first).sensor_size
    size = Events.from_arrays([], [], [], [], size).sensor_size
    largest = chosen.largest_side, min(chosen.largest_side, chosen.largest_rows)
    if size[0] > largest[0] or size[1] > largest[1]:
        raise DataError(f"write_events: {chosen.name} holds at most {largest[0]} x {largest[1]} pixels, got {size}")
    given = blocks if first is None else itertools.chain([first], blocks)
    with atomic_file(file) as out:
        chosen.write(out, _checked(given, size, chosen), size)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    format: str | Format | None = None,
    sensor_size: Size | None = None,
    *,
    source_format: str | Format | None = None,
    errors: Errors = "raise",
    progress: Progress | None = None,
) -> None:
    """Writes the events of one file to another, block by block; `format` is the target's, by default by its suffix.

    `sensor_size`, `errors` and `progress` are those of `EventFile`.
    """
    for_writing(Path(target), format)
    with EventFile(source, source_format, sensor_size, errors=errors, progress=progress) as file:
        write_events(target, file, format, file.sensor_size)


def _checked(blocks: Iterable[Events], size: Size, chosen: Format) -> Iterator[Events]:
    """The blocks in pieces, each of the sensor's size and, where the format needs it, in order of time from 0 on."""
    last, n = 0, 0
    for block in blocks:
        if _events(block).sensor_size != size:
            raise ShapeError(f"write_events: all blocks must be of one sensor size, got {block.sensor_size} and {size}")
        for begin in range(0, len(block), BLOCK):
            piece = block[begin : begin + BLOCK]
            facts = _facts(piece, n)
            if chosen.ordered and (not facts.is_sorted or facts.low < last):
                raise DataError(
                    f"write_events: {chosen.name} holds events in order of time from 0 on; "
                    f"got others among events {n} to {n + len(piece) - 1}; see Events.sorted"
                )
            if facts.high >= chosen.latest:
                raise DataError(
                    f"write_events: {chosen.name} holds times below {chosen.latest / 1000:g} ms, got "
                    f"{facts.high / 1000:g} ms; move them with events.with_arrays(t=events.t - events.t[0])"
                )
            last, n = int(piece.t[-1]), n + len(piece)
            yield piece


def _facts(piece: Events, first: int) -> Facts:
    """The facts of a piece, whose first event has this number: encoders rely on them, also where a caller made it."""
    t, x, y, p = contiguous(piece)
    facts = facts_of(t, x, y, *piece.sensor_size)
    wrong = np.flatnonzero(p & -2)
    if facts.outside >= 0 or wrong.size:
        at = facts.outside if facts.outside >= 0 else int(wrong[0])
        raise DataError(
            f"write_events: expected events within {piece.width} x {piece.height} pixels, of polarity 0 or 1, got "
            f"x {x[at]}, y {y[at]}, p {p[at]} as event {first + at}"
        )
    return facts


def _events(block: object) -> Events:
    if not isinstance(block, Events):
        raise ParameterError(f"write_events: expected Events or an iterable of them, got {type(block).__name__}")
    return block

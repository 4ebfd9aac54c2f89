"""CSV: a line of numbers for each event, columns separated by commas, semicolons, tabs or blanks.

A first line of names, or a comment line "# t x y p" before the numbers, tells which column is which, in any order, and
columns of other names are passed over; without names they are t, x, y and p. "x@640" is x of a sensor 640 pixels wide
(as faery writes). Numbers may have a fraction and an exponent ("1.5e+03", as NumPy writes), but all except times that
are not in us must be whole. Polarities are 0 and 1, -1 and 1, or True and False.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError
from ...native.compiled import compiled
from ...registry import did_you_mean
from ..container import LARGEST_SIDE, Events
from .codec import Bytes, Codec, CodecSource, Decoded, Header
from .columns import Columns
from .csv_reference import LONGEST_LINE, layout_of, reference_decode, reference_encode
from .fields import NAMES, fields
from .format import HEAD, Damage, Size, Source

HEADER = "event_text.hpp"
UNITS = {"ns": -3, "us": 0, "ms": 3, "s": 6}
"""The power of ten that makes each unit of time microseconds."""
SMALLEST_BLOCK = 4 * LONGEST_LINE
LONGEST_EVENT = 64
"""Bytes that a line written by `encode` takes at most."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|true|false", re.IGNORECASE)
_NOT_TEXT = bytes({*range(256)} - {*range(32, 127), *b"\t\r\n"})
_MARK = b"\xef\xbb\xbf"
"""The byte order mark that spreadsheets put before UTF-8."""


@dataclass(frozen=True, kw_only=True)
class CSV(Codec):
    """Text files of events.

    `columns` names the columns in their order, where the file does not ('xytp', or a sequence of names, of which others
    than those of t, x, y and p are passed over). `delimiter` is one character, by default found out, or ',' in new
    files. `time_unit` is 'ns', 'us', 'ms' or 's'.
    """

    columns: Sequence[str] | None = None
    delimiter: str | None = None
    time_unit: str = "us"

    name = "csv"
    suffixes = (".csv", ".txt")
    ordered = False
    bytes_per_event = 7
    counted = True
    memory_per_byte = 4

    def __post_init__(self) -> None:
        if self.time_unit not in UNITS:
            hint = did_you_mean(str(self.time_unit), UNITS)
            raise ParameterError(f"CSV.time_unit: unknown unit {self.time_unit!r}{hint} Known: {', '.join(UNITS)}")
        if self.delimiter is not None and self.delimiter not in list(",;\t |:"):
            raise ParameterError(
                f"CSV.delimiter must be a comma, semicolon, tab, blank, | or :, got {self.delimiter!r}"
            )
        if self.columns is not None and len(found := fields(self.columns)) < len(NAMES):
            missing = [name for name in NAMES if name not in found]
            raise ParameterError(f"CSV.columns must name t, x, y and p, got {self.columns!r}; {missing} lack")

    def open(self, path: Path, block_bytes: int) -> Source:
        return CodecSource(self, path, max(block_bytes, SMALLEST_BLOCK))

    def recognises(self, head: bytes, size: int) -> bool:
        """A file whose first lines name t, x, y and p, or whose first line of numbers is an event; the rest may be
        damaged."""
        text = head.removeprefix(_MARK)
        if not text or text.translate(None, _NOT_TEXT) != text or text.startswith((b"%", b"#!")):
            return False
        try:
            header = self.header(head, size)
        except DataError:
            return False
        first = head[: header.length].removeprefix(_MARK).decode("latin-1").splitlines()
        named = (_split(line.lstrip("# "), self.delimiter) for line in first)
        if any(len(fields(parts)) == len(NAMES) for parts in named):
            return True
        data = np.frombuffer(head[header.length :].split(b"\n")[0], np.uint8)
        return data.size > 0 and self.decode(data, header.state, Columns(1), True).damage is None

    def header(self, head: bytes, size: int) -> Header:
        at, names = len(_MARK) * head.startswith(_MARK), list(self.columns) if self.columns is not None else None
        while at < len(head):
            end = head.find(b"\n", at) + 1 or len(head)
            line = head[at:end].decode("latin-1").strip()
            parts = _split(line.lstrip("#"), self.delimiter)
            is_line = line and not line.startswith("#")
            numbers = sum(_NUMBER.fullmatch(part) is not None for part in parts)
            if is_line and numbers == len(parts):
                break
            if names is None and len(fields(parts)) == len(NAMES):
                names = parts
            if is_line and (numbers or names is None):
                raise DataError(f"byte {at}: expected numbers, or names of columns with {', '.join(NAMES)} among "
                                f"them, got {line[:60]!r}")  # fmt: skip
            at = end
            if is_line:
                break
        if at >= HEAD:
            raise DataError(f"byte 0: expected the first event within {HEAD} bytes, got none")
        first = head[at : head.find(b"\n", at) + 1 or len(head)].decode("latin-1").strip()
        delimiter = self.delimiter or _delimiter(first)
        names = names or list(NAMES)
        layout = layout_of(names, delimiter, UNITS[self.time_unit])
        return Header(at, layout, _told_size(names), {"columns": ",".join(names)})

    def most(self, data: Bytes, state: NDArray[np.int64]) -> int:
        return int(np.count_nonzero(data == ord("\n"))) + 1

    def decode(self, data: Bytes, state: NDArray[np.int64], out: Columns, final: bool) -> Decoded:
        if (library := compiled(HEADER)) is None:
            used, bad = reference_decode(data.tobytes(), state, final, out)
        else:
            n, used_, bad_ = np.array([out.n], np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64)
            library.call("text_decode", data, data.size, state, int(final), out.t, out.x, out.y, out.p, n, used_, bad_)
            out.n, used, bad = int(n[0]), int(used_[0]), bool(bad_[0])
        damage = _damage(data[used : used + LONGEST_LINE + 1].tobytes(), used, state) if bad else None
        return Decoded(used, state, damage)

    def head(self, sensor_size: Size) -> tuple[bytes, NDArray[np.int64]]:
        names = list(self.columns or NAMES)
        if len(names) > len(NAMES):
            raise ParameterError(f"CSV.columns: only t, x, y and p can be written, got {names}")
        delimiter = self.delimiter or ","
        return f"{delimiter.join(names)}\n".encode(), layout_of(names, delimiter, UNITS[self.time_unit])

    def encode(self, events: Events, state: NDArray[np.int64]) -> tuple[Bytes, NDArray[np.int64]]:
        if (library := compiled(HEADER)) is None:
            return np.frombuffer(reference_encode(events, state), np.uint8), state
        data, size = np.empty(LONGEST_EVENT * len(events), np.uint8), np.zeros(1, np.int64)
        columns = (np.ascontiguousarray(getattr(events, name)) for name in "txyp")
        library.call("text_encode", *columns, len(events), state, data, size)
        return data[: size[0]], state


def _told_size(names: list[str]) -> Size | None:
    """The size that names such as 'x@640' and 'y@480' tell."""
    sides = [fields(names)[field].partition("@")[2] for field in "xy"]
    whole = [int(side) if side.isdecimal() and len(side) < 6 else 0 for side in sides]
    return (whole[0], whole[1]) if all(1 <= side <= LARGEST_SIDE for side in whole) else None


def _split(line: str, delimiter: str | None) -> list[str]:
    """The parts of a line, blanks and quotes around them aside."""
    delimiter = delimiter or _delimiter(line.strip())
    parts = line.split() if delimiter == " " else line.split(delimiter)
    return [part.strip(" \t\"'") for part in parts]


def _delimiter(line: str) -> str:
    """What separates the columns of a line."""
    marks = ",;|:" if " " in line else ",;\t|:"
    return next((mark for mark in marks if mark in line), " " if " " in line else ",")


def _damage(line: bytes, offset: int, layout: NDArray[np.int64]) -> Damage:
    """What is wrong with the line at an offset."""
    text = line.split(b"\n")[0]
    if len(text) > LONGEST_LINE:
        return Damage(offset, f"a line of at most {LONGEST_LINE} bytes", "a longer one")
    whole = " (times in ms or s are read with format=CSV(time_unit=...))" if layout[6] == 0 and b"." in text else ""
    order = ", ".join(sorted("txyp", key=lambda name: int(layout["txyp".index(name)])))
    expected = f"{layout[4]} columns with {order}, all whole numbers{whole}, p of 0, 1 or -1"
    return Damage(offset, expected, repr(text.decode("latin-1")[:80]))

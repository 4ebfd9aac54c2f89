"""Headers of Prophesee's files: lines of text that begin with "% ", before the binary words.

Source: Prophesee, "RAW file format" and "DAT file format", Metavision SDK documentation.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..container import Events
from .codec import Header
from .format import HEAD, Size
from .words import WordCodec

TIME_HIGH, TRIGGER = 8, 10
COARSE_BITS, COARSE_LOW = 28, 6
COARSE_HIGH = 1 << (COARSE_BITS - 1)
"""How far a TIME_HIGH may be from the one before it so that decoders see a wrap, not a step back."""

_TEXT = re.compile(rb"%[ -~\t]*\r?\n")
_END = b"% end"


class TextHeader(NamedTuple):
    """The length of the header in bytes, its entries: `% key value`, keys in lower case; whether its end was seen."""

    length: int
    entries: dict[str, str]
    ends: bool


def text_header(head: bytes) -> TextHeader:
    """The lines at the start of a file up to `% end` or to the first that is none."""
    entries: dict[str, str] = {}
    at = 0
    while (line := _TEXT.match(head, at)) is not None:
        at = line.end()
        if line[0].rstrip() == _END:
            return TextHeader(at, entries, True)
        key, _, value = line[0][1:].decode("ascii").strip().partition(" ")
        entries.setdefault(key.lower(), value.strip())
    return TextHeader(at, entries, len(head) < HEAD or not _TEXT.match(head[at:] + b"\n"))


def whole_header(head: bytes) -> TextHeader:
    """The header of a file that begins so; DataError for one that goes on and on."""
    header = text_header(head)
    if not header.ends:
        raise DataError(f"byte {header.length}: expected the end of the header within {HEAD} bytes, got more lines")
    return header


def raw_version(header: TextHeader) -> str:
    """The version of the encoding that the header of a RAW file tells, such as '2.0'; '' where it tells none."""
    if (name := re.fullmatch(r"EVT(\d)(\d?)", options(header).get("", "").upper())) is not None:
        return f"{name[1]}.{name[2] or 0}"
    version = header.entries.get("evt", "")
    return version if "." in version or not version else f"{version}.0"


def geometry(header: TextHeader) -> Size | None:
    """(width, height) as the header tells, by `geometry`, by the options of `format`, or by `Width` and `Height`."""
    choices, entries = options(header), header.entries
    found = re.fullmatch(r"(\d+)x(\d+)", entries.get("geometry", ""))
    sides = found.groups() if found else (choices.get("width"), choices.get("height"))
    if None in sides:
        sides = (entries.get("width"), entries.get("height"))
    if None in sides:
        return None
    size = tuple(int(side) if side and re.fullmatch(r"\d{1,6}", side) else 0 for side in sides)
    if not all(1 <= side <= 1 << 15 for side in size):
        raise DataError(
            f"byte 0: expected a geometry of 1 to {1 << 15} pixels a side, got {' x '.join(map(str, sides))}"
        )
    return size[0], size[1]


class RawCodec(WordCodec):
    """An encoding of Prophesee's RAW files."""

    suffixes = (".raw",)
    largest_side = 2048
    version: ClassVar[str]
    begin: ClassVar[tuple[int, ...]] = (0, -1)
    """The decoder's state at the first word, but for counts: how often the time wrapped, the last TIME_HIGH, ..."""
    skipped_names: ClassVar[tuple[str, ...]]
    """What the last entries of the state count."""
    unwritten: ClassVar[Any] = -1
    """The encoder's state before the first word."""
    time_bits: ClassVar[int]
    """Of the part of the time that is in a word of its own."""

    def recognises(self, head: bytes, size: int) -> bool:
        return raw_version(text_header(head)) == self.version

    def header(self, head: bytes, size: int) -> Header:
        text = whole_header(head)
        if (version := raw_version(text)) not in ("", self.version):
            raise DataError(f"byte 0: expected a header of EVT {self.version}, got one of EVT {version}")
        state = np.array([*self.begin, *(0 for _ in self.skipped_names)], np.int64)
        return Header(text.length, state, geometry(text), text.entries)

    def skipped(self, state: NDArray[np.int64]) -> dict[str, int]:
        counts = state[-len(self.skipped_names) :].tolist()
        return dict(zip(self.skipped_names, counts, strict=True))

    def head(self, sensor_size: Size) -> tuple[bytes, Any]:
        width, height = sensor_size
        name = "EVT" + self.version.removesuffix(".0").replace(".", "")
        text = (
            f"% camera_integrator_name spikeloom\n% evt {self.version}\n"
            f"% format {name};height={height};width={width}\n% geometry {width}x{height}\n% end\n"
        )
        return text.encode(), self.unwritten

    def highs(
        self, is_high: NDArray[np.bool_], counts: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The high part of the time before the first word and at each (-1: none yet), and the state's first entries."""
        epoch, last, bits = int(state[0]), int(state[1]), self.time_bits
        highs = unwrapped(counts[is_high].astype(np.int64), epoch, last, bits)
        known = np.concatenate([[epoch << bits | last if last >= 0 else -1], highs])
        after = int(known[-1])
        behind = (after >> bits, after & (1 << bits) - 1) if after >= 0 else (epoch, -1)
        return known[np.concatenate([[0], np.cumsum(is_high)])], np.array(behind, np.int64)


class CoarseTime(RawCodec):
    """An encoding with times in words of their own for each 64 us; the encoder's state is the last of these, or -1."""

    latest = 1 << 52
    time_bits = COARSE_BITS

    def most_words(self, events: Events, state: int) -> int:
        return 2 * len(events) + 1 + (int(events.t[-1]) >> COARSE_LOW) // COARSE_HIGH

    def after(self, events: Events, state: int) -> int:
        return int(events.t[-1]) >> COARSE_LOW


def unwrapped(raw: NDArray[np.int64], epoch: int, last: int, bits: int) -> NDArray[np.int64]:
    """Counts of so many bits as ever growing numbers, `last` being the count before them (-1: none) in the epoch.

    A count that falls by half of its range or more has begun anew; one that falls by less goes back.
    """
    before = np.concatenate([[last], raw[:-1]])
    wraps = (before >= 0) & (before - raw >= 1 << (bits - 1))
    return raw + ((epoch + np.cumsum(wraps)) << bits)


def rungs(high: NDArray[np.int64], before: int, farthest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The high parts of the time to be written before events whose own are `high`, and the event that each precedes.

    One is written where it changes, and between two that are farther apart than `farthest` others, so far apart.
    """
    earlier = np.concatenate([[before], high[:-1]])
    counts = -((earlier - high) // farthest)
    owner = np.repeat(np.arange(high.size), counts)
    first = np.cumsum(counts) - counts
    step = np.arange(owner.size) - first[owner] + 1
    return np.minimum(earlier[owner] + step * farthest, high[owner]), owner


def options(header: TextHeader) -> dict[str, str]:
    """`EVT3;height=720;width=1280` as {'': 'EVT3', 'height': '720', 'width': '1280'}."""
    parts = [part.partition("=") for part in header.entries.get("format", "").split(";")]
    return {
        name.strip().lower() if equals else "": (value if equals else name).strip() for name, equals, value in parts
    }

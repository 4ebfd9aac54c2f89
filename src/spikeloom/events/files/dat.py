"""DAT: records of 64 bits, one an event, behind a header of text and two bytes (kind of event, size of a record).

    bits 31-0  the time in microseconds, which wraps after 71.6 minutes
    version 2  59-46 y and 45-32 x of 14 bits, 60 polarity
    version 1  40-32 x of 9 bits, 48-41 y of 8 bits, 49 polarity

Source: Prophesee, "DAT file format", Metavision SDK documentation (version 2); `load_atis_data.m` of its data sets
(version 1). Kinds 0 (2d, as N-CARS has it) and 12 (CD) are read, 12 is written.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..container import Events
from .codec import Header
from .columns import Columns
from .format import Size
from .prophesee import geometry, text_header, unwrapped, whole_header
from .words import WordCodec

KINDS = {0: "2d", 12: "CD"}
RECORD = 8
TIME_BITS = 32


class DAT(WordCodec):
    """Prophesee's DAT files. The decoder's state: wraps so far, the last time (-1: none), whether it is version 1."""

    name = "dat"
    suffixes = (".dat",)
    largest_side = 1 << 14
    latest = 1 << 52
    word = "<u8"
    native = "dat"
    bytes_per_event = RECORD
    memory_per_byte = 2

    def recognises(self, head: bytes, size: int) -> bool:
        text = text_header(head)
        has_text = text.length > 0 and "evt" not in text.entries and "format" not in text.entries
        return has_text and head[text.length : text.length + 2] in [bytes((kind, RECORD)) for kind in KINDS]

    def header(self, head: bytes, size: int) -> Header:
        text = whole_header(head)
        record = head[text.length : text.length + 2]
        if len(record) < 2 or record[0] not in KINDS or record[1] != RECORD:
            raise DataError(
                f"byte {text.length}: expected the kind of event, 00 (2d) or 0c (CD), and its size, 08; "
                f"got {record.hex(' ') or 'the end of the file'}"
            )
        version = text.entries.get("version", "2")
        if version not in ("1", "2"):
            raise DataError(f"byte 0: expected version 1 or 2 of DAT, got {version!r}")
        facts = {**text.entries, "kind": KINDS[record[0]]}
        state = np.array([0, -1, version == "1"], np.int64)
        return Header(text.length + 2, state, geometry(text), facts)

    def head(self, sensor_size: Size) -> tuple[bytes, int]:
        width, height = sensor_size
        text = f"% Data file containing CD events.\n% Version 2\n% Height {height}\n% Width {width}\n"
        return text.encode() + struct.pack("BB", 12, RECORD), 0

    def reference_decode(self, words: NDArray[np.uint64], state: NDArray[np.int64], out: Columns) -> NDArray[np.int64]:
        if not words.size:
            return state
        t = unwrapped((words & 0xFFFFFFFF).astype(np.int64), int(state[0]), int(state[1]), TIME_BITS)
        address = (words >> 32).astype(np.int64)
        if state[2]:
            out.put(t, address & 0x1FF, address >> 9 & 0xFF, address >> 17 & 1)
        else:
            out.put(t, address & 0x3FFF, address >> 14 & 0x3FFF, address >> 28 & 1)
        last = int(t[-1])
        return np.array([last >> TIME_BITS, last & 0xFFFFFFFF, state[2]], np.int64)

    def reference_encode(self, events: Events, state: int) -> NDArray[np.uint64]:
        _check_gaps(events, state)
        t, x, y, p = (getattr(events, name).astype(np.int64) for name in "txyp")
        words: NDArray[np.uint64] = (p << 60 | y << 46 | x << 32 | t & 0xFFFFFFFF).view(self.word)
        return words

    def most_words(self, events: Events, state: int) -> int:
        _check_gaps(events, state)
        return len(events)

    def after(self, events: Events, state: int) -> int:
        return int(events.t[-1])


def _check_gaps(events: Events, before: int) -> None:
    """Raises DataError where the time moves on by so much that no reader can tell how often it has wrapped."""
    gap = int(np.diff(events.t, prepend=before).max())
    if gap >= 1 << (TIME_BITS - 1):
        raise DataError(
            f"write_events: dat holds 32 bits of the time and no gap of {(1 << TIME_BITS - 1) / 1000:g} ms or more "
            f"(nor such a first time), got {gap / 1000:g} ms; choose another format"
        )

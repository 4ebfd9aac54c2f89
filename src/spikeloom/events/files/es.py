"""Event Stream: five bytes an event, whose time is counted from the event before it.

    bytes 0-11   "Event Stream", 12-14 the version, 15 the kind of events: 1 DVS, 2 ATIS
    bytes 16-19  the sensor's width and height, 16 bits each
    an event     DVS: 7 bits of time in microseconds, then the polarity; ATIS: 6 bits of time, polarity, is_tc;
                 then x and y of 16 bits
    overflow     DVS: ff adds 127 us; ATIS: 1111 11nn adds n times 63 us;  fe (ATIS: fc) is a reset, which says nothing

Source: neuromorphic-paris, "Event Stream", specification 2.0. Rows of the file are counted from the bottom, as
its authors' reader faery has it; those of `Events` from the top. Threshold crossings of ATIS (is_tc) are skipped;
generic, display and colour events are no events of this package.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...native.compiled import compiled
from ..container import LARGEST_SIDE, Events
from .codec import Bytes, Codec, Decoded, Header
from .columns import HEADER, Columns
from .format import Size

MAGIC = b"Event Stream"
HEAD_LENGTH = 20
KINDS = ("generic", "DVS", "ATIS", "display", "colour")
DVS, ATIS = 1, 2
RECORD = 5
LONGEST = 127
"""The time of an overflow in microseconds."""


class EventStream(Codec):
    """Event Stream files. The decoder's state: the time, the kind, the height, crossings skipped.

    The encoder's state is the time and the height.
    """

    name = "es"
    suffixes = (".es",)
    latest = 1 << 34
    bytes_per_event = RECORD
    memory_per_byte = 3

    def recognises(self, head: bytes, size: int) -> bool:
        return head.startswith(MAGIC)

    def header(self, head: bytes, size: int) -> Header:
        if not head.startswith(MAGIC):
            raise DataError(f"byte 0: expected the text {MAGIC.decode()!r}, got {head[:12]!r}")
        if len(head) < HEAD_LENGTH:
            raise DataError(f"byte {len(head)}: expected a header of {HEAD_LENGTH} bytes, got the end of the file")
        major, minor, patch, kind, width, height = struct.unpack_from("<4B2H", head, len(MAGIC))
        if major != 2:
            raise DataError(f"byte 12: expected version 2, got {major}.{minor}.{patch}")
        if kind not in (DVS, ATIS):
            got = KINDS[kind] if kind < len(KINDS) else "unknown ones"
            raise DataError(f"byte 15: expected DVS (1) or ATIS (2) events, got {kind} ({got}), which have no polarity")
        if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
            raise DataError(f"byte 16: expected 1 to {LARGEST_SIDE} pixels a side, got {width} x {height}")
        facts = {"version": f"{major}.{minor}.{patch}", "kind": KINDS[kind]}
        return Header(HEAD_LENGTH, np.array([0, kind, height, 0], np.int64), (width, height), facts)

    def skipped(self, state: NDArray[np.int64]) -> dict[str, int]:
        return {"threshold crossings": int(state[3])}

    def decode(self, data: Bytes, state: NDArray[np.int64], out: Columns, final: bool) -> Decoded:
        if (library := compiled(HEADER)) is None:
            return reference_decode(data, state, out)
        state, n, used = state.copy(), np.array([out.n], np.int64), np.zeros(1, np.int64)
        library.call("es_decode", data, data.size, state, out.t, out.x, out.y, out.p, n, used)
        out.n = int(n[0])
        return Decoded(int(used[0]), state)

    def head(self, sensor_size: Size) -> tuple[bytes, tuple[int, int]]:
        return MAGIC + struct.pack("<4B2H", 2, 0, 0, DVS, *sensor_size), (0, sensor_size[1])

    def encode(self, events: Events, state: tuple[int, int]) -> tuple[Bytes, tuple[int, int]]:
        if not len(events):
            return np.empty(0, np.uint8), state
        (before, height), last = state, int(events.t[-1])
        if (library := compiled(HEADER)) is None:
            return reference_encode(events, before, height), (last, height)
        data, n = np.empty(RECORD * len(events) + (last - before) // LONGEST, np.uint8), np.zeros(1, np.int64)
        columns = (np.ascontiguousarray(getattr(events, name)) for name in "txyp")
        library.call("es_encode", *columns, len(events), before, height, data, n)
        return data[: n[0]], (last, height)


def reference_decode(data: Bytes, state: NDArray[np.int64], out: Columns) -> Decoded:
    """Adds the events of a chunk, in NumPy: runs of events and of overflows in turn."""
    time, kind, height, crossings = (int(value) for value in state)
    longest = LONGEST >> (kind - 1)
    used = 0
    while used < data.size:
        special = data[used:] >> kind == longest
        n_special = int(special.argmin()) if not special.all() else special.size
        time += longest * int((data[used : used + n_special] & ((1 << kind) - 1)).sum())
        used += n_special
        rows = data[used : used + (data.size - used) // RECORD * RECORD].reshape(-1, RECORD)
        ends = np.flatnonzero(rows[:, 0] >> kind == longest)
        rows = rows[: ends[0]] if ends.size else rows
        if not rows.size:
            if not n_special:
                break
            continue
        t = time + np.cumsum(rows[:, 0] >> kind, dtype=np.int64)
        addresses = np.ascontiguousarray(rows[:, 1:]).view("<u2").astype(np.int64)
        chosen = (rows[:, 0] & 1 == 0) | (kind == DVS)
        columns = (t, addresses[:, 0], height - 1 - addresses[:, 1], rows[:, 0] >> (kind - 1) & 1)
        out.put(*(column[chosen] for column in columns))
        time, crossings, used = int(t[-1]), crossings + int((~chosen).sum()), used + rows.size
    return Decoded(used, np.array([time, kind, height, crossings], np.int64))


def reference_encode(events: Events, before: int, height: int) -> Bytes:
    """The bytes of events behind a time, in plain NumPy."""
    gap = np.diff(events.t, prepend=before)
    overflows = gap // LONGEST
    first = np.arange(len(events)) * RECORD + np.cumsum(overflows)
    data = np.full(RECORD * len(events) + int(overflows.sum()), 0xFF, np.uint8)
    data[first] = (gap % LONGEST) << 1 | events.p
    for place, column in ((1, events.x), (3, height - 1 - events.y.astype(np.int64))):
        data[first + place], data[first + place + 1] = column & 0xFF, column >> 8
    return data

"""AEDAT 3.1: packets of events of one kind, least significant byte first, behind a header of text.

    packet header, 28 bytes   type and source (16 bits each); size of an event, offset of its time, overflows of the
                              time, capacity, number of events, number of valid ones (32 bits each)
    polarity event (type 1)   31-17 x, 16-2 y, 1 polarity, 0 valid; then the time in microseconds of 31 bits, to which
                              2^31 us are added for each overflow

Source: iniVation, "AEDAT 3.1". Addresses count from the top left. Other packets and invalid events are skipped.
"""

from __future__ import annotations

import itertools
import struct
from typing import NamedTuple

import numpy as np

from ...errors import DataError
from ..container import Events
from .codec import Bytes, Codec, Decoded, Header
from .columns import Columns
from .format import Damage, Size
from .inivation import CAMERAS, camera_of, header_lines, size_line, told_size

HEAD_LENGTH = 28
POLARITY, RECORD, TIME_OFFSET = 1, 8, 4
TIME_BITS = 31
END = "#!END-HEADER"

_HEADER = struct.Struct("<2h6i")


class State(NamedTuple):
    """Events and bytes that are left of the packet, overflows of its time, packets and events skipped so far."""

    events: int = 0
    bytes: int = 0
    overflows: int = 0
    packets: int = 0
    invalid: int = 0


class AEDAT3(Codec):
    """cAER's files, as DVS128 Gesture has them."""

    name = "aedat3"
    suffixes = (".aedat", ".aedat3")
    latest = 1 << (TIME_BITS + 31)
    bytes_per_event = RECORD
    memory_per_byte = 4

    def recognises(self, head: bytes, size: int) -> bool:
        return head.startswith(b"#!AER-DAT3.")

    def header(self, head: bytes, size: int) -> Header:
        length, lines = header_lines(head, "3.1", END)
        if not head[:length].rstrip().endswith(END.encode()):
            raise DataError(f"byte {length}: expected the line {END!r}, got {head[length : length + 20]!r}")
        facts = dict(line.split(": ", 1) for line in lines if ": " in line)
        if facts.get("Format", "RAW") != "RAW":
            raise DataError(f"byte 0: expected packets of the format RAW, got {facts['Format']!r}")
        sources = {camera_of(facts[name]) for name in facts if name.startswith("Source ")}
        camera = sources.pop() if len(sources) == 1 else None
        return Header(length, State(), told_size(lines) or (CAMERAS[camera] if camera else None), facts)

    def skipped(self, state: State) -> dict[str, int]:
        return {"packets of other kinds": state.packets, "invalid events": state.invalid}

    def decode(self, data: Bytes, state: State, out: Columns, final: bool) -> Decoded:
        used = 0
        while used < data.size:
            if state.bytes:
                step = min(state.bytes, data.size - used)
                state = state._replace(bytes=state.bytes - step)
            elif state.events:
                step = min(state.events, (data.size - used) // RECORD) * RECORD
                state = _polarities(data[used : used + step], state, out)
            elif data.size - used < HEAD_LENGTH:
                break
            else:
                step = HEAD_LENGTH
                found = _packet(data[used : used + step], state)
                if isinstance(found, Damage):
                    return Decoded(used, state, found._replace(offset=used))
                state = found
            used += step
            if not step:
                break
        missing = state.events * RECORD + state.bytes
        if final and missing and used == data.size:
            return Decoded(used, state, Damage(used, f"{missing} more bytes of a packet", "the end of the file"))
        return Decoded(used, state)

    def head(self, sensor_size: Size) -> tuple[bytes, None]:
        text = (
            f"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: File\r\n{size_line(sensor_size)}"
            f"#Start-Time: 1970-01-01 00:00:00 (TZ+0000)\r\n{END}\r\n"
        )
        return text.encode(), None

    def encode(self, events: Events, state: None) -> tuple[Bytes, None]:
        overflows = events.t >> TIME_BITS
        bounds = [0, *(np.flatnonzero(np.diff(overflows)) + 1).tolist(), len(events)]
        pieces = []
        for begin, end in itertools.pairwise(bounds):
            n, part = end - begin, events[begin:end]
            if n:
                head = (POLARITY, 1, RECORD, TIME_OFFSET, int(overflows[begin]), n, n, n)
                x, y, p = (column.astype(np.int64) for column in (part.x, part.y, part.p))
                words = np.stack((x << 17 | y << 2 | p << 1 | 1, part.t & (1 << TIME_BITS) - 1), axis=1).astype("<u4")
                pieces += [np.frombuffer(_HEADER.pack(*head), np.uint8), words.view(np.uint8).ravel()]
        return np.concatenate([np.empty(0, np.uint8), *pieces]), None


def _packet(data: Bytes, state: State) -> State | Damage:
    """The state behind the header of a packet, or what is wrong with it."""
    kind, _, size, offset, overflows, capacity, number, _ = _HEADER.unpack(data.tobytes())
    if size < 1 or number < 0 or capacity != number:
        expected = "a packet of events of one byte or more, its capacity that of its number"
        return Damage(0, expected, f"{number} events of {size} bytes, capacity {capacity}")
    if kind != POLARITY:
        return state._replace(bytes=size * number, packets=state.packets + 1)
    if (size, offset) != (RECORD, TIME_OFFSET) or overflows < 0:
        expected = f"polarity events of {RECORD} bytes with the time at {TIME_OFFSET}, and overflows of 0 or more"
        return Damage(0, expected, f"{size} bytes, time at {offset}, {overflows} overflows")
    return state._replace(events=number, overflows=overflows)


def _polarities(data: Bytes, state: State, out: Columns) -> State:
    """Adds the valid events of a part of a packet; the state behind them."""
    words = data.view("<u4").astype(np.int64).reshape(-1, 2)
    words, valid = words[words[:, 0] & 1 > 0], words.shape[0]
    address, time = words.T
    out.put(
        (time & (1 << TIME_BITS) - 1) + (state.overflows << TIME_BITS),
        address >> 17, address >> 2 & 0x7FFF, address >> 1 & 1,
    )  # fmt: skip
    return state._replace(events=state.events - valid, invalid=state.invalid + valid - words.shape[0])

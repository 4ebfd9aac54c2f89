"""N-MNIST: records of 40 bits, one an event, without a header.

    bytes 0, 1   x, y
    bit 23       the polarity; 22-0 the time in microseconds (all from the most significant bit on)
    y == 240     no event: 2^13 us are added to this and all later times

Source: Orchard, Jayawant, Cohen, Thakor (2015), "Converting static image datasets to spiking neuromorphic datasets
using saccades", `Read_Ndataset.m`. N-Caltech101 has the same files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..container import Events
from .codec import Bytes, Codec, Decoded, Header
from .columns import Columns
from .format import Size

RECORD = 5
MARKER = 240
STEP_BITS, TIME_BITS = 13, 23
LONGEST = (1 << TIME_BITS) - 1
"""The last time that a record holds without markers before it."""

SURE = 8
"""Events in order of time that make a file one of N-MNIST although it was cut within a record."""

_TEXT = bytes(range(32, 127)) + b"\t\r\n"


class NMNIST(Codec):
    """Files of N-MNIST and N-Caltech101. The state of both directions: how many markers there were so far."""

    name = "nmnist"
    suffixes = (".bin",)
    largest_side = 256
    largest_rows = MARKER
    latest = 1 << 34
    bytes_per_event = RECORD
    memory_per_byte = 4

    def recognises(self, head: bytes, size: int) -> bool:
        if not size or not head.strip(_TEXT):
            return False
        out = Columns()
        self.decode(np.frombuffer(head, np.uint8), 0, out, False)
        rows, gaps = out.y[: out.n], np.diff(out.t[: out.n])
        if size % RECORD and (out.n < SURE or not gaps.any()):
            return False
        return out.n > 0 and bool((rows < MARKER).all()) and bool((gaps >= 0).all())

    def header(self, head: bytes, size: int) -> Header:
        return Header(0, 0)

    def decode(self, data: Bytes, state: int, out: Columns, final: bool) -> Decoded:
        rows = data[: data.size // RECORD * RECORD].reshape(-1, RECORD)
        marker = rows[:, 1] == MARKER
        epoch: NDArray[np.int64] | int = state
        events = rows
        if marker.any():
            epoch, events = (state + np.cumsum(marker))[~marker], rows[~marker]
        x, y, high, middle, low = (column.astype(np.int32) for column in events.T)
        t = ((high & 0x7F) << 16 | middle << 8 | low).astype(np.int64)
        out.put(t + (epoch << STEP_BITS), x, y, high >> 7)
        return Decoded(rows.size, state + int(marker.sum()))

    def head(self, sensor_size: Size) -> tuple[bytes, int]:
        return b"", 0

    def encode(self, events: Events, state: int) -> tuple[Bytes, int]:
        if not len(events):
            return np.empty(0, np.uint8), state
        epoch = np.maximum(state, -((LONGEST - events.t) >> STEP_BITS))
        place = np.arange(len(events)) + epoch - state
        rows: NDArray[np.uint8] = np.zeros((len(events) + int(epoch[-1]) - state, RECORD), np.uint8)
        rows[:, 1] = MARKER
        t = events.t - (epoch << STEP_BITS)
        columns = (events.x, events.y, t >> 16 | events.p.astype(np.int64) << 7, t >> 8 & 0xFF, t & 0xFF)
        rows[place] = np.stack(columns, axis=1)
        return rows.ravel(), int(epoch[-1])

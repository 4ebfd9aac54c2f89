"""EVT 3.0: words of 16 bits, which tell only what has changed.

    bits 15-12  what it is; 11-0 its content
    0 ADDR_Y       10-0 the row of the events that follow
    2 ADDR_X       an event: 11 polarity, 10-0 column
    3 VECT_BASE_X  11 polarity, 10-0 column of the vectors that follow
    4 VECT_12      bit k is an event at the column + k, which then grows by 12
    5 VECT_8       likewise with bits 7-0, and by 8
    6 TIME_LOW     the low 12 bits of the time in microseconds
    8 TIME_HIGH    the high 12 bits, which wrap after 16.8 s
    10 EXT_TRIGGER, 14 OTHERS, 7 CONTINUED_4, 15 CONTINUED_12

Source: Prophesee, "EVT 3.0 format", Metavision SDK documentation. As in the vendor's decoder, events before the first
TIME_HIGH (and row) are skipped, and a TIME_HIGH that is new sets the low bits to 0. Every TIME_HIGH is written, also
those in which there is no event: other decoders lose the time over a gap of 16.8 s without them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...native.compiled import compiled
from ..container import Events
from .codec import Bytes
from .columns import HEADER, Columns
from .prophesee import TIME_HIGH, TRIGGER, RawCodec, rungs

ADDR_Y, ADDR_X, VECT_BASE_X, VECT_12, VECT_8, TIME_LOW = 0, 2, 3, 4, 5, 6
BITS = 12
"""Of the two parts of the time; and of a vector."""
BEYOND = 4096
"""The column at which vectors that leave every sensor stay."""
UNKNOWN = -1
SHORTEST = 3
"""Events that make a vector shorter than single words."""

_PLACES = np.arange(BITS)


class EVT3(RawCodec):
    """Prophesee's RAW files, EVT 3.0.

    The decoder's state: wraps so far, the last TIME_HIGH (-1: none), the low bits of the time, row, column of the next
    vector (-1: none), its polarity, counts. The encoder's: the last TIME_HIGH, time and row (-1: none).
    """

    name = "evt3"
    version = "3.0"
    word = "<u2"
    native = "evt3"
    bytes_per_event = 1
    counted = True
    memory_per_byte = 100
    latest = 1 << 36
    time_bits = BITS
    begin = (0, UNKNOWN, 0, UNKNOWN, UNKNOWN, 0)
    unwritten = (UNKNOWN, UNKNOWN, UNKNOWN)
    skipped_names = ("events without a time or row", "triggers", "other words")

    def most(self, data: Bytes, state: NDArray[np.int64]) -> int:
        words, most = self.words(data), np.zeros(1, np.int64)
        if (library := compiled(HEADER)) is None:
            return int(np.bitwise_count(_valid(words)).sum())
        library.call("evt3_count", words, words.size, most)
        return int(most[0])

    def most_words(self, events: Events, state: tuple[int, int, int]) -> int:
        return 3 * len(events) + 1 + (int(events.t[-1]) >> BITS) - state[0]

    def after(self, events: Events, state: tuple[int, int, int]) -> tuple[int, int, int]:
        return int(events.t[-1]) >> BITS, int(events.t[-1]), int(events.y[-1])

    def encoder_state(self, state: tuple[int, int, int]) -> NDArray[np.int64]:
        return np.array(state, np.int64)

    def reference_decode(self, words: NDArray[np.uint16], state: NDArray[np.int64], out: Columns) -> NDArray[np.int64]:
        kind, content = words >> BITS, (words & 0xFFF).astype(np.int64)
        high, behind = self.highs(kind == TIME_HIGH, content, state)
        low = _low(kind, content, high, int(state[2]))
        y = _latest(kind == ADDR_Y, content & 0x7FF, int(state[3]))
        x = _columns(kind, content, int(state[4]))
        p = _latest(kind == VECT_BASE_X, content >> 11, int(state[5]))
        single = kind == ADDR_X
        owner, bit = np.nonzero(_valid(words)[:, None] >> _PLACES & 1)
        known = (high[1:] >= 0) & (y[1:] >= 0) & (single | (x[:-1] >= 0))
        lost = int((~known[owner]).sum())
        owner, bit = owner[known[owner]], bit[known[owner]]
        alone, here = single[owner], content[owner]
        out.put(
            high[1:][owner] << BITS | low[1:][owner],
            np.where(alone, here & 0x7FF, x[:-1][owner] + bit),
            y[1:][owner],
            np.where(alone, here >> 11, p[1:][owner]),
        )
        triggers = int((kind == TRIGGER).sum())
        others = int(np.isin(kind, (1, 7, 9, 11, 12, 13, 14, 15)).sum())
        counts = state[6:] + np.array([lost, triggers, others])
        return np.concatenate([behind, [low[-1], y[-1], x[-1], p[-1]], counts])

    def reference_encode(self, events: Events, state: tuple[int, int, int]) -> NDArray[np.uint16]:
        values, owner = rungs(events.t >> BITS, state[0], 1)
        bounds = np.searchsorted(owner, np.arange(len(events) + 1))
        t, x, y, p = (getattr(events, name).tolist() for name in "txyp")
        _, time, row = state
        words: list[int] = []
        i = 0
        while i < len(t):
            words += (TIME_HIGH << BITS | values[bounds[i] : bounds[i + 1]] & 0xFFF).tolist()
            if t[i] != time:
                words.append(TIME_LOW << BITS | t[i] & 0xFFF)
            if y[i] != row:
                words.append(ADDR_Y << BITS | y[i])
            time, row, end = t[i], y[i], i + 1
            while end < len(t) and (t[end], y[end], p[end]) == (t[i], y[i], p[i]) and x[end] > x[end - 1]:
                end += 1
            vectors, used = _vectors(x[i:end], p[i])
            words += vectors
            i += used
        return np.array(words, self.word)


def _vectors(x: list[int], p: int) -> tuple[list[int], int]:
    """The words of the first of some events with rising columns, and how many of them they hold."""
    base, used, words = x[0], 0, [VECT_BASE_X << BITS | p << 11 | x[0]]
    while used < len(x) and x[used] < base + BITS:
        inside = [column - base for column in x[used:] if column < base + BITS]
        words.append(VECT_12 << BITS | sum(1 << place for place in inside))
        if len(words) == 2 and len(inside) < SHORTEST:
            return [ADDR_X << BITS | p << 11 | x[0]], 1
        base, used = base + BITS, used + len(inside)
    return words, used


def _valid(words: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The bits of the events in each word; an event on its own is bit 0."""
    kind = words >> BITS
    masks = (np.uint16(1), words & 0xFFF, words & 0xFF)
    found: NDArray[np.uint16] = np.select([kind == ADDR_X, kind == VECT_12, kind == VECT_8], masks, np.uint16(0))
    return found


def _latest(chosen: NDArray[np.bool_], values: NDArray[np.int64], before: int) -> NDArray[np.int64]:
    """The latest of the chosen values before the first word, and at each word."""
    latest: NDArray[np.int64] = np.concatenate([[before], values[chosen]])[np.concatenate([[0], np.cumsum(chosen)])]
    return latest


def _low(kind: NDArray[Any], content: NDArray[np.int64], high: NDArray[np.int64], before: int) -> NDArray[np.int64]:
    """The low bits of the time before the first word and at each word; a new high part sets them to 0."""
    is_low = kind == TIME_LOW
    return _latest(is_low | (high[1:] != high[:-1]), np.where(is_low, content, 0), before)


def _columns(kind: NDArray[Any], content: NDArray[np.int64], before: int) -> NDArray[np.int64]:
    """The column of the next vector before the first word and behind each word."""
    step = np.select([kind == VECT_12, kind == VECT_8], [12, 8], 0)
    moved = np.concatenate([[0], np.cumsum(step)])
    is_base = kind == VECT_BASE_X
    base, there = _latest(is_base, content & 0x7FF, before), _latest(is_base, moved[1:], 0)
    return np.where(base < 0, UNKNOWN, np.minimum(base + moved - there, BEYOND))

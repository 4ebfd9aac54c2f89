"""EVT 2.1: words of 64 bits, each up to 32 events of one time, row and polarity.

    bits 63-60  what it is: 0 EVT_NEG, 1 EVT_POS, 8 EVT_TIME_HIGH, 10 EXT_TRIGGER, 14 OTHERS
    EVT         59-54 the low 6 bits of the time in microseconds, 53-43 x, 42-32 y, 31-0: bit k is an event at x + k
    TIME_HIGH   59-32 the high 28 bits of the time, which wraps after 4.8 hours

Source: Prophesee, "EVT 2.1 format", Metavision SDK documentation. The halves of a word change places in files whose
header says `endianness=legacy`, as IMX636 sends them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...native.compiled import compiled
from ..container import Events
from .codec import Bytes, Header
from .columns import HEADER, Columns
from .prophesee import COARSE_HIGH, COARSE_LOW, TIME_HIGH, TRIGGER, CoarseTime, options, rungs, text_header

_BITS = np.arange(32, dtype=np.uint64)


class EVT21(CoarseTime):
    """Prophesee's RAW files, EVT 2.1. The decoder's state: wraps so far, the last TIME_HIGH, swapped halves, counts."""

    name = "evt2.1"
    version = "2.1"
    word = "<u8"
    native = "evt21"
    bytes_per_event = 1
    counted = True
    memory_per_byte = 80
    begin = (0, -1, 0)
    skipped_names = ("events without a time", "triggers", "other words")

    def header(self, head: bytes, size: int) -> Header:
        header = super().header(head, size)
        header.state[2] = options(text_header(head)).get("endianness") == "legacy"
        return header

    def most(self, data: Bytes, state: NDArray[np.int64]) -> int:
        words, most = self.words(data), np.zeros(1, np.int64)
        if (library := compiled(HEADER)) is None:
            words = _turned(words, state)
            return int(np.bitwise_count(words[words >> 61 == 0] & 0xFFFFFFFF).sum())
        library.call("evt21_count", words, words.size, int(state[2]), most)
        return int(most[0])

    def reference_decode(self, words: NDArray[np.uint64], state: NDArray[np.int64], out: Columns) -> NDArray[np.int64]:
        words = _turned(words, state)
        kind = words >> 60
        highs, behind = self.highs(kind == TIME_HIGH, words >> 32 & 0xFFFFFFF, state)
        high = highs[1:]
        is_event, timed = kind <= 1, high >= 0
        vectors, high = words[is_event & timed], high[is_event & timed]
        owner, bit = np.nonzero(vectors[:, None] >> _BITS & 1)
        fields = (vectors >> 32).astype(np.int64)[owner]
        t, x = high[owner] << COARSE_LOW | fields >> 22 & 0x3F, (fields >> 11 & 0x7FF) + bit
        out.put(t, x, fields & 0x7FF, fields >> 28)
        lost = int(np.bitwise_count(words[is_event & ~timed] & 0xFFFFFFFF).sum())
        triggers = int((kind == TRIGGER).sum())
        others = int((~is_event & (kind != TIME_HIGH)).sum()) - triggers
        return np.concatenate([behind, state[2:3], state[3:] + np.array([lost, triggers, others])])

    def reference_encode(self, events: Events, state: int) -> NDArray[np.uint64]:
        high, t, x, y, p = (
            a.astype(np.int64) for a in (events.t >> COARSE_LOW, events.t, events.x, events.y, events.p)
        )
        begins = np.ones(x.size, np.bool_)
        begins[1:] = (np.diff(x) <= 0) | np.any([np.diff(a) != 0 for a in (t, x >> 5, y, p)], axis=0)
        first = np.flatnonzero(begins)
        valid = np.bitwise_or.reduceat(1 << (x & 31), first)
        values, owner = rungs(high[first], state, COARSE_HIGH)
        words = np.empty(first.size + values.size, np.int64)
        words[np.arange(values.size) + owner] = TIME_HIGH << 28 | values & 0xFFFFFFF
        place = np.arange(first.size) + np.searchsorted(owner, np.arange(first.size), side="right")
        words[place] = (p << 28 | (t & 0x3F) << 22 | (x & ~31) << 11 | y)[first]
        words <<= 32
        words[place] |= valid
        return words.view(self.word)


def _turned(words: NDArray[np.uint64], state: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The words with their halves in the order of the specification."""
    return (words << 32 | words >> 32).astype(np.uint64) if state[2] else words

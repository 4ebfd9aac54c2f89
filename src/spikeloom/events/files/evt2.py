"""EVT 2.0: words of 32 bits, one an event.

    bits 31-28  what it is: 0 CD_OFF, 1 CD_ON, 8 EVT_TIME_HIGH, 10 EXT_TRIGGER, 14 OTHERS, 15 CONTINUED
    CD          27-22 the low 6 bits of the time in microseconds, 21-11 x, 10-0 y
    TIME_HIGH   27-0 the high 28 bits of the time, which wraps after 4.8 hours

Source: Prophesee, "EVT 2.0 format", Metavision SDK documentation. Events before the first TIME_HIGH have no time and
are skipped, as the vendor's decoder does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..container import Events
from .columns import Columns
from .prophesee import COARSE_HIGH, COARSE_LOW, TIME_HIGH, TRIGGER, CoarseTime, rungs


class EVT2(CoarseTime):
    """Prophesee's RAW files, EVT 2.0. The decoder's state: wraps so far, the last TIME_HIGH (-1: none), counts."""

    name = "evt2"
    version = "2.0"
    word = "<u4"
    native = "evt2"
    bytes_per_event = 4
    memory_per_byte = 4
    skipped_names = ("events without a time", "triggers", "other words")

    def reference_decode(self, words: NDArray[np.uint32], state: NDArray[np.int64], out: Columns) -> NDArray[np.int64]:
        kind = words >> 28
        highs, behind = self.highs(kind == TIME_HIGH, words & 0xFFFFFFF, state)
        high = highs[1:]
        is_event, timed = kind <= 1, high >= 0
        events, high = words[is_event & timed].astype(np.int64), high[is_event & timed]
        out.put(high << COARSE_LOW | events >> 22 & 0x3F, events >> 11 & 0x7FF, events & 0x7FF, events >> 28)
        triggers = kind == TRIGGER
        counts = [part.sum() for part in (is_event & ~timed, triggers, ~is_event & ~triggers & (kind != TIME_HIGH))]
        return np.concatenate([behind, state[2:] + np.array(counts)])

    def reference_encode(self, events: Events, state: int) -> NDArray[np.uint32]:
        high, x, y, p = (array.astype(np.int64) for array in (events.t >> COARSE_LOW, events.x, events.y, events.p))
        values, owner = rungs(high, state, COARSE_HIGH)
        words = np.empty(high.size + values.size, self.word)
        words[np.arange(values.size) + owner] = TIME_HIGH << 28 | values & 0xFFFFFFF
        place = np.arange(high.size) + np.searchsorted(owner, np.arange(high.size), side="right")
        words[place] = p << 28 | (events.t & 0x3F) << 22 | x << 11 | y
        return words

"""The lines of CSV files in plain Python: what event_text.hpp computes, for a machine without a compiler."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..container import LARGEST_SIDE, Events
from .columns import Columns
from .fields import fields

LONGEST_LINE = 1024
MOST = (1 << 63) - 1

_DECIMAL = re.compile(r"([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?")
_TRUTHS = {"true": 1, "false": 0}


class _Layout(NamedTuple):
    order: list[int]
    columns: int
    delimiter: str
    power: int


def layout_of(names: Sequence[str], delimiter: str, power: int) -> NDArray[np.int64]:
    """TextLayout of event_text.hpp: the columns of t, x, y, p, how many there are, the delimiter, the times' power."""
    found = fields(names)
    order = [list(names).index(found[field]) for field in "txyp"]
    return np.array([*order, len(names), ord(delimiter), power], np.int64)


def reference_decode(data: bytes, state: NDArray[np.int64], final: bool, out: Columns) -> tuple[int, bool]:
    """Adds the events of the lines: the bytes that were used, and whether the line behind them is none of events."""
    numbers = [int(value) for value in state]
    layout = _Layout(numbers[:4], numbers[4], chr(numbers[5]), numbers[6])
    rows: list[tuple[int, ...]] = []
    used, bad = 0, False
    while used < len(data):
        end = data.find(b"\n", used)
        stop = len(data) if end < 0 else end
        bad = stop - used > LONGEST_LINE
        if bad or (end < 0 and not final):
            break
        line = data[used:stop].rstrip(b" \t\r").decode("latin-1")
        if line:
            row = _row(line, layout)
            bad = row is None
            if row is None:
                break
            rows.append(row)
        used = stop + (end >= 0)
    t, x, y, p = np.array(rows, np.int64).reshape(-1, 4).T
    out.put(t, x, y, p > 0)
    return used, bad


def _row(line: str, layout: _Layout) -> tuple[int, ...] | None:
    """t, x, y and p of a line; None where it has other columns, or what is no number that an event can have."""
    parts = re.split(r"[ \t]+", line.lstrip(" \t")) if layout.delimiter == " " else line.split(layout.delimiter)
    if len(parts) != layout.columns:
        return None
    t, x, y, p = (parts[column].strip(" \t") for column in layout.order)
    truth = _TRUTHS.get(p.lower())
    values = [
        _whole(t, layout.power, layout.power == 0),
        _whole(x, 0, True),
        _whole(y, 0, True),
        _whole(p, 0, True) if truth is None else truth,
    ]
    whole = [value for value in values if value is not None]
    if len(whole) < len(values) or not -1 <= whole[3] <= 1:
        return None
    sides = (side if 0 <= side < LARGEST_SIDE else -1 for side in whole[1:3])
    return (whole[0], *sides, whole[3])


def _whole(text: str, power: int, exact: bool) -> int | None:
    """The number times 10^power, halves away from zero; None where it is none, too large, or not whole but must be."""
    found = _DECIMAL.fullmatch(text)
    if found is None or not found[2] + found[3]:
        return None
    power += max(-9999, min(9999, int(found[4] or 0))) - len(found[3])
    digits = int(found[2] + found[3])
    if power >= 0:
        value = digits * 10 ** min(power, 9999)
    else:
        value, rest = divmod(digits, 10**-power)
        if exact and rest:
            return None
        value += 2 * rest >= 10**-power
    return None if value > MOST else -value if found[1] == "-" else value


def reference_encode(events: Events, state: NDArray[np.int64]) -> bytes:
    """The lines of events."""
    power, delimiter = int(state[6]), chr(int(state[5]))
    times = [_time(int(t), power) for t in events.t]
    columns = [times, *(list(map(str, getattr(events, name).tolist())) for name in "xyp")]
    ordered = [columns[field] for field in np.argsort(state[:4])]
    return "".join(f"{delimiter.join(row)}\n" for row in zip(*ordered, strict=True)).encode()


def _time(t: int, power: int) -> str:
    """A time in microseconds in a unit of 10^power of these."""
    if power <= 0:
        return str(t * 10**-power)
    whole, rest = divmod(abs(t), 10**power)
    return f"{'-' if t < 0 else ''}{whole}.{rest:0{power}d}"

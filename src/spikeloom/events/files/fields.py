"""Columns of events by the names that files give them, and the check of columns that another library has read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Columns
from .format import Damage

NAMES = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on"),
}
"""What files call the columns, in lower case."""


def fields(names: Iterable[str]) -> dict[str, str]:
    """Which of the names, whatever their case and what stands behind "@", is that of t, x, y and p; the first wins."""
    found: dict[str, str] = {}
    for name in names:
        for field, known in NAMES.items():
            if name.partition("@")[0].lower() in known:
                found.setdefault(field, name)
    return found


def put_checked(out: Columns, columns: Sequence[NDArray[Any]], first: int) -> Damage | None:
    """Adds events, t, x, y and p, of whole numbers of any type, up to the first whose time or polarity is none.

    `first` is the number of the first event. An address that no sensor has is found by the caller.
    """
    t, x, y, p = columns
    good = (p >= -1) & (p <= 1)
    if t.dtype == np.uint64:
        good = good & (t < np.uint64(1 << 63))
    n = t.size if good.all() else int(good.argmin())
    out.put(t[:n].astype(np.int64, copy=False), _signed(x[:n]), _signed(y[:n]), p[:n] > 0)
    if n == t.size:
        return None
    return Damage(first + n, "a time of int64 and a polarity of 0, 1 or -1", f"t {t[n]}, p {p[n]}", "event")


def _signed(addresses: NDArray[Any]) -> NDArray[Any]:
    """The addresses as numbers that may be below zero; one beyond int64 is."""
    if addresses.dtype.kind == "i":
        return addresses
    return addresses.astype(np.int32 if addresses.dtype.itemsize <= 2 else np.int64)

"""Memory of large arrays, lent again when the last array in it is gone.

The system clears each new page, and that takes longer than to write the numbers of a filtered stream there. So large
results are made in memory of earlier ones, of which at most MOST bytes wait. Memory that waits is marked as free: where
it becomes short, the system takes it.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LEAST, MOST = 2**20, 2**31
"""Bytes of the smallest array that is lent, and of all memory that waits."""
PAGE = 2**21
"""Bytes of a large page: memory begins and ends with one, so that none is cut where a part is marked as free."""


class _Memory:
    """Whole pages."""

    def __init__(self, size: int) -> None:
        self.size = -(-size // PAGE) * PAGE
        self._mapping = mmap.mmap(-1, self.size + PAGE, **_PRIVATE)
        bytes_ = np.frombuffer(self._mapping, np.uint8)
        self._skip = -bytes_.ctypes.data % PAGE
        self.array = bytes_[self._skip : self._skip + self.size]
        self._advise("MADV_HUGEPAGE", 0)

    def mark_free(self, begin: int = 0) -> None:
        """Has the system take the pages from a byte on where it needs some."""
        self._advise("MADV_FREE", -(-begin // PAGE) * PAGE)

    def _advise(self, name: str, begin: int) -> None:
        if (advice := getattr(mmap, name, None)) is None or begin >= self.size:
            return
        try:
            self._mapping.madvise(advice, self._skip + begin, self.size - begin)
        except OSError:  # an old system; it is advice only
            return


_PRIVATE: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
_waiting: list[_Memory] = []


class _Loan:
    """What an array keeps alive as its base; at its end the memory waits for the next one."""

    def __init__(self, memory: _Memory) -> None:
        self.memory, self.__array_interface__ = memory, memory.array.__array_interface__

    def __del__(self) -> None:
        if _waiting is None:  # the interpreter ends
            return
        self.memory.mark_free()
        _waiting.append(self.memory)
        while sum(memory.size for memory in tuple(_waiting)) > MOST:
            del _waiting[:1]  # another thread may be faster


def empty(shape: int | Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """An array that holds anything; a large one begins on a page, unless the system has no more of them."""
    sizes, dtype = (shape,) if isinstance(shape, int) else tuple(shape), np.dtype(dtype)
    size = prod(sizes) * dtype.itemsize
    if size < LEAST:
        return np.empty(sizes, dtype)
    try:
        whole = np.asarray(_Loan(_waited(size) or _Memory(size)))
    except (OSError, OverflowError):  # no more pages, or no more mappings: what waits is given back
        release()
        return np.empty(sizes, dtype)
    return whole[:size].view(dtype).reshape(sizes)


def _waited(size: int) -> _Memory | None:
    """The smallest memory that waits and is large enough, not twice as large as needed."""
    fitting = [memory for memory in tuple(_waiting) if size <= memory.size <= 2 * size]
    for memory in sorted(fitting, key=lambda memory: memory.size):
        try:
            _waiting.remove(memory)
        except ValueError:  # another thread was first
            continue
        return memory
    return None


def available() -> int | None:
    """How many bytes the system can give without swapping; None where it does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    told = next((line.split() for line in lines if line.startswith("MemAvailable:")), [])
    return int(told[1]) * 1024 if len(told) == 3 and told[1].isdecimal() else None


def shortened(array: NDArray[Any], n: int) -> NDArray[Any]:
    """The first n numbers of an array (m,) from `empty`, which nothing else may use; the rest is given back.

    Few numbers are copied, so that they do not keep much memory from being lent again.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    size = n * array.itemsize
    if not isinstance(owner, _Loan):
        array.resize(n, refcheck=False)
    elif size < LEAST or 16 * size <= owner.memory.size:
        few = empty(n, array.dtype)
        few[:] = array[:n]
        return few
    else:
        owner.memory.mark_free(size)
    return array[:n]


def release() -> None:
    """Gives all memory that waits back to the system."""
    _waiting.clear()

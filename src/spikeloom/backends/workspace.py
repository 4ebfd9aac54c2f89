"""Memory that is used again: a large array fresh from the system costs more than filling it.

A lease hands out arrays; when it is dropped they go back, and the next lease of the same sizes gets them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LINE = 64


class Workspace:
    """Free memory by size; no more of it is kept than twice what the largest lease had."""

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.uint8]]] = {}
        self._n_free = self._largest = 0

    def lease(self) -> Lease:
        """A new lease, without arrays yet."""
        return Lease(self)

    def take(self, n_bytes: int) -> NDArray[np.uint8]:
        """Memory of so many bytes, from the free ones where one has that size."""
        if found := self._free.get(n_bytes):
            self._n_free -= n_bytes
            return found.pop()
        raw = np.empty(n_bytes + _LINE, np.uint8)
        skip = -raw.ctypes.data % _LINE
        return raw[skip : skip + n_bytes]

    def give_back(self, memory: Sequence[NDArray[np.uint8]]) -> None:
        """Takes memory back."""
        total = sum(m.size for m in memory)
        self._largest = max(self._largest, total)
        if self._n_free + total > 2 * self._largest:
            self._free, self._n_free = {}, 0
        for part in memory:
            self._free.setdefault(part.size, []).append(part)
        self._n_free += total


class Lease:
    """Arrays of a workspace for as long as this lives."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._memory: list[NDArray[np.uint8]] = []

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """An array that starts on a cache line and holds anything."""
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        memory = self._workspace.take(max(_LINE, n_bytes))
        self._memory.append(memory)
        return memory[:n_bytes].view(dtype).reshape(shape)

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """An array of zeros."""
        array = self.empty(shape, dtype)
        array.fill(0)
        return array

    def __del__(self) -> None:
        self._workspace.give_back(self._memory)

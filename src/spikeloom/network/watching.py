"""What a monitor keeps: some steps and neurons of the windows that it was shown."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ParameterError
from ..units import steps


@dataclass(frozen=True)
class Selection:
    """Which neurons, as flat indices (None: all), and every how many ms; lead: the axes before those of the shape."""

    index: tuple[int, ...] | None
    every: float | None
    lead: int

    def stride(self, owner: str, dt: float) -> int:
        """How many steps of dt ms lie between two values; ParameterError unless a whole number of them does."""
        if self.every is None:
            return 1
        stride = steps(self.every, dt)
        if stride < 1 or abs(stride * dt - self.every) > 1e-6 * dt * stride:
            raise ParameterError(f"{owner}: dt {self.every} ms is not a whole number of steps of {dt} ms")
        return stride

    def of(self, values: Tensor, first: int, stride: int) -> Tensor:
        """The selected part of values (T, ..., *shape), from step `first` on: a copy, unless that is all."""
        chosen = values[first::stride]
        if self.index is not None:
            where = torch.tensor(self.index, device=values.device)
            return chosen.flatten(self.lead)[..., where]
        return chosen if stride == 1 else chosen.clone()


def flat_index(owner: str, index: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """'full' as None; whole numbers as neurons; lists, one for each axis of the shape, as neurons at those places.

    `[1, 3]` are the neurons 1 and 3, `[[0, 1], [2, 3]]` those at (0, 2) and (1, 3). Raises ParameterError else.
    """
    if isinstance(index, str) and index == "full":
        return None
    way = f"'full', a list of whole numbers, or one list for each axis of the shape {shape}"
    try:
        parts = [np.asarray(part) for part in index]
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{owner}.index must be {way}, got {index!r:.80}") from error
    if not parts or any(p.dtype.kind not in "iu" or p.ndim > 1 for p in parts):
        raise ParameterError(f"{owner}.index must be {way}, got {index!r:.80}")
    if all(p.ndim == 0 for p in parts):
        return _within(owner, np.array(parts), math.prod(shape), index)
    if len(parts) != len(shape):
        raise ParameterError(f"{owner}.index must be {way}, got {index!r:.80}")
    for part, size in zip(parts, shape, strict=True):
        _within(owner, part, size, index)
    try:
        places = np.broadcast_arrays(*parts)
    except ValueError as error:
        raise ParameterError(f"{owner}.index: the lists must be equally long, got {index!r:.80}") from error
    return tuple(int(k) for k in np.ravel_multi_index(tuple(places), shape))


def _within(owner: str, numbers: NDArray[Any], limit: int, given: Any) -> tuple[int, ...]:
    if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) >= limit):
        raise ParameterError(f"{owner}.index must lie from 0 to {limit - 1}, got {given!r:.80}")
    return tuple(int(k) for k in np.atleast_1d(numbers))


class Growing:
    """Windows (T, ...) that become one; looked at again and again while it grows, it is copied rarely."""

    def __init__(self) -> None:
        self._windows: list[Tensor] = []
        self._buffer: Tensor | None = None
        self._filled = 0

    def add(self, window: Tensor) -> None:
        """Puts a window behind the others."""
        self._windows.append(window)

    @property
    def whole(self) -> Tensor:
        """All windows as one (T, ...)."""
        if self._buffer is None and len(self._windows) == 1 and self._windows[0].stride(0) == 0:
            return self._windows[0]  # one value for all steps: it takes the room of one
        if self._windows:
            self._buffer = self._grown()
            self._filled, self._windows = self._filled + sum(map(len, self._windows)), []
        assert self._buffer is not None
        return self._buffer[: self._filled]

    def _grown(self) -> Tensor:
        """The buffer, a copy that is the monitor's own, with the new windows in it: one of twice the length where there
        is no room, so that it is rare."""
        if self._buffer is None:
            return torch.cat(self._windows)
        buffer, end = self._buffer, self._filled + sum(map(len, self._windows))
        if end > len(buffer):
            buffer = buffer.new_empty((max(end, 2 * len(buffer)), *buffer.shape[1:]))
            buffer[: self._filled] = self._buffer[: self._filled]
        torch.cat(self._windows, out=buffer[self._filled : end])
        return buffer


@dataclass
class Record:
    """What was kept of a run and of those that continued it: values (T, ...), the steps whose ends these are, from 1
    on, and for each window what takes its gradients."""

    dt: float
    values: Growing = field(default_factory=Growing)
    ends: list[NDArray[np.int64]] = field(default_factory=list)
    gradients: list[Probe] = field(default_factory=list)

    @property
    def times(self) -> NDArray[np.float64]:
        """When the steps end, (T,), in ms."""
        return np.concatenate(self.ends).astype(np.float64) * self.dt

    @property
    def grads(self) -> Tensor | None:
        """The gradients (T, ...), zero where none came; None before any did."""
        if not any(probe.found for probe in self.gradients):
            return None
        whole, parts, begin = self.values.whole, [], 0
        for probe, ends in zip(self.gradients, self.ends, strict=True):
            parts.append(probe.filled(whole[begin : begin + len(ends)]))
            begin += len(ends)
        return torch.cat(parts)


class Probe:
    """Takes the gradients of an observable on the way back, for the steps and neurons of a monitor."""

    def __init__(self, selection: Selection, first: int, stride: int) -> None:
        self.selection, self.first, self.stride = selection, first, stride
        self.found: dict[int, Tensor] = {}

    def watch(self, t: int, value: Tensor) -> None:
        """Asks for the gradient of the value (B, *shape) of step t."""
        if value.requires_grad and t >= self.first and (t - self.first) % self.stride == 0:
            value.register_hook(lambda grad: self._take(t, grad))  # type: ignore[no-untyped-call]

    def _take(self, t: int, grad: Tensor) -> None:
        kept = self.selection.of(grad.detach()[None], 0, 1)[0]
        before = self.found.get((t - self.first) // self.stride)
        self.found[(t - self.first) // self.stride] = kept.clone() if before is None else before + kept

    def filled(self, like: Tensor) -> Tensor:
        """The gradients of a window of values (T, ...)."""
        grads = torch.zeros_like(like, memory_format=torch.contiguous_format)
        for k, grad in self.found.items():
            grads[k] = grad
        return grads

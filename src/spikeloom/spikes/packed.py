"""Spikes as the kernels leave them: one bit a neuron, 64 neurons a word."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError
from ..native.events import library, rows_of_bits
from ..units import check_dt, times
from .container import Spikes, index_dtype
from .validate import check_shape


@dataclass(frozen=True, eq=False, slots=True)
class PackedSpikes:
    """The spikes of B samples in T steps of dt ms.

    bits: (T, B, words) of uint64, neuron i in bit i % 64 of word i // 64. shape: of the population; bits beyond its
    last neuron are not looked at.
    """

    bits: NDArray[np.uint64]
    shape: tuple[int, ...]
    dt: float

    def __post_init__(self) -> None:
        if type(self.shape) is not tuple:
            object.__setattr__(self, "shape", check_shape(self.shape, "PackedSpikes.shape"))
        if type(self.dt) is not float or not 0 < self.dt < inf:
            object.__setattr__(self, "dt", check_dt(self.dt, "PackedSpikes.dt"))
        words = -(-prod(self.shape) // 64)
        if not isinstance(self.bits, np.ndarray) or self.bits.dtype != np.uint64:
            got: Any = getattr(self.bits, "dtype", type(self.bits).__name__)
            raise ParameterError(f"PackedSpikes.bits must be an array of uint64, got {got}")
        if self.bits.ndim != 3 or self.bits.shape[2] != words or not len(self.bits):
            raise ShapeError(f"PackedSpikes.bits must have shape (T, B, {words}), T at least 1, got {self.bits.shape}")

    @classmethod
    def of_kernel(cls, bits: NDArray[np.uint64], shape: tuple[int, ...], dt: float) -> PackedSpikes:
        """The spikes that a kernel left: as `PackedSpikes(...)`, but nothing is checked."""
        found = object.__new__(cls)
        for name, value in (("bits", bits), ("shape", shape), ("dt", dt)):
            object.__setattr__(found, name, value)
        return found

    @property
    def n_steps(self) -> int:
        """The number of steps T."""
        return len(self.bits)

    @property
    def n_samples(self) -> int:
        """The number of samples B."""
        return int(self.bits.shape[1])

    def spikes(self) -> Spikes:
        """The same spikes as events."""
        n_steps, n_samples, n_neurons = self.n_steps, self.n_samples, prod(self.shape)
        rows = rows_of_bits(np.ascontiguousarray(self.bits), n_neurons)
        step = np.tile(np.arange(n_steps, dtype=index_dtype(n_steps)), n_samples)
        return Spikes(
            offsets=rows.start[::n_steps].copy(),
            ids=rows.ids.astype(index_dtype(n_neurons), copy=False),
            shape=self.shape,
            duration=times(n_steps, self.dt),
            step=np.repeat(step, np.diff(rows.start)),
            dt=self.dt,
            n_steps=n_steps,
        )


def packed(raster: NDArray[Any], dt: float) -> Spikes | PackedSpikes:
    """A raster (T, B, *shape) of floats as bits where it holds only 0 and 1, else as events with values."""
    if raster.dtype not in (np.float32, np.float64) or not raster.size:
        return Spikes.from_raster(raster, dt)
    n_steps, n_samples, *shape = raster.shape
    n = prod(shape)
    plane = np.ascontiguousarray(raster).reshape(n_steps, n_samples, n)
    bits, graded = np.empty((n_steps, n_samples, -(-n // 64)), np.uint64), np.zeros(1, np.int64)
    call = f"bits_of_raster_f{8 * plane.itemsize}"
    library().call(call, plane, n_samples * n, n_steps, n_samples, n, bits, graded)
    return Spikes.from_raster(raster, dt) if graded[0] else PackedSpikes(bits, tuple(shape), dt)

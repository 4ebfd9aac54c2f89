"""Bit-packed rasters, for the disk and the wire: eight neurons a byte, neuron i in bit i % 8 of byte i // 8."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ShapeError
from .validate import Numbers, as_array, check_each, check_shape


def pack_bits(raster: Numbers, *, batched: bool = True) -> NDArray[np.uint8]:
    """The bits of a raster of 0 and 1: (T, B, *shape) gives (T, B, ceil(N / 8)).

    With batched=False, (T, *shape) gives (T, ceil(N / 8)).
    """
    array = as_array(raster, "raster")
    leading = 1 + batched
    if array.ndim <= leading:
        raise ShapeError(f"raster must have {leading} axes before those of the population, got shape {array.shape}")
    check_each(array, (array == 0) | (array == 1), "raster", "0 or 1")
    n_neurons = prod(array.shape[leading:])
    return np.packbits(array.reshape(*array.shape[:leading], n_neurons) != 0, axis=-1, bitorder="little")


def unpack_bits(bits: NDArray[np.uint8], shape: int | Sequence[int]) -> NDArray[np.int8]:
    """The int8 raster (..., *shape) of bits (..., ceil(N / 8)); DataError where a bit beyond the population is set."""
    shape = check_shape(shape, "unpack_bits.shape")
    n_neurons = prod(shape)
    array: NDArray[Any] = np.asarray(bits)
    if array.dtype != np.uint8 or array.ndim == 0 or array.shape[-1] != -(-n_neurons // 8):
        expected = f"uint8 with {-(-n_neurons // 8)} bytes on the last axis for shape {shape}"
        raise ShapeError(f"unpack_bits.bits must be {expected}, got {array.dtype} {array.shape}")
    unpacked = np.unpackbits(array, axis=-1, bitorder="little").view(np.int8)
    if unpacked[..., n_neurons:].any():
        raise DataError(f"unpack_bits.bits must be 0 beyond neuron {n_neurons - 1}, got bits set there; check shape")
    return unpacked[..., :n_neurons].reshape(*array.shape[:-1], *shape)

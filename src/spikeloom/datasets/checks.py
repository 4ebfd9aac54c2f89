"""What arguments are checked for at the door of this package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ParameterError


def check_flag(value: Any, owner: str) -> bool:
    """True or False; ParameterError for anything else."""
    if not isinstance(value, bool):
        raise ParameterError(f"{owner} must be True or False, got {value!r}")
    return value


def check_count(value: Any, owner: str, most: int | None = None) -> int:
    """An integer from 1 to `most`; ParameterError for anything else."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < 1 or (most is not None and value > most):
        span = "of at least 1" if most is None else f"from 1 to {most}"
        raise ParameterError(f"{owner} must be an integer {span}, got {value!r}")
    return int(value)


def check_generator(value: Any, owner: str) -> np.random.Generator:
    """A generator of NumPy; ParameterError for anything else."""
    if not isinstance(value, np.random.Generator):
        raise ParameterError(f"{owner} expected a numpy Generator, got {value!r}; use numpy.random.default_rng(seed)")
    return value


def positions(indices: ArrayLike, count: int, owner: str) -> NDArray[np.int64]:
    """Indices as int64 from 0 to count - 1: negative ones count from the end, a mask gives where it is true."""
    array = np.asarray(indices)
    if array.ndim == 1 and array.size == 0:
        return np.zeros(0, np.int64)
    if array.dtype == bool and array.shape == (count,):
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        got = f"{array.dtype} of shape {array.shape}"
        got += "; select takes several samples" if array.dtype.kind == "O" else ""  # dataset[1:3]
        raise ParameterError(f"{owner}: indices must be a list of integers or a mask of {count} booleans, got {got}")
    outside = np.flatnonzero((array < -count) | (array >= count))
    if outside.size:
        raise ParameterError(f"{owner}: indices must lie below {count}, the samples, got {array[outside[0]]}")
    return np.where(array < 0, array + count, array).astype(np.int64)

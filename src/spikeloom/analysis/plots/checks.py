"""What a figure can be drawn of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError, ShapeError
from ...spikes import Spikes
from ...spikes.validate import Numbers, as_array, check_count


def finite(values: Numbers, owner: str, *axes: str, least: int = 1) -> NDArray[np.float64]:
    """The numbers as float64; `axes` names those that they must have, flat where it is empty.

    Raises ShapeError for other axes, ParameterError for fewer than `least` numbers and for NaN and infinity.
    """
    array = as_array(values, owner).astype(np.float64)
    if not axes:
        array = array.ravel()
    elif array.ndim != len(axes):
        raise ShapeError(f"{owner} must have shape ({', '.join(axes)}), got {array.shape}")
    if array.size < least or not np.isfinite(array).all():
        what = f"{int((~np.isfinite(array)).sum())} that are not" if array.size >= least else f"{array.size} numbers"
        raise ParameterError(f"{owner} must be finite numbers, at least {least}, got {what}")
    return array


def counted(n: int, noun: str) -> str:
    """`1 spike`, `2,000 spikes`."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def one_sample(spikes: Spikes, sample: int) -> Spikes:
    """The spikes of one sample."""
    if not 0 <= sample < len(spikes):
        raise ParameterError(f"sample must be in 0..{len(spikes) - 1}, got {sample}")
    return spikes[sample]


def chosen_neurons(neurons: Sequence[int] | None, n: int, most: int, owner: str) -> list[int]:
    """The ids of the neurons to be shown: those given, else the first ones, at most `most`."""
    if neurons is None:
        return list(range(min(most, n)))
    chosen: list[Any] = list(neurons)
    if not chosen or not all(isinstance(k, (int, np.integer)) and 0 <= k < n for k in chosen):
        raise ParameterError(f"{owner} must be in 0..{n - 1}, at least one, got {chosen}")
    return [check_count(k, owner, least=0) for k in chosen]

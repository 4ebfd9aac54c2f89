"""mlGeNN's latency codes of images: the brighter a pixel, the earlier its only spike."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError
from ..units import check_dt
from .preprocessed import PreprocessedSpikes
from .validate import Numbers, as_array, check_each

WHITE = 255
"""The grey level of white, for whole numbers and, as 1.0, for floats."""
BLOCK = 256
"""How many images are encoded at once."""
Levels: TypeAlias = NDArray[np.float64]


def linear_latency_encode_data(
    data: Numbers, max_time: float, min_time: float = 0.0, thresh: float = 1
) -> list[PreprocessedSpikes]:
    """One spike for each pixel brighter than `thresh`, at (255 - v) / 255 * (max_time - min_time) + min_time ms.

    data (B, *shape) holds grey levels v: whole numbers from 0 to 255, or floats from 0 to 1, which stand for 255 times
    as much and encode like them. `thresh` is a grey level from 0 to 255 in both cases; a pixel at it stays silent.
    """
    owner = "linear_latency_encode_data"
    high = check_dt(max_time, f"{owner}.max_time")
    low = 0.0 if min_time == 0 else check_dt(min_time, f"{owner}.min_time")
    if low > high:
        raise ParameterError(f"{owner}: min_time must not lie after max_time, got {min_time} and {max_time} ms")
    return _encoded(data, thresh, owner, lambda level: (WHITE - level) / WHITE * (high - low) + low)


def log_latency_encode_data(data: Numbers, tau_eff: float, thresh: float) -> list[PreprocessedSpikes]:
    """One spike for each pixel brighter than `thresh`, at tau_eff * log(v / (v - thresh)) ms; the rest as in
    `linear_latency_encode_data`: when a membrane of that time constant, driven by v, reaches `thresh`."""
    tau = check_dt(tau_eff, "log_latency_encode_data.tau_eff")
    return _encoded(data, thresh, "log_latency_encode_data", lambda level: tau * np.log(level / (level - thresh)))


def _encoded(data: Numbers, thresh: float, owner: str, time_of: Callable[[Levels], Levels]) -> list[PreprocessedSpikes]:
    """One example for each image, the times in the order of the neurons."""
    if not isinstance(thresh, (int, float, np.number)) or isinstance(thresh, bool) or not 0 <= thresh <= WHITE:
        raise ParameterError(f"{owner}.thresh must be a grey level from 0 to {WHITE}, got {thresh!r}")
    images = _images(data, f"{owner}.data")
    examples = []
    for first in range(0, len(images), BLOCK):
        levels = _levels(images[first : first + BLOCK])
        fires = levels > thresh
        ends, times = np.cumsum(fires, axis=1, dtype=np.int64), time_of(levels[fires])
        rows = np.split(times, np.cumsum(fires.sum(axis=1))[:-1])
        examples += [PreprocessedSpikes(end, row) for end, row in zip(ends, rows, strict=True)]
    return examples


def _images(data: Numbers, owner: str) -> NDArray[Any]:
    """Checked images (B, N)."""
    array = as_array(data, owner)
    if array.ndim < 2:
        raise ShapeError(f"{owner} must have shape (B, *shape), got {array.shape}; one image is data[None]")
    if array.dtype.kind not in "iuf":
        raise DataError(f"{owner} must be grey levels, got {array.dtype}; use .astype(float) for black and white")
    floats = array.dtype.kind == "f"
    most = 1 if floats else WHITE
    expected = f"a grey level from 0 to {most}" + " (floats: 1 is white; divide by 255)" * floats
    check_each(array, (array >= 0) & (array <= most), owner, expected)
    return array.reshape(len(array), prod(array.shape[1:]))


def _levels(images: NDArray[Any]) -> Levels:
    """The grey levels from 0 to 255."""
    levels = images.astype(np.float64)
    if images.dtype.kind != "f":
        return levels
    # A level that was divided by 255 in the precision of the data is that level again: 1 must not pass thresh=1.
    levels *= WHITE
    nearest = np.rint(levels)
    return np.where(abs(levels - nearest) <= WHITE * float(np.finfo(images.dtype).eps), nearest, levels)

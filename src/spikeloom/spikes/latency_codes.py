"""mlGeNN's latency codes of images: the brighter a pixel, the earlier its only spike."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError
from ..units import check_dt
from .preprocessed import PreprocessedSpikes
from .validate import Numbers, as_array, check_each

WHITE = 255
"""The grey level of white, for whole numbers and, as 1.0, for floats."""


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
    levels, fires = _levels(data, thresh, owner)
    return _one_each((WHITE - levels[fires]) / WHITE * (high - low) + low, fires)


def log_latency_encode_data(data: Numbers, tau_eff: float, thresh: float) -> list[PreprocessedSpikes]:
    """One spike for each pixel brighter than `thresh`, at tau_eff * log(v / (v - thresh)) ms; the rest as in
    `linear_latency_encode_data`: when a membrane of that time constant, driven by v, reaches `thresh`."""
    tau = check_dt(tau_eff, "log_latency_encode_data.tau_eff")
    levels, fires = _levels(data, thresh, "log_latency_encode_data")
    level = levels[fires]
    return _one_each(tau * np.log(level / (level - thresh)), fires)


def _levels(data: Numbers, thresh: float, owner: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The grey levels from 0 to 255 (B, N), and which of them fire."""
    if not isinstance(thresh, (int, float, np.number)) or isinstance(thresh, bool) or not 0 <= thresh <= WHITE:
        raise ParameterError(f"{owner}.thresh must be a grey level from 0 to {WHITE}, got {thresh!r}")
    array = as_array(data, f"{owner}.data")
    if array.ndim < 2:
        raise ShapeError(f"{owner}.data must have shape (B, *shape), got {array.shape}; one image is data[None]")
    if array.dtype.kind not in "iuf":
        raise DataError(f"{owner}.data must be grey levels, got {array.dtype}; use .astype(float) for black and white")
    whole = array.dtype.kind != "f"
    most = WHITE if whole else 1
    expected = f"a grey level from 0 to {most}" + (" (floats: 1 is white; divide by 255)" * (not whole))
    check_each(array, (array >= 0) & (array <= most), f"{owner}.data", expected)
    levels = array.reshape(len(array), prod(array.shape[1:])).astype(np.float64)
    if not whole:
        # A level that was divided by 255 in the precision of the data is that level again: 1 must not pass thresh=1.
        levels *= WHITE
        nearest = np.rint(levels)
        levels = np.where(abs(levels - nearest) <= WHITE * float(np.finfo(array.dtype).eps), nearest, levels)
    return levels, levels > thresh


def _one_each(times: NDArray[np.float64], fires: NDArray[np.bool_]) -> list[PreprocessedSpikes]:
    """The times of the neurons that fire (B, N), in order, one example for each row."""
    ends = np.cumsum(fires, axis=1, dtype=np.int64)
    rows = np.split(times, np.cumsum(fires.sum(axis=1))[:-1])
    return [PreprocessedSpikes(end, row) for end, row in zip(ends, rows, strict=True)] if len(ends) else []

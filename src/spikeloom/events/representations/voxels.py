"""Voxel grids: events shared among the two nearest of some instants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError
from ...spikes.validate import check_count
from ..container import Events, microseconds
from ..filters_checks import LARGEST_SPAN
from ..filters_native import extent
from .frames import room
from .pixels import Polarity, draw, frame_shape, library, places, signs, times_of


def voxel_grid(
    events: Events,
    n_bins: int,
    *,
    start: float | None = None,
    end: float | None = None,
    polarity: Polarity = "signed",
) -> NDArray[np.float32]:
    """The events as weights of `n_bins` instants, (n_bins, P, H, W), float32: bilinear interpolation in time.

    V(b, x, y) = sum of p_i max(0, 1 - |b - t*_i|) with t*_i = (n_bins - 1) (t_i - t_first) / (t_last - t_first),
    equations 1 and 2 of Zhu et al. (CVPR 2019): the first instant is that of the first event, the last one that of the
    last event, and no weight is lost. `start` and `end` in ms stand in for these two; then start <= t <= end counts.
    Where all times are equal, all weight is in the first bin. p_i is 1 for ON and -1 for OFF (polarity 'signed');
    'merged' and 'separate' as in `frames`. The events may be in any order of time.
    """
    n_bins, shape = check_count(n_bins, "voxel_grid.n_bins"), frame_shape(events, polarity, "voxel_grid")
    out = room((n_bins, *shape), np.float32, "voxel_grid")
    first, last = _span(events, start, end)
    if start is not None or end is not None:
        events = events[(events.t >= first) & (events.t <= last)]
    span = float(max(1, last - first))
    if (native := library()) is not None:
        draw(native, "voxel_grid", events, polarity, times_of(events), first, span, n_bins, out)
        return out
    out.fill(0)
    place, sign = places(events, polarity), signs(events, polarity)
    exact = (n_bins - 1) * (events.t - first).astype(np.float64) / span
    bin_ = exact.astype(np.int64)
    late = (exact - bin_).astype(np.float32)
    np.add.at(out.reshape(n_bins, -1), (bin_, place), sign * (1 - late))
    after = bin_ + 1 < n_bins
    np.add.at(out.reshape(n_bins, -1), (bin_[after] + 1, place[after]), (sign * late)[after])
    return out


def _span(events: Events, start: float | None, end: float | None) -> tuple[int, int]:
    """The times of the first and of the last instant, in us."""
    first, last = extent(events)
    first = first if start is None else microseconds(start, "voxel_grid.start")
    last = last if end is None else microseconds(end, "voxel_grid.end")
    if start is not None and end is not None and last <= first:
        raise ParameterError(f"voxel_grid.end must lie after start = {start} ms, got {end}")
    if len(events) and last - first >= LARGEST_SPAN:
        raise DataError(f"voxel_grid expected times within 2**62 us of each other, got {first} to {last}")
    return first, last

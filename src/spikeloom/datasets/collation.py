"""One batch of many samples: spike trains of unequal length, and labels of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..spikes import Spikes
from ..spikes.container import index_dtype
from ..spikes.validate import check_each
from ..units import check_dt, duration_steps, times


def lasting(spikes: Spikes, duration: float, *, cut: bool = False, owner: str = "lasting") -> Spikes:
    """The spikes in a window of `duration` ms: silent behind their own, without those beyond it only if `cut`.

    On a grid the window has the steps that `units.duration_steps` gives. Raises DataError, which names the first one,
    where spikes lie beyond the window and `cut` is False.
    """
    duration = check_dt(duration, f"{owner}.duration")
    if spikes.dt is None:
        found = replace(spikes, duration=duration)
    else:
        n_steps = duration_steps(duration, spikes.dt, f"{owner}.duration")
        step = spikes.grid.step.astype(index_dtype(max(n_steps, spikes.grid.n_steps)), copy=False)
        found = replace(spikes, step=step, n_steps=n_steps, duration=times(n_steps, spikes.dt))
    beyond = _beyond(found)
    if not beyond.any():
        return found
    if not cut:
        where = int(beyond.argmax())
        raise DataError(
            f"{owner}: expected spikes within {found.duration:g} ms, got one at {spikes.times_ms()[where]:g} ms in "
            f"sample {spikes.samples()[where]}; give a longer duration=, or cut=True"
        )
    return _where(found, ~beyond)


def together(parts: Sequence[Spikes]) -> Spikes:
    """All samples of the parts in one window, the longest of theirs: the others are silent behind their own end.

    Nothing is cut. Raises ShapeError where the parts differ in population or dt.
    """
    if len({(part.duration, part.n_steps) for part in parts}) > 1 and len({part.dt for part in parts}) == 1:
        longest = max(part.duration for part in parts)
        parts = [lasting(part, longest) for part in parts]
    return Spikes.concatenate(parts)


def labels_of(values: Sequence[Any], owner: str) -> NDArray[np.int64] | NDArray[np.float32] | list[str]:
    """Labels of samples as int64, (B,) or, where each is an array, (B, *shape); texts as a list.

    True and False are 1 and 0. Real numbers, the targets of a regression, come as float32. Raises DataError for a
    mixture with texts, for arrays of unequal shape, for NaN and infinity, and for what is no number.
    """
    if any(isinstance(value, str) for value in values):
        odd = next((value for value in values if not isinstance(value, str)), None)
        if odd is not None:
            raise DataError(f"{owner}.labels must be all texts or none, got both, {odd!r:.60} among texts")
        return list(values)
    shapes = {np.shape(value) for value in values}
    if len(shapes) > 1:
        got = " and ".join(map(str, sorted(shapes)[:2]))
        raise DataError(f"{owner}.labels must have one shape in a batch, got {got}; give a collate_fn, which pads them")
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "biuf":
        raise DataError(f"{owner}.labels must be numbers or texts, got {array.dtype}; give a collate_fn")
    if array.size and array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            single = array.astype(np.float32)
        check_each(array, np.isfinite(single), f"{owner}.labels", "a finite float32 number")
        return single
    check_each(array, array <= np.iinfo(np.int64).max, f"{owner}.labels", "below 2**63")
    return array.astype(np.int64)


def _beyond(spikes: Spikes) -> NDArray[np.bool_]:
    """Which spikes lie behind the window."""
    if spikes.dt is None:
        assert spikes.time is not None
        return spikes.time >= spikes.duration
    return np.asarray(spikes.grid.step >= spikes.grid.n_steps)


def _where(spikes: Spikes, kept: NDArray[np.bool_]) -> Spikes:
    """The spikes that are kept."""
    names = [name for name in ("ids", "step", "time", "value") if getattr(spikes, name) is not None]
    chosen: dict[str, Any] = {name: getattr(spikes, name)[kept] for name in names}
    before = np.concatenate(([0], np.cumsum(kept)))
    return replace(spikes, offsets=before[spikes.offsets], **chosen)

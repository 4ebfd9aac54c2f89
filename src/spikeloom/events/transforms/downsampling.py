"""Fewer pixels: addresses divided, coinciding events merged, sums of polarities that fire, and their changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ..container import Events, floored, microseconds
from ..filters import merge_coinciding
from ..filters_checks import check_sorted, checked
from ..filters_native import extent, filtered, library
from .places import Size


def downsample(
    events: Events, size: Size | None = None, *, factor: Size | None = None, merge: float | None = None
) -> Events:
    """The events of a smaller sensor: of a size (width, height), or by a whole factor (or one each for x and y).

    Pixel x becomes floor(x * new width / width), or floor(x / factor), and no event goes: events of different pixels
    may coincide then. merge: of equal pixel and polarity those go that come at most so many ms after one that stayed
    (0: in the same microsecond); then the events must be sorted.
    """
    target, divisors, window = checked("downsample", size=size, factor=factor, merge=merge)
    if (target is None) == (divisors is None):
        raise ParameterError("downsample expected one of size (width, height) and factor")
    if target is not None:
        smaller = _resized(events, target, "downsample")
    else:
        width, height = -(-events.width // divisors[0]), -(-events.height // divisors[1])
        x, y = _quotient(events.x, divisors[0]), _quotient(events.y, divisors[1])
        smaller = replace(events, x=x, y=y, width=width, height=height)
    return smaller if window is None else merge_coinciding(smaller, window)


def downsample_integrator(events: Events, size: Size, window: float, *, threshold: int = 1) -> Events:
    """The events of pixels of a smaller sensor that integrate and fire: Ghosh et al. (2023), integrator method.

    A pixel of the size (width, height) sums up its events as +1 and -1. Where at the end of a window of `window` ms,
    the first of which starts with the first event, the sum is at least `threshold` or at most -threshold, an event of
    its sign is made and the sum is cleared. Events are dated by the start of their window, and stand in the order in
    which their pixels had their first event in it. As Tonic's EventDownsampling, which dates them from 0.
    """
    window, threshold = checked("downsample_integrator", window=window, threshold=threshold)
    return _integrated(_resized(events, size, "downsample_integrator"), _whole_us(window, "integrator"), threshold)


def downsample_differentiator(
    events: Events, size: Size, window: float, *, threshold: int = 1, bins: int = 2
) -> Events:
    """The events where `downsample_integrator` fires more often than before: Ghosh et al. (2023), differentiator.

    The integrator runs with windows of window / bins. Where a pixel's events of a polarity in a window of `window` ms
    are more than in the window before it (the first one has none before it), an event is made, dated by the start of
    its window, in the order of its pixel and polarity there. Tonic dates them one window earlier.
    """
    window, threshold, bins = checked("downsample_differentiator", window=window, threshold=threshold, bins=bins)
    us = _whole_us(window, "differentiator")
    if us % bins:
        raise ParameterError(
            f"downsample_differentiator.window must be a whole number of us for each of {bins} bins, got {window} ms"
        )
    fine = _integrated(_resized(events, size, "downsample_differentiator"), us // bins, threshold)
    first, _ = extent(events)
    if (native := library()) is None:
        return _differentiated_reference(fine, first, us)
    state = np.zeros(2 * 3 * fine.width * fine.height, np.int64)
    return filtered(native, "differentiate", fine, first, us, state, np.empty(len(fine), np.int64))


def _integrated(events: Events, window: int, threshold: int) -> Events:
    """The events of pixels that integrate and fire."""
    n, pixels = len(events), events.width * events.height
    if (native := library()) is None:
        return _integrated_reference(events, window, threshold)
    state = np.zeros((2, pixels), np.int64)
    return filtered(native, "integrate", events, window, threshold, state[0], state[1], np.empty(n, np.int64))


def _integrated_reference(events: Events, window: int, threshold: int) -> Events:
    """`_integrated` in NumPy, window by window."""
    total = np.zeros(events.width * events.height, np.int64)
    pixel = events.y.astype(np.int64) * events.width + events.x
    number = (events.t - events.t[:1]) // window
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    fired: list[NDArray[np.int64]] = [np.zeros((3, 0), np.int64)]
    for begin, end in zip(starts, np.append(starts[1:], len(events))[: starts.size], strict=True):
        np.add.at(total, pixel[begin:end], events.p[begin:end] * 2 - 1)
        active, first = np.unique(pixel[begin:end], return_index=True)
        active = active[np.argsort(first)]
        active = active[np.abs(total[active]) >= threshold]
        fired.append(np.stack([np.full(active.size, events.t[0] + number[begin] * window), active, total[active] > 0]))
        total[active] = 0
    t, place, positive = np.concatenate(fired, axis=1)
    y, x = np.divmod(place, events.width)
    return replace(events, t=t, x=x.astype(np.int16), y=y.astype(np.int16), p=positive.astype(np.int8))


def _differentiated_reference(fine: Events, first: int, window: int) -> Events:
    """Where a pixel and polarity have more events in a window of us, from `first` on, than in the one before."""
    number, where = (fine.t - first) // window, (fine.p.astype(np.int64) * fine.height + fine.y) * fine.width + fine.x
    groups: dict[tuple[int, int], list[int]] = {}
    for index, place in enumerate(zip(number.tolist(), where.tolist(), strict=True)):
        groups.setdefault(place, []).append(index)
    chosen = [
        found[0] for (n, place), found in groups.items() if n and len(found) > len(groups.get((n - 1, place), ()))
    ]
    return replace(fine[chosen], t=first + number[chosen] * window, is_sorted=True)


def _resized(events: Events, size: Size, owner: str) -> Events:
    """The events at the pixels of a smaller sensor."""
    width, height = checked(owner, size=size)
    if owner != "downsample":
        check_sorted(events, owner)
    if width > events.width or height > events.height:
        raise ParameterError(
            f"{owner}.size must be at most the sensor's {events.width} x {events.height}, got {(width, height)}"
        )
    x = _divided(events.x, width, events.width)
    return replace(events, x=x, y=_divided(events.y, height, events.height), width=width, height=height)


def _divided(place: NDArray[np.int16], side: int, whole: int) -> NDArray[np.int16]:
    """floor(place * side / whole)."""
    if side == whole:
        return place
    if whole % side == 0:
        return _quotient(place, whole // side)
    return (place.astype(np.int32) * np.int32(side) // np.int32(whole)).astype(np.int16)


def _quotient(place: NDArray[np.int16], divisor: int) -> NDArray[np.int16]:
    return np.zeros_like(place) if divisor >= 2**15 else place // np.int16(divisor)


def _whole_us(window: float, owner: str) -> int:
    """A window of ms in microseconds."""
    us = floored(window * 1000)
    if us != microseconds(window, owner):
        raise ParameterError(f"downsample_{owner}.window must be a whole number of microseconds, got {window} ms")
    return us

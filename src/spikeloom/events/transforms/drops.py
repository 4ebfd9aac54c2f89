"""Transforms that drop events at random: single ones, a stretch of time, an area, pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..container import Events
from ..filters import of_pixels
from ..filters_checks import check_range, checked, need
from ..filters_native import as_sorted, extent, filtered, library, out_of_box, selected
from .random_numbers import bound_of, draw_key, drawn, random_bits

Share = float | tuple[float, float]


def drop_events(events: Events, p: Share, generator: np.random.Generator) -> Events:
    """The events without those that are dropped, each by itself with probability p, or p drawn from (low, high)."""
    share = drawn(checked("drop_events", p=p), need(generator, "drop_events"))
    key = draw_key(generator)
    if share == 1:
        return events[:0]
    if (native := library()) is None:
        return events[random_bits(key, len(events)) >= np.uint64(bound_of(share))]
    return as_sorted(events, filtered(native, "drop_events", events, key, bound_of(share)))


def drop_by_time(events: Events, ratio: Share, generator: np.random.Generator) -> Events:
    """The events without those of a stretch of time, `ratio` (or drawn from (low, high)) of the whole, drawn uniformly.

    Both ends of the stretch are dropped; it lies wholly between the first and the last event.
    """
    share = drawn(checked("drop_by_time", ratio=ratio), need(generator, "drop_by_time"))
    if not len(check_range(events, "drop_by_time")) or share == 0:
        return events
    low, high = extent(events)
    length = share * (high - low)
    start = generator.uniform(0, (high - low) - length)
    first, last = low + int(np.ceil(start)), low + int(np.floor(start + length))
    if not events.is_sorted:
        return selected(events, (events.t < first) | (events.t > last))
    begin, end = np.searchsorted(events.t, first), np.searchsorted(events.t, last, side="right")
    if native := library():
        return filtered(native, "drop_span", events, int(begin), int(end))
    parts: dict[str, Any] = {
        name: np.concatenate([getattr(events, name)[:begin], getattr(events, name)[end:]]) for name in "txyp"
    }
    return replace(events, **parts)


def drop_by_area(events: Events, ratio: Share, generator: np.random.Generator) -> Events:
    """The events without those of a box whose sides are `ratio` of the sensor's, rounded, at a place drawn uniformly.

    A range (low, high) draws the ratio first. The box lies wholly on the sensor.
    """
    share = drawn(checked("drop_by_area", ratio=ratio), need(generator, "drop_by_area"))
    width, height = round(share * events.width), round(share * events.height)
    left = int(generator.integers(events.width - width, endpoint=True))
    top = int(generator.integers(events.height - height, endpoint=True))
    return out_of_box(events, (left, top, width, height))


def drop_pixels_at_random(events: Events, p: Share, generator: np.random.Generator) -> Events:
    """The events without those of dead pixels: each pixel is one with probability p, or p drawn from (low, high)."""
    share = drawn(checked("drop_pixels_at_random", p=p), need(generator, "drop_pixels_at_random"))
    return of_pixels(events, generator.random((events.height, events.width)) >= share)


def event_drop(events: Events, generator: np.random.Generator) -> Events:
    """The events as they are, or dropped by time, by area or one by one, each of the four with equal probability.

    The ratios are drawn from 0.1 ... 0.9, by area from 0.05 ... 0.25. Gu et al., EventDrop (2021).
    """
    choice = need(generator, "event_drop").integers(4)
    tenths = int(generator.integers(1, 10)) / 10
    if choice == 1:
        return drop_by_time(events, tenths, generator)
    if choice == 2:
        return drop_by_area(events, int(generator.integers(1, 6)) / 20, generator)
    return drop_events(events, tenths, generator) if choice == 3 else events

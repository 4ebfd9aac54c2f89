"""Transforms of the pixels: crops, flips and jitter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import ParameterError
from ..container import Events
from ..filters_checks import checked, need
from ..filters_native import as_sorted, contiguous, filtered, in_box, library
from .random_numbers import Shifts, draw_key, normal_shifts, random_bits

Size = int | tuple[int, int]


def crop(events: Events, box: tuple[int, int, int, int] | None = None, *, centre: Size | None = None) -> Events:
    """The events within a box (x, y, width, height), whose corner becomes pixel (0, 0); the sensor is the box then.

    centre: instead of a box, the size (width, height) of one in the middle, half a pixel to the left and up where it
    cannot be exact. Raises ParameterError where the box is not on the sensor.
    """
    corners, middle = checked("crop", box=box, centre=centre)
    if (corners is None) == (middle is None):
        raise ParameterError("crop expected one of box (x, y, width, height) and centre (width, height)")
    if corners is None:
        corners = ((events.width - middle[0]) // 2, (events.height - middle[1]) // 2, *middle)
    left, top, width, height = corners
    if min(left, top) < 0 or left + width > events.width or top + height > events.height:
        raise ParameterError(f"crop expected a box on the sensor of {events.width} x {events.height}, got {corners}")
    return in_box(events, corners)


def random_crop(events: Events, size: Size, generator: np.random.Generator) -> Events:
    """The events within a box of a size (width, height) at a place drawn uniformly; see `crop`."""
    width, height = checked("random_crop", size=size)
    need(generator, "random_crop")
    if width > events.width or height > events.height:
        raise ParameterError(
            f"random_crop.size must be at most the sensor's {events.width} x {events.height}, got {(width, height)}"
        )
    left = int(generator.integers(events.width - width, endpoint=True))
    top = int(generator.integers(events.height - height, endpoint=True))
    return crop(events, (left, top, width, height))


def flip_x(events: Events) -> Events:
    """The events mirrored left to right: x becomes width - 1 - x."""
    return replace(events, x=np.int16(events.width - 1) - events.x)


def flip_y(events: Events) -> Events:
    """The events mirrored top to bottom: y becomes height - 1 - y."""
    return replace(events, y=np.int16(events.height - 1) - events.y)


def spatial_jitter(
    events: Events, std: float | tuple[float, float], generator: np.random.Generator, *, outside: str = "drop"
) -> Events:
    """The events moved by normally distributed distances of mean 0 and `std` pixels (or (x, y)), rounded to pixels.

    outside: whether events that leave the sensor are dropped ("drop") or stay at its edge ("clip").
    """
    (std_x, std_y), outside = checked("spatial_jitter", std=std, outside=outside)
    key = draw_key(need(generator, "spatial_jitter"))
    in_x, in_y, clip = normal_shifts(std_x), normal_shifts(std_y), outside == "clip"
    if (native := library()) is None:
        return _jittered_reference(events, key, in_x, in_y, clip)
    tables = (*in_x.arguments, *in_y.arguments)
    if not clip:
        return as_sorted(events, filtered(native, "jitter_pixels", events, key, *tables, 0))
    t, x, y, p = contiguous(events)
    to_x, to_y, result = np.empty_like(x), np.empty_like(y), np.zeros(1, np.int64)
    size = (len(events), events.width, events.height)
    native.call("jitter_pixels", t, x, y, p, *size, None, to_x, to_y, None, result, key, *tables, 1)
    return replace(events, x=to_x, y=to_y)


def _jittered_reference(events: Events, key: int, in_x: Shifts, in_y: Shifts, clip: bool) -> Events:
    """`spatial_jitter` in NumPy."""
    bits = random_bits(key, len(events))
    far_x, far_y = events.x + in_x.draw(bits >> np.uint64(32)), events.y + in_y.draw(bits & np.uint64(2**32 - 1))
    x, y = np.clip(far_x, 0, events.width - 1), np.clip(far_y, 0, events.height - 1)
    moved = replace(events, x=x.astype(np.int16), y=y.astype(np.int16))
    return moved if clip else moved[(x == far_x) & (y == far_y)]

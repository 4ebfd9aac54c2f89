"""The camera's data model: a stream of events, a structure of arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError
from ..spikes.validate import Numbers, as_array, check_each

LARGEST_SIDE = 2**15
"""How many pixels a side of a sensor may have: addresses are int16."""

DTYPES = {"t": np.int64, "x": np.int16, "y": np.int16, "p": np.int8}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True, slots=True)
class Events:
    """Events of a sensor of `width` x `height` pixels: the arrays t, x, y and p, (n,), which cannot be written to.

    t is int64 in microseconds, x (column, from the left) and y (row, from the top) are int16, p is int8: 1 where the
    light grew, 0 where it fell. Make them with `from_arrays` or `from_structured`, which check what they get, the bare
    constructor does not. `is_sorted` tells whether t never falls. Indexing by a slice, mask or integers selects events.
    """

    t: NDArray[np.int64]
    x: NDArray[np.int16]
    y: NDArray[np.int16]
    p: NDArray[np.int8]
    width: int
    height: int
    is_sorted: bool

    def __post_init__(self) -> None:
        for name in ("t", "x", "y", "p"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @classmethod
    def from_arrays(
        cls, t: Numbers, x: Numbers, y: Numbers, p: Numbers, sensor_size: tuple[int, int] | None = None
    ) -> Events:
        """Events of four arrays (n,): t in microseconds, pixels, polarities as 0/1, booleans or -1/1.

        `sensor_size` is (width, height), by default as large as the events need. Floats are taken where they are whole
        numbers. Raises ShapeError for unequal lengths, DataError for what is no such number or no pixel.
        """
        arrays = {name: _whole(value, name) for name, value in zip("txyp", (t, x, y, p), strict=True)}
        if len({array.shape for array in arrays.values()}) > 1:
            got = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise ShapeError(f"Events: t, x, y and p must have one entry for each event, got {got}")
        width, height = _size(arrays, sensor_size)
        for name, side in (("x", width), ("y", height)):
            check_each(arrays[name], (arrays[name] >= 0) & (arrays[name] < side), f"Events.{name}", f"in 0..{side - 1}")
        check_each(arrays["p"], (arrays["p"] >= -1) & (arrays["p"] <= 1), "Events.p", "0 or 1 (or -1 and 1)")
        if (arrays["p"] < 0).any():
            check_each(arrays["p"], arrays["p"] != 0, "Events.p", "-1 or 1, as others are -1")
        arrays["p"] = arrays["p"] > 0
        own: dict[str, Any] = {name: array.astype(DTYPES[name]) for name, array in arrays.items()}
        return cls(**own, width=width, height=height, is_sorted=in_order(own["t"]))

    @classmethod
    def from_structured(cls, events: NDArray[Any], sensor_size: Sequence[int] | None = None) -> Events:
        """Events of a structured array with the fields t, x, y and p in any order and of any type, as Tonic has them.

        `sensor_size` is (width, height) or Tonic's (width, height, polarities).
        """
        names = getattr(getattr(events, "dtype", None), "names", None) or ()
        if missing := [name for name in "txyp" if name not in names]:
            raise DataError(f"Events.from_structured: expected the fields t, x, y, p, got {names}; {missing} lack")
        size: Any = None if sensor_size is None else tuple(sensor_size[:2])
        return cls.from_arrays(events["t"], events["x"], events["y"], events["p"], size)

    @classmethod
    def concatenate(cls, parts: Sequence[Events]) -> Events:
        """The events of all parts, in their order; the parts are of one sensor size."""
        if not parts:
            raise ParameterError("Events.concatenate expected at least one part, got none")
        sizes = {part.sensor_size for part in parts}
        if len(sizes) > 1:
            raise ShapeError(f"Events.concatenate: all parts must be of one sensor size, got {sorted(sizes)}")
        joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in "txyp"}
        return replace(parts[0], **joined, is_sorted=in_order(joined["t"]))

    @property
    def sensor_size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def duration(self) -> float:
        """The time from the first to the last event in ms; 0 where there are none."""
        return (int(self.t.max()) - int(self.t.min())) / 1000 if len(self) else 0.0

    def __len__(self) -> int:
        return self.t.size

    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> Events:
        if isinstance(index, (int, np.integer)):
            raise ParameterError(
                f"Events[{index}]: expected a slice, mask or integers; one event is events[{index}:][:1]"
            )
        chosen: dict[str, Any] = {name: getattr(self, name)[index] for name in "txyp"}
        if chosen["t"].ndim != 1:
            raise ShapeError(f"Events[...] selects by a slice, mask or list of integers, got {index!r}")
        forward = isinstance(index, slice) and (index.step is None or index.step > 0)
        kept = self.is_sorted and (forward or getattr(index, "dtype", None) == np.bool_)
        return replace(self, **chosen, is_sorted=kept or in_order(chosen["t"]))

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Events, **{field.name: getattr(self, field.name) for field in fields(self)}), ()

    def __repr__(self) -> str:
        order = "" if self.is_sorted else ", not sorted"
        span = f" from {self.t.min() / 1000:g} to {self.t.max() / 1000:g} ms" if len(self) else ""
        return f"Events({len(self)} of {self.width} x {self.height} pixels{span}{order})"

    def equals(self, other: Events) -> bool:
        """Whether both hold the same events in the same order, of sensors of one size."""
        same = all(np.array_equal(getattr(self, name), getattr(other, name)) for name in "txyp")
        return same and self.sensor_size == other.sensor_size

    def with_arrays(self, **arrays: NDArray[Any]) -> Events:
        """These events with some of the arrays t, x, y, p exchanged for others of the right type, unchecked."""
        changed: dict[str, Any] = arrays
        return replace(self, **changed, is_sorted=in_order(changed["t"]) if "t" in changed else self.is_sorted)

    def sorted(self) -> Events:
        """The events in order of time; those of one time keep their order."""
        return self if self.is_sorted else self[np.argsort(self.t, kind="stable")]

    def between(self, start: float | None = None, end: float | None = None) -> Events:
        """The events with start <= t < end, both in ms (None: no bound)."""
        low = np.iinfo(np.int64).min if start is None else microseconds(start, "Events.between: start")
        high = np.iinfo(np.int64).max if end is None else microseconds(end, "Events.between: end") - 1
        if self.is_sorted:
            return self[np.searchsorted(self.t, low) : np.searchsorted(self.t, high, side="right")]
        return self[(self.t >= low) & (self.t <= high)]

    def structured(self) -> NDArray[Any]:
        """A structured array with the fields t, x, y, p, which Tonic's functions and others read."""
        array = np.empty(len(self), np.dtype(list(DTYPES.items())))
        for name in "txyp":
            array[name] = getattr(self, name)
        return array


def in_order(t: NDArray[Any]) -> bool:
    """Whether the times never fall."""
    return bool((t[1:] >= t[:-1]).all())


def microseconds(time: float, owner: str) -> int:
    """A time in ms as the first whole microsecond that is not before it."""
    number = isinstance(time, (int, float, np.integer, np.floating)) and not isinstance(time, bool)
    if not number or not abs(time) < 2**62 / 1000:
        raise ParameterError(f"{owner} must be a time in ms, within 2**62 us, got {time!r}")
    return -floored(-float(time) * 1000)


def floored(number: float) -> int:
    """The greatest whole number that is no more than a number which floats round: within 4 units of its last place."""
    nearest = round(number)
    return nearest if abs(number - nearest) <= 1e-6 + 2.0**-50 * abs(number) else math.floor(number)


def _whole(value: Numbers, name: str) -> NDArray[Any]:
    """A one-dimensional array of whole numbers in the range of int64."""
    array = as_array(value, f"Events.{name}")
    if array.ndim != 1:
        raise ShapeError(f"Events.{name} must have one axis, got shape {array.shape}")
    if array.dtype.kind == "f":
        fits = np.isfinite(array) & (array == np.rint(array)) & (np.abs(array) < 2.0**63)
        unit = "a whole number" + (" of microseconds" if name == "t" else "")
        check_each(array, fits, f"Events.{name}", unit)
    if array.dtype == np.uint64:
        check_each(array, array < np.uint64(2**63), f"Events.{name}", "below 2**63")
    return array.astype(np.int64) if array.dtype.kind in "fub" else array


def _size(arrays: dict[str, NDArray[Any]], given: tuple[int, int] | None) -> tuple[int, int]:
    """The sensor's size as given, or as large as the events need."""
    if given is None:
        sides: list[Any] = [max(1, int(arrays[name].max(initial=0)) + 1) for name in "xy"]
    else:
        sides = list(given) if isinstance(given, (tuple, list)) else [given]
    whole = all(isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise ParameterError(
            f"Events.sensor_size must be (width, height), each from 1 to {LARGEST_SIDE}, got {given or tuple(sides)!r}"
        )
    return int(sides[0]), int(sides[1])

"""Event versions of images: what an event camera sees that makes saccades in front of them.

Orchard, Jayawant, Cohen and Thakor (2015) moved a camera before a screen that showed the digits of MNIST: three
saccades of 100 ms along a triangle. Here the image moves over the sensor. A pixel sees the logarithm of the intensity,
interpolated between the image's pixels, and makes an event whenever that has moved by a threshold since its last event;
then it is blind for a refractory time, at whose end it begins from what it sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError, ShapeError
from ..events import Events
from ..events.container import LARGEST_SIDE
from ..native.compiled import compiled
from .checks import check_generator
from .event_dataset import EventDataset, Transform, digest

_UNIT = 1 << 16
"""What log intensities of 1 are as whole numbers."""
_PART = 1 << 12
"""Parts of a pixel that places are counted in, as in saccades.hpp."""
_LARGEST_LOG = 2**31 // _UNIT - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """How the camera sees and moves; see `saccades`."""

    threshold: float
    refractory: float
    amplitude: float
    saccade: float
    dark: float
    mismatch: float
    noise: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and np.isfinite(value)
            lowest = 0 if name in ("refractory", "amplitude", "mismatch", "noise") else 1e-3
            if not number or not lowest <= value <= 1e4:
                raise ParameterError(f"saccades.{name} must be a number from {lowest} to 10000, got {value!r}")


def saccades(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    threshold: float = 0.35,
    refractory: float = 1.0,
    amplitude: float = 6.0,
    saccade: float = 100.0,
    dark: float = 0.1,
    mismatch: float = 0.0,
    noise: float = 0.0,
    generator: np.random.Generator | None = None,
    transform: Transform | Sequence[Transform] | None = None,
    name: str = "saccades",
    classes: Sequence[str] | Sequence[int] = (),
) -> EventDataset:
    """Images (n, H, W) of intensities 0 to 1 as an event camera sees them in three saccades; made when asked for.

    The image moves by `amplitude` pixels down and half as many to the right, up again and as many to the right, and
    back to where it began, each way in `saccade` ms, slow at its ends (minimum jerk). The sensor is as much larger than
    the image: 34 x 34 for MNIST. Beyond its border an image goes on as it is there. A pixel sees
    log(intensity + dark) and fires when that has moved by `threshold`; it is blind for `refractory` ms then. With a
    generator, `mismatch` is the standard deviation of the thresholds of the pixels, relative to `threshold`, and each
    pixel makes `noise` events a second at random. Equal arguments give equal events, in any order of asking.
    """
    camera = Camera(threshold=threshold, refractory=refractory, amplitude=amplitude, saccade=saccade, dark=dark,
                    mismatch=mismatch, noise=noise)  # fmt: skip
    recordings = Saccades(_checked(images), camera, generator)
    return EventDataset(recordings, labels, name=name, classes=classes, transform=transform, generator=generator)


@final
class Saccades:
    """The recordings of `saccades`."""

    def __init__(self, images: NDArray[Any], camera: Camera, generator: np.random.Generator | None) -> None:
        self.images, self.camera = images, camera
        more = int(np.ceil(camera.amplitude))
        self.height, self.width = images.shape[1] + more, images.shape[2] + more
        if max(self.height, self.width) > LARGEST_SIDE:
            raise ShapeError(f"saccades: the sensor would be {self.width} x {self.height} pixels, above {LARGEST_SIDE}")
        if generator is None and (camera.mismatch or camera.noise):
            raise ParameterError("saccades: mismatch and noise need generator=numpy.random.default_rng(seed)")
        if generator is not None:
            check_generator(generator, "saccades.generator")
        self.path = trajectory(camera)
        self.seed = 0 if generator is None else int(generator.integers(2**63))
        self.thresholds = self._thresholds(generator)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Events:
        log = log_intensity(self.images[index], self.camera.dark)
        refractory = round(self.camera.refractory * 1000)
        events = camera_events(log, self.path, self.step, self.thresholds, refractory)
        if self.camera.noise:
            events = Events.concatenate([events, self._noise(index)])
        return events.sorted()

    @property
    def step(self) -> int:
        """The time between two places of the path in us."""
        return max(1, round(self.camera.saccade * 1000 / STEPS))

    def files(self) -> Sequence[Path]:
        return []

    def key(self) -> str:
        return f"saccades {self.camera} {self.seed} {digest(self.thresholds)} {digest(self.images)}"

    def _thresholds(self, generator: np.random.Generator | None) -> NDArray[np.int32]:
        """The threshold of each pixel; those of mismatched pixels are at least a tenth of what is meant."""
        spread = np.ones((self.height, self.width))
        if generator is not None and self.camera.mismatch:
            spread = np.maximum(1 + self.camera.mismatch * generator.standard_normal(spread.shape), 0.1)
        units = np.rint(np.minimum(self.camera.threshold * spread, _LARGEST_LOG) * _UNIT)
        return np.asarray(np.maximum(units, 1), np.int32)

    def _noise(self, index: int) -> Events:
        """Events at random times and pixels, drawn anew for each recording but equal each time."""
        generator = np.random.default_rng([self.seed, index])
        end = 3 * STEPS * self.step
        n = generator.poisson(self.camera.noise * self.height * self.width * end / 1e6)
        sides = ((1, end + 1, np.int64), (0, self.width, np.int16), (0, self.height, np.int16), (0, 2, np.int8))
        t, x, y, p = (generator.integers(low, high, n, dtype) for low, high, dtype in sides)
        return Events(t=t, x=x, y=y, p=p, width=self.width, height=self.height, is_sorted=n < 2)


STEPS = 100
"""Places of the path in one saccade."""


def trajectory(camera: Camera) -> NDArray[np.int64]:
    """Where the image's corner is on the sensor, (2, 3 * STEPS + 1), x and y in 1/4096 pixels.

    Along each side of the triangle it moves with the least jerk (Flash and Hogan, 1985): 10 s^3 - 15 s^4 + 6 s^5.
    """
    s = np.arange(1, STEPS + 1) / STEPS
    way = s**3 * (10 - 15 * s + 6 * s**2)
    corners = np.array([[0, 0], [0.5, 1], [1, 0], [0, 0]]) * camera.amplitude
    sides = [start + way[:, None] * (end - start) for start, end in pairwise(corners)]
    return np.ascontiguousarray(np.rint(np.concatenate([corners[:1], *sides]) * _PART).astype(np.int64).T)


def log_intensity(image: NDArray[Any], dark: float) -> NDArray[np.int32]:
    """log(image + dark) in 1/65536."""
    return np.asarray(np.rint(np.log(image.astype(np.float64) + dark) * _UNIT), np.int32)


def camera_events(
    log: NDArray[np.int32], path: NDArray[np.int64], step: int, thresholds: NDArray[np.int32], refractory: int
) -> Events:
    """The events, by step and pixel, of an image (H, W) of log intensities that moves along a path over a sensor.

    `path` (2, n + 1) has the corner's x and y in 1/4096 pixels every `step` us, thresholds (rows, columns) are in units
    of `log`, refractory is in us.
    """
    if (native := compiled("saccades.hpp")) is None:
        return reference_events(log, path, step, thresholds, refractory)
    rows, columns = thresholds.shape
    room, found = 16 * thresholds.size, np.zeros(1, np.int64)
    while True:
        pixels = np.empty((thresholds.size, 3), np.int64)
        t, p = np.empty(room, np.int64), np.empty(room, np.int8)
        x, y = np.empty(room, np.int16), np.empty(room, np.int16)
        native.call("saccades", log, log.shape[1], log.shape[0], path[0], path[1], path.shape[1] - 1, step, columns,
                    rows, thresholds, refractory, pixels, room, t, x, y, p, found)  # fmt: skip
        n = int(found[0])
        if n <= room:
            break
        room = n
    return Events(t=t[:n], x=x[:n], y=y[:n], p=p[:n], width=columns, height=rows, is_sorted=False)


def reference_events(
    log: NDArray[np.int32], path: NDArray[np.int64], step: int, thresholds: NDArray[np.int32], refractory: int
) -> Events:
    """`camera_events` in NumPy, all pixels at once."""
    rows, columns = thresholds.shape
    by = thresholds.reshape(-1).astype(np.int64)
    b = _seen(log, path[:, 0], rows, columns)
    reference, free = b.copy(), np.full(b.size, -1)
    found: list[NDArray[np.int64]] = [np.zeros((4, 0), np.int64)]
    for k in range(1, path.shape[1]):
        a, b = b, _seen(log, path[:, k], rows, columns)
        begin, end = (k - 1) * step, k * step
        awake = free < end
        wakes = awake & (free >= 0)
        reference = np.where(wakes, _on_the_way(a, b, free - begin, step), reference)
        free = np.where(wakes, -1, free)
        while (fires := awake & (a != b) & (np.abs(b - reference) >= by)).any():
            on = b > reference
            target = np.where(on, reference + by, reference - by)
            time = begin - (-np.abs(target - a) * step // np.maximum(np.abs(b - a), 1))
            at = np.flatnonzero(fires)
            found.append(np.stack([time[at], at, on[at], np.full(at.size, k)]))
            reference = np.where(fires, target, reference)
            if refractory:
                after = time + refractory
                sleeps = fires & (after >= end)
                free, awake = np.where(sleeps, after, free), awake & ~sleeps
                reference = np.where(fires & ~sleeps, _on_the_way(a, b, after - begin, step), reference)
    t, place, p, steps = np.concatenate(found, axis=1)
    order = np.lexsort((t, place, steps))
    y, x = np.divmod(place[order], columns)
    return Events(t=t[order], x=x.astype(np.int16), y=y.astype(np.int16), p=p[order].astype(np.int8), width=columns,
                  height=rows, is_sorted=False)  # fmt: skip


def _seen(log: NDArray[np.int32], corner: NDArray[np.int64], rows: int, columns: int) -> NDArray[np.int64]:
    """What each pixel sees of an image whose corner is at a place, (rows * columns,)."""
    below, right = (_between(np.arange(n) * _PART - c, side) for n, c, side in
                    ((rows, corner[1], log.shape[0]), (columns, corner[0], log.shape[1])))  # fmt: skip
    image = log.astype(np.int64)
    lines = image[:, right[0]] * (_PART - right[2]) + image[:, right[1]] * right[2]
    share = below[2][:, None]
    seen = lines[below[0]] * (_PART - share) + lines[below[1]] * share
    return np.right_shift(seen, 24).ravel()


def _between(place: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The two of n pixels around each place, at the border the nearest ones, and the share of the second."""
    at = place >> 12
    inside = (at >= 0) & (at < n - 1)
    first = np.clip(at, 0, n - 1)
    return first, np.where(inside, first + 1, first), np.where(inside, place & (_PART - 1), 0)


def _on_the_way(a: NDArray[np.int64], b: NDArray[np.int64], at: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """The value on the way from a to b, `at` us after its begin, rounded towards a."""
    return np.asarray(a + np.sign(b - a) * (np.abs(b - a) * at // step))


def _checked(images: ArrayLike) -> NDArray[Any]:
    """Images as float32; errors for what is none."""
    array = np.asarray(images)
    if array.ndim != 3 or 0 in array.shape[1:]:
        raise ShapeError(f"saccades.images must have shape (n, H, W), got {array.shape}; reshape flat ones")
    if array.dtype.kind not in "biuf":
        raise DataError(f"saccades.images must be numbers from 0 to 1, got {array.dtype}")
    array = array.astype(np.float32)
    outside = ~((array >= 0) & (array <= 1))
    if outside.any():
        where = tuple(int(i) for i in np.argwhere(outside)[0])
        raise DataError(
            f"saccades.images must be from 0 to 1, got {array[where]} at index {where}; divide by the largest"
        )
    return array

"""Every event filter and transform as a frozen object; the functions tell what they do and what the parameters mean."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from .. import filters
from . import downsampling, drops, places, polarities, streams, times
from .drops import Share
from .places import Size
from .transform import Transform


@dataclass(frozen=True)
class BackgroundActivity(Transform):
    """`background_activity`: events stay where a neighbour had one in the `time` ms before."""

    function = staticmethod(filters.background_activity)
    time: float
    _: KW_ONLY
    itself: bool = False


@dataclass(frozen=True)
class Refractory(Transform):
    """`refractory`: pixels are dead for `time` ms after each event."""

    function = staticmethod(filters.refractory)
    time: float
    _: KW_ONLY
    by_polarity: bool = False
    restart: str = "kept"


@dataclass(frozen=True)
class MergeCoinciding(Transform):
    """`merge_coinciding`: events of equal pixel and polarity within `time` ms become one."""

    function = staticmethod(filters.merge_coinciding)
    time: float


@dataclass(frozen=True)
class HotPixels(Transform):
    """`hot_pixels`: pixels above a rate in Hz, or so many sigma or a quantile of the others, go."""

    function = staticmethod(filters.hot_pixels)
    _: KW_ONLY
    rate: float | None = None
    sigma: float | None = None
    quantile: float | None = None


@dataclass(frozen=True)
class DropPixels(Transform):
    """`drop_pixels`: the pixels (x, y) go."""

    function = staticmethod(filters.drop_pixels)
    coordinates: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Decimate(Transform):
    """`decimate`: every n-th event of each pixel stays."""

    function = staticmethod(filters.decimate)
    n: int


@dataclass(frozen=True)
class Crop(Transform):
    """`crop`: the events in a box (x, y, width, height), or in the middle (width, height)."""

    function = staticmethod(places.crop)
    box: tuple[int, int, int, int] | None = None
    _: KW_ONLY
    centre: Size | None = None


@dataclass(frozen=True)
class RandomCrop(Transform):
    """`random_crop`: the events in a box of a size at a random place."""

    function = staticmethod(places.random_crop)
    size: Size


@dataclass(frozen=True)
class CropTime(Transform):
    """`crop_time`: the events with start <= t < end in ms."""

    function = staticmethod(times.crop_time)
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Downsample(Transform):
    """`downsample`: a smaller sensor; events that coincide within `merge` ms become one."""

    function = staticmethod(downsampling.downsample)
    size: Size | None = None
    _: KW_ONLY
    factor: Size | None = None
    merge: float | None = None


@dataclass(frozen=True)
class DownsampleIntegrator(Transform):
    """`downsample_integrator`: pixels of a smaller sensor sum up polarities and fire."""

    function = staticmethod(downsampling.downsample_integrator)
    size: Size
    window: float
    _: KW_ONLY
    threshold: int = 1


@dataclass(frozen=True)
class DownsampleDifferentiator(Transform):
    """`downsample_differentiator`: pixels of a smaller sensor that fire more often than before."""

    function = staticmethod(downsampling.downsample_differentiator)
    size: Size
    window: float
    _: KW_ONLY
    threshold: int = 1
    bins: int = 2


@dataclass(frozen=True)
class SpatialJitter(Transform):
    """`spatial_jitter`: normally distributed moves of `std` pixels."""

    function = staticmethod(places.spatial_jitter)
    std: float | tuple[float, float]
    _: KW_ONLY
    outside: str = "drop"


@dataclass(frozen=True)
class TimeJitter(Transform):
    """`time_jitter`: normally distributed delays of `std` ms."""

    function = staticmethod(times.time_jitter)
    std: float
    _: KW_ONLY
    negative: str = "keep"


@dataclass(frozen=True)
class TimeSkew(Transform):
    """`time_skew`: times multiplied by a coefficient, plus offset ms."""

    function = staticmethod(times.time_skew)
    coefficient: float
    offset: float = 0.0


@dataclass(frozen=True)
class TimeReversal(Transform):
    """`time_reversal`: the events played backwards."""

    function = staticmethod(times.time_reversal)
    _: KW_ONLY
    flip_polarity: bool = True


@dataclass(frozen=True)
class AlignTime(Transform):
    """`align_time`: the earliest event at 0."""

    function = staticmethod(times.align_time)


@dataclass(frozen=True)
class FlipX(Transform):
    """`flip_x`: mirrored left to right."""

    function = staticmethod(places.flip_x)


@dataclass(frozen=True)
class FlipY(Transform):
    """`flip_y`: mirrored top to bottom."""

    function = staticmethod(places.flip_y)


@dataclass(frozen=True)
class FlipPolarity(Transform):
    """`flip_polarity`: all polarities, or each with probability p; random where p is below 1."""

    function = staticmethod(polarities.flip_polarity)
    p: float = 1.0

    @property
    def random(self) -> bool:
        """Whether a call needs a generator."""
        return self.p < 1


@dataclass(frozen=True)
class MergePolarities(Transform):
    """`merge_polarities`: all polarities 1."""

    function = staticmethod(polarities.merge_polarities)


@dataclass(frozen=True)
class DropEvents(Transform):
    """`drop_events`: each event goes with probability p."""

    function = staticmethod(drops.drop_events)
    p: Share


@dataclass(frozen=True)
class DropByTime(Transform):
    """`drop_by_time`: the events of a random stretch of time go."""

    function = staticmethod(drops.drop_by_time)
    ratio: Share


@dataclass(frozen=True)
class DropByArea(Transform):
    """`drop_by_area`: the events of a random box go."""

    function = staticmethod(drops.drop_by_area)
    ratio: Share


@dataclass(frozen=True)
class DropPixelsAtRandom(Transform):
    """`drop_pixels_at_random`: each pixel is dead with probability p."""

    function = staticmethod(drops.drop_pixels_at_random)
    p: Share


@dataclass(frozen=True)
class EventDrop(Transform):
    """`event_drop`: one of no drop, a drop by time, by area or one by one."""

    function = staticmethod(drops.event_drop)


@dataclass(frozen=True)
class UniformNoise(Transform):
    """`uniform_noise`: n events more, or noise of `rate` Hz a pixel."""

    function = staticmethod(streams.uniform_noise)
    n: int | None = None
    _: KW_ONLY
    rate: float | None = None

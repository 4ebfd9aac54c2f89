"""Transforms of event streams: pure functions, and frozen objects of them that compose and have names."""

from ...registry import Registry
from .catalogue import (
    AlignTime,
    BackgroundActivity,
    Crop,
    CropTime,
    Decimate,
    Downsample,
    DownsampleDifferentiator,
    DownsampleIntegrator,
    DropByArea,
    DropByTime,
    DropEvents,
    DropPixels,
    DropPixelsAtRandom,
    EventDrop,
    FlipPolarity,
    FlipX,
    FlipY,
    HotPixels,
    MergeCoinciding,
    MergePolarities,
    RandomCrop,
    Refractory,
    SpatialJitter,
    TimeJitter,
    TimeReversal,
    TimeSkew,
    UniformNoise,
)
from .downsampling import downsample, downsample_differentiator, downsample_integrator
from .drops import drop_by_area, drop_by_time, drop_events, drop_pixels_at_random, event_drop
from .places import crop, flip_x, flip_y, random_crop, spatial_jitter
from .polarities import flip_polarity, merge_polarities
from .streams import merge, uniform_noise
from .times import align_time, crop_time, time_jitter, time_reversal, time_skew
from .transform import Compose, RandomApply, Transform

EVENT_TRANSFORMS: Registry[type[Transform]] = Registry("event transform")
"""The filters and transforms by the names of their functions: `EVENT_TRANSFORMS["refractory"](time=1.0)`."""
EVENT_TRANSFORMS.add("background_activity", BackgroundActivity)
EVENT_TRANSFORMS.add("refractory", Refractory)
EVENT_TRANSFORMS.add("merge_coinciding", MergeCoinciding)
EVENT_TRANSFORMS.add("hot_pixels", HotPixels)
EVENT_TRANSFORMS.add("drop_pixels", DropPixels)
EVENT_TRANSFORMS.add("decimate", Decimate)
EVENT_TRANSFORMS.add("crop", Crop)
EVENT_TRANSFORMS.add("random_crop", RandomCrop)
EVENT_TRANSFORMS.add("crop_time", CropTime)
EVENT_TRANSFORMS.add("downsample", Downsample)
EVENT_TRANSFORMS.add("downsample_integrator", DownsampleIntegrator)
EVENT_TRANSFORMS.add("downsample_differentiator", DownsampleDifferentiator)
EVENT_TRANSFORMS.add("spatial_jitter", SpatialJitter)
EVENT_TRANSFORMS.add("time_jitter", TimeJitter)
EVENT_TRANSFORMS.add("time_skew", TimeSkew)
EVENT_TRANSFORMS.add("time_reversal", TimeReversal)
EVENT_TRANSFORMS.add("align_time", AlignTime)
EVENT_TRANSFORMS.add("flip_x", FlipX)
EVENT_TRANSFORMS.add("flip_y", FlipY)
EVENT_TRANSFORMS.add("flip_polarity", FlipPolarity)
EVENT_TRANSFORMS.add("merge_polarities", MergePolarities)
EVENT_TRANSFORMS.add("drop_events", DropEvents)
EVENT_TRANSFORMS.add("drop_by_time", DropByTime)
EVENT_TRANSFORMS.add("drop_by_area", DropByArea)
EVENT_TRANSFORMS.add("drop_pixels_at_random", DropPixelsAtRandom)
EVENT_TRANSFORMS.add("event_drop", EventDrop)
EVENT_TRANSFORMS.add("uniform_noise", UniformNoise)
EVENT_TRANSFORMS.add("random_apply", RandomApply)

__all__ = [
    "EVENT_TRANSFORMS",
    "AlignTime",
    "BackgroundActivity",
    "Compose",
    "Crop",
    "CropTime",
    "Decimate",
    "Downsample",
    "DownsampleDifferentiator",
    "DownsampleIntegrator",
    "DropByArea",
    "DropByTime",
    "DropEvents",
    "DropPixels",
    "DropPixelsAtRandom",
    "EventDrop",
    "FlipPolarity",
    "FlipX",
    "FlipY",
    "HotPixels",
    "MergeCoinciding",
    "MergePolarities",
    "RandomApply",
    "RandomCrop",
    "Refractory",
    "SpatialJitter",
    "TimeJitter",
    "TimeReversal",
    "TimeSkew",
    "Transform",
    "UniformNoise",
    "align_time",
    "crop",
    "crop_time",
    "downsample",
    "downsample_differentiator",
    "downsample_integrator",
    "drop_by_area",
    "drop_by_time",
    "drop_events",
    "drop_pixels_at_random",
    "event_drop",
    "flip_polarity",
    "flip_x",
    "flip_y",
    "merge",
    "merge_polarities",
    "random_crop",
    "spatial_jitter",
    "time_jitter",
    "time_reversal",
    "time_skew",
    "uniform_noise",
]

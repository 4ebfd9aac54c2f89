"""Every representation as a frozen object that ends a chain of transforms: `Crop(...) | ToFrames(window=10)`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from ...spikes.container import Collisions
from ..container import Events
from ..transforms.transform import Transform
from .frames import accumulate, bit_planes, frames
from .grid import to_spikes
from .pixels import Polarity
from .surfaces import averaged_time_surfaces, time_surface
from .voxels import voxel_grid

_NONE = Events.from_arrays([], [], [], [])


@dataclass(frozen=True)
class Representation(Transform):
    """A function that draws events: what it returns are no events. The function itself checks the parameters."""

    def __post_init__(self) -> None:
        self.function(_NONE, **self.parameters)
        for name, value in self.parameters.items():
            if isinstance(value, (list, np.ndarray, np.generic)):
                plain: Any = np.asarray(value).tolist()
                object.__setattr__(self, name, tuple(plain) if isinstance(plain, list) else plain)
            if name == "dtype":
                object.__setattr__(self, name, np.dtype(value).name)


@dataclass(frozen=True)
class ToFrames(Representation):
    """`frames`: the number of events of each window and pixel."""

    function = staticmethod(frames)
    _: KW_ONLY
    window: float | None = None
    n_bins: int | None = None
    events_per_frame: int | None = None
    n_event_bins: int | None = None
    overlap: float = 0
    start: float | None = None
    end: float | None = None
    include_incomplete: bool = True
    polarity: Polarity = "separate"
    dtype: str = "int32"


@dataclass(frozen=True)
class ToImage(Representation):
    """`accumulate`: the number of events of each pixel."""

    function = staticmethod(accumulate)
    _: KW_ONLY
    polarity: Polarity = "separate"
    dtype: str = "int32"


@dataclass(frozen=True)
class ToBitPlanes(Representation):
    """`bit_planes`: numbers of which each bit tells whether there was an event in its part of the time."""

    function = staticmethod(bit_planes)
    n_frames: int = 1
    n_bits: int = 8
    _: KW_ONLY
    start: float | None = None
    end: float | None = None
    polarity: Polarity = "separate"


@dataclass(frozen=True)
class ToVoxelGrid(Representation):
    """`voxel_grid`: events shared among the two nearest of `n_bins` instants."""

    function = staticmethod(voxel_grid)
    n_bins: int
    _: KW_ONLY
    start: float | None = None
    end: float | None = None
    polarity: Polarity = "signed"


@dataclass(frozen=True)
class ToTimeSurface(Representation):
    """`time_surface`: exp(-age / tau) of the last event of each pixel, at some times."""

    function = staticmethod(time_surface)
    tau: float
    _: KW_ONLY
    at: tuple[float, ...] | None = None
    every: float | None = None
    polarity: Polarity = "separate"


@dataclass(frozen=True)
class ToAveragedTimeSurfaces(Representation):
    """`averaged_time_surfaces`: the histograms of HATS."""

    function = staticmethod(averaged_time_surfaces)
    cell_size: int
    radius: int
    tau: float
    window: float | None = None


@dataclass(frozen=True)
class ToSpikes(Representation):
    """`to_spikes`: spikes on steps of dt ms."""

    function = staticmethod(to_spikes)
    dt: float
    _: KW_ONLY
    polarity: Polarity = "separate"
    collisions: Collisions = "merge"
    start: float | None = None
    end: float | None = None

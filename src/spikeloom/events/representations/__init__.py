"""Dense and sparse forms of event streams: frames, bit planes, voxel grids, time surfaces, spikes on a grid."""

from ...registry import Registry
from ..transforms.transform import Transform
from .frames import accumulate, bit_planes, frames, iter_frames
from .grid import from_spikes, to_spikes
from .objects import ToAveragedTimeSurfaces, ToBitPlanes, ToFrames, ToImage, ToSpikes, ToTimeSurface, ToVoxelGrid
from .surfaces import averaged_time_surfaces, iter_time_surfaces, time_surface
from .voxels import voxel_grid

EVENT_REPRESENTATIONS: Registry[type[Transform]] = Registry("event representation")
"""The representations by the names of their functions: `EVENT_REPRESENTATIONS["frames"](window=10)`."""
EVENT_REPRESENTATIONS.add("frames", ToFrames)
EVENT_REPRESENTATIONS.add("accumulate", ToImage)
EVENT_REPRESENTATIONS.add("bit_planes", ToBitPlanes)
EVENT_REPRESENTATIONS.add("voxel_grid", ToVoxelGrid)
EVENT_REPRESENTATIONS.add("time_surface", ToTimeSurface)
EVENT_REPRESENTATIONS.add("averaged_time_surfaces", ToAveragedTimeSurfaces)
EVENT_REPRESENTATIONS.add("to_spikes", ToSpikes)

__all__ = [
    "EVENT_REPRESENTATIONS",
    "ToAveragedTimeSurfaces",
    "ToBitPlanes",
    "ToFrames",
    "ToImage",
    "ToSpikes",
    "ToTimeSurface",
    "ToVoxelGrid",
    "accumulate",
    "averaged_time_surfaces",
    "bit_planes",
    "frames",
    "from_spikes",
    "iter_frames",
    "iter_time_surfaces",
    "time_surface",
    "to_spikes",
    "voxel_grid",
]

"""The data model: `Spikes`, rasters, bits, encoders and artificial data."""

from .artificial import artificial_spikes
from .bits import pack_bits, unpack_bits
from .container import Collisions, Grid, Spikes
from .encode import (
    bernoulli,
    latency,
    moved,
    poisson,
    relative_latency,
    silence,
    single_spikes,
    steps_between,
    uniform,
)
from .validate import Numbers, validate_raster

__all__ = [
    "Collisions",
    "Grid",
    "Numbers",
    "Spikes",
    "artificial_spikes",
    "bernoulli",
    "latency",
    "moved",
    "pack_bits",
    "poisson",
    "relative_latency",
    "silence",
    "single_spikes",
    "steps_between",
    "uniform",
    "unpack_bits",
    "validate_raster",
]

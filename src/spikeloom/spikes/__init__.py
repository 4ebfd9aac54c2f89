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
from .latency_codes import linear_latency_encode_data, log_latency_encode_data
from .packed import PackedSpikes
from .preprocessed import (
    PreprocessedSpikes,
    batch_spikes,
    calc_latest_spike_time,
    calc_max_spikes,
    calc_start_spikes,
    from_preprocessed,
    preprocess_spikes,
    preprocess_tonic_spikes,
    preprocess_tonic_spikes_separate,
    to_preprocessed,
)
from .validate import Numbers, validate_raster

__all__ = [
    "Collisions",
    "Grid",
    "Numbers",
    "PackedSpikes",
    "PreprocessedSpikes",
    "Spikes",
    "artificial_spikes",
    "batch_spikes",
    "bernoulli",
    "calc_latest_spike_time",
    "calc_max_spikes",
    "calc_start_spikes",
    "from_preprocessed",
    "latency",
    "linear_latency_encode_data",
    "log_latency_encode_data",
    "moved",
    "pack_bits",
    "poisson",
    "preprocess_spikes",
    "preprocess_tonic_spikes",
    "preprocess_tonic_spikes_separate",
    "relative_latency",
    "silence",
    "single_spikes",
    "steps_between",
    "to_preprocessed",
    "uniform",
    "unpack_bits",
    "validate_raster",
]

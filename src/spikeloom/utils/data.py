"""What mlGeNN's `utils.data` offers, under its module path."""

from ..datasets import batch_dataset, generate_yin_yang_dataset, get_dataset_size, permute_dataset, split_dataset
from ..spikes import (
    PreprocessedSpikes,
    batch_spikes,
    calc_latest_spike_time,
    calc_max_spikes,
    calc_start_spikes,
    linear_latency_encode_data,
    log_latency_encode_data,
    preprocess_spikes,
    preprocess_tonic_spikes,
    preprocess_tonic_spikes_separate,
)

__all__ = [
    "PreprocessedSpikes", "batch_dataset", "batch_spikes", "calc_latest_spike_time", "calc_max_spikes",
    "calc_start_spikes", "generate_yin_yang_dataset", "get_dataset_size", "linear_latency_encode_data",
    "log_latency_encode_data", "permute_dataset", "preprocess_spikes", "preprocess_tonic_spikes",
    "preprocess_tonic_spikes_separate", "split_dataset",
]  # fmt: skip

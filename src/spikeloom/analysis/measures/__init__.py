"""Measures of spike trains; pure functions of `Spikes`, whose B samples are trials.

Values of graded spikes do not count, spikes do, unless a measure says otherwise. A result has units in its names. A
measure of a recording that may be bigger than memory is an accumulator of windows, which the function itself uses.
"""

from .activity import Activity, ActivityAccumulator, activity
from .avalanches import AvalancheAccumulator, Avalanches, avalanches
from .bins import checked_runs
from .bursts import BurstAccumulator, Bursts, bursts
from .correlations import (
    CountCorrelationAccumulator,
    CrossCorrelation,
    autocorrelation,
    cross_correlation,
    spike_count_correlation,
    spike_count_covariance,
)
from .cost import (
    AC_PJ,
    MAC_PJ,
    BitBudget,
    EffectiveOperations,
    SynapticOperations,
    bit_budget,
    effective_macs,
    energy_proxy_pj,
    synaptic_operations,
)
from .counts import FanoFactorAccumulator, SpikeCounts, fano_factor, spike_counts
from .distances import van_rossum_distance, victor_purpura_distance
from .intervals import (
    Intervals,
    IntervalsAccumulator,
    IsiHistogram,
    IsiHistogramAccumulator,
    inter_spike_intervals,
    isi_histogram,
)
from .pairs import seeded_neurons
from .rates import (
    MeanRateAccumulator,
    PopulationRate,
    PopulationRateAccumulator,
    mean_rate,
    neuron_rates,
    population_rate,
)
from .responses import (
    FirstSpikeLatencyAccumulator,
    InformationPerSpike,
    Psth,
    PsthAccumulator,
    first_spike_latency,
    information_per_spike,
    psth,
)
from .synchrony import (
    PopulationSynchronyAccumulator,
    population_synchrony,
    spike_contrast,
    spike_synchronization,
)
from .trains import IntervalMeasure, SharedIntervals, TrainIntervals
from .triggered import SpikeTriggeredAverage, spike_triggered_average
from .variation import (
    Cv2Accumulator,
    CvAccumulator,
    LocalVariationAccumulator,
    RevisedLocalVariationAccumulator,
    Variation,
    cv,
    cv2,
    local_variation,
    revised_local_variation,
)
from .volume import (
    Communication,
    ConnectionCost,
    MemoryVolume,
    communication_volume,
    connection_costs,
    memory_volume,
)

__all__ = [
    "AC_PJ",
    "MAC_PJ",
    "Activity",
    "ActivityAccumulator",
    "AvalancheAccumulator",
    "Avalanches",
    "BitBudget",
    "BurstAccumulator",
    "Bursts",
    "Communication",
    "ConnectionCost",
    "CountCorrelationAccumulator",
    "CrossCorrelation",
    "Cv2Accumulator",
    "CvAccumulator",
    "EffectiveOperations",
    "FanoFactorAccumulator",
    "FirstSpikeLatencyAccumulator",
    "InformationPerSpike",
    "IntervalMeasure",
    "Intervals",
    "IntervalsAccumulator",
    "IsiHistogram",
    "IsiHistogramAccumulator",
    "LocalVariationAccumulator",
    "MeanRateAccumulator",
    "MemoryVolume",
    "PopulationRate",
    "PopulationRateAccumulator",
    "PopulationSynchronyAccumulator",
    "Psth",
    "PsthAccumulator",
    "RevisedLocalVariationAccumulator",
    "SharedIntervals",
    "SpikeCounts",
    "SpikeTriggeredAverage",
    "SynapticOperations",
    "TrainIntervals",
    "Variation",
    "activity",
    "autocorrelation",
    "avalanches",
    "bit_budget",
    "bursts",
    "checked_runs",
    "communication_volume",
    "connection_costs",
    "cross_correlation",
    "cv",
    "cv2",
    "effective_macs",
    "energy_proxy_pj",
    "fano_factor",
    "first_spike_latency",
    "information_per_spike",
    "inter_spike_intervals",
    "isi_histogram",
    "local_variation",
    "mean_rate",
    "memory_volume",
    "neuron_rates",
    "population_rate",
    "population_synchrony",
    "psth",
    "revised_local_variation",
    "seeded_neurons",
    "spike_contrast",
    "spike_count_correlation",
    "spike_count_covariance",
    "spike_counts",
    "spike_synchronization",
    "spike_triggered_average",
    "synaptic_operations",
    "van_rossum_distance",
    "victor_purpura_distance",
]

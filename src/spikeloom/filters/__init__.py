"""Linear filters over time: synaptic currents, traces, averages, memories, read-outs, post-filters."""

from .description import FILTERS, describe, filter_from
from .filter import Filter
from .low_pass import LogSpaced, LowPass
from .sections import SecondOrderSections
from .state_space import StateSpace
from .synaptic import Alpha, DoubleExponential, first_order_synapse, second_order_synapse
from .weighted_mean import MeanState, weighted_mean

__all__ = [
    "FILTERS",
    "Alpha",
    "DoubleExponential",
    "Filter",
    "LogSpaced",
    "LowPass",
    "MeanState",
    "SecondOrderSections",
    "StateSpace",
    "describe",
    "filter_from",
    "first_order_synapse",
    "second_order_synapse",
    "weighted_mean",
]

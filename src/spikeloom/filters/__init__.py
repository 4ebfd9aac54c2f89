"""Linear filters over time: synaptic currents, traces, averages, memories, read-outs, post-filters."""

from .description import FILTERS, describe, filter_from
from .filter import Filter
from .low_pass import LogSpaced, LowPass
from .sections import SecondOrderSections
from .state_space import StateSpace

__all__ = [
    "FILTERS",
    "Filter",
    "LogSpaced",
    "LowPass",
    "SecondOrderSections",
    "StateSpace",
    "describe",
    "filter_from",
]

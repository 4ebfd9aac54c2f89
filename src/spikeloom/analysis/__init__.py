"""Measures, plots and reports of spikes and recorded sessions."""

from . import measures, plots
from .analyzer import SimulationAnalyzer
from .layer_sections import LayerView
from .rates import FiringRate, firing_rate
from .report import Picture, Section, Table, write_report
from .sessions import session_report, write_session_report
from .votes import Votes, votes

__all__ = [
    "FiringRate",
    "LayerView",
    "Picture",
    "Section",
    "SimulationAnalyzer",
    "Table",
    "Votes",
    "firing_rate",
    "measures",
    "plots",
    "session_report",
    "votes",
    "write_report",
    "write_session_report",
]

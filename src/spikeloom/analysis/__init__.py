"""Measures, plots and reports of spikes and recorded sessions."""

from . import measures, plots
from .analyzer import SimulationAnalyzer
from .rates import FiringRate, firing_rate
from .report import Picture, Section, Table, session_report, write_report, write_session_report

__all__ = [
    "FiringRate",
    "Picture",
    "Section",
    "SimulationAnalyzer",
    "Table",
    "firing_rate",
    "measures",
    "plots",
    "session_report",
    "write_report",
    "write_session_report",
]

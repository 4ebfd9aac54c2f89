"""Where a run finds the sink that takes what happens in it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ..errors import ParameterError
from .protocols import Sink

Record: TypeAlias = "Sink | Literal[False] | None"
"""The sink of a run: one that is given, none (False), or the global one where there is one (None)."""

_sink: Sink | None = None


def set_global_sink(sink: Sink | None) -> None:
    """Makes a sink the one of every run of this process that names none; None for none."""
    global _sink
    if sink is not None and not isinstance(sink, Sink):
        raise ParameterError(f"set_global_recorder takes a SimulationRecorder or None, got {sink!r:.80}")
    _sink = sink


def global_sink() -> Sink | None:
    """The sink of the runs of this process that name none, or None."""
    return _sink


def sink_of(record: Record) -> Sink | None:
    """The sink that `record=` of a run means; ParameterError for what is none."""
    if record is None:
        return _sink
    if record is False:
        return None
    if not hasattr(record, "wants"):  # isinstance of a Protocol costs as much as a small run's step
        raise ParameterError(
            f"Network.run: record must be a SimulationRecorder, False for none, or None for the global one, got "
            f"{record!r:.80}"
        )
    return record

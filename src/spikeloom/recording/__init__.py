"""Recording of runs: the recorder, its settings, and the reader of sessions."""

from .batches import MembraneBatch, Run, SpikeBatch, runs_of
from .config import RecorderConfig
from .recorder import SimulationRecorder, get_global_recorder, set_global_recorder
from .sampling import Sampling
from .session import Session, Snapshot

__all__ = [
    "MembraneBatch",
    "RecorderConfig",
    "Run",
    "Sampling",
    "Session",
    "SimulationRecorder",
    "Snapshot",
    "SpikeBatch",
    "get_global_recorder",
    "runs_of",
    "set_global_recorder",
]

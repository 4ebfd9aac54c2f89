"""Recording of runs: the recorder, its settings, and the reader of sessions."""

from .batches import MembraneBatch, SpikeBatch
from .config import RecorderConfig
from .recorder import SimulationRecorder, get_global_recorder, set_global_recorder
from .sampling import Sampling
from .session import Session, Snapshot

__all__ = [
    "MembraneBatch",
    "RecorderConfig",
    "Sampling",
    "Session",
    "SimulationRecorder",
    "Snapshot",
    "SpikeBatch",
    "get_global_recorder",
    "set_global_recorder",
]

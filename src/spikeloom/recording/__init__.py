"""Recording of runs: the recorder, its settings, and the reader of sessions."""

from .batches import MembraneBatch, Run, SpikeBatch, runs_of
from .config import RecorderConfig
from .consolidate import consolidate
from .follow import Follower, Update, follow
from .options import RecordingOptions
from .recorder import SimulationRecorder, get_global_recorder, set_global_recorder
from .sampling import Sampling
from .session import Extent, Session, Snapshot, sessions_in
from .statistics import RecorderState

__all__ = [
    "Extent",
    "Follower",
    "MembraneBatch",
    "RecorderConfig",
    "RecorderState",
    "RecordingOptions",
    "Run",
    "Sampling",
    "Session",
    "SimulationRecorder",
    "Snapshot",
    "SpikeBatch",
    "Update",
    "consolidate",
    "follow",
    "get_global_recorder",
    "runs_of",
    "sessions_in",
    "set_global_recorder",
]

"""Recording of runs: the recorder, its settings, and the reader of sessions."""

from typing import TYPE_CHECKING, Any

from .batches import MembraneBatch, Run, SpikeBatch, runs_of
from .config import RecorderConfig
from .consolidate import consolidate
from .follow import Follower, Update, follow
from .options import RecordingOptions
from .repair import RepairReport, repair
from .sampling import Sampling
from .session import Extent, Session, Snapshot, sessions_in
from .statistics import RecorderState
from .verify import VerifyReport, verify

if TYPE_CHECKING:
    from .recorder import SimulationRecorder, get_global_recorder, set_global_recorder

__all__ = [
    "Extent",
    "Follower",
    "MembraneBatch",
    "RecorderConfig",
    "RecorderState",
    "RecordingOptions",
    "RepairReport",
    "Run",
    "Sampling",
    "Session",
    "SimulationRecorder",
    "Snapshot",
    "SpikeBatch",
    "Update",
    "VerifyReport",
    "consolidate",
    "follow",
    "get_global_recorder",
    "repair",
    "runs_of",
    "sessions_in",
    "set_global_recorder",
    "verify",
]


def __getattr__(name: str) -> Any:
    """The recorder's own names: it stands on the network, and so on torch, which a reader does without."""
    if name not in ("SimulationRecorder", "get_global_recorder", "set_global_recorder"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import recorder

    return getattr(recorder, name)

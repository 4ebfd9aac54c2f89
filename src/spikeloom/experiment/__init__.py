"""Whole training runs: what `spikeloom train` does."""

from ..training import Interrupted
from .config import TrainConfig, config_from, read_config
from .run import RunResult, environment, resume_run, start_run

__all__ = [
    "Interrupted",
    "RunResult",
    "TrainConfig",
    "config_from",
    "environment",
    "read_config",
    "resume_run",
    "start_run",
]

"""The recorder under EvoSpikeNet's module path."""

from .recording import RecorderConfig, SimulationRecorder, get_global_recorder, set_global_recorder

__all__ = ["RecorderConfig", "SimulationRecorder", "get_global_recorder", "set_global_recorder"]

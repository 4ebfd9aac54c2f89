"""Engines: how a described network is run."""

from .ops import TorchOps
from .path import Path, TorchPath
from .plan import Plan, make_plan
from .torch_backend import PATHS, TorchBackend, TorchBuild

Torch_Backend = TorchBackend

__all__ = ["PATHS", "Path", "Plan", "TorchBackend", "TorchBuild", "TorchOps", "TorchPath", "Torch_Backend", "make_plan"]

"""Engines: how a described network is run."""

from .ops import TorchOps
from .path import Path, TorchPath
from .plan import Plan, make_plan
from .plastic import PlasticRun
from .torch_backend import PATHS, TorchBackend, TorchBuild

Torch_Backend = TorchBackend

__all__ = [
    "PATHS",
    "Path",
    "Plan",
    "PlasticRun",
    "TorchBackend",
    "TorchBuild",
    "TorchOps",
    "TorchPath",
    "Torch_Backend",
    "make_plan",
]

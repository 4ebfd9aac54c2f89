"""Learners, losses, training and evaluation."""

from .algorithms import ALGORITHMS
from .evaluation import Metrics, evaluate, predict
from .fit import Epoch, Interrupted, fit
from .learner import Learner
from .local_loss import LocalLoss
from .losses import LOSSES, RateLoss, linear_cka, temporal_cross_entropy
from .optimizers import OPTIMIZERS, SCHEDULES
from .reinforcement import GymEnvironment, ReplayMemory, RLPipeline, Transitions

__all__ = [
    "ALGORITHMS",
    "LOSSES",
    "OPTIMIZERS",
    "SCHEDULES",
    "Epoch",
    "GymEnvironment",
    "Interrupted",
    "Learner",
    "LocalLoss",
    "Metrics",
    "RLPipeline",
    "RateLoss",
    "ReplayMemory",
    "Transitions",
    "evaluate",
    "fit",
    "linear_cka",
    "predict",
    "temporal_cross_entropy",
]

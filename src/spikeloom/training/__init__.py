"""Learners, losses, training and evaluation."""

from .algorithms import ALGORITHMS
from .evaluation import Metrics, evaluate, predict
from .fit import Epoch, Interrupted, fit
from .learner import OPTIMIZERS, SCHEDULES, Learner
from .losses import LOSSES, RateLoss

__all__ = [
    "ALGORITHMS",
    "LOSSES",
    "OPTIMIZERS",
    "SCHEDULES",
    "Epoch",
    "Interrupted",
    "Learner",
    "Metrics",
    "RateLoss",
    "evaluate",
    "fit",
    "predict",
]

"""Learners and training."""

from .algorithms import ALGORITHMS
from .learner import OPTIMIZERS, SCHEDULES, Learner

__all__ = ["ALGORITHMS", "OPTIMIZERS", "SCHEDULES", "Learner"]

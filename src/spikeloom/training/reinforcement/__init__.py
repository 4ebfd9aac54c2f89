"""Networks as agents: environments of Gymnasium, a memory of what happened, and the loop between them."""

from .environment import GymEnvironment, Step
from .pipeline import RLPipeline
from .replay_memory import ReplayMemory, Transitions

__all__ = ["GymEnvironment", "RLPipeline", "ReplayMemory", "Step", "Transitions"]

"""Plasticity: rules as records, over traces of the spikes of both ends of a connection.

What a rule does in one step is plain array code in the vocabulary of `spikeloom.ops`, on NumPy arrays and on tensors;
the compiled kernel (`spikeloom.native.plastic`) is its twin. `spikeloom.backends.PlasticRun` runs either.
"""

from .homeostasis import Homeostasis
from .pair import Change, Normalise, PairRule, Traces
from .trace import Trace

__all__ = ["Change", "Homeostasis", "Normalise", "PairRule", "Trace", "Traces"]

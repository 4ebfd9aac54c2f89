"""From a neuron's own lines to a kernel: traced, differentiated, printed as C++, compiled.

Elementwise neurons with their emission and their filters become expressions, their adjoint follows symbolically, and
a functor for the headers of `spikeloom.native` is printed. Nothing here imports torch.
"""

from .adjoint import Adjoint, adjoint
from .graph import TraceError, evaluate
from .model import Model
from .rule import RuleStep, constants, trace_rule
from .trace import Inlet, Step, parameters, trace

__all__ = [
    "Adjoint",
    "Inlet",
    "Model",
    "RuleStep",
    "Step",
    "TraceError",
    "adjoint",
    "constants",
    "evaluate",
    "parameters",
    "trace",
    "trace_rule",
]

"""Neuron models as equations in text: read by a short grammar, units checked, solved over one step."""

from .definition import Definition, as_text, given
from .model import Statement
from .program import COUNTER, Program
from .running import after_spike, initial, step, threshold

__all__ = [
    "COUNTER",
    "Definition",
    "Program",
    "Statement",
    "after_spike",
    "as_text",
    "given",
    "initial",
    "step",
    "threshold",
]

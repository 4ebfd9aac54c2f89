r"""Leaky integrator: a read-out that does not spike and emits its potential.

tau_m dv/dt = -(v - v_rest),   v += i   when the input i of a step arrives
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from .emission import Emission, Graded, NoReset
from .lif import Leaky
from .neuron import Value


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LI(Leaky):
    """tau_m in ms; scale_input as in LIF."""

    tau_m: Value = 20.0
    emission: Emission = Emission(threshold=0.0, forward=Graded(), reset=NoReset())

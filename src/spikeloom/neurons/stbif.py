r"""Signed integrate-and-fire neuron with a spike tracker, ST-BIF: it counts out a quantised ReLU.

    v += i;   o = +1 where v >= step and S < levels,  -1 where v < 0 and S > 0,  else 0;   v -= o step;   S += o

It puts out o, a signed spike worth `step` to those that it reaches. v starts at step / 2 + start, start being what the
first step brings beside its input, such as a bias. Once nothing more comes in and it has settled, S is
clip(floor((start + sum of inputs) / step + 1 / 2), 0, levels): the quantised ReLU (You et al., 2024, SpikeZIP-TF; Hu et
al., 2024, "Optimal SNN in sequence learning via CRNN-SNN conversion").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .emission import Emission, Graded, NoReset
from .neuron import Neuron, Value, check_finite, check_positive


class STBIFState(NamedTuple, Generic[A]):
    """Membrane potential v, tracker S of the spikes sent so far, and the output o of the step, (B, *shape) each."""

    v: A
    tracker: A
    output: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class STBIF(Neuron[STBIFState[Any]]):
    """step: what a spike is worth, and the threshold; levels: the most spikes at once sent; start: see above."""

    step: Value = 1.0
    levels: Value = 15.0
    start: Value = 0.0
    emission: Emission = Emission(variable="output", threshold=0.0, forward=Graded(), reset=NoReset())

    State = STBIFState

    def check(self) -> None:
        check_positive(self, "step", "levels")
        check_finite(self, "start")

    def initial(self) -> STBIFState[Any]:
        return STBIFState(v=self.step * 0.5 + self.start, tracker=0.0, output=0.0)

    def update(self, state: STBIFState[A], inputs: A, dt: float, xp: Ops[A]) -> STBIFState[A]:
        v: Any = state.v + inputs
        sent: Any = state.tracker
        up = xp.where(v >= self.step, 1.0, 0.0) * xp.where(sent < self.levels, 1.0, 0.0)
        down = xp.where(v < 0.0, 1.0, 0.0) * xp.where(sent > 0.0, 1.0, 0.0)
        output = up - down
        return STBIFState(v=v - output * self.step, tracker=sent + output, output=output)

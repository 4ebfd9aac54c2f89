r"""Parametric leaky integrate-and-fire neuron, whose leak is trained (Fang et al., 2021, ICCV, eq. 9-11).

    v <- v + k(w) (i - (v - v_reset)),   k(w) = 1 / (1 + exp(-w)) = 1 / tau_m

It fires when v >= v_th; v is then set to v_reset. As in the paper tau_m counts steps, whatever dt is: it is the number
of steps in which v comes up to its input, above 1, and w = -log(tau_m - 1) is what is trained, one for a layer or one
for each neuron. scale_input=False leaves out the k(w) before i, as SpikingJelly's decay_input=False. Defaults after
the paper's code and SPAIC's `plif`, which stops because its operation sigmoid is not registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..errors import ParameterError
from ..ops import A, Ops
from .emission import Emission, ToValue
from .lif import LIFState
from .neuron import Neuron, Value, check_finite, check_flag


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class PLIF(Neuron[LIFState[Any]]):
    """Give tau_m, in steps (2 where neither is given), or w: it is w that is trained, tau_m tells where it starts.

    Potentials in units of the threshold.
    """

    tau_m: Value = None
    w: Value = None
    v_th: Value = 1.0
    v_reset: Value = 0.0
    scale_input: bool = True
    emission: Emission = Emission(reset=ToValue("v_reset"))

    State = LIFState
    trains = ("w",)
    reads = ("v_reset",)

    def check(self) -> None:
        check_finite(self, "v_th", "v_reset")
        check_flag(self, "scale_input")
        if self.w is None:
            object.__setattr__(self, "tau_m", 2.0 if self.tau_m is None else self.tau_m)
            self._check_tau()
            object.__setattr__(self, "w", _plain(np.log(1 / (np.asarray(self.tau_m) - 1))))
        check_finite(self, "w")
        steps = _plain(1 + np.exp(-np.asarray(self.w)))
        if self.tau_m is None:
            object.__setattr__(self, "tau_m", steps)
        self._check_tau()
        if np.shape(self.tau_m) != np.shape(steps) or not np.allclose(self.tau_m, steps, rtol=1e-6):
            raise ParameterError(f"PLIF.tau_m = {self.tau_m!r} and w = {self.w!r} do not agree; give one of them")

    def _check_tau(self) -> None:
        check_finite(self, "tau_m")
        if not np.all(np.asarray(self.tau_m) > 1):
            raise ParameterError(f"PLIF.tau_m must be a number of steps above 1, got {self.tau_m!r}")

    def initial(self) -> LIFState[Any]:
        return LIFState(v=self.v_reset)

    def update(self, state: LIFState[A], inputs: A, dt: float, xp: Ops[A]) -> LIFState[A]:
        share: Any = 1 / (1 + xp.exp(-self.w))
        fallen: Any = state.v - self.v_reset
        if self.scale_input:
            return LIFState(v=state.v + (inputs - fallen) * share)
        return LIFState(v=state.v - fallen * share + inputs)


def _plain(value: Any) -> Any:
    return value if np.ndim(value) else float(value)

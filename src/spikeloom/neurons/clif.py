r"""Current-based leaky integrate-and-fire neuron with a double-exponential kernel (SPAIC's `clif`).

    m <- m exp(-dt/tau_p) + v_0 i,    s <- s exp(-dt/tau_q) + v_0 i,    v = m - s - e

It fires when v >= v_th, and then e <- e exp(-dt/tau_m) + v_th z: the reset is a kernel of its own, v is not set. v_0
makes the peak of the response to one unit of input 1 and is trained unless told otherwise. It is the spike response
model of the tempotron (Gutig & Sompolinsky, 2006, Nature Neuroscience 9:420), as used by STCA (Gu et al., 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

import numpy as np

from ..errors import ParameterError
from ..ops import A, Ops
from .emission import Emission, NoReset
from .neuron import Neuron, Value, check_finite, check_positive


class CLIFState(NamedTuple, Generic[A]):
    """Potential v = m - s - e, rising part m, falling part s, reset kernel e: (B, *shape), units of the threshold."""

    v: A
    m: A
    s: A
    e: A


def put_gain(neuron: Neuron[Any], slow: str, fast: str) -> None:
    """Puts v_0 in place where it is None: the gain with which exp(-t/slow) - exp(-t/fast) has a peak of 1.

    Raises ParameterError where there is no peak, and for a v_0 that is no finite number.
    """
    tau_slow, tau_fast = getattr(neuron, slow), getattr(neuron, fast)
    if np.any(np.asarray(tau_slow) <= np.asarray(tau_fast)):
        raise ParameterError(
            f"{type(neuron).__name__}.{slow} must be greater than {fast}, or the response has no peak; "
            f"got {tau_slow!r} and {tau_fast!r}"
        )
    if neuron.v_0 is None:  # type: ignore[attr-defined]
        ratio = np.asarray(tau_slow) / np.asarray(tau_fast)
        gain = ratio ** (ratio / (ratio - 1)) / (ratio - 1)
        object.__setattr__(neuron, "v_0", gain if gain.ndim else float(gain))
    check_finite(neuron, "v_0")


def respond(state: CLIFState[A], scaled: A, slow: A, fast: A) -> CLIFState[A]:
    """The state after one step with the scaled input; slow and fast: what remains of m and s after it."""
    m, s = state.m * slow + scaled, state.s * fast + scaled
    return CLIFState(v=m - s - state.e, m=m, s=s, e=state.e)


@dataclass(frozen=True, kw_only=True, slots=True)
class Response(Neuron[CLIFState[Any]]):
    """What answers with m - s and resets by the kernel e; it starts with all of them at zero."""

    emission: Emission = Emission(reset=NoReset())

    State = CLIFState

    def initial(self) -> CLIFState[Any]:
        return CLIFState(v=0.0, m=0.0, s=0.0, e=0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class CLIF(Response):
    """tau_m (reset), tau_p and tau_q (response, tau_p > tau_q) in ms; v_0 None: the gain that makes the peak 1."""

    tau_m: Value = 20.0
    tau_p: Value = 12.0
    tau_q: Value = 8.0
    v_th: Value = 1.0
    v_0: Value = None

    trains = ("v_0",)

    def check(self) -> None:
        check_positive(self, "tau_m", "tau_p", "tau_q")
        check_finite(self, "v_th")
        put_gain(self, "tau_p", "tau_q")

    def update(self, state: CLIFState[A], inputs: A, dt: float, xp: Ops[A]) -> CLIFState[A]:
        return respond(state, inputs * self.v_0, xp.exp(-dt / self.tau_p), xp.exp(-dt / self.tau_q))

    def after_spike(self, state: CLIFState[A], spikes: A, dt: float, xp: Ops[A]) -> CLIFState[A]:
        return state._replace(e=state.e * xp.exp(-dt / self.tau_m) + spikes * self.v_th)

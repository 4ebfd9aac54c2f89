r"""Variants of the neuron with a double-exponential kernel (SPAIC's `clif2k`, `pclif` and `aclif`).

All have v = m - s - e and fire when v >= v_th; the reset is the kernel e, v is not set.

    CLIF2K        m <- m exp(-dt/tau_m) + v_0 i,   s <- s exp(-dt/tau_s) + v_0 i,   e <- e exp(-dt/tau_m) + v_th z
    PCLIF         m <- (m + i) tau_m,              s <- (s + i) tau_s,              e <- e tau_m + v_th z
    AdaptiveCLIF  as CLIF, with v = m - s - (e + beta_adaptive a),   a <- a exp(-dt/tau_a) + z

In PCLIF, as in SPAIC, tau_m and tau_s are what remains after one step, numbers from 0 to 1, not times, and they are
trained, whatever dt is. z is the spike of the step, 0 or 1; e and a take it up for the next one.
`run` starts a from 0 again, as all states; in SPAIC a survives from run to run. `run_continue` keeps it, and the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, Ops
from .checks import check_factor
from .clif import CLIF, CLIFState, Response, put_gain, respond
from .neuron import Value, check_finite, check_positive


class AdaptiveCLIFState(NamedTuple, Generic[A]):
    """Potential v, kernels m, s, e and adaptation a: (B, *shape), units of the threshold; a counts spikes."""

    v: A
    m: A
    s: A
    e: A
    a: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class CLIF2K(Response):
    """tau_m (reset and slow part) and tau_s (fast part, tau_s < tau_m) in ms; v_0 None: the gain that makes the peak
    1."""

    tau_m: Value = 20.0
    tau_s: Value = 12.0
    v_th: Value = 1.0
    v_0: Value = None

    trains = ("v_0",)

    def check(self) -> None:
        check_positive(self, "tau_m", "tau_s")
        check_finite(self, "v_th")
        put_gain(self, "tau_m", "tau_s")

    def update(self, state: CLIFState[A], inputs: A, dt: float, xp: Ops[A]) -> CLIFState[A]:
        return respond(state, inputs * self.v_0, xp.exp(-dt / self.tau_m), xp.exp(-dt / self.tau_s))

    def after_spike(self, state: CLIFState[A], spikes: A, dt: float, xp: Ops[A]) -> CLIFState[A]:
        return state._replace(e=state.e * xp.exp(-dt / self.tau_m) + spikes * self.v_th)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class PCLIF(Response):
    """tau_m (reset and slow part) and tau_s (fast part): what remains after one step, from 0 to 1."""

    tau_m: Value = 0.9
    tau_s: Value = 0.6
    v_th: Value = 1.0

    trains = ("tau_m", "tau_s")

    def check(self) -> None:
        check_factor(self, "tau_m", "tau_s")
        check_finite(self, "v_th")

    def update(self, state: CLIFState[A], inputs: A, dt: float, xp: Ops[A]) -> CLIFState[A]:
        m, s = (state.m + inputs) * self.tau_m, (state.s + inputs) * self.tau_s
        return CLIFState(v=m - s - state.e, m=m, s=s, e=state.e)

    def after_spike(self, state: CLIFState[A], spikes: A, dt: float, xp: Ops[A]) -> CLIFState[A]:
        return state._replace(e=state.e * self.tau_m + spikes * self.v_th)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptiveCLIF(CLIF):
    """CLIF with tau_a in ms, and beta_adaptive in units of the threshold for each spike that a holds."""

    tau_a: Value = 2000.0
    beta_adaptive: Value = 0.1

    State = AdaptiveCLIFState  # type: ignore[assignment]

    def check(self) -> None:
        CLIF.check(self)
        check_positive(self, "tau_a")
        check_finite(self, "beta_adaptive")

    def initial(self) -> Any:
        return AdaptiveCLIFState(v=0.0, m=0.0, s=0.0, e=0.0, a=0.0)

    def update(self, state: Any, inputs: A, dt: float, xp: Ops[A]) -> Any:
        moved = CLIF.update(self, CLIFState(*state[:4]), inputs, dt, xp)
        return AdaptiveCLIFState(*moved._replace(v=moved.v - self.beta_adaptive * state.a), a=state.a)

    def after_spike(self, state: Any, spikes: A, dt: float, xp: Ops[A]) -> Any:
        reset: Any = CLIF.after_spike(self, state, spikes, dt, xp)
        return reset._replace(a=state.a * xp.exp(-dt / self.tau_a) + spikes)

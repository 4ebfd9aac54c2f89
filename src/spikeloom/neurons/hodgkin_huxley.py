r"""The squid axon of Hodgkin & Huxley (1952, Journal of Physiology 117:500).

    c_m dv/dt = -g_na m^3 h (v - e_na) - g_k n^4 (v - e_k) - g_l (v - e_l) + i
    dx/dt = alpha_x (1 - x) - beta_x x      for x = m, h, n, with u = v - v_rest in mV and rates in 1/ms:

    alpha_m = 0.1 (25 - u) / (exp((25 - u) / 10) - 1)       beta_m = 4 exp(-u / 18)
    alpha_h = 0.07 exp(-u / 20)                             beta_h = 1 / (exp((30 - u) / 10) + 1)
    alpha_n = 0.01 (10 - u) / (exp((10 - u) / 10) - 1)      beta_n = 0.125 exp(-u / 80)

A spike is emitted where v crosses v_th from below, once; v is not reset. In a step the gates are exact with v held,
then v is exact with the gates held (exponential Euler): stable for any dt, accurate for 0.05 ms and less. Exponents are
cut at 50 and the 0/0 of alpha_m and alpha_n is filled in, so that nothing overflows. The input i is a current density
that lasts for the step.

The defaults are the paper's, with the potential counted from rest (rest = 0, as in SPAIC's `hh`). For the potentials of
today give v_rest=-65, e_na=50, e_k=-77, e_l=-54.387, v_th=-15. (SPAIC's `hh` has e_na = 120, fires in every step with v
above 1 mV, adds the input without dt, starts with half-open gates and steps them by Euler's rule.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, final

from ..ops import A, NumpyOps, Ops
from .emission import Emission, NoReset
from .neuron import Neuron, Value, check_above_zero, check_finite

LARGEST_EXPONENT = 50.0
OUT_OF_REACH = 1e6
"""How far, in mV, the threshold is raised while v is above it already."""


class HodgkinHuxleyState(NamedTuple, Generic[A]):
    """Potential v in mV, gates m, h, n, and armed: 1 where v was below the threshold a step ago. (B, *shape)."""

    v: A
    m: A
    h: A
    n: A
    armed: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class HodgkinHuxley(Neuron[HodgkinHuxleyState[Any]]):
    """c_m in uF/cm^2; g_na, g_k, g_l in mS/cm^2; e_na, e_k, e_l, v_rest and v_th in mV."""

    c_m: Value = 1.0
    g_na: Value = 120.0
    g_k: Value = 36.0
    g_l: Value = 0.3
    e_na: Value = 115.0
    e_k: Value = -12.0
    e_l: Value = 10.613
    v_rest: Value = 0.0
    v_th: Value = 50.0
    emission: Emission = Emission(reset=NoReset())

    State = HodgkinHuxleyState

    def check(self) -> None:
        check_above_zero(self, "c_m", "g_na", "g_k", "g_l")
        check_finite(self, "e_na", "e_k", "e_l", "v_rest", "v_th")

    def initial(self) -> HodgkinHuxleyState[Any]:
        m, h, n = (float(alpha / (alpha + beta)) for alpha, beta in rates(0.0, NumpyOps()))
        return HodgkinHuxleyState(v=self.v_rest, m=m, h=h, n=n, armed=1.0)

    def update(self, state: HodgkinHuxleyState[A], inputs: A, dt: float, xp: Ops[A]) -> HodgkinHuxleyState[A]:
        gates = zip((state.m, state.h, state.n), rates(state.v - self.v_rest, xp), strict=True)
        m, h, n = (_moved(x, alpha, beta, dt, xp) for x, (alpha, beta) in gates)
        sodium, potassium = self.g_na * m * m * m * h, self.g_k * n * n * n * n
        total = sodium + potassium + self.g_l
        held = (sodium * self.e_na + potassium * self.e_k + self.g_l * self.e_l + inputs) / total
        v = held + (state.v - held) * xp.exp(-dt / self.c_m * total)
        armed = xp.where(state.v < Neuron.threshold(self, state, xp), 1.0, 0.0 * state.armed)
        return HodgkinHuxleyState(v=v, m=m, h=h, n=n, armed=armed)

    def threshold(self, state: HodgkinHuxleyState[A], xp: Ops[A]) -> Value:
        return Neuron.threshold(self, state, xp) + (1 - state.armed) * OUT_OF_REACH


def rates(u: Any, xp: Ops[Any]) -> tuple[tuple[Any, Any], tuple[Any, Any], tuple[Any, Any]]:
    """Opening and closing rates in 1/ms of the gates m, h and n at u mV above rest."""
    m = _linear_over_exponential((25.0 - u) * 0.1, xp), 4.0 * _exp(u * (-1 / 18), xp)
    h = 0.07 * _exp(u * -0.05, xp), 1 / (_exp((30.0 - u) * 0.1, xp) + 1)
    n = 0.1 * _linear_over_exponential((10.0 - u) * 0.1, xp), 0.125 * _exp(u * (-1 / 80), xp)
    return m, h, n


def _moved(x: Any, alpha: Any, beta: Any, dt: float, xp: Ops[Any]) -> Any:
    """A gate after dt ms at constant rates."""
    total = alpha + beta
    held = alpha / total
    return held + (x - held) * xp.exp(total * -dt)


def _exp(x: Any, xp: Ops[Any]) -> Any:
    return xp.exp(xp.minimum(x, LARGEST_EXPONENT))


def _linear_over_exponential(x: Any, xp: Ops[Any]) -> Any:
    """x / (exp(x) - 1): for |x| < 0.1 by its series, of which the next term is below 1e-14."""
    near = xp.abs(x) < 0.1
    square = x * x
    series = 1 - 0.5 * x + square * (1 / 12 - square * (1 / 720 - square * (1 / 30240)))
    safe = xp.where(near, 1.0, x)
    return xp.where(near, series, safe / (_exp(safe, xp) - 1))

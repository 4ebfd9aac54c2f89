r"""The expressive leaky memory neuron (Spieler, Rahaman, Martius, Schoelkopf & Levina, 2023, arXiv 2306.16922).

A population of n is one neuron with n memory units m, whose time constants are spread from 1 ms to 1 s, and an MLP that
proposes their next values from its n dendritic branches x and from the memory itself:

    kappa = exp(-dt / tau_m),   proposal = tanh*(w_out relu(w_in [x, kappa m] + b_in) + b_out)
    m <- kappa m + lam (1 - kappa) proposal,     tanh*(z) = 1.7159 tanh(2 z / 3)

With bounded=True the gain is 1 - exp(-lam dt / tau_m), as in the second version of the released code. The branches are
the port's current: the synapses, their traces of 5 ms and their sum on a branch are the weights and the filter of the
connection, LowPass(tau=5.0); branches that nothing reaches are 0. The memory goes out as it is; the output y = W m is
the connection to a read-out. A population of shape (..., n) holds several such neurons, which share the MLP.

The MLP couples the units of a neuron. Its numbers are drawn uniformly within 1 / sqrt(number of inputs) where none are
given, by the generator of the network, and trained.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, final

import numpy as np

from ..errors import ParameterError, ShapeError
from ..filters.filter import checked
from ..ops import A, Ops
from .emission import Emission, Graded, NoReset
from .neuron import Neuron, Value, check_above_zero, check_flag, check_positive


class ELMState(NamedTuple, Generic[A]):
    """The memory m, (B, ..., n)."""

    m: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ELM(Neuron[ELMState[Any]]):
    """tau_m in ms, None: from 1 to 1000 with a constant ratio along the last axis; lam: the gain of a proposal;
    n_hidden: the width of the MLP, None: 2 n; w_in (n_hidden, 2 n), b_in (n_hidden), w_out (n, n_hidden), b_out (n)."""

    tau_m: Value = None
    lam: Value = 5.0
    bounded: bool = False
    n_hidden: int | None = None
    w_in: Value = None
    b_in: Value = None
    w_out: Value = None
    b_out: Value = None
    emission: Emission = Emission(variable="m", threshold=0.0, forward=Graded(), reset=NoReset())

    State = ELMState
    trains = ("w_in", "b_in", "w_out", "b_out")
    coupled = "by the MLP inside"
    matrices = trains

    def check(self) -> None:
        check_above_zero(self, "lam")
        check_flag(self, "bounded")
        if self.tau_m is not None:
            check_positive(self, "tau_m")
        if self.n_hidden is not None and (type(self.n_hidden) is not int or self.n_hidden < 1):
            raise ParameterError(f"ELM.n_hidden must be a positive whole number or None, got {self.n_hidden!r}")
        for name in self.matrices:
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, checked(f"ELM.{name}", value))

    def sized(self, shape: tuple[int, ...]) -> ELM:
        """The model for a population of that shape; ShapeError for a given matrix that does not fit."""
        for name in self.matrices:
            value, (expected, _) = getattr(self, name), self.matrix(name, shape)
            if value is not None and np.shape(value) != expected:
                raise ShapeError(f"ELM.{name} must have shape {expected} for {shape[-1]} units, got {np.shape(value)}")
        if self.tau_m is not None:
            return self
        return replace(self, tau_m=np.broadcast_to(np.geomspace(1.0, 1000.0, shape[-1]), shape))

    def matrix(self, name: str, shape: tuple[int, ...]) -> tuple[tuple[int, ...], float]:
        n = shape[-1]
        hidden = 2 * n if self.n_hidden is None else self.n_hidden
        sizes = {"w_in": (hidden, 2 * n), "b_in": (hidden,), "w_out": (n, hidden), "b_out": (n,)}
        return sizes[name], (2 * n if name.endswith("in") else hidden) ** -0.5

    def initial(self) -> ELMState[Any]:
        return ELMState(m=0.0)

    def update(self, state: ELMState[A], inputs: A, dt: float, xp: Ops[A]) -> ELMState[A]:
        kappa = xp.exp(-dt / self.tau_m)
        kept, n = kappa * state.m, state.m.shape[-1]
        hidden = inputs @ self.w_in[:, :n].T + kept @ self.w_in[:, n:].T + self.b_in
        proposed = 1.7159 * xp.tanh((xp.maximum(hidden, 0.0) @ self.w_out.T + self.b_out) * (2 / 3))
        gain = 1 - xp.exp(-self.lam * dt / self.tau_m) if self.bounded else self.lam * (1 - kappa)
        return ELMState(m=kept + gain * proposed)

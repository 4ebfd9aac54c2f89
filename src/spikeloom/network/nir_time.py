"""Time in NIR and in steps: how a time constant of an equation becomes the decay of a step, and back.

NIR gives differential equations with times in seconds; what a step of dt does is the reader's choice of integration:
    exact   decay exp(-dt / tau), input gain 1 - exp(-dt / tau): exact for an input that is constant over the step
    euler   decay 1 - dt / tau,   input gain dt / tau: forward Euler, what snnTorch reads and writes
Here a step always decays by exp(-dt / tau_m), so that with Euler's method tau_m = -dt / log(1 - dt / tau).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, ParameterError
from ..units import check_dt

INTEGRATIONS = ("exact", "euler")
MS = 1000.0
"""Milliseconds in a second."""


@dataclass(frozen=True)
class Clock:
    """Steps of dt ms, and the method by which the equations of NIR are integrated in them."""

    dt: float
    integration: str = "exact"

    def __post_init__(self) -> None:
        check_dt(self.dt, "NIR: dt")
        if self.integration not in INTEGRATIONS:
            raise ParameterError(f"NIR: integration must be 'exact' or 'euler', got {self.integration!r}")

    def from_seconds(self, name: str, tau: Any) -> Any:
        """The time constant in ms of our step that decays as NIR's tau (s) does; DataError where there is none."""
        tau = np.asarray(tau, dtype=np.float64) * MS
        if not np.all(np.isfinite(tau)) or np.any(tau <= 0):
            raise DataError(f"{name} must be a finite, positive time in s; a neuron without a leak is an IF")
        if self.integration == "exact":
            return tau
        if np.any(tau <= self.dt):
            raise DataError(
                f"{name} must be greater than dt ({self.dt} ms) for integration='euler', got {tau.min()} ms"
            )
        return -self.dt / np.log1p(-self.dt / tau)

    def to_seconds(self, tau: Any) -> Any:
        """NIR's time constant (s) that decays as our step with the time constant tau (ms) does."""
        tau = np.asarray(tau, dtype=np.float64)
        return tau / MS if self.integration == "exact" else self.dt / self.taken(tau) / MS

    def taken(self, tau: Any) -> Any:
        """The gain of a step with our time constant (ms): what an input that stays lifts in one step, 1 - decay."""
        return -np.expm1(-self.dt / np.asarray(tau, dtype=np.float64))

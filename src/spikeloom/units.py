"""Time: milliseconds for people, integer steps inside; the one place that rounds.

A time that was computed as k * dt lies beside k by rounding errors only (43 * 0.1 / 0.1 is 42.99999999999999),
so a quotient within a tolerance of an integer counts as that integer; any other time belongs to the step it
falls into. The tolerance is 1e-6 of a step plus four units in the last place of the quotient.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .errors import ParameterError

TOLERANCE = 1e-6
"""How far beside a whole number of steps a time still lies on it, in steps, rounding aside."""

MAX_STEPS = 2**31
"""How many steps a duration may have."""


def check_dt(dt: float, owner: str = "dt") -> float:
    """dt as a float; ParameterError unless it is a positive, finite time in ms."""
    if not _positive(dt):
        raise ParameterError(f"{owner} must be a positive time step in ms, got {dt!r}")
    return float(dt)


def _positive(time: Any) -> bool:
    if isinstance(time, int):
        return not isinstance(time, bool) and 0 < time < 2**63
    return isinstance(time, (float, np.number)) and bool(np.isfinite(time)) and bool(time > 0)


@overload
def steps(time: float, dt: float) -> int: ...
@overload
def steps(time: NDArray[Any], dt: float) -> NDArray[np.int64]: ...
def steps(time: float | NDArray[Any], dt: float) -> int | NDArray[np.int64]:
    """The step that a time in ms falls into: floor(time / dt), where time = k * dt always gives k."""
    times = np.asarray(time)
    precision = times.dtype if times.dtype.kind == "f" else np.dtype(np.float64)
    quotient = times.astype(np.float64) / check_dt(dt)
    if not np.all(np.isfinite(quotient)):
        raise ParameterError("times must be finite numbers of ms, got NaN or infinity")
    if np.any(np.abs(quotient) > 2**53):
        raise ParameterError(f"times must be at most 2**53 steps of {dt} ms, where steps can still be told apart")
    nearest = np.rint(quotient)
    tolerance = TOLERANCE + 4 * np.finfo(precision).eps * np.abs(quotient)
    result = np.where(np.abs(quotient - nearest) <= tolerance, nearest, np.floor(quotient)).astype(np.int64)
    return int(result) if np.ndim(time) == 0 else result


def duration_steps(duration: float, dt: float, owner: str = "duration") -> int:
    """How many steps cover a duration in ms: ceil(duration / dt), where duration = k * dt always gives k."""
    if not _positive(duration):
        raise ParameterError(f"{owner} must be a positive time in ms, got {duration!r}")
    if float(duration) / check_dt(dt) > MAX_STEPS:
        raise ParameterError(
            f"{owner} must be at most {MAX_STEPS} steps of {dt} ms, got {duration!r}; cut it into shorter windows"
        )
    quotient = float(duration) / float(dt)
    if abs(quotient - (nearest := round(quotient))) <= TOLERANCE:
        return max(1, nearest)
    return max(1, -steps(-float(duration), dt))


@overload
def times(step: int, dt: float) -> float: ...
@overload
def times(step: NDArray[Any], dt: float) -> NDArray[np.float64]: ...
def times(step: int | NDArray[Any], dt: float) -> float | NDArray[np.float64]:
    """The time in ms at which a step begins: step * dt."""
    dt = check_dt(dt)
    return np.multiply(step, dt, dtype=np.float64) if isinstance(step, np.ndarray) else float(step) * dt

"""How raw values become a signal in time: encoders' methods, by name.

A coding is a function (x, n_steps, dt, generator, *, options) of a batch x (B, *shape). It returns Spikes on the grid
of dt, or values (T, B, *shape), or (1, B, *shape) where they are constant in time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..registry import Registry
from ..spikes import Spikes, bernoulli, latency, poisson

Coding = Callable[..., Any]


def constant_current(x: Any, n_steps: int, dt: float, generator: np.random.Generator, *, amp: float = 1.0) -> Any:
    """The values themselves in every step, times amp: (1, B, *shape)."""
    return (x if amp == 1.0 else x * amp)[None]


def null(x: Any, n_steps: int, dt: float, generator: np.random.Generator) -> Any:
    """What was encoded before: Spikes, or an array (B, T, *shape), as (T, B, *shape)."""
    if isinstance(x, Spikes):
        return x
    if x.shape[1] != n_steps:
        raise ShapeError(
            f"coding 'null': the input must have shape (B, T, *shape) with T = {n_steps}, got {tuple(x.shape)}"
        )
    return x.swapaxes(0, 1)


def _latency(x: Any, n_steps: int, dt: float, generator: np.random.Generator, *, max_scale: float = 1.0) -> Spikes:
    return latency(x, n_steps, dt, max_scale=max_scale)


CODINGS: Registry[Coding] = Registry("encoding")
CODINGS.add("poisson", poisson)
CODINGS.add("bernoulli", bernoulli)
CODINGS.add("latency", _latency)
CODINGS.add("constant_current", constant_current)
CODINGS.add("null", null)

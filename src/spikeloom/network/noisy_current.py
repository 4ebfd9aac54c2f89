"""Constant currents with white noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ParameterError
from .codings import going_on, on_tensors


@going_on
@on_tensors
def noisy_current(
    x: Any, n_steps: int, dt: float, generator: np.random.Generator, first: int = 0, *, amp: float = 1.0,
    sigma: float = 0.1,
) -> Any:  # fmt: skip
    """The values times amp in every step, with Gaussian noise of its own for each step, sample and neuron.

    x: (B, *shape); the result is (T, B, *shape). sigma: the standard deviation of the noise's mean over 1 ms, so that a
    step has sigma / sqrt(dt) and the noise that a membrane collects does not depend on dt. Raises ParameterError for a
    negative one.
    """
    if sigma < 0:
        raise ParameterError(f"encoding 'noisy_current': sigma must be a number from 0 on, got {sigma!r}")
    noise = generator.standard_normal((n_steps, *x.shape), dtype=np.float32) * np.float32(sigma / np.sqrt(dt))
    return x[None] * amp + (x.new_tensor(noise) if hasattr(x, "new_tensor") else noise)

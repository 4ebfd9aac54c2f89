"""A neuron on its own, over a window, on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeloom.neurons import advance
from spikeloom.ops import NumpyOps

XP = NumpyOps()


def run(neuron: Any, inputs: Any, dt: float, state: Any = None) -> tuple[Any, Any]:
    """Outputs (T, ...) and states, each (T, ...), of a run from rest or from a given state.

    inputs: an array (T, ...), or a tuple of them, one for each port.
    """
    frames = list(zip(*inputs, strict=True)) if isinstance(inputs, tuple) else list(inputs)
    like = 0.0 * np.asarray(frames[0][0] if isinstance(inputs, tuple) else frames[0])
    state = type(neuron).State(*(value + like for value in (neuron.initial() if state is None else state)))
    outputs, states = [], []
    for frame in frames:
        output, state = advance(neuron, state, frame, dt, XP)
        outputs.append(output)
        states.append(state)
    return np.stack(outputs), type(neuron).State(*(np.stack(parts) for parts in zip(*states, strict=True)))


def times_of(outputs: Any, dt: float) -> Any:
    """The times in ms at which the steps with a spike end."""
    return (np.flatnonzero(outputs) + 1) * dt

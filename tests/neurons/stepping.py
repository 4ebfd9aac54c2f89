"""A run of a model on arrays, from rest."""

import numpy as np

from spikeloom.neurons import advance
from spikeloom.neurons.neuron import plain_fire
from spikeloom.ops import NumpyOps

SILENT = 1e9
"""A threshold that nobody reaches."""


def run(neuron, inputs, dt, xp=None, fire=plain_fire):
    """Outputs (T, ...) and the states after each step, by name: (T, ...)."""
    state = type(neuron).State(*(value + 0 * inputs[0] for value in neuron.initial()))
    outputs, states = [], []
    for i in inputs:
        output, state = advance(neuron, state, i, dt, NumpyOps() if xp is None else xp, fire)
        outputs.append(output)
        states.append(state)
    return np.asarray(outputs), {name: np.asarray([getattr(s, name) for s in states]) for name in state._fields}


def fired(neuron, inputs, dt):
    """The steps at which one neuron fires."""
    return np.flatnonzero(run(neuron, np.asarray(inputs, dtype=float), dt)[0]).tolist()

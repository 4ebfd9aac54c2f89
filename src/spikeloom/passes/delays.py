"""Delays that learn made whole steps, which run anywhere: in loops, step by step, on hardware."""

from __future__ import annotations

import copy

import numpy as np

from ..network import Network
from ..network.learned_delays import learning
from ..network.parameters import as_array
from ..neurons.surrogates import SpikeTimes
from .promise import Promise


def round_delays(network: Network) -> tuple[Network, Promise]:
    """The network with an ordinary delay for each synapse, the nearest whole step, where delays learn.

    In evaluation it answers as the network does, which rounds delays there too. What it does not equal is the network
    in training, where spikes arrive as bells around their delays: the promise says how wide these still are, and how
    far delays moved. Networks with delays that learn inside of a loop, which do not run as they are, are rounded too.
    Exact spike times ("eventprop") take delays as they are, in evaluation too: nothing is promised of them.
    """
    new, dt = copy.deepcopy(network), network.backend.dt
    new.draw_parameters()
    moved, width, exact = 0.0, 0.0, False
    for path, connection in learning(new).items():
        late = as_array(connection.get_value("delay"))
        whole = np.rint(late.astype(np.float64) / dt) * dt
        moved = max(moved, float(np.abs(whole - late).max(initial=0.0)) / dt)
        width = max(width, float(as_array(connection.get_value("sigma"))) / dt)
        exact |= isinstance(new.emission_of(connection.post).surrogate, SpikeTimes)
        connection.fix_delays()
        new.store.put(f"{path}.delay", whole)
    why = f"whole steps, moved by at most {moved:.2g} of one; "
    if exact:
        return new, Promise(kind="none", why=why + "exact spike times took delays as they were")
    return new, Promise(kind="equal", why=why + f"in training bells were up to {width:.2g} steps wide")

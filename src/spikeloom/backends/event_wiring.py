"""What the event path reads of a population and its connections: once a build, whatever the runs bring."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, prod
from typing import Any

from ..native.eventprop import Membrane
from ..neurons import LI
from .path import Key
from .plan import Layer, Route


@dataclass(frozen=True)
class Wiring:
    """A population of n neurons and the routes into it, the one from itself last; times in ms.

    gain: what a unit of synaptic current lifts the potential by, as steps of dt ms do it; membrane: its potentials are
    in units of the gain. weights: the keys of the routes' weights; lag: the delay of its loop, 0 without one. delays:
    whether synapses have delays of their own; only: the source whose spikes are all that arrives, in their order.
    """

    layer: Layer
    n: int
    gain: float
    membrane: Membrane
    routes: tuple[Route, ...]
    weights: tuple[Key, ...]
    lag: float
    delays: bool
    only: str | None

    @property
    def outside(self) -> tuple[Route, ...]:
        """The routes from others."""
        return self.routes[:-1] if self.lag else self.routes


def wiring(layer: Layer, dt: float) -> Wiring:
    """The wiring of a population that the event path does not refuse."""
    neuron: Any = layer.neuron
    filter: Any = layer.branches[0].filter
    tau_m, tau_s = float(neuron.tau_m), float(filter.tau)
    gain = (1 - exp(-dt / tau_s) if filter.normalise else 1.0) / (1.0 if neuron.scale_input else 1 - exp(-dt / tau_m))
    theta, reset = (0.0, 0.0) if isinstance(neuron, LI) else (neuron.v_th, neuron.v_reset)
    levels = (float((level - neuron.v_rest) / gain) for level in (theta, reset))
    routes = tuple(sorted((r for b in layer.branches for r in b.routes), key=lambda r: r.looped))
    delays = any(route.connection.has_synapse_delays for route in routes)
    outside = [route for route in routes if not route.looped]
    return Wiring(
        layer=layer,
        n=prod(layer.shape),
        gain=gain,
        membrane=Membrane(tau_m, tau_s, *levels),
        routes=routes,
        weights=tuple(("weight", route.connection.path, "weight") for route in routes),
        lag=routes[-1].steps * dt if routes[-1].looped else 0.0,
        delays=delays,
        only=outside[0].source if len(outside) == 1 and (delays or not outside[0].steps) else None,
    )

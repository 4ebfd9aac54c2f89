"""What a sink takes of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ..network import Network, Sink
from ..network.parameters import as_array
from ..spikes import PackedSpikes, Spikes
from ..spikes.packed import packed
from ..units import times
from .described import describe
from .schedule import Runner
from .watchers import observable

if TYPE_CHECKING:
    from .torch_backend import TorchBuild

Taken = Mapping[str, frozenset[str]]
"""The observables that a sink takes, by input and population; {'weights'} by connection."""


def description(build: TorchBuild) -> dict[str, Any]:
    """What a build says of itself to a sink: `describe`, the observables of each layer, and the network's seed."""
    found = describe(build)
    inside = build.network.get_elements()
    layers = {
        path: {**layer, "observables": list(getattr(inside.get(path), "observables", ()))}
        for path, layer in found["layers"].items()
    }
    return {**found, "layers": layers, "seed": build.network.seed}


def taken(network: Network, sink: Sink) -> Taken:
    """The observables that a sink takes of those that there are, and whose weights."""
    sources: tuple[Any, ...] = (*network.encoders, *network.generators, *network.groups)
    found = {source.path: sink.wants(source.path) & frozenset(source.observables) for source in sources}
    return found | {c.path: sink.wants(c.path) & {"weights"} for c in network.connections}


def hand_over(
    sink: Sink, taken: Taken, runner: Runner, raw: Mapping[str, Any], network: Network, *, continued: bool
) -> None:
    """Gives a sink what it takes of a run: spikes of inputs, observables of populations, the weights it had."""
    for path, value in raw.items():
        if isinstance(value, Spikes) and "spikes" in taken[path]:
            sink.write(path, "spikes", value, runner.dt, continued=continued)
    for group in network.groups:
        for name in taken[group.path]:
            data = _spikes(runner, group) if name == "spikes" else as_array(observable(runner, group, name))
            sink.write(group.path, name, data, runner.dt, continued=continued)
    for connection in (path for path in runner.weights if taken[path]):
        for name, tensor in runner.weights[connection].items():
            full_name = connection if name == "weight" else f"{connection}.{name}"
            sink.weights(full_name, tensor, times(runner.n_steps, runner.dt))


def _spikes(runner: Runner, group: Any) -> Spikes | PackedSpikes:
    """The spikes of a population, as the bits that its kernel left, where it did."""
    bits: Tensor | None = runner.results.get(("bits", group.path))
    if bits is not None:
        return PackedSpikes.of_kernel(bits.numpy().view(np.uint64), group.shape, runner.dt)
    return packed(as_array(observable(runner, group, "spikes")), runner.dt)

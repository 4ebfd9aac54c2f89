"""What a sink takes of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ..network import Network, Sink, StepSink
from ..network.parameters import as_array
from ..spikes import PackedSpikes, Spikes
from ..spikes.packed import packed
from ..units import times
from .described import describe
from .schedule import Runner
from .watchers import observable

if TYPE_CHECKING:
    from .torch_backend import TorchBuild


@dataclass(frozen=True)
class Taken:
    """What a sink takes of a build.

    observables: by input and population; {'weights'} by connection. step: takes the spikes of a single step, those of
    `inputs` and the bits in `results` of a runner, where the sink can, and takes nothing else.
    """

    observables: Mapping[str, frozenset[str]] = field(default_factory=dict)
    step: Callable[[Sequence[Any], int], bool] | None = None
    inputs: Sequence[str] = ()
    bits: Sequence[tuple[str, str]] = ()


def description(build: TorchBuild) -> dict[str, Any]:
    """What a build says of itself to a sink: `describe`, the observables of each layer, and the network's seed."""
    found = describe(build)
    inside = build.network.get_elements()
    layers = {
        path: {**layer, "observables": list(getattr(inside.get(path), "observables", ()))}
        for path, layer in found["layers"].items()
    }
    return {**found, "layers": layers, "seed": build.network.seed}


def taken(network: Network, sink: Sink, dt: float) -> Taken:
    """What a sink takes of the observables that there are, and whose weights."""
    inputs: dict[str, Any] = {source.path: source for source in (*network.encoders, *network.generators)}
    groups: dict[str, Any] = {group.path: group for group in network.groups}
    found = {path: sink.wants(path) & frozenset(each.observables) for path, each in (inputs | groups).items()}
    found |= {c.path: sink.wants(c.path) & {"weights"} for c in network.connections}
    if not isinstance(sink, StepSink) or set().union(*found.values()) != {"spikes"}:
        return Taken(found)
    events, bits = ({path: each.shape for path, each in some.items() if found[path]} for some in (inputs, groups))
    return Taken(found, sink.steps(events, bits, dt), tuple(events), tuple(("bits", path) for path in bits))


def hand_over(
    sink: Sink, taken: Taken, runner: Runner, raw: Mapping[str, Any], network: Network, *, continued: bool
) -> None:
    """Gives a sink what it takes of a run: spikes of inputs, observables of populations, the weights it had."""
    if not (continued and runner.n_steps == 1 and taken.step is not None and _step(taken, taken.step, runner, raw)):
        _windows(sink, taken.observables, runner, raw, network, continued)


def _step(taken: Taken, take: Callable[[Sequence[Any], int], bool], runner: Runner, raw: Mapping[str, Any]) -> bool:
    """Whether the sink took a single step as it came out: all its spikes are there, as events and as bits."""
    try:
        found = [raw[path] for path in taken.inputs] + [runner.results[key] for key in taken.bits]
    except KeyError:
        return False
    return take(found, runner.batch)


def _windows(
    sink: Sink,
    taken: Mapping[str, frozenset[str]],
    runner: Runner,
    raw: Mapping[str, Any],
    network: Network,
    continued: bool,
) -> None:
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

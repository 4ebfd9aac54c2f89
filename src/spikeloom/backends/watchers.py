"""What decoders, monitors and loss terms take of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..network import Connection, Decoder, Monitor, Network, NeuronGroup
from ..network.links import SpikeRows
from .path import Probe
from .schedule import Runner


def wanted(network: Network) -> dict[str, set[str]]:
    """The observables that are read of each population."""
    want: dict[str, set[str]] = {g.path: set() for g in network.groups}
    for decoder in network.decoders:
        want[decoder.target.path].add(decoder.variable)
    for tap in network.taps:
        if tap.target.path in want:
            want[tap.target.path].add(tap.variable)
    for monitor in network.monitors:
        if isinstance(monitor.target, NeuronGroup) and monitor.is_recording:
            want[monitor.target.path].add(monitor.variable)
    return want


def watched_inputs(network: Network) -> set[str]:
    """The paths of the inputs that are watched."""
    targets = [m.target for m in network.monitors if m.is_recording]
    return {t.path for t in targets if not isinstance(t, (NeuronGroup, Connection))}


def probed(network: Network) -> dict[str, str]:
    """The paths of the populations of which gradients are kept, each with that of a monitor that does."""
    return {m.target.path: m.path for m in network.monitors if m.get_grad and isinstance(m.target, NeuronGroup)}


def probes(network: Network, dt: float, *, continued: bool) -> dict[str, list[tuple[str, Probe]]]:
    """What takes gradients in the run that comes, by population; ParameterError where a monitor's dt does not fit."""
    found: dict[str, list[tuple[str, Probe]]] = {}
    for monitor in network.monitors:
        if (probe := monitor.probe(dt, continued=continued)) is not None:
            found.setdefault(monitor.target.path, []).append((monitor.variable, probe))
    return found


def forget(network: Network) -> None:
    """Drops the answers of the last run, and with them the graph behind them; those of hidden decoders too."""
    for decoder in network.of_kind(Decoder):
        decoder.forget()
    for tap in network.taps:
        tap.take(None, 0.0)


def show(network: Network, runner: Runner, weights: Mapping[str, Mapping[str, Tensor]], *, continued: bool) -> None:
    """Hands what a run gave to those who read it."""
    for decoder in network.decoders:
        if (first := runner.results.get(("first spike", decoder.target.path))) is not None and decoder.takes_times:
            decoder.decode_times(first)
        else:
            decoder.decode(observable(runner, decoder.target, decoder.variable), runner.dt)
    for tap in network.taps:
        if ("spikes", tap.target.path) in runner.results or ("trace", tap.target.path, tap.variable) in runner.results:
            tap.take(observable(runner, tap.target, tap.variable), runner.dt)
    for monitor in network.monitors:
        values = _watched(monitor, runner, weights) if monitor.is_recording else None
        monitor.observe(values, runner.n_steps, runner.dt, continued=continued)


def _watched(monitor: Monitor, runner: Runner, weights: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
    target: Any = monitor.target
    if isinstance(target, NeuronGroup):
        return observable(runner, target, monitor.variable)
    if isinstance(target, Connection):
        return weights[target.path][monitor.variable]
    signal = runner.signals[target.path]
    if isinstance(signal, SpikeRows):
        return signal.dense()
    return signal.detach().clone().expand(runner.n_steps, *signal.shape[1:])


def observable(runner: Runner, group: NeuronGroup, name: str) -> Tensor:
    """An observable of a population in every step of a run, (T, B, *shape)."""
    if name == "spikes":
        return runner.results["spikes", group.path]
    return runner.results["trace", group.path, name]

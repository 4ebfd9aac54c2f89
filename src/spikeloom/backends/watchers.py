"""What decoders, monitors and loss terms take of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ..network import Action, Connection, Decoder, Monitor, Network, NeuronGroup, Reward
from ..network.links import SpikeRows
from .path import Probe
from .schedule import Runner


def wanted(network: Network) -> dict[str, set[str]]:
    """The observables that are read of each population, and the weights of connections."""
    want: dict[str, set[str]] = {g.path: set() for g in network.groups}
    for decoder in network.decoders:
        want[decoder.target.path].add(decoder.variable)
    for action in network.running(Action):
        want[action.target.path].add(action.variable)
    for reward in judging(network):
        want[reward.target.path].add("spikes")
    for tap in network.taps:
        if tap.target.path in want:
            want[tap.target.path].add(tap.variable)
    for monitor in network.monitors:
        if isinstance(monitor.target, NeuronGroup) and monitor.is_recording:
            want[monitor.target.path].add(monitor.variable)
        if isinstance(monitor.target, Connection) and monitor.is_recording:
            want.setdefault(monitor.target.path, set()).add(monitor.variable)
    return want


def judging(network: Network) -> list[Reward]:
    """The rewards that judge the spikes of a population."""
    return [reward for reward in network.running(Reward) if not reward.given_whole]


def watched_inputs(network: Network) -> set[str]:
    """The paths of the inputs that are watched."""
    targets = [*(m.target for m in network.monitors if m.is_recording), *(tap.target for tap in network.taps)]
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


def readers(network: Network) -> list[Decoder | Action | Reward]:
    """All that keep an answer of the last run, hidden or not."""
    return [reader for kind in (Decoder, Action, Reward) for reader in network.of_kind(kind)]


def forget(network: Network, answered: Iterable[Decoder | Action | Reward]) -> None:
    """Drops the answers of the last run, and with them the graph behind them."""
    for reader in answered:
        reader.forget()
    for tap in network.taps:
        tap.take(None, 0.0)


def show(network: Network, runner: Runner, weights: Mapping[str, Mapping[str, Tensor]], *, continued: bool) -> None:
    """Hands what a run gave to those who read it."""
    for decoder in network.decoders:
        if (first := runner.results.get(("first spike", decoder.target.path))) is not None and decoder.takes_times:
            decoder.decode_times(first)
        else:
            decoder.decode(observable(runner, decoder.target, decoder.variable), runner.dt)
    for action in network.running(Action):
        activity = observable(runner, action.target, action.variable)
        action.act(activity, network.generator, training=network.training)
    for reward in judging(network):
        reward.observe(runner.results["spikes", reward.target.path], continued=continued)
    for tap in network.taps:
        path, results = tap.target.path, runner.results
        if not isinstance(tap.target, NeuronGroup):
            if path in runner.signals:
                tap.take(_signal(runner, path), runner.dt)
        elif ("spikes", path) in results or ("trace", path, tap.variable) in results:
            tap.take(observable(runner, tap.target, tap.variable), runner.dt)
    for monitor in network.monitors:
        values = _watched(monitor, runner, weights) if monitor.is_recording else None
        monitor.observe(values, runner.n_steps, runner.dt, continued=continued)


def _watched(monitor: Monitor, runner: Runner, weights: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
    target: Any = monitor.target
    if isinstance(target, NeuronGroup):
        return observable(runner, target, monitor.variable)
    if isinstance(target, Connection):
        stepped = runner.results.get(("weights", target.path)) if monitor.variable == "weight" else None
        return weights[target.path][monitor.variable] if stepped is None else stepped
    return _signal(runner, target.path)


def _signal(runner: Runner, path: str) -> Tensor:
    """What an input sent in every step of a run, (T, B, *shape)."""
    signal = runner.signals[path]
    if isinstance(signal, SpikeRows):
        return signal.dense()
    return signal.detach().clone().expand(runner.n_steps, *signal.shape[1:])


def observable(runner: Runner, group: NeuronGroup, name: str) -> Tensor:
    """An observable of a population in every step of a run, (T, B, *shape)."""
    if name == "spikes":
        return runner.results["spikes", group.path]
    return runner.results["trace", group.path, name]

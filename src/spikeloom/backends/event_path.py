"""The exact path: spiking networks from event to event, differentiated by the times of their spikes (EventProp).

It is the limit of the same network in ever finer steps. Spikes travel at exact times; what is asked for on the grid,
rasters and the potentials of read-outs, is taken from them. Nothing but the times of spikes carries gradients
between populations, and no spike count has one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UnsupportedError
from ..filters import LowPass
from ..native import eventprop
from ..native.eventprop import Array, Fired, Input, Membrane, Slopes, Trains
from ..network import LearnedDelays, Network, NeuronGroup
from ..network.links import Full, SpikeRows
from ..network.parameters import as_array
from ..neurons import LI, LIF
from ..neurons.emission import Emission, Step, ToValue
from ..neurons.surrogates import SpikeTimes
from .path import Call, Key, Path, Tensors
from .plan import Block, Choose, Layer, Route, Stage
from .watchers import probed


class EventPath:
    """Leaky integrate-and-fire populations behind exponential synapses, each with a loop or none; leaky read-outs."""

    name = "event path"
    keeps_state = False

    def __init__(self) -> None:
        self.rooms: dict[str, int] = {}

    def refusal(self, stage: Stage) -> str:
        """What keeps a stage from this path; empty where nothing does."""
        if stage.nodes or stage.before or (stage.stepped and not _is_own_loop(stage)):
            return (
                f"{stage.layers[0].path}: a loop of other form than one connection from a population to itself, a node "
                "before it, or schedule='step'"
            )
        return next((why for layer in stage.layers if (why := _refusal(layer))), "")

    def check(self, block: Block, want: Mapping[str, Collection[str]]) -> None:
        """Raises UnsupportedError where a run would be asked for an observable that this path does not have."""
        for layer in block.layers:
            has = {"spikes", "v"} if isinstance(layer.neuron, LI) else {"spikes"}
            if others := sorted(set(want.get(layer.path, ())) - has):
                raise UnsupportedError(
                    f"{layer.path}: the event path has no {others[0]!r} to show, only {', '.join(sorted(has))}; do not "
                    "watch or record it, or train with a surrogate, such as algorithm 'stca'"
                )

    def prepare(self, weights: Tensor) -> None:
        """Lays a weight (N, K) out by presynaptic neuron, as the kernels read it."""
        if weights.t().is_contiguous():
            return
        with torch.inference_mode(False):  # else no later run could be differentiated
            weights.data = weights.data.t().contiguous().t()

    def forward(self, call: Call, needs: frozenset[Key]) -> tuple[Tensors, Any]:
        run = _Run(self, call)
        return run.forward(), run if needs else None

    def backward(self, saved: Any, grads: Tensors) -> Mapping[Key, Tensor | None]:
        found: Mapping[Key, Tensor | None] = saved.backward(grads)
        return found


@dataclass(frozen=True)
class Exact:
    """The event path for populations whose learner asks for the times of spikes, `other` for the rest."""

    network: Network
    events: Path | None
    other: Choose

    def __call__(self, stage: Stage) -> tuple[str, str]:
        if not any(_is_exact(layer.neuron.emission) for layer in stage.layers):
            return self.other(stage)
        if why := self._refusal(stage):
            raise UnsupportedError(f"algorithm 'eventprop': {why}")
        return EventPath.name, ""

    def _refusal(self, stage: Stage) -> str:
        """What keeps a stage from the event path; empty where nothing does."""
        if not isinstance(self.events, EventPath):
            return "it runs on the CPU by compiled kernels; use TorchBackend(device='cpu', path='auto')"
        if not self.network.credit.is_plain:
            return "exact derivatives take all paths; leave credit= out"
        if stage.plastic:
            return f"a rule changes {stage.plastic[0]} in each step; exact derivatives take fixed weights"
        watched = probed(self.network)
        if monitors := [watched[path] for path in sorted(stage.paths) if path in watched]:
            return f"monitor {monitors[0]} keeps gradients of steps, which exact times do not have; leave get_grad out"
        routes = [route for layer in stage.layers for branch in layer.branches for route in branch.routes]
        for pre in (route.connection.pre for route in routes):
            if isinstance(pre, NeuronGroup) and not _is_exact(self.network.emission_of(pre)):
                return (
                    f"{stage.layers[0].path} takes the spikes of {pre.path}, which has no exact times; let the same "
                    "learner train both, without pathway="
                )
        return self.events.refusal(stage)


@dataclass(frozen=True)
class _Feed:
    """What arrives at a population: weights (K, N) of all routes below one another, and where each arrival is from.

    origins: of each arrival its route, and its number among the spikes of the route's source; None where every spike of
    the only source arrives in its order. In a loop the last route is that of the population to itself.
    """

    given: Input
    routes: tuple[Route, ...]
    origins: tuple[Array, Array] | None


class _Run:
    def __init__(self, path: EventPath, call: Call) -> None:
        self.path, self.call, self.stop = path, call, call.n_steps * call.dt
        if dense := [key[1] for key in call.tensors if key[0] == "signal"]:
            raise UnsupportedError(f"the event path takes spikes, but {dense[0]} gives values; use a spiking encoder")
        self.trains = {name: _trains_of(name, rows, call.dt) for name, rows in call.rows.items()}
        self.feeds: dict[str, _Feed] = {}
        self.fired: dict[str, Fired] = {}
        self.first: dict[str, Array] = {}

    def forward(self) -> dict[Key, Tensor]:
        found: dict[Key, Tensor] = {}
        for layer in self.call.block.layers:
            feed = self.feeds[layer.path] = self._feed(layer)
            wanted = set(self.call.want.get(layer.path, ()))
            if isinstance(layer.neuron, LI):
                found.update(self._potentials(layer, feed, wanted))
            else:
                found.update(self._spikes(layer, feed, wanted))
        return found

    def _potentials(self, layer: Layer, feed: _Feed, wanted: set[str]) -> dict[Key, Tensor]:
        neuron: Any = layer.neuron
        v = eventprop.leaky(feed.given, self.call.n_steps, self.call.dt, *_taus(layer))
        potential = torch.from_numpy(v).mul_(_gain(layer, self.call.dt))
        if neuron.v_rest:
            potential += neuron.v_rest
        potential = potential.view(*v.shape[:2], *layer.shape)
        if "spikes" in wanted:
            return {("spikes", layer.path): potential, ("trace", layer.path, "v"): potential.clone()}
        return {("trace", layer.path, "v"): potential, ("mean", layer.path): potential.mean()}

    def _spikes(self, layer: Layer, feed: _Feed, wanted: set[str]) -> dict[Key, Tensor]:
        room = self.path.rooms.get(layer.path, 1024)
        fired = eventprop.lif(feed.given, _membrane(layer, self.call.dt), room)
        self.path.rooms[layer.path] = max(room, len(fired.current) * 5 // 4)
        self.fired[layer.path], self.trains[layer.path] = fired, fired.trains
        weight = feed.given.weight
        like = torch.from_numpy(weight)
        if "spikes" not in wanted:
            size = self.call.n_steps * max(1, feed.given.n_samples) * weight.shape[1]
            return {("mean", layer.path): torch.tensor(len(fired.current) / size)}
        first = _first(fired.trains, weight.shape[1], self.stop + self.call.dt)
        self.first[layer.path] = first
        times = np.append(fired.trains.time, self.stop + self.call.dt)[first]
        raster = _raster(fired.trains, self.call.n_steps, self.call.dt, layer.shape)
        return {
            ("spikes", layer.path): torch.from_numpy(raster).to(like),
            ("first spike", layer.path): torch.from_numpy(times).to(like).view(-1, *layer.shape),
        }

    def backward(self, grads: Tensors) -> dict[Key, Tensor | None]:
        by_time = {name: np.zeros(len(fired.current)) for name, fired in self.fired.items()}
        found: dict[Key, Tensor | None] = {}
        for layer in reversed(self.call.block.layers):
            feed = self.feeds[layer.path]
            times = any(route.source in by_time and not route.looped for route in feed.routes)
            if isinstance(layer.neuron, LI):
                keys: list[Key] = [("spikes", layer.path), ("trace", layer.path, "v")]
                if not (given := [grads[key] for key in keys if key in grads]):
                    continue
                by_v = (sum(given[1:], given[0]) * _gain(layer, self.call.dt)).flatten(2).contiguous().numpy()
                slopes = eventprop.leaky_back(feed.given, self.call.dt, *_taus(layer), by_v, times=times)
            else:
                if ("spikes", layer.path) in grads:
                    raise UnsupportedError(
                        f"{layer.path}: spike counts have no exact gradient; decode 'first_spike_time', or the "
                        "potential of a read-out of model 'li', and let one learner train all that follows"
                    )
                if (of_first := grads.get(("first spike", layer.path))) is not None:
                    _scatter(by_time[layer.path], self.first[layer.path], of_first)
                fired = self.fired[layer.path]
                slopes = eventprop.lif_back(
                    feed.given, _membrane(layer, self.call.dt), fired, by_time[layer.path],
                    _push(layer, fired.trains, _gain(layer, self.call.dt)), times=times,
                )  # fmt: skip
            found.update(self._shared_out(feed, slopes, by_time))
        return found

    def _feed(self, layer: Layer) -> _Feed:
        routes = tuple(sorted((r for b in layer.branches for r in b.routes), key=lambda r: r.looped))
        weights = [self.call.tensors["weight", r.connection.path, "weight"].detach().t() for r in routes]
        lag = routes[-1].steps * self.call.dt if routes[-1].looped else 0.0
        late = self._late(routes, weights)
        outside = [route for route in routes if not route.looped]
        if len(outside) == 1 and (late is not None or not outside[0].steps):
            arrivals, origins = self.trains[outside[0].source], None
        else:
            arrivals, origins = self._arrivals(outside, weights, late is not None)
        weight = (weights[0] if len(weights) == 1 else torch.cat(weights)).contiguous().numpy()
        return _Feed(Input(arrivals=arrivals, weight=weight, stop=self.stop, late=late, lag=lag), routes, origins)

    def _late(self, routes: tuple[Route, ...], weights: list[Tensor]) -> Array | None:
        """The delay of each synapse in ms, below one another as the weights; None where no synapse has its own."""
        if not any(route.connection.has_synapse_delays for route in routes):
            return None
        parts = []
        for route, weight in zip(routes, weights, strict=True):
            path, delay = route.connection.path, route.connection.delay
            own = self.call.tensors.get(("weight", path, "delay"))
            if isinstance(delay, LearnedDelays) and own is not None:
                delay.check(f"{path}.delay", as_array(own))
            parts.append(torch.full_like(weight, route.steps * self.call.dt) if own is None else own.detach().t())
        return torch.cat(parts).contiguous().numpy()

    def _arrivals(
        self, routes: list[Route], weights: list[Tensor], apart: bool
    ) -> tuple[Trains, tuple[Array, Array] | None]:
        """The arrivals through several routes, sorted, and their origins; apart: their delays are those of synapses."""
        parts = [self.trains[route.source] for route in routes]
        rows = np.cumsum([0, *(len(w) for w in weights)])
        late = [0.0 if apart else route.steps * self.call.dt for route in routes]
        time = np.concatenate([p.time + each for p, each in zip(parts, late, strict=True)])
        ids = np.concatenate([p.id + row for p, row in zip(parts, rows, strict=False)])
        sample = np.concatenate([np.repeat(np.arange(len(p.offsets) - 1), np.diff(p.offsets)) for p in parts])
        origin = np.concatenate([np.full(len(p.time), k) for k, p in enumerate(parts)])
        place = np.concatenate([np.arange(len(p.time)) for p in parts])
        order = np.lexsort((ids, time, sample))
        order = order[time[order] < self.stop]
        offsets = np.concatenate(([0], np.cumsum(np.bincount(sample[order], minlength=len(parts[0].offsets) - 1))))
        arrivals = Trains(offsets.astype(np.int64), time[order], ids[order].astype(np.int32))
        return arrivals, (origin[order], place[order])

    def _shared_out(self, feed: _Feed, slopes: Slopes, by_time: dict[str, Array]) -> dict[Key, Tensor | None]:
        """The gradients of each connection; those of the spikes of each source are added to by_time."""
        found: dict[Key, Tensor | None] = {}
        row = 0
        for k, route in enumerate(feed.routes):
            path = route.connection.path
            rows = slice(row, row + self.call.tensors["weight", path, "weight"].shape[1])
            found["weight", path, "weight"] = torch.from_numpy(slopes.weight[rows]).t()
            if ("weight", path, "delay") in self.call.tensors and slopes.late is not None:
                found["weight", path, "delay"] = torch.from_numpy(slopes.late[rows]).t()
            row = rows.stop
            if route.source not in by_time or route.looped or slopes.time is None:
                continue
            if feed.origins is None:
                by_time[route.source] += slopes.time
            else:
                own = feed.origins[0] == k
                np.add.at(by_time[route.source], feed.origins[1][own], slopes.time[own])
        return found


def _refusal(layer: Layer) -> str:
    neuron: Any = layer.neuron
    if not isinstance(neuron, (LIF, LI)) or layer.trains:
        return f"{layer.path}: the event path computes 'lif' and 'li' with fixed parameters"
    if isinstance(neuron, LIF) and (
        type(neuron.emission.forward) is not Step or neuron.emission.reset != ToValue("v_reset")
    ):
        return f"{layer.path}: the event path resets to v_reset and sends plain spikes"
    names = ("tau_m", "v_rest", "v_th", "v_reset") if isinstance(neuron, LIF) else ("tau_m", "v_rest")
    for name in names:
        if not isinstance(getattr(neuron, name), (int, float)):
            return f"{layer.path}: the event path takes one number for all neurons as {name}"
    if isinstance(neuron, LIF) and not neuron.v_th > max(neuron.v_rest, neuron.v_reset):
        return f"{layer.path}: the event path needs v_th above v_rest and v_reset"
    filters = [branch.filter for branch in layer.branches]
    if len(filters) != 1 or type(filters[0]) is not LowPass or not isinstance(filters[0].tau, (int, float)):
        return f"{layer.path}: the event path needs one synaptic current for all its connections: filter=LowPass(tau)"
    return next((why for route in layer.branches[0].routes if (why := _route_refusal(route, layer))), "")


def _route_refusal(route: Route, layer: Layer) -> str:
    connection = route.connection
    if isinstance(pre := connection.pre, NeuronGroup) and not isinstance(pre.neuron, LIF):
        return f"{connection.path}: the event path takes spikes, but {pre.path} sends values"
    synapses = connection.synapses
    if synapses.stages or synapses.electrical:
        return f"{connection.path}: the event path takes 'full' without bias, got {connection.extras}"
    if not isinstance(connection.link, Full) or connection.link.bias is not None:
        return f"{connection.path}: the event path takes 'full' without bias, got {connection.link.name!r} or a bias"
    own = [other for other in layer.branches[0].routes if other.connection.has_synapse_delays]
    if own and any(other.looped for other in layer.branches[0].routes):
        return f"{own[0].connection.path}: delays of single synapses into a loop; give the connection one delay"
    return ""


def _is_own_loop(stage: Stage) -> bool:
    """Whether a stage is one population with one connection from it to itself, and others from outside."""
    routes = [route for layer in stage.layers for branch in layer.branches for route in branch.routes]
    return len(stage.layers) == 1 and len([r for r in routes if r.looped]) == 1 < len(routes)


def _is_exact(emission: Emission) -> bool:
    """Whether a population's learner asks for the times of spikes, not for a surrogate."""
    return isinstance(emission.surrogate, SpikeTimes)


def _taus(layer: Layer) -> tuple[float, float]:
    neuron: Any = layer.neuron
    filter: Any = layer.branches[0].filter
    return float(neuron.tau_m), float(filter.tau)


def _gain(layer: Layer, dt: float) -> float:
    """What a unit of synaptic current lifts the potential by, as steps of dt ms do it."""
    neuron: Any = layer.neuron
    filter: Any = layer.branches[0].filter
    tau_m, tau_s = _taus(layer)
    return (1 - exp(-dt / tau_s) if filter.normalise else 1.0) / (1.0 if neuron.scale_input else 1 - exp(-dt / tau_m))


def _membrane(layer: Layer, dt: float) -> Membrane:
    neuron: Any = layer.neuron
    gain = _gain(layer, dt)
    return Membrane(*_taus(layer), (neuron.v_th - neuron.v_rest) / gain, (neuron.v_reset - neuron.v_rest) / gain)


def _trains_of(name: str, rows: SpikeRows, dt: float) -> Trains:
    if (spikes := rows.spikes) is not None:
        offsets, step, ids, values = spikes.offsets, np.asarray(spikes.step), spikes.ids, spikes.value
    else:
        events = rows.events("float32")
        start, ids, values = np.asarray(events.start), np.asarray(events.ids), events.values
        offsets, step = start[:: rows.n_steps], np.repeat(np.arange(len(start) - 1) % rows.n_steps, np.diff(start))
    if values is not None:
        raise UnsupportedError(f"the event path takes plain spikes, but those of {name} have values")
    return Trains(np.ascontiguousarray(offsets, np.int64), step * dt, np.ascontiguousarray(ids, np.int32))


def _first(trains: Trains, n: int, silent: float) -> Array:
    """The number of the first spike of each neuron, (B, n); that of no spike for a silent one."""
    n_samples = len(trains.offsets) - 1
    found = np.full(n_samples * n, len(trains.time))
    train = np.repeat(np.arange(n_samples), np.diff(trains.offsets)) * n + trains.id
    found[train[::-1]] = np.arange(len(train))[::-1]
    return found.reshape(n_samples, n)


def _push(layer: Layer, trains: Trains, gain: float) -> Array | None:
    """What is added to dL/dV = gain dL/dv at each spike of a neuron, (B, N), to draw it towards a number of spikes."""
    surrogate: Any = layer.neuron.emission.surrogate
    if not surrogate.regularisation:
        return None
    n_samples = len(trains.offsets) - 1
    mean = np.bincount(trains.id, minlength=int(np.prod(layer.shape))) / n_samples
    each = gain * surrogate.regularisation * (mean - surrogate.n_spikes) / n_samples
    return np.tile(each, (n_samples, 1))


def _scatter(by_time: Array, first: Array, grad: Tensor) -> None:
    fires = first < len(by_time)
    by_time[first[fires]] += grad.reshape(first.shape).numpy()[fires]


def _raster(trains: Trains, n_steps: int, dt: float, shape: tuple[int, ...]) -> Array:
    n_samples, n = len(trains.offsets) - 1, int(np.prod(shape))
    raster = np.zeros((n_steps, n_samples, n), np.float32)
    sample = np.repeat(np.arange(n_samples), np.diff(trains.offsets))
    step = np.minimum((trains.time / dt).astype(np.int64), n_steps - 1)
    np.add.at(raster, (step, sample, trains.id), 1)
    return raster.reshape(n_steps, n_samples, *shape)

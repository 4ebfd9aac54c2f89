"""The exact path: spiking networks from event to event, differentiated by the times of their spikes (EventProp).

It is the limit of the same network in ever finer steps. Spikes travel at exact times; what is asked for on the grid,
rasters and the potentials of read-outs, is taken from them. Nothing but the times of spikes carries gradients
between populations, and no spike count has one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import UnsupportedError
from ..filters import LowPass
from ..native import eventprop
from ..native.eventprop import Array, Fired, Input, Slopes, Trains
from ..network import LearnedDelays, Network, NeuronGroup
from ..network.links import Full, SpikeRows
from ..network.parameters import as_array
from ..neurons import LI, LIF
from ..neurons.emission import Emission, Step, ToValue
from ..neurons.surrogates import SpikeTimes
from .event_wiring import Wiring, wiring
from .path import Call, Key, Path, Tensors
from .plan import Block, Choose, Layer, Route, Stage
from .watchers import probed


class EventPath:
    """Leaky integrate-and-fire populations behind exponential synapses, each with a loop or none; leaky read-outs."""

    name = "event path"
    keeps_state = False

    def __init__(self) -> None:
        self.rooms: dict[str, int] = {}
        self.wirings: dict[str, Wiring] = {}

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
        for layer in call.block.layers:
            if layer.path not in self.wirings:
                self.wirings[layer.path] = wiring(layer, call.dt)
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


class _Feed(NamedTuple):
    """What arrives at a population: weights (K, N) of all routes below one another, and where each arrival is from.

    origins: of each arrival its route, and its number among the spikes of the route's source; None where every spike of
    the only source arrives in its order.
    """

    given: Input
    origins: tuple[Array, Array] | None


class _Run:
    def __init__(self, path: EventPath, call: Call) -> None:
        self.path, self.call, self.stop = path, call, call.n_steps * call.dt
        if dense := [key[1] for key in call.tensors if key[0] == "signal"]:
            raise UnsupportedError(f"the event path takes spikes, but {dense[0]} gives values; use a spiking encoder")
        self.wirings = [path.wirings[layer.path] for layer in call.block.layers]
        self.trains = {name: _trains_of(name, rows, call.dt) for name, rows in call.rows.items()}
        self.feeds: dict[str, _Feed] = {}
        self.fired: dict[str, Fired] = {}
        self.first: dict[str, Array] = {}

    def forward(self) -> dict[Key, Tensor]:
        found: dict[Key, Tensor] = {}
        for wired in self.wirings:
            feed = self.feeds[wired.layer.path] = self._feed(wired)
            wanted = self.call.want.get(wired.layer.path, ())
            if isinstance(wired.layer.neuron, LI):
                found.update(self._potentials(wired, feed, wanted))
            else:
                found.update(self._spikes(wired, feed, wanted))
        return found

    def _potentials(self, wired: Wiring, feed: _Feed, wanted: Sequence[str]) -> dict[Key, Tensor]:
        layer, neuron = wired.layer, wired.layer.neuron
        v = eventprop.leaky(feed.given, self.call.n_steps, self.call.dt, *wired.membrane[:2], wired.gain)
        if rest := neuron.v_rest:  # type: ignore[attr-defined]
            v += rest
        potential = torch.from_numpy(v.reshape(*v.shape[:2], *layer.shape))
        found: dict[Key, Tensor] = {("trace", layer.path, "v"): potential}
        return found | {("spikes", layer.path): potential.clone()} if "spikes" in wanted else found

    def _spikes(self, wired: Wiring, feed: _Feed, wanted: Sequence[str]) -> dict[Key, Tensor]:
        path, shape = wired.layer.path, wired.layer.shape
        room = self.path.rooms.get(path, 1024)
        fired = eventprop.lif(feed.given, wired.membrane, room)
        self.path.rooms[path] = max(room, len(fired.current) * 5 // 4)
        self.fired[path], self.trains[path] = fired, fired.trains
        if "spikes" not in wanted:
            size = self.call.n_steps * max(1, feed.given.n_samples) * wired.n
            return {("mean", path): torch.from_numpy(np.array(len(fired.current) / size, np.float32))}
        like = torch.from_numpy(feed.given.weight)
        first = self.first[path] = _first(fired.trains, wired.n, self.stop + self.call.dt)
        times = np.append(fired.trains.time, self.stop + self.call.dt)[first]
        raster = _raster(fired.trains, self.call.n_steps, self.call.dt, shape)
        return {
            ("spikes", path): torch.from_numpy(raster).to(like),
            ("first spike", path): torch.from_numpy(times).to(like).view(-1, *shape),
        }

    def backward(self, grads: Tensors) -> dict[Key, Tensor | None]:
        by_time = {name: np.zeros(len(fired.current)) for name, fired in self.fired.items()}
        found: dict[Key, Tensor | None] = {}
        for wired in reversed(self.wirings):
            slopes = self._slopes(wired, grads, by_time)
            if slopes is not None:
                found.update(self._shared_out(wired, slopes, by_time))
        return found

    def _slopes(self, wired: Wiring, grads: Tensors, by_time: dict[str, Array]) -> Slopes | None:
        """The gradients of what arrives at a population; None where nothing asks for them."""
        path, feed = wired.layer.path, self.feeds[wired.layer.path]
        times = any(route.source in by_time for route in wired.outside)
        if isinstance(wired.layer.neuron, LI):
            keys: list[Key] = [("spikes", path), ("trace", path, "v")]
            if not (given := [grads[key] for key in keys if key in grads]):
                return None
            by_v = sum(given[1:], given[0]).flatten(2).contiguous().numpy()
            return eventprop.leaky_back(feed.given, self.call.dt, *wired.membrane[:2], by_v, wired.gain, times=times)
        if ("spikes", path) in grads:
            raise UnsupportedError(
                f"{path}: spike counts have no exact gradient; decode 'first_spike_time', or the potential of a "
                "read-out of model 'li', and let one learner train all that follows"
            )
        if (of_first := grads.get(("first spike", path))) is not None:
            _scatter(by_time[path], self.first[path], of_first)
        fired = self.fired[path]
        push = _push(wired, fired.trains)
        return eventprop.lif_back(feed.given, wired.membrane, fired, by_time[path], push, times=times)

    def _feed(self, wired: Wiring) -> _Feed:
        weights = [_numbers(self.call.tensors[key]) for key in wired.weights]
        late = self._late(wired.routes, weights) if wired.delays else None
        if wired.only is not None:
            arrivals, origins = self.trains[wired.only], None
        else:
            arrivals, origins = self._arrivals(wired.outside, weights, wired.delays)
        weight = np.ascontiguousarray(weights[0] if len(weights) == 1 else np.concatenate(weights))
        return _Feed(Input(arrivals=arrivals, weight=weight, stop=self.stop, late=late, lag=wired.lag), origins)

    def _late(self, routes: tuple[Route, ...], weights: list[Array]) -> Array:
        """The delay of each synapse in ms, below one another as the weights."""
        parts = []
        for route, weight in zip(routes, weights, strict=True):
            path, delay = route.connection.path, route.connection.delay
            own = self.call.tensors.get(("weight", path, "delay"))
            if isinstance(delay, LearnedDelays) and own is not None:
                delay.check(f"{path}.delay", as_array(own))
            parts.append(np.full_like(weight, route.steps * self.call.dt) if own is None else _numbers(own))
        return np.ascontiguousarray(np.concatenate(parts))

    def _arrivals(
        self, routes: tuple[Route, ...], weights: list[Array], apart: bool
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

    def _shared_out(self, wired: Wiring, slopes: Slopes, by_time: dict[str, Array]) -> dict[Key, Tensor | None]:
        """The gradients of each connection; those of the spikes of each source are added to by_time."""
        found: dict[Key, Tensor | None] = {}
        origins, row = self.feeds[wired.layer.path].origins, 0
        for k, (route, weight) in enumerate(zip(wired.routes, wired.weights, strict=True)):
            rows = slice(row, row + self.call.tensors[weight].shape[1])
            found[weight] = torch.from_numpy(slopes.weight[rows].T)
            if (delay := (*weight[:2], "delay")) in self.call.tensors and slopes.late is not None:
                found[delay] = torch.from_numpy(slopes.late[rows].T)
            row = rows.stop
            if route.source not in by_time or route.looped or slopes.time is None:
                continue
            if origins is None:
                by_time[route.source] += slopes.time
            else:
                own = origins[0] == k
                np.add.at(by_time[route.source], origins[1][own], slopes.time[own])
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


def _numbers(weights: Tensor) -> Array:
    """Weights (N, K) by presynaptic neuron, (K, N)."""
    return weights.detach().numpy().T


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


def _push(wired: Wiring, trains: Trains) -> Array | None:
    """What is added to dL/dV = gain dL/dv at each spike of a neuron, (B, N), to draw it towards a number of spikes."""
    surrogate: Any = wired.layer.neuron.emission.surrogate
    if not surrogate.regularisation:
        return None
    n_samples = len(trains.offsets) - 1
    mean = np.bincount(trains.id, minlength=wired.n) / n_samples
    each = wired.gain * surrogate.regularisation * (mean - surrogate.n_spikes) / n_samples
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

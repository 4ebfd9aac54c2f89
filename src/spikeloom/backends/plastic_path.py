"""The compiled path of a population behind one plastic connection: a stage of a network in the plastic kernel.

What it cannot take is refused with the reason: by `refusal` what the description shows, and in a run what only its
signals, weights and monitors show; then that run goes on the torch path, and the plan says why.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CompilerError, DataError, ParameterError, UnsupportedError
from ..kernels import Inlet
from ..native.events import EventRows, rows_of_raster
from ..native.plastic import library
from ..network import Network, NeuronGroup, Reward
from ..network.links import Full
from ..network.links.lateral import Lateral
from ..network.rules import Plasticity
from ..plasticity import Change, Rule
from ..plasticity.stepping import Dense, Stepper
from .kernel_path import in_short, inlets_of
from .learning import modulating, rule_of
from .ops import XP
from .path import Call, Key, Tensors, TorchPath
from .plan import Layer, Route, Stage
from .plastic_functor import Functors, functors_of
from .plastic_kernel import PlasticKernel
from .plastic_loop import PlasticModel, PlasticState
from .rules import plasticities
from .stepping import Traffic
from .synapses import edges_of

_log = logging.getLogger(__name__)


class PlasticPath:
    """The plastic kernel, for one sample. left: why the last run of a block went on the torch path."""

    name = "plastic path"
    keeps_state = True

    def __init__(self, network: Network, dtype: torch.dtype, threads: int | None = None) -> None:
        self._network, self._dtype, self._threads = network, dtype, threads or 1
        self._reference, self._told = TorchPath(), set[str]()
        self._made: dict[tuple[frozenset[str], bool], _Machine] = {}
        self.left: dict[frozenset[str], str] = {}

    def refusal(self, stage: Stage) -> str:
        """What keeps a stage from this path; empty where nothing does."""
        try:
            part = _part(stage, plasticities(self._network))
            rule = rule_of(part.plasticity, torch.zeros((), dtype=self._dtype))
            PlasticModel(neuron=part.layer.neuron, rule=rule, dt=1.0)  # refuses what it cannot hold
            functors = part.functors(part.layer.neuron, rule, 1.0)
            library(functors.neuron, functors.learning, "float" if self._dtype == torch.float32 else "double")
        except (UnsupportedError, ParameterError) as error:
            return str(error)
        except CompilerError as error:
            return in_short(error)
        return ""

    def forward(self, call: Call, needs: frozenset[Key]) -> tuple[Tensors, Any]:
        """On the torch path where something of this run is more than the kernel takes."""
        block = call.block.paths
        try:
            found = _Run(self._machine(call), call, needs, self._threads).forward()
        except (UnsupportedError, CompilerError) as error:
            self.left[block] = why = str(error)
            if why not in self._told:
                self._told.add(why)
                _log.warning("a run goes on the torch path, which is slower: %s", why)
            return self._reference.forward(call, needs)
        self.left.pop(block, None)
        return found, None

    def backward(self, saved: Any, grads: Tensors) -> Mapping[Key, Tensor | None]:
        return self._reference.backward(saved, grads)

    def _machine(self, call: Call) -> _Machine:
        """What runs a block, made once for a run that does not learn and once for each new rate of one that does."""
        part = _part(call.block.stages[0], call.rules)
        learns = call.training and part.plasticity.rule.lr > 0
        key = call.block.paths, learns
        made = self._made.get(key)
        if made is None or part.layer.trains or (learns and made.rate != part.plasticity.rule.lr):
            made = self._made[key] = _Machine(part, learns, call)
        return made


@dataclass(frozen=True)
class _Part:
    """A population, its plastic connection and rule, and the connection by which its neurons inhibit each other.

    inlets: of its branches, that of the plastic connection first; order: the numbers of the branches in that order.
    """

    layer: Layer
    route: Route
    plasticity: Plasticity
    inhibiting: Route | None
    inlets: tuple[Inlet, ...]
    order: tuple[int, ...]

    def functors(self, neuron: Any, rule: Rule, dt: float) -> Functors:
        return functors_of(neuron, rule, self.inlets, self.layer.shape, dt)

    def positions(self) -> list[int]:
        """Where each of the kernel's state variables stands in the state of the population."""
        n = len(self.layer.neuron.State._fields)
        first, counts = n, {branch: inlet.n_states for branch, inlet in zip(self.order, self.inlets, strict=True)}
        starts: dict[int, int] = {}
        for branch in sorted(counts):
            starts[branch] = first
            first += counts[branch]
        return [*range(n), *(starts[b] + k for b in self.order for k in range(counts[b]))]


def _part(stage: Stage, rules: Sequence[Plasticity]) -> _Part:
    """What the path needs of a stage; UnsupportedError, with the reason, for one that it cannot take."""
    if len(stage.layers) != 1 or stage.nodes:
        raise UnsupportedError("the plastic kernel takes one population alone, and this one is stepped with others")
    (layer,) = stage.layers
    own = [p for p in rules if p.connection.post.path == layer.path]
    if len(own) != 1 or len(stage.plastic) != 1:
        raise UnsupportedError(f"{layer.path}: the plastic kernel takes one rule at one connection into a population")
    (p,) = own
    _check_rule(p)
    branch, route = next((b, r) for b in layer.branches for r in b.routes if r.connection.path == p.connection.path)
    connection = route.connection
    if not isinstance(connection.link, Full) or route.source in stage.paths or route.steps or connection.extras:
        raise UnsupportedError(
            f"{connection.path}: the plastic kernel takes a full connection from outside, without a delay"
        )
    inner = [r for b in layer.branches for r in b.routes if r.source in stage.paths]
    for r in inner:
        full = isinstance(r.connection.link, (Full, Lateral)) and not r.connection.extras and r.steps == 1
        if len(inner) > 1 or not full or r not in branch.routes:
            raise UnsupportedError(
                f"{r.connection.path}: of loops the plastic kernel takes one, by which each neuron inhibits all others "
                "alike, through the filter of the plastic connection"
            )
    first = layer.branches.index(branch)
    order = (first, *(k for k in range(len(layer.branches)) if k != first))
    inlets = inlets_of(layer)
    return _Part(layer, route, p, inner[0] if inner else None, tuple(inlets[k] for k in order), order)


def _check_rule(p: Plasticity) -> None:
    path, modulator = p.connection.path, p.modulator
    if not p.apply:
        raise UnsupportedError(f"{path}: the plastic kernel changes weights in the run, and apply is False")
    if isinstance(modulator, (tuple, NeuronGroup)) or (isinstance(modulator, Reward) and not modulator.given_whole):
        raise UnsupportedError(f"{path}: the plastic kernel takes one modulator a run, not one that a step computes")
    filters = [t.filter for t in p.rule.traces.values()] + [c.relax for c in p.rule.changes]
    if any(np.ndim(f.tau) > 1 for f in filters if f is not None):
        raise UnsupportedError(f"{path}: the plastic kernel takes time constants of neurons in one row")
    if p.connection.bounds is not None and any(np.ndim(e) for e in p.connection.bounds.of(p.connection.link, None)):
        raise UnsupportedError(f"{path}: the plastic kernel takes the same bounds for all weights")


class _Machine:
    """The kernel of a part, and the bounds that its weights have where it learns."""

    def __init__(self, part: _Part, learns: bool, call: Call) -> None:
        self.part, self.learns, self.rate = part, learns, part.plasticity.rule.lr
        weight = call.tensors["weight", part.route.connection.path, "weight"].detach()
        rule = rule_of(part.plasticity, weight)
        values = {name: call.tensors["parameter", part.layer.path, name].detach() for name in part.layer.trains}
        neuron = part.layer.neuron.bound(values)
        self.model = PlasticModel(neuron=neuron, rule=rule if learns else _still(rule), dt=call.dt)
        self.edges = edges_of(part.plasticity.connection, rule, {"weight": weight}) if learns else None
        self.stepper = self.model.stepper(XP)
        self._kernel: PlasticKernel | None = None

    def kernel(self, state: PlasticState, inhibition: float) -> PlasticKernel:
        """The kernel, in that state."""
        if self._kernel is None:
            self._kernel = self._made(state)
        self._kernel.begin(state, inhibition)
        return self._kernel

    def _made(self, state: PlasticState) -> PlasticKernel:
        functors = self.part.functors(self.model.neuron, self.model.rule, self.model.dt)
        if self.edges is None:
            return PlasticKernel(self.model, functors, state)
        low, high = map(float, self.edges)
        within = Dense(replace(self.model.rule, w_min=low, w_max=high), XP)
        functors = functors._replace(learning=replace(functors.learning, w_min=low, w_max=high))
        return PlasticKernel(self.model, functors, state, Stepper(self.model.rule, within, self.model.dt, XP))


class _Run:
    """A window of a part."""

    def __init__(self, machine: _Machine, call: Call, needs: frozenset[Key], threads: int) -> None:
        self.machine, self.part, self.call, self.threads = machine, machine.part, call, threads
        self.layer, self.path, self.p = self.part.layer, self.part.route.connection.path, self.part.plasticity
        self.learns, self.rule = machine.learns, machine.model.rule
        self.weights = {str(k[2]): t.detach() for k, t in call.tensors.items() if k[:2] == ("weight", self.path)}
        self._check(needs)
        self.shape, self.n = self.layer.shape, int(np.prod(self.layer.shape))
        self.traffic = Traffic(replace(call, tensors={k: t.detach() for k, t in call.tensors.items()}))
        self.inhibition = self._inhibition()

    def _check(self, needs: frozenset[Key]) -> None:
        """Raises UnsupportedError for what this run asks for and the kernel has not."""
        call, path = self.call, self.layer.path
        why = ""
        if needs:
            why = "gradients pass through it"
        elif not call.n_steps:
            why = "the run has no steps"
        elif len(call.tensors["state", path, 0]) != 1:
            why = "it takes one sample a run"
        elif watched := sorted({*call.want.get(path, ())} - {"spikes"}):
            why = f"{watched[0]} is watched in each step"
        elif "weight" in call.want.get(self.path, ()):
            why = "its weights are watched in each step"
        elif call.probes.get(path) or not call.credit.is_plain:
            why = "gradients are watched or altered"
        if why:
            raise UnsupportedError(f"{path}: the plastic kernel cannot take this run: {why}")

    def forward(self) -> dict[Key, Tensor]:
        rows, current = self._rows(), self._current()
        kernel = self.machine.kernel(self._state(), self.inhibition)
        try:
            fired = kernel.run(rows, self._modulator(), current, last=True, threads=self.threads)
        except DataError as error:
            raise UnsupportedError(f"{self.path}: {error}") from error
        return self._results(kernel.state(), fired.to(self.weights["weight"].dtype))

    def _state(self) -> PlasticState:
        """Where the run starts, from the tensors of the call."""
        tensors, weight, key = self.call.tensors, self.weights["weight"], self.p.key
        if self.machine.edges is not None:
            low, high = self.machine.edges
            if not bool(((weight >= low) & (weight <= high)).all()):
                raise UnsupportedError(f"{self.path}: weights are outside of the bounds of the rule")
        post, pre = weight[None, :, 0] * 0, weight[None, 0] * 0
        offsets = {t: tensors["kept", self.p.offset(t)].detach().reshape(-1) for t in self.rule.targets}
        fresh = self.machine.stepper.initial(weight, pre, post, offsets)
        parts = [tensors["state", self.layer.path, k].detach()[0].reshape(-1) for k in self.part.positions()]

        def given(name: str | int, like: Tensor) -> Tensor:
            kept = tensors.get(("rule", key, name))
            return (like if kept is None else kept.detach().reshape(like.shape))[0]

        return PlasticState(
            weight, tuple(part.expand(self.n) for part in parts),
            {name: given(name, trace) for name, trace in fresh.traces.items()},
            {k: given(k, eligible) for k, eligible in fresh.eligible.items()},
            offsets, self._fired(), self.call.begun, self._runs(),
        )  # fmt: skip

    def _runs(self) -> int:
        """How many runs were learnt in, where that counts."""
        runs = self.call.tensors.get(("kept", self.p.runs))
        return 1 if runs is None else int(runs)

    def _modulator(self) -> Tensor | None:
        if not self.learns:
            return None
        m = modulating(self.p, 1, self.weights["weight"])
        return torch.full((self.call.n_steps,), float(m), dtype=torch.float64)

    def _rows(self) -> EventRows:
        """The spikes of the plastic connection's source; UnsupportedError where they are no plain spikes."""
        source = self.part.route.source
        if (events := self.call.rows.get(source)) is not None:
            rows = events.events("float32")
        else:
            signal = self.call.tensors["signal", source].detach().flatten(2)
            if len(signal) != self.call.n_steps:
                raise UnsupportedError(f"{self.path}: the plastic kernel takes spikes, and {source} gives a constant")
            rows = rows_of_raster(signal.contiguous())
        if rows.values is not None:
            raise UnsupportedError(f"{self.path}: the plastic kernel takes spikes, and {source} gives graded values")
        return rows

    def _current(self) -> Tensor | None:
        """What all other connections bring, (T, n_inlets, N)."""
        currents = [self._into(branch) for branch in self.part.order]
        if "bias" in self.weights:
            bias = self.weights["bias"].reshape(1, -1)
            currents[0] = bias if currents[0] is None else currents[0] + bias
        if all(current is None for current in currents):
            return None
        nothing = self.weights["weight"].new_zeros(1, self.n)
        whole = [(nothing if c is None else c).expand(self.call.n_steps, self.n) for c in currents]
        return torch.stack(whole, 1)

    def _into(self, branch: int) -> Tensor | None:
        own = {self.path, self.part.inhibiting.connection.path if self.part.inhibiting else ""}
        total = None
        for route in self.layer.branches[branch].routes:
            if route.connection.path not in own:
                current = self.traffic.from_outside(route).flatten(2)[:, 0]
                total = current if total is None else total + current
        return total

    def _inhibition(self) -> float:
        """What a spike takes from the input of all other neurons; UnsupportedError where it is not the same for all."""
        route = self.part.inhibiting
        if route is None or self.n == 1:
            return 0.0
        path = route.connection.path
        weights = {str(k[2]): t.detach() for k, t in self.call.tensors.items() if k[:2] == ("weight", path)}
        weight, others = weights["weight"], weights["weight"]
        if isinstance(route.connection.link, Full):
            others = weight[~torch.eye(self.n, dtype=torch.bool)]
            if bool(weight.diagonal().any()):
                raise UnsupportedError(f"{path}: the plastic kernel takes no weight of a neuron to itself")
        first = others.reshape(-1)[0]
        if "bias" in weights or not bool((others == first).all()):
            raise UnsupportedError(f"{path}: the plastic kernel takes one weight between all neurons and no bias")
        return -float(first)

    def _fired(self) -> Tensor:
        """Who fired in the step before, (N,), as the current that is under way tells it."""
        nobody = self.weights["weight"].new_zeros(self.n)
        route = self.part.inhibiting
        if route is None or not self.inhibition:
            return nobody
        late = self.call.tensors.get(("under way", *route.key, 0))
        if late is None or not bool(late.any()):
            return nobody
        each = -late.detach().double().reshape(-1) / self.inhibition  # of each neuron: how many of the others fired
        fired = (each.sum() / (self.n - 1) - each).round()
        if not bool(((fired == 0) | (fired == 1)).all()):
            raise UnsupportedError(f"{route.connection.path}: what is under way is not what spikes sent")
        return fired.to(nobody)

    def _results(self, state: PlasticState, fired: Tensor) -> dict[Key, Tensor]:
        path, shape = self.layer.path, (1, *self.shape)
        found: dict[Key, Tensor] = {("spikes", path): fired.view(-1, *shape)}
        for k, part in zip(self.part.positions(), state.neurons, strict=True):
            found["state", path, k] = part.view(shape)
        for key, currents in self.traffic.under_way.items():
            found.update({("under way", *key, k): current for k, current in enumerate(currents)})
        for special in self.traffic.special.values():
            found.update(special.results())
        if (route := self.part.inhibiting) is not None:
            late = -self.inhibition * (state.fired.sum() - state.fired)
            found["under way", *route.key, 0] = late.view(shape)
        return found | (self._learnt(state) if self.learns else {})

    def _learnt(self, state: PlasticState) -> dict[Key, Tensor]:
        p, ends = self.p, {"pre": self.p.connection.pre.shape, "post": self.shape}
        found: dict[Key, Tensor] = {
            ("rule", p.key, name): trace.view(1, *ends[self.rule.traces[name].end])
            for name, trace in state.traces.items()
        }
        found |= {("rule", p.key, k): eligible[None] for k, eligible in state.eligible.items()}
        found |= {("kept", p.offset(target)): by.view(self.shape) for target, by in state.offsets.items()}
        if (runs := self.call.tensors.get(("kept", p.runs))) is not None:
            found["kept", p.runs] = runs + 1
        if p.changes_weights:
            found["learnt", self.path] = state.weights
        return found


def _still(rule: Rule) -> Rule:
    """A rule that changes nothing, and whose offsets stand."""
    stand = tuple(Change(trigger="post", post="0", target=target) for target in rule.targets)
    return replace(rule, traces={}, changes=stand, normalise=None, rounding=False, lr=1.0)

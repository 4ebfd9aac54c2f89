"""Runs the blocks of a plan in order, and keeps what a later run continues from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..native.events import count_bits
from ..network.credit import BPTT, Credit
from ..network.links import Signal, SpikeRows
from .nodes import joined
from .path import Call, Key, Path, Probe, run_block
from .plan import Block, Layer
from .rules import Rules

State = Mapping[Key, Tensor]
"""What a run leaves for the one that continues it: ("state", layer, k), ("under way", connection, k) and
("rule", rule, part)."""


@dataclass
class Runner:
    """One run of a plan: signals by the path of their source, wanted traces by layer, the state on the way.

    weights: the tensors of each connection by name; parameters: those of each population; batch: how many samples;
    like: a tensor of the run's device and precision; probes: by layer, what takes gradients; training: whether
    the network is in training; seed: of what connections draw; credit: which paths gradients take. rules:
    those of the network; begun: how many steps came before this run.
    """

    dt: float
    n_steps: int
    batch: int
    weights: Mapping[str, Mapping[str, Tensor]]
    parameters: Mapping[str, Mapping[str, Tensor]]
    want: Mapping[str, Sequence[str]]
    signals: dict[str, Signal]
    state: State
    like: Tensor
    probes: Mapping[str, Sequence[tuple[str, Probe]]] = field(default_factory=dict)
    training: bool = True
    seed: int = 0
    credit: Credit = BPTT
    rules: Rules | None = None
    begun: int = 0
    results: dict[Key, Tensor] = field(default_factory=dict)
    _kept: dict[Key, dict[Key, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, tensor in self.state.items():
            # Autograd does not take the tensors of a run in inference mode, but a copy of them.
            self._kept.setdefault(key[:2], {})[key] = tensor.clone() if tensor.is_inference() else tensor

    def run(self, blocks: Sequence[Block], paths: Sequence[Path]) -> None:
        """Runs the blocks in order, each on its path; `results` then holds all that came out."""
        for block, path in zip(blocks, paths, strict=True):
            for node in block.before:
                if node.path not in self.signals:
                    signals = [self.signals[source] for source in node.inputs]
                    self.signals[node.path] = joined(node, self.parameters.get(node.path, {}), signals)
            self.results.update(run_block(path, self._call(block, path.keeps_state)))
            self.signals.update({str(key[1]): r for key, r in self.results.items() if key[0] == "spikes"})

    def emitted(self, path: str) -> Tensor:
        """What a population put out: its output (T, B, *shape), or its spikes as bits, integers (T, B, words)."""
        found = self.results.get(("bits", path), self.results.get(("mean", path)))
        return (self.results["spikes", path] if found is None else found).detach()

    def last_state(self) -> dict[Key, Tensor]:
        """What a run that continues this one starts from, without its graph: gradients end where a run ends."""
        return {key: t.detach() for key, t in self.results.items() if key[0] in ("state", "under way", "rule")}

    def _call(self, block: Block, keeps_state: bool) -> Call:
        tensors: dict[Key, Tensor] = {}
        rows: dict[str, SpikeRows] = {}
        for layer in block.layers:
            tensors.update({("parameter", layer.path, n): p for n, p in self.parameters[layer.path].items()})
            tensors.update(self._state(layer) if keeps_state else {})
            for route in (route for branch in layer.branches for route in branch.routes):
                path = route.connection.path
                weights = self.rules.placed(path, self.weights[path]) if self.rules else self.weights[path]
                tensors.update({("weight", path, name): w for name, w in weights.items()})
                tensors.update(self._kept.get(("under way", path), {}))
        if self.rules is not None:
            tensors.update(self.rules.tensors(block.paths))
            for p in self.rules.of(block.paths):
                tensors.update(self._kept.get(("rule", p.key), {}))
        for node in block.nodes:
            values = self.parameters.get(node.path, {})
            tensors.update({("parameter", node.path, name): p for name, p in values.items()})
        for source in sorted(block.needs - block.paths):
            signal = self.signals.get(source)
            if isinstance(signal, SpikeRows):
                rows[source] = signal
            elif signal is not None:
                tensors["signal", source] = signal
        return Call(
            block, self.dt, self.n_steps, self.want, tensors, rows, self.probes, self.training, self.seed,
            self.credit, self.rules.all if self.rules else (), self.begun,
        )  # fmt: skip

    def _state(self, layer: Layer) -> dict[Key, Tensor]:
        """The state of a population: where the last run left it, or at rest."""
        if kept := self._kept.get(("state", layer.path)):
            return kept
        zeros = self.like.new_zeros(1, *layer.shape)
        start = [zeros + value for value in layer.neuron.bound(self.parameters[layer.path]).initial()]
        filters = [part for b in layer.branches if b.filter is not None for part in b.filter.initial(zeros)]
        each = enumerate(part.expand(self.batch, *part.shape[1:]) for part in [*start, *filters])
        return {("state", layer.path, k): part for k, part in each}


def mean_output(emitted: Tensor, n: int) -> float:
    """The mean output of n neurons from what `Runner.emitted` gives."""
    if emitted.is_floating_point():
        return float(emitted.mean())
    bits = emitted.numpy().view(np.uint64)
    return count_bits(bits) / max(1, n * emitted.shape[0] * emitted.shape[1])


def to_signal(raw: Any, n_steps: int, like: Tensor) -> Signal:
    """What an encoder made, as what connections take: Spikes as rows of events, values as a tensor of its own."""
    if hasattr(raw, "offsets"):
        return SpikeRows(raw, n_steps, like)
    return (raw if isinstance(raw, Tensor) else torch.from_numpy(np.array(raw, order="C"))).to(like)

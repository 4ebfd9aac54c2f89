"""The fast path on a CPU: whole stages in compiled kernels, spikes as bits and events between them.

Only what is asked for leaves a block as a tensor; what its populations exchange stays bits. On the way back the
gradient of an output is made where it is needed, block of samples by block of samples, and never stands as a whole.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..errors import CompilerError
from ..kernels import Inlet, Model, TraceError, trace
from ..kernels.model import width_for
from ..native.population import MAX_INLETS, MAX_TRACES
from ..network.links import Full
from .kernel_layer import REALS, Compiled
from .kernel_run import KernelRun
from .path import Call, Key, Tensors, TorchPath
from .plan import Layer, Stage
from .staged import is_windowed
from .workspace import Workspace

_log = logging.getLogger(__name__)

WORK_FOR_THREADS = 1 << 25
"""How many neuron steps a window has at least where threads share it."""


class KernelPath:
    """Compiled kernels, written from the neurons' own lines.

    threads: how many share the work of a window; None: as many as torch uses, where there is enough work. sparing:
    whether a run keeps its state every so many steps only and runs forward again on the way back, in less memory; None:
    where that costs about no time. left: why the last run of a block, by the paths of its populations, went on the
    torch path.
    """

    name = "kernel path"
    keeps_state = True

    def __init__(
        self, dtype: torch.dtype = torch.float32, threads: int | None = None, *, sparing: bool | None = None
    ) -> None:
        self.dtype, self.threads, self.sparing = dtype, threads, sparing
        self.workspace = Workspace()
        self._compiled: dict[tuple[Any, ...], Compiled] = {}
        self._reference, self._told = TorchPath(), set[str]()
        self.left: dict[frozenset[str], str] = {}

    def refusal(self, stage: Stage) -> str:
        """What keeps a stage from this path; empty where nothing does."""
        try:
            for layer in stage.layers:
                if why := self._refusal(layer, stage):
                    return why
                trained = frozenset(("parameter", layer.path, n) for n in layer.trains)
                model = self.compiled(layer, trained, ()).model
                model.library(REALS[self.dtype][0], width_for(_size(layer)))
        except TraceError as error:
            return f"{layer.path}: {error}"
        except CompilerError as error:
            return in_short(error)
        return ""

    def _refusal(self, layer: Layer, stage: Stage) -> str:
        if stage.nodes:
            return f"{stage.nodes[0].path}: a {stage.nodes[0].kind} among populations that run step by step"
        if len(layer.branches) > MAX_INLETS:
            return f"{layer.path}: more than {MAX_INLETS} different filters and ports"
        for route in (r for branch in layer.branches for r in branch.routes):
            if route.connection.extras and not (is_windowed(route) and route.source not in stage.paths):
                return f"{route.connection.path}: {route.connection.extras}"
            if route.source in stage.paths and not isinstance(route.connection.link, Full):
                return f"{route.connection.path}: a loop of link type {route.connection.link.name}"
        step = trace(layer.neuron, inlets_of(layer), layer.shape)
        return f"{layer.path}: more than {MAX_TRACES - 1} states" if len(step.after) >= MAX_TRACES else ""

    def compiled(self, layer: Layer, needs: frozenset[Key], want: Any) -> Compiled:
        """The model of a population for what is trained and what is asked for."""
        trained = [n for n in layer.trains if not needs or ("parameter", layer.path, n) in needs]
        key = (id(layer), tuple(trained), "i_syn" in want)
        if key not in self._compiled:
            inlets = inlets_of(layer)
            step = trace(layer.neuron, [replace(i, filter=_on_arrays(i.filter)) for i in inlets], layer.shape)
            model = Model(step, step.depending_on(f"neuron.{n}" for n in trained), "i_syn" in want)
            self._compiled[key] = Compiled(layer, model, inlets)
        return self._compiled[key]

    def in_kernel(self, layer: Layer) -> bool:
        """Whether all products into a population are of dense weights, which the kernels make themselves."""
        connections = [route.connection for branch in layer.branches for route in branch.routes]
        return all(isinstance(c.link, Full) and not c.synapses.stages for c in connections)

    def forward(self, call: Call, needs: frozenset[Key]) -> tuple[Tensors, Any]:
        """On the torch path where what is asked for or trained needs one more kernel, which cannot be compiled."""
        run = KernelRun(self, call, needs)
        try:
            found = run.forward()
        except CompilerError as error:
            self.left[call.block.paths] = why = in_short(error)
            if why not in self._told:
                self._told.add(why)
                _log.warning("a run goes on the torch path, which is slower: %s", why)
        else:
            self.left.pop(call.block.paths, None)
            return found, run if needs else None
        return self._reference.forward(call, needs)

    def backward(self, saved: Any, grads: Tensors) -> Mapping[Key, Tensor | None]:
        return saved.backward(grads) if isinstance(saved, KernelRun) else self._reference.backward(saved, grads)

    def threads_for(self, call: Call) -> int:
        """How many threads share a window: one for small work."""
        if self.threads is not None:
            return self.threads
        samples = len(next(t for k, t in call.tensors.items() if k[0] == "state"))
        work = call.n_steps * samples * sum(_size(layer) for layer in call.block.layers)
        return torch.get_num_threads() if work >= WORK_FOR_THREADS else 1


def inlets_of(layer: Layer) -> tuple[Inlet, ...]:
    """What flows into the ports of a population, as the tracing takes it."""
    zeros = torch.zeros(1, *layer.shape, dtype=torch.float64)
    found = []
    for branch in layer.branches:
        n_states = 0 if branch.filter is None else len(branch.filter.initial(_like(branch.filter, zeros)))
        found.append(Inlet(branch.port, branch.filter, n_states))
    return tuple(found)


def in_short(error: CompilerError) -> str:
    """What went wrong in one line: the first, and behind it the first in which a compiler tells of an error."""
    first, *more = str(error).splitlines() or [""]
    return f"{first} {next((line.strip() for line in more if 'error:' in line), '')}".rstrip()


def _on_arrays(filter: Any) -> Any:
    """A filter with arrays in place of its tensors: numbers that steer its lines are read there."""
    if filter is None:
        return None
    tensors = {n: v for n, v in filter.parameters().items() if isinstance(v, Tensor)}
    return filter.bound({n: v.detach().cpu().numpy() for n, v in tensors.items()})


def _like(filter: Any, zeros: Tensor) -> Any:
    """Zeros of the kind that a filter's parameters are: before a build these are arrays."""
    tensors = any(isinstance(v, Tensor) for v in filter.parameters().values())
    return zeros if tensors else zeros.numpy()


def _size(layer: Layer) -> int:
    return int(torch.Size(layer.shape).numel())

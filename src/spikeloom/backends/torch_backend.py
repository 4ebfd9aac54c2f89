"""The differentiable, batched engine on torch tensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import DeviceError, ParameterError, ShapeError, UnsupportedError
from ..network import Component, Module, Network, Sink
from ..network.credit import Credit
from ..network.parameters import as_array, check_range
from ..registry import did_you_mean
from ..spikes import Spikes
from ..units import check_dt
from .compiling import outside_of_compile
from .credited import check_taught
from .event_path import EventPath, Exact
from .kernel_path import KernelPath
from .path import Path, TorchPath
from .plan import Block, Branch, Choose, Layer, Plan, Stage, across, make_plan, sources
from .plastic_path import PlasticPath
from .rules import Rules
from .schedule import Runner, State, mean_output, to_signal
from .sinks import Taken, description, hand_over, taken
from .watchers import forget, probed, probes, readers, show, wanted, watched_inputs

_log = logging.getLogger(__name__)

PATHS = (KernelPath.name, TorchPath.name)
"""The names of the compute paths, the fastest first."""

PATH_SETTINGS = ("auto", "torch")


class TorchBackend:
    """`TorchBackend(device='cpu', dt=0.1)`: simulates and trains with torch.

    device: 'cpu', 'cuda', ...; dt in ms; dtype: torch.float32 or torch.float64; schedule: 'auto' runs what has no loop
    over the whole window at once, 'step' steps everything, with equal results. path: 'auto' runs in compiled kernels
    what can (`print(net.plan)` shows what does, and why something does not), 'torch' everything on torch operations.
    threads: how many the kernels may use; None: one for small work, else as many as torch. sparing: True: training in
    as little memory as can be, about the square root of what the membranes over time take, for a forward pass more;
    None: in less where that costs about no time. Raises DeviceError at the build when the device is not there.
    """

    def __init__(
        self,
        device: str = "cpu",
        dt: float = 0.1,
        dtype: torch.dtype = torch.float32,
        schedule: str = "auto",
        path: str = "auto",
        threads: int | None = None,
        sparing: bool | None = None,
    ) -> None:
        self.device, self.dt, self.dtype, self.schedule = device, dt, dtype, schedule
        self.path, self.threads, self.sparing = path, threads, sparing
        self._check()

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in (known := ("device", "dt", "dtype", "schedule", "path", "threads", "sparing")):
            raise ParameterError(f"TorchBackend has no {name!r}{did_you_mean(name, known)} It has: {', '.join(known)}")
        object.__setattr__(self, name, value)

    def _check(self) -> None:
        check_dt(self.dt, "TorchBackend.dt")
        if self.dtype not in (torch.float32, torch.float64):
            raise ParameterError(f"TorchBackend.dtype must be torch.float32 or torch.float64, got {self.dtype!r}")
        if self.schedule not in ("auto", "step"):
            raise ParameterError(f"TorchBackend.schedule must be 'auto' or 'step', got {self.schedule!r}")
        if self.path not in PATH_SETTINGS:
            raise ParameterError(f"TorchBackend.path must be 'auto' or 'torch', got {self.path!r}")
        whole = isinstance(self.threads, int) and not isinstance(self.threads, bool) and self.threads >= 1
        if self.threads is not None and not whole:
            raise ParameterError(f"TorchBackend.threads must be a whole number from 1 on or None, got {self.threads!r}")
        if not isinstance(self.sparing, bool | None):
            raise ParameterError(f"TorchBackend.sparing must be True, False or None, got {self.sparing!r}")

    def build(self, network: Network) -> TorchBuild:
        """The network made ready to run; the parameter store keeps what still fits."""
        self._check()
        check_taught(network)
        dt, device = float(self.dt), checked_device(self.device)
        paths: dict[str, Path] = {"torch path": TorchPath()}
        choose: Choose = _torch_path
        if self.path == "auto" and device.type == "cpu":
            kernels = KernelPath(self.dtype, self.threads, sparing=self.sparing)
            plastic = PlasticPath(network, self.dtype, self.threads)
            paths |= {kernels.name: kernels, plastic.name: plastic, EventPath.name: EventPath()}
            choose = _Fastest(kernels, plastic, probed(network), network.credit)
        choose = Exact(network, paths.get(EventPath.name), choose)
        plan = make_plan(network, dt, self.schedule, choose)
        return TorchBuild(network, plan, paths, device, self.dtype)

    @property
    def settings(self) -> tuple[Any, ...]:
        """What a build depends on: another value makes the next run rebuild."""
        return (self.dt, str(self.device), self.dtype, self.schedule, self.path, self.threads, self.sparing)

    def __repr__(self) -> str:
        return f"TorchBackend(device={self.device!r}, dt={self.dt}, dtype={self.dtype})"


def _torch_path(stage: Stage) -> tuple[str, str]:
    return "torch path", ""


@dataclass(frozen=True)
class _Fastest:
    """The kernel path for what it can take, the torch path for the rest; the log says so once for each reason."""

    kernels: KernelPath
    plastic: PlasticPath
    probed: Mapping[str, str]
    credit: Credit

    def __call__(self, stage: Stage) -> tuple[str, str]:
        if monitors := [self.probed[path] for path in sorted(stage.paths) if path in self.probed]:
            return "torch path", f"monitor {monitors[0]} keeps gradients"
        if stage.plastic:
            why = self.plastic.refusal(stage)
            changes = f"a rule changes {', '.join(stage.plastic)} in each step: {why}"
            return ("torch path", changes) if why else (self.plastic.name, "")
        if not self.credit.is_plain:
            return "torch path", "the learner's credit is not that of backpropagation through time"
        if not (why := self.kernels.refusal(stage)):
            return self.kernels.name, ""
        if why not in _told:
            _told.add(why)
            _log.warning("runs on the torch path, which is slower: %s", why)
        return "torch path", why


_told: set[str] = set()


def checked_device(name: Any) -> torch.device:
    """The device; DeviceError when this machine or this torch has none of that name."""
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"TorchBackend.device: {name!r} is not a device; use 'cpu' or 'cuda'") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"TorchBackend.device is {name!r}, but torch finds no CUDA device here; use device='cpu'")
    return device


class TorchBuild:
    """A network with its plan and its tensors."""

    def __init__(
        self, network: Network, plan: Plan, paths: Mapping[str, Path], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.network, self.dt = network, plan.dt
        self.like = torch.zeros((), dtype=dtype, device=device)
        self._plan = replace(plan, blocks=tuple(map(self._placed_block, plan.blocks)))
        self.paths = [paths[block.path] for block in self._plan.blocks]
        with torch.inference_mode(False):
            self.module = self._module()
        self.state: State = {}
        self._done = 0
        self._described: Sink | None = None
        self._taking = Taken()
        self._begun: dict[str, tuple[int, int]] = {}
        self._emitted: dict[str, Tensor] = {}
        tensors = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        self.weights = {c.path: _below(tensors, c.path) for c in network.connections}
        self.parameters = {g.path: _below(tensors, g.path) for g in network.groups}
        self.parameters |= {m.path: dict(m.torch_module.named_parameters()) for m in network.running(Module)}
        for block, path in zip(self._plan.blocks, self.paths, strict=True):
            if isinstance(path, EventPath):
                for route in (r for layer in block.layers for branch in layer.branches for r in branch.routes):
                    path.prepare(self.weights[route.connection.path]["weight"])
        self._feeds, self._across, self._readers = sources(plan), across(plan), readers(network)
        self._packing = {path for b, p in zip(self._plan.blocks, self.paths, strict=True) for path in b.paths
                         if isinstance(p, KernelPath)}  # fmt: skip
        self._versions: dict[str, tuple[int, ...]] = {}
        self._rules = Rules(network, self.weights, tensors)

    @property
    def plan(self) -> Plan:
        """The plan; a block that had to leave its path in the last run stands on the torch path, with the reason."""
        return replace(self._plan, blocks=tuple(map(_as_run, self._plan.blocks, self.paths)))

    @outside_of_compile
    def run(self, n_steps: int, *, keep_state: bool, sink: Sink | None) -> None:
        """Runs n steps; decoders, monitors and the sink get the window. A run that fails leaves the state as it was."""
        self._check_trained()
        if keep_state and not all(path.keeps_state for path in self.paths):
            raise UnsupportedError("a run with exact spike times cannot be continued; run the whole time at once")
        taking = self._taken(sink, keep_state)
        want = self._wanted(taking)
        for block, path in zip(self._plan.blocks, self.paths, strict=True):
            if isinstance(path, EventPath):
                path.check(block, want)
        self._emitted = {}
        forget(self.network, self._readers)
        network, watching = self.network, probes(self.network, self.dt, continued=keep_state)
        first = self._done if keep_state else 0
        begun = self._begins(first)
        raw = self._encoded(n_steps, first, begun)
        batch, state = self._batch_size(raw), self.state if keep_state else {}
        _check_continued(state, batch)
        signals = {path: to_signal(value, n_steps, self.like) for path, value in raw.items()}
        runner = Runner(
            self.dt, n_steps, batch, self.weights, self.parameters, want, signals, state, self.like,
            watching, network.training, self._drawn_seed(), network.credit, self._rules, first,
        )  # fmt: skip
        self._rules.check_batch(batch)
        runner.run(self._plan.blocks, self.paths)
        self._rules.commit(runner.results)
        self.state, self._done, self._begun = runner.last_state(), first + n_steps, begun
        self._emitted = {g.path: runner.emitted(g.path) for g in network.spiking}
        show(network, runner, self.weights, continued=keep_state)
        if sink is not None:
            hand_over(sink, taking, runner, raw, network, continued=keep_state)

    def _drawn_seed(self) -> int:
        """A seed for what connections draw in a run; zero, and nothing drawn, where none does."""
        stages = (stage for c in self.network.connections for stage in c.synapses.stages)
        rounding = any(p.rule.rounding for p in self._rules.active())
        draws = rounding or (self.network.training and any(stage.draws for stage in stages))
        return int(self.network.generator.integers(2**63)) if draws else 0

    def _check_trained(self) -> None:
        """Raises ParameterError where training took a neuron's parameter out of its domain, such as tau below zero."""
        for group in self.network.groups:
            trained = {name: self.parameters[group.path][name] for name in group.trains}
            versions = tuple(p._version for p in trained.values())
            if versions == self._versions.get(group.path, ()):
                continue
            values: dict[str, Any] = {name: p.item() if p.ndim == 0 else as_array(p) for name, p in trained.items()}
            try:
                replace(group.neuron, **values)
            except ParameterError as error:
                raise ParameterError(f"{group.path} was trained to where it has no meaning: {error}") from error
            self._versions[group.path] = versions

    def firing_rates(self) -> dict[str, float]:
        """The mean firing rate of each population that spikes in the last run, in Hz."""
        per_second = 1000 / self.dt
        return {g.path: mean_output(self._emitted[g.path], g.num) * per_second for g in self.network.spiking}

    def _begins(self, first: int) -> dict[str, tuple[int, int]]:
        """Of each encoder the number of its batch, and the step at which that was first run."""
        given = {e.path: e.n_batches for e in self.network.encoders}
        now = {path: (number, first) for path, number in given.items()}
        return now | {p: b for p, b in self._begun.items() if first and given.get(p) == b[0]}

    def _encoded(self, n_steps: int, first: int, begun: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
        """The signals of the inputs; first: the step of the network that the run begins with."""
        encoders = {e.path: e for e in self.network.encoders}
        makers = {g.path: g for g in self.network.generators}
        used = self._feeds | watched_inputs(self.network)
        random = self.network.generator
        raw = {p: e.encode(n_steps, self.dt, random, first - begun[p][1]) for p, e in encoders.items() if p in used}
        batch = self._batch_size(raw)
        return raw | {p: g.generate(n_steps, self.dt, random, batch, first) for p, g in makers.items() if p in used}

    def _batch_size(self, raw: Mapping[str, Any]) -> int:
        sizes = {path: len(v) if isinstance(v, Spikes) else v.shape[1] for path, v in raw.items()}
        sizes |= {g.path: g.batch_size for g in self.network.generators if g.path in self._feeds and g.batch_size}
        if len(set(sizes.values())) > 1:
            each = ", ".join(f"{path} {size}" for path, size in sizes.items())
            raise ShapeError(f"the inputs were given batches of different sizes ({each}); give all the same")
        return next(iter(sizes.values()), 1)

    def _taken(self, sink: Sink | None, continued: bool) -> Taken:
        """What a sink takes; one that comes new to this build is told of it before."""
        if sink is None:
            return Taken()
        if sink != self._described:
            sink.describe(description(self))
            self._described = sink
        elif continued:  # a loop of short runs does not ask again; a sink that has enough drops what comes
            return self._taking
        self._taking = taken(self.network, self._described, self.dt)
        return self._taking

    def _wanted(self, taking: Taken) -> dict[str, list[str]]:
        """What is read of each population; spikes that only a sink takes stay bits where kernels leave them so."""
        want = wanted(self.network)
        for path in self._across & want.keys():
            want[path].add("spikes")
        for path in want:
            want[path] |= taking.observables.get(path, frozenset()) - ({"spikes"} if path in self._packing else set())
        return {path: sorted(names) for path, names in want.items()}

    def _placed_block(self, block: Block) -> Block:
        stages = [replace(stage, layers=tuple(map(self._placed, stage.layers))) for stage in block.stages]
        return replace(block, stages=tuple(stages))

    def _placed(self, layer: Layer) -> Layer:
        """The layer with its fixed arrays as tensors of this build."""
        neuron = layer.neuron
        arrays = {n: v for n in neuron.parameters() if isinstance(v := getattr(neuron, n), np.ndarray)}
        placed = neuron.bound({n: self._tensor(v) for n, v in arrays.items() if n not in layer.trains})
        branches = tuple(replace(b, filter=self._placed_filter(b)) for b in layer.branches)
        return replace(layer, neuron=placed, branches=branches)

    def _placed_filter(self, branch: Branch) -> Any:
        if branch.filter is None:
            return None
        arrays = {n: v for n, v in branch.filter.parameters().items() if isinstance(v, np.ndarray)}
        return branch.filter.bound({n: self._tensor(v) for n, v in arrays.items()})

    def _tensor(self, array: Any) -> Tensor:
        source = array.detach() if isinstance(array, Tensor) else torch.as_tensor(np.asarray(array))
        return source.to(self.like) if source.is_floating_point() else source.to(self.like.device)

    def _module(self) -> nn.Module:
        """The tensors of the parameter store as one module, in place of the arrays they started from."""
        root, store = nn.Module(), self.network.draw_parameters()
        for owner in self.network.owners():
            if isinstance(owner, Module):
                _holder(root, owner.path, self._torch_module(owner))
                continue
            specs = owner.parameter_specs()
            holder = _holder(root, owner.path) if specs else root
            for spec in specs:
                name = spec.name.rpartition(".")[2]
                check_range(spec.name, store[spec.name], self.like.dtype)
                tensor = self._kept(store[spec.name])
                if spec.trainable:
                    tensor = tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor)
                    tensor.requires_grad_(self._trains(owner))
                    holder.register_parameter(name, tensor)
                else:
                    holder.register_buffer(name, tensor)
                store.put(spec.name, tensor)
        return root.train(self.network.training)

    def _torch_module(self, owner: Module) -> nn.Module:
        """The torch module of a component on this device and in this precision, with the values of the store."""
        module, store = owner.torch_module.to(self.like.device, self.like.dtype), self.network.store
        for spec in owner.parameter_specs():
            tensor, value = cast(Tensor, spec.initial), store[spec.name]
            if value is not tensor:
                with torch.no_grad():
                    tensor.copy_(self._tensor(value))
            if spec.trainable:
                tensor.requires_grad_(self._trains(owner))
            store.put(spec.name, tensor)
        return module

    def _kept(self, value: Any) -> Tensor:
        """The tensor of the store, on this device and in this precision; a parameter stays the same object."""
        if isinstance(value, Tensor) and _fits(value, self.like):
            return value
        if isinstance(value, nn.Parameter):
            value.data = self._tensor(value)
            return value
        return self._tensor(value).clone()

    def _trains(self, owner: Component) -> bool:
        learners = self.network.learners
        return not learners or any(learner.by_gradient and learner.trains(owner) for learner in learners)


def _as_run(block: Block, path: Path) -> Block:
    why = path.left.get(block.paths) if isinstance(path, (KernelPath, PlasticPath)) else None
    return block if why is None else replace(block, path=TorchPath.name, why=why)


def _check_continued(state: State, batch: int) -> None:
    """Raises ShapeError unless the state that a run starts from is that of as many samples."""
    sizes = {len(part) for part in state.values()}
    if sizes - {batch}:
        raise ShapeError(
            f"a run of {max(sizes)} samples cannot be continued with a batch of {batch}; give as many, or use run"
        )


def _fits(tensor: Tensor, like: Tensor) -> bool:
    return tensor.device == like.device and (tensor.dtype == like.dtype or not tensor.is_floating_point())


def _holder(root: nn.Module, path: str, last: nn.Module | None = None) -> nn.Module:
    """The submodule of a path such as `block.layer1`, made where it is missing; last: what stands at its end."""
    module, parts = root, path.split(".")
    for depth, part in enumerate(parts, 1):
        if part not in module._modules:
            if hasattr(module, part):
                raise ParameterError(f"a component cannot be named {part!r}: torch modules use that name; rename it")
            module.add_module(part, last if last is not None and depth == len(parts) else nn.Module())
        module = module.get_submodule(part)
    return module


def _below(tensors: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """The tensors of one component, under their own names."""
    start = path + "."
    return {n[len(start) :]: t for n, t in tensors.items() if n.startswith(start) and "." not in n[len(start) :]}

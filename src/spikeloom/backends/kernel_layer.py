"""One population on the kernel path: its arrays in the kernel's layout, one call forward and one back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..kernels import Inlet, Model, evaluate, parameters
from ..kernels.model import width_for
from ..native import pool, products
from ..native.events import EventRows, bits_to_raster, rows_of_bits
from ..native.population import BLOCK, TEAM, Population, Source, Target, array_of
from ..network.links.link import BackwardInParts, ForwardInParts
from .ops import XP
from .path import Call, Key
from .plan import Layer
from .workspace import Lease

NEAR = 1 << 20
"""How many bytes of current are made at a time, about: they stay in the cache until the population has read them."""

REALS: Mapping[torch.dtype, tuple[str, str, Any]] = {
    torch.float32: ("float", "f32", np.float32),
    torch.float64: ("double", "f64", np.float64),
}


@dataclass
class Compiled:
    """A population with its model and what flows into it; fixed: coefficients by dt and dtype, if none is trained."""

    layer: Layer
    model: Model
    inlets: tuple[Inlet, ...]
    fixed: dict[tuple[float, Any], NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Frame:
    """What the populations of a run share: the call, what gets a gradient, memory, how many threads."""

    call: Call
    needs: frozenset[Key]
    lease: Lease
    threads: int


class KernelLayer:
    """A population over a window. `currents` (T or 1, B, n, by inlet), and the ways to make some for a part of the
    samples, are put in place before `prepare`."""

    def __init__(self, compiled: Compiled, frame: Frame) -> None:
        self.layer, self.model, self.compiled = compiled.layer, compiled.model, compiled
        self.call, self.needs, self.lease, self.threads = frame.call, frame.needs, frame.lease, frame.threads
        call, model, lease = self.call, self.model, self.lease
        layer = self.layer
        self.n = math.prod(layer.shape)
        self.width = width_for(self.n)
        self.tiles, self.words = -(-self.n // self.width), -(-self.n // 64)
        first = call.tensors["state", layer.path, 0]
        self.samples, self.dtype, self.steps = len(first), first.dtype, call.n_steps
        real, suffix, self.numpy = REALS[self.dtype]
        self.library, self.suffix = model.library(real, self.width), f"{suffix}_{self.width}"
        self.currents: dict[int, Tensor] = {}
        self.ways: dict[int, ForwardInParts] = {}
        self.bits: NDArray[np.uint64] | None = None
        self.values: Tensor | None = None
        if model.spikes:
            self.bits = lease.empty((self.steps, self.samples, self.words), np.uint64)
        else:
            self.values = self._plane()
        self.traces = {name: self._plane() for name in call.want[layer.path] if name != "spikes"}
        self.state = self._state("state", call.tensors)
        self.planes: NDArray[Any] | None = None
        self._memory: NDArray[Any] | None = None
        self._held: list[Any] = []
        self._panels: dict[str, NDArray[Any]] = {}

    def _plane(self) -> Tensor:
        return torch.empty(self.steps, self.samples, self.n, dtype=self.dtype)

    @cached_property
    def rows(self) -> EventRows:
        """Its spikes as event rows."""
        return rows_of_bits(self.bits, self.n)

    @cached_property
    def raster(self) -> Tensor:
        """Its output (T, B, n): spikes as 0 and 1, or the values."""
        if self.values is not None:
            return self.values
        raster = self._plane()
        bits_to_raster(self.bits, self.n, raster, self.threads)
        return raster

    # ---- parameters and state

    @cached_property
    def _leaves(self) -> dict[Key, Tensor]:
        """The trained parameters as the start of a graph of their own."""
        keys: list[Key] = [("parameter", self.layer.path, name) for name in self.layer.trains]
        return {key: self.call.tensors[key].detach().requires_grad_(key in self.needs) for key in keys}

    @cached_property
    def _coefficient_values(self) -> list[Any]:
        for inlet in self.compiled.inlets:
            if inlet.filter is not None:
                inlet.filter.coefficients(self.call.dt, XP)  # raises where the filter is made for another dt
        values: dict[str, Any] = {"dt": self.call.dt}
        values.update(parameters(self.layer.neuron, self.compiled.inlets, self.layer.shape))
        values.update({f"neuron.{key[2]}": leaf for key, leaf in self._leaves.items()})
        with torch.enable_grad():
            return evaluate(self.model.step.coefficients, values, XP)

    def _coefficients(self) -> NDArray[Any]:
        """[tile][c][width], the last neuron's value in the padding."""
        key = (self.call.dt, self.numpy)
        if (fixed := self.compiled.fixed.get(key)) is not None:
            return fixed
        flat = np.empty((len(self._coefficient_values), self.tiles * self.width), self.numpy)
        for row, value in zip(flat, self._coefficient_values, strict=True):
            numbers = value.detach().numpy().reshape(-1) if isinstance(value, Tensor) else np.asarray([value])
            with np.errstate(over="ignore"):  # infinite where the real type is too small, as in torch
                row[: self.n] = numbers
                row[self.n :] = numbers[-1]
        tiled = np.ascontiguousarray(flat.reshape(-1, self.tiles, self.width).swapaxes(0, 1))
        if not self.layer.trains:
            self.compiled.fixed[key] = tiled
        return tiled

    def _state(self, kind: str, tensors: Mapping[Key, Tensor]) -> NDArray[Any]:
        """States, or what flows back to them, as [state][b][tile * width]; zeros where nothing is given."""
        n_states = len(self.model.step.after)
        state = self.lease.empty((n_states, self.samples, self.tiles * self.width), self.numpy)
        state[:, :, self.n :] = 0
        for k in range(n_states):
            given = tensors.get((kind, self.layer.path, k))
            state[k, :, : self.n] = 0 if given is None else given.detach().reshape(self.samples, self.n).numpy()
        return state

    def tensors_of(self, state: NDArray[Any]) -> list[Tensor]:
        """An array in the layout of the state as tensors (B, *shape)."""
        shape = (self.samples, *self.layer.shape)
        return [torch.from_numpy(part[:, : self.n].copy()).view(shape) for part in state]

    # ---- the way forward

    def prepare(self, sources: Sequence[Source]) -> None:
        """What the kernel reads; all that it points to lives as long as this object."""
        p = self.population = Population()
        p.steps, p.samples, p.size, p.tiles, p.words = self.steps, self.samples, self.n, self.tiles, self.words
        p.first_sample, p.last_sample = 0, self.samples
        p.n_sources, p.sources = len(sources), self.hold(array_of(Source, sources))
        for inlet, current in self.currents.items():
            p.current[inlet] = current.data_ptr()
            p.current_stride[inlet] = 0 if len(current) == 1 else self.samples * self.n
        p.coefficients = self.hold(self._coefficients()).ctypes.data
        p.state = self.state.ctypes.data
        p.bits = None if self.bits is None else self.bits.ctypes.data
        p.output = None if self.values is None else self.values.data_ptr()
        for name, trace in self.traces.items():
            p.trace[self._place(name)] = trace.data_ptr()
        self.to_window(0, self.steps)

    @property
    def window(self) -> tuple[int, int]:
        """The steps of the window that the kernel runs next, from and to."""
        return self.population.first, self.population.last

    def to_window(self, first: int, last: int) -> None:
        """Takes the kernel to the steps from first to last."""
        self.population.first, self.population.last = first, last

    def keep(self, ahead: int = 0) -> None:
        """Has the kernel keep what the way back needs in the window, in place of what it kept of another.

        ahead: for so many steps behind the window the first gradients of the one that follows are put there, zeros
        behind the last.
        """
        p, n_behind = self.population, ahead * self.samples
        n_own = (p.last - p.first) * self.samples
        later = None if self.planes is None else self.planes[:, :, :n_behind].copy()
        size = (self.model.planes, self.tiles, n_own + n_behind, self.width)
        n_read = math.prod(size) + BLOCK * self.width  # the last block of samples may read rows behind its own
        if self._memory is None or self._memory.size < n_read:
            self._memory = self.lease.empty((n_read,), self.numpy)
        self.planes = self._memory[: math.prod(size)].reshape(size)
        self.planes[:, :, n_own:] = 0
        if later is not None:
            self.planes[:, :, n_own : n_own + later.shape[2]] = later
        p.rows, p.keep = n_own + n_behind, self.planes.ctypes.data

    def forget_traces(self) -> None:
        """Leaves the traces as they are when a window is run again."""
        for name in self.traces:
            self.population.trace[self._place(name)] = None

    def _place(self, trace: str) -> int:
        """Where a trace stands among the states; the synaptic input stands behind them."""
        names = self.layer.neuron.State._fields
        return len(self.model.step.after) if trace == "i_syn" else names.index(trace)

    def hold(self, part: Any) -> Any:
        """Keeps what the kernel's structures point to."""
        self._held.append(part)
        return part

    def packed(self, weight: Tensor) -> NDArray[Any]:
        """A weight (n, K) in tiles."""
        out = self.lease.empty((self.tiles, weight.shape[1], self.width), self.numpy)
        products.pack_weight(weight.contiguous(), self.width, out, self.threads)
        return out

    def panels(self, name: str, weight: Tensor) -> NDArray[Any]:
        """The weight (N, n) of a connection that takes this population's output, as panels over its tiles."""
        if name not in self._panels:
            out = self.lease.empty((self.tiles, weight.shape[0], self.width), self.numpy)
            self._panels[name] = products.pack_panels(weight.contiguous(), self.width, out, self.threads)
        return self._panels[name]

    def padded(self, values: Tensor) -> NDArray[Any]:
        """One value a neuron, with zeros up to whole tiles."""
        out = self.lease.zeros((self.tiles * self.width,), self.numpy)
        out[: self.n] = values.detach().reshape(-1).numpy()
        return out

    @property
    def teams(self) -> int:
        """How many teams of samples go forward on their own."""
        return -(-self.samples // TEAM)

    def run(self) -> None:
        """The window at once, or, where currents are made for a part of the samples, part by part."""
        if self.ways:
            pool.run(self._run_parts, -(-self.samples // self._part), self.threads)
            return
        name, units = f"forward_{self.suffix}", self.tiles * self.teams
        pool.run(lambda a, b: self.library.call(name, self.population, a, b), units, self.threads)

    @property
    def _part(self) -> int:
        """How many samples have a current that stays in the cache; whole teams."""
        return TEAM * max(1, NEAR // max(1, TEAM * self.steps * self.n * self.state.itemsize))

    def _run_parts(self, begin: int, end: int) -> None:
        """Some parts of the samples, each through its products and then through the population."""
        size, own = self._part, Population.from_buffer_copy(self.population)
        room = {inlet: self.lease.empty((self.steps * size * self.n,), self.numpy) for inlet in self.ways}
        for first in range(begin * size, min(end * size, self.samples), size):
            last = min(first + size, self.samples)
            shape = (self.steps, last - first, *self.layer.shape)
            own.first_sample, own.last_sample = first, last
            for inlet, way in self.ways.items():
                current = room[inlet][: math.prod(shape)].reshape(shape)
                way.run(current, first, last, first)
                own.current[inlet] = current.ctypes.data - first * self.n * current.itemsize
                own.current_stride[inlet] = (last - first) * self.n
            units = self.tiles * -(-(last - first) // TEAM)
            self.library.call(f"forward_{self.suffix}", own, 0, units)

    # ---- the way back

    @property
    def blocks(self) -> int:
        """How many blocks of samples go back on their own."""
        return -(-self.samples // BLOCK)

    def prepare_back(self, grads: Mapping[Key, Tensor]) -> None:
        """grads: what reaches states and traces from outside."""
        p = self.population
        for name in self.traces:
            if (given := grads.get(("trace", self.layer.path, name))) is not None:
                given = self.hold(given.detach().reshape(self.steps, self.samples, self.n).contiguous())
                p.grad_trace[self._place(name)] = given.data_ptr()
        self.carry = self._state("state", grads)
        p.carry = self.carry.ctypes.data
        n_padded, inlets = self.tiles * self.width, max(1, self.model.step.n_inlets)
        self._grad_coefficients = self.lease.zeros((self.blocks, len(self.model.trained), n_padded), self.numpy)
        p.grad_coefficients = self._grad_coefficients.ctypes.data
        self._grad_bias = self.lease.zeros((self.blocks, inlets, n_padded), self.numpy)
        p.grad_bias = self._grad_bias.ctypes.data

    def receive(self, targets: Sequence[Target], grad: Tensor | None) -> None:
        """Who brings gradients in the window: targets, and from outside (T, B, n) or None."""
        p = self.population
        p.n_targets, p.targets = len(targets), self.hold(array_of(Target, targets))
        if grad is not None:
            p.grad_output, p.grad_step, p.grad_sample = self.hold(grad).data_ptr(), grad.stride(0), grad.stride(1)

    def as_plane(self, grad: Tensor) -> Tensor:
        """A gradient of the output (T, B, *shape) as (T, B, n), each row contiguous; one that is the same in every step
        stays one."""
        grad = grad.detach().reshape(self.steps, self.samples, self.n)
        return grad if self.n == 1 or grad.stride(2) == 1 else grad.contiguous()

    def run_back(self, first: int, last: int, ways: Mapping[int, BackwardInParts]) -> None:
        """The window for the samples from first to last, whole blocks, and on through the products of these inlets."""
        self.library.call(f"backward_{self.suffix}", self.population, first // BLOCK, -(-last // BLOCK))
        for inlet, way in ways.items():
            way.run(self.current_gradient(inlet), first, last)

    def current_gradient(self, inlet: int) -> NDArray[Any]:
        """The gradient of the current into an inlet in the window, [tile][row][width]."""
        assert self.planes is not None
        return np.asarray(self.planes[inlet])

    def bias_gradient(self, inlet: int) -> Tensor:
        """The gradient of what enters an inlet in every step of all windows so far, (n,)."""
        return torch.from_numpy(self._grad_bias)[:, inlet, : self.n].sum(0)

    def dense_gradient(self, inlet: int) -> Tensor:
        """The gradient of the current into an inlet in the window, (T, B, *shape)."""
        g = self.current_gradient(inlet)
        out = self.lease.empty((g.shape[1], self.n), self.numpy)
        rows = products.untile(g, self.n, out, self.threads)
        n_steps = self.window[1] - self.window[0]
        return torch.from_numpy(rows[: n_steps * self.samples]).view(n_steps, self.samples, *self.layer.shape)

    def own_gradients(self) -> dict[Key, Tensor]:
        """The gradients of the states it started from and of its trained parameters."""
        path = self.layer.path
        found: dict[Key, Tensor] = {}
        if any(key in self.needs for key in (("state", path, k) for k in range(len(self.carry)))):
            found.update({("state", path, k): part for k, part in enumerate(self.tensors_of(self.carry))})
        if not self.model.trained:
            return found
        totals = torch.from_numpy(self._grad_coefficients)[:, :, : self.n].sum(0)
        outputs, given = [], []
        for k, total in zip(self.model.trained, totals, strict=True):
            value = self._coefficient_values[k]
            if not value.requires_grad:
                continue
            outputs.append(value)
            given.append((total.sum() if value.numel() == 1 else total).view(value.shape))
        leaves = {key: leaf for key, leaf in self._leaves.items() if leaf.requires_grad}
        if not outputs:
            return found
        grads = torch.autograd.grad(outputs, list(leaves.values()), given, allow_unused=True)
        return found | {key: g for key, g in zip(leaves, grads, strict=True) if g is not None}

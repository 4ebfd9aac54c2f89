"""A plastic connection run window after window: by the kernel, or step by step in the model's own lines."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import CompilerError, DataError, ParameterError, ShapeError, UnsupportedError
from ..filters import LowPass
from ..native.events import EventRows, rows_of_spikes
from ..native.plastic import Amount, Functor, Leaky, Plastic, Rule
from ..neurons import Neuron
from ..plasticity import Change, Homeostasis, PairRule, Trace, Traces
from ..spikes import Spikes
from .ops import XP
from .plastic_functor import functor_of
from .plastic_loop import PlasticModel, PlasticState, step_window

_log = logging.getLogger(__name__)
_told: set[str] = set()


class PlasticRun:
    """One plastic connection and the neurons behind it, for one sample at a time.

    weights: (N, K), float32 or float64, within the bounds of the rule; a copy is changed. dt: in ms. filter: what the
    current passes on its way into the neuron's first port. inhibition: what a spike takes from the input of every other
    neuron in the next step, so that they compete (Diehl and Cook 2015); then one thread does the work. path: 'auto'
    runs the kernel where it can and logs where it cannot, 'torch' runs the model's own lines on tensors, step by step;
    both give the same up to rounding. threads: of the kernel; they change no bit.

    >>> import torch
    >>> from spikeloom.neurons import LIF
    >>> from spikeloom.plasticity import Normalise, PairRule
    >>> from spikeloom.spikes import Spikes
    >>> spikes = Spikes.from_steps([0, 0, 1, 3], [0, 1, 0, 2], 3, n_steps=5, dt=1.0, n_samples=1)
    >>> run = PlasticRun(LIF(), PairRule(normalise=Normalise(total=1.8)), torch.full((2, 3), 0.6), dt=1.0)
    >>> run.run(spikes)[:, 0]
    tensor([1, 0, 0, 1, 0], dtype=torch.int8)
    >>> run.state.weights.sum(1)
    tensor([1.8000, 1.8000])
    """

    def __init__(
        self,
        neuron: Neuron[Any],
        rule: PairRule,
        weights: Tensor,
        *,
        dt: float,
        homeostasis: Homeostasis | None = None,
        filter: LowPass | None = None,
        inhibition: float = 0.0,
        path: str = "auto",
        threads: int = 1,
    ) -> None:
        if path not in ("auto", "torch"):
            raise ParameterError(f"PlasticRun.path must be 'auto' or 'torch', got {path!r}")
        model = PlasticModel(
            neuron=neuron, rule=rule, dt=dt, homeostasis=homeostasis, filter=filter, inhibition=inhibition
        )
        _check_weights(weights, rule)
        self.model = _on_tensors(model, weights)
        self.threads = threads
        self._engine = _engine(self.model, self.model.initial(weights.detach().clone()), path)

    @property
    def path(self) -> str:
        """What runs it: 'kernel path' or 'torch path'."""
        return self._engine.name

    @property
    def state(self) -> PlasticState:
        """Where the run stands: a copy."""
        return self._engine.state()

    def run(
        self,
        pre: Spikes | EventRows,
        *,
        modulator: Tensor | None = None,
        current: Tensor | None = None,
        last: bool = True,
    ) -> Tensor:
        """The neurons' spikes (T, N), int8, for the pre spikes of a window; goes on where the last window ended.

        modulator: what the changes of each step are multiplied by, (T,). current: what else comes in, (T, N). last:
        whether the run ends with this window, for a rule that normalises at the end of a run.
        """
        n_steps = pre.grid.n_steps if isinstance(pre, Spikes) else pre.n_steps
        n_post, n_pre = self._engine.shape
        self._check(pre, n_pre)
        for name, given, shape in (("modulator", modulator, (n_steps,)), ("current", current, (n_steps, n_post))):
            if given is not None and tuple(given.shape) != shape:
                raise ShapeError(f"PlasticRun.run: {name} must have shape {shape}, got {tuple(given.shape)}")
        if n_steps == 0:
            return torch.zeros(0, n_post, dtype=torch.int8)
        return self._engine.run(pre, modulator, current, last, self.threads)

    def rest(self) -> None:
        """Puts neurons and traces to rest, as between two samples; weights and thresholds stay."""
        self._engine.rest()

    def _check(self, pre: Spikes | EventRows, n_pre: int) -> None:
        """Raises ShapeError, ParameterError or DataError unless these are plain spikes of one sample on this grid."""
        plain = pre.value is None if isinstance(pre, Spikes) else pre.values is None
        n = prod(pre.shape) if isinstance(pre, Spikes) else pre.n
        if pre.n_samples != 1 or n != n_pre:
            got = f"{pre.n_samples} samples of {n} neurons"
            raise ShapeError(f"PlasticRun.run: pre must be one sample of {n_pre} neurons, got {got}")
        if not plain:
            raise DataError("PlasticRun.run: pre must be plain spikes, got values; a pair rule has no meaning for them")
        if isinstance(pre, Spikes) and pre.dt != self.model.dt:
            raise ParameterError(
                f"PlasticRun.run: pre must be on steps of {self.model.dt} ms, got {pre.dt}; use on_grid"
            )


class _Engine(Protocol):
    """One way to run a window; `run` gets what was checked."""

    name: str
    shape: tuple[int, int]

    def state(self) -> PlasticState: ...
    def rest(self) -> None: ...
    def run(
        self, pre: Spikes | EventRows, modulator: Tensor | None, current: Tensor | None, last: bool, threads: int
    ) -> Tensor: ...


def _engine(model: PlasticModel, state: PlasticState, path: str) -> _Engine:
    """The kernel where it is asked for and can be had, else the loop; the log says why, once for each reason."""
    if path == "torch":
        return _Loop(model, state)
    try:
        return _Kernel(model, state)
    except (CompilerError, UnsupportedError) as error:
        if str(error) not in _told:
            _told.add(str(error))
            _log.warning("a plastic connection runs on the torch path, which is slower: %s", error)
        return _Loop(model, state)


class _Loop:
    """The model's own lines on tensors."""

    name = "torch path"

    def __init__(self, model: PlasticModel, state: PlasticState) -> None:
        self._model, self._state = model, state
        self.shape: tuple[int, int] = tuple(state.weights.shape)

    def state(self) -> PlasticState:
        s = self._state
        traces = Traces(s.traces.pre.clone(), s.traces.post.clone())
        neurons = tuple(v.clone() for v in s.neurons)
        return PlasticState(s.weights.clone(), neurons, traces, s.theta.clone(), s.fired.clone(), s.done)

    def rest(self) -> None:
        fresh = self._model.initial(self._state.weights)
        self._state = fresh._replace(theta=self._state.theta, done=self._state.done)

    def run(
        self, pre: Spikes | EventRows, modulator: Tensor | None, current: Tensor | None, last: bool, threads: int
    ) -> Tensor:
        weights = self._state.weights
        raster = torch.from_numpy(_raster(pre)).to(weights)
        rewards = None if modulator is None else modulator.tolist()
        given = None if current is None else current.to(weights)
        with torch.no_grad():
            spikes, self._state = step_window(
                self._model, self._state, raster, XP, modulator=rewards, current=given, last=last
            )
        fired: Tensor = spikes.to("cpu", torch.int8)
        return fired


class _Kernel:
    """The compiled twin; its state lives in the kernel's layout."""

    name = "kernel path"

    def __init__(self, model: PlasticModel, state: PlasticState) -> None:
        if state.weights.device.type != "cpu":
            raise UnsupportedError(f"the plastic kernel runs on the CPU, got weights on {state.weights.device}")
        self._model, rule = model, model.rule
        functor = functor_of(model, len(state.weights))
        self.shape: tuple[int, int] = tuple(state.weights.shape)
        self._at_rest = torch.stack(state.neurons).numpy()
        home, normalise = model.homeostasis, rule.normalise
        numbers = Rule(
            self._amount(rule.at_pre), self._amount(rule.at_post), float(rule.w_min), float(rule.w_max),
            1.0 if normalise is None else float(normalise.total), 0 if normalise is None else normalise.every or 0,
        )  # fmt: skip
        theta = None if home is None else self._leaky(home.filter, home.theta_plus)
        self._plastic = Plastic(
            functor, state.weights.contiguous().numpy(), self._at_rest, numbers, self._trace(rule.pre),
            self._trace(rule.post), theta=theta, moved=-1 if home is None else _moved(home, functor),
            inhibition=float(model.inhibition),
        )  # fmt: skip

    def _amount(self, change: Change) -> Amount:
        return Amount(self._model.rule.scale(change), change.offset, change.mu)

    def _trace(self, trace: Trace) -> Leaky:
        return self._leaky(trace.filter)._replace(nearest=trace.nearest, before=trace.before)

    def _leaky(self, filter: LowPass, gain: float = 1.0) -> Leaky:
        leak = filter.coefficients(self._model.dt, XP)
        return Leaky(np.asarray(leak.decay), np.asarray(leak.gain * gain))

    def state(self) -> PlasticState:
        p = self._plastic
        theta = np.zeros(self.shape[0], p.dtype) if p.theta is None else p.theta
        traces = Traces(torch.from_numpy(p.pre), torch.from_numpy(p.post))
        neurons = tuple(torch.from_numpy(p.state))
        fired = torch.from_numpy(_bits(p.last[None], self.shape[0])[0]).to(traces.post)
        return PlasticState(torch.from_numpy(p.weights), neurons, traces, torch.from_numpy(theta), fired, p.done)

    def rest(self) -> None:
        self._plastic.rest(self._at_rest)

    def run(
        self, pre: Spikes | EventRows, modulator: Tensor | None, current: Tensor | None, last: bool, threads: int
    ) -> Tensor:
        normalise = self._model.rule.normalise
        bits = self._plastic.run(
            _rows(pre),
            modulator=None if modulator is None else modulator.to("cpu", torch.float64).contiguous(),
            current=None if current is None else current[:, None].to(torch.from_numpy(self._at_rest)).contiguous(),
            at_end=last and normalise is not None and normalise.every is None,
            threads=threads,
        )
        return torch.from_numpy(_bits(bits, self.shape[0]))


def _bits(words: NDArray[np.uint64], n: int) -> NDArray[np.int8]:
    """Who fired, (T, N), of bits (T, words)."""
    return np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, count=n, bitorder="little").view(np.int8)


def _moved(homeostasis: Homeostasis, functor: Functor) -> int:
    """The coefficient that a threshold's rule moves; UnsupportedError where the functor has none of its own for it."""
    if homeostasis.target not in functor.parameters:
        has = ", ".join(functor.parameters) or "none"
        raise UnsupportedError(
            f"Homeostasis.target: the kernel of the neuron has no coefficient that is {homeostasis.target!r} alone; it "
            f"has: {has}"
        )
    return functor.parameters[homeostasis.target]


def _check_weights(weights: Tensor, rule: PairRule) -> None:
    """Raises ParameterError, ShapeError or DataError unless these are weights (N, K) within the bounds of the rule."""
    if not isinstance(weights, Tensor) or weights.dtype not in (torch.float32, torch.float64):
        got = weights.dtype if isinstance(weights, Tensor) else type(weights).__name__
        raise ParameterError(f"PlasticRun.weights must be a tensor of float32 or float64, got {got}")
    if weights.ndim != 2 or 0 in weights.shape:
        raise ShapeError(f"PlasticRun.weights must have shape (N, K), at least 1 each, got {tuple(weights.shape)}")
    lowest, highest = (
        torch.tensor(bound, dtype=weights.dtype, device=weights.device) for bound in (rule.w_min, rule.w_max)
    )
    if not bool(((weights >= lowest) & (weights <= highest)).all()):
        found = f"{float(weights.min()):g} to {float(weights.max()):g}"
        raise DataError(f"PlasticRun.weights must be within {rule.w_min:g} .. {rule.w_max:g}, got {found}; clip them")


def _on_tensors(model: PlasticModel, like: Tensor) -> PlasticModel:
    """The model with tensors in place of the arrays among its parameters."""

    def tensors(values: Mapping[str, Any]) -> dict[str, Tensor]:
        arrays = {k: v for k, v in values.items() if isinstance(v, (np.ndarray, Tensor))}
        return {k: torch.as_tensor(v).detach().to(like) for k, v in arrays.items()}

    def bound(filter: LowPass) -> LowPass:
        return filter.bound(tensors(filter.parameters()))

    neuron, rule, home = model.neuron, model.rule, model.homeostasis
    return replace(
        model,
        neuron=neuron.bound(tensors({name: getattr(neuron, name) for name in neuron.parameters()})),
        rule=replace(
            rule,
            pre=replace(rule.pre, filter=bound(rule.pre.filter)),
            post=replace(rule.post, filter=bound(rule.post.filter)),
        ),
        homeostasis=None if home is None else replace(home, filter=bound(home.filter)),
        filter=None if model.filter is None else bound(model.filter),
    )


def _rows(pre: Spikes | EventRows) -> EventRows:
    if isinstance(pre, EventRows):
        return pre
    return rows_of_spikes(pre.offsets, pre.grid.step, pre.ids, None, pre.grid.n_steps, prod(pre.shape))


def _raster(pre: Spikes | EventRows) -> NDArray[Any]:
    """The pre spikes (T, K) as 0 and 1."""
    if isinstance(pre, Spikes):
        return pre.raster().reshape(pre.grid.n_steps, -1)
    raster = np.zeros((pre.n_steps, pre.n), np.int8)
    raster[np.repeat(np.arange(pre.n_steps), np.diff(pre.start)), pre.ids] = 1
    return raster

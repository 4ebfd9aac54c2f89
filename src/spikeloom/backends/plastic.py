"""A plastic connection run window after window: by the kernel, or step by step in the model's own lines."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import CompilerError, DataError, ParameterError, ShapeError, UnsupportedError
from ..filters import LowPass
from ..kernels import Inlet
from ..native.events import EventRows, rows_of_spikes
from ..neurons import Neuron
from ..plasticity.rule import Rule
from ..spikes import Spikes
from .ops import XP
from .plastic_functor import functors_of
from .plastic_kernel import PlasticKernel
from .plastic_loop import PlasticModel, PlasticState, step_window

_log = logging.getLogger(__name__)
_told: set[str] = set()


class PlasticRun:
    """One plastic connection and the neurons behind it, for one sample at a time.

    weights: (N, K), float32 or float64, within the bounds of the rule; a copy is changed. dt: in ms. filter: what the
    current passes on its way into the neuron's first port. inhibition: what a spike takes from the input of every other
    neuron in the next step, so that they compete (Diehl and Cook 2015); then one thread does the work. path: 'auto'
    runs the kernel where it can and logs where it cannot, 'torch' runs the model's own lines on tensors, step by step;
    both give the same up to rounding. threads: of the kernel; they change no bit. generator: what a rule with rounding
    draws from.

    >>> import torch
    >>> from spikeloom.neurons import LIF
    >>> from spikeloom.plasticity import Normalise, stdp
    >>> from spikeloom.spikes import Spikes
    >>> spikes = Spikes.from_steps([0, 0, 1, 3], [0, 1, 0, 2], 3, n_steps=5, dt=1.0, n_samples=1)
    >>> run = PlasticRun(LIF(), stdp(normalise=Normalise(total=1.8)), torch.full((2, 3), 0.6), dt=1.0)
    >>> run.run(spikes)[:, 0]
    tensor([1, 0, 0, 1, 0], dtype=torch.int8)
    >>> run.state.weights.sum(1)
    tensor([1.8000, 1.8000])
    """

    def __init__(
        self,
        neuron: Neuron[Any],
        rule: Rule,
        weights: Tensor,
        *,
        dt: float,
        filter: LowPass | None = None,
        inhibition: float = 0.0,
        path: str = "auto",
        threads: int = 1,
        generator: np.random.Generator | None = None,
    ) -> None:
        if path not in ("auto", "torch"):
            raise ParameterError(f"PlasticRun.path must be 'auto' or 'torch', got {path!r}")
        model = PlasticModel(neuron=neuron, rule=rule, dt=dt, filter=filter, inhibition=inhibition)
        if model.rule.rounding and generator is None:
            raise ParameterError("PlasticRun: a rule with rounding draws random numbers; give generator=")
        _check_weights(weights, rule)
        self.model = _on_tensors(model, weights)
        self.threads = threads
        start = self.model.initial(weights.detach().clone(), XP)
        self._engine = _engine(self.model, start, path, _uniform(generator))

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
        rows = _rows(pre)
        return self._engine.run(rows, modulator, current, last=last, threads=self.threads)

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
            raise DataError("PlasticRun.run: pre must be plain spikes, got values; a learner of a network takes those")
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
        self, pre: EventRows, modulator: Tensor | None, current: Tensor | None, *, last: bool, threads: int
    ) -> Tensor: ...


def _engine(model: PlasticModel, state: PlasticState, path: str, uniform: Callable[[Tensor], Tensor] | None) -> _Engine:
    """The kernel where it is asked for and can be had, else the loop; the log says why, once for each reason."""
    if path == "torch":
        return _Loop(model, state, uniform)
    try:
        return _kernel(model, state)
    except (CompilerError, UnsupportedError) as error:
        if str(error) not in _told:
            _told.add(str(error))
            _log.warning("a plastic connection runs on the torch path, which is slower: %s", error)
        return _Loop(model, state, uniform)


def _kernel(model: PlasticModel, state: PlasticState) -> PlasticKernel:
    if state.weights.device.type != "cpu":
        raise UnsupportedError(f"the plastic kernel runs on the CPU, got weights on {state.weights.device}")
    inlets = (Inlet(type(model.neuron).ports[0], model.filter, 0 if model.filter is None else 1),)
    functors = functors_of(model.neuron, model.rule, inlets, (len(state.weights),), model.dt)
    return PlasticKernel(model, functors, state)


def _uniform(generator: np.random.Generator | None) -> Callable[[Tensor], Tensor] | None:
    if generator is None:
        return None
    return lambda like: torch.from_numpy(generator.random(tuple(like.shape))).to(like)


class _Loop:
    """The model's own lines on tensors."""

    name = "torch path"

    def __init__(
        self, model: PlasticModel, state: PlasticState, uniform: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self._model, self._state, self._uniform = model, state, uniform
        self.shape: tuple[int, int] = tuple(state.weights.shape)

    def state(self) -> PlasticState:
        s = self._state
        return s._replace(
            weights=s.weights.clone(), neurons=tuple(v.clone() for v in s.neurons), traces=_cloned(s.traces),
            eligible=_cloned(s.eligible), offsets=_cloned(s.offsets), fired=s.fired.clone(),
        )  # fmt: skip

    def rest(self) -> None:
        s = self._state
        self._state = self._model.initial(s.weights, XP)._replace(offsets=s.offsets, done=s.done, ended=s.ended)

    def run(
        self, pre: EventRows, modulator: Tensor | None, current: Tensor | None, *, last: bool, threads: int
    ) -> Tensor:
        weights = self._state.weights
        raster = torch.from_numpy(_raster(pre)).to(weights)
        rewards = None if modulator is None else modulator.to(weights)
        given = None if current is None else current.to(weights)
        with torch.no_grad():
            spikes, self._state = step_window(
                self._model, self._state, raster, XP, modulator=rewards, current=given, last=last, uniform=self._uniform
            )
        fired: Tensor = spikes.to("cpu", torch.int8)
        return fired


def _cloned(given: Any) -> dict[Any, Tensor]:
    return {name: tensor.clone() for name, tensor in given.items()}


def _check_weights(weights: Tensor, rule: Rule) -> None:
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

    def tensors(values: Any) -> dict[str, Tensor]:
        arrays = {k: v for k, v in values.items() if isinstance(v, (np.ndarray, Tensor))}
        return {k: torch.as_tensor(v).detach().to(like) for k, v in arrays.items()}

    def bound(filter: LowPass | None) -> Any:
        return None if filter is None else filter.bound(tensors(filter.parameters()))

    neuron, rule = model.neuron, model.rule
    traces = {name: replace(trace, filter=bound(trace.filter)) for name, trace in rule.traces.items()}
    changes = [replace(c, eligibility=bound(c.eligibility), relax=bound(c.relax)) for c in rule.changes]
    return replace(
        model,
        neuron=neuron.bound(tensors({name: getattr(neuron, name) for name in neuron.parameters()})),
        rule=replace(rule, traces=traces, changes=tuple(changes)),
        filter=bound(model.filter),
    )


def _rows(pre: Spikes | EventRows) -> EventRows:
    if isinstance(pre, EventRows):
        return pre
    return rows_of_spikes(pre.offsets, pre.grid.step, pre.ids, None, pre.grid.n_steps, prod(pre.shape))


def _raster(pre: EventRows) -> NDArray[Any]:
    """The pre spikes (T, K) as 0 and 1."""
    raster = np.zeros((pre.n_steps, pre.n), np.int8)
    raster[np.repeat(np.arange(pre.n_steps), np.diff(pre.start)), pre.ids] = 1
    return raster

"""The plastic kernel behind the state of a plastic model: what goes in and comes out are tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..native.events import EventRows
from ..native.plastic import Plastic
from ..plasticity.stepping import Stepper
from .ops import XP
from .plastic_functor import Functors, rates
from .plastic_loop import PlasticModel, PlasticState


class PlasticKernel:
    """The compiled twin of `step_window`; its state lives in the kernel's layout.

    state: where it starts; its neurons are also what `rest` puts them to. stepper: what does what the rule asks for at
    the end of a run, by default that of the model.
    """

    name = "kernel path"

    def __init__(
        self, model: PlasticModel, functors: Functors, state: PlasticState, stepper: Stepper[Any] | None = None
    ) -> None:
        self._model, self._ended = model, state.ended
        neuron, learning, self._step = functors
        self.shape: tuple[int, int] = tuple(state.weights.shape)
        self._at_rest = torch.stack(state.neurons).numpy()
        weights = state.weights.contiguous().numpy()
        self._plastic = Plastic(neuron, learning, weights, self._at_rest, inhibition=float(model.inhibition))
        self._kept = [k for k in self._step.changes if model.rule.changes[k].eligibility is not None]
        own = None if all(change.stepped for change in model.rule.changes) else stepper or model.stepper(XP)
        self._stepper = own
        self._put(state)

    def begin(self, state: PlasticState, inhibition: float) -> None:
        """Goes on from another state, with another inhibition."""
        self._plastic.put(weights=state.weights.contiguous().numpy(), state=torch.stack(state.neurons).numpy())
        self._plastic.inhibition, self._ended = inhibition, state.ended
        self._put(state)

    def _put(self, state: PlasticState) -> None:
        """Puts all but weights and neurons in place."""
        names = self._step.traces
        given: dict[str, list[Any]] = {end: [state.traces[name] for name in names[end]] for end in names}
        given |= {"offsets": [*state.offsets.values()], "eligible": [state.eligible[k] for k in self._kept]}
        found = {name: torch.stack(parts).numpy() for name, parts in given.items() if parts}
        self._plastic.put(**found, last=_words(state.fired))
        self._plastic.done = state.done

    def state(self) -> PlasticState:
        """Where the run stands: a copy."""
        p, rule, names = self._plastic, self._model.rule, self._step.traces
        pre = dict(zip(names["pre"], _tensors(p.pre), strict=True))
        post = dict(zip(names["post"], _tensors(p.post), strict=True))
        eligible = dict(zip(self._kept, _tensors(p.eligible), strict=True))
        return PlasticState(
            torch.from_numpy(p.weights), _tensors(p.state), pre | post, {k: eligible[k] for k in sorted(eligible)},
            dict(zip(rule.targets, _tensors(p.offsets), strict=True)), self._fired(p.last[None])[0], p.done,
            self._ended,
        )  # fmt: skip

    def rest(self) -> None:
        """Puts neurons and traces to rest."""
        self._plastic.rest(self._at_rest)

    def run(
        self, pre: EventRows, modulator: Tensor | None, current: Tensor | None, *, last: bool, threads: int
    ) -> Tensor:
        """The spikes (T, N), int8, of a window; current: what else comes in, (T, N), or (T, n_inlets, N)."""
        model, normalise = self._model, self._model.rule.normalise
        m = 1.0 if modulator is None else modulator.to("cpu", torch.float64).numpy()
        if current is not None:
            current = (current[:, None] if current.ndim == 2 else current).to(torch.from_numpy(self._at_rest))
        bits = self._plastic.run(
            pre,
            rates(model.rule, self._step, m, model.dt),
            current=None if current is None else current.contiguous(),
            at_end=last and normalise is not None and normalise.every is None and self._stepper is None,
            threads=threads,
        )
        if last:
            if self._stepper is not None:
                self._end(self._stepper, pre, 1.0 if modulator is None else modulator[-1])
            self._ended += 1
        return torch.from_numpy(_raster(bits, self.shape[0]))

    def _end(self, stepper: Stepper[Any], rows: EventRows, modulator: Any) -> None:
        """What the rule does at the end of a run: in its own lines, as it comes once."""
        state = self.state()
        pre = torch.zeros(self.shape[1], dtype=state.weights.dtype)
        pre[torch.from_numpy(rows.ids[rows.start[-2] :].astype(np.int64))] = 1
        ended = self._model.end(state, pre, stepper, modulator)
        self._plastic.put(weights=ended.weights.contiguous().numpy())
        if ended.offsets:
            self._plastic.put(offsets=torch.stack([*ended.offsets.values()]).numpy())

    def _fired(self, words: NDArray[np.uint64]) -> Tensor:
        return torch.from_numpy(_raster(words, self.shape[0])).to(torch.from_numpy(self._at_rest))


def _tensors(rows: NDArray[Any]) -> tuple[Tensor, ...]:
    return tuple(map(torch.from_numpy, rows))


def _raster(words: NDArray[np.uint64], n: int) -> NDArray[np.int8]:
    """Who fired, (T, N), of bits (T, words)."""
    return np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, count=n, bitorder="little").view(np.int8)


def _words(fired: Tensor) -> NDArray[np.uint64]:
    """Who fired, (N,), as bits (words,)."""
    padded = np.zeros(-(-len(fired) // 64) * 64, np.uint8)
    padded[: len(fired)] = fired.numpy() != 0
    return np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)

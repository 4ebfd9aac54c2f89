"""The current of synapses that spread each spike over lags: a bell around their delay, as delays learn.

With the weight w, the delay d and the width sigma in steps, the kernel over lags k = 0 .. K - 1 is w g_k / S with
g_k = exp(-((k - d) / (|sigma| + 0.27))^2 / 2) and S = sum_k g_k + 1e-7 (Hammouamri et al. 2023, arXiv 2306.17670), and
the current of step t is the sum over lags and sources of the kernel times the signal of step t - k. It is made one lag
at a time, a product of the whole window that lands k steps later, so that beside kernel and current, of size K times
the weight and T + K - 1 steps, nothing stands in memory. The way back is in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ..errors import CompilerError
from ..native.events import rows_of_raster
from ..network.links import Ends, Full, Link, Signal, Sparse, SpikeRows
from ..network.links.link import Gradients, Wanted, flat
from .product import apply

_SOFT, _TINY = 0.27, 1e-7
"""What is added to the width of a bell, and to the sum that it is divided by."""

_DENSE_FROM, _FEW = 0.1, 64
"""The density of events from which a dense product is faster than theirs; it always is for so few sources."""


@dataclass(frozen=True)
class Lags:
    """What a signal (T, B, *pre) meets on its way: the link with what it has beside weight and delay, the number of
    lags, the width of the bells and dt, both in ms; events: the signal as such, where their product is faster."""

    link: Link
    ends: Ends
    signal: Signal
    beside: Mapping[str, Tensor]
    n_lags: int
    sigma: float
    dt: float
    events: SpikeRows | None = None

    @property
    def width(self) -> float:
        """The width of the bells in steps."""
        return abs(self.sigma) / self.dt + _SOFT

    def bells(self, delay: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The bells (K, *weight), their sum with what is added to it, and where each lag lies, in widths."""
        lag = torch.arange(self.n_lags, dtype=delay.dtype, device=delay.device)
        away = (lag.view(-1, *[1] * delay.ndim) - delay / self.dt) / self.width
        bells = torch.exp(away.square() * -0.5)
        return bells, bells.sum(0) + _TINY, away

    def current(self, kernel: Tensor) -> Tensor:
        """The current (T + K - 1, B, post) that a kernel (K, *weight) gives."""
        n_steps, batch = _size(self.signal)
        found = kernel.new_zeros(n_steps + self.n_lags - 1, batch, math.prod(self.ends.post))
        for k in range(self.n_lags):
            part = found[k : k + n_steps]
            if (rows := self._rows) is not None:
                part.view(-1, part.shape[2]).addmm_(rows, kernel[k].t())
            else:
                weights = {"weight": kernel[k], **self.beside}
                part += self.link.product(self.events or self.signal, weights, self.ends)[0].flatten(2)
        return found

    def to_kernel(self, kernel: Tensor, grad: Tensor) -> Tensor:
        """The gradient of the kernel at a gradient of the current."""
        found = torch.empty_like(kernel)
        for k in range(self.n_lags):
            found[k] = self._gradients(kernel, grad, k, Wanted(False, ["weight"])).weights["weight"]
        return found

    def to_signal(self, kernel: Tensor, grad: Tensor) -> Tensor:
        """The gradient of the signal, (T, B, *pre)."""
        n_steps, batch = _size(self.signal)
        found = kernel.new_zeros(n_steps, batch, math.prod(self.ends.pre))
        for k in range(self.n_lags):
            if isinstance(self.link, Full):
                found.view(-1, found.shape[2]).addmm_(flat(grad[k : k + n_steps]), kernel[k])
            else:
                found += cast(Tensor, self._gradients(kernel, grad, k, Wanted(True, ())).signal).flatten(2)
        return found.view(n_steps, batch, *self.ends.pre)

    @property
    def _rows(self) -> Tensor | None:
        """The signal (T * B, pre) where a dense product takes it, which adds to what is there."""
        dense = isinstance(self.link, Full) and isinstance(self.signal, Tensor) and self.events is None
        return flat(cast(Tensor, self.signal)) if dense else None

    def _gradients(self, kernel: Tensor, grad: Tensor, k: int, wanted: Wanted) -> Gradients:
        """What the current of one lag passes back."""
        arriving = grad[k : k + _size(self.signal)[0]]
        weights = {"weight": kernel[k], **self.beside}
        arriving = arriving.reshape(*arriving.shape[:2], *self.ends.post)
        return self.link.gradients(self.events or self.signal, weights, self.ends, arriving, wanted)


class _OverLags(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, lags: Lags, signal: Tensor | None, weight: Tensor, delay: Tensor) -> Tensor:
        ctx.lags = lags
        ctx.save_for_backward(weight, delay, *([signal] if signal is not None else []))
        bells, total, _ = lags.bells(delay)
        return lags.current(bells.mul_(weight / total))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        lags, (weight, delay, *_) = ctx.lags, ctx.saved_tensors
        _, to_signal, *to_weights = ctx.needs_input_grad
        bells, total, away = lags.bells(delay)
        kernel, grad = bells * (weight / total), grad.contiguous()
        to_weight = to_delay = None
        if any(to_weights):
            given = lags.to_kernel(kernel, grad)
            shares = (given * bells).sum(0) / total
            to_weight = shares
            # of the bell g_k by d: g_k away_k / width; the sum S that divides it moves too
            moved = bells.mul_(away)
            moved = ((given * moved).sum(0) - shares * moved.sum(0)) / total
            to_delay = weight * moved / (lags.width * lags.dt)
        return None, lags.to_signal(kernel, grad) if to_signal else None, to_weight, to_delay


@dataclass(frozen=True)
class Late:
    """What a signal (T, B, *pre) meets on its way where each synapse has whole steps of delay: the synapses (2, n) in
    order of delays, which delays there are, how many synapses have each, and by how many steps the slowest is late."""

    ends: Ends
    signal: Signal
    pairs: Tensor
    delays: list[int]
    counts: list[int]
    spread: int

    def current(self, weight: Tensor) -> Tensor:
        """The current (T + spread, B, post) that the weights (n,) give."""
        n_steps, batch = _size(self.signal)
        found = weight.new_zeros(n_steps + self.spread, batch, math.prod(self.ends.post))
        for delay, weights in self._parts(weight):
            found[delay : delay + n_steps] += _SYNAPSES.product(self.signal, weights, self.ends)[0].flatten(2)
        return found

    def gradients(self, weight: Tensor, grad: Tensor, wanted: Wanted) -> tuple[Tensor | None, Tensor | None]:
        """Those of the signal and of the weights at a gradient of the current."""
        by_weight, n_steps, total = list[Tensor](), _size(self.signal)[0], None
        for delay, weights in self._parts(weight):
            arriving = grad[delay : delay + n_steps]
            found = _SYNAPSES.gradients(self.signal, weights, self.ends, arriving, wanted)
            total = found.signal if total is None else total.add_(cast(Tensor, found.signal))
            by_weight += found.weights.values()
        return total, torch.cat(by_weight) if by_weight else None

    def _parts(self, weight: Tensor) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Each delay, with the synapses that have it."""
        parts = zip(torch.split(self.pairs, self.counts, 1), torch.split(weight, self.counts), strict=True)
        for delay, (pairs, own) in zip(self.delays, parts, strict=True):
            yield delay, {"indices": pairs, "weight": own}


_SYNAPSES = Sparse()


class _Late(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, late: Late, signal: Tensor | None, weight: Tensor) -> Tensor:
        ctx.late = late
        ctx.save_for_backward(weight, *([signal] if signal is not None else []))
        return late.current(weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        _, to_signal, to_weight = ctx.needs_input_grad
        wanted = Wanted(to_signal, ["weight"] if to_weight else [])
        by_signal, by_weight = ctx.late.gradients(ctx.saved_tensors[0], grad.contiguous(), wanted)
        if by_signal is not None:
            by_signal = by_signal.view(*by_signal.shape[:2], *ctx.late.ends.pre)
        return None, by_signal, by_weight


def after_delays(late: Late, weight: Tensor) -> Tensor:
    """The current (T + spread, B, post) with its gradients to signal and weights (n,)."""
    signal = late.signal if isinstance(late.signal, Tensor) else None
    return cast(Tensor, apply(_Late, late, signal, weight))


def over_lags(lags: Lags, weight: Tensor, delay: Tensor) -> Tensor:
    """The current (T + K - 1, B, post) with its gradients to signal, weight and delay (in ms)."""
    if isinstance(lags.link, Full):
        lags = _as_is_faster(lags)
    signal = lags.signal if isinstance(lags.signal, Tensor) else None
    return cast(Tensor, apply(_OverLags, lags, signal, weight, delay))


def _as_is_faster(lags: Lags) -> Lags:
    """Events as a dense signal, or a dense signal with its events, where the product with all lags gains by it."""
    signal, few = lags.signal, math.prod(lags.ends.pre) < _FEW
    if isinstance(signal, SpikeRows):
        return replace(lags, signal=signal.dense()) if few or signal.density > _DENSE_FROM else lags
    if few or signal.device.type != "cpu" or int(torch.count_nonzero(signal)) > _DENSE_FROM * signal.numel():
        return lags
    try:
        rows = rows_of_raster(signal.flatten(2).contiguous())
    except CompilerError:
        return lags
    return replace(lags, events=SpikeRows.of(rows, lags.ends.pre, signal.detach()))


def _size(signal: Signal) -> tuple[int, int]:
    """Steps and samples of a signal."""
    if isinstance(signal, SpikeRows):
        return signal.n_steps, signal.n_samples
    return signal.shape[0], signal.shape[1]

r"""The pair rule: a modulated outer product of the spikes of one end and the trace of the other.

    at a pre spike of j:    w_ij += lr m a_pre  (y_i - o_pre)  room(w_ij)^mu_pre     y: the post trace
    at a post spike of i:   w_ij += lr m a_post (x_j - o_post) room(w_ij)^mu_post    x: the pre trace

with the modulator m (1, or a reward), first for the pre spikes of a step and then for its post spikes. Each time the
weights are clipped to [w_min, w_max]. room(w) is w_max - w where the amount a is positive, w - w_min where it is
negative; mu = 0 leaves it out. Sources: Song, Miller and Abbott 2000 (additive), van Rossum et al. 2000 and Guetig et
al. 2003 (weight dependence), Diehl and Cook 2015 (offset, normalisation).

What a lone pair changes, with d = exp(-dt/tau) and n = 0, 1, 2 ... steps from the first spike to the second, over
lr m a: after a trace that is read before it is updated (the default) 0, 1, d, d^2 ...; after one that is updated before
(`before=True`) 1, d, d^2, d^3 ...
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Generic, NamedTuple, final

from ..errors import ParameterError
from ..filters.low_pass import Leak
from ..ops import A, Ops
from .trace import Trace

_TRACE = Trace()
SILENT = 1e-30


def _check_number(owner: str, value: object, *, least: float = -math.inf, finite: bool = True) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not value >= least or (finite and math.isinf(value)):  # type: ignore[operator,arg-type]
        expected = "a finite number" if finite else "a number"
        raise ParameterError(f"{owner} must be {expected}{'' if least < 0 else ' of at least 0'}, got {value!r}")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What one spike does to a weight: amount * (the other end's trace - offset) * room ** mu."""

    amount: float
    offset: float = 0.0
    mu: float = 0.0

    def __post_init__(self) -> None:
        for f in fields(self):
            least = 0.0 if f.name == "mu" else -math.inf
            _check_number(f"Change.{f.name}", getattr(self, f.name), least=least)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Normalise:
    """The magnitudes of the weights into each neuron are scaled to a sum, then clipped; silent rows stay.

    A row is silent whose magnitudes sum to no more than SILENT of what they should: nothing scales it without overflow.

    total: the sum; every: after each so many steps, or (None) at the end of a run.
    """

    total: float
    every: int | None = None

    def __post_init__(self) -> None:
        _check_number("Normalise.total", self.total)
        if self.total <= 0:
            raise ParameterError(f"Normalise.total must be positive, got {self.total!r}")
        whole = isinstance(self.every, int) and not isinstance(self.every, bool)
        if self.every is not None and not (whole and self.every >= 1):
            raise ParameterError(f"Normalise.every must be a number of steps, at least 1, or None, got {self.every!r}")

    def due(self, n_steps: int, *, last: bool) -> bool:
        """Whether it is time after so many steps; last: of a run."""
        return last if self.every is None else n_steps % self.every == 0


class Traces(NamedTuple, Generic[A]):
    """The traces of both ends: pre (K,), post (N,); or what belongs to each."""

    pre: A
    post: A


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class PairRule:
    """Spike-timing dependent plasticity by pairs.

    pre, post: the traces, one read at the spikes of the other end; at_pre, at_post: the changes at spikes of each end;
    lr: the learning rate; w_min, w_max: the bounds, infinite where there is none.
    """

    pre: Trace = _TRACE
    post: Trace = _TRACE
    at_pre: Change = Change(amount=-1e-4)
    at_post: Change = Change(amount=1e-2)
    lr: float = 1.0
    w_min: float = 0.0
    w_max: float = 1.0
    normalise: Normalise | None = None

    def __post_init__(self) -> None:
        kinds = {"pre": Trace, "post": Trace, "at_pre": Change, "at_post": Change}
        kinds |= {} if self.normalise is None else {"normalise": Normalise}
        for name, kind in kinds.items():
            if not isinstance(value := getattr(self, name), kind):
                raise ParameterError(f"PairRule.{name} must be a {kind.__name__}, got {value!r}")
        _check_number("PairRule.lr", self.lr, least=0.0)
        for name in ("w_min", "w_max"):
            _check_number(f"PairRule.{name}", getattr(self, name), finite=False)
        if not self.w_min < self.w_max:
            raise ParameterError(f"PairRule.w_min must be below w_max, got {self.w_min} and {self.w_max}")
        for name in ("at_pre", "at_post"):
            change = getattr(self, name)
            bound = "w_max" if change.amount > 0 else "w_min"
            if change.mu and math.isinf(getattr(self, bound)):
                raise ParameterError(f"PairRule.{name}.mu needs a finite {bound}: the change depends on the room to it")

    def leaks(self, dt: float, xp: Ops[Any]) -> Traces[Leak]:
        """The coefficients of the traces for steps of dt ms."""
        return Traces(self.pre.filter.coefficients(dt, xp), self.post.filter.coefficients(dt, xp))

    def step(
        self, weights: A, traces: Traces[A], pre: A, post: A, leaks: Traces[Leak], xp: Ops[A], modulator: Any = 1.0
    ) -> tuple[A, Traces[A]]:
        """Weights (N, K) and traces after one step with the spikes pre (K,) and post (N,), each 0 or 1."""
        after = Traces(self.pre.step(traces.pre, pre, leaks.pre), self.post.step(traces.post, post, leaks.post))
        x = after.pre if self.pre.before else traces.pre
        y = after.post if self.post.before else traces.post
        factor = self.scale(self.at_pre) * modulator * (y - self.at_pre.offset)
        weights = self._changed(weights, self.at_pre, factor[:, None] * pre[None, :], xp)
        factor = self.scale(self.at_post) * modulator * (x - self.at_post.offset)
        weights = self._changed(weights, self.at_post, post[:, None] * factor[None, :], xp)
        return weights, after

    def scale(self, change: Change) -> float:
        """lr times the amount of a change."""
        return self.lr * change.amount

    def normalised(self, weights: A, xp: Ops[A]) -> A:
        """The weights (N, K) with the sums of magnitudes that `normalise` asks for; as they are without it."""
        if self.normalise is None:
            return weights
        total: Any = xp.abs(weights).sum(1)[:, None]
        heard = total > self.normalise.total * SILENT
        factor = xp.where(heard, self.normalise.total / xp.where(heard, total, 1.0), 1.0)
        return self._clipped(weights * factor, xp)

    def _changed(self, weights: A, change: Change, by: Any, xp: Ops[A]) -> A:
        if change.mu:
            room: Any = self.w_max - weights if change.amount > 0 else weights - self.w_min
            by = by * room**change.mu
        return self._clipped(weights + by, xp)

    def _clipped(self, weights: Any, xp: Ops[A]) -> A:
        return xp.minimum(xp.maximum(weights, self.w_min), self.w_max)

"""One step of a rule, in plain array code on NumPy arrays and on tensors.

The structure of a connection enters through `Synapses` alone; `Dense` is that of weights (N, K).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from ..errors import ParameterError
from ..filters import LowPass
from ..filters.low_pass import Leak
from ..ops import A, Ops
from .expressions import names, value
from .rule import Change, End, Rule, Trace

Observed = Mapping[str, Any]
"""What one end shows in a step: its output `s` and the state variables that the rule reads, (B, *shape) each."""
P = TypeVar("P", bound=Any)


class Synapses(Protocol[P]):
    """The weights of a connection as far as a rule needs their structure; factors of the ends are (B, *shape)."""

    def outer(self, pre: P, post: P) -> P:
        """post (x) pre at each weight, summed over samples and over the places that share it."""

    def each(self, pre: P, post: P) -> P:
        """The same for each sample, (B, *weights)."""

    def back(self, post: P, weights: P) -> P:
        """What a factor of the post end sends back through the weights, (B, *pre)."""

    def rows(self, values: P) -> P:
        """The sums of values at the weights into each neuron, so that they broadcast to the weights."""

    def moved(self, weights: P, by: P) -> P:
        """The weights with this added, within the bounds."""

    def scaled(self, weights: P, by: P) -> P:
        """The weights times this, within the bounds."""

    def uniform(self, like: P) -> P:
        """Random numbers between 0 and 1 in the shape of an array."""


class RuleState(NamedTuple, Generic[A]):
    """Where a rule stands between two steps.

    traces: by name, (B, *shape) of their end; eligible: by the number of the change, (B, *weights); offsets: by target,
    what the rule has added to that parameter of the post neurons, (*shape).
    """

    traces: Mapping[str, A]
    eligible: Mapping[int, A]
    offsets: Mapping[str, A]


class Stepper(Generic[A]):
    """A rule over steps of dt ms at the synapses of one connection.

    share: what a sample counts, 1 where samples are summed, 1 / B where they are averaged.
    """

    def __init__(self, rule: Rule, synapses: Synapses[A], dt: float, xp: Ops[A], share: float = 1.0) -> None:
        self.rule, self.synapses, self.xp, self.share = rule, synapses, xp, share
        self._constants = {**rule.parameters, "dt": float(dt)}
        self._bounds = {**self._constants, "w_min": rule.w_min, "w_max": rule.w_max}
        self._leaks = {name: trace.filter.coefficients(dt, xp) for name, trace in rule.traces.items()}
        self._slow = {k: _coefficients(c.eligibility, dt, xp) for k, c in enumerate(rule.changes)}
        self._relaxing = {k: _coefficients(c.relax, dt, xp) for k, c in enumerate(rule.changes)}
        self._counted = [end for end in ("pre", "post") if "count" in _all_names(rule, end)]
        self._early = [name for name, trace in rule.traces.items() if trace.before]
        self._late = [name for name, trace in rule.traces.items() if not trace.before]
        stepped = [k for k, c in enumerate(rule.changes) if c.stepped]
        order = {"pre": 0, "post": 1, "step": 2}
        self._stepped = sorted(stepped, key=lambda k: order[rule.changes[k].trigger])

    def initial(self, weights: A, pre: A, post: A, offsets: Mapping[str, A]) -> RuleState[A]:
        """The state of a rule that saw nothing; pre, post: an array of each end, (B, *shape)."""
        ends: dict[End, A] = {"pre": pre, "post": post}
        traces = {name: t.filter.initial(ends[t.end])[0] for name, t in self.rule.traces.items()}
        slow = [k for k, change in enumerate(self.rule.changes) if change.eligibility is not None]
        eligible = {k: self.xp.stack([weights * 0] * len(post)) for k in slow}
        return RuleState(traces, eligible, dict(offsets))

    def step(
        self, weights: A, state: RuleState[A], pre: Observed, post: Observed, modulator: Any = 1.0
    ) -> tuple[A, RuleState[A]]:
        """Weights and state after one step; modulator: a float, or an array that broadcasts to (B, *post)."""
        traces = self._traced(dict(state.traces), self._early, pre, post)
        ends = _Ends(self._values("pre", pre, traces), self._values("post", post, traces))
        eligible, offsets = dict(state.eligible), dict(state.offsets)
        for k in self._stepped:
            change = self.rule.changes[k]
            if change.on_weight:
                weights = self._changed(k, weights, eligible, ends, modulator)
            else:
                offsets[change.target] = self._offset(k, offsets[change.target], ends, modulator)
        return weights, RuleState(self._traced(traces, self._late, pre, post), eligible, offsets)

    def normalised(self, weights: A, n_steps: int, *, last: bool = False) -> A:
        """The weights after so many steps, normalised where it is time; last: at the end of a run."""
        asked = self.rule.normalise
        if asked is None or not self.rule.lr or not asked.due(n_steps, last=last):
            return weights
        sums = self.synapses.rows(asked.measure(weights, self.xp))
        return self.synapses.scaled(weights, asked.factor(sums, self.xp))

    def end(
        self, weights: A, state: RuleState[A], pre: Observed, post: Observed, modulator: Any = 1.0, *, first: bool
    ) -> tuple[A, RuleState[A]]:
        """Weights and state after what comes at the end of a run, before normalisation; first: whether of the first."""
        ends = _Ends(self._values("pre", pre, state.traces), self._values("post", post, state.traces))
        offsets = dict(state.offsets)
        for trigger in ("run", "first") if first else ("run",):
            for k, change in enumerate(self.rule.changes):
                if change.trigger == trigger and change.on_weight:
                    weights = self._changed(k, weights, {}, ends, modulator)
                elif change.trigger == trigger:
                    offsets[change.target] = self._offset(k, offsets[change.target], ends, modulator)
        return weights, state._replace(offsets=offsets)

    def _values(self, end: End, observed: Observed, traces: Mapping[str, A]) -> dict[str, Any]:
        own = {name: trace for name, trace in traces.items() if self.rule.traces[name].end == end}
        s: Any = observed["s"]
        found = {**self._constants, **observed, **own}
        if end in self._counted:
            found["count"] = s.reshape(len(s), -1).sum(1).reshape(len(s), *[1] * (s.ndim - 1))
        return found

    def _traced(self, traces: dict[str, A], which: list[str], pre: Observed, post: Observed) -> dict[str, A]:
        """The traces with some of them updated, in the order of the record."""
        for name in which:
            trace = self.rule.traces[name]
            observed = pre if trace.end == "pre" else post
            x = observed["s"]
            if trace.of != "s":
                x = value(trace.of, self._values(trace.end, observed, traces), self.xp, x)
            traces[name] = _after(trace, traces[name], x, observed["s"], self._leaks[name])
        return traces

    def _changed(self, k: int, weights: A, eligible: dict[int, A], ends: _Ends, modulator: Any) -> A:
        """The weights after one change of them."""
        change = self.rule.changes[k]
        silent = change.trigger in ("pre", "post") and not bool((ends.at(change.trigger)["s"] != 0).any())
        if silent and change.eligibility is None:
            return weights
        rate = self._rate(change, modulator)
        post = self._factor(change, "post", ends)
        pre = self._factor(change, "pre", ends, weights, post)
        if change.eligibility is None:
            by: Any = self.synapses.outer(pre, post * rate)
        else:
            made = self.synapses.each(pre, post)
            eligible[k] = change.eligibility.step((eligible[k],), made, self._slow[k])[0]
            by = self._modulated(eligible[k], rate, pre)
        if change.weight != "1":
            by = by * value(change.weight, {**self._bounds, "w": weights}, self.xp, weights)
        if self.rule.rounding:
            by = self.xp.floor(by + self.synapses.uniform(by))
        return self.synapses.moved(weights, by)

    def _modulated(self, eligible: Any, rate: Any, pre: Any) -> Any:
        """The sum over samples of what is eligible, each times its rate."""
        if np.shape(rate) == ():
            return rate * eligible.sum(0)
        if prod(np.shape(rate)) == len(rate):
            return (rate.reshape(len(rate), *[1] * (eligible.ndim - 1)) * eligible).sum(0)
        return (self.synapses.each(pre * 0 + 1, rate) * eligible).sum(0)

    def _offset(self, k: int, offset: Any, ends: _Ends, modulator: Any) -> Any:
        """An offset after one change of it."""
        change = self.rule.changes[k]
        by = (self._factor(change, "post", ends) * self._rate(change, modulator)).sum(0)
        return offset + by if change.relax is None else change.relax.step((offset,), by, self._relaxing[k])[0]

    def _rate(self, change: Change, modulator: Any) -> Any:
        if change.modulator == "1":
            return self.rule.lr * self.share
        m = value(change.modulator, {**self._constants, "m": modulator}, self.xp, modulator)
        return m * (self.rule.lr * self.share)

    def _factor(self, change: Change, end: End, ends: _Ends, weights: Any = None, post: Any = None) -> Any:
        """The factor of one end, (B, *shape)."""
        values, text = ends.at(end), getattr(change, end)
        s = values["s"]
        if text == "1" and change.trigger == end:
            return s
        if end == "pre" and "back" in names(text):
            values = {**values, "back": self.synapses.back(post, weights)}
        found = value(text, values, self.xp, s)
        if change.trigger == end:
            return s * found
        return found + s * 0 if np.shape(found) != np.shape(s) else found


class _Ends(NamedTuple):
    """What the expressions of each end hold in a step."""

    pre: dict[str, Any]
    post: dict[str, Any]

    def at(self, end: str) -> dict[str, Any]:
        return self.pre if end == "pre" else self.post


def _all_names(rule: Rule, end: End) -> set[str]:
    texts = [t.of for t in rule.traces.values() if t.end == end]
    return {name for text in [*texts, *(getattr(c, end) for c in rule.changes)] for name in names(text)}


def _coefficients(filter: LowPass | None, dt: float, xp: Ops[Any]) -> Leak:
    return Leak(1.0, 1.0) if filter is None else filter.coefficients(dt, xp)


def _after(trace: Trace, before: Any, x: Any, s: Any, leak: Leak) -> Any:
    kept = before * (1 - s) if trace.nearest else before
    return trace.filter.step((kept,), x, leak)[0]


class Dense(Generic[A]):
    """All synapses between K and N neurons, weights (N, K).

    uniform: what a rule with rounding draws from: random numbers between 0 and 1 in the shape of an array.
    """

    def __init__(self, rule: Rule, xp: Ops[A], uniform: Callable[[A], A] | None = None) -> None:
        self._edges, self._xp, self._uniform = (rule.w_min, rule.w_max), xp, uniform

    def outer(self, pre: A, post: A) -> A:
        found: A = post.T @ pre
        return found

    def each(self, pre: A, post: A) -> A:
        found: A = post[:, :, None] * pre[:, None, :]
        return found

    def back(self, post: A, weights: A) -> A:
        found: A = post @ weights
        return found

    def rows(self, values: A) -> A:
        found: A = values.sum(1)[:, None]
        return found

    def moved(self, weights: A, by: A) -> A:
        return self._within(weights + by)

    def scaled(self, weights: A, by: A) -> A:
        return self._within(weights * by)

    def uniform(self, like: A) -> A:
        if self._uniform is None:
            raise ParameterError("a rule with rounding draws random numbers; give it what it draws from")
        return self._uniform(like)

    def _within(self, weights: A) -> A:
        low, high = self._edges
        return self._xp.minimum(self._xp.maximum(weights, low), high)

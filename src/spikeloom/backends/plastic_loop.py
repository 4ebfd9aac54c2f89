"""Plastic connections step by step, in the lines of the neuron and of the rule: the reference of the kernel.

The same lines run on NumPy arrays and on torch tensors. Order of a step: deliver, integrate, emit, reset, rules on pre,
rules on post, traces, threshold, normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import ParameterError, UnsupportedError
from ..filters import LowPass
from ..neurons import Neuron, advance
from ..neurons.emission import Step
from ..neurons.surrogates import is_number
from ..ops import Array, Ops
from ..plasticity import Homeostasis, PairRule, Traces
from ..registry import did_you_mean
from ..units import check_dt


class PlasticState(NamedTuple):
    """Where a run stands after `done` steps.

    weights (N, K); neurons: their variables, then the filter's, each (N,); theta: on top of the thresholds, (N,);
    fired: the spikes of the last step, (N,).
    """

    weights: Array
    neurons: tuple[Array, ...]
    traces: Traces[Array]
    theta: Array
    fired: Array
    done: int = 0


@dataclass(frozen=True, kw_only=True)
class PlasticModel:
    """One plastic connection and the neurons behind it, stepped by dt ms.

    filter: what the current passes on its way into the neuron's first port. inhibition: what a spike takes from the
    input of every other neuron in the next step. Raises UnsupportedError for neurons that do not spike: a rule pairs
    spikes.
    """

    neuron: Neuron[Any]
    rule: PairRule
    dt: float
    homeostasis: Homeostasis | None = None
    filter: LowPass | None = None
    inhibition: float = 0.0

    def __post_init__(self) -> None:
        kinds: dict[str, type[Any]] = {
            "neuron": Neuron,
            "rule": PairRule,
            "homeostasis": Homeostasis,
            "filter": LowPass,
        }
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and not (value is None and name in ("homeostasis", "filter")):
                raise ParameterError(f"PlasticRun.{name} must be a {kind.__name__}, got {value!r}")
        object.__setattr__(self, "dt", check_dt(self.dt))
        if not is_number(self.inhibition):
            raise ParameterError(f"PlasticRun.inhibition must be a finite number, got {self.inhibition!r}")
        if not isinstance(self.neuron.emission.forward, Step):
            name = type(self.neuron.emission.forward).__name__
            raise UnsupportedError(f"a pair rule needs neurons that spike; emission.forward is {name}, give Step()")
        if self.homeostasis is not None:
            self._check_target(self.homeostasis.target)

    def _check_target(self, target: str) -> None:
        model, known = type(self.neuron).__name__, self.neuron.parameters()
        if target not in known:
            hint, has = did_you_mean(str(target), known), ", ".join(known)
            raise ParameterError(f"Homeostasis.target: {model} has no parameter {target!r}{hint} It has: {has}")
        if not isinstance(threshold := self.neuron.emission.threshold, str):
            raise ParameterError(f"Homeostasis needs a threshold that is a parameter of {model}, got {threshold}")

    def initial(self, weights: Array) -> PlasticState:
        """The state at rest behind weights (N, K)."""
        pre, post = weights[0] * 0, weights[:, 0] * 0
        variables = tuple(value + post for value in self.neuron.initial())
        filtered = () if self.filter is None else self.filter.initial(post)
        traces = Traces(self.rule.pre.initial(pre), self.rule.post.initial(post))
        return PlasticState(weights, (*variables, *filtered), traces, post, post)

    def step(self, state: PlasticState, pre: Array, current: Array, modulator: float, xp: Ops[Any]) -> tuple[Any, Any]:
        """Spikes (N,) and state after one step with the pre spikes (K,); current: what else comes in, (N,) or 0.0."""
        rule, home = self.rule, self.homeostasis
        if self.inhibition:
            current = current - self.inhibition * (state.fired.sum() - state.fired)
        spikes, neurons = self._emit(state, state.weights @ pre + current, xp)
        weights, traces = rule.step(
            state.weights, state.traces, pre, spikes, rule.leaks(self.dt, xp), xp, modulator=modulator
        )
        theta = state.theta
        if home is not None:
            theta = home.step(theta, spikes, home.filter.coefficients(self.dt, xp))
        return spikes, PlasticState(weights, neurons, traces, theta, spikes, state.done + 1)

    def _emit(self, state: PlasticState, arriving: Any, xp: Ops[Any]) -> tuple[Any, tuple[Any, ...]]:
        """Spikes (N,) of the neurons that this arrives at, and the state of neurons and filter."""
        n, off = len(self.neuron.State._fields), state.theta * 0
        neuron, filtered = self.neuron, state.neurons[n:]
        if self.filter is not None:
            arriving, filtered = self.filter.step(filtered, arriving, self.filter.coefficients(self.dt, xp))
        if self.homeostasis is not None:
            name = self.homeostasis.target
            neuron = neuron.bound({name: getattr(neuron, name) + state.theta})
        others = [off for _ in neuron.ports[1:]]
        inputs = (arriving, *others) if others else arriving
        spikes, variables = advance(
            neuron, neuron.State(*state.neurons[:n]), inputs, self.dt, xp, lambda d, *_: xp.where(d >= 0, off + 1, off)
        )
        return spikes, (*variables, *filtered)


def step_window(
    model: PlasticModel,
    state: PlasticState,
    pre: Array,
    xp: Ops[Any],
    *,
    modulator: Sequence[float] | None = None,
    current: Array | None = None,
    last: bool = True,
) -> tuple[Array, PlasticState]:
    """Spikes (T, N) and state after a window of pre spikes (T, K), each 0 or 1; last: whether the run ends with it.

    modulator: (T,), by default 1; current: what else comes in, (T, N).
    """
    fired: list[Array] = []
    for t, spikes in enumerate(pre):
        reward = 1.0 if modulator is None else float(modulator[t])
        spikes, state = model.step(state, spikes, 0.0 if current is None else current[t], reward, xp)
        fired.append(spikes)
        normalise = model.rule.normalise
        if normalise is not None and normalise.due(state.done, last=last and t + 1 == len(pre)):
            state = state._replace(weights=model.rule.normalised(state.weights, xp))
    return xp.stack(fired), state

"""Plastic connections step by step, in the lines of the neuron and of the rule: the reference of the kernel.

The same lines run on NumPy arrays and on torch tensors. Order of a step: deliver, integrate, emit, reset, then what the
rule does in a step (see `spikeloom.plasticity.rule`), normalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..errors import ParameterError, UnsupportedError
from ..filters import LowPass
from ..network.rules import movable
from ..neurons import Neuron, advance
from ..neurons.emission import Step
from ..neurons.surrogates import is_number
from ..ops import Array, Ops
from ..plasticity.rule import Rule
from ..plasticity.stepping import Dense, RuleState, Stepper
from ..registry import did_you_mean
from ..units import check_dt


class PlasticState(NamedTuple):
    """Where a run stands after `done` steps, of which `ended` runs are over.

    weights (N, K); neurons: their variables, then the filter's, each (N,); traces: by name, (K,) or (N,); eligible: by
    the number of the change, (N, K); offsets: by the parameter that they are on, (N,); fired: the spikes of the last
    step, (N,).
    """

    weights: Array
    neurons: tuple[Array, ...]
    traces: Mapping[str, Array]
    eligible: Mapping[int, Array]
    offsets: Mapping[str, Array]
    fired: Array
    done: int = 0
    ended: int = 0


@dataclass(frozen=True, kw_only=True)
class PlasticModel:
    """One plastic connection and the neurons behind it, stepped by dt ms.

    filter: what the current passes on its way into the neuron's first port. inhibition: what a spike takes from the
    input of every other neuron in the next step. A rule with a learning rate of 0 does nothing and keeps nothing.
    Raises UnsupportedError for neurons that do not spike.
    """

    neuron: Neuron[Any]
    rule: Rule
    dt: float
    filter: LowPass | None = None
    inhibition: float = 0.0

    def __post_init__(self) -> None:
        kinds: dict[str, type[Any]] = {"neuron": Neuron, "rule": Rule, "filter": LowPass}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and not (value is None and name == "filter"):
                raise ParameterError(f"PlasticRun.{name} must be a {kind.__name__}, got {value!r}")
        object.__setattr__(self, "dt", check_dt(self.dt))
        if not is_number(self.inhibition):
            raise ParameterError(f"PlasticRun.inhibition must be a finite number, got {self.inhibition!r}")
        if not isinstance(self.neuron.emission.forward, Step):
            name = type(self.neuron.emission.forward).__name__
            raise UnsupportedError(f"PlasticRun needs neurons that spike; emission.forward is {name}, give Step()")
        self._check_read()
        for target in self.rule.targets:
            self._check_target(target)
        if self.rule.lr == 0:
            still = replace(self.rule, traces={}, changes=(), normalise=None, rounding=False)
            object.__setattr__(self, "rule", still)

    def _check_read(self) -> None:
        """Raises ParameterError where the rule reads what the ends do not have."""
        if read := sorted(self.rule.read("pre")):
            raise ParameterError(f"PlasticRun.rule reads {', '.join(read)} of pre, of which there are the spikes alone")
        model, known = type(self.neuron).__name__, self.neuron.State._fields
        for name in sorted(self.rule.read("post")):
            if name not in known:
                hint, has = did_you_mean(name, known), ", ".join(known)
                raise ParameterError(f"PlasticRun.rule: {model} has no state variable {name!r}{hint} It has: {has}")

    def _check_target(self, target: str) -> None:
        model, known = type(self.neuron).__name__, movable(self.neuron)
        if target not in known:
            hint, has = did_you_mean(target, known), ", ".join(known)
            raise ParameterError(f"Change.target: {model} has no parameter {target!r}{hint} It has: {has}")
        if target == "v_th" and not isinstance(threshold := self.neuron.emission.threshold, str):
            raise ParameterError(f"Change.target 'v_th' needs it to be the threshold of {model}, which is {threshold}")

    def initial(self, weights: Array, xp: Ops[Any]) -> PlasticState:
        """The state at rest behind weights (N, K)."""
        pre, post = weights[0] * 0, weights[:, 0] * 0
        variables = tuple(value + post for value in self.neuron.initial())
        filtered = () if self.filter is None else self.filter.initial(post)
        offsets = dict.fromkeys(self.rule.targets, post)
        fresh = self.stepper(xp).initial(weights, pre[None], post[None], offsets)
        return PlasticState(weights, (*variables, *filtered), *_without_batch(fresh), post)

    def stepper(self, xp: Ops[Any], uniform: Callable[[Any], Any] | None = None) -> Stepper[Any]:
        """What steps the rule; uniform: what it draws from where it rounds."""
        return Stepper(self.rule, Dense(self.rule, xp, uniform), self.dt, xp)

    def emit(self, state: PlasticState, pre: Array, current: Any, xp: Ops[Any]) -> tuple[Any, tuple[Any, ...]]:
        """Spikes (N,) after the pre spikes (K,), and the neurons' state; current: what else comes in, (N,) or 0.0."""
        if self.inhibition:
            current = current - self.inhibition * (state.fired.sum() - state.fired)
        arriving = state.weights @ pre + current
        n, off = len(self.neuron.State._fields), state.fired * 0
        neuron, filtered = self.neuron, state.neurons[n:]
        if self.filter is not None:
            arriving, filtered = self.filter.step(filtered, arriving, self.filter.coefficients(self.dt, xp))
        if state.offsets:
            neuron = neuron.bound({name: getattr(neuron, name) + by for name, by in state.offsets.items()})
        others = [off for _ in neuron.ports[1:]]
        inputs = (arriving, *others) if others else arriving
        spikes, variables = advance(
            neuron, neuron.State(*state.neurons[:n]), inputs, self.dt, xp, lambda d, *_: xp.where(d >= 0, off + 1, off)
        )
        return spikes, (*variables, *filtered)

    def learn(self, state: PlasticState, pre: Array, stepper: Stepper[Any], modulator: Any) -> PlasticState:
        """The state after what the rule does in a step whose post spikes are in place."""
        seen = self._seen(state, pre)
        weights, after = stepper.step(state.weights, _with_batch(state), *seen, modulator)
        return _learnt(state._replace(weights=weights, done=state.done + 1), after)

    def end(self, state: PlasticState, pre: Array, stepper: Stepper[Any], modulator: Any) -> PlasticState:
        """The state after what the rule does at the end of a run, normalised too; pre: its last spikes."""
        seen = self._seen(state, pre)
        weights, after = stepper.end(state.weights, _with_batch(state), *seen, modulator, first=state.ended == 0)
        if self.rule.normalise is not None and self.rule.normalise.every is None:
            weights = stepper.normalised(weights, state.done, last=True)
        return _learnt(state._replace(weights=weights, ended=state.ended + 1), after)

    def _seen(self, state: PlasticState, pre: Array) -> tuple[dict[str, Any], dict[str, Any]]:
        variables = dict(zip(self.neuron.State._fields, state.neurons, strict=False))
        read = {name: variables[name][None] for name in self.rule.read("post")}
        return {"s": pre[None]}, {"s": state.fired[None], **read}


def _with_batch(state: PlasticState) -> RuleState[Any]:
    traces = {name: trace[None] for name, trace in state.traces.items()}
    return RuleState(traces, {k: eligible[None] for k, eligible in state.eligible.items()}, dict(state.offsets))


def _without_batch(state: RuleState[Any]) -> RuleState[Any]:
    traces = {name: trace[0] for name, trace in state.traces.items()}
    return RuleState(traces, {k: eligible[0] for k, eligible in state.eligible.items()}, dict(state.offsets))


def _learnt(state: PlasticState, rule: RuleState[Any]) -> PlasticState:
    traces, eligible, offsets = _without_batch(rule)
    return state._replace(traces=traces, eligible=eligible, offsets=offsets)


def step_window(
    model: PlasticModel,
    state: PlasticState,
    pre: Array,
    xp: Ops[Any],
    *,
    modulator: Array | None = None,
    current: Array | None = None,
    last: bool = True,
    uniform: Callable[[Any], Any] | None = None,
) -> tuple[Array, PlasticState]:
    """Spikes (T, N) and state after a window of pre spikes (T, K), each 0 or 1; last: whether the run ends with it.

    modulator: (T,), by default 1; current: what else comes in, (T, N); uniform: what a rule with rounding draws from.
    """
    fired: list[Array] = []
    stepper = model.stepper(xp, uniform)
    for t, arriving in enumerate(pre):
        reward = 1.0 if modulator is None else modulator[t]
        spikes, neurons = model.emit(state, arriving, 0.0 if current is None else current[t], xp)
        state = model.learn(state._replace(neurons=neurons, fired=spikes), arriving, stepper, reward)
        fired.append(spikes)
        if model.rule.normalise is not None and model.rule.normalise.every is not None:
            state = state._replace(weights=stepper.normalised(state.weights, state.done))
        if last and t + 1 == len(pre):
            state = model.end(state, arriving, stepper, reward)
    return xp.stack(fired), state

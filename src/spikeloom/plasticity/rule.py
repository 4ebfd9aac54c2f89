r"""Plasticity in one form: a rule is a record of expressions over filtered observables.

    dw_ij = lr * modulator * weight(w_ij) * post_i * pre_j        at its trigger

`Trace` filters what one end of a connection shows, `Change` says what is added when, `Rule` holds both with the bounds.
An expression is a text of `spikeloom.equations` over

    s          the end's output in this step: a spike is 1          count    the sum of s over the population
    <trace>    a trace of that end, by the name that the rule gives it
    <variable> a state variable of that population, such as v, where `Rule.variables` names it
    <parameter> a parameter of the rule                             dt       the time step in ms
    w, w_min, w_max     in `weight` alone: the weight and its bounds
    m                   in `modulator` alone: what the learner binds, 1 where it binds nothing
    back                in `pre` alone: W^T post, what the change's post factor sends back through the weights

Order of a step: deliver, integrate, emit, reset, traces with `before`, changes at 'pre', at 'post', at 'step' (each in
the order of the record), the other traces, monitors. At the end of a run: changes at 'run', then at 'first',
normalisation. Weights are clipped after each change. A change sees the weights that the one before it has left: write
the decay first where a growth and a decay make one difference, w += s (x - w).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final, get_args

from ..errors import ParameterError
from ..filters import LowPass
from ..registry import did_you_mean
from .expressions import check, check_name, names
from .normalise import Normalise, plain_number

End = Literal["pre", "post"]
Trigger = Literal["pre", "post", "step", "run", "first"]
WEIGHT = "weight"
TWENTY_MS = LowPass(tau=20.0)
MAX_PARTS = 100
"""How many traces, changes, parameters and variables each a rule may have, so that any file is read in bounded time."""


def _check_choice(owner: str, given: object, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ParameterError(
            f"{owner} must be one of {', '.join(known)}, got {given!r:.80}{did_you_mean(str(given)[:80], known)}"
        )


def _check_filter(owner: str, given: object, *, optional: bool = False) -> None:
    if not isinstance(given, LowPass) and not (optional and given is None):
        raise ParameterError(f"{owner} must be a LowPass{' or None' if optional else ''}, got {given!r}")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """A filter on an observable of one end.

    end: 'pre' or 'post'; of: what is filtered, an expression over s, count, variables, parameters and the traces of
    that end that stand before it in the rule. filter: how it decays, and what it takes of a value. nearest: a spike
    sets the trace to that instead of adding it, so that a rule pairs with the nearest spike alone. before: it is
    updated before the changes of a step read it, so that spikes of the same step pair; by default after them.
    """

    end: End
    of: str = "s"
    filter: LowPass = TWENTY_MS
    nearest: bool = False
    before: bool = False

    def __post_init__(self) -> None:
        _check_choice("Trace.end", self.end, get_args(End))
        _check_filter("Trace.filter", self.filter)
        for name in ("nearest", "before"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(f"Trace.{name} must be True or False, got {getattr(self, name)!r}")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What is added to the weights, or to a parameter of the post neurons, and when.

    trigger: 'pre', at the spikes of pre (the pre factor is multiplied by s); 'post', at those of post; 'step', in every
    step; 'run', at the end of each run; 'first', at the end of the first run alone. pre, post: the factors of the two
    ends; weight: a factor that depends on the weight itself; modulator: an expression over m. eligibility: a filter
    for each synapse that the product passes before the modulator multiplies it, in every step. target: 'weight', or
    the name of a parameter of the post neurons such as 'v_th': then lr * modulator * post is added to an offset on it,
    and relax is how that offset decays in each step (None: it stays).
    """

    trigger: Trigger
    pre: str = "1"
    post: str = "1"
    weight: str = "1"
    modulator: str = "1"
    eligibility: LowPass | None = None
    target: str = WEIGHT
    relax: LowPass | None = None

    def __post_init__(self) -> None:
        _check_choice("Change.trigger", self.trigger, get_args(Trigger))
        _check_filter("Change.eligibility", self.eligibility, optional=True)
        _check_filter("Change.relax", self.relax, optional=True)
        if self.trigger in ("run", "first") and (self.eligibility is not None or self.relax is not None):
            raise ParameterError(f"Change: trigger {self.trigger!r} comes once a run; leave eligibility and relax out")
        if self.on_weight:
            if self.relax is not None:
                raise ParameterError("Change.relax is for a target that is a neuron's parameter; use weight= to decay")
            return
        check_name("Change.target", self.target)
        if (self.pre, self.weight) != ("1", "1") or self.eligibility is not None or self.trigger == "pre":
            raise ParameterError(
                f"Change with target {self.target!r} has a post factor alone; leave trigger 'pre', pre, weight and "
                "eligibility out"
            )

    @property
    def on_weight(self) -> bool:
        """Whether it changes the weights."""
        return self.target == WEIGHT

    @property
    def stepped(self) -> bool:
        """Whether it comes within a run, not at its end."""
        return self.trigger not in ("run", "first")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A plasticity rule for one connection.

    traces: by the name that the expressions call them; changes: in order; parameters: numbers by name; variables: the
    state variables of the populations that expressions read. lr: the learning rate, of every change; 0 stops all that
    the rule does. w_min, w_max: the bounds, infinite where there is none. normalise: what the weights into a neuron are
    scaled to. rounding: each change is rounded to a whole number at random, up with the probability of its fraction, so
    that weights that start as whole numbers stay so. Raises ParameterError for names that nothing has.
    """

    traces: Mapping[str, Trace] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)
    variables: tuple[str, ...] = ("v",)
    lr: float = 1.0
    w_min: float = -math.inf
    w_max: float = math.inf
    normalise: Normalise | None = None
    rounding: bool = False

    def __post_init__(self) -> None:
        for name in ("changes", "variables"):
            given = getattr(self, name)
            if not isinstance(given, (tuple, list)):
                raise ParameterError(f"Rule.{name} must be a tuple, got {given!r}")
            object.__setattr__(self, name, tuple(given))
        for name in ("traces", "parameters"):
            if not isinstance(given := getattr(self, name), Mapping):
                raise ParameterError(f"Rule.{name} must map names to values, got {given!r}")
            object.__setattr__(self, name, dict(given))
        for name in ("traces", "changes", "parameters", "variables"):
            if (n := len(getattr(self, name))) > MAX_PARTS:
                raise ParameterError(f"Rule.{name} has at most {MAX_PARTS} entries, got {n}")
        self._check_names()
        self._check_numbers()
        self._check_traces()
        for k, change in enumerate(self.changes):
            self._check_change(f"Rule.changes[{k}]", change)

    def _check_names(self) -> None:
        taken: list[str] = []
        for kind in ("variables", "parameters", "traces"):
            for name in getattr(self, kind):
                check_name(f"Rule.{kind}", name, taken)
                taken.append(name)

    def _check_numbers(self) -> None:
        plain = {n: plain_number(f"Rule.parameters[{n!r}]", number) for n, number in self.parameters.items()}
        object.__setattr__(self, "parameters", plain)
        object.__setattr__(self, "lr", plain_number("Rule.lr", self.lr, least=0.0))
        for name in ("w_min", "w_max"):
            object.__setattr__(self, name, plain_number(f"Rule.{name}", getattr(self, name), finite=False))
        if not self.w_min < self.w_max:
            raise ParameterError(f"Rule.w_min must be below w_max, got {self.w_min} and {self.w_max}")
        if self.normalise is not None and not isinstance(self.normalise, Normalise):
            raise ParameterError(f"Rule.normalise must be a Normalise or None, got {self.normalise!r}")
        if not isinstance(self.rounding, bool):
            raise ParameterError(f"Rule.rounding must be True or False, got {self.rounding!r}")

    def _check_traces(self) -> None:
        seen: dict[str, list[str]] = {end: ["s", "count", "dt", *self.variables, *self.parameters]
                                      for end in get_args(End)}  # fmt: skip
        for name, trace in self.traces.items():
            if not isinstance(trace, Trace):
                raise ParameterError(f"Rule.traces[{name!r}] must be a Trace, got {trace!r}")
            check(f"Rule.traces[{name!r}].of", trace.of, seen[trace.end])
            seen[trace.end].append(name)

    def _check_change(self, owner: str, change: Change) -> None:
        if not isinstance(change, Change):
            raise ParameterError(f"{owner} must be a Change, got {change!r}")
        check(f"{owner}.pre", change.pre, [*self.known("pre"), "back"])
        check(f"{owner}.post", change.post, self.known("post"))
        check(f"{owner}.weight", change.weight, ["w", "w_min", "w_max", "dt", *self.parameters])
        check(f"{owner}.modulator", change.modulator, ["m", "dt", *self.parameters])
        for name in ("w_min", "w_max"):
            if name in names(change.weight) and math.isinf(getattr(self, name)):
                raise ParameterError(f"{owner}.weight reads {name}: give the rule a finite {name}")

    def known(self, end: End) -> list[str]:
        """The names that an expression of one end can hold."""
        traces = [name for name, trace in self.traces.items() if trace.end == end]
        return ["s", "count", "dt", *traces, *self.variables, *self.parameters]

    def read(self, end: End) -> set[str]:
        """The state variables that the rule reads of one end."""
        texts = [t.of for t in self.traces.values() if t.end == end]
        texts += [getattr(change, end) for change in self.changes]
        return {name for text in texts for name in names(text)} & set(self.variables)

    @property
    def targets(self) -> tuple[str, ...]:
        """The parameters of the post neurons that it moves."""
        return tuple(dict.fromkeys(change.target for change in self.changes if not change.on_weight))

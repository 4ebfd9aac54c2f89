"""What an agent does: the activity of a population as an action."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError, ParameterError, ShapeError, StateError, UnsupportedError
from ..neurons.surrogates import is_number
from ..registry import Registry, fill_keywords, resolve_keywords
from .component import Component
from .group import NeuronGroup, population_shape
from .monitors import observable_of
from .values import at

Numbers = NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice(ABC):
    """How the activity of a population becomes an action; variable: which observable it reads."""

    variable: ClassVar[str] = "spikes"
    grouped: ClassVar[bool] = False
    """Whether several neurons may stand for one action."""

    @abstractmethod
    def choose(self, activity: Numbers, num: int, generator: np.random.Generator) -> Numbers:
        """The actions (B,), 0 to num - 1, from the activity (T, B, n)."""


class PopRateAction(Choice):
    """A population at random, by its share of all spikes; with silence any. n / num neighbours stand for an action."""

    grouped = True

    def choose(self, activity: Numbers, num: int, generator: np.random.Generator) -> Numbers:
        counts = activity.sum(0).reshape(activity.shape[1], num, -1).sum(2)
        return drawn(np.where((counts == 0).all(1, keepdims=True), 1.0, counts), generator)


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftmaxAction(Choice):
    """A neuron at random, with the probabilities softmax(spikes / temperature)."""

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not is_number(self.temperature) or self.temperature <= 0:
            raise ParameterError(f"Action.temperature must be a number above 0, got {self.temperature!r}")

    def choose(self, activity: Numbers, num: int, generator: np.random.Generator) -> Numbers:
        counts = activity.sum(0, dtype=np.float64)
        with np.errstate(over="ignore"):
            behind = (counts - counts.max(1, keepdims=True)) / self.temperature
        return drawn(np.exp(behind), generator)


class HighestSpikesAction(Choice):
    """The neuron with the most spikes, at random among those that are even."""

    def choose(self, activity: Numbers, num: int, generator: np.random.Generator) -> Numbers:
        return _greatest(activity.sum(0), generator)


class HighestVoltageAction(Choice):
    """The neuron with the highest potential after the last step, at random among those that are even."""

    variable = "v"

    def choose(self, activity: Numbers, num: int, generator: np.random.Generator) -> Numbers:
        return _greatest(activity[-1], generator)


class FirstSpikeAction(Choice):
    """The neuron that fires first, at random among those that fire in the same step; with silence any."""

    def choose(self, activity: Numbers, num: int, generator: np.random.Generator) -> Numbers:
        fired = activity > 0
        when = np.where(fired.any(0), fired.argmax(0), len(activity))
        return _greatest(-when, generator)


class RandomAction(Choice):
    """Any action, whatever the network does."""

    grouped = True

    def choose(self, activity: Numbers, num: int, generator: np.random.Generator) -> Numbers:
        found: Numbers = generator.integers(num, size=(activity.shape[1],))
        return found


def drawn(weights: Numbers, generator: np.random.Generator) -> Numbers:
    """A column for each row (B,), at random by its weights (B, n); DataError unless these are from 0 on, not all 0."""
    edges = np.cumsum(weights, 1, dtype=np.float64)
    if not (np.all(weights >= 0) and np.all(edges[:, -1] > 0) and np.isfinite(edges).all()):
        raise DataError("no action can be drawn of what is not a number, infinite, or a share below 0")
    found: Numbers = (generator.random(len(weights))[:, None] * edges[:, -1:] >= edges).sum(1)
    return found


def _greatest(values: Numbers, generator: np.random.Generator) -> Numbers:
    return drawn(values == values.max(1, keepdims=True), generator)


ACTION_METHODS: Registry[type[Choice]] = Registry("action method")
ACTION_METHODS.add("pop_rate_action", PopRateAction)
ACTION_METHODS.add("softmax_action", SoftmaxAction)
ACTION_METHODS.add("highest_spikes_action", HighestSpikesAction)
ACTION_METHODS.add("highest_voltage_action", HighestVoltageAction)
ACTION_METHODS.add("first_spike_action", FirstSpikeAction)
ACTION_METHODS.add("random_action", RandomAction)


class Action(Component):
    """`Action(dec_target=group, coding_method='softmax_action', **options)`: an action for each sample of a run.

    num: how many actions (default: one for each neuron). coding_method: 'pop_rate_action', 'softmax_action' (option
    temperature), 'highest_spikes_action', 'highest_voltage_action', 'first_spike_action' or 'random_action'. epsilon:
    with this probability an action at random in its place, while the network is in training; it can be set anew between
    runs. coding_var_name: the observable that it reads in place of the method's own. After a run `.action`, `.predict`
    too, holds whole numbers (B,). What is random is drawn from the network's generator.
    """

    kind = "action"
    mutable = frozenset({"epsilon"})

    def __init__(
        self,
        shape: int | Iterable[int] | None = None,
        num: int | None = None,
        dec_target: NeuronGroup | None = None,
        coding_method: str | None = None,
        *,
        epsilon: float = 0.0,
        coding_var_name: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        owner = f"Action {name!r}" if name else "Action"
        own: dict[str, Any] = {"dec_target": dec_target, "coding_method": coding_method}
        own, options = fill_keywords(owner, "action", own, options)
        target, self.coding_method = own["dec_target"], ACTION_METHODS.name_of(own["coding_method"])
        if not isinstance(target, NeuronGroup):
            raise ParameterError(f"{owner}: dec_target must be a neuron group, got {type(target).__name__}")
        method = ACTION_METHODS[self.coding_method]
        known = [f.name for f in fields(method)]
        owner = f"{owner}, {self.coding_method}"
        self.target = target
        self.choice = method(**resolve_keywords(owner, "coding option", options, known))
        self._variable = None if coding_var_name is None else observable_of(owner, target, coding_var_name)
        given = num is not None or shape is not None
        self.num = int(np.prod(population_shape(owner, num, shape))) if given else target.num
        self.epsilon = epsilon
        self._action: Tensor | None = None
        super().__init__(name)
        self._probability()
        self.check_fit()

    def check_fit(self) -> None:
        """Raises UnsupportedError where its target lacks what it reads, ShapeError where num does not fit it."""
        owner, n = f"Action {self._name!r}" if self._name else "Action", self.target.num
        if self.variable not in self.target.observables:
            raise UnsupportedError(
                f"{owner}: {self.coding_method} reads {self.variable!r}, which {self.target.model!r} does not have"
            )
        if self.choice.grouped and n % self.num:
            raise ShapeError(f"{owner}: {n} neurons cannot stand for {self.num} actions evenly; give a multiple")
        if not self.choice.grouped and self.num != n:
            raise ShapeError(
                f"{owner}: {self.coding_method} has an action for each neuron of its target, {n}, got num={self.num}; "
                "'pop_rate_action' takes several neurons for each"
            )

    @property
    def variable(self) -> str:
        """The observable of its target that it reads."""
        return self.choice.variable if self._variable is None else self._variable

    @property
    def dec_target(self) -> NeuronGroup:
        """The neuron group that is read."""
        return self.target

    @property
    def action(self) -> Tensor:
        """The actions of the last run, whole numbers (B,); StateError before the first."""
        if self._action is None:
            raise StateError(f"action {self.name!r} was not chosen yet; run the network first: net.run(time)")
        return self._action

    predict = action

    def act(self, activity: Tensor, generator: np.random.Generator, *, training: bool) -> None:
        """Chooses from what was observed of the target, (T, B, *shape)."""
        epsilon = self._probability()
        with at(f"action {self.name!r} of {self.variable!r}"):
            found = self.choice.choose(activity.detach().flatten(2).cpu().numpy(), self.num, generator)
        if training and epsilon > 0:
            any_of = generator.integers(self.num, size=len(found))
            found = np.where(generator.random(len(found)) < epsilon, any_of, found)
        self._action = torch.from_numpy(found.astype(np.int64))

    def _probability(self) -> float:
        if not is_number(self.epsilon) or not 0 <= self.epsilon <= 1:
            raise ParameterError(f"action {self.name!r}: epsilon must be a probability, 0 to 1, got {self.epsilon!r}")
        return float(self.epsilon)

    def forget(self) -> None:
        """Drops the actions of the last run."""
        self._action = None

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_action": None}

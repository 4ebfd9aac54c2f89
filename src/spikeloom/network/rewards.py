"""What a network is told of its answers: rewards, which rules read as their modulator."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..errors import DataError, ParameterError, ShapeError, StateError
from ..registry import Registry, canonical, fill_keywords, resolve_keywords
from .component import Component
from .decodings import check_number
from .group import NeuronGroup, population_shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement(ABC):
    """How the spikes of a window and a label become a reward.

    of_each_neuron: whether there is one for each neuron of the target, else one for each sample.
    """

    of_each_neuron: ClassVar[bool] = False

    @abstractmethod
    def n_labels(self, n_neurons: int) -> int:
        """How many labels there are; ParameterError where so many neurons do not fit."""

    @abstractmethod
    def judge(self, counts: Tensor, labels: Tensor, n_steps: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The reward, (B,) or (B, n), and the memory (B, n) after the window.

        counts: the spikes of the window, (B, n); labels: (B,); n_steps: of the window; memory: zeros at the first one.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class _OfPopulations(Judgement):
    """The answer is the population of pop_size neighbours that fires most."""

    pop_size: int = 1
    reward_signal: float = 1.0
    punish_signal: float = -1.0

    def __post_init__(self) -> None:
        if not isinstance(self.pop_size, int) or isinstance(self.pop_size, bool) or self.pop_size < 1:
            raise ParameterError(f"Reward.pop_size must be a whole number from 1 on, got {self.pop_size!r}")
        for option in ("reward_signal", "punish_signal"):
            check_number(f"Reward.{option}", getattr(self, option))

    def n_labels(self, n_neurons: int) -> int:
        found = self._populations(n_neurons)
        if found < 2:
            raise ParameterError(
                f"Reward: {n_neurons} neurons in populations of {self.pop_size} give {found} answer, of which none can "
                "fire most; give more neurons, or coding_method='xor_reward'"
            )
        return found

    def _populations(self, n_neurons: int) -> int:
        if n_neurons % self.pop_size:
            raise ParameterError(f"Reward.pop_size {self.pop_size} does not divide {n_neurons} neurons")
        return n_neurons // self.pop_size

    def _sums(self, counts: Tensor) -> Tensor:
        return counts.reshape(len(counts), -1, self.pop_size).sum(2)

    def _verdict(self, counts: Tensor, labels: Tensor) -> Tensor:
        """1 where the right population fires most, -1 where another does, 0 where it is even with the best, (B,)."""
        sums = self._sums(counts)
        own = sums.gather(1, labels[:, None])[:, 0]
        others = sums.scatter(1, labels[:, None], -torch.inf).amax(1)
        return torch.sign(own - others)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalReward(_OfPopulations):
    """One number for all synapses, (B,): reward_signal where the population of the label fires most, punish_signal
    where another does, 0 where the two are even, as in silence. (SPAIC takes the first of those that are even.)"""

    def judge(self, counts: Tensor, labels: Tensor, n_steps: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        verdict = self._verdict(counts, labels)
        return self.reward_signal * (verdict > 0) + self.punish_signal * (verdict < 0), memory


@dataclass(frozen=True, kw_only=True, slots=True)
class DopamineReward(_OfPopulations):
    """One number for each neuron, (B, n): reward_signal for those of the label's population where it fires most,
    punish_signal for all others and where another does; 0 for all where the two are even."""

    of_each_neuron = True
    punish_signal: float = 0.0

    def judge(self, counts: Tensor, labels: Tensor, n_steps: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        verdict = self._verdict(counts, labels)[:, None]
        chosen = one_hot(labels, counts.shape[1] // self.pop_size).repeat_interleave(self.pop_size, 1)
        right = (verdict > 0) & (chosen > 0)
        return self.reward_signal * right + self.punish_signal * ((verdict != 0) & ~right), memory


@dataclass(frozen=True, kw_only=True, slots=True)
class XorReward(_OfPopulations):
    """For one population that is to fire for label 1 and to be silent for label 0, (B,): reward_signal where it fires
    for 1, punish_signal where it fires for 0, and 0 where it is silent.

    Florian 2007, Neural Computation 19:1468, section 4.1. (SPAIC punishes silence, for both labels.)
    """

    def n_labels(self, n_neurons: int) -> int:
        return 2

    def judge(self, counts: Tensor, labels: Tensor, n_steps: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        fired, wanted = counts.sum(1) > 0, labels == 1
        return self.reward_signal * (fired & wanted) + self.punish_signal * (fired & ~wanted), memory


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifyReward(Judgement):
    """What a softmax over the neurons lacks to the label, one number for each of them, (B, n): 1 - p for that of the
    label, -p for the others.

    m <- decay m + the firing of the window (spikes a step); p is the softmax of (m - mean) / (std + 0.1), mean and
    standard deviation being those of the sample. (SPAIC takes those of the batch.)
    """

    of_each_neuron = True
    decay: float = 0.99

    def __post_init__(self) -> None:
        check_number("Reward.decay", self.decay)
        if not 0 <= self.decay <= 1:
            raise ParameterError(f"Reward.decay must be from 0 to 1, got {self.decay!r}")

    def n_labels(self, n_neurons: int) -> int:
        if n_neurons < 2:
            raise ParameterError("Reward: classify_reward compares at least 2 neurons, its target has 1")
        return n_neurons

    def judge(self, counts: Tensor, labels: Tensor, n_steps: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        memory = self.decay * memory + counts / n_steps
        spread = memory.std(1, keepdim=True) + 0.1
        p = torch.softmax((memory - memory.mean(1, keepdim=True)) / spread, 1)
        return one_hot(labels, counts.shape[1]) - p, memory


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentReward(Judgement):
    """What it is given, one number or one for each sample, all through a run; it needs no target."""

    def n_labels(self, n_neurons: int) -> int:
        return 0

    def judge(self, counts: Tensor, labels: Tensor, n_steps: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        return labels, memory


REWARDS: Registry[type[Judgement]] = Registry("reward method")
REWARDS.add("global_reward", GlobalReward)
REWARDS.add("da_reward", DopamineReward)
REWARDS.add("xor_reward", XorReward)
REWARDS.add("environment_reward", EnvironmentReward)
REWARDS.add("classify_reward", ClassifyReward)


class Reward(Component):
    """`Reward(dec_target=group, coding_method='global_reward', **options)`: what rules read as their modulator m.

    coding_method: 'global_reward', 'da_reward', 'xor_reward', 'classify_reward' or 'environment_reward', with its
    options (pop_size, reward_signal, punish_signal, decay). num, shape: those of its target. `reward(labels)` gives the
    labels (B,) of the next runs, to 'environment_reward' the reward itself; none is needed before a run in which
    nothing reads it. dec_sample_step: every how many steps the target's spikes since the last time are judged, counted
    from the first run; None: at the end of each run. In the steps between a rule reads 0. `Learner(modulator=reward)`
    binds it to a rule; a network may have any number of them.
    """

    kind = "reward"

    def __init__(
        self,
        shape: int | Iterable[int] | None = None,
        num: int | None = None,
        dec_target: NeuronGroup | None = None,
        coding_method: str | None = None,
        *,
        dec_sample_step: int | None = 1,
        coding_var_name: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        owner = f"Reward {name!r}" if name else "Reward"
        own: dict[str, Any] = {"dec_target": dec_target, "coding_method": coding_method}
        own, options = fill_keywords(owner, "reward", own, options)
        self.target: Any = own["dec_target"]
        self.coding_method = REWARDS.name_of(own["coding_method"])
        method = REWARDS[self.coding_method]
        owner = f"{owner}, {self.coding_method}"
        known = [f.name for f in fields(method)]
        self.judgement = method(**resolve_keywords(owner, "coding option", options, known))
        self.dec_sample_step = _sample_step(owner, dec_sample_step)
        if coding_var_name is not None and canonical("observable", coding_var_name, ("spikes",)) is None:
            raise ParameterError(f"{owner}: a reward reads 'spikes', got coding_var_name={coding_var_name!r}")
        self._check_target(owner, num, shape)
        self._given: Tensor | None = None
        self._progress: Progress | None = None
        self._values: Tensor | None = None
        self._unfit: tuple[int, int] | None = None
        super().__init__(name)

    def _check_target(self, owner: str, num: Any, shape: Any) -> None:
        if self.target is None and self.given_whole:
            return
        if not isinstance(self.target, NeuronGroup):
            raise ParameterError(f"{owner}: dec_target must be a neuron group, got {type(self.target).__name__}")
        given = num is not None or shape is not None
        if given and math.prod(population_shape(owner, num, shape)) != self.target.num:
            raise ShapeError(
                f"{owner}: its target has {self.target.num} neurons, got num={num}, shape={shape}; omit them"
            )
        self.check_fit()

    @property
    def given_whole(self) -> bool:
        """Whether the reward itself is given to it, rather than labels."""
        return isinstance(self.judgement, EnvironmentReward)

    @property
    def dec_target(self) -> NeuronGroup | None:
        """The neuron group that is judged; None where the reward itself is given."""
        found: NeuronGroup | None = self.target
        return found

    def check_fit(self) -> None:
        """Raises ParameterError where its target has not the neurons that its method needs."""
        if self.target is not None:
            self.judgement.n_labels(self.target.num)

    def __call__(self, label: Any) -> None:
        """Sets the labels (B,), or the reward, of the next runs; one number is taken for every sample."""
        owner = f"reward {self.name!r}"
        try:
            given = torch.as_tensor(label).detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"{owner} takes numbers (B,), got {type(label).__name__}: {error}") from error
        if given.ndim > 1 or not given.numel():
            raise ShapeError(f"{owner} takes one number, or one for each sample, (B,), got shape {tuple(given.shape)}")
        if self.given_whole:
            if given.is_complex() or not given.double().isfinite().all():
                raise DataError(f"{owner}: a reward must be a finite real number, got {label!r:.80}")
        else:
            given = self._labels(owner, given)
        self._given = given

    def _labels(self, owner: str, given: Tensor) -> Tensor:
        n = self.judgement.n_labels(self.target.num)
        if given.is_floating_point() or given.is_complex():
            raise DataError(f"{owner}: labels must be whole numbers, got {given.dtype}")
        given = given.long()
        if int(given.min()) < 0 or int(given.max()) >= n:
            raise DataError(f"{owner}: labels must be from 0 to {n - 1}, got {int(given.min())} to {int(given.max())}")
        return given

    @property
    def values(self) -> Tensor:
        """The rewards of the windows that ended in the last run, (windows, B) or, of each neuron, (windows, B, n)."""
        if self._values is None and self._unfit is not None:
            n, batch = self._unfit
            raise StateError(
                f"reward {self.name!r} was given {n} labels, the last run had {batch} samples; give as many"
            )
        if self._values is None:
            raise StateError(
                f"reward {self.name!r} judged nothing yet; give it labels and run the network: net.{self.path}(labels)"
            )
        return self._values

    @property
    def value(self) -> Tensor:
        """The reward of the window that ended last, (B,), or (B, n) of each neuron; the given one where it is given."""
        if self.given_whole:
            return self.given()
        if not len(self.values):
            raise StateError(f"reward {self.name!r}: no window of {self.dec_sample_step} steps ended in the last run")
        return self.values[-1]

    def given(self, batch: int | None = None) -> Tensor:
        """What it was given, for so many samples; StateError before, ShapeError where it is of another batch."""
        if self._given is None:
            what = "the reward" if self.given_whole else "labels"
            raise StateError(f"reward {self.name!r} was given nothing; give it {what}: net.{self.path}(...)")
        if batch is None or self._given.ndim == 0:
            return self._given if batch is None else self._given.expand(batch)
        if len(self._given) != batch:
            raise ShapeError(
                f"reward {self.name!r} was given {len(self._given)} numbers, the run has {batch} samples; give as many"
            )
        return self._given

    def observe(self, activity: Tensor, *, continued: bool) -> None:
        """Judges the spikes of its target in a run, (T, B, *shape); nothing without labels for this batch."""
        n_steps, batch = activity.shape[:2]
        self._values = self._unfit = None
        if self._given is not None and self._given.ndim == 1 and len(self._given) != batch:
            self._unfit = len(self._given), batch
        if self._given is None or self._unfit is not None:
            self._progress = None
            return
        counts, found = activity.detach().flatten(2), []
        if not continued or self._progress is None or len(self._progress.counts) != batch:
            self._progress = Progress.begun(counts[0])
        for start, stop in self._progress.parts(n_steps, self.dec_sample_step):
            value = self._progress.add(self, counts[start:stop].sum(0), stop - start, last=stop == n_steps)
            if value is not None:
                found.append(value)
        kind = (batch, counts.shape[2]) if self.judgement.of_each_neuron else (batch,)
        self._values = torch.stack(found) if found else counts.new_zeros(0, *kind)

    def forget(self) -> None:
        """Drops the rewards of the last run."""
        self._values = self._unfit = None

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_values": None, "_progress": None}


@dataclass
class Progress:
    """Where a reward stands in a run: the spikes of the window under way (B, n), its steps, and its memory (B, n)."""

    counts: Tensor
    steps: int
    memory: Tensor

    @classmethod
    def begun(cls, like: Tensor) -> Progress:
        """Before the first step; like: an output (B, n)."""
        return cls(torch.zeros_like(like), 0, torch.zeros_like(like))

    def parts(self, n_steps: int, every: int | None) -> list[tuple[int, int]]:
        """The parts of a run of n steps in which windows end, and what is left, as (start, stop)."""
        edges = [n_steps] if every is None else [*range(every - self.steps, n_steps, every), n_steps]
        return list(zip([0, *edges], edges, strict=False))

    def add(self, reward: Reward, spikes: Tensor, n_steps: int, *, last: bool) -> Tensor | None:
        """Adds spikes (B, n) of so many steps; the reward where the window ends with them. last: of the run."""
        self.counts, self.steps = self.counts + spikes, self.steps + n_steps
        if not (last if reward.dec_sample_step is None else self.steps == reward.dec_sample_step):
            return None
        labels = reward.given(len(spikes)).to(spikes.device)
        found, self.memory = reward.judgement.judge(self.counts, labels, self.steps, self.memory)
        self.counts, self.steps = torch.zeros_like(self.counts), 0
        return found.to(spikes.dtype)


def _sample_step(owner: str, given: Any) -> int | None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given >= 1):
        return given
    raise ParameterError(f"{owner}: dec_sample_step must be a whole number from 1 on, or None, got {given!r}")

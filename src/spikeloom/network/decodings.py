"""How the activity of a population becomes an answer: decoders' methods, by name.

A decoding is a frozen dataclass of options; `decode` takes the observed variable (T, B, n), with gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import ParameterError
from ..neurons.surrogates import is_number
from ..registry import Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding(ABC):
    """What a decoder does with the activity of its target; variable: which observable it reads."""

    variable: ClassVar[str] = "spikes"

    def width(self, n_neurons: int) -> int:
        """How many answers n neurons give."""
        return n_neurons

    @abstractmethod
    def decode(self, activity: Tensor, dt: float) -> Tensor:
        """The answer from the activity (T, B, n) in steps of dt ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _OfPopulations(Decoding):
    """One answer for each population of pop_size neighbours: (mean over the population + bias) * scale."""

    pop_size: int = 1
    bias: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        owner = self._name()
        if not isinstance(self.pop_size, int) or isinstance(self.pop_size, bool) or self.pop_size < 1:
            raise ParameterError(f"{owner}.pop_size must be a whole number from 1 on, got {self.pop_size!r}")
        for option in ("bias", "scale"):
            check_number(f"{owner}.{option}", getattr(self, option))

    def width(self, n_neurons: int) -> int:
        if n_neurons % self.pop_size:
            raise ParameterError(f"{self._name()}.pop_size {self.pop_size} does not divide {n_neurons} neurons")
        return n_neurons // self.pop_size

    def _name(self) -> str:
        return next((name for name in DECODINGS if DECODINGS[name] is type(self)), type(self).__name__)

    def _answers(self, each: Tensor) -> Tensor:
        """The answers (B, n / pop_size) from a figure of each neuron, (B, n)."""
        if self.pop_size > 1:
            each = each.view(len(each), self.width(each.shape[1]), self.pop_size).mean(2)
        plain = self.bias == 0.0 and self.scale == 1.0
        return each if plain else (each + self.bias) * self.scale


@dataclass(frozen=True, kw_only=True, slots=True)
class SpikeCounts(_OfPopulations):
    """How often each neuron fired, (B, n / pop_size): (mean over pop_size neighbours + bias) * scale."""

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        return self._answers(activity.sum(0))


@dataclass(frozen=True, kw_only=True, slots=True)
class SpikeRate(_OfPopulations):
    """The firing rate over the run in Hz, (B, n / pop_size): (mean over pop_size neighbours + bias) * scale."""

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        return self._answers(activity.sum(0) * (1000.0 / (activity.shape[0] * dt)))


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSpikeCounts(Decoding):
    """The spikes of each neuron, early ones more, (B, n): the sum of 0.1 exp(-t / (0.5 T)) over its spikes.

    t is the step of a spike from 0 on, T the number of steps: SPAIC's `time_spike_counts`.
    """

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        n = activity.shape[0]
        weight = 0.1 * torch.exp(torch.arange(n, dtype=activity.dtype, device=activity.device) * (-2.0 / n))
        return (weight[:, None, None] * activity).sum(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstSpike(Decoding):
    """Who fired in the first step in which anyone did, (B, n); zeros for a silent sample."""

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        active = (activity.detach() != 0).any(2)
        first = active.to(torch.int8).argmax(0)
        chosen = activity.gather(0, first[None, :, None].expand(1, -1, activity.shape[2]))[0]
        return chosen * active.any(0)[:, None]


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstSpikeTime(Decoding):
    """When each neuron fires first, (B, n): scale times the time in ms at which that step ends; a step more than the
    window for one that stays silent.

    The time is dt times 1 + the number of steps before the first spike, sum_t prod_(s <= t) (1 - spike_s): this is its
    gradient with respect to the spikes. scale=-1 makes the earliest the greatest answer.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        check_number("first_spike_time.scale", self.scale)

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        silent = torch.cumprod(1 - activity, 0).sum(0)
        return (silent + 1) * (dt * self.scale)


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole(Decoding):
    """What was observed, step by step, (T, B, n); the spikes unless coding_var_name says otherwise."""

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        return activity


@dataclass(frozen=True, kw_only=True, slots=True)
class MembraneTrace(Whole):
    """The membrane potential in every step, (T, B, n)."""

    variable = "v"


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalStepVoltage(Decoding):
    """The membrane potential after the last step, (B, n)."""

    variable = "v"

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        return activity[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class VoltageSum(Decoding):
    """The sum of the membrane potential over all steps, (B, n)."""

    variable = "v"

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        return activity.sum(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class VoltageMean(Decoding):
    """The mean of the membrane potential over all steps, (B, n)."""

    variable = "v"

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        return activity.mean(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class VoltageMeanExp(Decoding):
    """The mean of exp(-t / T) v(t) over all steps, (B, n), t being the end of a step and T that of the run.

    What is early counts more: the loss shaping of Nowotny, Turner and Knight 2025, mlGeNN's AvgVarExpWeight.
    """

    variable = "v"

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        n = activity.shape[0]
        weight = torch.exp(torch.arange(1, n + 1, dtype=activity.dtype, device=activity.device) / -n)
        return (weight[:, None, None] * activity).mean(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class VoltageMax(Decoding):
    """The greatest membrane potential of all steps, (B, n); steps that are equally great share its gradient."""

    variable = "v"

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        return activity.amax(0)


def check_number(owner: str, value: object) -> None:
    """Raises ParameterError unless the value is a finite number."""
    if not is_number(value):
        raise ParameterError(f"{owner} must be a finite number, got {value!r}")


DECODINGS: Registry[type[Decoding]] = Registry("decoding")
DECODINGS.add("spike_counts", SpikeCounts)
DECODINGS.add("spike_rate", SpikeRate)
DECODINGS.add("time_spike_counts", TimeSpikeCounts)
DECODINGS.add("first_spike", FirstSpike)
DECODINGS.add("first_spike_time", FirstSpikeTime)
DECODINGS.add("final_step_voltage", FinalStepVoltage)
DECODINGS.add("voltage_sum", VoltageSum)
DECODINGS.add("voltage_mean", VoltageMean)
DECODINGS.add("voltage_mean_exp", VoltageMeanExp)
DECODINGS.add("voltage_max", VoltageMax)
DECODINGS.add("v_t", MembraneTrace)
DECODINGS.add("null", Whole)

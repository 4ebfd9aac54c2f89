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
class SpikeCounts(Decoding):
    """How often each neuron fired, (B, n / pop_size): the mean over populations of pop_size neighbours."""

    pop_size: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.pop_size, int) or isinstance(self.pop_size, bool) or self.pop_size < 1:
            raise ParameterError(f"spike_counts.pop_size must be a whole number from 1 on, got {self.pop_size!r}")

    def width(self, n_neurons: int) -> int:
        if n_neurons % self.pop_size:
            raise ParameterError(f"spike_counts.pop_size {self.pop_size} does not divide {n_neurons} neurons")
        return n_neurons // self.pop_size

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        counts = activity.sum(0)
        populations = counts.view(len(counts), self.width(counts.shape[1]), self.pop_size)
        return counts if self.pop_size == 1 else populations.mean(2)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpikeRate(Decoding):
    """The firing rate of each neuron over the run in Hz, (B, n)."""

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        return activity.sum(0) * (1000.0 / (activity.shape[0] * dt))


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstSpike(Decoding):
    """Who fired in the first step in which anyone did, (B, n); zeros for a silent sample."""

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        active = (activity.detach() != 0).any(2)
        first = active.to(torch.int8).argmax(0)
        chosen = activity.gather(0, first[None, :, None].expand(1, -1, activity.shape[2]))[0]
        return chosen * active.any(0)[:, None]


@dataclass(frozen=True, kw_only=True, slots=True)
class MembraneTrace(Decoding):
    """The membrane potential in every step, (T, B, n)."""

    variable = "v"

    def decode(self, activity: Tensor, dt: float) -> Tensor:
        return activity


DECODINGS: Registry[type[Decoding]] = Registry("decoding")
DECODINGS.add("spike_counts", SpikeCounts)
DECODINGS.add("spike_rate", SpikeRate)
DECODINGS.add("first_spike", FirstSpike)
DECODINGS.add("v_t", MembraneTrace)

"""Rate codes: a value is the number of its spikes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ..container import Spikes
from ..encode import bernoulli, draw_keys
from ..validate import Numbers
from .code import Real, ValueCode, checked_values, needs_generator, plain, positive, trains, window


@dataclass(frozen=True, slots=True)
class Regular(ValueCode):
    """round(x * T) spikes at equal distances. The error is at most 1 / (2 T)."""

    def encode(self, x: Numbers, n_steps: int, dt: float, generator: np.random.Generator | None = None) -> Spikes:
        """The spikes of x; they are spread over the whole window, the first after half a distance."""
        n_steps, dt = window(n_steps, dt)
        values = checked_values(x, "Regular")
        count = np.floor(values.ravel() * n_steps + 0.5).astype(np.int64)
        neuron = np.repeat(np.arange(count.size), count)
        nth = np.arange(neuron.size) - np.repeat(np.cumsum(count) - count, count)
        step = (2 * nth + 1) * n_steps // (2 * count[neuron])
        return trains(step, neuron, values.shape, n_steps, dt)

    def decode(self, spikes: Spikes) -> Real:
        """The share of the steps in which each neuron fires."""
        return plain(spikes).counts() / spikes.grid.n_steps


@dataclass(frozen=True, slots=True)
class Bernoulli(ValueCode):
    """A spike in each step with probability x. The error has the variance x (1 - x) / T."""

    random = True

    def encode(self, x: Numbers, n_steps: int, dt: float, generator: np.random.Generator | None = None) -> Spikes:
        """The spikes of x, drawn from the generator."""
        return bernoulli(checked_values(x, "Bernoulli"), n_steps, dt, needs_generator(generator, "Bernoulli"))

    def decode(self, spikes: Spikes) -> Real:
        """The share of the steps in which each neuron fires."""
        return plain(spikes).counts() / spikes.grid.n_steps


@dataclass(frozen=True, slots=True)
class Poisson(ValueCode):
    """A Poisson process of the rate x * max_rate, of which a step shows one spike: 1 - exp(-x * max_rate * dt / 1000).

    max_rate is in Hz. Decoded by the most likely rate, which is infinite, and given as 1, for a neuron that fires in
    every step.
    """

    max_rate: float = 200.0

    random = True

    def __post_init__(self) -> None:
        positive("Poisson", max_rate=self.max_rate)

    def encode(self, x: Numbers, n_steps: int, dt: float, generator: np.random.Generator | None = None) -> Spikes:
        """The spikes of x, drawn from the generator."""
        n_steps, dt = window(n_steps, dt)
        values = checked_values(x, "Poisson")
        p = -np.expm1(-values.reshape(len(values), prod(values.shape[1:])) * self.max_rate * dt / 1000)
        keys = draw_keys(p, n_steps, needs_generator(generator, "Poisson"))
        return Spikes.from_keys(keys, values.shape[1:], len(values), n_steps, dt)

    def decode(self, spikes: Spikes) -> Real:
        """The most likely x of each neuron, at most 1."""
        _, n_steps, dt = spikes.grid
        with np.errstate(divide="ignore"):
            mean = -np.log1p(-plain(spikes).counts() / n_steps)
        return np.minimum(1.0, mean / (self.max_rate * dt / 1000))

"""What a neural code is: an encoder and its decoder, and how much is lost between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError, ShapeError
from ...units import check_dt
from ..container import Spikes
from ..validate import Numbers, as_array, check_count, check_each, check_generator

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Reconstruction:
    """Spikes, what was decoded from them, and how far it is from what was encoded.

    `rmse` is the root of the mean squared error, `largest` the largest error; `snr_db` is 10 log10 of the signal's mean
    square by that of the error, infinite where there is no error.
    """

    spikes: Spikes
    decoded: Real
    rmse: float
    largest: float
    snr_db: float

    def __str__(self) -> str:
        return (
            f"{self.spikes.n_spikes} spikes, error {self.rmse:.3g} (root mean square), {self.largest:.3g} at most, "
            f"signal to noise {self.snr_db:.1f} dB"
        )


class ValueCode(ABC):
    """A code of numbers: each value of x (B, *shape) in 0..1 becomes a train of `n_steps` steps of dt ms."""

    random: bool = False
    """Whether encoding draws from a generator."""

    @abstractmethod
    def encode(self, x: Numbers, n_steps: int, dt: float, generator: np.random.Generator | None = None) -> Spikes:
        """The spikes of x."""

    @abstractmethod
    def decode(self, spikes: Spikes) -> Real:
        """The values (B, *shape) that spikes on a grid stand for; silence is 0.

        Their window must be the one that they were encoded for. DataError for spikes with values.
        """

    def round_trip(
        self, x: Numbers, n_steps: int, dt: float = 1.0, generator: np.random.Generator | None = None
    ) -> Reconstruction:
        """x encoded and decoded, with the error."""
        spikes = self.encode(x, n_steps, dt, generator)
        return compared(as_array(x, "x").astype(np.float64), self.decode(spikes), spikes)


class SignalCode(ABC):
    """A code of signals in time: x (T, B, *shape) becomes spikes on T steps of dt ms; those downwards have value -1."""

    @abstractmethod
    def encode(self, x: Numbers, dt: float) -> Spikes:
        """The spikes of x."""

    @abstractmethod
    def decode(self, spikes: Spikes, start: Numbers = 0.0) -> Real:
        """The signal (T, B, *shape) that spikes on a grid stand for; `start` is the signal before its first step."""

    def starts(self, x: Real) -> Real:
        """What `decode` must be told of a signal: its first step."""
        first: Real = x[0]
        return first

    def round_trip(self, x: Numbers, dt: float = 1.0) -> Reconstruction:
        """x encoded and decoded, with the error."""
        signal = checked_signal(x, type(self).__name__)
        spikes = self.encode(signal, dt)
        return compared(signal, self.decode(spikes, self.starts(signal)), spikes)


def compared(x: Real, decoded: Real, spikes: Spikes) -> Reconstruction:
    """How far what was decoded is from x."""
    error = decoded - x
    power, noise = (float(np.sum(a**2)) / max(1, a.size) for a in (x, error))
    snr = float(10 * np.log10(power / noise)) if noise and power else (-np.inf if noise else np.inf)
    return Reconstruction(spikes, decoded, float(np.sqrt(noise)), float(np.abs(error).max(initial=0.0)), snr)


def checked_values(x: Numbers, owner: str) -> Real:
    """Values (B, *shape) in 0..1."""
    array = as_array(x, f"{owner}.x").astype(np.float64)
    if array.ndim < 2 or 0 in array.shape[1:]:
        raise ShapeError(f"{owner}.x must have shape (B, *shape), got {array.shape}; one sample is x[None]")
    check_each(array, (array >= 0) & (array <= 1), f"{owner}.x", "in 0..1 (scale it: (x - min) / (max - min))")
    return array


def checked_signal(x: Numbers, owner: str) -> Real:
    """A signal (T, B, *shape) of finite numbers."""
    array = as_array(x, f"{owner}.x").astype(np.float64)
    if array.ndim < 3 or 0 in array.shape[2:] or not len(array):
        raise ShapeError(f"{owner}.x must have shape (T, B, *shape), got {array.shape}; one recording is x[:, None]")
    check_each(array, np.isfinite(array), f"{owner}.x", "a finite number")
    return array


def checked_start(start: Numbers, spikes: Spikes) -> Real:
    """The signal before its first step, (B, *shape)."""
    array = as_array(start, "start").astype(np.float64)
    shape = (len(spikes), *spikes.shape)
    if array.shape not in ((), shape):
        raise ShapeError(f"start must be a number or have shape {shape}, got {array.shape}")
    return np.broadcast_to(array, shape)


def positive(owner: str, **values: Any) -> None:
    """ParameterError unless each value is a positive, finite number."""
    within(owner, 0, np.inf, "a positive number", **values)


def within(owner: str, low: float, high: float, expected: str = "", **values: Any) -> None:
    """ParameterError unless each value is a number above `low` and below `high`."""
    for name, value in values.items():
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not number or not low < value < high:
            what = expected or f"a number above {low:g} and below {high:g}"
            raise ParameterError(f"{owner}.{name} must be {what}, got {value!r}")


def plain(spikes: Spikes) -> Spikes:
    """The spikes; DataError where they have values, such as counts, which decoding would lose."""
    if spikes.value is not None:
        raise DataError(f"decode takes spikes without values, got {spikes!r}; use a smaller dt, or drop the values")
    return spikes


def trains(
    step: NDArray[Any], neuron: NDArray[Any], x_shape: tuple[int, ...], n_steps: int, dt: float, **more: Any
) -> Spikes:
    """Spikes of neurons numbered through a batch of shape (B, *shape)."""
    size = prod(x_shape[1:])
    return Spikes.from_steps(
        step, neuron % size, x_shape[1:], n_steps, dt, samples=neuron // size, n_samples=x_shape[0], **more
    )


def needs_generator(generator: np.random.Generator | None, owner: str) -> np.random.Generator:
    """The generator; ParameterError where there is none."""
    if generator is None:
        raise ParameterError(f"{owner}.encode draws at random; give generator=numpy.random.default_rng(seed)")
    return check_generator(generator, f"{owner}.generator")


def window(n_steps: int, dt: float) -> tuple[int, float]:
    """Checked number of steps and dt."""
    return check_count(n_steps, "n_steps"), check_dt(dt)


def first_steps(spikes: Spikes) -> NDArray[np.int64]:
    """The first step in which each neuron fires, (B, *shape); the number of steps where it does not."""
    step, n_steps, _ = plain(spikes).grid
    first = np.full(len(spikes) * spikes.n_neurons, n_steps, np.int64)
    neuron = spikes.samples() * spikes.n_neurons + spikes.ids
    np.minimum.at(first, neuron, step.astype(np.int64))
    return first.reshape(len(spikes), *spikes.shape)

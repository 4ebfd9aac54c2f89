"""Codes of signals by their changes. B. Petro, N. Kasabov, R. M. Kiss, IEEE Trans. Neural Netw. 31 (2020) 358."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import DataError
from ..container import Spikes
from ..validate import Numbers, check_count
from .code import Real, SignalCode, checked_signal, checked_start, positive, within


@dataclass(frozen=True, slots=True)
class Delta(SignalCode):
    """A spike where the signal changes by at least `threshold` in one step; its sign is that of the change."""

    threshold: float

    def __post_init__(self) -> None:
        positive("Delta", threshold=self.threshold)

    def encode(self, x: Numbers, dt: float) -> Spikes:
        """The spikes of x; none in the first step."""
        signal = checked_signal(x, "Delta")
        change = np.diff(signal, axis=0, prepend=signal[:1])
        return Spikes.from_raster((np.abs(change) >= self.threshold) * np.sign(change).astype(np.int8), dt)

    def decode(self, spikes: Spikes, start: Numbers = 0.0) -> Real:
        """A staircase that moves by the threshold at each spike."""
        return staircase(spikes, start, self.threshold)


@dataclass(frozen=True, slots=True)
class LevelCrossing(SignalCode):
    """Send on delta: in each step, as many spikes as levels have been crossed since the last one, as one value.

    The levels are `level` apart, from the signal's first value on. The error stays below one level. Raises DataError
    where a step crosses more than 127.
    """

    level: float

    def __post_init__(self) -> None:
        positive("LevelCrossing", level=self.level)

    def encode(self, x: Numbers, dt: float) -> Spikes:
        """The spikes of x, with the number of levels crossed as value."""
        signal = checked_signal(x, "LevelCrossing")
        crossed = np.zeros(signal.shape, np.int8)
        reached = np.zeros(signal.shape[1:])
        for t, now in enumerate(signal):
            n = np.trunc((now - signal[0]) / self.level - reached)
            if (most := np.abs(n).max(initial=0)) > 127:
                raise DataError(f"LevelCrossing: step {t} crosses {most:g} levels; use a larger level")
            crossed[t] = n
            reached += n
        return Spikes.from_raster(crossed, dt)

    def decode(self, spikes: Spikes, start: Numbers = 0.0) -> Real:
        """A staircase that moves by the levels of each spike."""
        return staircase(spikes, start, self.level)


@dataclass(frozen=True, slots=True)
class StepForward(SignalCode):
    """A spike where the signal leaves a base by more than `threshold`; the base then follows by one threshold."""

    threshold: float

    def __post_init__(self) -> None:
        positive("StepForward", threshold=self.threshold)

    def encode(self, x: Numbers, dt: float) -> Spikes:
        """The spikes of x, at most one in a step."""
        signal = checked_signal(x, "StepForward")
        moved = np.zeros(signal.shape, np.int8)
        base = np.zeros(signal.shape[1:])
        for t, now in enumerate(signal):
            away = now - signal[0] - base * self.threshold
            moved[t] = (away > self.threshold).astype(np.int8) - (away < -self.threshold)
            base += moved[t]
        return Spikes.from_raster(moved, dt)

    def decode(self, spikes: Spikes, start: Numbers = 0.0) -> Real:
        """A staircase that moves by the threshold at each spike."""
        return staircase(spikes, start, self.threshold)


@dataclass(frozen=True, slots=True)
class MovingWindow(SignalCode):
    """A spike where the signal leaves the mean of the `width` steps before it by more than `threshold`.

    The first `width` steps are held against their own mean.
    """

    threshold: float
    width: int = 5

    def __post_init__(self) -> None:
        positive("MovingWindow", threshold=self.threshold)
        check_count(self.width, "MovingWindow.width")

    def encode(self, x: Numbers, dt: float) -> Spikes:
        """The spikes of x, at most one in a step."""
        signal = checked_signal(x, "MovingWindow")
        width = min(self.width, len(signal))
        means = np.lib.stride_tricks.sliding_window_view(signal, width, axis=0).mean(-1)
        away = signal - means[np.maximum(0, np.arange(len(signal)) - width)]
        return Spikes.from_raster((np.abs(away) > self.threshold) * np.sign(away).astype(np.int8), dt)

    def decode(self, spikes: Spikes, start: Numbers = 0.0) -> Real:
        """A staircase that moves by the threshold at each spike."""
        return staircase(spikes, start, self.threshold)


@dataclass(frozen=True, slots=True)
class Threshold(SignalCode):
    """A spike in each step in which the signal is at least `threshold`; decoded as 1 there, 0 elsewhere."""

    threshold: float = 0.5

    def __post_init__(self) -> None:
        within("Threshold", -np.inf, np.inf, "a finite number", threshold=self.threshold)

    def encode(self, x: Numbers, dt: float) -> Spikes:
        """The spikes of x."""
        return Spikes.from_raster((checked_signal(x, "Threshold") >= self.threshold).astype(np.int8), dt)

    def decode(self, spikes: Spikes, start: Numbers = 0.0) -> Real:
        """1 in the steps with a spike, 0 in the others."""
        return spikes.raster().astype(np.float64)


def staircase(spikes: Spikes, start: Numbers, height: float) -> Real:
    """The signal that begins with `start` and moves by value * height at each spike."""
    return checked_start(start, spikes) + height * np.cumsum(spikes.raster().astype(np.float64), axis=0)

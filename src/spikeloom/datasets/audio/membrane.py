r"""The basilar membrane: a travelling wave in shallow water, solved frequency by frequency.

The membrane moves between two fluid channels of height H. At the distance x from the base, and for the time course
exp(i w t), the pressure difference p and the velocity v of the membrane obey

    d2p/dx2 = 2 i w rho / (H Z) p,   v = p / Z,   Z = i w m + R + S / (i w)

with p = 1 at the base; the apex lets waves out. Each place is a resonator of mass m, damping R = damping * m * w0 and
stiffness S = m * w0^2, where w0 / (2 pi) follows Greenwood's map of the human cochlea (J. Acoust. Soc. Am. 87, 1990,
2592). Model, height and mass are those of Sieroka, Dosch & Rupp (J. Acoust. Soc. Am. 120, 2006, 297), as in the
Heidelberg data sets; here the equation is solved by finite differences in place of their asymptotic formula, and
the gain of each channel is 1 at its best frequency.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

LENGTH, DENSITY, HEIGHT, MASS = 3.5, 1.0, 0.1, 0.05
"""Of the human membrane in cm, of water in g/cm^3, of a fluid channel in cm, of the membrane in g/cm^2."""

BLOCK, MEMORY = 16384, 4096
"""Samples of one transform, and of the impulse responses, which the blocks overlap by."""

_POINTS, _AT_ONCE = 1000, 512


@dataclass(frozen=True, kw_only=True)
class Membrane:
    """n_channels places at equal distances from the best frequency f_max to f_min, in Hz, at `rate` samples/s."""

    n_channels: int
    f_min: float
    f_max: float
    rate: float
    damping: float

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """The best frequency of each channel in Hz, (n_channels,), falling from the base on."""
        return _solved(self).frequencies

    @property
    def responses(self) -> NDArray[np.complex64]:
        """The velocity for a unit of sound at the base, (n_channels, BLOCK // 2 + 1), from 0 Hz to rate / 2."""
        return _solved(self).responses

    def velocity(self, waveform: NDArray[np.float32], start: int, channels: slice = slice(None)) -> NDArray[np.float32]:
        """The velocity (n_channels, at most BLOCK - MEMORY) from sample `start` of a waveform on."""
        before = min(start, MEMORY)
        block = waveform[start - before : start + BLOCK - MEMORY]
        spectrum = self.responses[channels] * fft.rfft(block.astype(np.float32, copy=False), BLOCK)
        moved: NDArray[np.float32] = fft.irfft(spectrum, BLOCK, axis=1, overwrite_x=True)
        return moved[:, before : len(block)]


class _Solved(NamedTuple):
    frequencies: NDArray[np.float64]
    responses: NDArray[np.complex64]


@lru_cache(maxsize=2)
def _solved(membrane: Membrane) -> _Solved:
    """Best frequencies and responses of the channels, which lie between the points of the grid."""
    hertz = fft.rfftfreq(BLOCK, 1.0 / membrane.rate)
    velocity = np.empty((_POINTS, len(hertz)), np.complex64)
    for first in range(0, len(hertz), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        velocity[:, part] = velocities(hertz[part], membrane.damping)
    # Near the base the peak lies beyond what there is, and does not fall.
    best = np.log(np.minimum.accumulate(_peaks(hertz, np.abs(velocity))))
    ends = np.interp(np.log([membrane.f_min, membrane.f_max]), best[::-1], np.arange(_POINTS)[::-1])
    places = np.linspace(ends[1], ends[0], membrane.n_channels)
    # Between two points: a wave is never shorter than thirty of their distances.
    lower = places.astype(int)
    above = (places - lower).astype(np.float32)[:, None]
    responses = (1 - above) * velocity[lower] + above * velocity[lower + 1]
    responses /= np.abs(responses).max(1, keepdims=True)
    return _Solved(np.exp(np.interp(places, np.arange(_POINTS), best)), responses)


def resonance(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The frequency in Hz of the resonator at x cm from the base: Greenwood's map, 165.4 (10^(2.1 a) - 0.88)."""
    return 165.4 * (10 ** (2.1 * (1 - x / LENGTH)) - 0.88)


def velocities(hertz: NDArray[np.float64], damping: float) -> NDArray[np.complex128]:
    """The velocity (points, frequencies) along the membrane: a tridiagonal system for each frequency."""
    x = np.linspace(0, LENGTH, _POINTS)
    step = x[1] - x[0]
    omega = 2 * np.pi * np.maximum(hertz, 1e-3)
    omega0 = 2 * np.pi * resonance(x)[:, None]
    impedance = MASS * (1j * (omega - omega0**2 / omega) + damping * omega0)
    diagonal = 2 + step**2 * (2j * DENSITY / HEIGHT) * omega / impedance
    # From the apex on: p[j] = ratio[j] * p[j - 1].
    ratio = np.zeros_like(diagonal)
    ratio[-1] = np.exp(-np.sqrt(diagonal[-1] - 2))
    for j in range(_POINTS - 2, 0, -1):
        ratio[j] = 1 / (diagonal[j] - ratio[j + 1])
    ratio[0] = 1
    pressure = np.cumprod(ratio, axis=0)
    return np.where(hertz > 0, pressure / impedance, 0)


def _peaks(hertz: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """The frequency (points,) of the greatest gain, by the parabola through the three greatest of its logarithm."""
    at = np.clip(gain.argmax(1), 2, len(hertz) - 2)
    rows = np.arange(len(gain))
    left, top, right = (np.log(gain[rows, at + k].astype(np.float64)) for k in (-1, 0, 1))
    beside = np.clip(0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-9), -0.5, 0.5)
    return np.asarray(hertz[at] + beside * hertz[1])

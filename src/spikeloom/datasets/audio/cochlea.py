"""A cochlea: sound to the spikes of bushy cells, one for each of many places along the basilar membrane."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.signal import butter, lfilter

from ...errors import DataError, ParameterError
from ...spikes import Spikes
from ...spikes.validate import check_generator
from ..checks import check_count
from .hair_cells import BushyCell, Channels, HairCell
from .membrane import BLOCK, MEMORY, Membrane
from .sound import Sound, check_positive, check_rate, one_channel, resample

_SIDE_BY_SIDE = 70
"""Channels whose velocity is in memory at once; few enough for what they need to be used again."""


@dataclass(frozen=True, kw_only=True)
class Cochlea:
    """`Cochlea()(sound, generator)`: the spikes of n_channels bushy cells, Spikes (1, n_channels) at times in ms.

    The chain of the Heidelberg data sets SHD and SSC (Cramer, Stradmann, Schemmel & Zenke, IEEE Trans. Neural Netw.
    Learn. Syst. 33, 2022, 2744): a hydrodynamic basilar membrane (`Membrane`), inner hair cells with a transmitter pool
    (`HairCell`), and for each channel a leaky neuron that adds up the spikes of phase-locked fibres (`BushyCell`).
    Channel 0 lies at the base and is the highest, f_max; channels have equal distances on the membrane down to f_min.

    middle_ear: the corner in Hz of a high-pass of first order that stands for the outer and the middle ear. level: what
    comes through it is set to this rms in dB SPL; None: the waveform is a pressure in pascal. ramp: ms at both ends
    over which the sound fades in and out. rate: steps/s at which everything is computed; f_max is at most 0.4 of it.
    damping: of the membrane's places; smaller is sharper. The Heidelberg sets have 0.15, that of a passive membrane.
    """

    n_channels: int = 700
    f_min: float = 100.0
    f_max: float = 7000.0
    middle_ear: float = 1000.0
    level: float | None = 75.0
    ramp: float = 10.0
    rate: int = 20_000
    damping: float = 0.05
    hair_cell: HairCell = field(default_factory=HairCell)
    bushy_cell: BushyCell = field(default_factory=BushyCell)

    def __post_init__(self) -> None:
        if not isinstance(self.n_channels, int) or not 1 < self.n_channels <= 10_000:
            raise ParameterError(f"Cochlea.n_channels must be an integer from 2 to 10000, got {self.n_channels!r}")
        if check_rate(self.rate, "Cochlea.rate") < 10_000:
            raise ParameterError(f"Cochlea.rate must be at least 10000 steps/s, got {self.rate}")
        for name in ("f_min", "f_max"):
            check_positive(getattr(self, name), f"Cochlea.{name}")
        if not 30 <= self.f_min < self.f_max <= 0.4 * self.rate:
            span = f"30 <= f_min < f_max <= {0.4 * self.rate:g} Hz"
            raise ParameterError(f"Cochlea: expected {span}, got {self.f_min!r} and {self.f_max!r}")
        if self.level is not None and not -50 <= self.level <= 140:
            raise ParameterError(f"Cochlea.level must be None or from -50 to 140 dB SPL, got {self.level!r}")
        if not 0 <= self.ramp < np.inf:
            raise ParameterError(f"Cochlea.ramp must be a time in ms of at least 0, got {self.ramp!r}")
        if not check_positive(self.middle_ear, "Cochlea.middle_ear") < self.rate / 2:
            raise ParameterError(f"Cochlea.middle_ear must lie below {self.rate / 2:g} Hz, got {self.middle_ear!r}")
        if check_positive(self.damping, "Cochlea.damping") > 0.3:
            raise ParameterError(f"Cochlea.damping must be at most 0.3 for places to differ, got {self.damping!r}")
        cell = self.hair_cell
        fastest = max(cell.g, cell.y, cell.l + cell.r, cell.x)
        if fastest > self.rate:
            raise ParameterError(
                f"Cochlea.hair_cell: g, y, l + r and x must be at most rate = {self.rate} /s to be stepped, "
                f"got {fastest:g}"
            )
        # The amplitude of a place's ringing decays with the rate damping * w0 / 2.
        if self.damping * np.pi * self.f_min * MEMORY / self.rate < 3.0:
            least = 3.0 * self.rate / (np.pi * MEMORY * self.f_min)
            raise ParameterError(
                f"Cochlea.damping must be at least {least:.3f} for the ringing of a place at f_min to end within "
                f"{1000 * MEMORY / self.rate:.0f} ms, got {self.damping!r}; raise it or f_min"
            )

    @property
    def membrane(self) -> Membrane:
        """Its basilar membrane."""
        return Membrane(
            n_channels=self.n_channels, f_min=self.f_min, f_max=self.f_max, rate=self.rate, damping=self.damping
        )

    @property
    def channel_frequencies(self) -> NDArray[np.float64]:
        """The frequency in Hz that moves each channel most, (n_channels,), falling."""
        return self.membrane.frequencies.copy()

    def __call__(self, sound: Sound, generator: np.random.Generator) -> Spikes:
        """The spikes while a sound of one channel lasts. Raises ShapeError for one of several."""
        check_generator(generator, "Cochlea.generator")
        waveform = self._pressure(sound)
        membrane, n = self.membrane, self.n_channels
        groups = [slice(first, min(first + _SIDE_BY_SIDE, n)) for first in range(0, n, _SIDE_BY_SIDE)]
        cells = [Channels(g.stop - g.start, self.hair_cell, self.bushy_cell, self.rate) for g in groups]
        step, ids = [], []
        for start in range(0, len(waveform), BLOCK - MEMORY):
            for channels, group in zip(cells, groups, strict=True):
                velocity = membrane.velocity(waveform, start, group)
                when, where = channels.hear(velocity, generator.random(velocity.shape, np.float32))
                step.append(when)
                ids.append(where + group.start)
        time = np.concatenate(step) * (1000.0 / self.rate)
        return Spikes.from_times(time, np.concatenate(ids), n, sound.duration)

    def batch(
        self,
        sounds: Sequence[Sound],
        generator: np.random.Generator,
        *,
        duration: float | None = None,
        dt: float | None = None,
        pool: int = 1,
        threads: int = 1,
        progress: bool = False,
    ) -> Spikes:
        """The spikes of many sounds, Spikes (B, n_channels / pool), each silent from its end to `duration` in ms.

        duration: by default that of the longest sound; a longer sound is an error. dt: the spikes of a step of dt ms
        become one, whose value is their number (at most 127); None: they keep their times. pool: so many neighbouring
        channels become one. Each sound has a generator of its own, spawned from `generator`, so that the spikes do not
        depend on `threads`. progress: a bar on standard error.
        """
        if self.n_channels % check_count(pool, "Cochlea.pool"):
            raise ParameterError(f"Cochlea.pool must divide {self.n_channels}, the channels, got {pool}")
        window = _window(sounds, duration)
        check_generator(generator, "Cochlea.generator")

        def one(job: tuple[Sound, np.random.Generator]) -> Spikes:
            spikes = replace(self(*job), duration=window)
            spikes = replace(spikes, ids=spikes.ids // pool, shape=(self.n_channels // pool,))
            return spikes if dt is None else spikes.on_grid(dt, collisions="sum")

        self.membrane.frequencies  # noqa: B018 - solved once, before the threads
        jobs = zip(sounds, generator.spawn(len(sounds)), strict=True)
        with ThreadPoolExecutor(check_count(threads, "Cochlea.threads")) as workers:
            console = Console(stderr=True)
            found = workers.map(one, jobs)
            parts = list(track(found, "cochlea", len(sounds), console=console, disable=not progress))
        return Spikes.concatenate(parts)

    def _pressure(self, sound: Sound) -> NDArray[Any]:
        """The waveform at `rate`, faded in and out, an rms of 1 being 30 dB SPL."""
        one_channel(sound, "Cochlea")
        waveform = one_channel(resample(sound, self.rate), "Cochlea").astype(np.float64)
        # A sound begins out of silence.
        waveform = lfilter(*butter(1, self.middle_ear, "highpass", fs=self.rate), waveform)
        power = np.mean(waveform**2)
        if self.level is None:
            if not power <= (20e-6 * 10**7) ** 2:
                raise DataError(
                    f"Cochlea: without level= a waveform is in pascal, at most 140 dB SPL, got an rms of "
                    f"{np.sqrt(power):g}; give level="
                )
            waveform /= 20e-6 * 10**1.5
        elif power > 0:
            waveform *= 10 ** ((self.level - 30) / 20) / np.sqrt(power)
        n = min(round(self.ramp * self.rate / 1000), len(waveform) // 2)
        fade = np.sin(0.5 * np.pi * (np.arange(n) + 0.5) / max(n, 1)) ** 2
        waveform[:n] *= fade
        waveform[len(waveform) - n :] *= fade[::-1]
        return np.asarray(waveform, np.float32)


def _window(sounds: Sequence[Sound], duration: float | None) -> float:
    """The duration that all sounds get; ParameterError where one is longer."""
    if not sounds:
        raise ParameterError("Cochlea.batch expected at least one sound, got none")
    longest = max(range(len(sounds)), key=lambda index: sounds[index].duration)
    if duration is None:
        return sounds[longest].duration
    if sounds[longest].duration > check_positive(duration, "Cochlea.duration"):
        raise ParameterError(
            f"Cochlea.duration must hold every sound, got {duration:g} ms and sound {longest} of "
            f"{sounds[longest].duration:g} ms; cut or trim it first"
        )
    return float(duration)

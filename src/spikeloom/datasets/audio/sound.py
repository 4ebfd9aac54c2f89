"""Sound: a waveform and its rate, and what makes one sound of another."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from ...errors import DataError, ParameterError, ShapeError
from ...spikes.validate import as_array, check_each
from ...units import steps

MAX_SAMPLES = 1 << 28
"""How many numbers a sound may hold: 1 GiB of float32, nine hours of one channel at 8 kHz."""

_PCM = {"uint8": (128, 128), "int16": (0, 1 << 15), "int32": (0, 1 << 31)}
"""The number of silence and that of full scale of the integers of sound files."""

_MANY = 64
"""More channels than this, and more than there are samples, are samples that lie along the wrong axis."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Sound:
    """waveform, float32 (samples,) or (samples, channels), read-only, full scale being -1 to 1; rate in samples/s.

    Floats are taken as they are; int16, int32 and uint8, as scipy.io.wavfile and soundfile give them, are scaled by
    their full scale. Raises ShapeError for another number of axes, no samples, and channels that come first, DataError
    for other integers, NaN and infinity.
    """

    waveform: NDArray[np.float32]
    rate: int

    def __post_init__(self) -> None:
        array = as_array(self.waveform, "Sound.waveform")
        if array.ndim not in (1, 2) or not array.size:
            raise ShapeError(
                f"Sound.waveform must have shape (samples,) or (samples, channels), none zero, got {array.shape}"
            )
        if array.ndim == 2 and array.shape[1] > max(_MANY, len(array)):
            raise ShapeError(
                f"Sound.waveform must have shape (samples, channels), got {array.shape}, more than {_MANY} channels "
                "and more than samples; transpose it: waveform.T"
            )
        own = _single(array)
        check_each(array, np.isfinite(own), "Sound.waveform", "a finite float32 number")
        own.flags.writeable = False
        object.__setattr__(self, "waveform", own)
        object.__setattr__(self, "rate", check_rate(self.rate, "Sound.rate"))

    def __len__(self) -> int:
        """The number of samples in time."""
        return len(self.waveform)

    def __repr__(self) -> str:
        return f"<Sound: {self.duration:.0f} ms, {self.n_channels} x {self.rate} Hz>"

    @property
    def duration(self) -> float:
        """In ms."""
        return 1000.0 * len(self) / self.rate

    @property
    def n_channels(self) -> int:
        """1 for a waveform (samples,)."""
        return 1 if self.waveform.ndim == 1 else self.waveform.shape[1]

    def mono(self) -> Sound:
        """The mean of its channels, (samples,)."""
        if self.waveform.ndim == 1:
            return self
        return Sound(self.waveform.mean(1, dtype=np.float64), self.rate)


def _single(array: NDArray[Any]) -> NDArray[np.float32]:
    """A float32 copy, integers of sound files scaled to -1 .. 1; DataError for integers without a known full scale."""
    if array.dtype.kind != "f" and array.dtype.name not in _PCM:
        raise DataError(
            f"Sound.waveform must hold floats, full scale being -1 to 1, or {', '.join(_PCM)}, got {array.dtype}; "
            "divide it by its full scale"
        )
    with np.errstate(over="ignore"):
        own = np.array(array, np.float32)
    if array.dtype.name in _PCM:
        silence, full = _PCM[array.dtype.name]
        own -= silence
        own /= full
    return own


def check_rate(rate: Any, owner: str) -> int:
    """A rate as an int; ParameterError unless it is a whole number of samples/s from 1 to 10 million."""
    whole = isinstance(rate, (int, np.integer)) and not isinstance(rate, bool)
    if not whole or not 1 <= rate <= 10_000_000:
        raise ParameterError(f"{owner} must be a whole number of samples/s from 1 to 10000000, got {rate!r}")
    return int(rate)


def one_channel(sound: Sound, owner: str) -> NDArray[np.float32]:
    """The waveform (samples,) of a sound; ShapeError for one of several channels."""
    if not isinstance(sound, Sound):
        raise ParameterError(f"{owner} expected a Sound, got {type(sound).__name__}; use Sound(waveform, rate)")
    if sound.n_channels > 1:
        raise ShapeError(f"{owner} expected a sound of one channel, got {sound.n_channels}; use sound.mono()")
    return sound.waveform.reshape(-1)


def resample(sound: Sound, rate: int) -> Sound:
    """The sound at another rate in samples/s: ceil(samples * rate / its rate) of them.

    A polyphase filter of scipy.signal.resample_poly takes what lies above half of the lower rate away. Raises DataError
    where more than MAX_SAMPLES would come of it.
    """
    rate = check_rate(rate, "resample.rate")
    if rate == sound.rate:
        return sound
    factor = Fraction(rate, sound.rate)
    if sound.waveform.size * factor > MAX_SAMPLES:
        raise DataError(f"resample: {sound!r} at {rate} Hz has more than {MAX_SAMPLES} samples; cut it first")
    # The filter has 20 times the greater factor of taps; past that it is no longer a short one.
    if max(factor.numerator, factor.denominator) > 100_000:
        raise ParameterError(f"resample.rate {rate} and {sound.rate} Hz have no common divisor; use rounder rates")
    return Sound(resample_poly(sound.waveform, factor.numerator, factor.denominator, axis=0), rate)


def trim_silence(sound: Sound, threshold: float = 40.0, frame: float = 20.0) -> Sound:
    """The sound from its first to its last frame that is not silent; one that is silent throughout, as it is.

    A frame of `frame` ms is silent where its power lies more than `threshold` dB below that of the loudest one.
    """
    power = _frame_power(sound, check_positive(frame, "trim_silence.frame"))
    least = power.max() * 10 ** (-check_positive(threshold, "trim_silence.threshold") / 10)
    loud = np.flatnonzero(power >= least)
    length = _frame_length(sound, frame)
    return Sound(sound.waveform[loud[0] * length : (loud[-1] + 1) * length], sound.rate)


def excerpt(sound: Sound, start: float = 0.0, end: float | None = None) -> Sound:
    """What lies from `start` to `end` in ms (None: its end) of a sound; as much of that as there is.

    Raises ParameterError unless 0 <= start < end and start lies within the sound.
    """
    last = sound.duration if end is None else end
    if not 0 <= start < last < np.inf or start >= sound.duration:
        span = f"0 <= start < end in ms, start below {sound.duration:g}"
        raise ParameterError(f"excerpt: expected {span}, got {start!r} and {end!r}")
    first = steps(start, 1000.0 / sound.rate)
    return Sound(sound.waveform[first : max(first + 1, steps(last, 1000.0 / sound.rate))], sound.rate)


def _frame_length(sound: Sound, frame: float) -> int:
    return max(1, round(frame * sound.rate / 1000))


def _frame_power(sound: Sound, frame: float) -> NDArray[np.float64]:
    """The mean square of each frame over all channels; the last one may be shorter."""
    square = np.square(sound.waveform.reshape(len(sound), -1), dtype=np.float64).mean(1)
    starts = np.arange(0, len(sound), _frame_length(sound, frame))
    return np.asarray(np.add.reduceat(square, starts) / np.diff(starts, append=len(sound)))


def check_positive(value: Any, owner: str) -> float:
    """A positive, finite number as a float; ParameterError for anything else."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 < value < np.inf:
        raise ParameterError(f"{owner} must be a positive number, got {value!r}")
    return float(value)

"""Mel features of a sound: log-mel spectrograms and cepstral coefficients.

Two mel scales are in use. "htk" is 2595 log10(1 + f / 700) (O'Shaughnessy, Speech Communication, 1987; the HTK book).
"slaney" is f * 3 / 200 up to 1 kHz and 15 + 27 ln(f / 1000) / ln(6.4) above (M. Slaney, Auditory Toolbox, 1998), whose
triangles have the same area; those of "htk" have the same height, 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from ...errors import ParameterError
from ..checks import check_count
from .sound import Sound, check_positive, one_channel

Scale = Literal["htk", "slaney"]

_FLOOR = 1e-10
_LINEAR, _LOG = 200.0 / 3.0, np.log(6.4) / 27.0


def _checked(scale: Any) -> Any:
    if scale not in ("htk", "slaney"):
        raise ParameterError(f"the mel scale must be 'htk' or 'slaney', got {scale!r}")
    return scale


def hz_to_mel(hertz: ArrayLike, scale: Scale = "htk") -> NDArray[np.float64]:
    """Frequencies in Hz in mels."""
    f = np.asarray(hertz, np.float64)
    if _checked(scale) == "htk":
        return 2595.0 * np.log10(1 + f / 700.0)
    return np.where(f < 1000, f / _LINEAR, 15 + np.log(np.maximum(f, 1000) / 1000) / _LOG)


def mel_to_hz(mels: ArrayLike, scale: Scale = "htk") -> NDArray[np.float64]:
    """Mels in Hz."""
    m = np.asarray(mels, np.float64)
    if _checked(scale) == "htk":
        return 700.0 * (10 ** (m / 2595.0) - 1)
    return np.where(m < 15, m * _LINEAR, 1000 * np.exp(_LOG * (m - 15)))


def mel_filters(
    n_mels: int, n_fft: int, rate: float, f_min: float = 0.0, f_max: float | None = None, scale: Scale = "htk"
) -> NDArray[np.float64]:
    """Triangles over the frequencies of a transform of n_fft samples, (n_mels, n_fft // 2 + 1).

    Their edges are equally spaced in mels from f_min to f_max (None: rate / 2). Raises ParameterError where a triangle
    would lie between two frequencies.
    """
    top = rate / 2 if f_max is None else f_max
    if not 0 <= f_min < top <= rate / 2:
        raise ParameterError(f"mel_filters: expected 0 <= f_min < f_max <= {rate / 2:g} Hz, got {f_min!r}, {f_max!r}")
    count = check_count(n_mels, "mel_filters.n_mels")
    edges = mel_to_hz(np.linspace(hz_to_mel(f_min, scale), hz_to_mel(top, scale), count + 2), scale)
    hertz = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.maximum(0, np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)))
    empty = np.flatnonzero(filters.max(1) == 0)
    if empty.size:
        raise ParameterError(
            f"mel_filters: no frequency of a transform of {n_fft} samples lies in filter {empty[0]} of {count}; "
            "use fewer filters or a longer window"
        )
    return filters if scale == "htk" else filters * (2 / (high - low))


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """`LogMel()(sound)`: a log-mel spectrogram in dB, float32 (frames, n_mels).

    Frame k is centred at k * hop ms; zeros stand before and behind the sound. A periodic Hann window of `window` ms,
    the power of its Fourier transform of n_fft samples (None: the power of two that holds the window), triangles by
    `mel_filters`, 10 log10 of at least 1e-10.
    """

    n_mels: int = 40
    window: float = 25.0
    hop: float = 10.0
    f_min: float = 20.0
    f_max: float | None = None
    scale: Scale = "htk"
    n_fft: int | None = None

    def __post_init__(self) -> None:
        check_count(self.n_mels, "LogMel.n_mels")
        check_positive(self.window, "LogMel.window")
        check_positive(self.hop, "LogMel.hop")
        _checked(self.scale)
        if self.n_fft is not None:
            check_count(self.n_fft, "LogMel.n_fft")

    def __call__(self, sound: Sound) -> NDArray[np.float32]:
        """The spectrogram of a sound of one channel."""
        waveform = one_channel(sound, "LogMel").astype(np.float64)
        width, hop = (max(1, round(t * sound.rate / 1000)) for t in (self.window, self.hop))
        n_fft = 1 << (width - 1).bit_length() if self.n_fft is None else self.n_fft
        if n_fft < width:
            raise ParameterError(f"LogMel.n_fft must hold the window of {width} samples, got {n_fft}")
        filters = mel_filters(self.n_mels, n_fft, sound.rate, self.f_min, self.f_max, self.scale)
        power = _power(waveform, width, hop, n_fft)
        return (10 * np.log10(np.maximum(power @ filters.T, _FLOOR))).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class MFCC:
    """`MFCC()(sound)`: the first n_mfcc cepstral coefficients, float32 (frames, n_mfcc).

    The orthonormal cosine transform (type 2) of each row of the log-mel spectrogram.
    """

    n_mfcc: int = 13
    mel: LogMel = LogMel()

    def __post_init__(self) -> None:
        check_count(self.n_mfcc, "MFCC.n_mfcc", most=self.mel.n_mels)

    def __call__(self, sound: Sound) -> NDArray[np.float32]:
        """The coefficients of a sound of one channel."""
        cepstrum: NDArray[np.float32] = fft.dct(self.mel(sound), axis=1, norm="ortho")[:, : self.n_mfcc]
        return cepstrum


def _power(waveform: NDArray[np.float64], width: int, hop: int, n_fft: int) -> NDArray[np.float64]:
    """The power (frames, n_fft // 2 + 1) of each frame, whose window lies in the middle of n_fft samples."""
    padded = np.pad(waveform, (n_fft // 2, n_fft - n_fft // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[: len(waveform) + 1 : hop]
    window = np.zeros(n_fft)
    start = (n_fft - width) // 2
    window[start : start + width] = np.sin(np.pi * np.arange(width) / width) ** 2
    return np.asarray(np.abs(fft.rfft(frames * window)) ** 2)

"""Files of sound, through the package soundfile: .wav, .flac, .ogg, .mp3 and what else libsndfile knows."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError, StorageError, UnsupportedError
from .sound import MAX_SAMPLES, Sound, resample

_CHUNK = 1 << 16
_SHORT = re.compile(r"^\s*data\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


def read_sound(
    path: str | os.PathLike[str],
    rate: int | None = None,
    channels: Literal["mono", "all"] = "mono",
    max_samples: int = MAX_SAMPLES,
) -> Sound:
    """The sound of a file, at `rate` samples/s (None: the file's own).

    channels: "mono" is their mean, (samples,); "all" is (samples, channels). Integers are scaled to -1 .. 1. What is
    decoded, samples x channels, is at most `max_samples`; memory grows with what is there, not with what a header
    announces. Raises DataError for what is no sound, damaged, cut short or too large, StorageError where there is no
    such file, UnsupportedError without soundfile.
    """
    if channels not in ("mono", "all"):
        raise ParameterError(f"read_sound.channels must be 'mono' or 'all', got {channels!r}")
    soundfile, file = _soundfile(), Path(path)
    if not file.is_file():
        raise StorageError(f"{file}: expected a sound file, found {'a folder' if file.is_dir() else 'nothing'}")
    try:
        with soundfile.SoundFile(str(file)) as opened:
            waveform, found = _decoded(opened, file, max_samples), int(opened.samplerate)
    except (soundfile.SoundFileError, TypeError) as error:
        raise DataError(f"{file}: expected a sound file, got one that cannot be decoded ({error})") from error
    try:
        sound = Sound(waveform if channels == "all" else waveform.mean(1, dtype=np.float64), found)
    except (DataError, ParameterError) as error:
        raise type(error)(f"{file}: {error}") from error
    return sound if rate is None else resample(sound, rate)


def write_sound(path: str | os.PathLike[str], sound: Sound, subtype: str | None = None) -> None:
    """Writes a sound in the format that the name ends with, such as .wav, .flac or .ogg.

    subtype: of the samples, as soundfile calls it, such as "PCM_24" or "FLOAT"; by default 16 bits for .wav and .flac.
    Raises ParameterError for a format that there is not, and for samples beyond -1 .. 1, which integers cannot hold.
    """
    soundfile, file = _soundfile(), Path(path)
    kind = file.suffix[1:].upper()
    if kind not in soundfile.available_formats() or kind == "RAW":
        raise ParameterError(f"{file}: expected a name that ends with .wav, .flac, .ogg or .mp3, got {file.suffix!r}")
    if not soundfile.check_format(kind, subtype):
        known = ", ".join(soundfile.available_subtypes(kind))
        raise ParameterError(f"{file}: {kind} has no subtype {subtype!r}; it has: {known}")
    peak = float(np.abs(sound.waveform).max())
    if peak > 1 and (subtype or soundfile.default_subtype(kind)) not in ("FLOAT", "DOUBLE"):
        raise ParameterError(f"{file}: samples must lie from -1 to 1, got one of {peak:g}; scale the sound first")
    try:
        soundfile.write(str(file), sound.waveform, sound.rate, subtype=subtype)
    except soundfile.SoundFileError as error:
        raise StorageError(f"{file}: cannot be written ({error})") from error


def _decoded(opened: Any, file: Path, max_samples: int) -> NDArray[np.float32]:
    """The samples (samples, channels) of an open file, read piece by piece."""
    announced, n_channels = int(opened.frames), int(opened.channels)
    if announced * n_channels > max_samples:
        raise DataError(f"{file}: at most {max_samples} samples are read, got {announced} x {n_channels}; cut the file")
    cut = _SHORT.search(opened.extra_info)
    if cut is not None and int(cut[1]) < 0x7FFFFFFF:  # what programs write that do not know the length yet
        raise DataError(f"{file}: expected {cut[1]} bytes of samples, got {cut[2]}; the file was cut short")
    pieces, n = [], 0
    while len(piece := opened.read(_CHUNK, dtype="float32", always_2d=True)):
        pieces.append(piece)
        n += len(piece)
        if n * n_channels > max_samples:
            raise DataError(f"{file}: at most {max_samples} samples are read, there are more; cut the file")
    if n < max(1, announced):
        raise DataError(f"{file}: expected {max(1, announced)} samples in time, got {n}; the file is damaged or empty")
    return np.concatenate(pieces)


def _soundfile() -> Any:
    try:
        import soundfile
    except ImportError as error:
        raise UnsupportedError(
            "sound files are read and written by the package soundfile: pip install 'spikeloom[audio]'"
        ) from error
    return soundfile

"""The Free Spoken Digit Dataset: ten digits by six speakers, fifty times each, as .wav files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike

from ...errors import DataError, ParameterError, UnsupportedError
from ...spikes import Spikes
from ..cache import cached
from ..checks import check_count, check_generator, positions
from ..dataset import ArrayDataset, Data, Dataset, Labels
from ..event_dataset import digest
from .cochlea import Cochlea
from .files import read_sound
from .sound import MAX_SAMPLES, Sound, check_rate

Key = tuple[int, str, int]
_NAME = re.compile(r"(\d)_([A-Za-z]\w*)_(\d+)\.wav", re.ASCII)
_TEST = 5
"""Recordings with a lower index are the official test part."""


@final
class Recordings(Dataset):
    """Sounds in memory with their labels: `sound, label = recordings[3]`. They have no common shape: `shape` is ().

    `files` names where each came from; `speakers` and `indices`, (samples,), tell who spoke and which time it was.
    """

    def __init__(self, sounds: Sequence[Sound], files: Sequence[Path], name: str) -> None:
        self.name, self.shape, self.classes = name, (), range(10)
        self.sounds, self.files = tuple(sounds), tuple(files)
        digits, speakers, indices = zip(*map(_key, files), strict=True)
        self.labels, self.indices = np.array(digits, np.int64), np.array(indices, np.int64)
        self.speakers = np.array(speakers, np.str_)

    def __getitem__(self, index: int) -> tuple[Sound, int]:  # type: ignore[override]
        return self.sounds[index], int(self.labels[index])

    def batch(self, indices: ArrayLike) -> tuple[Data, Labels]:
        """UnsupportedError: sounds are of unequal length."""
        raise UnsupportedError(
            f"{self.name}: sounds of unequal length make no batch; use .map(transform), .spikes(cochlea, generator) or "
            "a collate_fn"
        )

    def where(self, chosen: ArrayLike) -> Recordings:
        """Those where a mask of booleans is true: `recordings.where(recordings.indices < 10)`."""
        mask = np.asarray(chosen)
        if mask.dtype != bool or mask.shape != self.labels.shape:
            raise ParameterError(
                f"{self.name}.where expected {len(self)} booleans, got {mask.dtype} of shape {mask.shape}"
            )
        kept = np.flatnonzero(mask)
        return Recordings([self.sounds[k] for k in kept], [self.files[k] for k in kept], self.name)

    def map(self, transform: Callable[[Sound], Any]) -> Recordings | ArrayDataset:
        """What a function makes of each sound: Recordings of sounds, or an ArrayDataset of arrays of one shape."""
        made = [transform(sound) for sound in self.sounds]
        if all(isinstance(one, Sound) for one in made):
            return Recordings(made, self.files, self.name)
        return ArrayDataset(made, self.labels, name=self.name, classes=self.classes)

    def spikes(
        self,
        cochlea: Cochlea,
        generator: np.random.Generator,
        folder: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Dataset:
        """The spikes of a cochlea; options: those of `Cochlea.batch`, such as duration=1000.0, dt=5.0, pool=5.

        folder: where `cached` keeps them in a file, from which they are read where sounds, cochlea, generator and
        options are the same again.
        """
        heard = Heard(self, cochlea, generator, options)
        return heard.in_memory() if folder is None else cached(heard, folder)


@final
class Heard(Dataset):
    """The spikes of a cochlea that hears recordings, all of them when the first sample is asked for."""

    def __init__(
        self, recordings: Recordings, cochlea: Cochlea, generator: np.random.Generator, options: Mapping[str, Any]
    ) -> None:
        unknown = set(options) - {"duration", "dt", "pool", "threads", "progress"}
        if unknown:
            known = "duration, dt, pool, threads, progress"
            raise ParameterError(f"spikes: unknown parameter {min(unknown)!r}; it has: {known}")
        self.recordings, self.cochlea, self.options = recordings, cochlea, dict(options)
        self.name, self.labels, self.classes = recordings.name, recordings.labels, recordings.classes
        self.shape = (cochlea.n_channels // check_count(options.get("pool", 1), "spikes.pool"),)
        self.generator = check_generator(generator, "spikes.generator").spawn(1)[0]
        self._seed = str(self.generator.bit_generator.seed_seq.state)  # type: ignore[attr-defined]

    @cached_property
    def _spikes(self) -> Spikes:
        return self.cochlea.batch(self.recordings.sounds, self.generator, **self.options)

    def __getitem__(self, index: int) -> tuple[Spikes, int]:
        return self._spikes[[index]], int(self.labels[index])

    def batch(self, indices: ArrayLike) -> tuple[Data, Labels]:
        """The samples at `indices` as one Spikes, and their labels (B,)."""
        chosen = positions(indices, len(self), self.name)
        return self._spikes[chosen], self.labels[chosen]

    def key(self) -> str:
        """A text that tells all that the spikes depend on."""
        options = {name: value for name, value in self.options.items() if name not in ("threads", "progress")}
        sounds = [f"{sound.rate} {digest(sound.waveform)}" for sound in self.recordings.sounds]
        return " ".join([repr(self.cochlea), repr(sorted(options.items())), self._seed, *sounds])

    def files(self) -> list[Path]:
        """None: the key has what was read."""
        return []


def spoken_digits(
    root: str | os.PathLike[str], part: Literal["train", "test", "all"] = "train", rate: int | None = None
) -> Recordings:
    """The recordings `{digit}_{speaker}_{index}.wav` of a folder, or of `recordings` in it; nothing is downloaded.

    The official split: index 0 to 4 of every digit and speaker is "test" (300 of 3,000), the rest "train". rate: in
    samples/s, None: the files' own, 8,000. Sorted by digit, speaker and index. Raises DataError for a .wav file that is
    damaged or named otherwise, and where a recording below the greatest index is missing. Source: Z. Jackson et al.,
    Free Spoken Digit Dataset, 2018, doi 10.5281/zenodo.1342401.
    """
    if part not in ("train", "test", "all"):
        raise ParameterError(f"spoken_digits.part must be 'train', 'test' or 'all', got {part!r}")
    if rate is not None:
        check_rate(rate, "spoken_digits.rate")
    found = _found(Path(root))
    wanted = [key for key in sorted(found) if part == "all" or (key[2] < _TEST) == (part == "test")]
    if not wanted:
        raise DataError(f"{root}: expected recordings of the {part} part, got none among {len(found)}")
    sounds, room = [], MAX_SAMPLES
    for key in wanted:
        sounds.append(read_sound(found[key], rate, max_samples=room))
        room -= sounds[-1].waveform.size
    return Recordings(sounds, [found[key] for key in wanted], f"spoken digits, {part}")


def _key(file: Path) -> Key:
    """Digit, speaker and index of a file's name."""
    name = _NAME.fullmatch(file.name)
    if name is None:
        raise DataError(f"{file}: expected a name such as 0_jackson_0.wav, digit, speaker and index")
    return int(name[1]), name[2], int(name[3])


def _found(root: Path) -> dict[Key, Path]:
    """The files by digit, speaker and index; DataError for others and for gaps."""
    folder = root / "recordings" if (root / "recordings").is_dir() else root
    files = sorted(folder.glob("*.wav")) if folder.is_dir() else []
    if not files:
        raise DataError(f"{root}: expected a folder with files such as 0_jackson_0.wav, found none")
    found = {_key(file): file for file in files}
    _check_whole(found, folder)
    return found


def _check_whole(found: dict[Key, Path], folder: Path) -> None:
    """DataError where a speaker lacks a recording that another one has."""
    speakers = sorted({speaker for _, speaker, _ in found})
    digits, last = sorted({digit for digit, _, _ in found}), max(index for _, _, index in found)
    expected = len(speakers) * len(digits) * (last + 1)
    if expected == len(found):
        return
    gap = next(
        f"{digit}_{speaker}_{index}.wav"
        for digit in digits
        for speaker in speakers
        for index in range(last + 1)
        if (digit, speaker, index) not in found
    )
    raise DataError(f"{folder}: {gap} is missing, {expected - len(found)} of {expected} in all; fetch them again")

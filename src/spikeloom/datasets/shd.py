"""The Heidelberg data sets of spoken words as spikes of 700 channels, SHD and SSC, read from their HDF5 files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, final, get_args

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError
from ..spikes import Collisions, Spikes
from ..units import check_dt, duration_steps, times
from .checks import check_flag, positions
from .dataset import Dataset, Labels
from .download import Archive, provide
from .hdf5_heap import plain_rows, texts_of
from .spike_hdf5 import opened, read_spike_hdf5

Split = Literal["train", "valid", "test"]

N_CHANNELS = 700
_URL = "https://zenkelab.org/datasets/"
_MD5 = {
    "shd_train": "f3252aeb598ac776c1b526422d90eecb",
    "shd_test": "1503a5064faa34311c398fb0a1ed0a6f",
    "ssc_train": "d102be95e7144fcc0553d1f45ba94170",
    "ssc_valid": "b4eee3516a4a90dd0c71a6ac23a8ae43",
    "ssc_test": "a35ff1e9cffdd02a20eb850c17c37748",
}
_MOST_NAME, _MOST_CLASSES, _MOST_EXTRA = 100, 1 << 12, 1 << 26


@final
class SpikeFile(Dataset):
    """The samples of an HDF5 file of spike trains, as spikes on a grid, read batch by batch; see `read_spike_hdf5`.

    `labels` are read at once, the spikes when asked for. `speakers` holds the number of each sample's speaker, None
    where the file does not tell. The window is the same for all samples.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "spikes",
        n_classes: int | None = None,
        dt: float = 1.0,
        duration: float = 1400.0,
        n_channels: int = N_CHANNELS,
        collisions: Collisions = "merge",
    ) -> None:
        self.path, self.name, self.collisions = Path(path), name, collisions
        self.dt, self.shape = check_dt(dt), (n_channels,)
        self.duration = times(duration_steps(duration, self.dt, f"{name}.duration"), self.dt)
        with opened(self.path) as trains:
            self.labels = trains.labels
        names, self.speakers = _extra(self.path, len(self.labels))
        largest = int(self.labels.max(initial=-1))
        count = n_classes or max(largest + 1, len(names))
        if (self.labels < 0).any() or largest >= count:
            raise DataError(f"{self.path}: labels must be from 0 to {count - 1}, got {self.labels.min()} to {largest}")
        self.classes = names if len(names) == count else range(count)

    def __getitem__(self, index: int) -> tuple[Spikes, int]:
        spikes, labels = self.batch([index])
        return spikes, int(labels[0])

    def batch(self, indices: ArrayLike) -> tuple[Spikes, Labels]:
        """The samples at `indices` as Spikes, and their labels (B,)."""
        chosen = positions(indices, len(self), self.name)
        spikes = read_spike_hdf5(self.path, chosen, dt=self.dt, n_channels=self.shape[0], duration=self.duration,
                                 collisions=self.collisions)  # fmt: skip
        return spikes, self.labels[chosen]

    def files(self) -> Sequence[Path]:
        """The file."""
        return [self.path]

    def key(self) -> str:
        """How the samples are made of the file."""
        return f"spike file {self.dt} {self.duration} {self.shape} {self.collisions}"


def SHD(  # noqa: N802
    root: str | os.PathLike[str],
    is_train: bool = True,
    *,
    dt: float = 1.0,
    duration: float = 1400.0,
    collisions: Collisions = "merge",
    download: bool = False,
    progress: bool = False,
) -> SpikeFile:
    """Spiking Heidelberg Digits: spoken digits, English and German, 20 classes; 8,156 samples to train, 2,264 to test.

    `root` holds shd_train.h5 and shd_test.h5. download: fetches and unpacks the file where it lacks, its MD5 checked.
    Spikes of 700 channels on steps of dt ms in a window of `duration` ms, which holds the longest sample; `collisions`
    as in `read_spike_hdf5`. Source: B. Cramer et al., IEEE Trans. Neural Netw. Learn. Syst. 33 (2022) 2744.
    """
    part = "train" if check_flag(is_train, "SHD.is_train") else "test"
    path = _provided(root, f"shd_{part}", "SHD", download, progress, 1 << 29)
    return SpikeFile(path, name="SHD", n_classes=20, dt=dt, duration=duration, collisions=collisions)


def SSC(  # noqa: N802
    root: str | os.PathLike[str],
    split: Split = "train",
    *,
    dt: float = 1.0,
    duration: float = 1400.0,
    collisions: Collisions = "merge",
    download: bool = False,
    progress: bool = False,
) -> SpikeFile:
    """Spiking Speech Commands: 35 English words; 75,466 samples to train, 9,981 to validate, 20,382 to test.

    `root` holds ssc_train.h5, ssc_valid.h5 and ssc_test.h5; the rest is as for SHD.
    """
    if split not in get_args(Split):
        raise ParameterError(f"SSC.split must be one of {', '.join(get_args(Split))}, got {split!r}")
    path = _provided(root, f"ssc_{split}", "SSC", download, progress, 1 << 32)
    return SpikeFile(path, name="SSC", n_classes=35, dt=dt, duration=duration, collisions=collisions)


def _provided(root: str | os.PathLike[str], stem: str, owner: str, download: bool, progress: bool, most: int) -> Path:
    """The path of an HDF5 file in root, which is fetched where that is asked for."""
    archive = Archive(name=f"{stem}.h5.zip", url=f"{_URL}{stem}.h5.zip", checksum=f"md5:{_MD5[stem]}", most=most,
                      most_unpacked=4 * most)  # fmt: skip
    file = f"{stem}.h5"
    folder = provide(root, lambda place: (place / file).is_file(), [archive], owner=owner, expected=file,
                     download=download, progress=progress)  # fmt: skip
    return folder / file


def _extra(path: Path, n: int) -> tuple[list[str], NDArray[np.int64] | None]:
    """The names of the classes and the speaker of each of n samples, as far as a file tells them."""
    try:
        with h5py.File(path, "r") as file:
            content = np.memmap(path, np.uint8, "r")
            keys, speakers = _names(file, content), _plain(file, "speaker")
            numbers = None if speakers is None or speakers.dtype.kind not in "iu" else plain_rows(speakers, content)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: expected names in extra/keys, numbers in extra/speaker, got damage ({error})"
        ) from error
    return keys, None if numbers is None or len(numbers) != n else numbers.astype(np.int64)


def _names(file: h5py.File, content: NDArray[np.uint8]) -> list[str]:
    """The texts in extra/keys; none where there are too many or no texts."""
    keys = _plain(file, "keys")
    if keys is None or len(keys) > _MOST_CLASSES:
        return []
    if keys.dtype.kind == "O" and h5py.check_string_dtype(keys.dtype) is not None:
        found = texts_of(keys, content, _MOST_NAME)
    else:
        found = list(plain_rows(keys, content)) if keys.dtype.kind == "S" else []
    return [bytes(name)[:_MOST_NAME].decode("utf-8", "replace") for name in found]


def _plain(file: h5py.File, name: str) -> Any:
    """A small data set of the group `extra` that lies in the file itself, or None."""
    place: Any = file
    for part in ("extra", name):
        if not isinstance(place, h5py.Group) or not isinstance(place.get(part, getlink=True), h5py.HardLink):
            return None
        place = place[part]
    small = isinstance(place, h5py.Dataset) and place.ndim == 1 and place.nbytes <= _MOST_EXTRA and not place.external
    return place if small and not place.is_virtual else None

"""CIFAR10-DVS: pictures of CIFAR-10 that move on a screen, before a DVS128."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import ParameterError
from ..checks import check_flag
from ..download import Archive, provide
from ..event_dataset import EventDataset, EventFiles, Transform
from .folders import class_folders

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SENSOR = (128, 128)
_URL = "https://ndownloader.figshare.com/files/"
_ARCHIVES = {
    "airplane": ("7712788", "0afd5c4bf9ae06af762a77b180354fdd"),
    "automobile": ("7712791", "8438dfeba3bc970c94962d995b1b9bdd"),
    "bird": ("7712794", "a9c207c91c55b9dc2002dc21c684d785"),
    "cat": ("7712812", "52c63c677c2b15fa5146a8daf4d56687"),
    "deer": ("7712815", "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
    "dog": ("7712818", "f379ebdf6703d16e0a690782e62639c3"),
    "frog": ("7712842", "cad6ed91214b1c7388a5f6ee56d08803"),
    "horse": ("7712851", "e7cbbf77bec584ffbf913f00e682782a"),
    "ship": ("7712836", "41c7bd7d6b251be82557c6cce9a7d5c9"),
    "truck": ("7712839", "89f3922fd147d9aeff89e76a2b0b70a7"),
}


def CIFAR10DVS(  # noqa: N802
    root: str | os.PathLike[str],
    is_train: bool | None = None,
    *,
    test_fraction: float = 0.1,
    transform: Transform | Sequence[Transform] | None = None,
    generator: np.random.Generator | None = None,
    download: bool = False,
    progress: bool = False,
) -> EventDataset:
    """10,000 recordings of 128 x 128 pixels, 1,000 of each class of CIFAR-10.

    `root` holds a folder of .aedat files (AEDAT 2.0) for each class. download: fetches and unpacks those that lack,
    their MD5 checked. There is no published split. is_train=None gives all; else of each class, in the order of the
    numbers in the files' names, the last `test_fraction`, rounded down but at least one, is the test part (others take
    the first tenth, or draw it: compare figures of equal splits only). The picture is upright: rows and columns of
    the addresses are exchanged, as the camera lay on its side. Source: H. Li, H. Liu, X. Ji, G. Li, L. Shi, Frontiers
    in Neuroscience 11 (2017) 309.
    """
    place = Path(root)
    lacking = [name for name in CLASSES if not (place / name).is_dir()]
    archives = [Archive(name=f"{name}.zip", url=_URL + _ARCHIVES[name][0], checksum=f"md5:{_ARCHIVES[name][1]}",
                        most=1 << 32, most_unpacked=1 << 34) for name in lacking]  # fmt: skip
    provide(root, lambda folder: all((folder / name).is_dir() for name in CLASSES), archives, owner="CIFAR10DVS",
            expected=f"the folders {', '.join(lacking)}", download=download,
            progress=progress)  # fmt: skip
    files = class_folders(place, (".aedat",), "CIFAR10DVS", CLASSES)
    chosen = np.arange(len(files.paths))
    if is_train is not None:
        in_test = last_of_each(files.labels, test_fraction)
        chosen = np.flatnonzero(~in_test if check_flag(is_train, "CIFAR10DVS.is_train") else in_test)
    recordings = EventFiles([files.paths[k] for k in chosen], format="aedat2", sensor_size=SENSOR,
                            transposed=True)  # fmt: skip
    return EventDataset(recordings, files.labels[chosen], name="CIFAR10DVS", classes=CLASSES, transform=transform,
                        generator=generator)  # fmt: skip


def last_of_each(labels: np.ndarray, fraction: float) -> np.ndarray:
    """A mask of the last `fraction` of each class, rounded down but at least one; labels ascend."""
    if not isinstance(fraction, (int, float, np.number)) or not 0 < fraction < 1:
        raise ParameterError(f"CIFAR10DVS.test_fraction must lie between 0 and 1, got {fraction!r}")
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = counts - np.maximum(np.floor(np.round(counts * fraction, 9)), 1)
    return np.asarray(rank >= np.repeat(kept, counts))

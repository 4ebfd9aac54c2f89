"""N-MNIST: the digits of MNIST before an event camera that makes saccades."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..checks import check_flag
from ..download import Archive, provide
from ..event_dataset import EventDataset, EventFiles, Transform
from .folders import class_folders

SENSOR = (34, 34)
FIRST_SACCADE = 105.0
"""When the second of the three saccades begins, in ms."""
_URL = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
_ARCHIVES = {
    "Train": ("train.zip", "39c25547-014b-4137-a934-9d29fa53c7a0", "md5:20959b8e626244a1b502305a9e6e2031"),
    "Test": ("test.zip", "05a4d654-7e03-4c15-bdfa-9bb2bcbea494", "md5:69ca8762b2fe404d9b9bad1103e97832"),
}


def NMNIST(  # noqa: N802
    root: str | os.PathLike[str],
    is_train: bool = True,
    *,
    first_saccade_only: bool = False,
    transform: Transform | Sequence[Transform] | None = None,
    generator: np.random.Generator | None = None,
    download: bool = False,
    progress: bool = False,
) -> EventDataset:
    """Recordings of 34 x 34 pixels and about 300 ms of the digits of MNIST, 60,000 to train, 10,000 to test.

    `root` holds the folders Train and Test with a folder of .bin files for each digit. download: fetches and unpacks
    the one that lacks, its MD5 checked. Source: G. Orchard, A. Jayawant, G. Cohen, N. Thakor, Frontiers in Neuroscience
    9 (2015) 437.
    """
    part = "Train" if check_flag(is_train, "NMNIST.is_train") else "Test"
    name, place, checksum = _ARCHIVES[part]
    archive = Archive(name=name, url=f"{_URL}{place}/file_downloaded", checksum=checksum, most=1 << 31,
                      most_unpacked=1 << 33)  # fmt: skip
    folder = provide(root, lambda folder: (folder / part).is_dir(), [archive], owner="NMNIST",
                     expected=f"the folder {part}", download=download,
                     progress=progress)  # fmt: skip
    files = class_folders(folder / part, (".bin",), "NMNIST", [str(digit) for digit in range(10)])
    first = check_flag(first_saccade_only, "NMNIST.first_saccade_only")
    windows = [(0.0, FIRST_SACCADE)] * len(files.paths) if first else None
    recordings = EventFiles(files.paths, format="nmnist", sensor_size=SENSOR, windows=windows)
    return EventDataset(recordings, files.labels, name="NMNIST", classes=range(10), transform=transform,
                        generator=generator)  # fmt: skip

"""N-Caltech101: the pictures of Caltech101 before an event camera that makes saccades."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..download import Archive, provide
from ..event_dataset import EventDataset, EventFiles, Transform
from .folders import class_folders

SENSOR = (240, 180)
_FOLDER = "Caltech101"
_ARCHIVE = Archive(
    name="Caltech101.zip",
    url="https://data.mendeley.com/public-files/datasets/cy6cvx3ryv/files/36b5c52a-b49d-4853-addb-a836a8883e49/"
    "file_downloaded",
    checksum="md5:66201824eabb0239c7ab992480b50ba3",
    most=1 << 33,
    most_unpacked=1 << 35,
)


def NCaltech101(  # noqa: N802
    root: str | os.PathLike[str],
    *,
    sensor_size: tuple[int, int] | None = SENSOR,
    transform: Transform | Sequence[Transform] | None = None,
    generator: np.random.Generator | None = None,
    download: bool = False,
    progress: bool = False,
) -> EventDataset:
    """8,709 recordings of about 300 ms in 101 classes (100 of objects and one of background).

    `root` holds the folder Caltech101 with a folder of .bin files for each class. download: fetches and unpacks it, its
    MD5 checked. Pictures differ in size: they lie in the upper left of the sensor; sensor_size=None makes each
    recording as large as its events need. There is no published split; see `stratified_split`. Source: as of NMNIST.
    """
    folder = provide(root, lambda place: (place / _FOLDER).is_dir(), [_ARCHIVE], owner="NCaltech101",
                     expected=f"the folder {_FOLDER}", download=download,
                     progress=progress)  # fmt: skip
    files = class_folders(folder / _FOLDER, (".bin",), "NCaltech101")
    recordings = EventFiles(files.paths, format="nmnist", sensor_size=sensor_size)
    return EventDataset(recordings, files.labels, name="NCaltech101", classes=files.classes, transform=transform,
                        generator=generator)  # fmt: skip

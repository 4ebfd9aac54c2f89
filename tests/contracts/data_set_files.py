"""Readers of caches, archives, pictures and tables of labels on one hostile file, and valid files to begin with."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spikeloom import Spikes
from spikeloom.datasets import ArrayDataset, EventDataset, cached
from spikeloom.datasets.cache_file import CacheFile
from spikeloom.datasets.cached_samples import read_dataset
from spikeloom.datasets.event_sets.dvs_gesture import labelled_parts
from spikeloom.datasets.image_folder import image_folder
from spikeloom.datasets.unpack import unpack
from spikeloom.events import Events

MOST = 1 << 20


def read_cache(path: Path) -> None:
    """Opens a cache and reads all its samples."""
    dataset = read_dataset(CacheFile(path, verify=False), "cache", verified=False)
    for index in range(min(len(dataset), 8)):
        dataset[index]


def read_archive(path: Path) -> None:
    """Unpacks an archive into a folder beside it, which goes again."""
    folder = path.with_suffix(".unpacked")
    folder.mkdir(exist_ok=True)
    try:
        unpack(path, folder, MOST)
    finally:
        shutil.rmtree(folder)


def read_picture(path: Path) -> None:
    """Reads a picture as the only one of a class."""
    folder = path.with_suffix(".pictures")
    (folder / "a").mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder / "a" / "1.png")
    image_folder(folder, size=4, max_pixels=1 << 16)[0]


def read_labels(path: Path) -> None:
    """Reads the labels of a recording of DVS128 Gesture."""
    recording = path.with_name("recording.aedat")
    shutil.copy(path, recording.with_name("recording_labels.csv"))
    labelled_parts(recording)


READERS: dict[str, Callable[[Path], object]] = {
    "cache": read_cache,
    "archive": read_archive,
    "picture": read_picture,
    "gesture-labels": read_labels,
}


def valid(name: str) -> list[bytes]:
    """Valid files for a reader."""
    made = {"cache": _caches, "archive": _archives, "picture": _pictures, "gesture-labels": _labels}
    return made[name]()


def _caches() -> list[bytes]:
    import tempfile

    events = Events.from_arrays([1, 2, 5], [0, 1, 1], [1, 0, 1], [0, 1, 1], (2, 2))
    stepped = Spikes.from_steps([0, 1, 1], [0, 2, 1], 3, 4, 1.0, samples=[0, 0, 1], values=[1, -2, 3])
    timed = Spikes.from_times([0.5, 1.5], [0, 2], 3, 4.0, samples=[0, 1])
    sets = [
        EventDataset([events, events[:1]], [0, 1]),
        *(ArrayDataset(data, [0, 1]) for data in (stepped, timed, np.ones((2, 3)))),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for number, dataset in enumerate(sets):
            cached(dataset, folder, key=str(number))
        return [file.read_bytes() for file in sorted(Path(folder).iterdir())]


def _archives() -> list[bytes]:
    files = {"Train/0/1.bin": b"abc" * 20, "readme": b""}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    found = [packed.getvalue()]
    for mode in ("w", "w:gz", "w:xz"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=mode) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        found.append(packed.getvalue())
    return found


def _pictures() -> list[bytes]:
    from PIL import Image

    found = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        memory = io.BytesIO()
        Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(memory, kind)
        found.append(memory.getvalue())
    return found


def _labels() -> list[bytes]:
    return [b"class,startTime_usec,endTime_usec\n1,1000,2000\n11,2000,5001\n"]

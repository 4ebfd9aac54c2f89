"""The kinds of data in files and folders that `describe` knows, each a few small functions."""

from __future__ import annotations

import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from ..errors import DataError, SpikeloomError
from ..events.files import FORMATS, EventFile
from .audio import read_sound
from .caption_report import TABLE, Limits, source_of, validate_captions
from .client_tables import read_text_table
from .describe import Description, Fault, Kind, Progress, faults, kind_of, quiet
from .idx import read_idx
from .image_folder import SUFFIXES
from .neuron_data import read_neuron_data
from .pictures import decoded
from .shd import SpikeFile
from .spike_hdf5 import opened, read_spike_hdf5
from .text.decoding import decode, read_limited

_HDF5 = b"\x89HDF\r\n\x1a\n"
_NPY = b"\x93NUMPY"
_SOUNDS = {b"RIFF": "WAV", b"RIFX": "WAV", b"RF64": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3",
           b"\xff\xfb": "MP3", b"\xff\xf3": "MP3", b"\xff\xf2": "MP3", b"FORM": "AIFF"}  # fmt: skip
_IMAGES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF",
           b"MM\0*": "TIFF", b"P5\n": "PPM", b"P6\n": "PPM"}  # fmt: skip
_NO_TEXT = {s for name in FORMATS for s in FORMATS[name].suffixes} - set(FORMATS["csv"].suffixes) | {
    *SUFFIXES, ".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".npy", ".pt"
}  # fmt: skip
"""Suffixes of files that are no text."""
_MOST_TEXT = 1 << 28
_PART = 256
"""How many samples of a spike file are read at a time."""


# Spike trains in HDF5


def _is_spikes(path: Path, head: bytes) -> bool:
    if not head.startswith(_HDF5):
        return False
    try:
        with h5py.File(path, "r") as file:
            return "spikes/times" in file and "labels" in file
    except (OSError, RuntimeError, KeyError, ValueError):
        return False


def _spikes(path: Path, progress: Progress) -> Description:
    with opened(path) as trains:
        labels, lengths = trains.labels, trains.times.lengths
    units = last = 0
    first = float("inf")
    for begin in range(0, len(labels), _PART):
        rows = np.arange(begin, min(begin + _PART, len(labels)))
        part = read_spike_hdf5(path, rows, dt=0.01, n_channels=1 << 16)
        if part.n_spikes:
            first, last = min(first, part.times_ms().min()), max(last, part.times_ms().max())
            units = max(units, int(part.ids.max()) + 1)
        progress((begin + len(rows)) / len(labels))
    names = SpikeFile(path).classes
    return Description(
        source=str(path), kind="spikes", format="hdf5", samples=len(labels), events=int(lengths.sum()),
        shape=(units,), start=None if units == 0 else round(first, 2), end=None if units == 0 else round(last, 2),
        bytes=path.stat().st_size, classes=tuple(map(str, names)),
        details={"longest_sample": int(lengths.max(initial=0)), "times_in": "steps of 0.01 ms"},
    )  # fmt: skip


# Arrays


def _unpacked(head: bytes) -> bytes:
    if not head.startswith(b"\x1f\x8b"):
        return head[:4]
    try:
        return zlib.decompressobj(31).decompress(head, 4)
    except zlib.error:
        return b""


def _is_idx(path: Path, head: bytes) -> bool:
    begin = _unpacked(head)
    return len(begin) == 4 and begin[:2] == b"\0\0" and begin[2] in (8, 9, 11, 12, 13, 14) and 1 <= begin[3] <= 8


def _idx(path: Path, progress: Progress) -> Description:
    return _array(path, "idx", read_idx(path))


def read_npy(path: Path) -> np.ndarray[Any, Any]:
    """The array of a .npy file, which is mapped, not read. Raises DataError for damage and for objects."""
    try:
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
    except (ValueError, OSError, EOFError, TypeError, SyntaxError, OverflowError) as error:
        raise DataError(f"{path}: expected a whole .npy file of numbers, got another ({error!s:.200})") from error


def _npy(path: Path, progress: Progress) -> Description:
    return _array(path, "npy", read_npy(path))


def _array(path: Path, form: str, array: np.ndarray[Any, Any]) -> Description:
    numbers = array.dtype.kind in "biuf" and array.size
    details = {"least": array.min(), "greatest": array.max()} if numbers else {}
    return Description(
        source=str(path), kind=form, format=form, samples=len(array) if array.ndim else 1, shape=array.shape,
        bytes=path.stat().st_size, details={"dtype": str(array.dtype), **details},
    )  # fmt: skip


# Neuron data of torch


def _members(path: Path, head: bytes) -> list[str]:
    if not head.startswith(b"PK\x03\x04"):
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _is_neuron_data(path: Path, head: bytes) -> bool:
    return any(name.endswith("data.pkl") for name in _members(path, head))


def _neuron_data(path: Path, progress: Progress) -> Description:
    found = read_neuron_data(path)
    tensors = {name: f"{tuple(tensor.shape)} {tensor.dtype}" for name, tensor in found.tensors.items()}
    return Description(
        source=str(path), kind="neuron_data", format="pt", samples=1, events=int(found.spikes.sum()),
        shape=tuple(found.spikes.shape), bytes=path.stat().st_size, details=tensors,
    )  # fmt: skip


# Captions


def _is_captions(path: Path, head: bytes) -> bool:
    if path.is_dir():
        return (path / TABLE).is_file()
    return any(name.split("/")[-1] == TABLE for name in _members(path, head))


def _captions(path: Path, progress: Progress) -> Description:
    report = validate_captions(path, progress=_seen(progress))
    kinds = Counter(problem.kind for problem in report.problems)
    words = Counter(len(row.caption.split()) for row in report.rows)
    return Description(
        source=str(path), kind="captions", format="folder" if path.is_dir() else "zip", samples=len(report.rows),
        shape=None if not report.rows else (*_first_size(path, report.rows[0].image_path),),
        details={"rows": report.n_rows, "problems": dict(kinds) or "none", "most_words": max(words, default=0)},
    )  # fmt: skip


def _seen(progress: Progress) -> bool:
    """Whether somebody looks at the progress."""
    return progress is not quiet and sys.stderr.isatty()


def _first_size(path: Path, name: str) -> tuple[int, int]:
    with closing(source_of(path, Limits())) as source:
        image = decoded(source.read(name, Limits().max_image_bytes), Limits().max_pixels)
    return image.height, image.width


def _caption_faults(path: Path, progress: Progress) -> Iterator[Fault]:
    for problem in validate_captions(path, progress=_seen(progress)).problems:
        yield Fault(str(path / TABLE), str(problem))


# Sound, images


def _magic(head: bytes, known: dict[bytes, str]) -> str | None:
    return next((name for magic, name in known.items() if head.startswith(magic)), None)


def _is_sound(path: Path, head: bytes) -> bool:
    return _magic(head, _SOUNDS) is not None and (head[:4] != b"RIFF" or head[8:12] == b"WAVE")


def _sound(path: Path, progress: Progress) -> Description:
    with path.open("rb") as file:
        form = _magic(file.read(16), _SOUNDS) or ""
    sound = read_sound(path, channels="all")
    return Description(
        source=str(path), kind="sound", format=form, samples=len(sound), shape=sound.waveform.shape, start=0.0,
        end=sound.duration, bytes=path.stat().st_size,
        details={"rate_hz": sound.rate, "channels": sound.n_channels, "peak": float(np.abs(sound.waveform).max())},
    )  # fmt: skip


def _is_image(path: Path, head: bytes) -> bool:
    return _magic(head, _IMAGES) is not None or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def read_image(path: Path) -> Image.Image:
    """The image of a file. Raises DataError, which names the file, for a damaged one."""
    limits = Limits()
    try:
        return decoded(read_limited(path, limits.max_image_bytes, "image"), limits.max_pixels, verify=True)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _image(path: Path, progress: Progress) -> Description:
    with path.open("rb") as file:
        form = _magic(file.read(16), _IMAGES) or "WEBP"
    image = read_image(path)
    return Description(
        source=str(path), kind="image", format=form, samples=1, shape=(image.height, image.width),
        bytes=path.stat().st_size, details={"mode": image.mode},
    )  # fmt: skip


# Events


def _is_events(path: Path, head: bytes) -> bool:
    return bool(head) and any(FORMATS[name]().recognises(head, path.stat().st_size) for name in FORMATS)


def _events(path: Path, progress: Progress) -> Description:
    with EventFile(path, progress=progress) as file:
        found = file.summary()
    skipped = {"skipped": dict(found.skipped)} if found.skipped else {}
    return Description(
        source=str(path), kind="events", format=found.format, samples=1, events=found.n_events,
        sensor_size=found.sensor_size, start=found.start, end=found.end, bytes=path.stat().st_size,
        details={"header": dict(found.header), **skipped},
    )  # fmt: skip


# Texts


def _is_table(path: Path, head: bytes) -> bool:
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].replace(b'"', b"")
    return [name.strip() for name in first.split(b",")] == [b"text", b"label"]


def _table(path: Path, progress: Progress) -> Description:
    table = read_text_table(path)
    return Description(
        source=str(path), kind="table", format="csv", samples=len(table), bytes=path.stat().st_size,
        classes=tuple(map(str, table.classes)),
        details={"of_each_class": np.bincount(table.labels, minlength=table.n_classes).tolist()},
    )  # fmt: skip


def _is_text(path: Path, head: bytes) -> bool:
    """Whether it can be read as text, and is not called what no text is: then it is damaged."""
    if path.suffix.lower() in _NO_TEXT:
        return False
    try:
        decode(head[: head.rfind(b"\n") + 1] or head, str(path))
    except DataError:
        return False
    return bool(head)


def _text(path: Path, progress: Progress) -> Description:
    text, encoding = decode(read_limited(path, _MOST_TEXT, "text"), str(path))
    return Description(
        source=str(path), kind="text", format=encoding, samples=1, shape=(len(text),), bytes=path.stat().st_size,
        details={"characters": len(text), "lines": len(text.splitlines()), "different": len(set(text))},
    )  # fmt: skip


# Folders


def files_in(path: Path) -> list[Path]:
    """The files in a folder and below, but for hidden ones, sorted."""
    found = (entry for entry in path.rglob("*") if entry.is_file())
    return sorted(entry for entry in found if not any(p.startswith(".") for p in entry.relative_to(path).parts))


def _is_folder(path: Path, head: bytes) -> bool:
    return path.is_dir() and bool(files_in(path))


def _folder(path: Path, progress: Progress) -> Description:
    files, kinds = files_in(path), Counter[str]()
    for done, file in enumerate(files, 1):
        try:
            kinds[kind_of(file)] += 1
        except SpikeloomError:
            kinds["unknown"] += 1
        progress(done / len(files))
    folders = {file.relative_to(path).parts[0] for file in files if len(file.relative_to(path).parts) == 2}
    classes = tuple(sorted(folders)) if all(len(f.relative_to(path).parts) == 2 for f in files) else None
    return Description(
        source=str(path), kind="folder", format="files", samples=len(files),
        bytes=sum(file.stat().st_size for file in files), classes=classes, details={"files": dict(kinds)},
    )  # fmt: skip


def _folder_faults(path: Path, progress: Progress) -> Iterator[Fault]:
    files = files_in(path)
    for done, file in enumerate(files, 1):
        try:
            yield from faults(file)
        except SpikeloomError as error:
            yield Fault(str(file), str(error))
        progress(done / len(files))


CAPTIONS = Kind("images and their captions, a folder or a zip file", "captions.csv",
                _is_captions, _captions, _caption_faults)  # fmt: skip
FOLDER = Kind("files in a folder, and below", "", _is_folder, _folder, _folder_faults)
SPIKES = Kind("labelled spike trains, as SHD and SSC have them", ".h5", _is_spikes, _spikes)
NEURON_DATA = Kind("spikes and membrane potentials as tensors", ".pt", _is_neuron_data, _neuron_data)
IDX = Kind("numbers as MNIST stores them, plain or gzipped", "-ubyte .gz", _is_idx, _idx)
NPY = Kind("an array of NumPy", ".npy", lambda _, head: head.startswith(_NPY), _npy)
SOUND = Kind("a waveform", ".wav .flac .ogg .mp3", _is_sound, _sound)
IMAGE = Kind("a picture", ".png .jpg .gif .bmp .webp .tiff .ppm", _is_image, _image)
TABLE_OF_TEXTS = Kind("texts and their labels: text,label", ".csv", _is_table, _table)
EVENTS = Kind("a recording of an event camera, in any of the formats", ".raw .dat .aedat4 ...", _is_events, _events)
TEXT = Kind("a text, its encoding found out", ".txt .md", _is_text, _text)

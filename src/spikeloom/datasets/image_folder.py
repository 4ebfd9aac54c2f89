"""Pictures in folders of classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, final, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError
from .checks import check_count, positions
from .dataset import Dataset
from .event_sets.folders import class_folders
from .pictures import Mode, TooLarge, as_array, decoded

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


@final
class ImageFolder(Dataset):
    """The pictures that `image_folder` finds, read when asked for."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        size: int | tuple[int, int] | None,
        mode: Mode,
        max_pixels: int,
        classes: Sequence[str] | None,
    ) -> None:
        if mode not in get_args(Mode):
            raise ParameterError(f"image_folder.mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
        self.mode, self.max_pixels = mode, check_count(max_pixels, "image_folder.max_pixels")
        self.name = f"images of {Path(root).name}"
        found = class_folders(Path(root), SUFFIXES, "image_folder", classes)
        self.paths, self.labels, self.classes = found.paths, found.labels, found.classes
        self.size = None if size is None else _sides(size)
        height, width = self.size or self._read(self.paths[0]).shape[-2:]
        self.shape = (height, width) if mode == "L" else (3, height, width)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], int]:
        place = int(positions([index], len(self), self.name)[0])
        picture = self._read(self.paths[place])
        if picture.shape != self.shape:
            raise DataError(
                f"{self.paths[place]}: expected (height, width) {self.shape[-2:]} as of {self.paths[0].name}, got "
                f"{picture.shape[-2:]}; give image_folder(size=(height, width))"
            )
        return picture, int(self.labels[place])

    def select(self, indices: ArrayLike) -> ImageFolder:
        """The pictures at `indices` (or where a mask is true), in that order; none is read."""
        chosen, part = positions(indices, len(self), self.name), copy(self)
        part.paths, part.labels = [self.paths[index] for index in chosen], self.labels[chosen]
        return part

    def files(self) -> Sequence[Path]:
        """The pictures' files."""
        return self.paths

    def key(self) -> str:
        """How the samples are made of the files."""
        return f"images {self.size} {self.mode}"

    def unreadable(self) -> dict[Path, str]:
        """Each file that cannot be read, and why; reads all."""
        found: dict[Path, str] = {}
        for index, path in enumerate(self.paths):
            try:
                self[index]
            except DataError as error:
                found[path] = str(error)
        return found

    def _read(self, path: Path) -> NDArray[np.float32]:
        """A picture (H, W) or (3, H, W) with values in [0, 1]; DataError, which names the file, for what is none."""
        try:
            return as_array(decoded(path, self.max_pixels), self.size, self.mode)
        except TooLarge as error:
            raise DataError(f"{path}: {error}; see image_folder(max_pixels=)") from error
        except DataError as error:
            raise DataError(f"{path}: {error}") from error


def image_folder(
    root: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    mode: Mode = "L",
    *,
    classes: Sequence[str] | None = None,
    max_pixels: int = 1 << 25,
) -> ImageFolder:
    """The pictures in the folders of `root`, a folder for each class: float32 (H, W) or, 'RGB', (3, H, W) in [0, 1].

    `size` is (height, width), or one number for both, to which pictures are scaled (bilinear over all pixels that fall
    into one); None: they must be of the size of the first. Grey pictures of 16 bits keep their depth, what is
    transparent is shown on white, orientation is as the picture tells. `classes` orders the folders, by default by
    name, numbers by value. A picture of more than `max_pixels` is not decoded. Raises DataError, naming the file, for
    what cannot be read; `unreadable()` looks for all such files.
    """
    return ImageFolder(root, size, mode, max_pixels, classes)


def _sides(size: Any) -> tuple[int, int]:
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise ParameterError(f"image_folder.size must be (height, width) or one number, got {size!r}")
    height, width = (check_count(side, "image_folder.size", 1 << 15) for side in sides)
    return height, width

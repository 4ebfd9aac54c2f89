"""Pictures in folders of classes."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, final, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..errors import DataError, ParameterError
from .checks import check_count, positions
from .dataset import Dataset
from .event_sets.folders import class_folders

Mode = Literal["L", "RGB"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_DEEP = ("I", "I;16", "I;16B", "I;16L")
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error,
           MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip


@final
class ImageFolder(Dataset):
    """The pictures that `image_folder` finds, read when asked for."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        size: int | tuple[int, int] | None,
        mode: Mode,
        most_pixels: int,
        classes: Sequence[str] | None,
    ) -> None:
        if mode not in get_args(Mode):
            raise ParameterError(f"image_folder.mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
        self.mode, self.most_pixels = mode, check_count(most_pixels, "image_folder.most_pixels")
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
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path, formats=_FORMATS) as picture:
                    if picture.width * picture.height > self.most_pixels:
                        raise DataError(
                            f"{path}: expected at most {self.most_pixels} pixels, got {picture.width} x "
                            f"{picture.height}; see image_folder(most_pixels=)"
                        )
                    return _as_array(ImageOps.exif_transpose(picture), self.size, self.mode)
        except DataError:
            raise
        except _DAMAGE as error:
            raise DataError(
                f"{path}: expected a picture ({', '.join(_FORMATS)}), got what cannot be read ({error})"
            ) from (error)


def image_folder(
    root: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    mode: Mode = "L",
    *,
    classes: Sequence[str] | None = None,
    most_pixels: int = 1 << 25,
) -> ImageFolder:
    """The pictures in the folders of `root`, a folder for each class: float32 (H, W) or, 'RGB', (3, H, W) in [0, 1].

    `size` is (height, width), or one number for both, to which pictures are scaled (bilinear over all pixels that fall
    into one); None: they must be of the size of the first. Grey pictures of 16 bits keep their depth, transparency is
    left out, orientation is as the picture tells. `classes` orders the folders, by default by name, numbers by value.
    A picture of more than `most_pixels` is not decoded. Raises DataError, naming the file, for what cannot be read;
    `unreadable()` looks for all such files.
    """
    return ImageFolder(root, size, mode, most_pixels, classes)


def _sides(size: Any) -> tuple[int, int]:
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise ParameterError(f"image_folder.size must be (height, width) or one number, got {size!r}")
    height, width = (check_count(side, "image_folder.size", 1 << 15) for side in sides)
    return height, width


def _as_array(picture: Image.Image, size: tuple[int, int] | None, mode: Mode) -> NDArray[np.float32]:
    """The pixels of a picture, scaled to a size (height, width)."""
    deep = picture.mode in _DEEP
    if deep:
        picture = Image.fromarray(np.asarray(picture).astype(np.float32) / np.float32(65535))
    else:
        picture = picture.convert(mode)
    if size is not None and picture.size != size[::-1]:
        picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(picture, np.float32)
    pixels = np.clip(pixels, 0, 1) if deep else pixels / np.float32(255)
    if mode == "L":
        return pixels
    return np.stack([pixels] * 3) if deep else np.ascontiguousarray(pixels.transpose(2, 0, 1))

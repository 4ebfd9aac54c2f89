"""Pictures of unknown origin as arrays: decoded within limits, as they are meant to be seen."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..errors import DataError

Mode = Literal["L", "RGB"]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_DEEP = ("I", "I;16", "I;16B", "I;16L")
# A warning of Pillow is an error where the user's filters say so; all threads share these, so they stay as they are.
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, AttributeError,
    ZeroDivisionError, RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip


class TooLarge(DataError):  # noqa: N818
    """A file or picture beyond a limit."""


def decoded(source: Path | bytes, max_pixels: int, *, verify: bool = False) -> Image.Image:
    """The picture of a file or its bytes, turned as it tells; DataError for what Pillow cannot read whole.

    TooLarge for more than `max_pixels`, which are not decoded. `verify`: its checksums are compared too, where the
    format has any.
    """
    with _damage():
        if verify:
            with _opened(source) as picture:
                picture.verify()
        with _opened(source) as picture:
            if picture.width * picture.height > max_pixels:
                raise TooLarge(f"expected at most {max_pixels} pixels, got {picture.width} x {picture.height}")
            return ImageOps.exif_transpose(picture)


def as_array(picture: Image.Image, size: tuple[int, int] | None, mode: Mode) -> NDArray[np.float32]:
    """The pixels, (H, W) or in colour (3, H, W), in [0, 1], scaled to `size` (height, width) where it is given.

    Grey pictures of 16 bits keep their depth; what is transparent is shown on white.
    """
    with _damage():
        deep = picture.mode in _DEEP
        if deep:
            picture = Image.fromarray(np.asarray(picture).astype(np.float32) / np.float32(65535))
        elif picture.has_transparency_data:
            layer = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        if not deep:
            picture = picture.convert(mode)
        if size is not None and picture.size != size[::-1]:
            picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(picture, np.float32)
    pixels = np.clip(pixels, 0, 1) if deep else pixels / np.float32(255)
    if mode == "L":
        return pixels
    return np.stack([pixels] * 3) if deep else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _opened(source: Path | bytes) -> Image.Image:
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except _DAMAGE as error:
        known = ", ".join(FORMATS)
        raise DataError(f"expected a picture ({known}), got what cannot be read: {error!s:.200}") from error

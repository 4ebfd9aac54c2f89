"""Images and their captions: `captions.csv` beside `images/`, in a folder or a zip file of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError
from .caption_report import CaptionReport, Limits, Source, source_of, validate_captions
from .checks import check_count, check_flag, positions
from .dataset import Dataset
from .pictures import Mode, as_array, decoded

__all__ = ["CaptionDataset", "CaptionReport", "Limits", "captions", "validate_captions"]

_CHANNELS = {"L": 1, "RGB": 3}
_SHOWN = 5


@final
class CaptionDataset(Dataset):
    """Images with captions: sample i is (float32 (channels, height, width) in [0, 1], caption).

    `batch` gives (B, channels, height, width) and a list of B captions. `captions` are those of all samples, in order;
    `labels` number the distinct ones, which are `classes`. `report` names the rows that were left out. Images are read
    and decoded when they are asked for.
    """

    def __init__(self, report: CaptionReport, size: tuple[int, int], mode: Mode, limits: Limits) -> None:
        self.report, self.size, self.mode, self.limits = report, size, mode, limits
        self.name = "captions"
        self.captions = tuple(row.caption for row in report.rows)
        self.classes = sorted(set(self.captions))
        place = {caption: number for number, caption in enumerate(self.classes)}
        self.labels = np.array([place[caption] for caption in self.captions], np.int64)
        self.shape = (_CHANNELS[mode], *size)
        self._source: tuple[int, Source] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return CaptionDataset, (self.report, self.size, self.mode, self.limits)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Any]:
        images, texts = self.batch([index])
        return images[0], texts[0]

    def batch(self, indices: ArrayLike) -> tuple[NDArray[np.float32], Any]:
        """The images at `indices` (B, channels, height, width) and their captions, a list."""
        chosen = positions(indices, len(self), self.name)
        images = np.empty((len(chosen), *self.shape), np.float32)
        for image, index in zip(images, chosen, strict=True):
            image[:] = self._image(self._opened(), self.report.rows[index].image_path).reshape(self.shape)
        return images, [self.captions[index] for index in chosen]

    def _opened(self) -> Source:
        """The folder or zip file, which stays open; a process that was forked opens its own."""
        process = os.getpid()
        if self._source is None or self._source[0] != process:
            self._source = process, source_of(self.report.root, self.limits)
        return self._source[1]

    def _image(self, source: Source, path: str) -> NDArray[np.float32]:
        if (fault := source.fault(path)) is not None:
            raise DataError(f"{self.report.root}: {fault[1]}; it was there when the set was read")
        content = source.read(path, self.limits.max_image_bytes)
        try:
            return as_array(decoded(content, self.limits.max_pixels), self.size, self.mode)
        except DataError as error:
            raise DataError(f"{self.report.root}: {path!r}: {error}") from error

    def select(self, indices: ArrayLike) -> CaptionDataset:
        """The samples at `indices`, in that order."""
        rows = tuple(self.report.rows[index] for index in positions(indices, len(self), self.name))
        report = CaptionReport(self.report.root, self.report.n_rows, rows, self.report.problems)
        return CaptionDataset(report, self.size, self.mode, self.limits)


def captions(
    root: str | os.PathLike[str],
    *,
    size: int | Sequence[int] = 64,
    mode: Mode = "RGB",
    problems: str = "error",
    limits: Limits | None = None,
    progress: bool = False,
) -> CaptionDataset:
    """The images and captions of a folder, or zip file, with `captions.csv` (image_path,caption).

    Images are scaled to `size`, one number or (height, width), and converted to `mode`, "RGB" or "L" (grey), as in
    `image_folder`. The set is validated first: a problem is a DataError that names the first rows, or, with
    problems="skip", these rows are left out; a table that cannot be read to its end is an error in any case.
    `validate_captions` gives the whole report.
    """
    if mode not in _CHANNELS:
        raise ParameterError(f"captions.mode must be 'RGB' or 'L', got {mode!r}")
    if problems not in ("error", "skip"):
        raise ParameterError(f"captions.problems must be 'error' or 'skip', got {problems!r}")
    sides = (size, size) if isinstance(size, (int, np.integer)) else tuple(size)
    if len(sides) != 2:
        raise ParameterError(f"captions.size must be a number or (height, width), got {size!r}")
    height, width = (check_count(side, "captions.size", 1 << 14) for side in sides)
    report = validate_captions(root, limits=limits, progress=check_flag(progress, "captions.progress"))
    told = [problem for problem in report.problems if problems == "error" or problem.kind == "table"]
    if told:
        first = "; ".join(map(str, told[:_SHOWN]))
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise DataError(f"{report.root}: {first}{more}; validate_captions names all, problems='skip' leaves them out")
    if not report.rows:
        raise DataError(f"{report.root}: expected at least one usable row, got none of {report.n_rows}")
    return CaptionDataset(report, (height, width), mode, limits or Limits())

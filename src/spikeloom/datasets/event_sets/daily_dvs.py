"""DailyDVS-200: daily actions of 47 persons before a DVXplorer Lite."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np

from ...errors import DataError, ParameterError
from ..event_dataset import EventDataset, EventFiles, Transform

Split = Literal["train", "val", "test"]

N_CLASSES = 200
SENSOR = (320, 240)
PAGE = "https://github.com/QiWang233/DailyDVS-200"
_NAME = re.compile(r"C(\d{1,4})P(\d{1,4})M(\d{1,4})S(\d{1,4})(?:_.*)?")
_MOST_TEXT = 1 << 26


def DailyDVS200(  # noqa: N802
    root: str | os.PathLike[str],
    split: Split = "train",
    *,
    transform: Transform | Sequence[Transform] | None = None,
    generator: np.random.Generator | None = None,
) -> EventDataset:
    """Recordings of 320 x 240 pixels of 200 actions, in the published split by persons; 22,046 in all.

    `root` holds train.txt, val.txt and test.txt, each line a path below `root` and the number of the action, and the
    files (.aedat4, or converted: the format is told by the content). Names are
    C<action>P<person>M<move>S<scene>_<time>; one that tells another action than its line is an error.
    `recordings.paths` gives them to `persons`. The files are given to persons only, without checksums: see PAGE.
    Source: Q. Wang et al., ECCV 2024, arXiv 2407.05106.
    """
    if split not in get_args(Split):
        raise ParameterError(f"DailyDVS200.split must be one of {', '.join(get_args(Split))}, got {split!r}")
    listed = Path(root) / f"{split}.txt"
    if not listed.is_file() or listed.stat().st_size > _MOST_TEXT:
        raise DataError(f"DailyDVS200.root {str(root)!r} lacks {split}.txt; get the data by hand from {PAGE}")
    lines = listed.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    found = [_entry(listed, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    recordings = EventFiles([path for path, _ in found], sensor_size=SENSOR)
    return EventDataset(recordings, [label for _, label in found], name="DailyDVS200", classes=range(N_CLASSES),
                        transform=transform, generator=generator)  # fmt: skip


def persons(paths: Iterable[str | os.PathLike[str]]) -> set[int]:
    """The numbers of the persons that the names of files tell; the published lists share some between their parts."""
    found: Any = [_NAME.fullmatch(Path(path).stem) for path in paths]
    return {int(match[2]) for match in found if match is not None}


def _entry(listed: Path, number: int, line: str) -> tuple[Path, int]:
    """The file and the class of a line."""
    name, _, action = line.strip().rpartition(" ")
    path = PurePosixPath(name.strip())
    label = int(action) if action.isdecimal() and len(action) < 5 else N_CLASSES
    if label >= N_CLASSES or path.is_absolute() or ".." in path.parts or not path.name:
        raise DataError(
            f"{listed}, line {number}: expected a path below its folder and an action from 0 to {N_CLASSES - 1}, "
            f"got {line!r:.200}"
        )
    told = _NAME.fullmatch(path.stem)
    if told is not None and int(told[1]) != label:
        raise DataError(f"{listed}, line {number}: expected action {told[1]}, as the name tells, got {label}")
    if not (listed.parent / path).is_file():
        raise DataError(f"{listed}, line {number}: expected the file {path} below its folder, got none")
    return listed.parent / path, label

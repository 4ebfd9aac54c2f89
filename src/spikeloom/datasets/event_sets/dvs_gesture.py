"""DVS128 Gesture: hand and arm gestures of 29 persons before a DVS128."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import DataError
from ..checks import check_flag
from ..download import Archive, provide
from ..event_dataset import EventDataset, EventFiles, Transform

CLASSES = (
    "hand_clapping", "right_hand_wave", "left_hand_wave", "right_arm_clockwise", "right_arm_counter_clockwise",
    "left_arm_clockwise", "left_arm_counter_clockwise", "arm_roll", "air_drums", "air_guitar", "other_gestures",
)  # fmt: skip
SENSOR = (128, 128)
_COLUMNS = ["class", "startTime_usec", "endTime_usec"]
_MOST_TEXT = 1 << 20
_LATEST = 1 << 53
_ARCHIVE = Archive(
    name="DvsGesture.tar.gz",
    url="https://research.ibm.com/interactive/dvsgesture/",
    checksum="md5:8a5c71fb11e24e5ca5b11866ca6c00a1",
    most=1 << 33,
    most_unpacked=1 << 35,
    by_hand=True,
)


class Gesture(NamedTuple):
    """A part of a recording: its file, its class, and its start and end in ms."""

    path: Path
    label: int
    start: float
    end: float


def DVS128Gesture(  # noqa: N802
    root: str | os.PathLike[str],
    is_train: bool = True,
    *,
    transform: Transform | Sequence[Transform] | None = None,
    generator: np.random.Generator | None = None,
    download: bool = False,
    progress: bool = False,
) -> EventDataset:
    """Recordings of 128 x 128 pixels and some seconds in 11 classes, one for each line of the published labels.

    `root`, or its folder DvsGesture, holds trials_to_train.txt and trials_to_test.txt, which name .aedat files (AEDAT
    3.1), and beside each such file NAME_labels.csv with class (from 1), startTime_usec and endTime_usec. A recording
    has the events from its start and before its end, in times from its start on. The archive is given to persons only:
    put it into `root`; download=True then checks its MD5 and unpacks it. Source: A. Amir et al., CVPR 2017, 7388.
    """
    trials = "trials_to_train.txt" if check_flag(is_train, "DVS128Gesture.is_train") else "trials_to_test.txt"
    root = provide(root, lambda place: _folder(place, trials) is not None, [_ARCHIVE], owner="DVS128Gesture",
                   expected=trials, download=download,
                   progress=progress)  # fmt: skip
    folder = _folder(root, trials) or root
    found = [gesture for name in _names(folder / trials) for gesture in labelled_parts(folder / name)]
    recordings = EventFiles([g.path for g in found], format="aedat3", sensor_size=SENSOR,
                            windows=[(g.start, g.end) for g in found])  # fmt: skip
    return EventDataset(recordings, [g.label for g in found], name="DVS128Gesture", classes=CLASSES,
                        transform=transform, generator=generator)  # fmt: skip


def _folder(root: Path, trials: str) -> Path | None:
    return next((place for place in (root, root / "DvsGesture") if (place / trials).is_file()), None)


def _names(file: Path) -> list[str]:
    """The names of the recordings that a list holds."""
    names = [line.strip() for line in _text(file).splitlines() if line.strip()]
    for name in names:
        if Path(name).name != name or not name.endswith(".aedat"):
            raise DataError(f"{file}: expected names of .aedat files in its folder, got {name!r:.100}")
        if not (file.parent / name).is_file():
            raise DataError(f"{file}: expected the file {name} in its folder, got none")
    return names


def labelled_parts(path: Path) -> list[Gesture]:
    """The parts of a recording that its labels tell."""
    file = path.with_name(f"{path.stem}_labels.csv")
    rows = list(csv.reader(_text(file).splitlines()))
    if not rows or [cell.strip() for cell in rows[0]] != _COLUMNS:
        raise DataError(
            f"{file}, line 1: expected {','.join(_COLUMNS)}, got {','.join(rows[0]) if rows else ''!r:.100}"
        )
    return [_gesture(path, file, number, row) for number, row in enumerate(rows[1:], 2) if row]


def _gesture(path: Path, file: Path, number: int, row: list[str]) -> Gesture:
    cells = [cell.strip() for cell in row]
    whole = len(cells) == 3 and all(cell.isdecimal() and len(cell) < 17 for cell in cells)
    label, start, end = map(int, cells) if whole else (0, 0, 0)
    if not 1 <= label <= len(CLASSES) or not start < end < _LATEST:
        raise DataError(
            f"{file}, line {number}: expected a class from 1 to {len(CLASSES)}, a start and a later end in us, "
            f"got {','.join(row)!r:.100}"
        )
    return Gesture(path, label - 1, start / 1000, end / 1000)


def _text(file: Path) -> str:
    """The text of a small file."""
    if not file.is_file() or file.stat().st_size > _MOST_TEXT:
        raise DataError(f"DVS128Gesture: expected {file}, a text of at most {_MOST_TEXT} bytes")
    return file.read_text(encoding="utf-8-sig", errors="replace")

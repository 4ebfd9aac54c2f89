"""Event files in folders of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import DataError
from ..dataset import Labels


class Files(NamedTuple):
    """Files with the number of the class of each, and the names of the classes."""

    paths: list[Path]
    labels: Labels
    classes: Sequence[str]


def class_folders(folder: Path, suffixes: tuple[str, ...], owner: str, classes: Sequence[str] | None = None) -> Files:
    """The files with one of the suffixes in the folders of a folder, one folder a class, both in natural order.

    Classes are numbered in the order given, else in that of the folders. Raises DataError for a class without a folder,
    a folder without files, and for no class at all.
    """
    there = sorted((entry for entry in _entries(folder, owner) if entry.is_dir()), key=natural)
    names = [entry.name for entry in there] if classes is None else list(classes)
    paths: list[Path] = []
    counts: list[int] = []
    for name in names:
        files = [file for file in _entries(folder / name, owner) if file.name.lower().endswith(suffixes)]
        if not files:
            raise DataError(f"{owner}: expected files {' or '.join(suffixes)} in {folder / name}, got none")
        paths += sorted(files, key=natural)
        counts.append(len(files))
    if not paths:
        raise DataError(f"{owner}: expected folders of classes in {folder}, got none")
    return Files(paths, np.repeat(np.arange(len(names)), counts), names)


def natural(path: Path) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names by their value: cat_9 stands before cat_10."""
    parts = re.split(r"(\d{1,18})", path.name)
    return [(1, int(part), "") if k % 2 else (0, 0, part) for k, part in enumerate(parts)]


def _entries(folder: Path, owner: str) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{owner}: expected the folder {folder}, got none")
    return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]

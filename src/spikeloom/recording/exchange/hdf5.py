"""HDF5 files of others, opened and looked into: nothing in them is trusted, and no link is followed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import h5py

from ...errors import DataError, StorageError
from ..reading import damage_named, name_of


def opened(path: Path) -> BinaryIO:
    """A file for reading; StorageError where that is not possible."""
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def opened_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading, without locks; DataError where it is none."""
    with opened(path) as handle:
        try:
            file = h5py.File(handle, "r")
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(
                f"{path} cannot be read as HDF5: it is damaged, was cut off, or is another format"
            ) from error
        with file:
            yield file


@damage_named()
def own_names(group: h5py.Group) -> list[str]:
    """The names of what lies in a group itself, links to elsewhere left out."""
    return [name for name in group if isinstance(group.get(name, getlink=True), h5py.HardLink)]


@damage_named()
def own_group(group: h5py.Group, *names: str) -> h5py.Group:
    """The group of these names below a group; DataError where there is none."""
    for name in names:
        if name not in own_names(group) or not isinstance(group[name], h5py.Group):
            raise DataError(f"{name_of(group)} must have a group {name!r}")
        group = group[name]
    return group

"""NIR files: an HDF5 file with the graph under `node`, read with bounds and without the package `nir`.

What a file may hold is what `nir.write` writes: groups, numbers and texts. Links to other places, data sets that stand
for more than they hold, and more than the bounds below are errors; nothing in a file is run.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DataError, StorageError
from ..storage import write_atomically

VERSION = "1.0"
MAX_VALUES = 10**8
"""How many numbers a file may hold."""
MAX_ITEMS = 100_000
"""How many groups and data sets a file may hold."""
_DEPTH, _TEXT, _TEXTS = 12, 1000, 20_000
_DEFLATE = 1100
"""More than the largest factor by which HDF5's compression shrinks data."""


def read_file(path: Path) -> dict[str, Any]:
    """The graph in a NIR file as nested mappings of arrays, numbers and texts.

    Raises StorageError for a file that is not there, DataError for one that is torn, hostile or no NIR file.
    """
    if not path.is_file():
        raise StorageError(f"there is no file {path}")
    try:
        with h5py.File(path, "r") as file:
            found = _Reading().group(file, "")
    except (OSError, RuntimeError, KeyError, ValueError, UnicodeDecodeError) as error:
        raise error if isinstance(error, DataError) else DataError(f"{path} cannot be read: {error}") from error
    graph = found.get("node")
    if not isinstance(graph, dict):
        raise DataError(f"{path} is no NIR file: it must hold the graph under 'node'")
    return graph


class _Reading:
    """One reading of a file, which counts what it has read."""

    def __init__(self) -> None:
        self.items = self.values = self.texts = 0

    def group(self, group: Any, where: str, depth: int = 0) -> dict[str, Any]:
        if depth > _DEPTH:
            raise DataError(f"{where}: groups lie at most {_DEPTH} deep")
        found: dict[str, Any] = {}
        for key in group:
            place = f"{where}/{key}"
            self.items += 1
            if self.items > MAX_ITEMS:
                raise DataError(f"{place}: a file holds at most {MAX_ITEMS} groups and data sets")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise DataError(f"{place} links to another place, which is not followed")
            item = group[key]
            found[key] = self.group(item, place, depth + 1) if isinstance(item, h5py.Group) else self.data(item, place)
        return found

    def data(self, item: Any, where: str) -> Any:
        if not isinstance(item, h5py.Dataset) or item.shape is None or item.external or item.is_virtual:
            raise DataError(f"{where} must be a data set of numbers or texts that lie in the file")
        if h5py.check_string_dtype(item.dtype) is not None or item.dtype.kind == "S":
            return self.text(item, where)
        if item.dtype.kind not in "biuf":
            raise DataError(f"{where} must hold real numbers or texts, got {item.dtype}")
        self.values += item.size
        if self.values > MAX_VALUES:
            raise DataError(f"{where} of shape {item.shape}: a file holds at most {MAX_VALUES} numbers")
        if item.nbytes > _DEFLATE * max(1, item.id.get_storage_size()):
            raise DataError(f"{where} of shape {item.shape} stands for more numbers than the file holds")
        return item[()]

    def text(self, item: Any, where: str) -> Any:
        self.texts += item.size
        if self.texts > _TEXTS or item.dtype.itemsize > _TEXT:
            raise DataError(f"{where}: a file holds at most {_TEXTS} texts of {_TEXT} letters")
        if item.shape == ():
            return _decoded(item[()], where)
        rows = (np.ravel(item[k]) for k in range(len(item)))  # one at a time: many may stand for one long text
        return np.array([_decoded(text, where) for row in rows for text in row], dtype=object).reshape(item.shape)


def _decoded(text: Any, where: str) -> str:
    if not isinstance(text, bytes) or len(text) > _TEXT:
        raise DataError(f"{where} must hold texts of at most {_TEXT} letters")
    return text.decode()


def write_file(path: Path, graph: Mapping[str, Any]) -> None:
    """Writes a graph, nested mappings of arrays, numbers and texts, as a NIR file; equal graphs give equal bytes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _write(file, {"version": VERSION, "node": graph})
    write_atomically(path, buffer.getvalue())


def _write(group: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping):
            _write(group.create_group(key, track_order=True), value)
        elif isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind == "O"):
            group.create_dataset(key, data=value, dtype=h5py.string_dtype())
        else:
            array = isinstance(value, np.ndarray) and value.ndim > 0
            group.create_dataset(key, data=value, **({"compression": "gzip"} if array else {}))

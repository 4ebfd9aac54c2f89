"""The files of a session's nodes, opened when they are first asked for, and again when they have grown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import h5py

from ..errors import DataError, UnknownNameError
from ..registry import did_you_mean
from .layout import node_file, node_names
from .reading import DAMAGE, Stored, batch_names, opened, subgroup

R = TypeVar("R")


class NodeFiles:
    """Opens the files of nodes without locks, so that a recorder may still be writing them."""

    def __init__(self, session: Path) -> None:
        self._session = session
        self._files: dict[str, h5py.File] = {}
        self._descriptors: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._groups: dict[tuple[str, ...], h5py.Group] = {}
        self._batches: dict[tuple[str, ...], list[str]] = {}
        self._open = ExitStack()

    def close(self) -> None:
        """Closes all files."""
        self._open.close()
        self._files.clear()
        self._groups.clear()
        self._batches.clear()

    def read(self, node: str, read: Callable[[], R]) -> R:
        """What is read of a node's file; read once more where that failed and the file has grown since it was opened.

        A writer may have made a group point beyond the end that the file had then.
        """
        try:
            return read()
        except DataError:
            if not self._has_grown(node):
                raise
            self._files.pop(node, None)
            self._groups = {path: group for path, group in self._groups.items() if path[0] != node}
            self._batches = {path: names for path, names in self._batches.items() if path[0] != node}
            return read()

    def file(self, node: str) -> h5py.File:
        """The file of a node; UnknownNameError where there is none, DataError where it is none of HDF5."""
        if node not in self._files:
            known = node_names(self._session)
            if node not in known:
                raise UnknownNameError(
                    f"unknown node {node!r}{did_you_mean(str(node), known)} Recorded: {listed(known)}"
                )
            path = node_file(self._session, node)
            self._sizes[node] = path.stat().st_size
            try:
                self._files[node], self._descriptors[node] = self._open.enter_context(opened(path))
            except DAMAGE as error:
                raise DataError(
                    f"{path} cannot be read as HDF5: it is damaged or was cut off; copy it anew, or have "
                    "`spikeloom session repair` save what is left"
                ) from error
        return self._files[node]

    def group(self, node: str, kind: str, *names: str) -> h5py.Group | None:
        """The group /<kind>/<node>/<names> of a node's file, or None."""
        key = (node, kind, *names)
        if key not in self._groups:
            group = subgroup(self.file(node), kind, node, *names)
            if group is None:
                return None
            self._groups[key] = group
        return self._groups[key]

    def batches(self, node: str, kind: str, *names: str) -> list[str]:
        """The names of the batches in a group, in the order of model time, as they first were when asked for."""
        path = (node, kind, *names)
        if path not in self._batches:
            group = self.group(*path)
            self._batches[path] = [] if group is None else batch_names(group)
        return self._batches[path]

    def stored(self, name: str, node: str, kind: str, *names: str) -> Stored:
        """The data set of a name that is known to be in a group of a node's file."""
        group = self.group(node, kind, *names)
        if group is None:
            raise DataError(f"{node}/{'/'.join(names)}: {kind} have gone while they were read")
        return Stored(group, name, self._descriptors[node])

    def _has_grown(self, node: str) -> bool:
        path = node_file(self._session, node)
        return node in self._sizes and path.exists() and path.stat().st_size != self._sizes[node]


def listed(names: Sequence[str]) -> str:
    """Names in a message."""
    return ", ".join(names) or "none"

"""Files for parsers of other packages, which ask for as many bytes as a hostile length tells."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any


class BoundedFile(io.BufferedReader):
    """A file open for reading; no read makes room for more than is left of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


class BoundedPath(type(Path())):  # type: ignore[misc]
    """A path whose file is opened so."""

    def open(self, *_: Any, **__: Any) -> BoundedFile:
        """The file, for reading."""
        return BoundedFile(Path(self))

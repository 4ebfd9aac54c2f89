"""Files that are there wholly or not at all: written beside, then moved into place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from .errors import StorageError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Writes a file; what was there before stays until the new content is safe on the disk.

    Raises StorageError when it cannot be written (a full disk, a folder that is not there), with the old file intact.
    """
    with atomic_file(path) as file:
        file.write(content)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """An empty file to be written (and read again) within the block, which becomes the one of that path at its end.

    Whatever the block raises, what was there before stays; StorageError when it cannot be written.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except StorageError:
        raise
    except OSError as error:
        kept = "; the earlier file is intact" if path.exists() else ""
        raise StorageError(f"cannot write {path}: {error.strerror or error}{kept}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)

"""Files that are there wholly or not at all: written beside, then moved into place."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from .errors import StorageError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Writes a file; what was there before stays until the new content is safe on the disk.

    Raises StorageError when it cannot be written (a full disk, a folder that is not there), with the old file intact.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        kept = "; the earlier file is intact" if path.exists() else ""
        raise StorageError(f"cannot write {path}: {error.strerror or error}{kept}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)

"""Where the session of a recorder lies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

from ..errors import StorageError
from .config import RecorderConfig


def session_folder(config: RecorderConfig) -> Path:
    """The folder of the session that is named, or a new one, which no other process has been given."""
    folder = Path(config.output_dir).absolute()
    path = folder / (config.session_name or "")
    try:
        path.mkdir(parents=True, exist_ok=True)
        return path if config.session_name else next(folder / name for name in _stamps() if _is_made(folder / name))
    except OSError as error:
        raise StorageError(f"RecorderConfig.output_dir: cannot make {path}: {error.strerror}") from error


def _is_made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _stamps() -> Iterator[str]:
    stamp = f"sim_{datetime.now():%Y%m%d_%H%M%S}"
    yield stamp
    for n in count(2):
        yield f"{stamp}_{n}"

"""Figures as files that are the same, byte for byte, whenever the same figure is written."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ...errors import ParameterError, StorageError
from ...storage import atomic_file

_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_lock = Lock()


def save(figure: Figure, path: str | Path, dpi: float = 150) -> Path:
    """The path, after the figure has been written there as .png, .svg or .pdf; folders are made.

    In SVG words are text, and marks by the ten thousand are one image of `dpi`. Raises ParameterError for another
    ending, StorageError when the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix[1:].lower()
    if kind not in _METADATA:
        known = ", ".join(f".{name}" for name in _METADATA)
        raise ParameterError(f"save.path must end in one of {known}, got {str(path)!r}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    # Words stay words in SVG, and its ids the same. matplotlib takes both from its global settings alone; they are put
    # back at once.
    settings = matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "spikeloom"})
    with atomic_file(path) as file, _lock, settings:
        figure.savefig(file, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return path

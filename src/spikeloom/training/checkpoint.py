"""All that a training needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError, StorageError
from ..storage import write_atomically

_BROKEN = (RuntimeError, EOFError, ValueError, LookupError, struct.error, pickle.UnpicklingError, zipfile.BadZipFile)
FORMAT = "spikeloom.checkpoint"
VERSION = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a state of tensors, numbers, texts, lists and dictionaries; the earlier file stays until it is done."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "version": VERSION, **state}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a file; nothing in it is run. DataError where it is torn, StorageError where it is not there."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the check sums
        if damaged is not None:
            raise DataError(f"{damaged} is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise StorageError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    except _BROKEN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} is not a whole checkpoint: {reason}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise DataError(f"{path} is not a checkpoint of a training")
    if state.get("version") != VERSION:
        raise DataError(f"{path} is a checkpoint of version {state.get('version')!r}, this release reads {VERSION}")
    return state

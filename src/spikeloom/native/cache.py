"""The folder of libraries that were compiled on this machine: whom it belongs to, what is whole, what is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import platformdirs

from ..errors import CompilerError

SETTING = "SPIKELOOM_CACHE"
LIMIT = 256 * 2**20
"""Bytes of libraries that are kept; those go first that were not used for the longest time."""

WORKING = "compiling-"
"""How the names of folders begin in which a compiler is at work."""

_ABANDONED = 3600.0
_SEAL = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Where libraries are kept that were compiled here: SPIKELOOM_CACHE, or the user's cache folder."""
    return Path(os.environ.get(SETTING) or platformdirs.user_cache_dir("spikeloom")).absolute() / "kernels"


def own(folder: Path) -> None:
    """Makes a folder that only this user can write to, where there is none; CompilerError as of `check`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check(folder)


def check(folder: Path) -> None:
    """Raises CompilerError where another user may have put libraries into a folder: loading one runs its code."""
    if not hasattr(os, "geteuid"):
        return
    state = folder.stat()
    if state.st_uid not in (0, os.geteuid()):
        raise CompilerError(
            f"kernels in {folder} are not trusted: the folder belongs to user {state.st_uid}, "
            f"you are user {os.geteuid()}; name a folder of your own by {SETTING}"
        )
    if state.st_mode & 0o022:
        raise CompilerError(
            f"kernels in {folder} are not trusted: others can write to it (mode {state.st_mode & 0o777:o}); "
            f"run chmod go-w on it, or name another folder by {SETTING}"
        )


def seal(library: Path) -> None:
    """Appends the digest of a library to it, which loaders pass over."""
    content = library.read_bytes()
    library.write_bytes(content + hashlib.sha256(content).digest())


def is_whole(library: Path) -> bool:
    """Whether a file was sealed and is as it was then; loading half a library would end the process."""
    content = library.read_bytes()
    return hashlib.sha256(content[:-_SEAL]).digest() == content[-_SEAL:]


def touch(library: Path) -> None:
    """Notes that a library is in use, where the folder can be written."""
    with suppress(OSError):
        os.utime(library)


def prune(folder: Path, limit: int = LIMIT) -> None:
    """Removes the libraries not used for longest beyond a limit in bytes, and what stopped compilers left."""
    used = []
    for path in folder.iterdir():
        with suppress(OSError):
            state = path.stat()
            if path.suffix == ".so":
                used.append((state.st_mtime, state.st_size, path))
            elif path.name.startswith(WORKING) and state.st_mtime < time.time() - _ABANDONED:
                shutil.rmtree(path)
    size = 0
    for _, of_it, path in sorted(used, reverse=True):
        size += of_it
        if size > limit:
            with suppress(OSError):
                path.unlink()

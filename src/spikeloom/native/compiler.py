"""Finds a compiled library by the hash of what it is made of: built with the package, in the cache, or compiled now.

The key of a library holds its source, all headers, the flags and the level: what is found fits what is asked for, and
an edited header makes a new library. A file appears in the cache whole or not at all.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import platformdirs

from ..errors import CompilerError
from .levels import FLAGS

HEADERS = Path(__file__).parent / "include"
BUILT = Path(__file__).parent / "built"
CACHE_SETTING, COMPILER_SETTING = "SPIKELOOM_CACHE", "CXX"
COMMON = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-fvisibility=hidden",
          "-Wall", "-Wno-psabi", "-Wno-unknown-pragmas")  # fmt: skip
TIMEOUT = 300.0

_log = logging.getLogger(__name__)


@cache
def _headers() -> bytes:
    return b"".join(path.name.encode() + path.read_bytes() for path in sorted(HEADERS.rglob("*.hpp")))


def key(source: str, level: str, extra: Sequence[str] = ()) -> str:
    """The name of a library by what it is made of."""
    flags = " ".join((*COMMON, *FLAGS[level], *extra))
    return hashlib.sha256("\0".join((source, level, flags)).encode() + _headers()).hexdigest()[:24]


def cache_folder() -> Path:
    """Where libraries are kept that were compiled here: SPIKELOOM_CACHE, or the user's cache folder."""
    return Path(os.environ.get(CACHE_SETTING) or platformdirs.user_cache_dir("spikeloom")) / "kernels"


def compiler() -> str | None:
    """The C++ compiler: the one that CXX names, else g++, clang++ or c++; None where there is none."""
    named = os.environ.get(COMPILER_SETTING)
    return shutil.which(named) if named is not None else next(filter(None, map(shutil.which, _COMPILERS)), None)


_COMPILERS = ("g++", "clang++", "c++")


def find(source: str, level: str) -> Path:
    """The library of a source for a level, compiled where it is found nowhere.

    Raises CompilerError where it has to be compiled and there is no compiler, or the compiler refuses.
    """
    name = key(source, level) + ".so"
    for folder in (BUILT, cache_folder()):
        if (path := folder / name).is_file():
            return path
    path = cache_folder() / name
    compile_to(path, source, level)
    return path


def compile_to(path: Path, source: str, level: str, extra: Sequence[str] = ()) -> None:
    """Compiles a source for a level to a shared library; CompilerError where that fails."""
    program = compiler()
    if program is None:
        raise CompilerError("no C++ compiler found; install g++ (or name one by the environment variable CXX)")
    _log.info("compiling a kernel for %s to %s", level, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            text, library = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
            text.write_text(source)
            command = [program, *COMMON, *FLAGS[level], *extra, f"-I{HEADERS}", "-o", str(library), str(text)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
            if done.returncode:
                raise CompilerError(f"{program} refused a kernel:\n{done.stderr[:4000]}")
            library.replace(path)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilerError(f"a kernel could not be compiled to {path}: {error}") from error

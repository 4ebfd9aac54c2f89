"""Finds a compiled library by the hash of what it is made of: built with the package, in the cache, or compiled now.

The key of a library holds its source, the headers that go into it, the flags and the level: what is found fits what is
asked for, and an edited header makes new libraries of the sources that include it. A file appears in the cache whole or
not at all.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import CompilerError
from . import cache
from .cache import cache_folder
from .levels import FLAGS

__all__ = ["BUILT", "HEADERS", "cache_folder", "compile_to", "compiler", "compiler_version", "find", "key", "renew"]

HEADERS = Path(__file__).parent / "include"
BUILT = Path(__file__).parent / "built"
COMPILER_SETTING, FLAGS_SETTING = "CXX", "SPIKELOOM_CXXFLAGS"
COMMON = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-fvisibility=hidden",
          "-Wall", "-Wno-psabi", "-Wno-unknown-pragmas")  # fmt: skip
TIMEOUT = 300.0
"""How long the compiler may take for a library, in seconds."""

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)
_COMPILERS = ("g++", "clang++", "c++")
_log = logging.getLogger(__name__)


def key(source: str, level: str, extra: Sequence[str] = ()) -> str:
    """The name of a library by what it is made of."""
    machine = f"{sys.platform} {platform.machine()}"
    flags = " ".join((*COMMON, *FLAGS[level], *extra))
    return hashlib.sha256("\0".join((source, flags, machine)).encode() + _headers(source)).hexdigest()[:24]


def _headers(source: str) -> bytes:
    """A digest of the package's headers that a source includes, itself or through others."""
    found: dict[str, bytes] = {}
    waiting = _included(HEADERS, source)
    while waiting:
        path = waiting.pop()
        if (name := Path(os.path.relpath(path, HEADERS)).as_posix()) not in found:
            found[name] = path.read_bytes()
            waiting += _included(path.parent, found[name].decode(errors="replace"))
    digest = hashlib.sha256()
    for name, content in sorted(found.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.digest()


def _included(folder: Path, text: str) -> list[Path]:
    """The files that a text in a folder includes, looked for there and among the headers; the system's are left out."""
    places = [(folder / quoted, HEADERS / (quoted or other)) for quoted, other in _INCLUDE.findall(text)]
    return [path for either in places if (path := next(filter(Path.is_file, either), None))]


def compiler() -> str | None:
    """The C++ compiler: the one that CXX names, else g++, clang++ or c++; None where there is none."""
    return next(iter(_command()), None)


def compiler_version() -> str | None:
    """What the C++ compiler says of itself in one line; None where there is none."""
    if not (command := _command()):
        return None
    try:
        return _run([*command, "--version"], 10.0)[1].partition("\n")[0].strip() or "tells no version"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot be run: {error}"


def _command() -> list[str]:
    """The compiler and the arguments that CXX gives it, such as 'ccache g++'; empty where there is no compiler."""
    named = os.environ.get(COMPILER_SETTING)
    if named is None:
        return [path for path in map(shutil.which, _COMPILERS) if path][:1]
    words = [named] if shutil.which(named) else _words(named)
    program = shutil.which(words[0]) if words else None
    return [program, *words[1:]] if program else []


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


def find(source: str, level: str) -> Path:
    """The library of a source for a level, compiled where it is found nowhere.

    Raises CompilerError where it has to be compiled and there is no compiler, the compiler refuses, or the cache
    cannot be written; and where others can write to the cache. SPIKELOOM_CXXFLAGS holds more flags of the compiler.
    """
    extra = _words(os.environ.get(FLAGS_SETTING, ""))
    name = key(source, level, extra) + ".so"
    if (built := BUILT / name).is_file():
        return built
    path = cache_folder() / name
    try:
        if path.is_file():
            cache.check(path.parent)
            if cache.is_whole(path):
                cache.touch(path)
                return path
            _log.warning("the kernel %s is damaged; it is compiled again", path)
    except OSError as error:
        raise CompilerError(f"the kernel {path} cannot be read: {error}") from error
    return _compile_into_cache(path, source, level, extra)


def renew(path: Path, source: str, level: str, reason: str) -> Path:
    """The library of a source, compiled again since the one at a path does not load for a reason.

    Raises CompilerError as `find` does, and for a library that came with the package.
    """
    if path.parent == BUILT:
        raise CompilerError(f"the kernel {path} of the package does not load: {reason}; install spikeloom again")
    _log.warning("the kernel %s does not load (%s); it is compiled again", path, reason)
    return _compile_into_cache(path, source, level, _words(os.environ.get(FLAGS_SETTING, "")))


def _compile_into_cache(path: Path, source: str, level: str, extra: Sequence[str]) -> Path:
    try:
        cache.own(path.parent)
        compile_to(path, source, level, extra)
        cache.prune(path.parent)
    except OSError as error:
        raise CompilerError(
            f"the kernel cache {path.parent} cannot be written: {error}; name another folder by {cache.SETTING}"
        ) from error
    return path


def compile_to(path: Path, source: str, level: str, extra: Sequence[str] = ()) -> None:
    """Compiles a source for a level to a shared library.

    Raises CompilerError where there is no compiler or it refuses, OSError where the folder cannot be written.
    """
    command = _command()
    if not command:
        raise CompilerError(_no_compiler())
    _log.info("compiling a kernel for %s to %s", level, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    before = _headers(source)
    with tempfile.TemporaryDirectory(prefix=cache.WORKING, dir=path.parent) as folder:
        text, library = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
        text.write_text(source, encoding="utf-8")
        _compile([*command, *COMMON, *FLAGS[level], *extra, f"-I{HEADERS}", "-o", str(library), str(text)])
        if _headers(source) != before:
            raise CompilerError("a header of the package was edited while a kernel was compiled; start again")
        cache.seal(library)
        library.replace(path)


def _no_compiler() -> str:
    named = os.environ.get(COMPILER_SETTING)
    if named is None:
        return f"no C++ compiler found; install g++ (or name one by the environment variable {COMPILER_SETTING})"
    return f"{COMPILER_SETTING} names {named!r}, which is no program here; name a C++ compiler, or unset it to use g++"


def _compile(command: list[str]) -> None:
    try:
        code, _, messages = _run(command, TIMEOUT)
    except OSError as error:
        raise CompilerError(f"the C++ compiler {command[0]} cannot be run: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise CompilerError(f"{command[0]} did not end within {TIMEOUT:g} s; it was stopped") from error
    if code:
        messages = messages.replace(f"{Path(command[-1]).parent}{os.sep}", "")
        raise CompilerError(f"{command[0]} refused a kernel (code {code}):\n{messages[:4000]}")


def _run(command: list[str], seconds: float) -> tuple[int, str, str]:
    """Exit code, output and messages of a program, which is ended with all that it started when time is over."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, messages = process.communicate(timeout=seconds)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, messages

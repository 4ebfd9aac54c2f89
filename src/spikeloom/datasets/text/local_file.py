"""Text files of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import final

from ...errors import DataError, ParameterError, StorageError
from ..checks import check_count, check_flag
from ..progress_meter import Meter
from .decoding import check_encoding, check_form, decode, normalised, read_limited
from .document import Document, TextLoader


@final
class LocalFileLoader(TextLoader):
    """The text files at `paths`: a file, a folder with all below it that fits `pattern`, or several of these.

    The encoding is found out (`decoding.decode`) unless it is given; `fallback` is taken where it is undecided. Texts
    come with line feeds as line ends, in the Unicode `normal_form` ("NFC", "NFKC" or None: as they are). A folder's
    files come sorted by path. Raises DataError, when the file is reached, for a file of more than `max_bytes`, a binary
    one, one whose encoding is undecided, and for a link that leads out of the folder. Memory: some 4 times the file.
    """

    def __init__(
        self,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        pattern: str | Sequence[str] = ("*.txt", "*.md"),
        encoding: str | None = None,
        fallback: str | None = None,
        normal_form: str | None = "NFC",
        max_bytes: int = 1 << 28,
        progress: bool = False,
    ) -> None:
        self.paths = as_paths(paths, "LocalFileLoader")
        self.pattern = (pattern,) if isinstance(pattern, str) else tuple(pattern)
        self.encoding = check_encoding(encoding, "LocalFileLoader.encoding")
        self.fallback = check_encoding(fallback, "LocalFileLoader.fallback")
        self.normal_form = check_form(normal_form, "LocalFileLoader")
        self.max_bytes = check_count(max_bytes, "LocalFileLoader.max_bytes")
        self.progress = check_flag(progress, "LocalFileLoader.progress")

    def __iter__(self) -> Iterator[Document]:
        files = listed_files(self.paths, self.pattern, "LocalFileLoader")
        with Meter("files", len(files), unit="documents", shown=self.progress) as meter:
            for done, file in enumerate(files, 1):
                data = read_limited(file, self.max_bytes, "LocalFileLoader")
                text, encoding = decode(data, str(file), self.encoding, self.fallback)
                yield Document(file.stem, normalised(text, self.normal_form), str(file), {"encoding": encoding})
                meter.to(done)


def as_paths(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], owner: str) -> tuple[Path, ...]:
    """One path or several as a tuple; ParameterError where there is none."""
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not several or not all(isinstance(path, (str, os.PathLike)) for path in several):
        raise ParameterError(f"{owner}.paths expected a path or a list of paths, got {paths!r}")
    return tuple(Path(path) for path in several)


def listed_files(paths: Sequence[Path], patterns: Sequence[str], owner: str) -> list[Path]:
    """The files at the paths, of folders those that fit a pattern, sorted; DataError where there is nothing."""
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        root, found = path.resolve(), []
        for folder, _, names in os.walk(path, onerror=_refuse):
            fitting = (name for name in names if any(fnmatch(name.lower(), pattern.lower()) for pattern in patterns))
            found += [Path(folder, name) for name in fitting]
        for file in found:
            if file.is_symlink() and not file.resolve().is_relative_to(root):
                raise DataError(f"{owner}: {str(file)!r} links out of the folder {str(path)!r}; name the file itself")
        if not found:
            raise DataError(f"{owner}: {str(path)!r} has no file that fits {' or '.join(patterns)}")
        files += sorted(found)
    return files


def _refuse(error: OSError) -> None:
    raise StorageError(f"cannot read {error.filename}: {error.strerror}") from error

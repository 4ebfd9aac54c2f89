"""What is wrong with a folder or zip file of images and captions, row by row."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from ..errors import DataError, ParameterError
from .checks import check_count, check_flag
from .pictures import TooLarge, decoded
from .progress_meter import Meter
from .zip_files import checked_members, is_inside, read_member, zip_damage

TABLE = "captions.csv"
COLUMNS = ["image_path", "caption"]
MAX_TABLE = 1 << 28


@dataclass(frozen=True, slots=True)
class Limits:
    """The most bytes of a file, or of a zip file unpacked, and the most pixels of an image."""

    max_bytes: int = 1 << 34
    max_image_bytes: int = 1 << 26
    max_pixels: int = 1 << 26

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_image_bytes", "max_pixels"):
            check_count(getattr(self, name), f"Limits.{name}")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: the line it begins on (the header is on line 1), the image's path and the caption."""

    line: int
    image_path: str
    caption: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a row.

    `kind`: columns, encoding, empty, outside, missing, duplicate, unreadable, too large, or, where no row from here on
    can be read, table.
    """

    line: int
    kind: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class CaptionReport:
    """Every problem of a set of captions, in the order of its rows, and the rows without one."""

    root: str
    n_rows: int
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(p.kind for p in self.problems).items())
        head = f"{self.root}: {self.n_rows} rows, {len(self.rows)} usable, problems: {kinds or 'none'}"
        return "\n".join([head, *map(str, self.problems)])


class Source(Protocol):
    """Files by relative path, in a folder or a zip file."""

    def fault(self, name: str) -> tuple[str, str] | None:
        """(kind, message) of why a file cannot be had, or None."""
        ...

    def read(self, name: str, most: int) -> bytes:
        """The content of a file; DataError beyond `most` bytes."""
        ...

    def close(self) -> None:
        """Ends reading."""
        ...


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root, self._real = root, Path(os.path.realpath(root))

    def fault(self, name: str) -> tuple[str, str] | None:
        path = self.root / name
        if not path.resolve().is_relative_to(self._real):
            return "outside", f"{name!r} links out of the folder"
        return None if path.is_file() else ("missing", f"there is no file {name!r}")

    def read(self, name: str, most: int) -> bytes:
        try:
            with (self.root / name).open("rb") as file:
                content = file.read(most + 1)
        except OSError as error:
            raise DataError(f"{self.root / name}: cannot be read: {error.strerror or error}") from error
        if len(content) > most:
            raise TooLarge(f"{self.root / name}: expected at most {most} bytes, got more")
        return content

    def close(self) -> None:
        """There is nothing to close."""


class _Zip:
    """A zip file that is open until `close`; several threads may read it."""

    def __init__(self, path: Path, limits: Limits) -> None:
        with zip_damage(path):
            self.path, self.archive = path, zipfile.ZipFile(path)
            try:
                self._list(limits)
            except BaseException:
                self.archive.close()
                raise

    def _list(self, limits: Limits) -> None:
        path, members = self.path, checked_members(self.archive, self.path, limits.max_bytes)
        tops = [name[: -len(TABLE)] for name in members if name in (TABLE, f"{name.split('/')[0]}/{TABLE}")]
        if len(tops) != 1:
            raise DataError(f"{path}: expected one {TABLE}, at the top or in one folder, got {len(tops)}")
        self._members = {name[len(tops[0]) :]: m for name, m in members.items() if name.startswith(tops[0])}

    def fault(self, name: str) -> tuple[str, str] | None:
        return None if name in self._members else ("missing", f"there is no member {name!r}")

    def read(self, name: str, most: int) -> bytes:
        if self._members[name].file_size > most:
            raise TooLarge(f"{self.path}: {name!r} must have at most {most} bytes, got {self._members[name].file_size}")
        with zip_damage(self.path):
            return read_member(self.archive, self._members[name], self.path)

    def close(self) -> None:
        self.archive.close()


def source_of(root: str | os.PathLike[str], limits: Limits) -> Source:
    """The folder or zip file of that path, to be closed."""
    path = Path(root)
    return _Folder(path) if path.is_dir() else _Zip(path, limits)


def validate_captions(
    root: str | os.PathLike[str], *, limits: Limits | None = None, progress: bool = False
) -> CaptionReport:
    """What is wrong with a folder, or zip file, of `captions.csv` (image_path,caption) and images: every row's problem.

    The table is UTF-8 and quoted as RFC 4180 says; paths are relative, with slashes, and stay inside. Images are
    decoded one by one. Raises DataError only where there is no table, or the zip file itself is refused.
    """
    limits = _limits(limits)
    check_flag(progress, "validate_captions.progress")
    with closing(source_of(root, limits)) as source:
        rows, problems = _rows(source, str(root))
        n_rows = len(rows) + len(problems)
        good, seen = [], dict[str, int]()
        with Meter("images", len(rows), unit="usable", shown=progress) as meter:
            for done, row in enumerate(rows, 1):
                fault = _fault(row, source, seen, limits)
                if fault is None:
                    good.append(row)
                    seen.setdefault(row.image_path, row.line)
                else:
                    problems.append(Problem(row.line, *fault))
                meter.to(done, int(fault is None))
    return CaptionReport(str(root), n_rows, tuple(good), tuple(sorted(problems, key=lambda p: p.line)))


def _limits(limits: Limits | None) -> Limits:
    if limits is not None and not isinstance(limits, Limits):
        raise ParameterError(f"captions.limits must be Limits(...), got {limits!r}")
    return limits or Limits()


def _fault(row: Row, source: Source, seen: dict[str, int], limits: Limits) -> tuple[str, str] | None:
    """(kind, message) of what is wrong with a row, or None."""
    path = row.image_path
    if not path or not row.caption.strip():
        return "empty", f"expected a path and a caption, got {path!r} and {row.caption!r:.40}"
    if not is_inside(path):
        return "outside", f"expected a relative path inside the folder, with slashes, got {path!r}"
    if path in seen:
        return "duplicate", f"{path!r} has its caption on line {seen[path]} already"
    if (fault := source.fault(path)) is not None:
        return fault
    try:
        content = source.read(path, limits.max_image_bytes)
        decoded(content, limits.max_pixels, verify=True)
    except DataError as error:
        return ("too large" if isinstance(error, TooLarge) else "unreadable"), f"{path!r}: {error}"
    return None


def _rows(source: Source, root: str) -> tuple[list[Row], list[Problem]]:
    """The rows of the table that have two columns in UTF-8, and the problems of the others."""
    if source.fault(TABLE) is not None:
        raise DataError(f"{root}: expected a table {TABLE} in it, got none")
    # Bytes that are no UTF-8 become half surrogates, so that the rows around them can be read.
    text = source.read(TABLE, MAX_TABLE).decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    rows: list[Row] = []
    problems: list[Problem] = []
    table = table_rows(text)
    _, names, _ = next(table, (1, [], ""))
    if [name.strip() for name in names] != COLUMNS:
        raise DataError(f"{root}: {TABLE} must begin with {','.join(COLUMNS)}, got {','.join(names)!r:.100}")
    for line, fields, fault in table:
        if fault:
            problems.append(Problem(line, "table", fault))
        elif any(not _is_utf8(field) for field in fields):
            problems.append(Problem(line, "encoding", f"expected UTF-8, got the bytes of {_escaped(fields)}"))
        elif len(fields) != 2:
            problems.append(Problem(line, "columns", f"expected 2 columns, got {len(fields)}; quote commas"))
        else:
            path = fields[0].strip()
            rows.append(Row(line, path and str(PurePosixPath(path)), fields[1]))
    return rows, problems


def table_rows(text: str) -> Iterator[tuple[int, list[str], str]]:
    """(line on which it begins, fields, fault) of each row that is not empty; nothing follows a fault."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            yield line, [], f"expected quoted fields, got a fault ({error}); the rows after it are not read"
            return
        if fields is None:
            return
        if fields:
            yield line, fields, ""
        line = reader.line_num + 1


def _is_utf8(text: str) -> bool:
    try:
        return text.encode() is not None
    except UnicodeEncodeError:
        return False


def _escaped(fields: list[str]) -> str:
    return repr(",".join(fields)[:60].encode("utf-8", "surrogateescape"))

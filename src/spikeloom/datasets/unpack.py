"""Archives unpacked safely: plain files below one folder, limited in number and size, whole or not at all."""

from __future__ import annotations

import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from ..errors import DataError, SpikeloomError, StorageError
from .progress_meter import Meter
from .zip_files import is_inside

MOST_FILES = 1_000_000
_CHUNK = 1 << 20
_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
    IndexError, KeyError, OverflowError, TypeError, ValueError,
)  # fmt: skip


class _Member(NamedTuple):
    """A file or folder (content None) of an archive."""

    name: str
    content: IO[bytes] | None


def unpack(archive: Path, folder: Path, most: int, *, progress: bool = False) -> None:
    """Unpacks a zip or tar archive (plain, gz, bz2, xz) into a folder, at most `most` bytes.

    Nothing is left behind where it fails. Raises DataError for a damaged archive, for links, devices, absolute names
    and names with `..`, for a file that is in it twice, and for more bytes or files than allowed.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as made:
            place = Path(made)
            _extract(archive, place, most, progress)
            for entry in sorted(place.iterdir()):
                _move(entry, folder / entry.name)
    except OSError as error:
        raise StorageError(f"cannot unpack {archive} into {folder}: {error.strerror or error}") from error


def _extract(archive: Path, folder: Path, most: int, progress: bool) -> None:
    """Unpacks into a folder."""
    left = most
    try:
        meter = Meter(f"unpack {archive.name}", None, unit="files", shown=progress)
        with closing(_members(archive)) as members, meter:
            for count, member in enumerate(members, 1):
                if count > MOST_FILES:
                    raise DataError(f"{archive}: expected at most {MOST_FILES} files, got more")
                meter.to(count)
                if not PurePosixPath(member.name).parts:
                    continue
                if not is_inside(member.name):
                    raise DataError(f"{archive}: expected names below the archive's folder, got {member.name!r}")
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                if member.content is None:
                    target.mkdir(exist_ok=True)
                else:
                    left = _copy(member.content, target, left, archive)
    except SpikeloomError:
        raise
    except FileExistsError as error:
        raise DataError(f"{archive}: expected each file once, got {error.filename} twice") from error
    except _DAMAGE as error:
        raise DataError(f"{archive}: expected a whole archive, got a damaged one ({error}); fetch it again") from error


def _copy(content: IO[bytes], target: Path, left: int, archive: Path) -> int:
    """Writes a new file; how many bytes are left then."""
    with target.open("xb") as file:
        while chunk := content.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise DataError(f"{archive}: expected fewer bytes when unpacked, got more at {target.name}")
            file.write(chunk)
    return left


def _members(archive: Path) -> Generator[_Member]:
    """The files and folders of an archive, one after the other."""
    with archive.open("rb") as file:
        head = file.read(4)
    if head[:2] == b"PK":
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise DataError(f"{archive}: expected files and folders, got {info.filename}, a link or device")
                if info.is_dir():
                    yield _Member(info.filename, None)
                    continue
                with packed.open(info) as content:
                    yield _Member(info.filename, content)
        return
    with tarfile.open(archive, "r|*") as stream:
        for entry in stream:
            if not (entry.isreg() or entry.isdir()) or entry.issparse():
                raise DataError(f"{archive}: expected files and folders, got {entry.name}, a link or device")
            yield _Member(entry.name, stream.extractfile(entry) if entry.isreg() else None)


def _move(source: Path, target: Path) -> None:
    """Moves a file or folder into place; what is there already gets the new files."""
    if source.is_dir() and target.is_dir() and not target.is_symlink():
        for entry in sorted(source.iterdir()):
            _move(entry, target / entry.name)
    elif target.is_dir() != source.is_dir() and target.exists():
        raise DataError(f"{target} is in the way of what is unpacked; move it elsewhere")
    else:
        os.replace(source, target)

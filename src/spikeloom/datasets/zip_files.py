"""Zip files of unknown origin: what they declare is checked before anything is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from stat import S_ISLNK

from ..errors import DataError

MAX_RATIO = 200
"""How many times its packed size a member may have; text packs 3 to 10 times."""
MAX_MEMBERS = 1_000_000
_FREE = 1 << 20
"""Up to this size any ratio is allowed."""
_ENCRYPTED = 1


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip file of that path; whatever damage shows within the block becomes a DataError that names it."""
    with zip_damage(path), zipfile.ZipFile(path) as archive:
        yield archive


@contextmanager
def zip_damage(path: Path) -> Iterator[None]:
    """Within the block, damage of the zip file of that path becomes a DataError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; expected a zip file") from error
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, IndexError,
        UnicodeDecodeError, OverflowError,
    ) as error:  # fmt: skip
        raise DataError(f"{path}: expected a whole zip file, got a damaged one ({error}); fetch it again") from error


def checked_members(archive: zipfile.ZipFile, path: Path, max_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by name, in its order.

    Raises DataError for more than MAX_MEMBERS of them, for a name twice, with `..`, absolute or of a link, for one that
    is encrypted or unpacks to more than MAX_RATIO times its size, and for more than `max_bytes` together.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    entries = archive.infolist()
    if len(entries) > MAX_MEMBERS:
        raise DataError(f"{path}: expected at most {MAX_MEMBERS} members, got {len(entries)}")
    for info in entries:
        if info.is_dir():
            continue
        where = f"{path}: member {info.filename!r} at byte {info.header_offset}"
        if not is_inside(info.filename) or S_ISLNK(info.external_attr >> 16):
            raise DataError(f"{where} must lie in the archive's own folder and be no link")
        if info.filename in found:
            raise DataError(f"{where} is there twice")
        if info.flag_bits & _ENCRYPTED:
            raise DataError(f"{where} is encrypted; unpack it first")
        if info.file_size > max(_FREE, MAX_RATIO * info.compress_size):
            size = f"{info.file_size} bytes from {info.compress_size}"
            raise DataError(f"{where} must unpack to at most {MAX_RATIO} times its size, it declares {size}")
        found[info.filename] = info
    total = sum(info.file_size for info in found.values())
    if total > max_bytes:
        raise DataError(f"{path}: expected at most {max_bytes} bytes unpacked, it declares {total}; see max_bytes")
    return found


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    """The content of a member; DataError where it is not as long as it declares, and never more is unpacked."""
    with archive.open(info) as stream:
        content = stream.read(info.file_size + 1)
    if len(content) != info.file_size:
        got = f"{len(content)} or more"
        raise DataError(f"{path}: member {info.filename!r} must have {info.file_size} bytes, got {got}")
    return content


def is_inside(name: str) -> bool:
    """Whether a relative path with slashes stays in its folder: no `..`, no drive, no backslash, not absolute."""
    path = PurePosixPath(name)
    plain = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
    return plain and not any(character in name for character in "\\:\0")

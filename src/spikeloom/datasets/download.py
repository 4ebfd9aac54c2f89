"""Downloads of data sets: over https alone, resumed, limited in size, checked before anything is unpacked."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ..errors import DataError, StorageError
from .checks import check_flag
from .progress_meter import Meter
from .unpack import unpack

_CHUNK = 1 << 20
_TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """A file that a data set is published as, an archive to be unpacked unless `most_unpacked` is 0.

    `checksum` is 'md5:...' or 'sha256:...' as published. `most` and `most_unpacked` are limits in bytes. With by_hand,
    `url` is a page on which a person gets the file.
    """

    name: str
    url: str
    checksum: str
    most: int
    most_unpacked: int = 0
    by_hand: bool = False


def provide(
    root: str | os.PathLike[str],
    is_there: Callable[[Path], bool],
    archives: Sequence[Archive],
    *,
    owner: str,
    expected: str,
    download: bool,
    progress: bool = False,
) -> Path:
    """The folder `root`, in which `is_there` finds the data; if need be, and asked for, archives are fetched into it.

    An archive that lies there already is not fetched again, but checked and unpacked. Raises DataError where data lack
    and download is False, StorageError where they cannot be had.
    """
    folder, progress = Path(root), check_flag(progress, f"{owner}.progress")
    if is_there(folder):
        return folder
    if not check_flag(download, f"{owner}.download"):
        ways = "; ".join(f"{archive.name} from {archive.url}" for archive in archives)
        raise DataError(
            f"{owner}.root {str(folder)!r} lacks {expected}. download=True fetches and unpacks it, or what you put "
            f"there yourself: {ways}"
        )
    for archive in archives:
        file = fetch(archive, folder, progress=progress)
        if archive.most_unpacked:
            unpack(file, folder, archive.most_unpacked, progress=progress)
    if not is_there(folder):
        raise DataError(f"{owner}: what was fetched into {folder} lacks {expected}; is it another version?")
    return folder


def fetch(
    archive: Archive,
    folder: Path,
    *,
    progress: bool = False,
    context: ssl.SSLContext | None = None,
) -> Path:
    """The file in `folder`, downloaded where it is not there, and checked in any case.

    An interrupted download goes on where it ended. progress: a bar on standard error.
    `context` decides which servers are trusted, by default those that the system trusts. Raises DataError for a file
    that is not the published one, StorageError where it cannot be had.
    """
    target, part = folder / archive.name, folder / f"{archive.name}.part"
    if target.exists():
        _check(archive, target)
        return target
    if archive.by_hand:
        raise StorageError(f"{archive.name} is given to persons only: get it from {archive.url}, put it at {target}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("r+b" if part.exists() else "w+b") as file:
            _lock(file, part)
            _download(archive, file, target, progress, context)
        _check(archive, part)
        os.replace(part, target)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _download(archive: Archive, file: IO[bytes], target: Path, progress: bool, context: ssl.SSLContext | None) -> None:
    """Adds to a file what is missing of the archive."""
    there = file.seek(0, os.SEEK_END)
    way_out = f"try again, or fetch {archive.url} yourself and put it at {target}"
    try:
        with _open(archive.url, there, context) as response:
            resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {there}-")
            there = there if resumed else 0
            file.truncate(there)
            file.seek(there)
            left = response.headers.get("Content-Length", "")
            total = there + int(left) if left.isdecimal() and len(left) < 19 else None
            if total is not None and total > archive.most:
                raise DataError(f"{archive.url}: expected at most {archive.most} bytes, got {total} announced")
            with Meter(archive.name, total, unit="bytes", shown=progress) as meter:
                for chunk in iter(lambda: response.read(_CHUNK), b""):
                    there += len(chunk)
                    if there > archive.most:
                        file.truncate(0)
                        raise DataError(f"{archive.url}: expected at most {archive.most} bytes, got more")
                    file.write(chunk)
                    meter.to(there, len(chunk))
    except urllib.error.HTTPError as error:
        if error.code == 416 and there:
            return  # There is no more: the checksum tells whether that is all.
        raise StorageError(f"cannot fetch {archive.url}: {error.code} {error.reason}; {way_out}") from error
    except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError) as error:
        raise StorageError(f"cannot fetch {archive.url}: {getattr(error, 'reason', error)}; {way_out}") from error
    if total is not None and there != total:
        raise StorageError(f"cannot fetch {archive.url}: it broke off after {there} of {total} bytes; {way_out}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https only."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        _check_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, start: int, context: ssl.SSLContext | None) -> Any:
    """The response to a request of a file from byte `start` on; no scheme but https is known."""
    _check_https(url)
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(context=context or ssl.create_default_context()),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    headers = {"User-Agent": "spikeloom", "Accept-Encoding": "identity"} | (
        {"Range": f"bytes={start}-"} if start else {}
    )
    return opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)


def _check_https(url: str) -> None:
    if urlsplit(url).scheme != "https":
        raise DataError(f"downloads expected an https address, got {url}; nothing was fetched from it")


def _check(archive: Archive, file: Path) -> None:
    """DataError for a file that is not the published one; a wrong part is removed."""
    algorithm, _, wanted = archive.checksum.partition(":")
    found = hash_of(file, algorithm)
    if found != wanted:
        if file.suffix == ".part":
            file.unlink()
        raise DataError(f"{file}: expected the {algorithm} {wanted}, got {found}; delete it and fetch it again")


def hash_of(file: Path, algorithm: str) -> str:
    """The checksum of a file's content, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _lock(file: IO[bytes], part: Path) -> None:
    """Keeps another process from writing to the same file, where the system knows locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(f"{part} is being written by another process; wait for it") from error
    if not part.exists() or not os.path.samestat(os.fstat(file.fileno()), part.stat()):
        raise StorageError(f"{part} was finished by another process just now; call again")

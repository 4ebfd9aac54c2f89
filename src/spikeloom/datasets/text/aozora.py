"""Works of Aozora Bunko: XHTML pages and ruby text, as files, folders and zip files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import final

from ...errors import DataError, ParameterError
from ..checks import check_count, check_flag
from ..progress_meter import Meter
from ..zip_files import checked_members, opened_zip, read_member
from .aozora_html import read_html
from .aozora_text import read_text
from .decoding import BOMS, check_encoding, check_form, decode, normalised, read_limited
from .document import Document, TextLoader
from .local_file import as_paths, listed_files

_WORKS = 100
"""How many times `max_bytes` a zip file may unpack to."""
_PAGES = (".html", ".htm", ".xhtml")
_DECLARED = re.compile(rb"""(?:encoding|charset)\s*=\s*["']?([A-Za-z0-9_.-]{2,20})""")


@final
class AozoraBunkoLoader(TextLoader):
    """The works in `paths`: .html and .txt files of Aozora Bunko, zip files of them, folders of all these.

    The text is that of the work alone: readings (ruby) and notes are taken off, and gaiji are resolved where their note
    gives a code point or a place in JIS X 0213; others are a geta mark (`gaiji` "mark") or nothing ("remove").
    `readings` "keep" leaves them as `漢字《かんじ》`. `metadata` has author, translator, editor and subtitle where they
    are given, the colophon and readings, a list of (base, reading).

    The encoding is what the file declares, else cp932 (Shift_JIS), unless it is given. Raises DataError for works of
    more than `max_bytes`, for damage, and for a page without Aozora Bunko's form. Whatever a file holds, reading it
    takes at most some 70 times its size in memory.
    """

    def __init__(
        self,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        readings: str = "remove",
        gaiji: str = "mark",
        encoding: str | None = None,
        normal_form: str | None = "NFC",
        max_bytes: int = 1 << 25,
        progress: bool = False,
    ) -> None:
        self.paths = as_paths(paths, "AozoraBunkoLoader")
        for name, value, known in (("readings", readings, ("remove", "keep")), ("gaiji", gaiji, ("mark", "remove"))):
            if value not in known:
                raise ParameterError(f"AozoraBunkoLoader.{name} must be {known[0]!r} or {known[1]!r}, got {value!r}")
        self.readings, self.gaiji = readings, gaiji
        self.encoding = check_encoding(encoding, "AozoraBunkoLoader.encoding")
        self.normal_form = check_form(normal_form, "AozoraBunkoLoader")
        self.max_bytes = check_count(max_bytes, "AozoraBunkoLoader.max_bytes")
        self.progress = check_flag(progress, "AozoraBunkoLoader.progress")

    def __iter__(self) -> Iterator[Document]:
        files = listed_files(self.paths, ("*.txt", "*.zip", *(f"*{end}" for end in _PAGES)), "AozoraBunkoLoader")
        with Meter("files", len(files), unit="works", shown=self.progress) as meter:
            for done, file in enumerate(files, 1):
                for data, source in self._contents(file):
                    yield self._document(data, source)
                    meter.to(done - 1)
                meter.to(done, 0)

    def _contents(self, file: Path) -> Iterator[tuple[bytes, str]]:
        """(bytes, where they came from) of a file, or of each text and page in a zip file."""
        if file.suffix.lower() != ".zip":
            yield read_limited(file, self.max_bytes, "AozoraBunkoLoader"), str(file)
            return
        found = False
        with opened_zip(file) as archive:
            for name, info in checked_members(archive, file, _WORKS * self.max_bytes).items():
                if PurePosixPath(name).suffix.lower() in (".txt", *_PAGES):
                    if info.file_size > self.max_bytes:
                        size = f"at most {self.max_bytes} bytes, got {info.file_size}"
                        raise DataError(f"{file}/{name}: expected {size}; see max_bytes")
                    found = True
                    yield read_member(archive, info, file), f"{file}/{name}"
        if not found:
            raise DataError(f"{file}: expected a .txt or .html file in it, got none")

    def _document(self, data: bytes, source: str) -> Document:
        text = normalised(decode(data, source, self.encoding or _declared(data))[0], None)
        keep = self.readings == "keep"
        page = source.lower().endswith(_PAGES)
        work = read_html(text, source, self.gaiji, keep) if page else read_text(text, self.gaiji, keep)
        title = work.title or PurePosixPath(source).stem
        known = {**work.people, "colophon": work.colophon, "readings": work.readings}
        return Document(title, normalised(work.text, self.normal_form), source, known)


def _declared(data: bytes) -> str:
    """The encoding that a byte-order mark, an XML declaration or a meta element names; cp932 for Shift_JIS and none."""
    for mark, name in BOMS:
        if data.startswith(mark):
            return name
    found = _DECLARED.search(data[:1024]) if data.lstrip()[:1] == b"<" else None
    name = found[1].decode().lower().replace("-", "_") if found else "cp932"
    return name if name in ("utf_8", "utf8", "euc_jp") else "cp932"

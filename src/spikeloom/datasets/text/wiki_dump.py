"""MediaWiki's XML dumps, read as a stream: plain, or packed by bzip2 in one stream or many.

Source: the schema export-0.11, `mediawiki/page/(title, ns, id, redirect, revision/(model, text))`. A dump has neither
a document type nor entities of its own: a file with either is refused, unread.
"""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from ...errors import DataError

MAX_RATIO = 1000
"""How many times the packed size may be unpacked; a dump of text has 4 to 10, of logs up to 100."""
MAX_DEPTH = 32
_FREE = 1 << 26
_CHUNK = 1 << 16
_TOKEN = 1 << 20
"""The longest tag or token in bytes."""


@dataclass(slots=True)
class Page:
    """A page of a dump: of several revisions, the last."""

    title: str = ""
    namespace: str = ""
    page_id: str = ""
    redirect: bool = False
    model: str = "wikitext"
    text: str = ""


class _Reader:
    """Collects pages from the events of a parser; no text longer than `max_page` characters is kept."""

    def __init__(self, path: Path, max_page: int) -> None:
        self.path, self.max_page = path, max_page
        self.pages: list[Page] = []
        self._page: Page | None = None
        self._open: list[str] = []
        self._pieces: list[str] = []
        self._length = 0
        self.parser: Any = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._forbidden
        self.parser.EntityDeclHandler = self._forbidden

    @property
    def offset(self) -> int:
        """The place of the last event, in bytes of the unpacked file."""
        return int(self.parser.CurrentByteIndex)

    def _forbidden(self, *_: Any) -> None:
        raise DataError(f"{self.path}: expected no document type and no entities, got one at byte {self.offset}")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name != "mediawiki":
            raise DataError(f"{self.path}: expected a MediaWiki dump, <mediawiki>, got <{name[:40]}>")
        self._open.append(name)
        if len(self._open) > MAX_DEPTH:
            raise DataError(f"{self.path}: elements nest deeper than {MAX_DEPTH} at byte {self.offset}")
        if self._open == ["mediawiki", "page"]:
            self._page = Page()
        elif self._page is not None and self._open[1:] == ["page", "redirect"]:
            self._page.redirect = True
        self._pieces, self._length = [], 0

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > self.max_page:
            where = f"{'/'.join(self._open)} at byte {self.offset}"
            raise DataError(f"{self.path}: {where} is longer than {self.max_page} characters; see max_page")
        if self._page is not None:
            self._pieces.append(text)

    def _end(self, name: str) -> None:
        page, where = self._page, self._open[1:]
        if page is not None:
            text = "".join(self._pieces)
            if where == ["page", "title"]:
                page.title = text
            elif where == ["page", "ns"]:
                page.namespace = text.strip()
            elif where == ["page", "id"]:
                page.page_id = text.strip()
            elif where == ["page", "revision", "model"]:
                page.model = text.strip()
            elif where == ["page", "revision", "text"]:
                page.text = text
            elif where == ["page"]:
                self.pages.append(page)
                self._page = None
        self._open.pop()
        self._pieces, self._length = [], 0


def read_pages(path: Path, max_page: int) -> Iterator[tuple[Page, int]]:
    """(page, bytes of the file read so far) for every page, in the order of the file.

    Memory stays bounded by the longest page. Raises DataError, with the place in the unpacked file, for XML that is
    not well-formed or cut short, for a document type, for a page beyond `max_page` and for a packed file that grows
    beyond MAX_RATIO times its size.
    """
    if not path.is_file():
        raise DataError(f"WikipediaLoader.dump: expected a file {str(path)!r}, there is none")
    with path.open("rb") as raw:
        packed = raw.read(3) == b"BZh"
        raw.seek(0)
        reader = _Reader(path, max_page)
        total = 0
        for chunk in _chunks(raw, path, packed):
            total += len(chunk)
            if packed and total > _FREE and total > MAX_RATIO * raw.tell():
                raise DataError(f"{path}: unpacks to more than {MAX_RATIO} times its size at byte {raw.tell()}")
            _feed(reader, chunk, False)
            if total - reader.offset > _TOKEN + _CHUNK:
                raise DataError(f"{path}: expected XML, got a token of more than {_TOKEN} bytes at {reader.offset}")
            pages, reader.pages = reader.pages, []
            for page in pages:
                yield page, raw.tell()
        _feed(reader, b"", True)


def _chunks(raw: IO[bytes], path: Path, packed: bool) -> Iterator[bytes]:
    """The unpacked content in pieces."""
    stream = bz2.BZ2File(raw) if packed else raw
    try:
        while chunk := stream.read(_CHUNK):
            yield chunk
    except (OSError, EOFError, ValueError) as error:
        where = f"damaged or cut short near byte {raw.tell()}"
        raise DataError(f"{path}: expected a whole bzip2 file, got one {where} ({error}); fetch it again") from error


def _feed(reader: _Reader, chunk: bytes, last: bool) -> None:
    try:
        reader.parser.Parse(chunk, last)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        where = f"byte {max(reader.parser.ErrorByteIndex, 0)}, line {error.lineno}"
        raise DataError(f"{reader.path}: expected well-formed XML, got a fault at {where}: {what}") from error

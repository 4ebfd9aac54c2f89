"""Wikipedia's articles, from its API or from a dump."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any, final
from urllib.parse import urlencode

from ...errors import DataError, ParameterError
from ..checks import check_count, check_flag
from ..progress_meter import Meter
from .decoding import check_form, normalised
from .document import Document, TextLoader
from .wiki_api import Api, check_address
from .wiki_dump import read_pages
from .wikitext import plain_text


@final
class WikipediaLoader(TextLoader):
    """Articles as plain text: those of `titles`, of a `category`, found by `search`, so many at `random`, or of a dump.

    Give one of the five. From the API of the `language`, one request at a time, `interval` ms apart, waiting when the
    server asks for it: redirections are followed, pages are in namespace 0, and nothing is asked for before it is
    taken, so that `documents(limit)` spares the server. `user_agent` should say who asks, with an address ("corpus/1.0
    (me@example.org)"); answers other than those to `random` are kept in the folder `cache`, if one is given, and are
    read from there again. `missing`: a title that does not exist is an error, or is skipped ("skip").

    `dump` is a file of dumps.wikimedia.org, `...-pages-articles.xml.bz2`, multistream or not, or plain `.xml`. It is
    streamed, and takes at most some 60 times its longest page in memory; pages of namespace 0 that are no redirections
    are converted by `wikitext.plain_text`. `after_page` skips all pages up to that page id, in the order of the file:
    metadata["page_id"] of the last document resumes a reading.

    Pages of more than `max_page` characters, answers of more than `max_bytes`, and damage raise DataError; a server
    that is out of reach or stays busy, StorageError.
    """

    def __init__(
        self,
        titles: str | Sequence[str] | None = None,
        *,
        category: str | None = None,
        search: str | None = None,
        random: int | None = None,
        dump: str | os.PathLike[str] | None = None,
        language: str = "en",
        user_agent: str | None = None,
        interval: float = 1000.0,
        timeout: float = 30_000.0,
        base_url: str | None = None,
        cache: str | os.PathLike[str] | None = None,
        missing: str = "error",
        after_page: int | None = None,
        normal_form: str | None = "NFC",
        max_page: int = 1 << 24,
        max_bytes: int = 1 << 26,
        progress: bool = False,
    ) -> None:
        ways = {"titles": titles, "category": category, "search": search, "random": random, "dump": dump}
        self.way = _one_way(ways, after_page)
        self.titles = _texts([titles] if isinstance(titles, str) else titles or [])
        self.category, self.search = category, search
        self.random = None if random is None else check_count(random, "WikipediaLoader.random")
        self.dump = None if dump is None else Path(dump)
        self.after_page = None if after_page is None else check_count(after_page, "WikipediaLoader.after_page")
        self.language, self.missing = _language(language), _missing(missing)
        self.normal_form = check_form(normal_form, "WikipediaLoader")
        self.max_page = check_count(max_page, "WikipediaLoader.max_page")
        self.progress = check_flag(progress, "WikipediaLoader.progress")
        address = check_address(f"https://{language}.wikipedia.org/w/api.php" if base_url is None else base_url)
        pauses = _ms(interval, "interval", 0), _ms(timeout, "timeout", 1)
        most = check_count(max_bytes, "WikipediaLoader.max_bytes")
        self._api = Api(address, _agent(user_agent), *pauses, most, None if cache is None else Path(cache))

    def __iter__(self) -> Iterator[Document]:
        return self._from_api() if self.dump is None else self._from_dump(self.dump)

    def _from_dump(self, dump: Path) -> Iterator[Document]:
        size = dump.stat().st_size if dump.is_file() else None
        waiting = self.after_page is not None
        with Meter(dump.name, size, unit="articles", shown=self.progress) as meter:
            for page, done in read_pages(dump, self.max_page):
                skipped = waiting
                waiting = waiting and page.page_id != str(self.after_page)
                if skipped or page.namespace != "0" or page.redirect or page.model != "wikitext" or not page.text:
                    meter.to(done, 0)
                    continue
                text = normalised(plain_text(page.text), self.normal_form)
                number = int(page.page_id) if page.page_id.isdecimal() and len(page.page_id) < 19 else None
                yield Document(page.title, text, str(dump), {"page_id": number, "language": self.language})
                meter.to(done)
        if waiting:
            raise DataError(f"{dump}: expected the page {self.after_page} of after_page, there is none")

    def _from_api(self) -> Iterator[Document]:
        total = len(self.titles) if self.way == "titles" else self.random
        with Meter(f"{self.language}.wikipedia", total, unit="articles", shown=self.progress) as meter:
            for done, key in enumerate(self._listed(), 1):
                if (document := self._article(key)) is not None:
                    yield document
                meter.to(done, int(document is not None))

    def _listed(self) -> Iterator[dict[str, str]]:
        """What names each article to the API: its title or its page id."""
        if self.way == "titles":
            for title in self.titles:
                yield {"titles": title}
            return
        lists: dict[str, tuple[str, dict[str, str]]] = {
            "category": (
                "categorymembers",
                {
                    "cmtitle": f"Category:{str(self.category).removeprefix('Category:')}",
                    "cmnamespace": "0",
                    "cmlimit": "50",
                },
            ),
            "search": ("search", {"srsearch": str(self.search), "srnamespace": "0", "srlimit": "50"}),
            "random": ("random", {"rnnamespace": "0", "rnlimit": str(min(self.random or 1, 50))}),
        }
        name, parameters = lists[self.way]
        left = -1 if self.random is None else self.random
        for part in self._api.query({"list": name, **parameters}, kept=self.way != "random"):
            for entry in _entries(part.get(name, []), self._api.address):
                number = entry.get("id" if self.way == "random" else "pageid")
                if not isinstance(number, int):
                    raise DataError(f"{self._api.address}: expected a page id in {name}, got {entry!r:.200}")
                yield {"pageids": str(number)}
                left -= 1
                if not left:
                    return

    def _article(self, key: dict[str, str]) -> Document | None:
        """The article, or None for one that does not exist, or has no text."""
        asked = {"prop": "extracts|info", "explaintext": "1", "exsectionformat": "plain", "inprop": "url", **key}
        page: dict[str, Any] = {}
        for part in self._api.query({"redirects": "1", **asked}):
            for entry in _entries(part.get("pages", []), self._api.address)[:1]:
                page |= entry
        title, text = page.get("title"), page.get("extract", "")
        if page.get("missing") or page.get("invalid") or not isinstance(title, str):
            if self.missing == "skip":
                return None
            what = next(iter(key.values()))
            raise DataError(f"{self._api.address}: there is no article {what!r}; missing='skip' goes on without it")
        if not isinstance(text, str) or len(text) > self.max_page:
            most = f"text of at most {self.max_page} characters"
            raise DataError(f"{self._api.address}: article {title!r} has no {most}; see max_page")
        source = page.get("fullurl")
        if not isinstance(source, str):
            source = f"{self._api.address}?{urlencode(key)}"
        # JSON may hold halves of surrogate pairs, which no file can.
        title, text, source = (part.encode(errors="replace").decode() for part in (title, text, source))
        number = page.get("pageid")
        known = {"page_id": number if isinstance(number, int) else None, "language": self.language}
        return Document(title, normalised(text, self.normal_form).strip(), source, known)


def _one_way(ways: Mapping[str, Any], after_page: int | None) -> str:
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        raise ParameterError(f"WikipediaLoader: give one of {', '.join(ways)}, got {' and '.join(given) or 'none'}")
    if given[0] in ("category", "search") and not _is_text(ways[given[0]]):
        raise ParameterError(f"WikipediaLoader.{given[0]} must be a text, got {ways[given[0]]!r}")
    if after_page is not None and given != ["dump"]:
        raise ParameterError("WikipediaLoader.after_page resumes the reading of a dump; give dump=")
    return given[0]


def _is_text(value: Any) -> bool:
    """Whether it is a text that is not empty and can be sent."""
    return isinstance(value, str) and bool(value.strip()) and value == value.encode(errors="replace").decode()


def _language(code: str) -> str:
    if not isinstance(code, str) or not re.fullmatch(r"[a-z]{2,12}(-[a-z]{2,12})*", code):
        raise ParameterError(f"WikipediaLoader.language must be a code such as 'en' or 'ja', got {code!r}")
    return code


def _missing(choice: str) -> str:
    if choice not in ("error", "skip"):
        raise ParameterError(f"WikipediaLoader.missing must be 'error' or 'skip', got {choice!r}")
    return choice


def _texts(titles: Sequence[str]) -> list[str]:
    found = list(titles)
    if not all(_is_text(title) and "|" not in title for title in found):
        raise ParameterError(f"WikipediaLoader.titles must be titles of articles, without '|', got {found!r:.200}")
    return found


def _ms(value: Any, name: str, least: float) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not isfinite(value) or value < least:
        raise ParameterError(f"WikipediaLoader.{name} must be a time in ms of at least {least}, got {value!r}")
    return float(value)


def _agent(given: str | None) -> str:
    """The User-Agent, of printable ASCII; by default the name and version of this package."""
    if given is None:
        return f"spikeloom/{version('spikeloom')} (Python package; WikipediaLoader)"
    if not isinstance(given, str) or not given.isascii() or not given.isprintable() or not given.strip():
        raise ParameterError(f"WikipediaLoader.user_agent must be printable ASCII text, got {given!r}")
    return given


def _entries(entries: Any, address: str) -> list[dict[str, Any]]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{address}: expected a list of objects, got {entries!r:.200}")
    return entries

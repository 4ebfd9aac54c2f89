"""Aozora Bunko's XHTML: the text in `div.main_text`, ruby, gaiji images and notes."""

from __future__ import annotations

import re
from typing import Any

from ...errors import DataError, UnsupportedError
from .aozora_text import Readings, Work
from .gaiji import GETA, character

_BLOCKS = frozenset(
    ("div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "tr", "table", "ul", "ol", "blockquote", "hr")
)
_SKIPPED = frozenset(("rp", "script", "style", "ruby"))
_IMAGE = re.compile(r"(\d-\d{2}-\d{2})\.png$")
_PEOPLE = {"author": "author", "subtitle": "subtitle", "translator": "translator", "editor": "editor"}
_PEOPLE |= {"original_title": "original_title", "editor-translator": "translator"}
MAX_DEPTH = 500
MAX_RUBY = 4


def read_html(source: str, name: str, gaiji: str, keep_readings: bool) -> Work:
    """The work in a page of Aozora Bunko; see `aozora_text.read_text`. DataError for a page of another form."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise UnsupportedError("AozoraBunkoLoader reads XHTML with selectolax; install spikeloom[text]") from error
    if source.count("<") > len(source) // 4 + 1000:
        raise DataError(f"{name}: expected a page of text, got little but tags")
    tree = LexborHTMLParser(source)
    main = tree.css_first("div.main_text")
    if main is None:
        raise DataError(f"{name}: expected a page of Aozora Bunko with a div of class main_text, got none")
    page = _Page(name, gaiji, keep_readings)
    work = Work(text=page.text(main).strip("\n"), readings=page.readings)
    about = _Page(name, gaiji, False)
    for node in tree.css("h1.title, h2"):
        kind = (node.attributes.get("class") or "").strip()
        if kind == "title" and not work.title:
            work.title = about.text(node).strip()
        elif kind in _PEOPLE:
            work.people.setdefault(_PEOPLE[kind], about.text(node).strip())
    colophon = tree.css_first("div.bibliographical_information")
    work.colophon = "" if colophon is None else about.text(colophon).strip()
    return work


class _Page:
    """Walks through the nodes of a page, without recursion."""

    def __init__(self, name: str, gaiji: str, keep: bool, within: int = 0) -> None:
        self.name, self.gaiji, self.keep, self.within = name, gaiji, keep, within
        if within > MAX_RUBY:
            raise DataError(f"{name}: ruby nests deeper than {MAX_RUBY}")
        self.readings: Readings = []

    def text(self, root: Any) -> str:
        """The text below a node; a line ends at `<br />` and at the edge of a block."""
        pieces: list[str] = []
        node, depth = root.child, 0
        while node is not None:
            if self._add(node, pieces) and node.child is not None:
                node, depth = node.child, depth + 1
                if depth > MAX_DEPTH:
                    raise DataError(f"{self.name}: elements nest deeper than {MAX_DEPTH}")
                continue
            while node is not None and node.next is None:
                node, depth = node.parent, depth - 1
                if depth < 0:
                    return "".join(pieces)
                _end_line(node, pieces)
            node = None if node is None else node.next
        return "".join(pieces)

    def _add(self, node: Any, pieces: list[str]) -> bool:
        """Adds what a node is itself; whether to go on to its children."""
        tag = node.tag
        if tag == "-text":
            pieces.append((node.text_content or "").replace("\r", "").replace("\n", "").replace("\t", ""))
        elif tag == "br":
            pieces.append("\n")
        elif tag == "img":
            pieces.append(self._image(node))
        elif tag == "ruby":
            pieces.append(self._ruby(node))
        elif tag in _BLOCKS:
            _end_line(node, pieces)
        # A processing instruction has no tag, a comment one that begins with a dash.
        if tag is None or tag.startswith("-") or tag in _SKIPPED:
            return False
        return not (tag == "span" and "notes" in (node.attributes.get("class") or "").split())

    def _image(self, node: Any) -> str:
        """The character of a gaiji image; other pictures are nothing."""
        attributes = node.attributes
        if (attributes.get("class") or "") != "gaiji":
            return ""
        place = _IMAGE.search(attributes.get("src") or "")
        given = character(attributes.get("alt") or "") or (character(place[1]) if place else None)
        return given or (GETA if self.gaiji == "mark" else "")

    def _ruby(self, node: Any) -> str:
        """The base of a ruby, whose reading is noted, and kept where asked."""
        inner = _Page(self.name, self.gaiji, False, self.within + 1)
        base, reading = [], []
        child = node.child
        while child is not None:
            if child.tag == "rt":
                reading.append(inner.text(child))
            elif child.tag == "rb":
                base.append(inner.text(child))
            elif child.tag == "-text":
                base.append((child.text_content or "").strip())
            elif child.tag == "img":
                base.append(self._image(child))
            child = child.next
        pair = "".join(base), "".join(reading)
        self.readings.append(pair)
        return f"{pair[0]}《{pair[1]}》" if self.keep else pair[0]


def _end_line(node: Any, pieces: list[str]) -> None:
    """Ends the line at the edge of a block, unless nothing stands on it."""
    if node.tag in _BLOCKS and pieces and not pieces[-1].endswith("\n"):
        pieces.append("\n")

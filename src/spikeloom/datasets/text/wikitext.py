"""Wikitext to plain text, in one pass over it.

What a reader sees of the prose is kept: the text of links, headings on lines of their own, items of lists without their
marks. Dropped, as nothing but MediaWiki itself can expand them: templates, parameters, tables, notes (`<ref>`), files,
categories, links to other languages, formulas, code, galleries, comments and magic words.
"""

from __future__ import annotations

import html
import re

MAX_DEPTH = 40
"""Brackets nested deeper than this are text, as MediaWiki nests templates to a limit too."""

_DROPPED = (
    "ref|references|math|chem|ce|gallery|timeline|syntaxhighlight|source|score|imagemap|templatestyles|graph|mapframe|"
    "maplink|hiero|section|indicator|templatedata|inputbox|categorytree|dynamicpagelist|charinsert|poem-note"
)
_VERBATIM = "nowiki|pre"
_TAG = re.compile(rf"<!--|<(/?)({_DROPPED}|{_VERBATIM})\b([^<>]*?)(/?)>", re.IGNORECASE)
_MARKS = re.compile(r"\{{2,}|\}{2,}|\[\[|\]\]|^[ \t:]*\{\|(?!\})|^[ \t]*\|\}(?!\})", re.MULTILINE)
_NAMESPACES = frozenset((
    "file", "image", "media", "category", "datei", "bild", "kategorie", "fichier", "catégorie", "archivo",
    "imagen", "categoría", "immagine", "categoria", "ficheiro", "imagem", "bestand", "afbeelding",
    "categorie", "файл", "изображение", "категория", "plik", "grafika", "kategoria", "fil", "kategori",
    "ファイル", "画像", "カテゴリ", "文件", "图像", "分类", "파일", "분류", "soubor", "ملف", "تصنيف",
))  # fmt: skip
"""The names of files, pictures and categories in the larger Wikipedias."""
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]{2,8})*")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:)?//?[^\s\[\]]+(?:[ \t]([^\[\]\n]*))?\]")
_LIST = re.compile(r"^[*#:;]+[ \t]*", re.MULTILINE)
_RULE = re.compile(r"^-{4,}", re.MULTILINE)
_MAGIC = re.compile(r"__[A-ZＡ-Ｚ]{3,30}__")
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|hr)\b[^<>]*>", re.IGNORECASE)
_ELEMENT = re.compile(r"</?[A-Za-z][^<>]*>")
_HUGE = re.compile(r"&#[0-9]{9,};?")
_QUOTES = re.compile(r"'{2,5}")
_SPACES = re.compile(r"[ \t\u00a0]+")
_SPECIAL = str.maketrans({mark: f"&#{ord(mark)};" for mark in "[]{}|'=*#:;<>_-"})


def plain_text(wikitext: str) -> str:
    """The prose of a page's wikitext, in paragraphs with an empty line between."""
    text = _without_brackets(_without_tags(wikitext))
    text = _EXTERNAL.sub(lambda match: match[1] or "", text)
    for pattern, instead in ((_LIST, ""), (_RULE, ""), (_MAGIC, ""), (_BREAK, "\n")):
        text = pattern.sub(instead, text)
    lines = [_SPACES.sub(" ", line).strip() for line in unescaped(_QUOTES.sub("", _ELEMENT.sub("", text))).splitlines()]
    lines = [part for line in lines for part in _heading(line)]
    kept = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    return "\n".join(kept).strip()


def unescaped(text: str) -> str:
    """The text with entities such as `&amp;` and `&#12354;` as characters."""
    # html.unescape raises for numbers of more than 4,300 digits.
    return html.unescape(_HUGE.sub("\ufffd", text))


def _heading(line: str) -> tuple[str, ...]:
    """The lines of a line: a heading `== A ==` is A between empty ones."""
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    inner = line[level : len(line) - level].strip()
    return ("", inner, "") if level and inner else (line,)


def _without_tags(text: str) -> str:
    """The text without comments and without the elements whose content is dropped; `<nowiki>` as entities."""
    # The one letter whose lower case is longer than itself.
    lower = text.replace("İ", "i").lower()
    last: dict[str, int] = {}
    pieces, at = [], 0
    while (match := _TAG.search(text, at)) is not None:
        pieces.append(text[at : match.start()])
        name, at = (match[2] or "").lower(), match.end()
        if not name:
            end = text.find("-->", at)
            at = len(text) if end < 0 else end + 3
        elif not match[1] and not match[4]:
            # An element that is never closed drops its tag alone; asked once for each name, so that it stays linear.
            if name not in last:
                last[name] = lower.rfind(f"</{name}")
            if last[name] >= at:
                start, end = at, lower.find(f"</{name}", at)
                at = text.find(">", end) + 1 or len(text)
                pieces.append(text[start:end].translate(_SPECIAL) if name in _VERBATIM.split("|") else "")
    return "".join([*pieces, text[at:]])


def _without_brackets(text: str) -> str:
    """The text without templates and tables, and with what is shown of each link."""
    frames: list[_Frame] = [_Frame("", 0)]
    at = 0
    for match in _MARKS.finditer(text):
        frames[-1].pieces.append(text[at : match.start()])
        mark, at = match[0], match.end()
        if mark[0] == "{" or mark == "[[" or mark.endswith("{|"):
            _open(frames, mark)
        else:
            _close(frames, mark)
    frames[-1].pieces.append(text[at:])
    while len(frames) > 1:
        _unopened(frames)
    return "".join(frames[0].pieces)


class _Frame:
    """An open bracket: how it was written, how many braces of it are unclosed, and the text within so far."""

    def __init__(self, mark: str, braces: int) -> None:
        self.mark, self.braces = mark, braces
        self.pieces: list[str] = []


def _open(frames: list[_Frame], mark: str) -> None:
    if len(frames) > MAX_DEPTH:
        frames[-1].pieces.append(mark)
    else:
        frames.append(_Frame(mark, len(mark) if mark[0] == "{" and "|" not in mark else 0))


def _close(frames: list[_Frame], mark: str) -> None:
    """Closes what the mark closes; one that closes nothing is text."""
    kind = "[[" if mark == "]]" else "{|" if "|" in mark else "{{"
    left = len(mark) if kind == "{{" else 0
    while True:
        place = next((k for k in range(len(frames) - 1, 0, -1) if _is(frames[k], kind)), 0)
        if not place:
            if not left or left == len(mark):
                frames[-1].pieces.append(mark)
            return
        while len(frames) - 1 > place:
            _unopened(frames)
        if kind == "[[":
            inner = "".join(frames.pop().pieces)
            frames[-1].pieces.append(_shown(inner))
            return
        closed = min(left, frames[-1].braces)
        left, frames[-1].braces = left - closed, frames[-1].braces - closed
        if frames[-1].braces < 2:
            frames.pop()
        if left < 2:
            return


def _is(frame: _Frame, kind: str) -> bool:
    return frame.braces > 0 if kind == "{{" else frame.mark.endswith(kind) and not frame.braces


def _unopened(frames: list[_Frame]) -> None:
    """Makes the innermost bracket, which nothing closes, text."""
    frame = frames.pop()
    frames[-1].pieces += [frame.mark, *frame.pieces]


def _shown(inner: str) -> str:
    """What a reader sees of `[[inner]]`."""
    target, bar, label = inner.partition("|")
    prefix, colon, rest = target.strip().partition(":")
    name = prefix.strip().lower()
    language = _LANGUAGE.fullmatch(name) is not None and not bar and rest[:1].strip()
    if colon and (name in _NAMESPACES or language):
        return ""
    return label if bar else target.strip().removeprefix(":")

"""Aozora Bunko's notation in plain text: ruby, notes and gaiji, with the header before and the colophon behind.

Source: Aozora Bunko, "Chuki ichiran" (list of annotations) and "Text-ban ni arawareru kigo" (signs in the text).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .gaiji import GETA, character, joined_accents

Readings = list[tuple[str, str]]

MAX_NOTE = 2000
"""A note longer than this, in characters, is no note: its bracket is text."""
_SIGNS = "《》［］｜〔〕※＃"
_HIDDEN = {sign: chr(0xFDD0 + k) for k, sign in enumerate(_SIGNS)}
"""Stand-ins, noncharacters of Unicode, for signs that a gaiji note gives: they are text."""
_UNKNOWN = chr(0xFDDF)
_HIDE = str.maketrans(_HIDDEN)
_SHOW = str.maketrans({stand_in: sign for sign, stand_in in _HIDDEN.items()})
_INNER = str.maketrans({chr(0xFDD0 + k): "\ufffd" for k in range(32)})
_RULE = re.compile(r"^-{10,}[ \t]*$", re.MULTILINE)
_COLOPHON = re.compile(r"^底本[^\n：:]{0,20}[：:]", re.MULTILINE)
_KANJI = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff々〆〇仝ヶ" + _UNKNOWN + _HIDDEN["※"]
_BASES = (
    f"[{_KANJI}]+",
    r"[\u3041-\u3096ゝゞ]+",
    r"[\u30a1-\u30fe]+",
    r"[Ａ-Ｚａ-ｚ０-９Α-Ωα-ωА-Яа-яЁё＆’，．－]+",
    r"[A-Za-z0-9\u00c0-\u024f#&'.,-]+",
)
_BASE = re.compile(f"(?:{'|'.join(_BASES)})$")
_RUBY = re.compile(r"｜([^｜《》\n]{1,200})《([^《》\n]{1,200})》|《([^《》\n]{1,200})》")
_BRACKET = re.compile("[［］]")
_LONGEST = 200
_MAX_HEADER = 8


@dataclass(slots=True)
class Work:
    """A work: what its header says, its text, (base, reading) of each ruby, and its colophon."""

    title: str = ""
    text: str = ""
    colophon: str = ""
    people: dict[str, str] = field(default_factory=dict)
    readings: Readings = field(default_factory=list)


def read_text(source: str, gaiji: str, keep_readings: bool) -> Work:
    """The work in a text of Aozora Bunko with line feeds as line ends.

    Ruby is taken off, or kept as `漢字《かんじ》`; notes are taken off, and the lines that hold nothing else. A gaiji
    becomes its character where its note gives a code, else nothing, or a geta mark (`gaiji` "mark").
    """
    head, body, colophon = _parts(source)
    readings: Readings = []
    work = Work(text=converted(body, gaiji, keep_readings, readings).strip("\n"), readings=readings)
    lines = [converted(line, gaiji, False, []).strip() for line in head.splitlines()]
    work.title, work.people = header([line for line in lines if line])
    work.colophon = converted(colophon, gaiji, False, []).strip()
    return work


def converted(text: str, gaiji: str, keep_readings: bool, readings: Readings) -> str:
    """The text without notes and ruby; the ruby is added to `readings`."""
    text = _without_notes(text.translate(_INNER))
    text = joined_accents(text.replace("／″＼", "〴〵").replace("／＼", "〳〵"))
    text = _without_ruby(text, keep_readings, readings, gaiji)
    return _shown(text.replace("｜", ""), gaiji)


def header(lines: list[str]) -> tuple[str, dict[str, str]]:
    """(title, the rest by its part) of the lines of a header: translator and editor are named so, author comes last."""
    found: dict[str, str] = {}
    rest = list(lines)
    for part, ends in (("translator", ("訳", "訳者")), ("editor", ("編", "校訂", "編者"))):
        while len(rest) > 1 and rest[-1].endswith(ends):
            found[part] = rest.pop()
    title = rest.pop(0) if rest else ""
    if rest:
        found["author"] = rest.pop()
    if rest:
        found["subtitle"] = " ".join(rest)
    return title, found


def _parts(source: str) -> tuple[str, str, str]:
    """(header, body, colophon): a few lines before the first empty one are the header; the legend is left out."""
    source = source.lstrip("\n")
    head, gap, rest = source.partition("\n\n")
    if not gap or head.count("\n") >= _MAX_HEADER:
        head, rest = "", source
    rules = [*_RULE.finditer(source)][:2]
    if len(rules) == 2 and "テキスト中に現れる記号" in source[rules[0].end() : rules[1].start()]:
        head, rest = source[: rules[0].start()], source[rules[1].end() :]
    end = _COLOPHON.search(rest)
    return (head, rest, "") if end is None else (head, rest[: end.start()], rest[end.start() :])


def _without_notes(text: str) -> str:
    """The text without ［＃…］, which may nest, and with the character of each ※［＃…］."""
    ends, pieces, at = _ends_of_notes(text), [], 0
    for start, end in sorted(ends.items()):
        if start < at:
            continue
        before, note = text[at:start], text[start + 2 : end - 1]
        alone = (not before or before.endswith("\n")) and (start == 0 or text[start - 1] == "\n")
        if before.endswith("※"):
            given = character(note)
            before = before[:-1] + (_UNKNOWN if given is None else given.translate(_HIDE))
        elif alone and text[end : end + 1] == "\n":
            end += 1
        pieces.append(before)
        at = end
    return "".join([*pieces, text[at:]])


def _ends_of_notes(text: str) -> dict[int, int]:
    """The place behind the ］ that closes a note of at most MAX_NOTE characters, by the place where it opens."""
    opened: list[int] = []
    ends: dict[int, int] = {}
    for match in _BRACKET.finditer(text):
        if match[0] == "［":
            opened.append(match.start())
        elif opened and match.end() - (start := opened.pop()) <= MAX_NOTE and text.startswith("＃", start + 1):
            ends[start] = match.end()
    return ends


def _without_ruby(text: str, keep: bool, readings: Readings, gaiji: str) -> str:
    """The text with its ruby taken off or, where `keep`, as base《reading》."""
    pieces, at = [], 0
    for match in _RUBY.finditer(text):
        before = text[at : match.start()]
        base, reading = match[1], match[2] or match[3]
        if base is None:
            found = _BASE.search(before[-_LONGEST:])
            base = found[0] if found else ""
            before = before[: len(before) - len(base)]
        readings.append((_shown(base, gaiji), _shown(reading, gaiji)))
        pieces += [before, base, f"{_HIDDEN['《']}{reading}{_HIDDEN['》']}" if keep else ""]
        at = match.end()
    return "".join([*pieces, text[at:]])


def _shown(text: str, gaiji: str) -> str:
    """The text with the signs and the mark, or nothing, in place of their stand-ins."""
    return text.replace(_UNKNOWN, GETA if gaiji == "mark" else "").translate(_SHOW)

"""Characters that JIS X 0208 lacks, as Aozora Bunko writes them: by code point, by men-ku-ten, and accents apart.

Sources: Aozora Bunko, "Chuki ichiran" (list of annotations), section gaiji, and "Accent bunkai" (separated accents).
"""

from __future__ import annotations

import re
import unicodedata

GETA = "〓"
"""What a character that cannot be resolved is marked with."""

_UNICODE = re.compile(r"U\+([0-9A-Fa-f]{4,6})")
_MEN_KU_TEN = re.compile(r"(?<![\d-])([12])-(\d{1,2})-(\d{1,2})(?![\d-])")
_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", ":": "\u0308", "&": "\u030a", ",": "\u0327",
    "_": "\u0304",
}  # fmt: skip
_JOINED = {
    "AE&": "Æ", "ae&": "æ", "OE&": "Œ", "oe&": "œ", "s&": "ß", "O/": "Ø", "o/": "ø", "!@": "¡", "?@": "¿",
}  # fmt: skip
_SEPARATED = re.compile(
    r"(?:AE|ae|OE|oe|s)&|[Oo]/|[!?]@|(?<![Qq])[Uu]'|[AEIOYaeioy]'|[AEIOUaeiou][`^:_]|y:|[ANOano]~|[Aa]&|[Cc],"
)
"""The pairs of the table; `qu'` is the French word, not an accent."""
_BRACKETS = re.compile(r"〔([^〔〕\n]*)〕")


def character(note: str) -> str | None:
    """The character of a gaiji note such as `「口＋世」、U+546D` or `「てへん＋劣」、第3水準1-84-77`, or None."""
    if (code := _UNICODE.search(note)) is not None:
        return _scalar(int(code[1], 16))
    if (place := _MEN_KU_TEN.search(note)) is not None:
        return from_jis(*(int(number) for number in place.groups()))
    return None


def from_jis(men: int, ku: int, ten: int) -> str | None:
    """The character of plane, row and cell of JIS X 0213:2004, or None where there is none."""
    if men not in (1, 2) or not (1 <= ku <= 94 and 1 <= ten <= 94):
        return None
    prefix = b"\x8f" if men == 2 else b""
    try:
        return (prefix + bytes([0xA0 + ku, 0xA0 + ten])).decode("euc_jis_2004")
    except UnicodeDecodeError:
        return None


def joined_accents(text: str) -> str:
    """The text with `〔e'tude〕` as `étude`; brackets without an accent stay as they are."""
    return _BRACKETS.sub(_joined, text)


def _joined(match: re.Match[str]) -> str:
    inner, count = _SEPARATED.subn(_composed, match[1])
    return inner if count else match[0]


def _composed(match: re.Match[str]) -> str:
    pair = match[0]
    return _JOINED.get(pair) or unicodedata.normalize("NFC", pair[0] + _ACCENTS[pair[1]])


def _scalar(code: int) -> str | None:
    """The character of a code point that is one, and no control, private or surrogate."""
    if code > 0x10FFFF or unicodedata.category(chr(code))[0] == "C":
        return None
    return chr(code)

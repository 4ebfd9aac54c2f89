"""Bytes to text: which encoding it is, where that is certain."""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from pathlib import Path

from ...errors import DataError, ParameterError

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
JAPANESE = ("cp932", "euc_jp")
NORMAL_FORMS = ("NFC", "NFKC")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_PRIVATE = re.compile("[\x80-\x9f\ue000-\uf8ff]")
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_SAMPLE = 1 << 16
_PLAIN = frozenset(range(32, 127)) | {9, 10, 12, 13}


def read_limited(path: Path, max_bytes: int, owner: str) -> bytes:
    """The content of a regular file; DataError where there is none, or where it has more than `max_bytes`."""
    if not path.is_file():
        raise DataError(f"{owner}: expected a file {str(path)!r}, there is none")
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        size = os.path.getsize(path)
        raise DataError(f"{path}: expected at most {max_bytes} bytes, got {size}; see max_bytes")
    return data


def decode(data: bytes, source: str, encoding: str | None = None, fallback: str | None = None) -> tuple[str, str]:
    """(text, encoding) of a file's bytes; the byte-order mark is not part of the text.

    Without `encoding` it is, in this order: what a byte-order mark says; UTF-16 where every other byte of plain text is
    zero; UTF-8 where that is valid; cp932 (Shift_JIS) or EUC-JP where just one of them is valid and reads as Japanese,
    with kana that are not mostly half-width. `fallback`, such as "latin-1", is taken where none of these is. Raises
    DataError for binary data and for what is undecided, with the candidates and the offset of the first byte in doubt.
    """
    for mark, name in BOMS:
        if data.startswith(mark) and (encoding is None or codecs.lookup(encoding).name.startswith(name[:6])):
            return _strict(data[len(mark) :], name, source, len(mark)), name
    if encoding is not None:
        return _strict(data, encoding, source, 0), encoding
    if (wide := _wide(data)) is not None:
        return _strict(data, wide, source, 0), wide
    if (control := _CONTROL.search(data)) is not None:
        at = control.start()
        raise DataError(f"{source}: expected text, got binary data: the byte {data[at]:02x} at {at}; see encoding")
    return _guessed(data, source, fallback)


def normalised(text: str, form: str | None) -> str:
    """The text with line feeds as line ends and in the normal form, NFC or NFKC, or as it is where that is None."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if form is None else unicodedata.normalize(form, text)  # type: ignore[arg-type]


def check_form(form: str | None, owner: str) -> str | None:
    """The normal form; ParameterError for another than NFC, NFKC and None."""
    if form is not None and form not in NORMAL_FORMS:
        raise ParameterError(f"{owner}.normal_form must be 'NFC', 'NFKC' or None, got {form!r}")
    return form


def check_encoding(name: str | None, owner: str) -> str | None:
    """The name of a text encoding of Python, or None; ParameterError for anything else."""
    try:
        known = name is None or "".encode(name) is not None
    except (LookupError, TypeError, ValueError):
        known = False
    if not known:
        raise ParameterError(f"{owner} must be a text encoding such as 'utf-8' or 'cp932', got {name!r}")
    return name


def _strict(data: bytes, encoding: str, source: str, skipped: int) -> str:
    """The text of the bytes; DataError, with the offset of the first that is none."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        at, what = error.start + skipped, data[error.start : error.start + 4].hex(" ")
        raise DataError(f"{source}: expected {encoding} text, got the bytes {what} at {at} ({error.reason})") from error


def _wide(data: bytes) -> str | None:
    """UTF-16 in the byte order that makes at least a third of it plain ASCII text, where one does."""
    if not data or len(data) % 2:
        return None
    for name, zeros, others in (("utf-16-le", data[1::2], data[::2]), ("utf-16-be", data[::2], data[1::2])):
        if 3 * zeros.count(0) >= len(zeros) and not others.count(0):
            plain = sum(byte in _PLAIN for byte in others[:4096])
            return name if 3 * plain >= len(others[:4096]) else None
    return None


def _guessed(data: bytes, source: str, fallback: str | None) -> tuple[str, str]:
    """(text, encoding) of bytes that say nothing of their encoding."""
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        at, reason = error.start, error.reason
    valid = {}
    for name in JAPANESE:
        try:
            valid[name] = data.decode(name)
        except UnicodeDecodeError:
            continue
    japanese = [name for name, text in valid.items() if _reads_as_japanese(text)]
    if len(japanese) == 1:
        return valid[japanese[0]], japanese[0]
    if fallback is not None:
        return _strict(data, fallback, source, 0), fallback
    candidates = ", ".join(japanese or [*valid, "latin-1"])
    raise DataError(
        f"{source}: the encoding is undecided: not UTF-8, for the byte {data[at]:02x} at {at} ({reason}); it may be "
        f"{candidates}; give encoding="
    )


def _reads_as_japanese(text: str) -> bool:
    """Whether there are kana, nothing private, and at most half of what is not ASCII is of half width, at first."""
    start = text[:_SAMPLE]
    half, foreign = len(_HALF_WIDTH.findall(start)), len(_NOT_ASCII.findall(start))
    return _KANA.search(text) is not None and _PRIVATE.search(text) is None and 2 * half <= foreign

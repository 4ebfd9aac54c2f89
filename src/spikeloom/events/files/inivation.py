"""Headers of AEDAT files: lines of text that begin with "#" and end with CR LF, and the cameras that they name.

Source: iniVation, "AEDAT file formats"; the chip classes of jAER.
"""

from __future__ import annotations

import re

from ...errors import DataError
from .format import HEAD, Size

DVS128 = "dvs128"
CAMERAS: dict[str, Size] = {
    DVS128: (128, 128),
    "davis128": (128, 128),
    "davis208": (208, 192),
    "davis240": (240, 180),
    "davis346": (346, 260),
    "davis640": (640, 480),
}
"""The cameras and their sizes, (width, height)."""

_LINE = re.compile(rb"#[\t -~\x80-\xff]*\r?\n")
_SIZE = re.compile(r"sensor size:? *(\d{1,5}) *x *(\d{1,5})", re.IGNORECASE)


def header_lines(head: bytes, version: str, end: str) -> tuple[int, list[str]]:
    """The length of an AEDAT header and its lines, without the "#". It ends with the line `end`, or with the first line
    that is none. DataError for another version, or for a header that does not end.
    """
    first = f"#!AER-DAT{version}"
    if not re.match(re.escape(first.encode()) + rb"\r?\n", head):
        raise DataError(f"byte 0: expected the line {first!r}, got {head[:20]!r}")
    at = 0
    lines: list[str] = []
    while (line := _LINE.match(head, at)) is not None:
        at = line.end()
        text = line[0].decode("latin-1").strip()
        if text == end:
            return at, lines
        lines.append(text[1:].strip())
    if len(head) == HEAD and b"\n" not in head[at:]:
        raise DataError(f"byte {at}: expected the end of the header within {HEAD} bytes, got more of it")
    return at, lines


def size_line(sensor_size: Size) -> str:
    """A header line, which other readers pass over, that tells the sensor's size."""
    return f"# Sensor size: {sensor_size[0]} x {sensor_size[1]}\r\n"


def told_size(lines: list[str]) -> Size | None:
    """The size that such a line tells."""
    found = next((match for line in lines if (match := _SIZE.fullmatch(line))), None)
    if found is None:
        return None
    width, height = int(found[1]), int(found[2])
    if not (1 <= width <= 1 << 15 and 1 <= height <= 1 << 15):
        raise DataError(f"byte 0: expected a sensor size of 1 to {1 << 15} pixels a side, got {width} x {height}")
    return width, height


def camera_of(text: str) -> str | None:
    """The camera that a source ('DAVIS240C') or a chip class ('eu...davis.Davis346B') names; None for another."""
    name = text.rpartition(".")[2].lower()
    found = re.match(r"(dvs128)|(?:davis|dvs)[a-z]*(128|208|240|346|640)", name)
    return None if found is None else found[1] or f"davis{found[2]}"

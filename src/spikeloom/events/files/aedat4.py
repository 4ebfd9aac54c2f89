"""AEDAT 4.0: packets of FlatBuffers, each compressed on its own, behind a header that is one too.

Packets that are compressed with LZ4 or Zstandard need a package (pip install 'spikeloom[formats]'); new files are not
compressed. Of several event streams that of the lowest number is read; packets of other streams are skipped. Source:
iniVation, "AEDAT 4.0"; its FlatBuffers schemas `ioheader.fbs` and `events.fbs`; Google, "FlatBuffers: internals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import numpy as np

from ...errors import DataError, UnsupportedError
from ..container import LARGEST_SIDE, Events
from .bounded import BoundedFile
from .columns import Columns
from .fields import put_checked
from .format import Damage, Format, Size, Source, Step

MAGIC = b"#!AER-DAT4.0\r\n"
PACKET = 1 << 13
"""Events in a packet of a new file."""
RECORD = np.dtype({"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12],
                   "itemsize": 16})  # fmt: skip

COMPRESSIONS = ("none", "LZ4", "LZ4 high", "Zstandard", "Zstandard high")
SWELL = 256
"""Bytes that a byte of a packet may become; LZ4 gets to 255."""

_HEADER = struct.Struct("<I4s6x5HiiIq")
"""IOHeader: root, identifier; vtable; table: way to the vtable, compression, way to infoNode, dataTablePosition."""
_PACKET = struct.Struct("<I4s2x3HiII")
"""EventPacket: root, identifier; vtable; table: way to the vtable, way to the vector; the vector's length."""
_NODE = """<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">
<node name="0" path="/mainloop/Recorder/outInfo/0/">
<attr key="compression" type="string">NONE</attr>
<attr key="originalOutputName" type="string">events</attr>
<attr key="typeIdentifier" type="string">EVTS</attr>
<node name="info" path="/mainloop/Recorder/outInfo/0/info/">
<attr key="sizeX" type="int">{0}</attr><attr key="sizeY" type="int">{1}</attr>
<attr key="source" type="string">spikeloom</attr>
</node></node></node></dv>"""


class AEDAT4(Format):
    """Files of iniVation's DV."""

    name = "aedat4"
    suffixes = (".aedat4",)
    memory_per_byte = 2 * SWELL

    def recognises(self, head: bytes, size: int) -> bool:
        return head.startswith(b"#!AER-DAT4.")

    def open(self, path: Path, block_bytes: int) -> Source:
        return Aedat4Source(path)

    def write(self, file: IO[bytes], blocks: Iterable[Events], sensor_size: Size) -> None:
        node = _NODE.format(*sensor_size).encode()
        text = struct.pack("<I", len(node)) + node + bytes(8 - len(node) % 8)
        header = _HEADER.pack(24, b"IOHE", 10, 24, 4, 12, 8, 10, 0, 16, -1) + bytes(4) + text
        file.write(MAGIC + struct.pack("<I", len(header)) + header)
        for block in blocks:
            for begin in range(0, len(block), PACKET):
                part = block[begin : begin + PACKET]
                records = np.zeros(len(part), RECORD)
                for name in RECORD.names or ():
                    records[name] = getattr(part, name)
                body = _PACKET.pack(16, b"EVTS", 6, 8, 4, 6, 4, len(part)) + records.tobytes()
                file.write(struct.pack("<iiI", 0, len(body) + 4, len(body)) + body)


class Aedat4Source(Source):
    """An open file. A place is the byte of a packet, and how many packets of other streams stood before it."""

    unit = "byte"

    def __init__(self, path: Path) -> None:
        self._file = BoundedFile(path)
        self._size = path.stat().st_size
        try:
            length, compression, self._end, node = self._head()
            self._stream, self.sensor_size, self.header = _streams(node)
            self._decompressor = _decompressor(compression)
        except (DataError, UnsupportedError) as error:
            self._file.close()
            raise type(error)(f"{path}, {error}") from error
        self.header["compression"] = COMPRESSIONS[compression]
        self.begin = (length, 0)

    def block(self, place: tuple[int, int], out: Columns) -> Step:
        at, others = place
        if at == self._end:
            return Step(place, True)
        try:
            stream, body = self._packet(at)
            if stream != self._stream:
                return Step((at + 8 + len(body), others + 1), False)
            records = _records(_unpacked(body, self._decompressor))
        except DataError as error:
            return Step(place, True, Damage(at, "a packet", str(error), self.unit))
        damage = put_checked(out, [records[name] for name in "txyp"], 0)
        damage = None if damage is None else Damage(at, f"{damage.expected} in a packet", damage.got, self.unit)
        return Step((at + 8 + len(body), others), damage is not None, damage)

    def done(self, place: tuple[int, int]) -> float:
        return place[0] / self._size

    def where(self, place: tuple[int, int], event: int) -> int:
        return place[0]

    def skipped(self, place: tuple[int, int]) -> dict[str, int]:
        return {"packets of other streams": place[1]}

    def close(self) -> None:
        self._file.close()

    def _head(self) -> tuple[int, int, int, bytes]:
        """Where the packets begin, how they are compressed, where they end, and the text about the streams."""
        start = self._file.read(len(MAGIC) + 4)
        if not start.startswith(MAGIC):
            raise DataError(f"byte 0: expected the line {MAGIC.strip().decode()!r}, got {start!r}")
        length = int.from_bytes(start[len(MAGIC) :], "little")
        data = self._file.read(length)
        if len(start) < len(MAGIC) + 4 or len(data) < length:
            raise DataError(f"byte {len(MAGIC)}: expected a header within the {self._size} bytes, got {length}")
        begin = len(start) + length
        try:
            table = _root(data, b"IOHE")
            at = _slot(data, table, 0)
            compression = _number(data, "<i", at) if at else 0
            at = _slot(data, table, 1)
            end = _number(data, "<q", at) if at else -1
            at = _slot(data, table, 2)
            node = _vector(data, at, 1) if at else b""
        except DataError as error:
            raise DataError(f"byte {len(start)}: expected a header, got one with {error}") from error
        if not 0 <= compression < len(COMPRESSIONS):
            raise DataError(f"byte {len(start)}: expected a compression of 0 to 4, got {compression}")
        if end >= 0 and end < begin:
            raise DataError(f"byte {len(start)}: expected the table of packets behind byte {begin}, got it at {end}")
        return begin, compression, end if end >= 0 else self._size, node

    def _packet(self, at: int) -> tuple[int, bytes]:
        """The stream and the bytes of the packet at a byte."""
        self._file.seek(at)
        head = self._file.read(8)
        if len(head) < 8:
            raise DataError(f"{len(head)} bytes at the end of the file")
        stream, length = struct.unpack("<ii", head)
        body = self._file.read(max(length, 0))
        if length < 0 or len(body) < length or at + 8 + length > self._end:
            raise DataError(f"one of {length} bytes, of which {len(body)} are there")
        return stream, body


def _streams(node: bytes) -> tuple[int, Size, dict[str, Any]]:
    """The first stream of events, its sensor's size, and the types of all streams, from the text about them."""
    where = f"byte {len(MAGIC)}: expected XML about the streams"
    if b"<!" in node:
        raise DataError(f"{where}, got a document type or comment")
    try:
        root = ElementTree.fromstring(node)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{where}, got {error}") from error
    streams: dict[int, dict[str, str]] = {}
    for parent in root.iter("node"):
        if parent.get("name") == "outInfo":
            for each in parent.findall("node"):
                name = each.get("name") or ""
                if name.isdecimal() and len(name) < 10:
                    streams[int(name)] = {str(attr.get("key")): attr.text or "" for attr in each.iter("attr")}
    kinds = {f"stream {number}": told.get("typeIdentifier", "") for number, told in sorted(streams.items())}
    events = [number for number, told in sorted(streams.items()) if told.get("typeIdentifier") == "EVTS"]
    if not events:
        raise DataError(
            f"byte {len(MAGIC)}: expected a stream of events (EVTS), got {', '.join(kinds.values()) or 'none'}"
        )
    sides = [streams[events[0]].get(name, "") for name in ("sizeX", "sizeY")]
    width, height = (int(side) if side.isdecimal() and len(side) < 6 else 0 for side in sides)
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise DataError(f"byte {len(MAGIC)}: expected 1 to {LARGEST_SIDE} pixels a side, got {' x '.join(sides)}")
    return events[0], (width, height), dict(kinds)


def _decompressor(compression: int) -> Any:
    """The class that unpacks packets, None where they are not packed; UnsupportedError where its package is missing."""
    if compression == 0:
        return None
    lz4, zstd = ("lz4.frame",), ("compression.zstd", "backports.zstd")
    for module in lz4 if compression <= 2 else zstd:
        try:
            return getattr(import_module(module), "LZ4FrameDecompressor" if compression <= 2 else "ZstdDecompressor")
        except ImportError:
            continue
    raise UnsupportedError(
        f"packets compressed with {COMPRESSIONS[compression]} need a package; pip install 'spikeloom[formats]'"
    )


def _unpacked(body: bytes, decompressor: Any) -> bytes:
    """A packet as it was before it was compressed."""
    if decompressor is None:
        return body
    unpack = decompressor()
    try:
        data: bytes = unpack.decompress(body, max_length=SWELL * (len(body) + 1))
    except Exception as error:
        raise DataError(f"one that cannot be unpacked: {error}") from error
    if not unpack.eof:
        raise DataError(f"one that is cut short, or of more than {SWELL} times its {len(body)} bytes")
    return data


def _records(data: bytes) -> Any:
    """The events of a packet that is not compressed."""
    size = _number(data, "<I", 0)
    if size > len(data) - 4:
        raise DataError(f"one of {size} bytes in {len(data)}")
    inner = data[4:]
    at = _slot(inner, _root(inner, b"EVTS"), 0)
    return np.frombuffer(_vector(inner, at, RECORD.itemsize) if at else b"", RECORD)


def _number(data: bytes, kind: str, at: int) -> int:
    """A whole number of a FlatBuffer."""
    if not 0 <= at <= len(data) - struct.calcsize(kind):
        raise DataError(f"a number at byte {at} of {len(data)}")
    return int(struct.unpack_from(kind, data, at)[0])


def _root(data: bytes, identifier: bytes) -> int:
    """Where the root table of a FlatBuffer begins."""
    if data[4:8] != identifier:
        raise DataError(f"the identifier {data[4:8]!r} instead of {identifier!r}")
    return _number(data, "<I", 0)


def _slot(data: bytes, table: int, slot: int) -> int:
    """Where a field of a table begins; 0: it is not there, and has its default."""
    vtable = table - _number(data, "<i", table)
    if 4 + 2 * slot + 2 > _number(data, "<H", vtable):
        return 0
    offset = _number(data, "<H", vtable + 4 + 2 * slot)
    return table + offset if offset else 0


def _vector(data: bytes, at: int, size: int) -> bytes:
    """The elements, each of so many bytes, of the vector that a field leads to."""
    begin = at + _number(data, "<I", at)
    n = _number(data, "<I", begin)
    if n * size > len(data) - begin - 4:
        raise DataError(f"{n} elements of {size} bytes at byte {begin} of {len(data)}")
    return data[begin + 4 : begin + 4 + n * size]

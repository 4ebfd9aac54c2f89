"""Bytes that others have packed: LZF, LZ4, Zstandard and Blosc 1, unpacked into no more than is expected.

Every length is checked before it is used. ValueError for what is not as it should be. LZ4 and Zstandard need packages
(pip install 'spikeloom[formats]'). Sources: liblzf; the HDF5 filter LZ4; c-blosc 1.21, README_CHUNK_FORMAT.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from struct import error as StructError
from struct import unpack_from
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...native.compiled import compiled
from .columns import HEADER

MOST_SPLITS, SMALLEST_SPLIT = 16, 128
"""Blosc packs each byte of numbers of up to 16 bytes on its own, in blocks with 128 numbers or more."""
LARGEST_WINDOW = 25
"""The binary logarithm of the memory that Zstandard may look back at."""


def unzip(data: bytes, most: int) -> bytes:
    """The bytes that zlib has packed, at most `most` and one more."""
    unpack = zlib.decompressobj()
    try:
        found = unpack.decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(f"zlib: {error}") from error
    if not unpack.eof and len(found) <= most:
        raise ValueError("zlib: it ends too soon")
    return found


def unzstd(data: bytes, most: int) -> bytes:
    """The bytes of a frame of Zstandard, at most `most` and one more."""
    zstd = _package("Zstandard", "compression.zstd", "backports.zstd")
    options = {zstd.DecompressionParameter.window_log_max: LARGEST_WINDOW}
    try:
        unpack = zstd.ZstdDecompressor(options=options)
        found: bytes = unpack.decompress(data, most + 1)
    except zstd.ZstdError as error:
        raise ValueError(f"Zstandard: {error}") from error
    if not unpack.eof and len(found) <= most:
        raise ValueError("Zstandard: it ends too soon")
    return found


def unlz4_block(data: bytes, most: int) -> bytes:
    """The bytes of a block of LZ4, at most `most`."""
    block = _package("LZ4", "lz4.block")
    try:
        found: bytes = block.decompress(data, uncompressed_size=most)
    except block.LZ4BlockError as error:
        raise ValueError(f"LZ4: {error}") from error
    return found


def unlz4(data: bytes, most: int) -> bytes:
    """The bytes of a chunk of HDF5's filter LZ4: its length, that of a block, and the blocks, each behind its own."""
    try:
        length, block = unpack_from(">QI", data)
        if length > most or not block:
            raise ValueError(f"LZ4: expected up to {most} bytes in blocks, got {length} in blocks of {block}")
        parts, at, left = [], 12, length
        while left:
            size, whole = unpack_from(">I", data, at)[0], min(block, left)
            packed = data[at + 4 : at + 4 + size]
            parts.append(packed if size == whole else unlz4_block(packed, whole))
            _check_length(parts[-1], whole, "LZ4")
            at, left = at + 4 + size, left - whole
    except StructError as error:
        raise ValueError(f"LZ4: it ends too soon: {error}") from error
    return b"".join(parts)


def unlzf(data: bytes, most: int) -> bytes:
    """The bytes that LZF has packed, at most `most`."""
    if (library := compiled(HEADER)) is None:
        return reference_unlzf(data, most)
    out, length = np.empty(most, np.uint8), np.empty(1, np.int64)
    library.call("lzf_decode", np.frombuffer(data, np.uint8), len(data), out, most, length)
    if length[0] < 0:
        raise ValueError(f"LZF: expected up to {most} bytes")
    return out[: int(length[0])].tobytes()


def reference_unlzf(data: bytes, most: int) -> bytes:
    """The same in plain Python."""
    out, i = bytearray(), 0
    try:
        while i < len(data):
            control, i = data[i], i + 1
            if control < 32:
                _check_length(data[i : i + control + 1], control + 1, "LZF")
                out += data[i : i + control + 1]
                i += control + 1
            else:
                length = (control >> 5) + 2
                if length == 9:
                    length, i = length + data[i], i + 1
                start, i = len(out) - ((control & 31) << 8 | data[i]) - 1, i + 1
                if start < 0:
                    raise ValueError("LZF: bytes before the first")
                piece = out[start : start + length]
                out += (piece * (length // len(piece) + 1))[:length]
            if len(out) > most:
                raise ValueError(f"LZF: expected up to {most} bytes")
    except IndexError as error:
        raise ValueError("LZF: it ends too soon") from error
    return bytes(out)


BLOSC_CODECS: dict[int, Callable[[bytes, int], bytes]] = {1: unlz4_block, 3: unzip, 4: unzstd}
"""The codecs by their number in the flags of a chunk."""
BLOSC_NAMES = {0: "blosclz", 2: "snappy"}


def unblosc(data: bytes, most: int) -> bytes:
    """The bytes of a chunk of Blosc 1, at most `most`."""
    try:
        version, _, flags, size, n, block, packed = unpack_from("<4B3I", data)
        if version not in (1, 2) or n > most or packed != len(data) or not size:
            raise ValueError(f"Blosc: expected a chunk of Blosc 1 with up to {most} bytes, got {data[:16].hex(' ')}")
        if flags & 2:
            _check_length(data[16:], n, "Blosc")
            return data[16:]
        if flags & 8 or flags >> 5 not in BLOSC_CODECS:
            name = BLOSC_NAMES.get(flags >> 5, f"number {flags >> 5}")
            raise UnsupportedError(f"Blosc: the codec {name}, or differences, which are not unpacked here")
        if n and not 0 < block <= n:
            raise ValueError(f"Blosc: expected blocks of 1 to {n} bytes, got {block}")
        starts = range(0, n, block or 1)
        if 16 + 4 * len(starts) > len(data):
            raise ValueError(f"Blosc: expected {len(starts)} blocks in {len(data)} bytes")
        places = unpack_from(f"<{len(starts)}I", data, 16)
        return b"".join(
            _blosc_block(data, at, min(block, n - start), block, size, flags)
            for at, start in zip(places, starts, strict=True)
        )
    except StructError as error:
        raise ValueError(f"Blosc: it ends too soon: {error}") from error


def _blosc_block(data: bytes, at: int, n: int, block: int, size: int, flags: int) -> bytes:
    """The n bytes of a block that begins at a byte, of numbers of `size` bytes."""
    is_split = n == block and not flags & 16 and size <= MOST_SPLITS and block // size >= SMALLEST_SPLIT
    parts, count = [], size if is_split else 1
    for _ in range(count):
        packed = unpack_from("<I", data, at)[0]
        if packed > n // count:
            raise ValueError(f"Blosc: expected up to {n // count} bytes, got {packed}")
        piece = data[at + 4 : at + 4 + packed]
        _check_length(piece, packed, "Blosc")
        parts.append(piece if packed == n // count else BLOSC_CODECS[flags >> 5](piece, n // count))
        _check_length(parts[-1], n // count, "Blosc")
        at += 4 + packed
    found = b"".join(parts)
    if flags & 1 and size > 1:
        return unshuffled(found, size)
    if flags & 4 and n // size % 8 == 0:
        return _bits_unshuffled(found, size)
    return found


def unshuffled(data: bytes, size: int) -> bytes:
    """Numbers of `size` bytes, of which the first bytes of all stood first, then the second ones, and so on."""
    n = len(data) // size * size
    return np.frombuffer(data, np.uint8, n).reshape(size, -1).T.tobytes() + data[n:]


def _bits_unshuffled(data: bytes, size: int) -> bytes:
    """Numbers of `size` bytes, of which the lowest bits of all stood first, then the second ones, and so on."""
    n = len(data) // size
    bits = np.frombuffer(data, np.uint8, n * size).reshape(size, 8, n // 8)
    numbers = np.empty((n, size), np.uint8)
    for byte, rows in enumerate(bits):
        wide = np.unpackbits(rows, axis=1, bitorder="little")
        numbers[:, byte] = np.packbits(wide, axis=0, bitorder="little")[0]
    return numbers.tobytes() + data[n * size :]


def _check_length(part: bytes, expected: int, name: str) -> None:
    if len(part) != expected:
        raise ValueError(f"{name}: expected {expected} bytes, got {len(part)}")


def _package(what: str, *names: str) -> Any:
    """The first of the modules that is there."""
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise UnsupportedError(f"{what} needs a package; pip install 'spikeloom[formats]'")

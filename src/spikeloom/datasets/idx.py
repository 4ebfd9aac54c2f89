"""idx files: arrays as MNIST stores them, plain or gzipped.

Two zero bytes, a byte for the type, a byte for the number of dimensions, each dimension as a big-endian uint32, then
the values, big-endian, the last index fastest.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError

_TYPES = {code: np.dtype(name) for code, name in enumerate(("u1", "i1", "", ">i2", ">i4", ">f4", ">f8"), 8) if name}
_CODES = {dtype.newbyteorder("="): code for code, dtype in _TYPES.items()}
_MAX_DIMENSIONS = 32
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str], max_bytes: int = 1 << 32) -> NDArray[Any]:
    """The array of an idx file, in its shape and type and the machine's byte order.

    The content, not the name, decides whether it is gzipped. Never more is unpacked than the header announces, and
    that is at most `max_bytes`. Raises DataError where header and content disagree.
    """
    file = Path(path)
    with file.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            return _read(gzip.GzipFile(fileobj=raw) if zipped else raw, file, max_bytes)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"{file}: expected a whole gzip file, got a damaged one ({error}); fetch it again"
            ) from error


def write_idx(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    """Writes an array as an idx file, gzipped where the name ends with `.gz`; equal arrays give equal files."""
    file = Path(path)
    head = header(array)
    values = array.astype(_TYPES[head[2]], copy=False).tobytes()
    with file.open("wb") as raw:
        if file.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                packed.write(head + values)
        else:
            raw.write(head + values)


def header(array: NDArray[Any]) -> bytes:
    """The bytes that stand before the values of this array in an idx file."""
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(str(dtype) for dtype in _CODES)
        raise ParameterError(f"write_idx.array: idx files hold {known}, got {array.dtype}; convert with astype")
    if not 1 <= array.ndim <= _MAX_DIMENSIONS or max(array.shape) >= 1 << 32:
        raise ShapeError(f"write_idx.array must have 1 to {_MAX_DIMENSIONS} dimensions below 2**32, got {array.shape}")
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)


def _read(stream: IO[bytes] | gzip.GzipFile, file: Path, max_bytes: int) -> NDArray[Any]:
    """The array of an unpacked stream."""
    magic = _up_to(stream, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise DataError(
            f"{file}: expected an idx file (bytes 00 00, a type from 08 to 0e, 1 to {_MAX_DIMENSIONS} dimensions), "
            f"got the bytes {magic.hex(' ') or 'of an empty file'}"
        )
    dtype, ndim = _TYPES[magic[2]], magic[3]
    sizes = _up_to(stream, 4 * ndim)
    if len(sizes) < 4 * ndim:
        raise DataError(f"{file}: expected {ndim} dimensions of 4 bytes, got {len(sizes)} bytes; the file is cut short")
    shape = struct.unpack(f">{ndim}I", sizes)
    if dtype.itemsize * math.prod(max(size, 1) for size in shape) > max_bytes:
        raise DataError(
            f"{file}: expected at most {max_bytes} bytes of data, got shape {shape} of {dtype}; see max_bytes"
        )
    expected = dtype.itemsize * math.prod(shape)
    values = _up_to(stream, expected + 1)
    if len(values) != expected:
        got = "more" if len(values) > expected else f"{len(values)}; the file is cut short"
        raise DataError(f"{file}: expected {expected} bytes of data for shape {shape} of {dtype}, got {got}")
    return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _up_to(stream: IO[bytes] | gzip.GzipFile, count: int) -> bytearray:
    """The next `count` bytes, or those that are left; memory grows with what is there, not with what was announced."""
    data = bytearray()
    while chunk := stream.read(min(_CHUNK, count - len(data))):
        data += chunk
    return data

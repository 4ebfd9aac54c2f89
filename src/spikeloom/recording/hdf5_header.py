"""The object headers that `hdf5_messages` writes, read without HDF5, which takes twenty times as long.

Nothing in them is trusted: what does not look just as it is written here is not read, and is left to HDF5.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import prod
from struct import error, unpack_from
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .hdf5_messages import ATTRIBUTE, COMMENT, DATASPACE, DATATYPE, FILL, FILTERS, LAYOUT, dataspace, datatype

_FIRST_BYTES, _MOST_BYTES = 1 << 11, 1 << 20
_HEAD_BYTES, _MESSAGE_BYTES, _ATTRIBUTE_BYTES = 16, 8, 9
_MOST_RANK = 32
_KINDS = {0x11: "f", 0x13: "S", 0x36: "V"}
"""The NumPy kinds of types, by their versions and classes; those of integers depend on their sign."""
_TYPES = {
    datatype(np.dtype(name)): np.dtype(name) for name in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8")
}


class Header(NamedTuple):
    """What the header of a data set states: its shape, the NumPy kind of its type, and its attributes by name."""

    shape: tuple[int, ...]
    kind: str
    attributes: Mapping[str, NDArray[Any]]


def read_header(file: int, address: int) -> Header | None:
    """The header at an address of an open file, or None where none is that was written here.

    file: its descriptor.
    """
    try:
        content = os.pread(file, _FIRST_BYTES, address)
        version, n_messages, n_links, n_bytes = unpack_from("<BxHII4x", content)
        if (version, n_links) != (1, 1) or n_bytes > _MOST_BYTES:
            return None
        if _HEAD_BYTES + n_bytes > len(content):
            content = os.pread(file, _HEAD_BYTES + n_bytes, address)
        return _header(content[: _HEAD_BYTES + n_bytes], n_messages)
    except (OSError, OverflowError, error, ValueError, IndexError):
        return None


def _header(content: bytes, n_messages: int) -> Header | None:
    found: dict[int, bytes] = {}
    attributes: dict[str, NDArray[Any]] = {}
    at = _HEAD_BYTES
    for _ in range(n_messages):
        kind, n_bytes = unpack_from("<HH", content, at)
        body = content[at + _MESSAGE_BYTES : at + _MESSAGE_BYTES + n_bytes]
        at += _MESSAGE_BYTES + n_bytes
        if kind == ATTRIBUTE:
            name, value = _attribute(body)
            attributes[name] = value
        elif kind in (COMMENT, DATASPACE, DATATYPE, FILL, LAYOUT, FILTERS):
            found[kind] = body
        else:
            return None
    if at != len(content) or not {DATASPACE, DATATYPE, LAYOUT} <= set(found):
        return None
    return Header(_shape(found[DATASPACE]), _kind(found[DATATYPE]), attributes)


def _attribute(body: bytes) -> tuple[str, NDArray[Any]]:
    """The name and value of an attribute; ValueError for one that was not written here."""
    version, n_name, n_type, n_space = unpack_from("<BxHHH", body)
    kind = _ATTRIBUTE_BYTES + n_name
    space = kind + n_type
    value = space + n_space
    dtype, shape = _type(body[kind:space]), _shape(body[space:value])
    n_items = prod(shape)
    if version != 3 or n_items * dtype.itemsize > len(body) - value:
        raise ValueError
    name = body[_ATTRIBUTE_BYTES:kind].rstrip(b"\0").decode()
    return name, np.frombuffer(body, dtype, n_items, value).reshape(shape)


def _type(body: bytes) -> np.dtype[Any]:
    if (found := _TYPES.get(body)) is None:
        found = np.dtype(("S", unpack_from("<I", body, 4)[0]))
        if not 0 < found.itemsize <= _MOST_BYTES or datatype(found) != body:
            raise ValueError
    return found


def _kind(body: bytes) -> str:
    if body[0] == 0x10:
        return "i" if body[1] & 8 else "u"
    return _KINDS.get(body[0], "b")


def _shape(body: bytes) -> tuple[int, ...]:
    """The shape that a dataspace states; ValueError for one that was not written here."""
    rank = body[1]
    shape = unpack_from(f"<{rank}Q", body, 4) if rank <= _MOST_RANK else ()
    if not body.startswith(dataspace(shape)):
        raise ValueError
    return shape

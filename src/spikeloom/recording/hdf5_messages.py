"""The messages of which HDF5's object headers consist, in the short forms that HDF5 from 1.8 on reads.

Source: HDF5 File Format Specification, version 3.0, IV.A (object headers, version 1). Numbers are little-endian,
addresses and lengths have 8 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError

UNDEFINED = 0xFFFFFFFFFFFFFFFF
"""The address of what is not there."""
MOST_MESSAGE_BYTES = 0xFFF8
"""A message states its length in 16 bits, and is a multiple of 8 long."""
DATASPACE, DATATYPE, FILL, LAYOUT, FILTERS, ATTRIBUTE, COMMENT, _SYMBOLS = 0x1, 0x3, 0x5, 0x8, 0xB, 0xC, 0xD, 0x11
_CONSTANT = 1
_FLOATS = {2: (15, 10, 5, 15), 4: (31, 23, 8, 127), 8: (63, 52, 11, 1023)}
"""By size in bytes: the places of the sign and of the exponent, its bits, and its bias (IEEE 754)."""


def padded(content: bytes) -> bytes:
    """The content with zeros up to a multiple of 8 bytes."""
    return content + bytes(-len(content) % 8)


def group_header(tree: int, heap: int) -> bytes:
    """The object header of a group whose members lie in a B-tree and a heap at these addresses."""
    return _header([_message(_SYMBOLS, symbol_table(tree, heap))])


def symbol_table(tree: int, heap: int) -> bytes:
    """The 16 bytes of a group's header that say where its members are."""
    return pack("<QQ", tree, heap)


def dataset_header(
    name: str,
    dtype: np.dtype[Any],
    shape: Sequence[int],
    layout: bytes,
    filters: bytes | None,
    attributes: Mapping[str, NDArray[Any]],
) -> bytes:
    """The object header of a data set of this type, shape, layout and filter pipeline, with its attributes.

    A comment states its name, so that it is found when the groups that name it are damaged.
    """
    messages = [
        _message(COMMENT, name.encode() + b"\0"),
        _message(DATASPACE, dataspace(shape)),
        _message(DATATYPE, datatype(dtype), _CONSTANT),
        _message(FILL, pack("<BBBBI", 2, 2 if filters is None else 3, 2, 1, 0), _CONSTANT),
        _message(LAYOUT, layout),
    ]
    if filters is not None:
        messages.append(_message(FILTERS, filters, _CONSTANT))
    return _header(messages + [_message(ATTRIBUTE, _attribute(*item)) for item in attributes.items()])


def contiguous_layout(address: int, n_bytes: int) -> bytes:
    """Data that lie in one piece."""
    return pack("<BBQQ", 3, 1, address if n_bytes else UNDEFINED, n_bytes)


def chunked_layout(tree: int, chunk: Sequence[int], item_bytes: int) -> bytes:
    """Data in chunks of this shape, which a B-tree finds."""
    sizes = (*chunk, item_bytes)
    return pack(f"<BBBQ{len(sizes)}I", 3, 2, len(sizes), tree, *sizes)


def shuffle_and_deflate(item_bytes: int, level: int) -> bytes:
    """The filter pipeline: the bytes of each item taken apart, then zlib."""
    shuffle = pack("<HHHH8sII", 2, 8, 1, 1, b"shuffle", item_bytes, 0)
    return pack("<BB6x", 1, 2) + shuffle + pack("<HHHH8sII", 1, 8, 1, 1, b"deflate", level, 0)


def _header(messages: Sequence[bytes]) -> bytes:
    return pack("<BxHII4x", 1, len(messages), 1, sum(map(len, messages))) + b"".join(messages)


def _message(kind: int, body: bytes, flags: int = 0) -> bytes:
    body = padded(body)
    return pack("<HHB3x", kind, len(body), flags) + body


def dataspace(shape: Sequence[int]) -> bytes:
    """The message of a shape."""
    return pack(f"<BBBB{len(shape)}Q", 2, len(shape), 0, len(shape) > 0, *shape)


def _attribute(name: str, value: NDArray[Any]) -> bytes:
    text, dtype, space = name.encode() + b"\0", datatype(value.dtype), dataspace(value.shape)
    head = pack("<BBHHHB", 3, 0, len(text), len(dtype), len(space), 0)
    body = head + text + dtype + space + value.tobytes()
    if len(body) > MOST_MESSAGE_BYTES:
        raise ParameterError(
            f"attribute {name!r} must have at most about {MOST_MESSAGE_BYTES} bytes, got {value.nbytes}; "
            "write a data set instead"
        )
    return body


def datatype(dtype: np.dtype[Any]) -> bytes:
    """The message of a type; ParameterError for one that data here cannot have."""
    size = dtype.itemsize
    if dtype.names is not None:
        n_bytes = max(1, (size.bit_length() + 7) // 8)
        members = (
            name.encode() + b"\0" + place.to_bytes(n_bytes, "little") + datatype(kind)
            for name, (kind, place, *_) in (dtype.fields or {}).items()
        )
        return _type_head(6, len(dtype.names), size, 3) + b"".join(members)
    if dtype.kind in "iu":
        return _type_head(0, 8 * (dtype.kind == "i"), size) + pack("<HH", 0, 8 * size)
    if dtype.kind == "f" and size in _FLOATS:
        sign, exponent, bits, bias = _FLOATS[size]
        return _type_head(1, 0x20 | sign << 8, size) + pack("<HHBBBBI", 0, 8 * size, exponent, bits, 0, exponent, bias)
    if dtype.kind == "b":
        return _type_head(8, 2, 1) + datatype(np.dtype("i1")) + padded(b"FALSE\0") + padded(b"TRUE\0") + b"\0\1"
    if dtype.kind == "S":
        return _type_head(3, 1, size)
    raise ParameterError(f"HDF5 data must be numbers, bytes or records of them, got {dtype}")


def _type_head(kind: int, bits: int, size: int, version: int = 1) -> bytes:
    return pack("<B3sI", version << 4 | kind, bits.to_bytes(3, "little"), size)

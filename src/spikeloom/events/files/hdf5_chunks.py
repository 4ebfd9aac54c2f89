"""Rows of a dataset of HDF5, of which deflated chunks (also shuffled ones) are unpacked here.

libhdf5 does not check how much a chunk becomes: for one that is too short it gives what the memory happens to hold
there. Chunks of other filters are read as libhdf5 gives them.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFLATE, SHUFFLE = 1, 2
KNOWN = ([DEFLATE], [SHUFFLE, DEFLATE])


def filters(dataset: Any) -> list[int]:
    """The numbers of the filters of a dataset, in their order on writing."""
    creation = dataset.id.get_create_plist()
    return [int(creation.get_filter(k)[0]) for k in range(creation.get_nfilters())]


def rows(dataset: Any, begin: int, end: int) -> NDArray[Any]:
    """The rows from `begin` to before `end`; ValueError or OSError for a chunk that does not hold its rows."""
    kinds = [dataset.dtype[name].kind for name in dataset.dtype.names or ()] or [dataset.dtype.kind]
    codes = filters(dataset)
    if dataset.chunks is None or codes not in KNOWN or set(kinds) - {"i", "u"}:
        found: NDArray[Any] = dataset[begin:end]
        return found
    size = dataset.chunks[0]
    parts = []
    for start in range(begin // size * size, end, size):
        chunk = _chunk(dataset, start, codes)
        parts.append(chunk[max(begin - start, 0) : end - start])
    return np.concatenate(parts) if parts else np.empty(0, dataset.dtype)


def _chunk(dataset: Any, start: int, codes: list[int]) -> NDArray[Any]:
    """The rows of the chunk that begins at a row."""
    item = dataset.dtype.itemsize
    whole = dataset.chunks[0] * item
    out = np.empty(whole + whole // 8 + 4096, np.uint8)
    mask, raw = dataset.id.read_direct_chunk((start,), out=out)
    if mask:
        raise ValueError(f"a chunk at {start} that passes by its filters")
    try:
        data = zlib.decompressobj().decompress(raw, whole + 1)
    except zlib.error as error:
        raise ValueError(f"a chunk at {start} with {error}") from error
    if len(data) != whole:
        raise ValueError(f"a chunk at {start} of {len(data)} bytes instead of {whole}")
    if SHUFFLE in codes:
        data = np.frombuffer(data, np.uint8).reshape(item, -1).T.tobytes()
    return np.frombuffer(data, dataset.dtype)

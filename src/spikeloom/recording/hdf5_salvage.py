"""What is left in a damaged HDF5 file, made readable again in a copy.

Each data set that `Hdf5File` wrote states its name in a comment, so that it is found wherever it lies, also where the
groups that named it are lost: the copy gets new groups behind its end that name all that was found.
"""

from __future__ import annotations

import mmap
import re
import shutil
from pathlib import Path
from struct import pack

from .hdf5_file import SUPERBLOCK_BYTES, stated_end, superblock
from .hdf5_messages import COMMENT, MOST_MESSAGE_BYTES
from .hdf5_trees import Group, Space
from .layout import is_name

_MOST_LONGER = 1 << 40
"""A file that claims to have lost more than this is not believed."""
_MOST_DEPTH = 5
_HEADER = re.compile(
    rb"\x01\x00..\x01\x00\x00\x00....\x00\x00\x00\x00" + pack("<H", COMMENT) + rb"(..)\x00\x00\x00\x00/", re.DOTALL
)
"""The beginning of a data set's object header, up to its name; its parts are the length of the name's message."""
_NAME_AT = 25


def lost_bytes(path: Path) -> int:
    """How many bytes a file lacks of those that it says it has; 0 for one that does not say."""
    with path.open("rb") as file:
        end = stated_end(file.read(SUPERBLOCK_BYTES))
    return 0 if end is None else max(0, end - path.stat().st_size)


def extended_copy(path: Path, copy: Path) -> None:
    """Copies a file, with a hole for what it lacks, so that HDF5 opens it and finds what is left."""
    shutil.copyfile(path, copy)
    lost = lost_bytes(path)
    if 0 < lost <= _MOST_LONGER:
        with copy.open("r+b") as file:
            file.truncate(path.stat().st_size + lost)


def indexed_copy(path: Path, copy: Path) -> None:
    """Copies a file, with new groups for all data sets in it whose object headers can be found."""
    found = data_set_headers(path)
    shutil.copyfile(path, copy)
    root = Group()
    for name, address in found.items():
        *folders, last = name.split("/")
        group = root
        for folder in folders:
            inner = group.waiting.setdefault(folder, Group())
            group = inner if isinstance(inner, Group) else Group()
        group.waiting.setdefault(last, address)
    space = Space(max(SUPERBLOCK_BYTES, path.stat().st_size))
    change = root.changed(space)
    address = change.placed(space)
    with copy.open("r+b") as file:
        for place, content in [*space.writes, (0, superblock(address, space.end))]:
            file.seek(place)
            file.write(content)


def data_set_headers(path: Path) -> dict[str, int]:
    """The addresses of the object headers of the data sets in a file, by name; of several of a name, the last."""
    if not path.stat().st_size:
        return {}
    found: dict[str, int] = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for header in _HEADER.finditer(content):
            start, most = header.start(), min(int.from_bytes(header[1], "little"), MOST_MESSAGE_BYTES)
            name = content[start + _NAME_AT : start + _NAME_AT - 1 + most].partition(b"\0")[0].decode(errors="replace")
            parts = name.split("/")
            if start % 8 == 0 and len(parts) <= _MOST_DEPTH and all(map(is_name, parts)):
                found[name] = start
    return found

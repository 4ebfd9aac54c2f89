"""The formats by name; which one a file is of, and which one a new file gets."""

from __future__ import annotations

import stat
from pathlib import Path

from ...errors import DataError, ParameterError, UnsupportedError
from ...registry import Registry
from .format import HEAD, Format

FORMATS: Registry[type[Format]] = Registry("event format")
FORMATS.add("evt2", "spikeloom.events.files.evt2:EVT2")
FORMATS.add("evt2.1", "spikeloom.events.files.evt21:EVT21")
FORMATS.add("evt3", "spikeloom.events.files.evt3:EVT3")
FORMATS.add("dat", "spikeloom.events.files.dat:DAT")
FORMATS.add("es", "spikeloom.events.files.es:EventStream")
FORMATS.add("nmnist", "spikeloom.events.files.nmnist:NMNIST")
FORMATS.add("aedat2", "spikeloom.events.files.aedat2:AEDAT2")
FORMATS.add("aedat3", "spikeloom.events.files.aedat3:AEDAT3")
FORMATS.add("aedat4", "spikeloom.events.files.aedat4:AEDAT4")
FORMATS.add("csv", "spikeloom.events.files.csv:CSV")
FORMATS.add("npz", "spikeloom.events.files.npz:NPZ")
FORMATS.add("hdf5", "spikeloom.events.files.hdf5:HDF5")
FORMATS.add("rosbag", "spikeloom.events.files.rosbag:ROSBag")


def recognised(path: Path, name: str | Format | None = None) -> Format:
    """The format given or named, else the one that the file's first bytes are of; DataError where that is not one."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not (name is not None and stat.S_ISDIR(mode)):
        raise DataError(f"{path}: expected an event file, got what is no regular file")
    if name is not None:
        return name if isinstance(name, Format) else FORMATS[name]()
    with path.open("rb") as file:
        head = file.read(HEAD)
    size = path.stat().st_size
    found = [entry for entry in (FORMATS[known]() for known in FORMATS) if entry.recognises(head, size)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(entry.name for entry in found) if found else ", ".join(FORMATS)
    got = f"one that may be each of {names}" if found else f"the bytes {head[:16].hex(' ') or 'of an empty file'}"
    way = "give np.load(path) to Events.from_structured" if head.startswith(b"\x93NUMPY") else "give format="
    raise DataError(f"{path}, byte 0: expected a file of one of these formats: {', '.join(FORMATS)}; got {got}; {way}")


def for_writing(path: Path, name: str | Format | None = None) -> Format:
    """The format given or named, else the one whose suffix the path ends with."""
    chosen = name if name is None or isinstance(name, Format) else FORMATS[name]()
    if chosen is None:
        ending = path.name.lower()
        found = [entry for entry in (FORMATS[known]() for known in FORMATS) if ending.endswith(entry.suffixes)]
        if len(found) != 1:
            names = ", ".join(entry.name for entry in found or (FORMATS[known]() for known in FORMATS))
            why = f"{path.suffix!r} belongs to several" if found else f"no format has the suffix {path.suffix!r}"
            raise ParameterError(f"write_events: {why}; give format=, one of: {names}")
        chosen = found[0]
    if not chosen.writable:
        raise UnsupportedError(f"write_events: {chosen.name} can only be read; choose another format")
    return chosen

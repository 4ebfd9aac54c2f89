"""Which format a file shows."""

from __future__ import annotations

from pathlib import Path

import h5py

from ...errors import DataError
from ..reading import damage_named
from .formats import FORMATS
from .hdf5 import opened, opened_hdf5, own_names

_HDF5 = b"\x89HDF\r\n\x1a\n"


def recognised(source: Path) -> str:
    """The name of the format of a file or folder; DataError where nothing shows it."""
    if source.is_dir():
        return "original"
    with opened(source) as file:
        head = file.read(len(_HDF5))
    if head != _HDF5:
        for name in FORMATS:
            if FORMATS[name].read is not None and name == "csv" and source.suffix.lower() in FORMATS[name].endings:
                return name
        raise DataError(f"{source} must be a file of HDF5 or one that ends in .csv; give format= otherwise")
    with opened_hdf5(source) as file:
        return _shown(file, source)


@damage_named()
def _shown(file: h5py.File, source: Path) -> str:
    if "units" in own_names(file):
        return "nwb"
    spikes = file["spikes"] if "spikes" in own_names(file) else None
    if not isinstance(spikes, h5py.Group):
        raise DataError(f"{source} must have a group /units (NWB) or /spikes (SONATA, EvoSpikeNet)")
    populations = [spikes[name] for name in own_names(spikes)]
    is_sonata = any(isinstance(group, h5py.Group) and "timestamps" in own_names(group) for group in populations)
    return "sonata" if is_sonata else "original"

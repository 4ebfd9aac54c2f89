"""Object headers read without HDF5: they say what HDF5 says, and where they are damaged nothing."""

import os

import h5py
import numpy as np
import pytest

from spikeloom.recording.hdf5_file import Hdf5File
from spikeloom.recording.hdf5_header import read_header

ATTRIBUTES = {
    "n_steps": 7,
    "dt": 0.1,
    "shape": (3, 4),
    "mode": np.bytes_(b"neurons"),
    "rate": np.float32(0.5),
    "offsets": np.arange(900, dtype=np.uint16),
    "none": np.zeros(0, np.int64),
}
EVENTS = np.zeros(50, [("step", np.uint32), ("id", np.uint16)])
CONTENTS = {
    "events": EVENTS,
    "none": EVENTS[:0],
    "potentials": np.ones((5, 2, 3), np.float32),
    "bits": np.ones((2, 2), bool),
    "counts": np.arange(4, dtype=np.int16),
    "ids": np.arange(4, dtype=np.uint8),
    "text": np.bytes_(b"some JSON"),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("headers") / "a.h5"
    file = Hdf5File(path)
    for name, content in CONTENTS.items():
        file.dataset(f"raw/{name}", content, ATTRIBUTES)
        file.dataset(f"gzip/{name}", content, ATTRIBUTES, compression=4)
    file.close()
    return path


def addresses(file):
    found = []
    file.visititems(lambda name, thing: found.append((thing, h5py.h5o.get_info(thing.id).addr)))
    return found


def test_a_header_says_what_hdf5_says(path):
    with h5py.File(path) as file, path.open("rb") as content:
        for thing, address in addresses(file):
            header = read_header(content.fileno(), address)
            if isinstance(thing, h5py.Group):
                assert header is None
                continue
            assert (header.shape, header.kind) == (thing.shape, thing.dtype.kind)
            assert set(header.attributes) == set(thing.attrs) == set(ATTRIBUTES)
            for name, value in header.attributes.items():
                expected = thing.attrs[name]
                np.testing.assert_array_equal(value, expected)
                assert value.dtype == np.asarray(expected).dtype or value.dtype.kind == "S"


def test_headers_of_other_programs_are_left_to_hdf5(tmp_path):
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for name, value in ATTRIBUTES.items():
            file.create_dataset(name, data=EVENTS).attrs[name] = value
        file.create_dataset("text", data=[1]).attrs["text"] = "of variable length"
    with h5py.File(tmp_path / "b.h5") as file, (tmp_path / "b.h5").open("rb") as content:
        for _, address in addresses(file):
            assert read_header(content.fileno(), address) is None


def test_a_damaged_header_raises_nothing_and_holds_no_more_than_it_has(path, tmp_path):
    with h5py.File(path) as file:
        address = h5py.h5o.get_info(file["gzip/events"].id).addr
    whole, generator = bytearray(path.read_bytes()), np.random.default_rng(0)
    length = 16 + int.from_bytes(whole[address + 8 : address + 12], "little")
    with (tmp_path / "c.h5").open("w+b", buffering=0) as file:
        for _ in range(2000):
            damaged = whole[address : address + length]
            for place in generator.integers(0, length, 3):
                damaged[place] = generator.choice([0, 1, 0x7F, 0xFF, generator.integers(256)])
            os.pwrite(file.fileno(), damaged[: generator.integers(length // 2, length + 1)], 0)
            header = read_header(file.fileno(), 0)
            if header is not None:
                assert sum(value.nbytes for value in header.attributes.values()) <= length
            os.ftruncate(file.fileno(), 0)
    with path.open("rb") as file:
        for place in (len(whole), 1 << 62, (1 << 64) - 1):
            assert read_header(file.fileno(), place) is None

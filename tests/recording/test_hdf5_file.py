"""The append-only HDF5 writer: whole after every write, the same to h5py as what h5py writes."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import ParameterError, StateError
from spikeloom.recording.hdf5_file import Hdf5File

CHECK = Path(__file__).parent / "check_cuts.py"


class Disk:
    """Logs what is written, through os.pwrite, and fails from write `fails_at` on for `failures` writes."""

    def __init__(self, monkeypatch):
        self.writes, self.short, self.fails_at, self.failures = [], False, None, 1
        self._pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", self.pwrite)

    def pwrite(self, file, content, address):
        content = bytes(content)
        if self.fails_at is not None and self.fails_at <= len(self.writes):
            self.fails_at = None if self.failures == 1 else self.fails_at
            self.failures -= 1
            if self.short and len(content) > 16:
                self._pwrite(file, content[: len(content) // 2], address)
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.short and len(content) > 16:
            content = content[: len(content) // 2]
        self.writes.append((address, content))
        return self._pwrite(file, content, address)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def session(file, generator, n_flushes):
    """Gives random groups, batches, metadata and weights to a file; the contents after each flush."""
    contents = {}

    def put(name, data, compression=None, **options):
        file.dataset(name, data, {"size": np.asarray(data).size, "dt": 0.1}, compression, **options)
        contents[name] = crc32(np.asarray(data).tobytes())

    for kind in ("spikes", "empty"):
        file.group(f"{kind}/n")
    for t in range(n_flushes):
        for layer in range(generator.integers(0, 4)):
            events = np.zeros(generator.choice([0, 1, 40, 500]), [("step", "u4"), ("id", "u2")])
            events["id"] = generator.integers(0, 1000, len(events))
            put(f"offsets/n/{layer}/t_{t:019}", np.arange(3))
            put(f"spikes/n/{layer}/t_{t:019}", events, 4)
        if generator.random() < 0.3:
            put("metadata/network", np.bytes_(b"{%d}" % generator.integers(10**9) * 30), replace=True)
        if generator.random() < 0.2:
            put(f"weights/n/{generator.integers(3)}/t_{t:019}", generator.random((30, 20)), 1)
        if generator.random() < 0.1:
            put(f"sampled_neurons/n/{generator.integers(10**6)}", np.arange(generator.integers(1, 9)))
        file.flush()
        yield dict(contents)


def run_check(folder, writes, acknowledged, every):
    np.savez(
        folder / "writes.npz",
        addresses=[address for address, _ in writes],
        sizes=[len(content) for _, content in writes],
        content=np.frombuffer(b"".join(content for _, content in writes), np.uint8),
        acknowledged=json.dumps(acknowledged),
    )
    command = [sys.executable, str(CHECK), str(folder / "writes.npz"), str(every)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


def test_a_sequence_of_writes_cut_anywhere_leaves_a_file_with_all_that_was_flushed(tmp_path, disk):
    file = Hdf5File(tmp_path / "a.h5")
    flushes = session(file, np.random.default_rng(0), 100)
    acknowledged = [(1, {}), *((len(disk.writes), contents) for contents in flushes)]
    file.close()
    assert run_check(tmp_path, disk.writes, acknowledged, 97) > 1000


def little(value):
    array = np.asarray(value)
    return array.astype(array.dtype.newbyteorder("<"))


DTYPES = ["i1", "<u2", ">i4", "u8", "f2", "f4", ">f8", "?", "S1", "S7", [("step", "u4"), ("id", "u2"), ("value", "f4")]]


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(0, 7), max_size=4),
    attribute=st.sampled_from(DTYPES[:-1]),
    compression=st.sampled_from([None, 1, 9]),
    seed=st.integers(0, 99),
)
def test_h5py_reads_the_same_as_from_a_file_of_its_own(tmp_path_factory, dtype, shape, attribute, compression, seed):
    folder, generator = tmp_path_factory.mktemp("h"), np.random.default_rng(seed)
    data = generator.integers(0, 100, shape).astype("u1").astype(dtype)
    attributes = {"a": np.arange(3).astype(attribute), "scalar": np.asarray(5).astype(attribute), "count": 3, "dt": 0.1}
    file = Hdf5File(folder / "a.h5")
    file.dataset("g/data", data, attributes, compression)
    file.close()
    with h5py.File(folder / "b.h5", "w") as theirs, h5py.File(folder / "a.h5") as ours:
        theirs.create_dataset("g/data", data=little(data)).attrs.update({k: little(v) for k, v in attributes.items()})
        a, b = ours["g/data"], theirs["g/data"]
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        expected = np.asarray(data, a.dtype).tobytes()
        assert np.asarray(a[()], a.dtype).tobytes() == np.asarray(b[()], b.dtype).tobytes() == expected
        for name in attributes:
            mine, its = np.asarray(a.attrs[name]), np.asarray(b.attrs[name])
            assert (mine.dtype, mine.shape, mine.tobytes()) == (its.dtype, its.shape, its.tobytes())
        assert (a.compression, a.shuffle) == (
            ("gzip", True) if compression and data.size and data.ndim else (None, False)
        )


@pytest.mark.parametrize(("shape", "dtype"), [((3_000_000,), "u2"), ((170, 3, 41, 50), "f4"), ((2, 1_500_000), "f4")])
def test_data_of_many_chunks_come_back(tmp_path, shape, dtype):
    data = np.random.default_rng(0).integers(0, 1000, shape).astype(dtype)
    file = Hdf5File(tmp_path / "a.h5")
    file.dataset("data", data, compression=1)
    file.close()
    with h5py.File(tmp_path / "a.h5") as found:
        assert found["data"].id.get_num_chunks() > 4
        np.testing.assert_array_equal(found["data"][()], data)
        np.testing.assert_array_equal(found["data"][-1], data[-1])


@settings(max_examples=30, deadline=None)
@given(flushes=st.lists(st.lists(st.text("ab0é ", min_size=1, max_size=3), max_size=40, unique=True), max_size=6))
def test_names_in_any_order_are_found_and_listed_in_order(tmp_path_factory, flushes):
    path, contents = tmp_path_factory.mktemp("n") / "a.h5", {}
    file = Hdf5File(path)
    for number, names in enumerate(flushes):
        for place, name in enumerate(names):
            file.dataset(f"g/{name}", [number, place], replace=True)
            contents[name] = [number, place]
            assert f"g/{name}" in file
        file.flush()
        with h5py.File(path) as found:
            names = list(found.get("g", ()))
            assert names == sorted(contents, key=str.encode)
            assert {name: found["g"][name][()].tolist() for name in names} == contents
    assert "g/c" not in file
    assert "other/a" not in file
    file.close()


def test_ten_thousand_names_are_a_tree_of_five_levels_at_a_constant_cost(tmp_path, disk):
    file, costs = Hdf5File(tmp_path / "a.h5"), []
    for t in range(10_000):
        file.dataset(f"g/t_{t:019}", np.uint8(t % 256))
        before = len(disk.writes)
        file.flush()
        costs.append(sum(len(content) for _, content in disk.writes[before:]))
        del disk.writes[:]
    file.close()
    with h5py.File(tmp_path / "a.h5") as found:
        assert list(found["g"]) == [f"t_{t:019}" for t in range(10_000)]
        assert [int(found[f"g/t_{t:019}"][()]) for t in range(0, 10_000, 37)] == [t % 256 for t in range(0, 10_000, 37)]
        seen = []
        found.visititems(lambda name, _: seen.append(name))
        assert len(seen) == 10_001
    # Four levels of 8 above leaves of 4: at most 4 nodes of 160 bytes, a leaf of 168 and 250 bytes for the data set.
    assert np.median(costs[-100:]) < 1200
    assert np.mean(costs) < 1300


def test_only_the_end_and_the_pointers_of_groups_are_ever_overwritten_each_within_a_page(tmp_path, disk):
    file = Hdf5File(tmp_path / "a.h5")
    end = len(disk.writes[0][1])
    for _ in session(file, np.random.default_rng(3), 60):
        pass
    file.close()
    sizes, written = [], bytearray(b"".join(disk.writes[0][1:]))
    for address, content in disk.writes[1:]:
        written.extend(bytes(max(0, address + len(content) - len(written))))
        if address < end:
            if any(written[address : address + len(content)]):
                sizes.append(len(content))
                assert address // 4096 == (address + len(content) - 1) // 4096
        else:
            assert address == end
            end = address + len(content)
        written[address : address + len(content)] = content
    assert set(sizes) == {8, 16}


@pytest.mark.parametrize("short", [False, True])
def test_a_disk_that_is_full_at_any_write_loses_nothing(tmp_path, disk, short):
    """The n-th write fails, for each n: what was flushed stays readable, and the next flush brings the rest."""
    disk.short, failures = short, 0
    for fails_at in range(2, 60):
        path = tmp_path / f"{fails_at}.h5"
        del disk.writes[:]
        disk.fails_at, disk.failures = None, 1
        file, flushed = Hdf5File(path), {}
        disk.fails_at = fails_at
        try:
            for contents in session(file, np.random.default_rng(4), 8):
                flushed = contents
        except OSError:
            failures += 1
            assert_holds(path, flushed)
            file.dataset("late", 7)
            file.flush()
            with h5py.File(path) as found:
                assert found["late"][()] == 7
            assert_holds(path, flushed)
        file.close()
    assert failures > 30


def test_what_a_full_disk_refused_is_in_the_file_after_a_later_flush(tmp_path, disk):
    file = Hdf5File(tmp_path / "a.h5")
    file.dataset("g/a", 1)
    disk.fails_at, disk.failures = len(disk.writes), 3
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            file.flush()
        with h5py.File(tmp_path / "a.h5") as found:
            assert not list(found)
    disk.fails_at = None
    file.dataset("g/b", 2)
    file.dataset("h/c", 3)
    file.flush()
    with h5py.File(tmp_path / "a.h5") as found:
        assert [found[name][()] for name in ("g/a", "g/b", "h/c")] == [1, 2, 3]
    file.close()


def assert_holds(path, contents):
    with h5py.File(path) as found:
        for name, crc in contents.items():
            if name != "metadata/network":
                assert crc32(np.asarray(found[name][()]).tobytes()) == crc


def test_a_close_on_a_full_disk_closes_the_file(tmp_path, disk):
    file = Hdf5File(tmp_path / "a.h5")
    file.dataset("a", 1)
    disk.fails_at = len(disk.writes)
    with pytest.raises(OSError, match="No space left"):
        file.close()
    file.close()
    file.dataset("b", 1)
    with pytest.raises(StateError, match="closed"):
        file.flush()


def test_with_fsync_no_pointer_is_written_before_what_it_names_is_safe(tmp_path, disk, monkeypatch):
    monkeypatch.setattr(os, "fdatasync", lambda file: disk.writes.append("sync"))
    file = Hdf5File(tmp_path / "a.h5", fsync=True)
    file.dataset("g/a", np.arange(1000))
    del disk.writes[:]
    file.flush()
    sizes = [write if write == "sync" else len(write[1]) for write in disk.writes]
    assert "sync" not in sizes[:-5]
    assert sizes[-5:] == ["sync", 8, "sync", 16, "sync"]
    file.close()


def test_a_file_that_is_there_is_never_overwritten(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        Hdf5File(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_a_file_system_without_links_has_new_files_too(tmp_path, monkeypatch):
    def link(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    Hdf5File(tmp_path / "a.h5").close()
    with h5py.File(tmp_path / "a.h5") as found:
        assert not list(found)
    with pytest.raises(FileExistsError):
        Hdf5File(tmp_path / "a.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_stock_h5py_reads_an_open_file_and_is_kept_from_writing_it(tmp_path):
    file = Hdf5File(tmp_path / "a.h5")
    file.dataset("a", 1)
    file.flush()
    with h5py.File(tmp_path / "a.h5") as found:
        assert found["a"][()] == 1
    with pytest.raises(OSError, match="lock"):
        h5py.File(tmp_path / "a.h5", "r+")
    file.close()


def test_h5py_can_add_to_and_remove_from_a_closed_file(tmp_path):
    file = Hdf5File(tmp_path / "a.h5")
    for t in range(50):
        file.dataset(f"g/t_{t:019}", np.arange(t), {"t": t}, 4)
    file.close()
    with h5py.File(tmp_path / "a.h5", "r+") as found:
        for t in range(200):
            found.create_dataset(f"g/u_{t}", data=np.arange(5000), chunks=(100,), compression="gzip")
        del found["g"][f"t_{7:019}"]
        found["g"][f"t_{8:019}"].attrs["new"] = 1
    with h5py.File(tmp_path / "a.h5") as found:
        assert len(found["g"]) == 249
        assert all(np.array_equal(found["g"][f"t_{t:019}"][()], np.arange(t)) for t in range(50) if t != 7)
        assert all(np.array_equal(found["g"][f"u_{t}"][()], np.arange(5000)) for t in range(200))


def test_addresses_beyond_four_gigabytes_are_written_and_read(tmp_path):
    """Twice 3 GB of zeros that are holes in the file."""
    file = Hdf5File(tmp_path / "a.h5")
    file.dataset("first", 1)
    file.flush()
    file._space.end = 5 << 30
    file.dataset("g/far", np.arange(100), compression=1)
    file.close()
    assert (tmp_path / "a.h5").stat().st_size > 5 << 30
    with h5py.File(tmp_path / "a.h5") as found:
        assert found["first"][()] == 1
        np.testing.assert_array_equal(found["g/far"][()], np.arange(100))


@pytest.mark.parametrize(
    ("name", "data", "attributes", "message"),
    [
        ("g/a", 1, {}, "in the file already"),
        ("g", 1, {}, "in the file already"),
        ("g/a/b", 1, {}, "'a' cannot be one"),
        ("g//b", 1, {}, "must name groups"),
        ("g/b", "text", {}, "numbers, bytes or records"),
        ("g/b", np.zeros(2, "c8"), {}, "numbers, bytes or records"),
        ("g/b", 1, {"long": np.zeros(8191)}, "at most about 65528 bytes"),
        ("g/b", 1, {"text": "text"}, "numbers, bytes or records"),
    ],
)
def test_what_the_file_cannot_hold_is_refused_and_leaves_no_trace(tmp_path, name, data, attributes, message):
    file = Hdf5File(tmp_path / "a.h5")
    file.dataset("g/a", 5)
    with pytest.raises(ParameterError, match=message):
        file.dataset(name, data, attributes)
    file.close()
    with h5py.File(tmp_path / "a.h5") as found:
        assert list(found) == ["g"]
        assert {key: value[()] for key, value in found["g"].items()} == {"a": 5}

"""NPZ: archives of NumPy's own making, and such as nobody should read."""

import io
import struct
import zipfile

import numpy as np
import pytest

from spikeloom.errors import DataError
from spikeloom.events import Events
from spikeloom.events.files import EventFile, read_events, write_events

T, X, Y, P = [5, 7, 7, 9], [1, 2, 3, 4], [8, 7, 6, 5], [0, 1, 1, 0]


def rows_of(events):
    return list(zip(*(getattr(events, name).tolist() for name in "txyp"), strict=True))


ROWS = list(zip(T, X, Y, P, strict=True))


def columns(**others):
    return {name: np.array(values) for name, values in zip("txyp", (T, X, Y, P), strict=True)} | others


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "arrays",
    [
        columns(),
        columns(t=np.array(T, ">u8"), x=np.array(X, np.uint16), y=np.array(Y, "<i4"), p=np.array(P, bool)),
        columns(p=np.array([-1, 1, 1, -1])),
        {"ts": T, "xs": X, "ys": Y, "ps": P, "labels": [3]},
        {"Timestamp": T, "X": X, "Y": Y, "Polarity": P},
        {"events": Events.from_arrays(T, X, Y, P).structured()},
    ],
)
def test_archives_of_numpy_are_read(tmp_path, save, arrays):
    save(tmp_path / "recording.npz", **arrays)
    with EventFile(tmp_path / "recording.npz") as file:
        assert file.format == "npz"
        assert rows_of(file.read()) == ROWS


def test_numpy_loads_what_is_written(tmp_path):
    write_events(tmp_path / "a.npz", Events.from_arrays(T, X, Y, P, (20, 10)))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert {name: file[name].tolist() for name in file} == {
            "width": 20, "height": 10, "t": T, "x": X, "y": Y, "p": P,
        }  # fmt: skip
        assert {name: file[name].dtype.str for name in "txyp"} == {"t": "<i8", "x": "<i2", "y": "<i2", "p": "|i1"}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_blocks_beyond_the_first_and_times_before_are_reached(tmp_path, save):
    t = np.arange(100_000)
    save(tmp_path / "a.npz", t=t, x=t % 300, y=t % 200, p=t % 2)
    with EventFile(tmp_path / "a.npz") as file:
        assert file.read(99.0).t.tolist() == list(range(99_000, 100_000))
        assert file.read(0, 0.002).t.tolist() == [0, 1]
        assert [len(block) for block in file] == [32768, 32768, 32768, 1696]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (columns(t=np.array([0.5, 1, 2, 3])), "whole numbers"),
        (columns(t=np.array(T).astype("m8[us]")), "whole numbers"),
        (columns(x=np.array([X, X])), "one axis"),
        (columns(y=np.array(Y[:3])), "one length"),
        ({"t": T, "x": X, "y": Y}, "expected arrays t, x, y and p"),
        ({"a": T}, "expected arrays t, x, y and p"),
        (columns(width=np.array(0), height=np.array(3)), "pixels in width.npy"),
        (columns(width=np.array([1, 2]), height=np.array(3)), "one whole number in width.npy"),
    ],
)
def test_arrays_that_are_no_events_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=rf"^(?!.*damaged).*a\.npz: .*{said}"):
        read_events(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arrays", "event"),
    [(columns(p=np.array([0, 1, 2, 0])), 2), (columns(t=np.array([5, 2**63, 6, 7], np.uint64)), 1),
     (columns(x=np.array([1, 2, 3, 40_000])), 3), (columns(y=np.array([-1, 2, 3, 4])), 0)],
)  # fmt: skip
def test_an_event_that_cannot_be_is_damage(tmp_path, arrays, event):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=f"event {event}: expected"):
        read_events(tmp_path / "a.npz")
    assert len(read_events(tmp_path / "a.npz", errors="keep")) == event


def archive(folder, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(folder / "a.npz", "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return folder / "a.npz"


def array(head, data=b"", version=b"\x01\x00"):
    return b"\x93NUMPY" + version + struct.pack("<H", len(head)) + head + data


def saved(values):
    out = io.BytesIO()
    np.save(out, np.array(values), allow_pickle=True)
    return out.getvalue()


def test_pickles_are_not_read(tmp_path):
    members = {f"{name}.npy": saved([1]) for name in "txy"} | {"p.npy": saved([{"a": 1}])}
    with pytest.raises(DataError, match=r"p\.npy"):
        read_events(archive(tmp_path, members))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an array",
        array(b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,)}", bytes(8)),
        array(b"{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}", bytes(8)),
        array(b"{'descr': '<i8', 'fortran_order': False, 'shape': (True,)}", bytes(8)),
        array(b"{'descr': '<i8', 'fortran_order': False, 'shape': 5}", bytes(8)),
        array(b"{'descr': 'V0', 'fortran_order': False, 'shape': (1,)}"),
        array(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", bytes(8)),
        array(b"__import__('os')"),
        array(b"(" * 5000),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"\x93NUMPY\x09\x00\x00\x00",
    ],
)
def test_entries_that_are_no_arrays_are_refused(tmp_path, content):
    members = {f"{name}.npy": saved([1]) for name in "txy"} | {"p.npy": content}
    with pytest.raises(DataError, match=r"a\.npz: expected"):
        read_events(archive(tmp_path, members))


def test_an_archive_that_swells_a_thousandfold_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **{name: np.zeros(1_000_000, np.int8) for name in "txyp"})
    with pytest.raises(DataError, match="at most 16 events for each of its"):
        read_events(tmp_path / "a.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_numpy_does_not_use_are_refused(tmp_path, method):
    """The dictionary of LZMA is as large as the file says."""
    with pytest.raises(DataError, match=f"as it is or deflated, got method {method}"):
        read_events(archive(tmp_path, {f"{name}.npy": saved([1]) for name in "txyp"}, method))


def test_objects_beside_the_events_are_not_read_either(tmp_path):
    fields = b"[('t', '<i8'), ('x', '<i2'), ('y', '<i2'), ('p', '|b1'), ('more', '|O')]"
    head = b"{'descr': " + fields + b", 'fortran_order': False, 'shape': (1,)}"
    with pytest.raises(DataError, match=r"in 21 bytes of events\.npy, got the type"):
        read_events(archive(tmp_path, {"events.npy": array(head, bytes(21))}))


def test_a_wrong_checksum_is_found_before_the_first_event_is_read(tmp_path):
    t = np.arange(100_000)
    np.savez(tmp_path / "a.npz", t=t, x=t % 300, y=t % 200, p=t % 2)
    content = (tmp_path / "a.npz").read_bytes()
    at = content.index(struct.pack("<q", 999))
    (tmp_path / "a.npz").write_bytes(content[:at] + b"\x08" + content[at + 1 :])
    with pytest.raises(DataError, match=r"a\.npz, byte 0: .*CRC"):
        EventFile(tmp_path / "a.npz", errors="keep")


def test_wrong_checksums_and_cut_archives_are_errors(tmp_path):
    np.savez(tmp_path / "a.npz", **columns())
    content = (tmp_path / "a.npz").read_bytes()
    at = content.index(struct.pack("<q", 7))
    (tmp_path / "a.npz").write_bytes(content[:at] + b"\x08" + content[at + 1 :])
    with pytest.raises(DataError, match=r"a\.npz, byte 0: .*CRC"):
        read_events(tmp_path / "a.npz")
    for length in range(0, len(content), 31):
        (tmp_path / "a.npz").write_bytes(content[:length])
        with pytest.raises(DataError, match=r"a\.npz"):
            read_events(tmp_path / "a.npz", "npz")

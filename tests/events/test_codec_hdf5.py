"""HDF5: the layouts of DSEC and Prophesee, made with h5py, and files that lead elsewhere."""

import struct
import zlib

import h5py
import numpy as np
import pytest

from spikeloom.errors import DataError, UnsupportedError
from spikeloom.events import Events
from spikeloom.events.files import EventFile, read_events, write_events
from spikeloom.events.files.hdf5_chunks import Filter, stored_type, unfiltered

T, X, Y, P = [5, 7, 7, 9], [1, 2, 3, 4], [8, 7, 6, 5], [0, 1, 1, 0]
ROWS = list(zip(T, X, Y, P, strict=True))


def rows_of(events):
    return list(zip(*(getattr(events, name).tolist() for name in "txyp"), strict=True))


def columns(**others):
    return {name: np.array(values) for name, values in zip("txyp", (T, X, Y, P), strict=True)} | others


def recording(folder, arrays, group="events", **options):
    with h5py.File(folder / "a.h5", "w") as file:
        for name, values in arrays.items():
            file.create_dataset(f"{group}/{name}", data=values, **options)
    return folder / "a.h5"


@pytest.mark.parametrize(
    "names", [("t", "x", "y", "p"), ("ts", "xs", "ys", "ps"), ("timestamps", "x", "y", "polarity")]
)
@pytest.mark.parametrize("group", ["events", "CD/events", "/"])
@pytest.mark.parametrize(
    "options", [{}, {"chunks": (3,), "compression": "gzip"}, {"chunks": (2,), "compression": "lzf"}]
)
def test_columns_under_common_names_are_read(tmp_path, names, group, options):
    path = recording(tmp_path, dict(zip(names, (T, X, Y, P), strict=True)), group, **options)
    with EventFile(path) as file:
        assert file.format == "hdf5"
        assert rows_of(file.read()) == ROWS


def test_files_of_dsec_have_an_offset_of_time(tmp_path):
    path = recording(tmp_path, columns(t=np.array(T, np.uint32), x=np.array(X, np.uint16), p=np.array(P, np.uint8)))
    with h5py.File(path, "a") as file:
        file["t_offset"] = 49_599_300_523
        file["ms_to_idx"] = np.array([0], np.uint64)
    events = read_events(path)
    assert events.t.tolist() == [49_599_300_523 + t for t in T]


def test_an_offset_that_would_overflow_is_refused(tmp_path):
    path = recording(tmp_path, columns(t=np.array([1, 2, 2**62, 2**63 - 1])))
    with h5py.File(path, "a") as file:
        file["t_offset"] = 2**61
    with pytest.raises(DataError, match="event 2: expected a time below"):
        read_events(path)
    assert read_events(path, errors="keep").t.tolist() == [2**61 + 1, 2**61 + 2]
    for wrong in (2**62, [1, 2], 0.5):
        with h5py.File(path, "a") as file:
            del file["t_offset"]
            file["t_offset"] = wrong
        with pytest.raises(DataError, match="as t_offset"):
            read_events(path)


@pytest.mark.parametrize("geometry", [np.bytes_(b"1280x720"), "1280x720"])
def test_files_of_prophesee_are_records_with_a_geometry(tmp_path, geometry):
    records = np.zeros(4, [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    for name, values in zip("txyp", (T, X, Y, P), strict=True):
        records[name] = values
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["geometry"] = geometry
        file["CD/events"] = records
    events = read_events(tmp_path / "a.hdf5")
    assert (rows_of(events), events.sensor_size) == (ROWS, (1280, 720))


def test_a_missing_filter_is_named(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk((4,))
            creation.set_filter(36559, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((4,))
            group = file.require_group("CD/events")
            h5py.h5d.create(group.id, name.encode(), h5py.h5t.STD_I64LE, space, creation)
    with pytest.raises(UnsupportedError, match=r"ECF of Prophesee.*h5repack -f GZIP=4"):
        read_events(path)


def test_chunks_that_were_packed_twice_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk((4,))
            creation.set_deflate(4)
            creation.set_filter(32000, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(file.require_group("events").id, name.encode(), h5py.h5t.STD_I64LE, space, creation)
    with pytest.raises(UnsupportedError, match="filter 32000"):
        read_events(path)


@pytest.mark.parametrize("settings", [(), (0,), (9,), (2**32 - 1,)])
def test_shuffled_numbers_have_as_many_bytes_as_there_are(settings):
    with pytest.raises(ValueError, match="shuffled numbers of"):
        unfiltered(bytes(8), [Filter(2, settings, "shuffle")], 0, 8)


def test_h5py_finds_what_is_written(tmp_path):
    t = np.arange(70_000)
    write_events(tmp_path / "a.h5", Events.from_arrays(t, t % 30, t % 20, t % 2, (30, 20)))
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["events"]
        assert dict(group.attrs) == {"width": 30, "height": 20}
        assert {name: group[name].dtype.str for name in "txyp"} == {"t": "<i8", "x": "<i2", "y": "<i2", "p": "|i1"}
        assert np.array_equal(group["t"], t)
        assert np.array_equal(group["y"], t % 20)
        assert group["t"].chunks == (4096,)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (columns(t=np.array([0.5, 1, 2, 3])), "whole numbers"),
        (columns(t=np.array([b"a", b"b", b"c", b"d"])), "whole numbers"),
        (columns(x=np.array([X, X])), "one axis"),
        (columns(y=np.array(Y[:3])), "one length"),
        ({"t": T, "x": X, "y": Y}, "expected /events or /CD/events"),
        ({}, "got nothing"),
    ],
)
def test_datasets_that_are_no_events_are_refused(tmp_path, arrays, said):
    with pytest.raises(DataError, match=rf"a\.h5: .*{said}"):
        read_events(recording(tmp_path, arrays))


@pytest.mark.parametrize(
    ("arrays", "event"),
    [(columns(p=np.array([0, 1, 2, 0])), 2), (columns(t=np.array([5, 2**63, 6, 7], np.uint64)), 1),
     (columns(x=np.array([1, 2, 3, 40_000])), 3)],
)  # fmt: skip
def test_an_event_that_cannot_be_is_damage(tmp_path, arrays, event):
    path = recording(tmp_path, arrays)
    with pytest.raises(DataError, match=f"event {event}: expected"):
        read_events(path)
    assert len(read_events(path, errors="keep")) == event


PACKED = [
    {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"}, {"fletcher32": True},
    {"shuffle": True}, {"compression": "lzf", "shuffle": True, "fletcher32": True},
]  # fmt: skip


@pytest.mark.parametrize("options", PACKED)
@pytest.mark.parametrize("chunk", [1000, 333, 40_000])
def test_chunks_of_every_filter_of_h5py_are_read(tmp_path, options, chunk):
    rng = np.random.default_rng(3)
    t = np.cumsum(rng.integers(0, 1 << 40, 50_001))  # of which some chunks are not made smaller
    path = recording(tmp_path, {"t": t, "x": t % 9, "y": t % 8, "p": t % 2 == 1}, chunks=(chunk,), **options)
    with EventFile(path) as file:
        assert np.array_equal(np.concatenate([block.t for block in file]), t)
        assert np.array_equal(file.read().p, t % 2)


@pytest.mark.parametrize("options", [options for options in PACKED if len(options) > 1 or "shuffle" not in options])
def test_any_changed_bit_of_a_packed_chunk_is_an_event_or_damage(tmp_path, options):
    t = np.arange(500)
    path = recording(tmp_path, {"t": t, "x": t % 9, "y": t % 8, "p": t % 2}, chunks=(500,), **options)
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        info = file["events/t"].id.get_chunk_info(0)
    for at in range(info.byte_offset, info.byte_offset + info.size, max(1, info.size // 60)):
        changed = content.copy()
        changed[at] ^= 4
        path.write_bytes(changed)
        if "fletcher32" in options or options.get("compression") == "gzip":
            found = read_events(path, errors="keep").t
            assert found.size == 0 or np.array_equal(found, t)
        else:
            assert len(read_events(path, errors="keep")) in (0, 500)


def test_chunks_of_blosc_are_read_without_its_plugin(tmp_path):
    zstd = pytest.importorskip("backports.zstd")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in columns().items():
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk((4,))
            creation.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, 8, 32, 5, 1, 5))
            group = file.require_group("events")
            space = h5py.h5s.create_simple((4,))
            data = h5py.h5d.create(group.id, name.encode(), h5py.h5t.STD_I64LE, space, creation)
            shuffled = values.astype("<i8").view("u1").reshape(4, 8).T.tobytes()
            body = zstd.compress(shuffled)
            packed = struct.pack("<4B5I", 2, 1, 0x91, 8, 32, 32, 24 + len(body), 20, len(body)) + body
            data.write_direct_chunk((0,), packed)
    assert rows_of(read_events(tmp_path / "a.h5")) == ROWS


@pytest.mark.parametrize("layout", ["compact", "contiguous", "big-endian"])
def test_values_in_one_piece_are_read(tmp_path, layout):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in columns(p=np.array(P, bool)).items():
            values = values.astype(">i4") if layout == "big-endian" else values
            if layout == "compact":
                creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                creation.set_layout(h5py.h5d.COMPACT)
                kind = h5py.h5t.py_create(values.dtype, logical=True)
                group = file.require_group("events")
                data = h5py.h5d.create(group.id, name.encode(), kind, h5py.h5s.create_simple((4,)), creation)
                data.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
            else:
                file[f"events/{name}"] = values
    assert rows_of(read_events(tmp_path / "a.h5")) == ROWS


def test_values_that_were_never_written_are_damage(tmp_path):
    for chunks in (None, (2,)):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            for name in "txyp":
                file.create_dataset(f"events/{name}", (4,), "<i8", chunks=chunks)
        with pytest.raises(DataError, match="event 0: expected readable chunks"):
            read_events(tmp_path / "a.h5")


def test_numbers_of_odd_bits_are_no_whole_numbers_of_numpy():
    kind = h5py.h5t.STD_I32LE.copy()
    assert stored_type(kind) == np.dtype("<i4")
    kind.set_precision(12)
    assert stored_type(kind).kind == "V"


def test_other_fields_of_records_do_not_matter(tmp_path):
    records = np.zeros(4, [("pad", "<f4"), ("p", "?"), ("t", "<i8"), ("x", ">u2"), ("name", "S3"), ("y", "<u2")])
    for name, values in zip("txyp", (T, X, Y, P), strict=True):
        records[name] = values
    for options in ({}, {"chunks": (3,), "compression": "gzip", "shuffle": True}):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("events", data=records, **options)
        assert rows_of(read_events(tmp_path / "a.h5")) == ROWS


@pytest.mark.parametrize(("n", "said"), [(8, "8"), (8008, "more")])
@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"compression": "gzip", "shuffle": True}])
def test_a_chunk_that_holds_less_or_more_than_its_events_is_damage(tmp_path, options, n, said):
    t = np.arange(50_000)
    path = recording(tmp_path, {"t": t, "x": t % 9, "y": t % 8, "p": t % 2}, chunks=(1000,), **options)
    assert np.array_equal(read_events(path).t, t)
    assert np.array_equal(read_events(path, start=40.5, end=41.5).t, t[40_500:41_500])
    with h5py.File(path, "a") as file:
        file["events/t"].id.write_direct_chunk((40_000,), zlib.compress(bytes(n)))
    with pytest.raises(DataError, match=f"event 32768: expected readable chunks, got a chunk at 40000 of {said} bytes"):
        read_events(path)
    assert len(read_events(path, errors="keep")) == 32768


@pytest.mark.parametrize("kind", ["soft", "external", "external group"])
def test_links_to_other_places_are_not_followed(tmp_path, kind):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["events/t"] = T
    path = recording(tmp_path, {name: values for name, values in columns().items() if name != "t"})
    with h5py.File(path, "a") as file:
        if kind == "external group":
            del file["events"]
            file["events"] = h5py.ExternalLink(str(secret), "/events")
        else:
            file["other"] = T
            file["events/t"] = (
                h5py.SoftLink("/other") if kind == "soft" else h5py.ExternalLink(str(secret), "/events/t")
            )
    with pytest.raises(DataError, match="in the file itself, got a link"):
        read_events(path)


def test_storage_outside_of_the_file_is_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(32))
    path = recording(tmp_path, {name: values for name, values in columns().items() if name != "t"})
    with h5py.File(path, "a") as file:
        file.create_dataset("events/t", (4,), "<i8", external=[(str(tmp_path / "secret"), 0, 32)])
    with pytest.raises(DataError, match="external or virtual"):
        read_events(path)
    with h5py.File(path, "a") as file:
        del file["events/t"]
        layout = h5py.VirtualLayout((4,), "<i8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "b.h5"), "t", (4,))
        file.create_virtual_dataset("events/t", layout)
    with pytest.raises(DataError, match="external or virtual"):
        read_events(path)


def test_lengths_and_chunks_that_would_fill_the_memory_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", (1 << 50,), "i1", chunks=(1 << 16,))
    with pytest.raises(DataError, match="at most 16 events for each"):
        read_events(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", (10,), "i1", maxshape=(None,), chunks=(1 << 31,))
    with pytest.raises(DataError, match="chunks of at most"):
        read_events(tmp_path / "a.h5")


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("width", 40_000)])
def test_a_size_that_no_sensor_has_is_refused(tmp_path, name, value):
    path = recording(tmp_path, columns())
    with h5py.File(path, "a") as file:
        file["events"].attrs.update({"width": 10, "height": 10} | {name: value})
    with pytest.raises(DataError, match="pixels a side"):
        read_events(path)


def test_a_cut_file_is_an_error_that_names_it(tmp_path):
    path = recording(tmp_path, columns())
    content = path.read_bytes()
    for length in range(0, len(content), 211):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"a\.h5"):
            read_events(path, "hdf5")

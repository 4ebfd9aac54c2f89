"""HDF5 files as SHD and SSC have them: what is read, to the step, and what is refused."""

import zlib
from contextlib import suppress
from fractions import Fraction

import h5py
import numpy as np
import pytest

from spikeloom.datasets import read_spike_hdf5, spike_hdf5
from spikeloom.datasets.hdf5_heap import REFERENCE, arrays_of
from spikeloom.errors import DataError, ParameterError, ShapeError, StorageError
from spikeloom.spikes import Spikes, sorting

TIMES = [[0.5, 0.0, 0.0105, 0.5], [], [1.25, 0.001], [0.2]]
UNITS = [[699, 3, 3, 699], [], [0, 7], [5]]


def written(path, times=TIMES, units=UNITS, labels=None, kind=np.float16, unit=np.uint16, **storage):
    """A file in SHD's layout: arrays of variable length in chunks, as PyTables makes them."""
    storage = {"chunks": (2,), "maxshape": (None,)} | storage
    of_file = {name: storage.pop(name) for name in ("userblock_size", "libver") if name in storage}
    with h5py.File(path, "w", **of_file) as file:
        for name, rows, base in (("times", times, kind), ("units", units, unit)):
            data = file.create_dataset(f"spikes/{name}", (len(rows),), h5py.vlen_dtype(base), **storage)
            for k, row in enumerate(rows):
                data[k] = np.array(row, base)
        file["labels"] = np.arange(len(times), dtype=np.uint16) * 2 if labels is None else labels
        file["extra/keys"] = np.array([b"zero", b"one"])
    return path


def events_of(spikes):
    """Lists of (step, id) by sample, with the value where there are some."""
    rows = list(zip(spikes.grid.step.tolist(), spikes.ids.tolist(), strict=True))
    return [rows[a:b] for a, b in zip(spikes.offsets[:-1], spikes.offsets[1:], strict=True)]


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "shd.h5")


def test_samples_are_read_in_order_with_their_labels(path):
    spikes = read_spike_hdf5(path, dt=1.0)
    # 0.0105 as float16 is 0.01049805, and 0.001 is 0.00100040.
    assert events_of(spikes) == [[(0, 3), (10, 3), (500, 699)], [], [(1, 7), (1250, 0)], [(199, 5)]]
    assert spikes.labels.tolist() == [0, 2, 4, 6]
    assert (spikes.shape, spikes.n_steps, spikes.dt, spikes.duration) == ((700,), 1251, 1.0, 1251.0)
    assert (spikes.step.dtype, spikes.ids.dtype, spikes.offsets.dtype) == (np.int32, np.int32, np.int64)


def step_of(time, dt):
    """The step of a stored time in seconds, by fractions; one within rounding errors of a boundary is at it."""
    exact = Fraction(float(time)) * 1000 / Fraction(str(dt))
    eps = 0 if time.dtype == np.float16 else np.finfo(time.dtype).eps
    return round(exact) if abs(exact - round(exact)) <= 1e-6 + 4 * eps * exact else exact // 1


@pytest.mark.parametrize("dt", [0.1, 0.5, 1.0, 3.7, 20.0])
@pytest.mark.parametrize(
    ("kind", "unit"), [("<f2", "u2"), ("<f4", "u2"), ("<f8", "i8"), ("<f2", "i4"), ("<f2", "u1"), ("<f4", "u8")]
)
def test_every_time_falls_into_the_step_that_its_exact_value_says(tmp_path, dt, kind, unit):
    rng = np.random.default_rng(5)
    times = [(rng.random(n) * 1.4).astype(kind) for n in (400, 0, 77)]
    units = [rng.integers(0, 256, len(row)).astype(unit) for row in times]
    spikes = read_spike_hdf5(written(tmp_path / "a.h5", times, units, kind=kind, unit=unit), dt=dt)
    pairs = [zip(*pair, strict=True) for pair in zip(times, units, strict=True)]
    assert events_of(spikes) == [sorted({(step_of(t, dt), int(i)) for t, i in pair}) for pair in pairs]


def test_all_float16_times_of_three_seconds_fall_into_their_steps(tmp_path):
    times = np.arange(0x4200, dtype=np.uint16).view(np.float16)
    path = written(tmp_path / "a.h5", [times], [np.arange(times.size)])
    spikes = read_spike_hdf5(path, dt=1.0, n_channels=2**16)
    assert spikes.grid.step[np.argsort(spikes.ids)].tolist() == [step_of(t, 1) for t in times]
    assert spikes.n_steps == 2999


@pytest.mark.parametrize("storage", [
    {"compression": "gzip"}, {"chunks": None, "maxshape": None}, {"chunks": (100,)}, {"userblock_size": 512},
    {"compression": "gzip", "shuffle": True}, {"libver": "latest"}, {"compression": "lzf"},
])  # fmt: skip
@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_blocks_and_storage_make_no_difference(tmp_path, monkeypatch, storage, block):
    want = read_spike_hdf5(written(tmp_path / "want.h5"), dt=1.0)
    monkeypatch.setattr(spike_hdf5, "BLOCK", block)
    got = read_spike_hdf5(written(tmp_path / "got.h5", **storage), dt=1.0)
    assert events_of(got) == events_of(want)
    assert got.labels.tolist() == want.labels.tolist()


def test_samples_are_chosen_by_index_in_any_order(path):
    whole = events_of(read_spike_hdf5(path, dt=1.0))
    for indices in ([2], [3, 0], [0, 2, 2, 1], [-1], np.array([True, False, True, False]), []):
        spikes = read_spike_hdf5(path, indices, dt=1.0)
        rows = np.arange(4)[np.asarray(indices, dtype=None if len(indices) else int)]
        assert events_of(spikes) == [whole[k] for k in rows]
        assert spikes.labels.tolist() == (rows * 2).tolist()
    assert read_spike_hdf5(path, [0], dt=1.0).n_steps == 501
    with pytest.raises(ParameterError, match="must lie below 4"):
        read_spike_hdf5(path, [4], dt=1.0)


def test_what_several_spikes_in_one_step_become_is_as_in_spikes(path):
    stored = np.array(TIMES[0], np.float16).astype(float) * 1000
    for collisions in ("merge", "sum"):
        want = Spikes.from_steps(stored.astype(int), UNITS[0], 700, 501, 1.0, collisions=collisions)
        got = read_spike_hdf5(path, [0], dt=1.0, collisions=collisions)
        for name in ("step", "ids", "offsets", "value"):
            np.testing.assert_array_equal(getattr(got, name), getattr(want, name))
    assert read_spike_hdf5(path, [1, 2], dt=1.0, collisions="sum").value is None
    with pytest.raises(DataError, match=r"shd.h5: channel 699 fires 2 times in step 500 of sample 0, 1 at most; "):
        read_spike_hdf5(path, dt=1.0, collisions="error")
    with pytest.raises(DataError, match="channel 699 fires 2 times in step 500 of sample 0"):
        read_spike_hdf5(path, [2, 1, 0], dt=1.0, collisions="error")
    with pytest.raises(ParameterError, match="collisions must be one of error, merge, sum"):
        read_spike_hdf5(path, dt=1.0, collisions="queue")


def test_more_spikes_in_a_step_than_a_value_holds_are_named(tmp_path):
    path = written(tmp_path / "a.h5", [[0.1], [0.5] * 128], [[3], [7] * 128])
    with pytest.raises(DataError, match="channel 7 fires 128 times in step 500 of sample 1, 127 at most"):
        read_spike_hdf5(path, dt=1.0, collisions="sum")
    assert read_spike_hdf5(path, dt=1.0).n_spikes == 2
    path = written(tmp_path / "b.h5", [[0.5] * 127], [[7] * 127])
    assert read_spike_hdf5(path, dt=1.0, collisions="sum").value.tolist() == [127]


def test_labels_do_not_wrap(tmp_path):
    path = written(tmp_path / "a.h5", labels=np.full(4, 2**63, np.uint64))
    with pytest.raises(DataError, match=r"labels must be below 2\*\*63, got 9223372036854775808"):
        read_spike_hdf5(path, dt=1.0)


def test_a_grid_that_64_bits_cannot_number_is_refused(tmp_path):
    path = written(tmp_path / "a.h5", [[1.0]] * 50, [[5]] * 50, kind=np.float32)
    with pytest.raises(ParameterError, match=r"must stay below 2\*\*63"):
        read_spike_hdf5(path, dt=1e-6, n_channels=2**31 - 1)


def test_a_duration_is_the_window_and_what_lies_beyond_is_an_error(path):
    assert read_spike_hdf5(path, dt=1.0, duration=1400.0).n_steps == 1400
    with pytest.raises(DataError, match=r"times\[2\]\[0\] must be from 0 to below 1.25 s, got 1.25; see duration="):
        read_spike_hdf5(path, dt=1.0, duration=1250.0)


def test_numpy_reads_the_same(path, monkeypatch):
    compiled = {c: read_spike_hdf5(path, dt=1.0, collisions=c) for c in ("merge", "sum")}
    monkeypatch.setattr(sorting, "compiled", lambda header: None)
    for collisions, want in compiled.items():
        got = read_spike_hdf5(path, dt=1.0, collisions=collisions)
        assert events_of(got) == events_of(want)
        np.testing.assert_array_equal(got.values(), want.values())


@pytest.mark.parametrize("kind", [np.float16, np.float64])
@pytest.mark.parametrize("unit", [np.uint16, np.int64])
@pytest.mark.parametrize(
    ("times", "units", "text"),
    [
        ([[0.1, np.nan]], [[0, 1]], r"spikes/times\[0\]\[1\] must be from 0"),
        ([[0.0], [-0.5]], [[0], [1]], r"spikes/times\[1\]\[0\] must be from 0"),
        ([[np.inf]], [[0]], r"spikes/times\[0\]\[0\]"),
        ([[0.1, 0.2]], [[0, 700]], r"spikes/units\[0\]\[1\] must be a channel from 0 to 699, got 700"),
        ([[0.1], [0.1, 0.2]], [[1], [0]], "sample 1 must have a unit for each time, got 1 for 2 times"),
    ],
)
def test_what_is_no_spike_train_is_named_by_its_place(tmp_path, times, units, text, kind, unit):
    with pytest.raises(DataError, match=text):
        read_spike_hdf5(written(tmp_path / "a.h5", times, units, kind=kind, unit=unit), dt=1.0)


def test_a_unit_far_beyond_the_channels_does_not_wrap(tmp_path):
    for unit in (2**32, -1, 2**62):
        with pytest.raises(DataError, match=rf"units\[0\]\[0\] must be a channel from 0 to 699, got {unit}"):
            read_spike_hdf5(written(tmp_path / "a.h5", [[0.1]], [[unit]], unit=np.int64), dt=1.0)


def edited(path, change):
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replace(file, name, **made):
    del file[name]
    file.create_dataset(name, **made)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f.pop("labels"), "expected a data set 'labels'"),
        (lambda f: f.pop("spikes/units"), "expected a data set 'spikes/units'"),
        (lambda f: f.pop("spikes"), "expected a data set 'spikes/times'"),
        (lambda f: replace(f, "labels", data=[0.5] * 4), "labels must hold integers"),
        (lambda f: replace(f, "labels", data=[1, 2]), "one entry for each sample"),
        (lambda f: replace(f, "labels", shape=(2**40,), dtype="u2", chunks=(100,)), "one entry for each sample"),
        (lambda f: replace(f, "spikes/times", data=np.zeros(4)), "an array of numbers of kind f for each sample"),
        (
            lambda f: replace(f, "spikes/units", shape=(4,), dtype=h5py.vlen_dtype("f4")),
            "an array of numbers of kind iu",
        ),
        (lambda f: replace(f, "spikes/units", shape=(4,), dtype=h5py.string_dtype()), "an array of numbers of kind iu"),
        (lambda f: replace(f, "spikes/units", shape=(4,), dtype=h5py.vlen_dtype(">u2")), "little-endian"),
        (lambda f: (f.pop("labels"), f.create_group("labels")), "must be a data set"),
        (
            lambda f: f.__setitem__("spikes/times", f.pop("spikes/times") and h5py.ExternalLink("/etc/x", "/y")),
            "expected",
        ),
        (lambda f: (f.pop("labels"), f.__setitem__("labels", h5py.SoftLink("/spikes/times"))), "expected a data set"),
    ],
)
def test_a_file_that_lacks_something_says_what(path, change, text):
    with pytest.raises(DataError, match=text):
        read_spike_hdf5(edited(path, change), dt=1.0)


def test_a_data_set_that_claims_more_samples_than_the_file_has_bytes_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name, kind in (
            ("spikes/times", h5py.vlen_dtype("f2")),
            ("spikes/units", h5py.vlen_dtype("u2")),
            ("labels", "u2"),
        ):
            file.create_dataset(name, (2**40,), kind, chunks=(64,))
    with pytest.raises(DataError, match="one entry for each sample"):
        read_spike_hdf5(path, dt=1.0)


def patched(path, change):
    """The file with `change(references, place)` done to the references of the times, and to its bytes."""
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        place = file["spikes/times"].id.get_chunk_info(0).byte_offset
    references = np.frombuffer(content, REFERENCE, 2, place)
    change(references, content)
    path.write_bytes(content)
    return path


def put(content, at, value):
    content[at : at + 8] = value.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda r, _: r["length"].__setitem__(0, 2**31), "claim 4294967302 bytes, the file has"),
        (lambda r, _: r["length"].__setitem__(0, 3), "sample 0 must have a unit for each time, got 4 for 3 times"),
        (lambda r, _: r["index"].__setitem__(0, 77), "sample 0 must be an object of 8 bytes in the heap"),
        (lambda r, _: r["address"].__setitem__(0, 2**60), "expected a heap at byte 1152921504606846976, got the end"),
        (lambda r, _: r["address"].__setitem__(0, 0), "expected a heap at byte 0, got 89 48 44 46"),
        (lambda r, c: put(c, int(r["address"][0]) + 8, 2**40), "expected a heap at byte"),
        (lambda r, c: put(c, int(r["address"][0]) + 8, 8), "expected a heap at byte"),
        (lambda r, c: put(c, int(r["address"][0]) + 24, 2**40), "claims 1099511627776 bytes, its heap ends at"),
        (lambda r, c: put(c, int(r["address"][0]) + 24, 0), "sample 0 must be an object of 8 bytes"),
    ],
)
def test_references_that_lead_to_no_array_are_named_by_their_byte(path, change, text):
    with pytest.raises(DataError, match=text):
        read_spike_hdf5(patched(path, change), dt=1.0)


def test_heaps_within_heaps_are_refused(tmp_path):
    """Else a small file could make the reader walk through the same bytes again and again."""
    times = [np.zeros(40, np.float16), np.zeros(40, np.float16)]
    path = written(tmp_path / "a.h5", times, [row.view(np.uint16) for row in times])

    def nest(references, content):
        inner = int(references["address"][0]) + 32
        content[inner : inner + 8] = b"GCOL\x01\0\0\0"
        put(content, inner + 8, 64)
        references["address"][1] = inner

    with pytest.raises(DataError, match=r"sample 1 lies in a heap at byte \d+, within another one"):
        read_spike_hdf5(patched(path, nest), dt=1.0)


def test_samples_that_share_their_bytes_cannot_claim_more_than_the_file_holds(tmp_path):
    n = 64
    rows = [[0.1] * 4000] + [[]] * (n - 1)
    path = written(tmp_path / "a.h5", rows, rows, chunks=(n,))
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        places = [file[name].id.get_chunk_info(0).byte_offset for name in ("spikes/times", "spikes/units")]
    for place in places:
        content[place : place + 16 * n] = content[place : place + 16] * n
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"claim {n * 4000 * 2} bytes, the file has {len(content)}"):
        read_spike_hdf5(path, dt=1.0)


@pytest.mark.parametrize("cut", [0, 10, 96, 500, 2000])
def test_a_file_that_was_cut_off_is_damaged(path, cut):
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="expected a whole HDF5 file"):
        read_spike_hdf5(path, dt=1.0)


def test_flipped_bits_give_an_error_or_spikes_never_anything_else(path):
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        torn = bytearray(content)
        for place in rng.integers(0, len(torn), 3):
            torn[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(torn)
        with suppress(DataError):
            spikes = read_spike_hdf5(path, dt=1.0)
            assert len(spikes) == 4
            assert spikes.ids.max(initial=0) < 700


def test_a_filter_that_is_not_known_is_named(tmp_path):
    path = written(tmp_path / "b.h5", labels=[])
    with h5py.File(path, "a") as file:
        del file["labels"]
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((4,))
        creation.set_filter(32013, h5py.h5z.FLAG_OPTIONAL, ())
        h5py.h5d.create(file.id, b"labels", h5py.h5t.STD_I64LE, h5py.h5s.create_simple((4,)), creation)
    with pytest.raises(DataError, match=r"/labels: filter .* is not known; h5repack -f GZIP=4"):
        read_spike_hdf5(path, dt=1.0)


@pytest.mark.parametrize("kind", [np.uint16, ">i4", np.int64])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"}])
def test_labels_are_read_as_they_are_stored(tmp_path, kind, options):
    path = written(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["labels"]
        file.create_dataset("labels", data=np.array([3, 0, 7, 1], kind), chunks=(3,), **options)
    assert read_spike_hdf5(path, dt=1.0).labels.tolist() == [3, 0, 7, 1]


@pytest.mark.parametrize(("precision", "offset"), [(12, 0), (12, 4)])
def test_labels_of_odd_bits_are_refused_and_not_read_as_others(tmp_path, precision, offset):
    path, kind = written(tmp_path / "a.h5"), h5py.h5t.STD_I16LE.copy()
    kind.set_precision(precision)
    kind.set_offset(offset)
    with h5py.File(path, "a") as file:
        del file["labels"]
        made = h5py.h5d.create(file.id, b"labels", kind, h5py.h5s.create_simple((4,)))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([3, 0, 7, 1], np.int16))
    with pytest.raises(DataError, match="/labels must hold whole numbers that fill their bytes"):
        read_spike_hdf5(path, dt=1.0)


def test_a_chunk_of_references_far_longer_than_what_it_holds_is_damage(tmp_path):
    path = written(tmp_path / "a.h5", chunks=(2,), compression="gzip")
    with h5py.File(path, "a") as file:
        place = file["spikes/times"].id
        mask, raw = place.read_direct_chunk((2,))
        place.write_direct_chunk((2,), bytes(raw) + bytes(10_000), mask)
    with pytest.raises(DataError, match=r"the chunk of sample 2 claims 100.. bytes"):
        read_spike_hdf5(path, dt=1.0)


class Without:
    """A thing that lacks some of its methods, and has others in place of some."""

    def __init__(self, thing, lacks=(), **others):
        self.__dict__ |= {"thing": thing, "lacks": lacks} | others

    def __getattr__(self, name):
        assert name not in self.lacks, name
        return getattr(self.thing, name)

    def __len__(self):
        return len(self.thing)


def test_chunks_of_references_are_listed_at_once(tmp_path):
    # libhdf5 counts from the first chunk on to tell of one: some ten thousand would take minutes.
    path = written(tmp_path / "a.h5", chunks=(1,))
    with h5py.File(path) as file:
        times = file["spikes/times"]
        listed = Without(times, id=Without(times.id, ("get_chunk_info", "get_chunk_info_by_coord")))
        found = arrays_of(listed, np.memmap(path, np.uint8, "r"), "f")
    assert found.lengths.tolist() == [4, 0, 2, 1]


def test_labels_whose_chunk_is_short_are_damage(tmp_path):
    path = written(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["labels"]
        file.create_dataset("labels", data=np.arange(4), chunks=(4,), compression="gzip")
        file["labels"].id.write_direct_chunk((0,), zlib.compress(bytes(8)))
    with pytest.raises(DataError, match="of 8 bytes instead of 32"):
        read_spike_hdf5(path, dt=1.0)


def test_a_file_that_is_not_there_and_wrong_arguments_are_refused(tmp_path, path):
    with pytest.raises(StorageError, match="there is no file"):
        read_spike_hdf5(tmp_path / "none.h5", dt=1.0)
    for options in ({"dt": 0.0}, {"dt": 1.0, "n_channels": 0}, {"dt": 1.0, "duration": -1.0}):
        with pytest.raises(ParameterError):
            read_spike_hdf5(path, **options)
    with pytest.raises((ParameterError, ShapeError)):
        read_spike_hdf5(path, [[0]], dt=1.0)

"""Cached data sets: equal samples, rebuilt when stale or torn, and files that lie."""

import hashlib
import json
import os
import pickle
import struct
import threading
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from spikeloom import Spikes
from spikeloom.datasets import ArrayDataset, Dataloader, Dataset, SequenceDataset, TextTable, cache
from spikeloom.datasets.cache import cached
from spikeloom.datasets.cache_file import CacheFile
from spikeloom.datasets.cached_samples import read_dataset
from spikeloom.datasets.event_dataset import EventDataset, EventFiles
from spikeloom.errors import DataError, ParameterError, StateError, StorageError
from spikeloom.events import Events
from spikeloom.events.files import write_events
from spikeloom.events.representations import ToFrames, ToSpikes
from spikeloom.events.transforms import DropEvents, FlipX

TO_FRAMES = ToFrames(window=5.0, start=0.0, end=20.0)
TO_SPIKES = ToSpikes(1.0, start=0.0, end=20.0)
LABELS = [2, 0, 1]


def some_events(seed, n=40):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 20_000, n))
    return Events.from_arrays(t, rng.integers(0, 6, n), rng.integers(0, 4, n), rng.integers(0, 2, n), (6, 4))


@pytest.fixture
def files(tmp_path):
    """Three files of events of unequal length, one of them empty."""
    folder = tmp_path / "source"
    folder.mkdir()
    paths = [folder / f"{seed}.es" for seed in range(3)]
    for seed, path in enumerate(paths):
        write_events(path, some_events(seed, 40 * seed))
    return paths


def dataset_of(files, transform=None, **options):
    return EventDataset(EventFiles(files, sensor_size=(6, 4)), LABELS, transform=transform, **options)


class Watched:
    """Recordings from files that tell whenever one is read."""

    def __init__(self, files, on_read):
        self.inner, self.on_read = EventFiles(files, sensor_size=(6, 4)), on_read
        self.files, self.key = self.inner.files, self.inner.key

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, index):
        self.on_read(index)
        return self.inner[index]


def watched(files, on_read):
    return EventDataset(Watched(files, on_read), LABELS)


class Reads(Dataset):
    """A data set that counts how often it is read, and has no key."""

    name, shape, classes = "reads", (2,), ("even", "odd")
    labels = np.arange(5) % 2

    def __init__(self):
        self.n = 0

    def __getitem__(self, index):
        self.n += 1
        return np.full(2, index, np.float32), int(self.labels[index])


def the_file(folder):
    (path,) = folder.iterdir()
    return path


def equal(one, other):
    return one.equals(other) if isinstance(one, (Events, Spikes)) else np.array_equal(one, other)


@pytest.mark.parametrize("transform", [None, TO_FRAMES, TO_SPIKES, [FlipX(), TO_SPIKES]])
def test_each_sample_comes_back_as_it_was(files, tmp_path, transform):
    dataset = dataset_of(files, transform)
    again = cached(dataset, tmp_path / "cache")
    assert len(again) == 3
    assert (again.name, again.shape, again.n_classes) == (dataset.name, dataset.shape, dataset.n_classes)
    assert again.labels.tolist() == LABELS
    for index in (2, 0, 1, -1):
        assert equal(again[index][0], dataset[index][0])
        assert again[index][1] == dataset[index][1]


@pytest.mark.parametrize("transform", [TO_FRAMES, TO_SPIKES])
@pytest.mark.parametrize("indices", [[0, 1, 2], [2, 0], [1, 1], [], [-1]])
def test_a_batch_is_that_of_the_data_set(files, tmp_path, transform, indices):
    dataset = dataset_of(files, transform)
    again = cached(dataset, tmp_path / "cache")
    if indices:
        assert equal(again.batch(indices)[0], dataset.batch(indices)[0])
    assert len(again.batch(indices)[0]) == len(indices)
    assert np.array_equal(again.batch(indices)[1], dataset.labels[indices])


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.sampled_from([-2, 1, 3])), max_size=6), min_size=1
    )
)
def test_graded_spikes_with_labels_and_empty_trains_survive(tmp_path_factory, trains):
    rows = [(step, neuron, b, value) for b, train in enumerate(trains) for step, neuron, value in train]
    step, neuron, sample, value = np.array(rows, int).reshape(-1, 4).T
    spikes = Spikes.from_steps(step, neuron, 4, 10, 0.5, samples=sample, values=value.astype(np.int8),
                               labels=np.arange(len(trains)) % 2, collisions="merge")  # fmt: skip
    dataset = ArrayDataset(spikes, classes=["a", "b"])
    again = cached(dataset, tmp_path_factory.mktemp("cache"))
    assert again.batch(np.arange(len(trains)))[0].equals(spikes)
    assert list(again.classes) == ["a", "b"]


def test_spikes_in_continuous_time_survive(tmp_path):
    spikes = Spikes.from_times([0.25, 3.5, 3.5, 0.0], [1, 0, 2, 0], 3, 5.0, samples=[0, 0, 1, 1])
    again = cached(ArrayDataset(spikes, [0, 1]), tmp_path)
    assert again.batch([0, 1])[0].equals(spikes)


def test_a_cache_goes_through_a_loader_and_a_pickle_without_its_samples(files, tmp_path):
    again = cached(dataset_of(files, TO_SPIKES), tmp_path / "cache")
    assert [len(data) for data, _ in Dataloader(again, batch_size=2)] == [2, 1]
    text = pickle.dumps(again)
    assert pickle.loads(text).batch([1, 2])[0].equals(again.batch([1, 2])[0])  # noqa: S301
    assert len(text) < 4000


def test_it_is_one_file_which_others_can_read_and_which_is_not_written_again(files, tmp_path):
    cached(dataset_of(files), tmp_path / "cache")
    path = the_file(tmp_path / "cache")
    before = path.stat().st_mtime_ns, path.stat().st_ino
    arrays = load_file(path)
    assert arrays["offsets"].tolist() == [0, 0, 40, 120]
    assert arrays["t"].tolist() == [*some_events(1, 40).t, *some_events(2, 80).t]
    cached(dataset_of(files), tmp_path / "cache")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_an_augmentation_works_on_cached_events_and_is_not_cached_itself(files, tmp_path):
    random = dataset_of(files, [DropEvents(0.5), TO_FRAMES], generator=np.random.default_rng(0))
    for key in (None, "own"):
        with pytest.raises(ParameterError, match=r"events draws anew at each reading; .* give it to transform="):
            cached(random, tmp_path / "cache", key=key)
    again = cached(dataset_of(files), tmp_path / "cache", transform=[DropEvents(0.5), TO_FRAMES],
                   generator=np.random.default_rng(0))  # fmt: skip
    assert not np.array_equal(again[2][0], again[2][0])
    with pytest.raises(ParameterError, match="transform= is for Events"):
        cached(dataset_of(files, TO_FRAMES), tmp_path / "frames", transform=FlipX())


def test_another_transform_gets_a_file_of_its_own(files, tmp_path):
    for transform in (None, TO_FRAMES, ToFrames(window=10.0, start=0.0, end=20.0), TO_FRAMES):
        cached(dataset_of(files, transform), tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_a_changed_source_is_read_again(files, tmp_path):
    cached(dataset_of(files), tmp_path / "cache")
    write_events(files[1], some_events(9, 40))
    again = cached(dataset_of(files), tmp_path / "cache")
    assert again[1][0].equals(some_events(9, 40))
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_files_that_were_only_touched_or_moved_together_are_not_read_again(files, tmp_path):
    read = []
    cached(watched(files, read.append), tmp_path / "cache")
    assert read == [0, 0, 1, 2]
    os.utime(files[1], ns=(1, 1))
    cached(watched(files, read.append), tmp_path / "cache")
    moved = files[0].parent.rename(tmp_path / "elsewhere")
    cached(watched([moved / file.name for file in files], read.append), tmp_path / "cache")
    # The first recording of each data set gives its shape.
    assert read == [0, 0, 1, 2, 0, 0]


def test_files_that_change_while_they_are_read_make_no_cache(files, tmp_path):
    with pytest.raises(StateError, match="changed while they were read"):
        cached(watched(files, lambda index: os.utime(files[0], ns=(7, index))), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_bar_stands_on_standard_error_only_where_it_is_asked_for(files, tmp_path, capsys):
    cached(dataset_of(files), tmp_path / "cache")
    assert capsys.readouterr() == ("", "")
    cached(dataset_of(files, TO_FRAMES), tmp_path / "cache", progress=True)
    assert "cache of events" in capsys.readouterr().err
    with pytest.raises(ParameterError, match=r"cached.progress must be True or False"):
        cached(dataset_of(files), tmp_path / "cache", progress=print)


def test_arrays_of_other_content_get_another_file(tmp_path):
    first = cached(ArrayDataset([[1.0], [2.0]], [0, 1]), tmp_path)
    second = cached(ArrayDataset([[1.0], [3.0]], [0, 1]), tmp_path)
    assert (first.batch([1])[0], second.batch([1])[0]) == (2.0, 3.0)
    assert cached(ArrayDataset([[1.0], [2.0]], [1, 0]), tmp_path).labels.tolist() == [1, 0]


def test_a_data_set_without_a_key_needs_one(tmp_path):
    dataset = Reads()
    with pytest.raises(ParameterError, match="nothing tells what is in reads, of type Reads; give key="):
        cached(dataset, tmp_path)
    with pytest.raises(ParameterError, match="has no key"):
        cached(EventDataset([some_events(0)], [0], transform=len), tmp_path, key=None)
    for _ in range(2):
        assert cached(dataset, tmp_path, key="v1").batch([3])[0].tolist() == [[3, 3]]
    assert dataset.n == 5
    cached(dataset, tmp_path, key="v2")
    assert dataset.n == 10


@pytest.mark.parametrize("where", ["begin", "middle", "end"])
def test_a_cache_that_was_cut_or_damaged_is_made_anew(files, tmp_path, caplog, where):
    cached(dataset_of(files), tmp_path / "cache")
    path = the_file(tmp_path / "cache")
    data = bytearray(path.read_bytes())
    if where == "end":
        del data[-1:]
    else:
        data[5 if where == "begin" else -3] ^= 0xFF
    path.write_bytes(data)
    again = cached(dataset_of(files), tmp_path / "cache")
    assert "the cache is made anew" in caplog.text
    assert all(again[index][0].equals(dataset_of(files)[index][0]) for index in range(3))


def test_a_cache_that_grew_or_was_cut_is_made_anew_though_its_checksum_is_not_looked_at(files, tmp_path, caplog):
    for change in (lambda data: data + b"\0", lambda data: data[:-1]):
        cached(dataset_of(files), tmp_path / "cache")
        path = the_file(tmp_path / "cache")
        path.write_bytes(change(path.read_bytes()))
        caplog.clear()
        assert cached(dataset_of(files), tmp_path / "cache", verify=False)[1][0].equals(some_events(1, 40))
        assert "the cache is made anew" in caplog.text


def test_an_interruption_leaves_no_cache_and_the_next_call_makes_it(files, tmp_path):
    def stop(index):
        if index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(watched(files, stop), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(cached(dataset_of(files), tmp_path / "cache")) == 3


def test_several_may_write_one_cache_at_once(files, tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(cached(dataset_of(files), tmp_path / "cache")))
               for _ in range(4)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(again[2][0].equals(some_events(2, 80)) for again in found)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_samples_that_no_cache_can_hold_are_refused(tmp_path):
    events = [some_events(seed, 10 * seed + 5) for seed in range(3)]

    def made(transform, recordings=events):
        return cached(EventDataset(recordings, [0] * len(recordings), transform=transform), tmp_path, key="k")

    with pytest.raises(DataError, match=r"must be of one shape and type, got \(15,\) of float32 after \(5,\)"):
        made(lambda found: found.t)
    with pytest.raises(DataError, match=r"must agree in .*'duration'"):
        made(lambda found: Spikes.from_times(found.t / 1000, found.x, 6, found.t[-1] / 1000 + 1, n_samples=1))
    with pytest.raises(DataError, match="must be finite numbers"):
        made(lambda found: [np.nan])
    with pytest.raises(DataError, match="has no samples"):
        made(None, [])
    assert list(tmp_path.iterdir()) == []


def test_a_source_file_that_is_gone_is_named(files, tmp_path):
    dataset = dataset_of(files)
    files[1].unlink()
    with pytest.raises(StorageError, match=r"cannot read .*1\.es"):
        cached(dataset, tmp_path / "cache")


def rewritten(path, change):
    """The file with another header, its lengths right."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def facts_with(**changed):
    def change(header):
        facts = json.loads(header["__metadata__"]["facts"])
        header["__metadata__"]["facts"] = json.dumps(facts | changed)

    return change


def entry_with(name, **changed):
    return lambda header: header[name].update(changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.clear(),
        lambda header: header["__metadata__"].update(version="2"),
        lambda header: header["__metadata__"].update(facts="[" * 100_000),
        lambda header: header["__metadata__"].update(facts=3),
        lambda header: header["__metadata__"].pop("recipe"),
        lambda header: header.update(ids=3),
        lambda header: header.pop("step"),
        entry_with("ids", dtype="F64"),
        entry_with("ids", dtype="BOOL"),
        entry_with("ids", shape=[2**47, 2**47]),
        entry_with("ids", shape=[-1]),
        entry_with("ids", data_offsets=[0, 2**60]),
        facts_with(kind="pickle"),
        facts_with(population=[0]),
        facts_with(population=[2**40, 2**40]),
        facts_with(population="six"),
        facts_with(n_steps=0),
        facts_with(n_steps=1e9),
        facts_with(dt=-1.0),
        facts_with(dt="one"),
        facts_with(dt=None, duration=1e400),
        facts_with(classes=1),
        facts_with(classes=[1, 2, 3]),
        facts_with(shape=[-3]),
    ],
)
def test_a_file_whose_header_lies_is_not_used(files, tmp_path, caplog, change):
    dataset = dataset_of(files, TO_SPIKES)
    cached(dataset, tmp_path / "cache")
    rewritten(the_file(tmp_path / "cache"), change)
    again = cached(dataset, tmp_path / "cache")
    assert "the cache is made anew" in caplog.text
    assert again.batch([0, 1, 2])[0].equals(dataset.batch([0, 1, 2])[0])


def planted(path, name, place, value):
    """Writes a value into a column."""
    file = CacheFile(path, verify=False)
    column = file.columns[name]
    offset, dtype, shape = column.offset, column.dtype, column.shape
    np.memmap(path, dtype, "r+", offset, shape)[place] = value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("ids", 48, "in their window and in order"), ("ids", -1, "in their window"), ("step", 20, "in their window"),
     ("step", -1, "in their window")],
)  # fmt: skip
def test_spikes_that_lie_are_refused_when_they_are_read(files, tmp_path, name, value, message):
    dataset = dataset_of(files, TO_SPIKES)
    cached(dataset, tmp_path / "cache")
    planted(the_file(tmp_path / "cache"), name, 3, value)
    again = cached(dataset, tmp_path / "cache", verify=False)
    with pytest.raises(DataError, match=message):
        again.batch([1])
    assert again.batch([2])[0].n_spikes


def test_arrays_that_lie_make_a_new_file(tmp_path, caplog):
    dataset = ArrayDataset([[1.0, 3e38], [3e38, 3e38]], [0, 1])
    cached(dataset, tmp_path)
    path = the_file(tmp_path)
    planted(path, "data", (1, 0), -np.inf)
    rewritten(path, lambda header: header["__metadata__"].update(digest="0" * 64, stamps="0" * 64))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rewritten(path, lambda header: header["__metadata__"].update(digest=digest))
    assert cached(dataset, tmp_path).batch([0, 1])[0].tolist() == dataset.data.tolist()
    assert "expected finite numbers" in caplog.text


@pytest.mark.parametrize(("name", "value"), [("x", 6), ("x", -1), ("y", 4), ("p", 2)])
def test_events_that_lie_are_refused_when_they_are_read(files, tmp_path, name, value):
    cached(dataset_of(files), tmp_path / "cache")
    planted(the_file(tmp_path / "cache"), name, 3, value)
    again = cached(dataset_of(files), tmp_path / "cache", verify=False)
    with pytest.raises(DataError, match=f"{name} of recording 1 must be below"):
        again[1]


@pytest.mark.parametrize(
    ("name", "place", "value"), [("offsets", 1, 50), ("offsets", 3, 2**62), ("labels", 0, 3), ("labels", 0, -1)]
)
def test_offsets_and_labels_that_lie_make_a_new_file(files, tmp_path, caplog, name, place, value):
    cached(dataset_of(files), tmp_path / "cache")
    planted(the_file(tmp_path / "cache"), name, place, value)
    again = cached(dataset_of(files), tmp_path / "cache", verify=False)
    assert "the cache is made anew" in caplog.text
    assert again.labels.tolist() == LABELS


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 10**6), st.booleans())
def test_no_bytes_do_anything_but_raise_a_data_error(tmp_path_factory, data, place, cut):
    folder = tmp_path_factory.mktemp("cache")
    cached(ArrayDataset([[1.0], [2.0]], [0, 1]), folder)
    path = the_file(folder)
    good = bytearray(path.read_bytes())
    at = place % len(good)
    good[at : at + len(data)] = data
    path.write_bytes(good[: len(good) - at] if cut else good)
    with suppress(DataError):
        read_dataset(CacheFile(path, verify=False), "data", False).batch([0, 1])


def test_a_byte_changed_under_the_same_size_and_time_is_seen(files, tmp_path):
    cached(dataset_of(files), tmp_path / "cache")
    before = files[1].stat()
    write_events(files[1], FlipX()(some_events(1, 40)))
    os.utime(files[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (files[1].stat().st_size, files[1].stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert cached(dataset_of(files), tmp_path / "cache")[1][0].equals(FlipX()(some_events(1, 40)))


def test_other_names_of_the_classes_are_another_cache(tmp_path):
    for names in (["a", "b"], ["x", "y"]):
        assert cached(ArrayDataset([[1.0], [2.0]], [0, 1], classes=names), tmp_path).classes == names
        assert cached(ArrayDataset([[1.0], [2.0]], [0, 1], classes=names), tmp_path, key="k").classes == names


def test_other_labels_under_the_same_key_are_another_cache(tmp_path):
    for labels in ([0, 1], [1, 0]):
        assert cached(ArrayDataset([[1.0], [2.0]], labels), tmp_path, key="k").labels.tolist() == labels


@pytest.mark.parametrize("change", [facts_with(dt=2.0), facts_with(duration=40.0), facts_with(classes=4)])
def test_a_header_changed_though_plausible_makes_a_new_file(files, tmp_path, caplog, change):
    dataset = dataset_of(files, TO_SPIKES)
    cached(dataset, tmp_path / "cache")
    rewritten(the_file(tmp_path / "cache"), change)
    again = cached(dataset, tmp_path / "cache")
    assert "the cache is made anew" in caplog.text
    assert again.n_classes == 3
    assert again.batch([1])[0].equals(dataset.batch([1])[0])


def test_samples_whose_labels_are_no_classes_or_whose_data_are_no_numbers_are_refused(tmp_path):
    tokens = np.arange(40, dtype=np.int32)
    windows = SequenceDataset(tokens, np.array([0, 8]), np.zeros(2, np.int64), 8, ["a"], name="w", vocab_size=40)
    with pytest.raises(DataError, match=r"labels of w must be those of its samples, got others at 0"):
        cached(windows, tmp_path, key="k")
    with pytest.raises(DataError, match=r"must be numbers, got <U3"):
        cached(TextTable(["one", "two"], [0, 1], ["a", "b"]), tmp_path, key="k")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_cannot_be_opened_is_named(files, tmp_path, monkeypatch):
    def no(file, algorithm):
        raise PermissionError(13, "Permission denied", str(file))

    dataset = dataset_of(files)
    monkeypatch.setattr(cache, "hash_of", no)
    with pytest.raises(StorageError, match=r"cannot read .*0\.es: Permission denied"):
        cached(dataset, tmp_path / "cache")


def test_a_folder_that_cannot_be_made_is_named(files, tmp_path):
    (tmp_path / "taken").write_text("a file")
    for folder in ("taken", "taken/below"):
        with pytest.raises(StorageError, match=f"cannot make the folder .*{folder}: "):
            cached(dataset_of(files), tmp_path / folder)


def test_files_that_were_only_touched_are_hashed_once_more_and_then_known_again(files, tmp_path, monkeypatch):
    hashed, hash_of = [], cache.hash_of
    monkeypatch.setattr(cache, "hash_of", lambda file, algorithm: hashed.append(file) or hash_of(file, algorithm))
    counts = []
    for touch in (False, True, False):
        if touch:
            os.utime(files[1], ns=(1, 1))
        hashed.clear()
        cached(dataset_of(files), tmp_path / "cache")
        counts.append(len(hashed))
    assert counts == [3, 3, 0]
    assert CacheFile(the_file(tmp_path / "cache"), verify=True).columns

"""What a Dataloader does beside the order of its batches: spikes of unequal length, labels, transforms, workers."""

import json
import os
import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikeloom
from spikeloom.datasets import ArrayDataset, Dataloader, Dataset, EventDataset
from spikeloom.datasets.collation import lasting
from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.events import Events
from spikeloom.events.representations import ToFrames, ToSpikes
from spikeloom.events.transforms import DropEvents, SpatialJitter
from spikeloom.network.links import SpikeRows
from spikeloom.spikes import Spikes


def rng(seed=0):
    return np.random.default_rng(seed)


def train(step, n_steps, dt=1.0):
    """One sample of 4 neurons, of which neuron 2 fires in these steps."""
    return Spikes.from_steps(step, [2] * len(step), 4, n_steps, dt, n_samples=1)


def recording(seed, n=60):
    draw = rng(seed)
    t = np.sort(draw.integers(0, 10_000, n))
    return Events.from_arrays(t, draw.integers(0, 6, n), draw.integers(0, 5, n), draw.integers(0, 2, n), (6, 5))


RECORDINGS = [recording(seed) for seed in range(11)]
RANDOM = [SpatialJitter(1.0), DropEvents(0.3), ToFrames(window=2.5, start=0.0, end=10.0)]


def content(batch):
    data, labels = batch
    return data.tolist(), labels.tolist()


def test_spikes_of_unequal_length_last_as_long_as_the_longest_of_their_batch():
    pairs = [(train([0, 2], 3), 0), (train([6], 7), 1), (train([1], 2), 0)]
    (first, labels), (second, _) = Dataloader(pairs, 2)
    assert (first.n_steps, first.duration, first.offsets.tolist()) == (7, 7.0, [0, 2, 3])
    assert (first.step.tolist(), first.samples().tolist(), labels.tolist()) == ([0, 2, 6], [0, 0, 1], [0, 1])
    assert (second.n_steps, second.duration) == (2, 2.0)
    np.testing.assert_array_equal(first.raster()[:, 0, 2], [1, 0, 1, 0, 0, 0, 0])


def test_with_a_duration_every_batch_lasts_that_long_whatever_the_data_set():
    pairs = [(train([0, 2], 3, 0.5), 0), (train([6], 7, 0.5), 1)]
    whole = ArrayDataset(train([0, 2], 3, 0.5), [1])
    for dataset in (pairs, whole):
        for data, _ in Dataloader(dataset, duration=5.0):
            assert (data.n_steps, data.duration, data.dt) == (10, 5.0, 0.5)


def test_what_lies_beyond_the_duration_is_cut_only_when_asked():
    pairs = [(train([0, 2], 3), 0), (train([1, 4, 6], 7), 1)]
    with pytest.raises(DataError, match=r"within 4 ms, got one at 4 ms in sample 1; give a longer duration=, or cut"):
        list(Dataloader(pairs, 2, duration=4.0))
    ((data, _),) = Dataloader(pairs, 2, duration=4.0, cut=True)
    assert (data.step.tolist(), data.offsets.tolist(), data.n_steps) == ([0, 2, 1], [0, 2, 3], 4)
    with pytest.raises(ParameterError, match="cut=True needs duration="):
        Dataloader(pairs, cut=True)


def test_spikes_at_times_in_ms_are_put_together_alike():
    pairs = [(Spikes.from_times([0.5, 2.25], [0, 1], 2, 3.0), 0), (Spikes.from_times([8.5], [1], 2, 9.0), 1)]
    ((data, _),) = Dataloader(pairs, 2)
    assert (data.duration, data.time.tolist(), data.offsets.tolist()) == (9.0, [0.5, 2.25, 8.5], [0, 2, 3])
    ((data, _),) = Dataloader(pairs, 2, duration=2.25, cut=True)
    assert (data.time.tolist(), data.offsets.tolist()) == ([0.5], [0, 1, 1])


def test_spikes_of_other_steps_or_populations_are_refused():
    wide = Spikes.from_steps([0], [0], 5, 9, 1.0)
    for other, named in ((train([1], 9, 0.5), "dt"), (wide, "shape")):
        with pytest.raises(ShapeError, match=f"{named} must be the same"):
            list(Dataloader([(train([1], 3), 0), (other, 1)], 2))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 60), st.data())
def test_a_window_keeps_every_spike_before_its_end_and_values_stay_with_them(lengths, n_steps, data):
    parts, expected = [], []
    for length in lengths:
        step = sorted(data.draw(st.sets(st.integers(0, length - 1), max_size=8)))
        values = [k + 1 for k in range(len(step))]
        parts.append((Spikes.from_steps(step, [0] * len(step), 1, length, 1.0, values=values, n_samples=1), 0))
        expected.append([(s, v) for s, v in zip(step, values, strict=True) if s < n_steps])
    ((found, _),) = Dataloader(parts, len(parts), duration=float(n_steps), cut=True)
    got = [
        [*zip(one.step.tolist(), one.values().tolist(), strict=True)] for one in (found[b] for b in range(len(found)))
    ]
    assert got == expected
    assert found.n_steps == n_steps


def test_a_window_leaves_the_spikes_it_was_made_of_as_they_were():
    spikes = train([0, 5], 6)
    lasting(spikes, 3.0, cut=True)
    assert (spikes.step.tolist(), spikes.n_steps, spikes.offsets.tolist()) == ([0, 5], 6, [0, 2])


def test_labels_that_are_arrays_or_texts_come_as_arrays_and_lists():
    ((_, rows),) = Dataloader([([1.0], [1, 2]), ([2.0], [3, -100])], 2)
    assert (rows.dtype, rows.tolist()) == (np.int64, [[1, 2], [3, -100]])
    ((_, texts),) = Dataloader([([1.0], "a cat"), ([2.0], "猫")], 2)
    assert texts == ["a cat", "猫"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (([1, 2], [1]), r"one shape in a batch, got \(1,\) and \(2,\); give a collate_fn"),
        (("a", 1), "all texts or none, got both, 1 among texts"),
        (([0.5, np.nan], [1.0, 2.0]), r"labels\[0, 1\] must be a finite float32 number, got nan"),
        ((1e39, 0.0), r"labels\[0\] must be a finite float32 number"),
        ((None, None), "must be numbers or texts, got object; give a collate_fn"),
    ],
)
def test_labels_that_do_not_fit_together_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        list(Dataloader([([1.0], label) for label in labels], 2))


def test_real_numbers_come_as_float32_and_booleans_as_0_and_1():
    ((_, targets),) = Dataloader([([1.0], 0.5), ([2.0], -3.0)], 2)
    assert (targets.dtype, targets.tolist()) == (np.float32, [0.5, -3.0])
    ((_, rows),) = Dataloader([([1.0], [0.5, 1.0]), ([2.0], [2.0, 3.0])], 2)
    assert (rows.dtype, rows.tolist()) == (np.float32, [[0.5, 1.0], [2.0, 3.0]])
    ((_, flags),) = Dataloader([([1.0], True), ([2.0], np.False_)], 2)
    assert (flags.dtype, flags.tolist()) == (np.int64, [1, 0])


def test_events_become_a_batch_by_the_transform_of_the_loader_or_the_data_set():
    pairs = list(zip(RECORDINGS, range(11), strict=True))
    with pytest.raises(DataError, match="Events are no batch; give transform="):
        list(Dataloader(pairs, 2))
    frames = ToFrames(window=2.5, start=0.0, end=10.0)
    here = [content(batch) for batch in Dataloader(pairs, 4, transform=frames)]
    there = [content(batch) for batch in Dataloader(EventDataset(RECORDINGS, range(11), transform=frames), 4)]
    assert here == there
    assert sum(np.sum(data) for data, _ in here) == sum(len(events) for events in RECORDINGS)


def test_a_transform_needs_pairs_and_functions():
    with pytest.raises(DataError, match=r"expected samples that are \(data, label\) pairs, got int"):
        list(Dataloader([3], transform=abs))
    with pytest.raises(ParameterError, match=r"Dataloader.transform must be a function or a list of functions, got 3"):
        Dataloader([3], transform=[3])


def random_loader(workers=0, seed=5, size=3, shuffle=True, inside=True):
    """A loader of frames of jittered and thinned recordings; the transforms are the data set's, or its own."""
    dataset = EventDataset(RECORDINGS, range(11), transform=RANDOM if inside else None)
    own = None if inside else RANDOM
    return Dataloader(dataset, size, shuffle, generator=rng(seed), transform=own, workers=workers)


@settings(max_examples=12, deadline=None)
@given(workers=st.integers(1, 5), size=st.integers(1, 12), shuffle=st.booleans(), inside=st.booleans())
def test_any_number_of_workers_gives_the_batches_of_none(workers, size, shuffle, inside):
    plain, threaded = (random_loader(n, 1, size, shuffle, inside) for n in (0, workers))
    for _ in range(2):
        assert [content(batch) for batch in threaded] == [content(batch) for batch in plain]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("given_", range(5))
def test_random_transforms_go_on_after_an_interruption_at_any_batch_as_if_there_was_none(given_, shuffle):
    whole = [content(batch) for loader in [random_loader(shuffle=shuffle)] for _ in range(2) for batch in loader]
    interrupted = random_loader(workers=2, shuffle=shuffle)
    walk = iter(interrupted)
    before = [content(next(walk)) for _ in range(given_)]
    state = json.loads(json.dumps(interrupted.state_dict()))
    walk.close()
    resumed = random_loader(workers=3, seed=99, shuffle=shuffle)
    resumed.load_state_dict(state)
    assert before + [content(batch) for _ in range(2) for batch in resumed] == whole


def test_a_sample_is_drawn_anew_each_epoch_and_alike_wherever_it_stands_in_one():
    loader = random_loader(shuffle=False, size=11)
    (first,), (second,) = ([content(batch)[0] for batch in loader] for _ in range(2))
    assert first != second
    turned = EventDataset(RECORDINGS, range(11), transform=RANDOM)
    ((data, _),) = Dataloader(turned, 11, sampler=range(10, -1, -1), generator=rng(5))
    assert data.tolist()[::-1] == first


def test_a_seed_is_drawn_and_kept_where_samples_are_random():
    dataset = EventDataset(RECORDINGS, range(11), transform=RANDOM)
    loader = Dataloader(dataset, 4)
    again = Dataloader(dataset, 4, generator=rng(loader.seed))
    assert [content(batch) for batch in loader] == [content(batch) for batch in again]


class Faulty(Dataset):
    """Numbered samples, of which one cannot be read."""

    name, shape, classes, labels = "faulty", (1,), range(10), np.arange(10)

    def __init__(self, error):
        self.error = error

    def __getitem__(self, index):
        if index == 7:
            raise self.error
        return np.array([float(index)]), index


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("error", [DataError("byte 12: expected 3, got 4"), ZeroDivisionError("none")])
def test_what_a_sample_raises_comes_out_behind_the_batches_before_it_and_names_the_sample(workers, error):
    loader, found = Dataloader(Faulty(error), 2, workers=workers), []
    with pytest.raises(type(error)) as raised:
        found.extend(labels.tolist() for _, labels in loader)
    assert found == [[0, 1], [2, 3], [4, 5]]
    assert raised.value is error
    assert "Dataloader: while reading sample 7" in error.__notes__
    assert loader.state_dict()["batches"] == 3


def test_what_a_whole_batch_raises_names_its_samples():
    class Whole(Faulty):
        def batch(self, indices):
            raise self.error

    with pytest.raises(KeyError) as raised:
        next(iter(Dataloader(Whole(KeyError("x")), 3)))
    assert raised.value.__notes__ == ["Dataloader: while reading samples 0, 1, 2"]


class Gated:
    """Samples that wait for a gate; it counts those that were begun."""

    def __init__(self, n):
        self.n, self.begun, self.gate = n, 0, threading.Event()

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        self.begun += 1
        self.gate.wait()
        return [0.0], index


def test_no_more_batches_are_made_ahead_than_two_for_each_worker():
    source = Gated(40)
    source.gate.set()
    walk = iter(Dataloader(source, 1, workers=2))
    for taken in range(1, 6):
        next(walk)
        assert source.begun <= taken + 4
    walk.close()
    for thread in threads():
        thread.join()
    assert source.begun <= 9


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("Dataloader")]


def test_an_interruption_is_heard_while_workers_are_busy_and_lets_them_end():
    source = Gated(10)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        next(iter(Dataloader(source, 5, workers=2)))
    timer.join()
    source.gate.set()
    for thread in threads():
        thread.join(10)
    assert not threads()
    assert source.begun == 2


def test_progress_is_a_bar_on_standard_error_and_changes_nothing(capsys):
    found = [labels.tolist() for _, labels in Dataloader([([1.0], 0), ([2.0], 1)], progress=True)]
    out, err = capsys.readouterr()
    assert found == [[0], [1]]
    assert (out, "batches" in err) == ("", True)
    list(Dataloader([([1.0], 0)]))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "two", 257])
def test_a_wrong_number_of_workers_is_refused(wrong):
    with pytest.raises(ParameterError, match=r"Dataloader.workers must be an integer from 0 to 256"):
        Dataloader([], workers=wrong)


def test_ragged_spikes_reach_the_kernels_as_events_and_are_never_made_dense(monkeypatch):
    recordings = [recording(seed, 300).between(0.0, 4.0 + 2 * seed) for seed in range(4)]
    dataset = EventDataset(recordings, [0, 1, 0, 1], transform=ToSpikes(dt=1.0, collisions="merge"))
    ((batch, _),) = Dataloader(dataset, 4)
    assert len({dataset[k][0].n_steps for k in range(4)}) > 1
    n_steps, shown = 12, np.zeros((12, 4, 2, 5, 6), np.float32)
    shown[: batch.n_steps] = batch.raster()
    expected = ran(shown.swapaxes(0, 1), n_steps)
    assert expected.any()

    def dense(*_, **__):
        raise AssertionError("made dense")

    monkeypatch.setattr(Spikes, "raster", dense)
    monkeypatch.setattr(Spikes, "tensor", dense)
    monkeypatch.setattr(SpikeRows, "dense", dense)
    np.testing.assert_array_equal(ran(batch, n_steps), expected)


def ran(data, n_steps):
    """How often each of the neurons of a small network fires on the kernel path while it is shown this data."""
    net = spikeloom.Network()
    net.input = spikeloom.Encoder(shape=(2, 5, 6), coding_method="null")
    net.layer = spikeloom.NeuronGroup(5, model="lif")
    net.output = spikeloom.Decoder(dec_target=net.layer, coding_method="spike_counts")
    net.link = spikeloom.Connection(net.input, net.layer, link_type="full")
    net.set_random_seed(3)
    net.set_backend(spikeloom.Torch_Backend(dt=1.0))
    net.input(data)
    net.run(float(n_steps))
    return net.output.predict.detach().numpy()


def test_a_duration_that_would_have_no_effect_is_refused():
    with pytest.raises(ParameterError, match="with collate_fn= pad there"):
        Dataloader([(np.zeros(2), 0)], collate_fn=list, duration=5.0)
    with pytest.raises(DataError, match="duration is for spikes, the samples are arrays"):
        next(iter(Dataloader([(np.zeros(2), 0)], duration=5.0)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_index_of_a_batch_comes_behind_the_good_batches_before_it(workers):
    loader = Dataloader(ArrayDataset(np.zeros((4, 1)), np.arange(4)), batch_sampler=[[0], [1], [9]], workers=workers)
    batches = iter(loader)
    assert [next(batches)[1].tolist() for _ in range(2)] == [[0], [1]]
    with pytest.raises(ParameterError, match="batch_sampler: indices must lie below 4"):
        next(batches)


def test_labels_beyond_int64_are_refused_not_wrapped():
    with pytest.raises(DataError, match=r"labels\[0, 0\] must be below 2\*\*63"):
        next(iter(Dataloader([(np.zeros(2), np.array([2**63 + 1, 0], np.uint64))])))

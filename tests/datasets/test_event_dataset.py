"""Recordings as a data set: read when asked for, made into frames or spikes."""

import numpy as np
import pytest

from spikeloom import Spikes
from spikeloom.datasets import Dataloader
from spikeloom.datasets.event_dataset import EventDataset, EventFiles
from spikeloom.errors import DataError, ParameterError
from spikeloom.events import Events
from spikeloom.events.files import write_events
from spikeloom.events.representations import ToFrames, ToSpikes
from spikeloom.events.transforms import DropEvents, FlipX


def some_events(n=50, seed=0, width=6, height=4):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 20_000, n))
    return Events.from_arrays(t, rng.integers(0, width, n), rng.integers(0, height, n), rng.integers(0, 2, n),
                              (width, height))  # fmt: skip


RECORDINGS = [some_events(seed=seed) for seed in range(5)]
LABELS = [2, 0, 1, 1, 0]
TO_FRAMES = ToFrames(window=5.0, start=0.0, end=20.0)


class Counted(list):
    """Recordings that tell which of them were read."""

    def __init__(self, recordings):
        super().__init__(recordings)
        self.read = []

    def __getitem__(self, index):
        self.read.append(index)
        return super().__getitem__(index)


def test_a_sample_without_a_transform_is_its_events_and_its_label():
    dataset = EventDataset(RECORDINGS, LABELS)
    events, label = dataset[3]
    assert events.equals(RECORDINGS[3])
    assert label == 1
    assert dataset[-1][0].equals(RECORDINGS[4])
    assert (dataset.shape, dataset.n_classes, len(dataset)) == ((2, 4, 6), 3, 5)


def test_labels_are_known_and_only_the_first_recording_is_read_before_one_is_asked_for():
    recordings = Counted(RECORDINGS)
    dataset = EventDataset(recordings, LABELS, transform=TO_FRAMES)
    assert dataset.labels.tolist() == LABELS
    dataset[3]
    assert recordings.read == [0, 3]


def test_the_sum_of_the_frames_of_a_batch_is_the_number_of_its_events():
    dataset = EventDataset(RECORDINGS, LABELS, transform=TO_FRAMES)
    data, labels = dataset.batch([4, 1, 1])
    assert dataset.shape == (4, 2, 4, 6)
    assert data.shape == (3, 4, 2, 4, 6)
    assert data.dtype == np.float32
    assert data.sum(axis=(1, 2, 3, 4)).tolist() == [50, 50, 50]
    assert labels.tolist() == [0, 0, 0]


def test_a_chain_of_transforms_is_applied_in_its_order():
    flipped = EventDataset(RECORDINGS, LABELS, transform=[FlipX(), TO_FRAMES])
    plain = EventDataset(RECORDINGS, LABELS, transform=TO_FRAMES)
    assert np.array_equal(flipped[0][0], plain[0][0][..., ::-1])
    composed = EventDataset(RECORDINGS, LABELS, transform=FlipX() | TO_FRAMES)
    assert np.array_equal(flipped[1][0], composed[1][0])


def test_events_as_spikes_go_through_a_loader():
    dataset = EventDataset(RECORDINGS, LABELS, transform=ToSpikes(1.0, start=0.0, end=20.0))
    batches = list(Dataloader(dataset, batch_size=2))
    assert [len(data) for data, _ in batches] == [2, 2, 1]
    assert isinstance(batches[0][0], Spikes)
    assert np.concatenate([labels for _, labels in batches]).tolist() == LABELS


def test_events_themselves_are_no_batch():
    with pytest.raises(DataError, match="events: Events are no batch; give transform="):
        EventDataset(RECORDINGS, LABELS).batch([0, 1])
    with pytest.raises(DataError, match="Events are no batch"):
        next(iter(Dataloader(EventDataset(RECORDINGS, LABELS), batch_size=2)))


def test_a_random_transform_draws_anew_from_the_given_generator_and_equal_ones_draw_alike():
    def dataset():
        return EventDataset(RECORDINGS, LABELS, transform=DropEvents(0.5), generator=np.random.default_rng(3))

    one, other = dataset(), dataset()
    first, second = one[1][0], one[1][0]
    assert not first.equals(second)
    assert other[1][0].equals(first)
    assert (one.random, EventDataset(RECORDINGS, LABELS, transform=FlipX()).random) == (True, False)
    drawn = [one.sample(0, np.random.default_rng(seed))[0] for seed in (1, 1, 2)]
    assert drawn[0].equals(drawn[1])
    assert not drawn[0].equals(drawn[2])
    with pytest.raises(ParameterError, match="is random; give generator="):
        EventDataset(RECORDINGS, LABELS, transform=[FlipX(), DropEvents(0.5)])[0]


def test_a_part_of_a_data_set_reads_only_what_it_needs():
    recordings = Counted(RECORDINGS)
    part = EventDataset(recordings, LABELS).select([4, 2])
    assert part.labels.tolist() == [0, 1]
    assert part.n_classes == 3
    assert part[1][0].equals(RECORDINGS[2])
    assert set(recordings.read) == {0, 2, 4}


def test_a_data_set_without_recordings_has_length_zero():
    assert len(EventDataset([], [])) == 0


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ([0, 1], {}, DataError, "5 recordings but 2 labels"),
        ([0, 1, 2, 3, 4], {"classes": ["a", "b"]}, DataError, "must be below 2, the classes, got 4"),
        ([0, 1, -2, 3, 4], {}, DataError, "integers >= 0"),
        (LABELS, {"transform": 3}, TypeError, "not iterable"),
        (LABELS, {"transform": [FlipX(), "frames"]}, ParameterError, "a function or a list of functions, got 'frames'"),
    ],
)
def test_what_does_not_fit_together_is_refused(labels, options, error, message):
    with pytest.raises(error, match=message):
        EventDataset(RECORDINGS, labels, **options)


def test_files_are_read_whole_or_in_windows_that_begin_at_0(tmp_path):
    file = tmp_path / "a.es"
    write_events(file, RECORDINGS[0])
    whole = EventFiles([file], sensor_size=(6, 4))
    parts = EventFiles([file, file], sensor_size=(6, 4), windows=[(2.5, 7.5), (7.5, 20.0)])
    assert whole[0].equals(RECORDINGS[0])
    t = RECORDINGS[0].t
    assert parts[0].t.tolist() == (t[(t >= 2500) & (t < 7500)] - 2500).tolist()
    assert parts[1].t.tolist() == (t[t >= 7500] - 7500).tolist()
    assert parts.files() == [file]
    assert parts.key() != whole.key()
    with pytest.raises(ParameterError, match="one entry for each of 1 paths"):
        EventFiles([file], windows=[])

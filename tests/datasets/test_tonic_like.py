"""Data sets shaped as Tonic's are: field orders, types and labels as its data sets have them."""

import numpy as np
import pytest

from spikeloom import Spikes
from spikeloom.datasets import Dataloader
from spikeloom.datasets.tonic_like import from_tonic
from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.events import Events
from spikeloom.events.representations import ToFrames

# The fields as NMNIST, DVSGesture and CIFAR10DVS of Tonic 1.7 have them.
CAMERAS = {
    "nmnist": [("x", int), ("y", int), ("t", int), ("p", int)],
    "gesture": [("x", np.int16), ("y", np.int16), ("p", bool), ("t", np.int64)],
    "cifar": [("t", np.uint64), ("x", np.uint16), ("y", np.uint16), ("p", bool)],
}
ROWS = {"x": [0, 5, 3], "y": [1, 3, 0], "t": [0, 1500, 9000], "p": [1, 0, 1]}


class Like:
    """A data set with Tonic's attributes."""

    def __init__(self, samples, sensor_size, **attributes):
        self.samples, self.sensor_size = samples, sensor_size
        vars(self).update(attributes)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def array(dtype, rows=ROWS):
    dtype = np.dtype(dtype)
    found = np.zeros(len(rows["t"]), dtype)
    for name in dtype.names:
        found[name] = rows[name]
    return found


@pytest.mark.parametrize("dtype", CAMERAS.values(), ids=CAMERAS)
def test_events_of_a_camera_keep_their_values_whatever_their_order_and_type(dtype):
    dataset = from_tonic(Like([(array(dtype), 3), (array(dtype)[:0], np.int64(0))], (6, 4, 2), targets=[3, 0]))
    events, label = dataset[0]
    assert isinstance(events, Events)
    assert events.sensor_size == (6, 4)
    assert {name: getattr(events, name).tolist() for name in "xytp"} == ROWS
    assert label == 3
    assert len(dataset[1][0]) == 0
    assert dataset.n_classes == 4


def test_frames_of_them_are_batches():
    like = Like([(array(CAMERAS["nmnist"]), k % 2) for k in range(3)], (6, 4, 2))
    dataset = from_tonic(like, transform=ToFrames(window=5.0, start=0.0, end=10.0))
    data, labels = next(iter(Dataloader(dataset, batch_size=3)))
    assert data.shape == (3, 2, 2, 4, 6)
    assert data.sum() == 9
    assert labels.tolist() == [0, 1, 0]


SPOKEN = [("t", int), ("x", int), ("p", int)]


def test_a_sensor_with_one_axis_gives_spikes_of_its_channels():
    rows = {"t": [500, 250_000, 1_000_000], "x": [3, 699, 3], "p": [1, 1, 1]}
    like = Like([(array(SPOKEN, rows), 7), (array(SPOKEN, rows)[:1], 0)], (700, 1, 1), classes=[b"zero"] * 20)
    spikes = from_tonic(like, duration=1400.0)[0][0]
    assert isinstance(spikes, Spikes)
    assert spikes.shape == (700,)
    assert spikes.times_ms().tolist() == [0.5, 250.0, 1000.0]
    assert spikes.ids.tolist() == [3, 699, 3]
    gridded, labels = from_tonic(like, dt=1.0, duration=1400.0).batch([0, 1])
    assert gridded.step.tolist() == [0, 250, 1000, 0]
    assert labels.tolist() == [7, 0]
    assert from_tonic(like).n_classes == 20
    assert from_tonic(like)[0][0].duration == 1001.0
    assert from_tonic(like).batch([0, 1])[0].duration == 1001.0


def test_polarities_of_channels_are_a_second_axis():
    rows = {"t": [0, 1000], "x": [2, 2], "p": [0, 1]}
    spikes = from_tonic(Like([(array(SPOKEN, rows), 0)], (64, 1, 2)))[0][0]
    assert spikes.shape == (64, 2)
    assert spikes.ids.tolist() == [4, 5]


def test_what_it_has_made_into_arrays_itself_comes_as_it_is():
    dataset = from_tonic(Like([(np.ones((2, 3), np.int16), 1)] * 2, (6, 4, 2)))
    assert dataset.batch([0, 1])[0].shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("attributes", "classes"),
    [
        ({}, ["ant", "bee"]),
        ({"classes": ["bee", "ant"]}, ["bee", "ant"]),
        ({"classes": {"bee": 0, "wasp": 2, "ant": 1}}, ["bee", "ant", "wasp"]),
    ],
)
def test_targets_that_are_texts_are_numbered(attributes, classes):
    names = ["bee", "ant", "bee"]
    dataset = from_tonic(Like([(array(CAMERAS["nmnist"]), name) for name in names], (6, 4, 2), **attributes))
    assert list(dataset.classes) == classes
    assert [dataset.classes[label] for label in dataset.labels] == names


@pytest.mark.parametrize(
    ("like", "error", "message"),
    [
        ([(array(CAMERAS["nmnist"]), 0)], ParameterError, "with sensor_size, length and samples, got list"),
        (Like([array(CAMERAS["nmnist"])], (6, 4, 2)), DataError, "expected .events, target., got ndarray at sample 0"),
        (
            Like([(array(CAMERAS["nmnist"]), [1, 2])], (6, 4, 2)),
            DataError,
            "whole numbers or texts, got .1, 2. at sample 0",
        ),
        (Like([(array(CAMERAS["nmnist"]), 1.5)], (6, 4, 2)), DataError, "whole numbers or texts"),
        (Like([(array(CAMERAS["nmnist"]), 0)], (5, 4, 2)), DataError, r"Events.x\[1\] must be in 0..4"),
        (Like([(array(CAMERAS["nmnist"]), 0)], 6), ShapeError, "sensor_size must be"),
        (Like([(array(SPOKEN, ROWS), 0)], (5, 1, 1)), DataError, "x must be below 5, got 5 at event 1 of sample 0"),
        (Like([(array(SPOKEN, ROWS), 0)], None), DataError, "expected fields t and x and a sensor size"),
    ],
)
def test_what_is_shaped_otherwise_is_refused(like, error, message):
    with pytest.raises(error, match=message):
        from_tonic(like)


def test_a_target_transform_counts_more_than_the_targets_that_are_known():
    like = Like([(array(CAMERAS["nmnist"]), 1 - k) for k in (0, 1)], (6, 4, 2), targets=[0, 1], target_transform=abs)
    assert from_tonic(like).labels.tolist() == [1, 0]


def test_a_wrong_polarity_is_named_as_one():
    rows = {"t": [0, 1000], "x": [2, 2], "p": [0, 2]}
    with pytest.raises(DataError, match="p must be below 2, got 2 at event 1 of sample 0"):
        from_tonic(Like([(array(SPOKEN, rows), 0)], (64, 1, 2)))

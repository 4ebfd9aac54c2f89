"""The yin-yang data set: its geometry, its times, its classes."""

import numpy as np
import pytest

from spikeloom.datasets import DATASETS, generate_yin_yang_dataset, yin_yang
from spikeloom.datasets.yin_yang import classes_of
from spikeloom.errors import ParameterError


def generated(size=900, scale=10.0, *more, seed=0, **options):
    return generate_yin_yang_dataset(size, scale, *more, generator=np.random.default_rng(seed), **options)


def test_neurons_fire_at_the_scaled_coordinates_and_their_mirrors():
    samples, labels = generated(300, 20.0, 5.0)
    assert all(sample.end_spikes.tolist() == [1, 2, 3, 4, 5] for sample in samples)
    times = (np.array([sample.spike_times for sample in samples]) - 5.0) / 20.0
    assert (times[:, 0] == 0).all()
    np.testing.assert_allclose(times[:, 3:], 1 - times[:, 1:3], atol=1e-12)
    assert (np.hypot(*(times[:, 1:3] - 0.5).T) <= 0.5).all()
    np.testing.assert_array_equal(classes_of(times[:, 1:3]), labels)


def test_without_a_bias_there_are_four_neurons():
    samples, _ = generated(30, bias=False)
    assert {sample.spike_times.size for sample in samples} == {4}


def test_the_classes_are_where_the_drawing_has_them():
    points = np.array([[0.25, 0.5], [0.75, 0.5], [0.5, 0.9], [0.5, 0.1], [0.25, 0.65], [0.75, 0.35], [0.75, 0.61]])
    assert classes_of(points).tolist() == [2, 2, 1, 0, 1, 0, 0]


def test_turned_by_half_a_turn_yin_is_yang():
    points = np.random.default_rng(0).random((4000, 2))
    inside = points[np.hypot(*(points - 0.5).T) < 0.5]
    classes, turned = classes_of(inside), classes_of(1 - inside)
    assert (turned == np.array([1, 0, 2])[classes]).mean() > 0.999


def test_points_of_a_class_are_uniform_in_it():
    samples, labels = generated(6000, 1.0)
    points = np.array([sample.spike_times[1:3] for sample in samples])
    everywhere = np.random.default_rng(5).random((400_000, 2))
    everywhere = everywhere[np.hypot(*(everywhere - 0.5).T) <= 0.5]
    of_all = classes_of(everywhere)
    for label in range(3):
        np.testing.assert_allclose(points[labels == label].mean(0), everywhere[of_all == label].mean(0), atol=0.02)


@pytest.mark.parametrize("size", [1, 2, 300, 301])
def test_the_classes_are_of_one_size_but_for_one_sample(size):
    _, labels = generated(size)
    assert np.ptp(np.bincount(labels, minlength=3)) <= 1
    assert len(labels) == size


def test_one_seed_makes_one_data_set():
    (one, labels), (two, others) = generated(50), generated(50)
    np.testing.assert_array_equal(labels, others)
    assert all((a.spike_times == b.spike_times).all() for a, b in zip(one, two, strict=True))
    assert generated(50, seed=1)[0][0].spike_times.tolist() != one[0].spike_times.tolist()


@pytest.mark.parametrize(("arguments", "options"), [
    ((0, 1.0), {}), ((5, 0.0), {}), ((5, -1.0), {}), ((5, 1.0, -1.0), {}), ((5, 1.0, 0.0, 1), {}),
    ((5, 1.0), {"r_small": 0.0}), ((5, 1.0), {"r_small": 0.3}), ((5, 1.0), {"r_big": 0.6}),
])  # fmt: skip
def test_sizes_and_times_are_positive_and_the_dots_fit(arguments, options):
    with pytest.raises(ParameterError):
        generated(*arguments, **options)


def test_randomness_comes_from_a_generator():
    with pytest.raises(ParameterError, match="generator"):
        generate_yin_yang_dataset(5, 1.0, generator=7)


def test_the_data_set_has_labelled_spikes():
    data = yin_yang(120, scale=30.0, generator=np.random.default_rng(0))
    spikes, labels = data.batch([0, 1])
    assert (data.shape, data.n_classes, len(data), len(spikes)) == ((5,), 3, 120, 2)
    assert spikes.labels.tolist() == labels.tolist()
    assert data.data.duration == 31.0
    assert DATASETS["yin_yang"] is yin_yang

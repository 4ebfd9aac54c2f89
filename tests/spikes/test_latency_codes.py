"""Latency codes of images, against mlGeNN's formulas and figures."""

import tracemalloc

import numpy as np
import pytest
import torch

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.spikes import linear_latency_encode_data, log_latency_encode_data

LEVELS = np.arange(256, dtype=np.uint8)[None]


def test_the_linear_code_of_all_grey_levels():
    (spikes,) = linear_latency_encode_data(LEVELS, 18.0, 2.0)
    assert spikes.end_spikes.tolist() == [0, 0, *range(1, 255)]
    np.testing.assert_allclose(spikes.spike_times, [(255 - v) / 255 * 16 + 2 for v in range(2, 256)], rtol=1e-15)


def test_the_log_code_of_all_grey_levels():
    (spikes,) = log_latency_encode_data(LEVELS, 20.0, 51)
    assert spikes.end_spikes[51] == 0
    assert spikes.end_spikes[-1] == 204
    assert spikes.spike_times[0] == pytest.approx(79.02, abs=5e-3)
    assert spikes.spike_times[-1] == pytest.approx(4.463, abs=5e-4)
    np.testing.assert_allclose(spikes.spike_times, [20 * np.log(v / (v - 51)) for v in range(52, 256)], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("encode", "options"), [
    (linear_latency_encode_data, (20.0,)), (linear_latency_encode_data, (20.0, 5.0, 51)),
    (log_latency_encode_data, (20.0, 51)), (log_latency_encode_data, (20.0, 1)),
])  # fmt: skip
def test_images_from_0_to_1_encode_like_grey_levels(dtype, encode, options):
    (whole,), (fraction,) = encode(LEVELS, *options), encode((LEVELS / 255).astype(dtype), *options)
    assert fraction.end_spikes.tolist() == whole.end_spikes.tolist()
    np.testing.assert_array_equal(fraction.spike_times, whole.spike_times)


def test_levels_between_the_grey_levels_are_kept():
    (spikes,) = linear_latency_encode_data(np.array([[100.5 / 255, 1.25 / 255]]), 255.0)
    np.testing.assert_allclose(spikes.spike_times, [154.5, 253.75], rtol=1e-14)


def test_a_pixel_at_the_threshold_stays_silent():
    for encode in (linear_latency_encode_data, log_latency_encode_data):
        (spikes,) = encode(np.array([[51, 52]], np.uint8), 20.0, thresh=51)
        assert spikes.end_spikes.tolist() == [0, 1]


def test_lists_tensors_and_images_of_any_shape_encode():
    images = [[[0, 255], [128, 3]], [[0, 0], [0, 1]]]
    for data in (images, np.array(images), torch.tensor(images)):
        first, second = linear_latency_encode_data(data, 10.0)
        assert first.end_spikes.tolist() == [0, 1, 2, 3]
        assert first.spike_times[0] == 0.0
        assert second.end_spikes.tolist() == [0] * 4


def test_no_images_are_no_examples():
    assert linear_latency_encode_data(np.zeros((0, 4), np.uint8), 10.0) == []


@pytest.mark.parametrize("encode", [linear_latency_encode_data, log_latency_encode_data])
@pytest.mark.parametrize("thresh", [-1, 256, 300, np.nan, True, "51"])
def test_a_threshold_is_a_grey_level(encode, thresh):
    with pytest.raises(ParameterError, match="thresh must be a grey level"):
        encode(LEVELS, 20.0, thresh=thresh)


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        ([[1.5]], DataError, r"data\[0, 0\] must be a grey level from 0 to 1 \(floats: 1 is white; divide by 255\)"),
        ([[-0.1]], DataError, r"data\[0, 0\]"),
        ([[np.nan]], DataError, r"data\[0, 0\]"),
        ([[256]], DataError, r"data\[0, 0\] must be a grey level from 0 to 255"),
        ([[-1]], DataError, r"data\[0, 0\]"),
        ([[True]], DataError, "black and white"),
        ([1, 2], ShapeError, r"one image is data\[None\]"),
    ],
)
def test_what_is_no_grey_level_is_refused(data, error, text):
    with pytest.raises(error, match=text):
        log_latency_encode_data(data, 20.0, 1)


@pytest.mark.parametrize("times", [(0.0,), (-1.0,), (np.inf,), (5.0, 6.0), (5.0, -1.0)])
def test_times_are_positive_and_in_order(times):
    with pytest.raises(ParameterError):
        linear_latency_encode_data(LEVELS, *times)


def test_images_are_encoded_alike_however_many_there_are():
    images = np.random.default_rng(0).integers(0, 256, (600, 3, 4), dtype=np.uint8)
    together = linear_latency_encode_data(images, 18.0, 2.0)
    assert len(together) == 600
    for image, spikes in zip(images, together, strict=True):
        (alone,) = linear_latency_encode_data(image[None], 18.0, 2.0)
        assert (spikes.end_spikes.tolist(), spikes.spike_times.tolist()) == tuple(a.tolist() for a in alone)


def test_little_more_memory_is_taken_than_the_spikes_need():
    images = np.zeros((3000, 784), np.float32)
    images[:, ::9] = 0.7
    tracemalloc.start()
    spikes = log_latency_encode_data(images, 20.0, 51)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(spikes) == 3000
    assert most < 1.5 * held

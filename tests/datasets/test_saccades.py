"""Simulated saccades: counts, times and polarities in closed form, and the compiled code against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.datasets.saccades import camera_events, log_intensity, reference_events, saccades, trajectory
from spikeloom.errors import DataError, ParameterError, ShapeError

UNIT = 1 << 16
PART = 1 << 12


def ramp_events(rise, threshold, refractory, steps=16, step=625, function=camera_events):
    """The events of one pixel whose log intensity goes from 0 to `rise` in a straight line, as an edge passes by it."""
    log = np.array([[round(rise * UNIT), 0]], np.int32)
    path = np.stack([np.arange(-steps, 1) * PART // steps, np.zeros(steps + 1, np.int64)])
    thresholds = np.full((1, 1), round(threshold * UNIT), np.int32)
    return function(log, path, step, thresholds, refractory)


@pytest.mark.parametrize("function", [camera_events, reference_events])
@pytest.mark.parametrize("rise", [1.05, -1.05, 0.24, -0.26, 0.0])
def test_an_edge_makes_as_many_events_as_thresholds_fit_into_its_log_contrast(rise, function):
    events = ramp_events(rise, 0.25, 0, function=function)
    n = int(abs(rise) / 0.25)
    assert len(events) == n
    assert (events.p == (rise > 0)).all()
    # The line reaches k thresholds at 10 ms * k * 0.25 / rise.
    expected = 10_000 * 0.25 * np.arange(1, n + 1) / abs(rise) if rise else []
    assert events.t == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("function", [camera_events, reference_events])
@pytest.mark.parametrize("refractory", [500, 1000, 2700, 30_000])
def test_a_pixel_is_blind_for_the_refractory_time_and_begins_anew_then(refractory, function):
    events = ramp_events(2.0, 0.25, refractory, function=function)
    # A threshold takes 1250 us of the line; after each event the pixel waits and begins from what it sees then.
    expected = np.arange(1250, 10_001, 1250 + refractory)
    assert events.t == pytest.approx(expected, abs=2)


def test_an_edge_from_dark_to_bright_and_back_makes_both_polarities_equally_often():
    image = np.zeros((1, 8, 8))
    image[:, :, 3:5] = 1
    events, _ = saccades(image, [0], threshold=0.3, refractory=0.0, amplitude=2.0, dark=0.1)[0]
    # Back where it began, each pixel has gone as far up as down: no more than one event each is left over.
    pixels = events.y.astype(int) * events.width + events.x
    balance = np.bincount(pixels, weights=events.p * 2.0 - 1, minlength=100)
    assert np.abs(balance).max() <= 1
    assert events.p.mean() == pytest.approx(0.5, abs=0.05)


def test_the_edge_of_a_still_larger_image_makes_the_events_of_its_log_contrast():
    # A vertical edge moves over the middle by 6 pixels to the right: bright comes from the left.
    image = np.zeros((1, 20, 20))
    image[:, :, :7] = 1
    events, _ = saccades(image, [0], threshold=0.25, refractory=0.0, amplitude=6.0, dark=0.1)[0]
    there = events.between(0.0, 200.0)
    column = there[(there.x == 10) & (there.y == 13)]
    assert len(column) == int(np.log(1.1 / 0.1) / 0.25)
    assert (column.p == 1).all()
    back = events.between(200.0)
    assert (back[(back.x == 10) & (back.y == 13)].p == 0).all()


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_a_uniform_image_makes_no_events(grey):
    assert len(saccades(np.full((1, 12, 12), grey), [0])[0][0]) == 0


def test_three_saccades_show_in_the_rate_of_events():
    image = np.zeros((1, 28, 28))
    image[:, 8:20, 8:20] = np.add.outer(np.arange(12), np.arange(12)) % 2
    events, _ = saccades(image, [0])[0]
    assert events.sensor_size == (34, 34)
    assert 0 < events.t[0] <= events.t[-1] <= 300_000
    rate = np.histogram(events.t, np.arange(0, 300_001, 20_000))[0].reshape(3, 5)
    # Each way is slow at its ends and fast in its middle.
    assert (rate[:, 2] > 2 * rate[:, 0]).all()
    assert (rate[:, 2] > 2 * rate[:, 4]).all()


def test_the_path_is_a_triangle_with_the_least_jerk_along_its_sides():
    camera = saccades(np.zeros((1, 4, 4)), [0], amplitude=6.0).recordings.camera
    path = trajectory(camera) / PART
    assert path[:, [0, 100, 200, 300]].T.tolist() == [[0, 0], [3, 6], [6, 0], [0, 0]]
    assert path[1, 50] == pytest.approx(3.0, abs=1e-3)
    # 10 / 4^3 - 15 / 4^4 + 6 / 4^5 of the way after a quarter of the time.
    assert path[1, 25] == pytest.approx(6 * (10 / 64 - 15 / 256 + 6 / 1024), abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0, 300, 1000, 5500]), st.integers(1, 6), st.integers(1, 6))
def test_the_compiled_code_equals_numpy_event_by_event(seed, refractory, height, width):
    rng = np.random.default_rng(seed)
    log = rng.integers(-3 * UNIT, UNIT, (height, width), dtype=np.int32)
    path = rng.integers(-3 * PART, 3 * PART, (2, 12)).astype(np.int64)
    thresholds = rng.integers(UNIT // 20, UNIT, (height + 2, width + 1), dtype=np.int32)
    one, other = (f(log, path, 1000, thresholds, refractory) for f in (camera_events, reference_events))
    assert one.equals(other)


def test_equal_arguments_give_equal_events_in_any_order_of_asking():
    images = np.random.default_rng(0).random((4, 10, 10))

    def made():
        return saccades(images, [0, 1, 2, 3], noise=20.0, mismatch=0.1, generator=np.random.default_rng(5))

    one, other = made(), made()
    backwards = [other[index][0] for index in (3, 2, 1, 0)][::-1]
    assert all(one[index][0].equals(backwards[index]) for index in range(4))
    another = saccades(images, [0, 1, 2, 3], noise=20.0, generator=np.random.default_rng(6))
    assert not one[0][0].equals(another[0][0])


def test_noise_has_its_rate_and_lies_in_the_time_of_the_recording():
    dataset = saccades(np.zeros((4, 34, 34)), [0] * 4, noise=50.0, generator=np.random.default_rng(0))
    counts = [len(dataset[index][0]) for index in range(4)]
    expected = 50.0 * 40 * 40 * 0.3
    assert np.mean(counts) == pytest.approx(expected, abs=4 * np.sqrt(expected / 4))
    events = dataset[0][0]
    assert events.is_sorted
    assert 1 <= events.t[0] <= events.t[-1] <= 300_000


def test_mismatched_pixels_have_thresholds_that_scatter_as_told():
    camera = saccades(np.zeros((1, 60, 60)), [0], mismatch=0.1, generator=np.random.default_rng(0)).recordings
    relative = camera.thresholds / UNIT / 0.35
    assert relative.mean() == pytest.approx(1, abs=0.01)
    assert relative.std() == pytest.approx(0.1, abs=0.01)


def test_the_log_intensity_of_black_is_that_of_the_dark():
    assert log_intensity(np.array([[0.0, 1.0]]), 0.1) / UNIT == pytest.approx(np.log([[0.1, 1.1]]), abs=1e-5)


@pytest.mark.parametrize(
    ("images", "options", "error", "message"),
    [
        (np.zeros((2, 784)), {}, ShapeError, r"shape \(n, H, W\), got \(2, 784\)"),
        (np.full((1, 3, 3), 255), {}, DataError, r"from 0 to 1, got 255.0 at index \(0, 0, 0\)"),
        (np.full((1, 3, 3), np.nan), {}, DataError, "from 0 to 1, got nan"),
        (np.array([[["a"]]]), {}, DataError, "numbers from 0 to 1"),
        (np.zeros((1, 3, 3)), {"threshold": 0.0}, ParameterError, "threshold must be a number from 0.001"),
        (np.zeros((1, 3, 3)), {"refractory": -1}, ParameterError, "refractory must be a number from 0"),
        (np.zeros((1, 3, 3)), {"dark": float("nan")}, ParameterError, "dark must be"),
        (np.zeros((1, 3, 3)), {"noise": 1.0}, ParameterError, "need generator="),
        (np.zeros((1, 3, 3)), {"generator": 3, "noise": 1.0}, ParameterError, "expected a numpy Generator"),
        (np.zeros((1, 1, 32768)), {}, ShapeError, "the sensor would be 32774 x 7 pixels"),
    ],
)
def test_what_cannot_be_seen_is_refused(images, options, error, message):
    with pytest.raises(error, match=message):
        saccades(images, [0] * len(images), **options)

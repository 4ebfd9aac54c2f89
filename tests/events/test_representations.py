"""Frames, bit planes, voxel grids and time surfaces: against hand counts, histograms and definitions, on both paths."""

import os
import sys
from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import DataError, ParameterError, UnknownNameError
from spikeloom.events import Events
from spikeloom.events.representations import (
    EVENT_REPRESENTATIONS,
    ToFrames,
    ToTimeSurface,
    accumulate,
    averaged_time_surfaces,
    bit_planes,
    frames,
    iter_frames,
    iter_time_surfaces,
    time_surface,
    voxel_grid,
)
from spikeloom.events.transforms import Crop
from spikeloom.native import memory
from spikeloom.native.compiled import compiled

compiled("event_frames.hpp")  # now, not in a test whose time is limited
MODULES = [f"spikeloom.events.representations.{name}" for name in ("frames", "voxels", "surfaces")]


@st.composite
def streams(draw, least=0):
    """Events of a sensor of up to 6 x 5 pixels, sorted by time, with many at one time and one pixel."""
    width, height, n = draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(st.integers(least, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t = np.sort(generator.integers(0, 60, n)) + draw(st.sampled_from([0, -30, 10**12]))
    x, y = generator.integers(0, width, n), generator.integers(0, height, n)
    return Events.from_arrays(t, x, y, generator.integers(0, 2, n), (width, height))


def of_both_paths(function, *arguments, **named):
    """What the compiled function returns, which is what the NumPy reference returns."""
    found = function(*arguments, **named)
    with ExitStack() as stack:
        for name in MODULES:
            stack.enter_context(patch.object(sys.modules[name], "library", lambda: None))
        reference = function(*arguments, **named)
    assert found.dtype == reference.dtype
    np.testing.assert_allclose(found, reference, rtol=2e-6, atol=1e-6)
    return found


def at_pixel(t, p=None, size=(1, 1)):
    return Events.from_arrays(t, [0] * len(t), [0] * len(t), [1] * len(t) if p is None else p, size)


# Frames. The first ones are Tonic's faults of specs: what it loses, wraps, swaps or changes.


@settings(deadline=None, max_examples=50)
@given(streams(), st.floats(0.001, 0.07), st.integers(1, 9))
def test_sum_of_frames_equals_number_of_events(events, window, n):
    for way in ({"window": window}, {"n_bins": n}, {"events_per_frame": n}, {"n_event_bins": n}):
        counts = of_both_paths(frames, events, **way)
        assert counts.sum() == len(events)
        assert counts[:, 1].sum() == events.p.sum()
        assert counts.shape[1:] == (2, events.height, events.width)
        assert of_both_paths(frames, events, polarity="merged", **way).sum() == len(events)
        assert of_both_paths(frames, events, polarity="signed", **way).sum() == (2 * events.p - 1).sum(dtype=int)


def test_bins_of_time_and_of_events_keep_the_last_event():
    assert frames(at_pixel([0, 10, 20, 30]), n_bins=3)[:, 1, 0, 0].tolist() == [2, 1, 1]
    assert frames(at_pixel([7]), n_bins=4)[:, 1, 0, 0].tolist() == [1, 0, 0, 0]
    assert frames(at_pixel(range(10)), n_event_bins=3)[:, 1, 0, 0].tolist() == [3, 3, 4]
    assert frames(at_pixel(range(10)), events_per_frame=4)[:, 1, 0, 0].tolist() == [4, 4, 2]


def test_a_window_that_ends_after_the_last_event_counts_unless_it_is_left_out():
    events = at_pixel([0, 150, 299, 300])
    assert frames(events, window=0.1)[:, 1, 0, 0].tolist() == [1, 1, 1, 1]
    assert frames(events, window=0.1, include_incomplete=False)[:, 1, 0, 0].tolist() == [1, 1, 1]
    assert frames(events, window=1)[:, 1, 0, 0].tolist() == [4]
    assert frames(events, window=1, include_incomplete=False).shape == (0, 2, 1, 1)


def test_windows_begin_at_the_first_event_or_at_start():
    events = at_pixel([1040, 1060, 2010])
    assert frames(events, window=1)[:, 1, 0, 0].tolist() == [3]
    assert frames(events, window=1, start=0)[:, 1, 0, 0].tolist() == [0, 2, 1]
    assert frames(events, window=1, start=1.05, end=4)[:, 1, 0, 0].tolist() == [2, 0, 0]
    assert frames(events, n_bins=2, start=0, end=2)[:, 1, 0, 0].tolist() == [0, 2]
    assert frames(events, events_per_frame=5, end=2.01)[:, 1, 0, 0].tolist() == [2]


def test_a_time_on_the_border_of_windows_belongs_to_the_later_one_however_long_the_stream():
    k = np.arange(0, 10**5, 997)
    assert (frames(at_pixel(k * 100), window=0.1)[::997, 1, 0, 0] == 1).all()
    assert frames(at_pixel([0, 333, 334, 667]), window=1 / 3)[:, 1, 0, 0].tolist() == [2, 1, 1]


def test_counts_stay_at_the_largest_number_of_their_type():
    for dtype, most in (("int32", 40_000), ("int16", 32_767), ("uint16", 40_000), ("uint8", 255), ("float32", 40_000)):
        assert of_both_paths(accumulate, at_pixel([5] * 40_000), dtype=dtype)[1, 0, 0] == most
    off = at_pixel([5] * 40_000, [0] * 40_000)
    assert of_both_paths(accumulate, off, dtype="int16", polarity="signed")[0, 0, 0] == -32_767


@pytest.mark.parametrize("size", [(1, 1), (2000, 1000)])
def test_on_minus_off_is_exact_however_large_each_of_them_is(size):
    back = at_pixel(range(79_995), [1] * 40_000 + [0] * 39_995, size)
    assert of_both_paths(accumulate, back, dtype="int16", polarity="signed")[0, 0, 0] == 5


def test_an_empty_stream_has_the_shape_and_type_of_any_other():
    none = Events.from_arrays([], [], [], [], (4, 3))
    for way, n in (({"window": 1}, 0), ({"events_per_frame": 2}, 0), ({"n_bins": 5}, 5), ({"n_event_bins": 5}, 5)):
        assert of_both_paths(frames, none, **way).shape == (n, 2, 3, 4)
    assert frames(none, window=10, start=0, end=25).shape == (3, 2, 3, 4)
    assert frames(none, n_bins=1).dtype == np.int32
    assert accumulate(none).shape == (2, 3, 4)
    assert list(iter_frames(none, window=1)) == []


def test_polarities_of_the_given_arrays_are_left_as_they_are():
    array = np.array([(0, 0, 0, False), (5, 0, 0, True)], [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?")])
    events = Events.from_structured(array, (1, 1))
    assert frames(events, n_bins=1, polarity="merged").sum() == 2
    assert voxel_grid(events, 2)[:, 0, 0, 0].tolist() == [-1, 1]
    assert array["p"].tolist() == [False, True]
    assert events.p.tolist() == [0, 1]


def test_events_that_are_not_sorted_are_refused_and_none_vanishes_when_they_are():
    events = at_pixel([30, 10, 20])
    for draw in (lambda e: frames(e, n_bins=2), lambda e: time_surface(e, 5), lambda e: bit_planes(e, 1, 2)):
        with pytest.raises(DataError, match=r"use events.sorted\(\)"):
            draw(events)
        draw(events.sorted())
    assert frames(events.sorted(), n_bins=2)[:, 1, 0, 0].tolist() == [2, 1]
    assert accumulate(events).sum() == 3


@settings(deadline=None, max_examples=50)
@given(streams(least=1), st.integers(1, 30), st.integers(0, 20))
def test_frames_equal_a_histogram(events, window, shift):
    window, shift = window / 1000, min(shift, window - 1) / 1000
    counts = of_both_paths(frames, events, window=window, overlap=shift)
    for k, counted in enumerate(counts):
        since = (events.t - events.t[0]) / 1000 - k * (window - shift)
        inside = (since > -1e-9) & (since < window - 1e-9)
        sample = np.stack([events.p, events.y, events.x], 1)[inside]
        edges = [np.arange(side + 1) - 0.5 for side in (2, events.height, events.width)]
        np.testing.assert_array_equal(counted, np.histogramdd(sample, edges)[0])


@settings(deadline=None, max_examples=50)
@given(streams(), st.integers(1, 30), st.integers(1, 7), st.integers(0, 40))
def test_frames_one_by_one_from_a_stream_in_pieces_equal_frames_at_once(events, window, n, cut):
    cut = min(cut, len(events))
    pieces = [events[:cut], events[cut:cut], events[cut:]]
    for way in ({"window": window / 1000}, {"window": window / 1000, "overlap": window / 2000, "polarity": "merged"},
                {"events_per_frame": n, "dtype": "uint8"}, {"events_per_frame": n, "overlap": n // 2},
                {"window": window / 1000, "include_incomplete": False}):  # fmt: skip
        one_by_one, at_once = list(iter_frames(iter(pieces), **way)), frames(events, **way)
        assert len(one_by_one) == len(at_once)
        assert all(np.array_equal(one, other) for one, other in zip(one_by_one, at_once, strict=True))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "exactly one of window, n_bins, events_per_frame, n_event_bins, got none"),
        ({"window": 1, "n_bins": 2}, "got window and n_bins"),
        ({"window": 0}, "frames.window must be a positive time step in ms, got 0"),
        ({"window": np.nan}, "frames.window"),
        ({"window": 1, "overlap": 0.9999999999}, "windows; use longer ones"),
        ({"window": 1, "overlap": 1}, "frames.overlap must be at least 0 and below the window of 1 ms"),
        ({"n_bins": 2, "overlap": 1}, "n_bins has none"),
        ({"n_bins": 0}, "frames.n_bins must be an integer of at least 1"),
        ({"n_bins": 2**45}, "n_bins must be below 2..31"),
        ({"events_per_frame": 2, "overlap": 0.5}, "frames.overlap must be an integer from 0 to below 2 events"),
        ({"events_per_frame": 2.5}, "frames.events_per_frame must be an integer"),
        ({"n_bins": 1, "polarity": "both"}, "polarity must be one of 'separate', 'merged', 'signed', got 'both'"),
        ({"n_bins": 1, "dtype": "int64"}, "dtype must be one of uint8, uint16, int16, int32, float32"),
        ({"n_bins": 1, "dtype": "int31"}, "frames.dtype must be a type of numbers, got 'int31'"),
        ({"window": 5e-324}, "frames.window must be from 0.001 ms"),
        ({"window": 1, "overlap": "0"}, "frames.overlap must be at least 0 and below the window of 1 ms, got 0"),
        ({"n_bins": 1, "dtype": "uint8", "polarity": "signed"}, "one of int16, int32, float32 for 'signed' counts"),
        ({"n_bins": 1, "start": 3, "end": 2}, "frames.end must not lie before start = 3 ms"),
        ({"n_bins": 1, "start": "now"}, "frames.start must be a time in ms"),
    ],
)
def test_what_makes_no_frames_is_refused(arguments, text):
    with pytest.raises(ParameterError, match=text):
        frames(at_pixel([0, 10**6]), **arguments)


def test_frames_one_by_one_are_refused_when_they_are_asked_for():
    for arguments, text in (({}, "exactly one of window, events_per_frame"), ({"window": -1}, "window must be"),
                            ({"events_per_frame": 3, "start": 1}, "start and end are those of windows"),
                            ({"window": 1, "polarity": "on"}, "polarity must be one of"),
                            ({"window": 1, "dtype": "int8"}, "dtype must be one of")):  # fmt: skip
        with pytest.raises(ParameterError, match=text):
            iter_frames(at_pixel([0]), **arguments)


LARGE = [
    (lambda e: frames(e, n_bins=300), r"frames: \(300, 2, 32768, 32768\) of int32 takes 2400.0 GiB, of memory 9.0 GiB",
     "times are in ms; iter_frames draws"),
    (lambda e: frames(e, window=0.001), r"\(1001, 2, 32768, 32768\) of int32 takes 8008.0 GiB", "times are in ms"),
    (lambda e: time_surface(e, 5.0, every=0.05), r"\(21, 2, 32768, 32768\) of float32 takes 168", "iter_time_surfaces"),
    (lambda e: voxel_grid(e, 20), r"20.* of float32 takes 80", "times are in ms"),
    (lambda e: bit_planes(e, 20), r"\(20, 2, 32768, 32768\) of uint16 takes 80", "times are in ms"),
]  # fmt: skip


@pytest.mark.parametrize(("draw", "size", "way_out"), LARGE)
def test_what_the_free_memory_does_not_hold_is_refused(monkeypatch, draw, size, way_out):
    monkeypatch.setattr(memory, "available", lambda: 9 * 2**30)
    with pytest.raises(ParameterError, match=f"{size}.*{way_out}"):
        draw(at_pixel([0, 1000], size=(2**15, 2**15)))


def test_the_system_tells_how_much_memory_is_free():
    free, whole = memory.available(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert free is None or whole / 1000 < free <= whole


@pytest.mark.parametrize("window", [1e-6, 0.0009])
def test_a_window_below_the_resolution_of_events_is_refused(window):
    for draw in (lambda e: frames(e, window=window), lambda e: iter_frames(e, window=window),
                 lambda e: time_surface(e, 5.0, every=window)):  # fmt: skip
        with pytest.raises(ParameterError, match=r"window must be from 0.001 ms, the resolution of events, to below"):
            draw(at_pixel([0, 5]))


def test_an_event_outside_of_the_sensor_is_named_not_written():
    good = at_pixel([0, 1, 2], size=(3, 3))
    for name, value in (("x", -1), ("y", 3), ("x", 32_767)):
        wrong = good.with_arrays(**{name: np.array([0, value, 0], np.int16)})
        draws = (lambda e: frames(e, n_bins=2), lambda e: voxel_grid(e, 3), lambda e: time_surface(e, 5.0),
                 lambda e: bit_planes(e), lambda e: averaged_time_surfaces(e, 2, 1, 5.0))  # fmt: skip
        for draw in draws:
            with pytest.raises(DataError, match=rf"events\[1\] must be of the sensor of 3 x 3 pixels, got .*{value}"):
                of_both_paths(draw, wrong)


# Bit planes


def test_bits_stand_for_parts_of_the_time_and_the_first_is_the_highest():
    events = at_pixel([0, 1, 30, 79])  # of 80 us: parts 0, 0, 3 and 7 of 8
    assert of_both_paths(bit_planes, events, 1, 8)[0, :, 0, 0].tolist() == [0, 0b10010001]
    assert of_both_paths(bit_planes, events, 2, 4)[:, 1, 0, 0].tolist() == [0b1001, 0b0001]
    assert of_both_paths(bit_planes, events, 8, 1, polarity="merged").ravel().tolist() == [1, 0, 0, 1, 0, 0, 0, 1]


@settings(deadline=None, max_examples=50)
@given(streams(), st.integers(1, 3), st.integers(1, 16))
def test_bit_planes_are_the_binary_frames_of_their_parts(events, n_frames, n_bits):
    binary = frames(events, n_bins=n_frames * n_bits) > 0
    weights = 2 ** np.arange(n_bits)[::-1]
    numbers = np.tensordot(weights, binary.reshape(n_frames, n_bits, *binary.shape[1:]), (0, 1))
    np.testing.assert_array_equal(of_both_paths(bit_planes, events, n_frames, n_bits), numbers)


def test_bits_have_no_sign_and_fit_into_16():
    with pytest.raises(ParameterError, match="a bit has no sign"):
        bit_planes(at_pixel([0]), polarity="signed")
    with pytest.raises(ParameterError, match="n_bits must be an integer from 1 to 16, got 17"):
        bit_planes(at_pixel([0]), 1, 17)


# Voxel grids


def test_an_event_is_shared_by_the_two_nearest_instants():
    events = at_pixel([0, 4, 10], [True, False, True])  # 2 (t - 0) / 10 = 0, 0.8, 2
    np.testing.assert_allclose(of_both_paths(voxel_grid, events, 3)[:, 0, 0, 0], [1 - 0.2, -0.8, 1], rtol=1e-6)
    separate = of_both_paths(voxel_grid, events, 3, polarity="separate")[:, :, 0, 0]
    np.testing.assert_allclose(separate, [[0.2, 1], [0.8, 0], [0, 1]], rtol=1e-6)
    within = of_both_paths(voxel_grid, events, 2, start=0.004, end=0.014, polarity="merged")[:, 0, 0, 0]
    np.testing.assert_allclose(within, [1 + 0.4, 0.6], rtol=1e-6)


@settings(deadline=None, max_examples=50)
@given(streams(least=1), st.integers(1, 6))
def test_voxel_grids_follow_the_definition(events, n_bins):
    span = max(1, events.t[-1] - events.t[0])
    place = (n_bins - 1) * (events.t - events.t[0]) / span
    expected = np.zeros((n_bins, 1, events.height, events.width))
    for x, y, p, t in zip(events.x, events.y, events.p, place, strict=True):
        expected[:, 0, y, x] += (2 * p - 1) * np.maximum(0, 1 - np.abs(np.arange(n_bins) - t))
    found = of_both_paths(voxel_grid, events, n_bins)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(of_both_paths(voxel_grid, events[::-1], n_bins), expected, atol=1e-5)


def test_events_at_one_time_are_in_the_first_bin_and_no_events_in_none():
    assert of_both_paths(voxel_grid, at_pixel([7, 7]), 3)[:, 0, 0, 0].tolist() == [2, 0, 0]
    assert not of_both_paths(voxel_grid, at_pixel([]), 3).any()
    with pytest.raises(ParameterError, match=r"voxel_grid.end must lie after start = 2 ms, got 2"):
        voxel_grid(at_pixel([7]), 3, start=2, end=2)


# Time surfaces


def test_a_surface_is_one_at_an_event_and_decays_from_there():
    events = at_pixel([1000, 3000], [0, 1], (2, 1))
    surface = of_both_paths(time_surface, events, 2.0)
    np.testing.assert_allclose(surface[0, :, 0], [[np.exp(-1), 0], [1, 0]], rtol=1e-6)
    at = of_both_paths(time_surface, events, 2.0, at=[0.999, 1.0, 2.0, 2.0, 5.0], polarity="merged")
    np.testing.assert_allclose(at[:, 0, 0, 0], np.exp([-np.inf, 0, -0.5, -0.5, -1]), rtol=1e-6)


@settings(deadline=None, max_examples=50)
@given(streams(least=1), st.integers(1, 40), st.floats(0.001, 1.0))
def test_surfaces_at_the_ends_of_windows_follow_the_definition(events, every, tau):
    found = of_both_paths(time_surface, events, tau, every=every / 1000)
    assert len(found) == len(frames(events, window=every / 1000))
    for k, surface in enumerate(found):
        now = int(events.t[0]) + (k + 1) * every
        expected = np.zeros_like(surface)
        for x, y, p, t in zip(events.x, events.y, events.p, events.t, strict=True):
            if t < now:
                expected[p, y, x] = np.exp(-(now - t) / (tau * 1000))
        np.testing.assert_allclose(surface, expected, rtol=1e-5, atol=1e-30)
    one_by_one = list(iter_time_surfaces(iter([events[:3], events[3:]]), tau, every / 1000))
    assert all(np.array_equal(one, other) for one, other in zip(one_by_one, found, strict=True))


def test_surfaces_of_nothing_and_of_wrong_times():
    assert time_surface(at_pixel([]), 5).shape == (0, 2, 1, 1)
    assert of_both_paths(time_surface, at_pixel([]), 5, at=[1.0]).tolist() == [[[[0.0]], [[0.0]]]]
    for arguments, text in (({"at": [2, 1]}, "must not fall"), ({"at": [0], "every": 1}, "either at or every"),
                            ({"at": ["x"]}, r"at\[0\] must be a time in ms"), ({"every": -1}, "window must be"),
                            ({"polarity": "signed"}, "a time has no sign")):  # fmt: skip
        with pytest.raises(ParameterError, match=text):
            time_surface(at_pixel([1]), 5, **arguments)
    for draw in (lambda: time_surface(at_pixel([1]), 0), lambda: iter_time_surfaces(at_pixel([1]), 0, 1)):
        with pytest.raises(ParameterError, match=r"time_surface.tau"):
            draw()


# Averaged time surfaces


def hats(events, cell, radius, tau, window):
    """Equations 5 to 8 of Sironi et al., event by event."""
    side, rows, columns = 2 * radius + 1, -(-events.height // cell), -(-events.width // cell)
    sums, counts = np.zeros((rows, columns, 2, side, side)), np.zeros((rows, columns, 1, 1, 1))
    stream = [tuple(map(int, e)) for e in zip(events.t, events.x, events.y, events.p, strict=True)]
    for t, x, y, p in stream:
        counts[y // cell, x // cell] += 1
        for s, u, v, q in stream:
            same_cell = (u // cell, v // cell) == (x // cell, y // cell)
            near = abs(u - x) <= radius and abs(v - y) <= radius
            if q == p and same_cell and near and t - window <= s < t:
                sums[y // cell, x // cell, p, v - y + radius, u - x + radius] += np.exp(-(t - s) / tau)
    return sums / np.maximum(counts, 1)


def test_an_event_adds_the_decayed_ones_before_it_at_their_offset():
    events = Events.from_arrays([0, 1000, 2000, 2000], [0, 1, 0, 2], [0, 0, 1, 0], [1, 1, 1, 1], (4, 2))
    found = of_both_paths(averaged_time_surfaces, events, 2, 1, tau=1.0)
    assert found.shape == (1, 2, 2, 3, 3)
    expected = np.zeros((3, 3))
    expected[1, 0] = np.exp(-1)  # the second sees the first on its left
    expected[0, 1], expected[0, 2] = np.exp(-2), np.exp(-1)  # the third sees both in the row above
    np.testing.assert_allclose(found[0, 0, 1], expected / 3, rtol=1e-6)
    assert not found[0, 0, 0].any()
    assert not found[0, 1].any()  # the fourth is alone in its cell


@settings(deadline=None, max_examples=50)
@given(streams(), st.integers(1, 4), st.integers(0, 3), st.sampled_from([0.002, 0.03, 100.0]), st.integers(1, 80))
def test_averaged_surfaces_follow_the_definition(events, cell, radius, tau, window):
    radius = min(radius, cell - 1)
    found = of_both_paths(averaged_time_surfaces, events, cell, radius, tau, window / 1000)
    np.testing.assert_allclose(found, hats(events, cell, radius, tau * 1000, window), rtol=1e-5, atol=1e-12)
    every = of_both_paths(averaged_time_surfaces, events, cell, radius, tau)
    np.testing.assert_allclose(every, hats(events, cell, radius, tau * 1000, 10**9), rtol=1e-5, atol=1e-12)


def test_long_pauses_and_long_streams_neither_overflow_nor_leave_a_trace():
    t = np.concatenate(
        [np.arange(50), 10**7 + np.arange(50), 10**15 + np.arange(50), 10**15 + 2 * 10**4 * np.arange(90)]
    )
    events = at_pixel(np.sort(t))
    for window in (0.02, 1.0, 10**13):
        found = of_both_paths(averaged_time_surfaces, events, 1, 0, 0.03, window)
        np.testing.assert_allclose(found, hats(events, 1, 0, 30.0, window * 1000), rtol=1e-6)


@pytest.mark.parametrize("pause", [0.5, 40, 80])
def test_events_that_have_nearly_decayed_count_as_long_as_float32_can_tell(pause):
    n = 2000
    found = averaged_time_surfaces(at_pixel(np.arange(n) * 1000 * pause), 1, 0, 1.0)
    expected = sum(np.exp(-pause * np.arange(1, k + 1, dtype=float)).sum() for k in range(n)) / n
    np.testing.assert_allclose(found[0, 0, 1, 0, 0], expected, rtol=1e-6)


def test_averaged_surfaces_check_what_they_get():
    for arguments, text in (((4, 4, 1.0), "radius must be below the cell_size of 4"), ((0, 0, 1.0), "cell_size"),
                            ((4, -1, 1.0), "radius"), ((4, 1, 0), "tau"), ((4, 1, 1.0, -1), "window")):  # fmt: skip
        with pytest.raises(ParameterError, match=text):
            averaged_time_surfaces(at_pixel([1]), *arguments)


# Objects


def test_representations_end_a_chain_of_transforms_and_have_keys():
    events = Events.from_arrays([0, 1000, 2000], [0, 1, 2], [0, 1, 2], [1, 0, 1], (3, 3))
    chain = Crop(box=(0, 0, 2, 2)) | ToFrames(window=1)
    assert chain(events).shape[2:] == (2, 2)
    assert chain.key()["transforms"][1]["window"] == 1
    assert ToTimeSurface(5.0, at=np.array([1.0, 2.0])).key()["at"] == [1.0, 2.0]
    assert ToTimeSurface(5.0, at=[1.0]) == ToTimeSurface(5.0, at=(1.0,))
    assert EVENT_REPRESENTATIONS["voxel_grid"](4)(events).shape == (4, 1, 3, 3)
    assert ToFrames(window=1, dtype=np.int16).key()["dtype"] == "int16"
    with pytest.raises(ParameterError, match="Crop expected Events, got ndarray"):
        (ToFrames(window=1) | Crop(box=(0, 0, 2, 2)))(events)


def test_representations_check_their_parameters_when_they_are_made():
    for make, text in ((lambda: ToFrames(), "exactly one"), (lambda: ToFrames(window=-1), "frames.window"),
                       (lambda: EVENT_REPRESENTATIONS["to_spikes"](dt=0), "to_spikes.dt must be")):  # fmt: skip
        with pytest.raises(ParameterError, match=text):
            make()
    with pytest.raises(UnknownNameError, match="did you mean 'frames'"):
        EVENT_REPRESENTATIONS["frame"]


@pytest.mark.parametrize("name", ["x", "y", "p"])
def test_arrays_that_are_not_what_events_promise_are_refused_before_they_are_drawn(name):
    good = Events.from_arrays(range(3000), [0] * 3000, [0] * 3000, [1] * 3000)
    for wrong in (getattr(good, name)[:10], getattr(good, name).astype(np.float64)):
        for call in (accumulate, lambda e: voxel_grid(e, 3), lambda e: time_surface(e, 1.0)):
            with pytest.raises(DataError, match=f"Events.{name} must be 3000 numbers of"):
                call(good.with_arrays(**{name: wrong}))


def test_no_cell_and_no_decay_is_too_large_or_too_small_to_be_computed_with():
    events = at_pixel([0, 5, 9], size=(3, 2))
    assert averaged_time_surfaces(events, 2**64, 1, 1.0).tolist() == averaged_time_surfaces(events, 3, 1, 1.0).tolist()
    assert of_both_paths(time_surface, events, 1e-300)[0, 1].tolist() == [[1, 0, 0], [0, 0, 0]]

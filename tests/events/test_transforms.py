"""Transforms that draw nothing: what they do is counted by hand, and what they leave alone."""

from collections import Counter

import pytest
from event_streams import PATHS, computed_by, drawn, rows, stream, streams
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.events import (
    align_time,
    crop,
    crop_time,
    downsample,
    downsample_differentiator,
    downsample_integrator,
    flip_polarity,
    flip_x,
    flip_y,
    merge,
    merge_polarities,
    time_reversal,
    time_skew,
)

every_path = pytest.mark.parametrize("path", PATHS)
paths = st.sampled_from(PATHS)

FOUR = stream([(10, 0, 0, 1), (20, 3, 2, 0), (20, 7, 5, 1), (45, 4, 3, 0)])


@every_path
def test_a_crop_moves_its_corner_to_the_origin_and_is_the_new_sensor(path):
    with computed_by(path):
        cut = crop(FOUR, (3, 2, 2, 3))
        assert cut.sensor_size == (2, 3)
        assert rows(cut) == [(20, 0, 0, 0), (45, 1, 1, 0)]
        assert crop(FOUR, (0, 0, 8, 6)).equals(FOUR)


@every_path
def test_a_crop_of_the_centre_lies_half_a_pixel_to_the_left_where_it_must(path):
    with computed_by(path):
        assert rows(crop(FOUR, centre=(2, 2))) == [(20, 0, 0, 0), (45, 1, 1, 0)]
        assert rows(crop(FOUR, centre=1)) == [(20, 0, 0, 0)]
        assert crop(FOUR, centre=(5, 6)).equals(crop(FOUR, (1, 0, 5, 6)))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: crop(FOUR, (6, 0, 3, 1)), r"a box on the sensor of 8 x 6, got \(6, 0, 3, 1\)"),
        (lambda: crop(FOUR, (-1, 0, 3, 1)), r"crop.box must be \(x, y, width, height\)"),
        (lambda: crop(FOUR, (0, 0, 0, 1)), "crop.box"),
        (lambda: crop(FOUR, centre=(9, 6)), "a box on the sensor of 8 x 6"),
        (lambda: crop(FOUR), "expected one of box"),
        (lambda: crop(FOUR, (0, 0, 1, 1), centre=2), "expected one of box"),
        (lambda: crop_time(FOUR, 2, 1), "expected start <= end in ms, got 2.0 and 1.0"),
        (lambda: crop_time(FOUR, float("nan")), "crop_time.start must be a time in ms"),
        (lambda: time_skew(FOUR, 0), "time_skew.coefficient must be a positive, finite number, got 0"),
        (lambda: time_skew(FOUR, -1), "time_skew.coefficient"),
        (lambda: downsample(FOUR), "expected one of size"),
        (lambda: downsample(FOUR, (9, 1)), r"downsample.size must be at most the sensor's 8 x 6, got \(9, 1\)"),
        (lambda: downsample(FOUR, (2.0, 1)), "downsample.size must be"),
        (lambda: downsample(FOUR, factor=0), "downsample.factor must be a factor from 1 on"),
        (lambda: downsample(FOUR, factor=0.5), "downsample.factor"),
        (lambda: downsample(FOUR, (2, 2), merge=-1), "downsample.merge must be a time"),
        (lambda: downsample_integrator(FOUR, 2, 0), "downsample_integrator.window must be a time from 0.001"),
        (lambda: downsample_integrator(FOUR, 2, 0.0015), "must be a whole number of microseconds, got 0.0015 ms"),
        (lambda: downsample_integrator(FOUR, 2, 1, threshold=0), "threshold must be an integer from 1"),
        (lambda: downsample_differentiator(FOUR, 2, 0.005), "whole number of us for each of 2 bins"),
        (lambda: flip_polarity(FOUR, 1.5), "flip_polarity.p must be a number in 0..1"),
        (lambda: merge(), "at least one stream"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_expected(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


def test_a_crop_in_time_takes_the_first_bound_and_leaves_the_last():
    assert crop_time(FOUR, 0.02, 0.045).t.tolist() == [20, 20]
    assert crop_time(FOUR, end=0.02).t.tolist() == [10]
    assert crop_time(FOUR, 0.02).t.tolist() == [20, 20, 45]
    assert crop_time(FOUR).equals(FOUR)


@every_path
def test_times_are_multiplied_then_moved_and_rounded_to_microseconds(path):
    with computed_by(path):
        assert time_skew(FOUR, 1.5, 0.1).t.tolist() == [115, 130, 130, 168]  # 67.5 rounds to the even 68
        assert time_skew(FOUR, 2, -0.05).t.tolist() == [-30, -10, -10, 40]
        assert time_skew(FOUR, 1e-9).t.tolist() == [0, 0, 0, 0]
        with pytest.raises(DataError, match=r"leaves 2\*\*62 us"):
            time_skew(FOUR, 2.0**57)


@settings(deadline=None)
@given(streams, st.floats(0.01, 100), paths)
def test_skewed_times_are_those_of_exact_fractions(events, coefficient, path):
    near = align_time(events)
    with computed_by(path):
        if not len(near) or near.t.max() < 2**32:
            skewed = time_skew(near, coefficient).t
            assert all(abs(new - old * coefficient) <= 0.5 + 1e-6 for old, new in zip(near.t, skewed, strict=True))


def test_reversed_time_runs_from_the_last_event_to_the_first_with_the_other_polarity():
    assert rows(time_reversal(FOUR)) == [(10, 4, 3, 1), (35, 7, 5, 0), (35, 3, 2, 1), (45, 0, 0, 0)]
    assert time_reversal(FOUR, flip_polarity=False).p.tolist() == [0, 1, 0, 1]


@settings(deadline=None)
@given(streams)
def test_flips_and_reversals_undo_themselves(events):
    for flip in (flip_x, flip_y, flip_polarity):
        assert flip(flip(events)).equals(events)
    near = align_time(events)
    assert time_reversal(time_reversal(near)).equals(near)
    assert time_reversal(near).is_sorted


def test_flips_mirror_the_sensor():
    assert flip_x(FOUR).x.tolist() == [7, 4, 0, 3]
    assert flip_y(FOUR).y.tolist() == [5, 3, 0, 2]
    assert flip_polarity(FOUR).p.tolist() == [0, 1, 0, 1]
    assert flip_x(stream([(0, 0, 0, 1)], (2**15, 1))).x.tolist() == [2**15 - 1]


def test_alignment_puts_the_earliest_event_at_zero_of_unsorted_streams_too():
    assert align_time(FOUR).t.tolist() == [0, 10, 10, 35]
    assert align_time(stream([(5, 0, 0, 1), (-2, 0, 0, 1)])).t.tolist() == [7, 0]
    assert len(align_time(stream([]))) == 0
    with pytest.raises(DataError, match="span more than int64"):
        align_time(stream([(-(2**63), 0, 0, 1), (0, 0, 0, 1)]))


def test_merged_polarities_are_all_one():
    assert merge_polarities(FOUR).p.tolist() == [1, 1, 1, 1]


@every_path
def test_streams_merge_by_time_and_those_of_one_time_in_the_order_given(path):
    a, b = stream([(1, 0, 0, 1), (5, 1, 0, 1), (5, 2, 0, 1)]), stream([(0, 3, 0, 0), (5, 4, 0, 0), (9, 5, 0, 0)])
    with computed_by(path):
        assert merge(a, b).x.tolist() == [3, 0, 1, 2, 4, 5]
        assert merge(b, a).x.tolist() == [3, 0, 4, 1, 2, 5]
        assert merge(a, stream([]), b).equals(merge(a, b))
        assert merge(a).equals(a)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2**32 - 1)), min_size=1, max_size=4), paths)
def test_a_merge_is_the_stable_sort_of_all_events(sizes, path):
    parts = [drawn(n, seed=seed, span=30) for n, seed in sizes]
    everything = [row for part in parts for row in rows(part)]
    with computed_by(path):
        assert rows(merge(*parts)) == sorted(everything, key=lambda row: row[0])


def test_streams_that_do_not_fit_are_not_merged():
    with pytest.raises(ShapeError, match="one sensor size"):
        merge(FOUR, stream([], (2, 2)))
    with pytest.raises(DataError, match=r"events.sorted\(\)"):
        merge(FOUR, FOUR[::-1])


@every_path
def test_pixels_of_a_smaller_sensor_are_floors_of_quotients(path):
    with computed_by(path):
        assert rows(downsample(FOUR, (4, 3))) == [(10, 0, 0, 1), (20, 1, 1, 0), (20, 3, 2, 1), (45, 2, 1, 0)]
        assert downsample(FOUR, factor=2).equals(downsample(FOUR, (4, 3)))
        assert downsample(FOUR, (3, 6)).x.tolist() == [0, 1, 2, 1]  # 3 * 3 // 8 is 1, 7 * 3 // 8 is 2
        thirds = downsample(FOUR, factor=(3, 6))
        assert (thirds.sensor_size, thirds.x.tolist(), thirds.y.tolist()) == ((3, 1), [0, 1, 2, 1], [0, 0, 0, 0])
        wide = stream([(0, 2**15 - 1, 0, 1)], (2**15, 1))
        assert downsample(wide, 1).x.tolist() == [0]
        assert downsample(wide, factor=2**15).sensor_size == (1, 1)
        assert downsample(wide, (2**15 - 1, 1)).x.tolist() == [2**15 - 2]


@every_path
def test_events_that_coincide_on_a_smaller_sensor_become_one_where_that_is_asked_for(path):
    events = stream([(0, 0, 0, 1), (0, 1, 1, 1), (0, 1, 0, 0), (2, 0, 1, 1), (3, 1, 1, 1), (3, 2, 0, 1)])
    with computed_by(path):
        assert len(downsample(events, factor=2)) == 6
        assert downsample(events, factor=2, merge=0).t.tolist() == [0, 0, 2, 3, 3]
        assert downsample(events, factor=2, merge=0.002).t.tolist() == [0, 0, 3, 3]
        assert downsample(events, factor=2, merge=1).t.tolist() == [0, 0, 3]


@every_path
def test_pixels_of_a_smaller_sensor_integrate_and_fire(path):
    on, off = 1, 0
    events = stream(
        [
            (100, 0, 0, on),  # window 0 from 100 us on
            (101, 1, 1, on),
            (104, 2, 0, off),
            (109, 0, 1, on),
            (110, 2, 1, off),  # window 1
            (111, 3, 1, off),
            (112, 0, 0, on),
            (145, 1, 0, on),  # window 4
            (145, 0, 0, off),
            (146, 0, 0, on),
        ],
        (4, 2),
    )
    with computed_by(path):
        # pixel (0, 0): 3 in window 0 fires and clears, 1 in window 1 stays, and with 1 - 1 + 1 in window 4 fires at 2
        # pixel (1, 0): -1 in window 0 stays, and with -2 in window 1 fires
        fired = downsample_integrator(events, (2, 1), 0.010, threshold=2)
        assert rows(fired) == [(100, 0, 0, 1), (110, 1, 0, 0), (140, 0, 0, 1)]
        assert fired.sensor_size == (2, 1)
        assert rows(downsample_integrator(events, (2, 1), 0.010, threshold=3)) == [(100, 0, 0, 1), (110, 1, 0, 0)]
        assert len(downsample_integrator(events, (2, 1), 1.0, threshold=6)) == 0
        once = rows(downsample_integrator(events, (2, 1), 0.010))
        assert once == [(100, 0, 0, 1), (100, 1, 0, 0), (110, 1, 0, 0), (110, 0, 0, 1), (140, 0, 0, 1)]


@every_path
def test_a_differentiator_fires_where_there_is_more_than_in_the_window_before(path):
    pulses = [0, 5, 10, 20, 25, 30]  # windows of 10 us in two bins: 2, 1, 2 and 1 bins are active
    events = stream([(7 + t, 1, 1, p) for t in pulses for p in [1]], (4, 2))
    with computed_by(path):
        assert rows(downsample_differentiator(events, (2, 1), 0.010)) == [(27, 0, 0, 1)]
        assert len(downsample_differentiator(events, (2, 1), 0.010, threshold=2)) == 1  # sums of 2 at 5, 20, 30 us
        assert len(downsample_differentiator(stream([], (4, 2)), (2, 1), 0.010)) == 0


def integrated(events, window, threshold):
    """Windows of `window` us, in plain Python."""
    total, out = {}, []
    number = [(t - int(events.t[0])) // window for t in events.t.tolist()]
    for k in dict.fromkeys(number):
        active = {}
        for row, n in zip(rows(events), number, strict=True):
            if n == k:
                total[row[1:3]] = total.get(row[1:3], 0) + (1 if row[3] else -1)
                active[row[1:3]] = True
        for pixel in active:
            if abs(total[pixel]) >= threshold:
                out.append((int(events.t[0]) + k * window, *pixel, int(total[pixel] > 0)))
                total[pixel] = 0
    return out


@settings(deadline=None)
@given(streams, st.integers(1, 3), st.sampled_from([0.001, 0.05, 1e9]), paths)
def test_the_integrator_equals_its_reference(events, threshold, window, path):
    with computed_by(path):
        made = downsample_integrator(events, events.sensor_size, window, threshold=threshold)
        assert rows(made) == integrated(events, int(window * 1000), threshold)
        assert made.is_sorted


@settings(deadline=None)
@given(streams, st.integers(1, 2), st.sampled_from([0.002, 0.05, 1e9]), paths)
def test_the_differentiator_equals_a_count_of_what_the_integrator_makes(events, threshold, window, path):
    us = int(window * 1000)
    with computed_by(path):
        made = downsample_differentiator(events, events.sensor_size, window, threshold=threshold)
    first = rows(events)[0][0] if len(events) else 0
    counts = Counter(((t - first) // us, x, y, p) for t, x, y, p in integrated(events, us // 2, threshold))
    more = {(n, *rest) for (n, *rest), count in counts.items() if n and count > counts[(n - 1, *rest)]}
    assert sorted(rows(made)) == sorted((first + n * us, *rest) for n, *rest in more)
    assert made.is_sorted


@settings(deadline=None)
@given(streams)
def test_transforms_change_nothing_they_were_given(events):
    before, near = rows(events), align_time(events)
    flip_x(events), flip_y(events), flip_polarity(events), merge_polarities(events), crop(events, centre=1)
    downsample(events, 1, merge=1.0), time_reversal(near), time_skew(near, 1.5)
    assert rows(events) == before

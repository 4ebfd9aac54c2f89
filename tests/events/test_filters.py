"""Event filters: what stays is counted by hand, and equals event-by-event references in plain Python."""

import numpy as np
import pytest
from event_streams import PATHS, computed_by, drawn, rows, stream, streams
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.events import (
    Events,
    background_activity,
    decimate,
    denoise,
    drop_pixels,
    event_counts,
    find_hot_pixels,
    flip_polarity,
    hot_pixels,
    merge_coinciding,
    refractory,
    time_skew,
)
from spikeloom.events.container import DTYPES
from spikeloom.events.filters_native import contiguous
from spikeloom.native.library import include, load

every_path = pytest.mark.parametrize("path", PATHS)
paths = st.sampled_from(PATHS)
some_times = st.sampled_from([0.0, 0.001, 0.0105, 0.05, 3.0, 1e7, 1e15])


def supported(events, time, itself):
    """Delbruck's filter, event by event."""
    last, kept = {}, []
    for row in rows(events):
        t, x, y, _ = row
        around = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy or itself]
        if any(t - last[pixel] <= time * 1000 for pixel in around if pixel in last):
            kept.append(row)
        last[x, y] = t
    return kept


def alive(events, time, by_polarity, restart):
    """Dead times, event by event."""
    last, kept = {}, []
    for row in rows(events):
        t, x, y, p = row
        place = (x, y, p if by_polarity else 0)
        stays = place not in last or t - last[place] >= time * 1000
        if stays:
            kept.append(row)
        if stays or restart == "all":
            last[place] = t
    return kept


def every_nth(events, n):
    seen, kept = {}, []
    for row in rows(events):
        seen[row[1:3]] = seen.get(row[1:3], 0) + 1
        if seen[row[1:3]] % n == 0:
            kept.append(row)
    return kept


@every_path
def test_an_event_stays_where_one_of_the_eight_pixels_around_had_one_just_before(path):
    events = stream(
        [
            (100, 2, 2, 1),  # the first: nothing before
            (105, 2, 2, 1),  # its own pixel does not count
            (110, 3, 3, 0),  # on the diagonal, 5 us later
            (115, 5, 2, 1),  # two pixels away
            (120, 4, 2, 0),  # beside (3, 3), exactly 10 us later
            (126, 2, 4, 1),  # beside (3, 3), 16 us later
        ]
    )
    with computed_by(path):
        assert rows(background_activity(events, 0.010)) == [(110, 3, 3, 0), (120, 4, 2, 0)]
        assert rows(background_activity(events, 0.010, itself=True))[0] == (105, 2, 2, 1)
        assert len(background_activity(events, 0.016)) == 3
        assert len(background_activity(events, 0)) == 0


@every_path
@pytest.mark.parametrize("late", [3_000, 2**40])  # a stream of ms, and one of days
def test_each_of_the_eight_pixels_counts_until_exactly_the_time_is_over(path, late):
    around = [(x, y) for y in (1, 2, 3) for x in (1, 2, 3) if (x, y) != (2, 2)]
    with computed_by(path):
        for pixel in around:
            for gap in (10, 11):
                events = stream([(0, *pixel, 1), (gap, 2, 2, 1), (late, 7, 5, 1)])
                assert rows(background_activity(events, 0.010)) == [(10, 2, 2, 1)] * (gap == 10)
        beyond = [(x, y) for y in range(6) for x in range(8) if (x, y) not in [*around, (2, 2)]]
        for pixel in beyond:
            assert len(background_activity(stream([(0, *pixel, 1), (1, 2, 2, 1), (late, 7, 3, 1)]), 0.010)) == 0


def test_a_time_of_whole_microseconds_is_taken_as_such_whatever_its_product_with_1000():
    below = next(k for k in range(1, 9999) if k / 1000 * 1000 < k)
    above = next(k for k in range(1, 9999) if k / 1000 * 1000 > k)
    for k in (below, above):
        assert len(background_activity(stream([(0, 1, 1, 1), (k, 1, 2, 1)]), k / 1000)) == 1
        assert len(background_activity(stream([(0, 1, 1, 1), (k + 1, 1, 2, 1)]), k / 1000)) == 0
        assert len(refractory(stream([(0, 1, 1, 1), (k, 1, 1, 1)]), k / 1000)) == 2
        assert len(refractory(stream([(0, 1, 1, 1), (k - 1, 1, 1, 1)]), k / 1000)) == 1


@every_path
def test_an_isolated_event_goes_however_early_it_comes(path):
    with computed_by(path):
        for t in (0, 1, 5, -(2**40)):
            assert len(background_activity(stream([(t, 3, 3, 1)]), 10.0)) == 0
        assert len(background_activity(stream([(0, 0, 0, 1), (1, 5, 5, 1), (2, 7, 0, 1)]), 1e9)) == 0


@every_path
def test_an_event_that_was_filtered_out_still_supports_its_neighbours(path):
    with computed_by(path):
        assert rows(denoise(stream([(0, 1, 1, 1), (0, 2, 1, 1), (9, 3, 1, 1)]), 0.009)) == [(0, 2, 1, 1), (9, 3, 1, 1)]


@every_path
def test_neighbours_end_at_the_edge_of_the_sensor_and_do_not_wrap(path):
    with computed_by(path):
        assert len(background_activity(stream([(0, 7, 0, 1), (1, 0, 0, 1), (2, 0, 1, 1)]), 1.0)) == 1
        assert len(background_activity(stream([(0, 7, 0, 1), (1, 0, 1, 1)]), 1.0)) == 0
        assert len(background_activity(stream([(0, 0, 0, 1), (1, 0, 5, 1)]), 1.0)) == 0
        assert len(background_activity(stream([(0, 0, 0, 1), (1, 0, 0, 1)], (1, 1)), 1.0)) == 0


@settings(deadline=None)
@given(streams, some_times, st.booleans(), paths)
def test_background_activity_equals_the_event_by_event_reference(events, time, itself, path):
    with computed_by(path):
        assert rows(background_activity(events, time, itself=itself)) == supported(events, time, itself)


@every_path
def test_a_dead_time_runs_from_the_last_event_that_stayed(path):
    events = stream([(t, 1, 1, p) for t, p in [(0, 1), (4, 0), (10, 1), (12, 0), (20, 0)]])
    with computed_by(path):
        assert refractory(events, 0.010).t.tolist() == [0, 10, 20]
        assert refractory(events, 0.011).t.tolist() == [0, 12]
        assert refractory(events, 0.010, restart="all").t.tolist() == [0]
        assert refractory(events, 0.0075, restart="all").t.tolist() == [0, 20]
        assert refractory(events, 0.010, by_polarity=True).t.tolist() == [0, 4, 10, 20]
        assert refractory(events, 0).t.tolist() == [0, 4, 10, 12, 20]


@settings(deadline=None)
@given(streams, some_times, st.booleans(), st.sampled_from(["kept", "all"]), paths)
def test_refractory_equals_the_event_by_event_reference(events, time, by_polarity, restart, path):
    with computed_by(path):
        kept = refractory(events, time, by_polarity=by_polarity, restart=restart)
        assert rows(kept) == alive(events, time, by_polarity, restart)


@every_path
def test_coinciding_events_become_one(path):
    events = stream([(5, 1, 1, 1), (5, 1, 1, 1), (5, 1, 1, 0), (6, 1, 1, 1), (7, 1, 1, 1)])
    with computed_by(path):
        assert rows(merge_coinciding(events, 0)) == [(5, 1, 1, 1), (5, 1, 1, 0), (6, 1, 1, 1), (7, 1, 1, 1)]
        assert rows(merge_coinciding(events, 0.001)) == [(5, 1, 1, 1), (5, 1, 1, 0), (7, 1, 1, 1)]


@every_path
def test_decimation_keeps_the_nth_event_of_each_pixel(path):
    events = stream([(t, x, 0, t % 2) for t, x in enumerate([0, 0, 1, 0, 1, 0, 0, 1, 0])])
    with computed_by(path):
        assert decimate(events, 3).t.tolist() == [3, 7, 8]
        assert decimate(events, 2).t.tolist() == [1, 4, 5, 8]
        assert decimate(events, 1).equals(events)
        assert len(decimate(events, 2**32 - 1)) == 0


@settings(deadline=None)
@given(streams, st.integers(1, 5), paths)
def test_decimation_equals_its_reference_and_keeps_the_floor_of_each_count(events, n, path):
    with computed_by(path):
        kept = decimate(events, n)
        assert rows(kept) == every_nth(events, n)
        assert (event_counts(kept) == event_counts(events) // n).all()


@every_path
def test_pixels_beyond_the_65536th_are_their_own(path):
    far, alias = (639, 479), (255, 70)  # 479 * 640 + 639 is 255 + 70 * 640 modulo 2**16
    assert (far[1] * 640 + far[0]) % 2**16 == alias[1] * 640 + alias[0]
    events = stream([(t, *pixel, 1) for t, pixel in enumerate([far, alias, far, far])], (640, 480))
    with computed_by(path):
        count = event_counts(events)
        assert (count[479, 639], count[70, 255], count.sum()) == (3, 1, 4)
        assert rows(decimate(events, 2)) == [(2, *far, 1)]
        assert len(refractory(events, 1.0)) == 2
        assert find_hot_pixels(events, quantile=0.5).tolist() == [list(far)]
        assert rows(drop_pixels(events, [far])) == [(1, *alias, 1)]


@every_path
def test_hot_pixels_are_above_a_rate_a_number_of_sigma_or_a_quantile(path):
    counts = {(0, 0): 1, (1, 0): 2, (2, 0): 3, (5, 4): 30}
    pixels = [pixel for pixel, count in counts.items() for _ in range(count)]
    events = stream([(1000 * k, *pixel, 1) for k, pixel in enumerate(pixels)] + [(100_000, 7, 5, 1)])
    with computed_by(path):
        # 30 events in 0.1 s are 300 Hz; the mean is 7.4 and the deviation 11.32 events
        assert find_hot_pixels(events, rate=299).tolist() == [[5, 4]]
        assert find_hot_pixels(events, rate=300).tolist() == []
        assert find_hot_pixels(events, rate=15).tolist() == [[1, 0], [2, 0], [5, 4]]
        assert find_hot_pixels(events, sigma=1.99).tolist() == [[5, 4]]
        assert find_hot_pixels(events, sigma=2.0).tolist() == []
        assert find_hot_pixels(events, quantile=0.75).tolist() == [[5, 4]]
        kept = hot_pixels(events, rate=25)
        assert kept.equals(drop_pixels(events, [(5, 4), (2, 0)]))
        assert len(kept) == 4


@every_path
def test_no_pixel_is_hot_where_nothing_is_known_of_rates(path):
    with computed_by(path):
        for events in (stream([]), stream([(7, 1, 1, 1)] * 5)):
            assert hot_pixels(events, rate=0.0).equals(events)
            assert find_hot_pixels(events, sigma=0).shape == (0, 2)


@settings(deadline=None)
@given(streams, st.integers(0, 2**32 - 1), paths)
def test_dropped_pixels_take_their_events_and_no_other(events, seed, path):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, events.sensor_size, size=(rng.integers(6), 2))
    dead = set(map(tuple, pixels.tolist()))
    with computed_by(path):
        assert rows(drop_pixels(events, pixels)) == [row for row in rows(events) if row[1:3] not in dead]


SENSORS = [(1, 1), (33, 7), (70, 90), (1024, 1024), (1025, 3), (3, 2500), (1280, 720), (20_000, 2)]


@pytest.mark.parametrize("size", SENSORS)
@pytest.mark.parametrize("crowd", [0.0, 0.01, 0.3])
def test_dropped_pixels_are_told_on_any_sensor_however_many_events_they_have(size, crowd):
    rng = np.random.default_rng(size[0])
    n, k = 5000, min(4, size[0] * size[1])
    for _ in range(3):
        pixel = rng.choice(size[0] * size[1], k, replace=False)  # rows or columns that begin and end a sensor, too
        pixel[0] = rng.choice([0, size[0] - 1, size[0] * size[1] - 1])
        drawn_pixels = rng.integers(0, size[0] * size[1], n)
        place = np.where(rng.random(n) < crowd, rng.choice(pixel, n), drawn_pixels)
        events = Events.from_arrays(np.arange(n), place % size[0], place // size[0], np.arange(n) % 2, size)
        mask = ~np.isin(place, pixel)
        for path in PATHS:
            with computed_by(path):
                kept = drop_pixels(events, np.stack([pixel % size[0], pixel // size[0]], 1))
                assert kept.t.tolist() == np.flatnonzero(mask).tolist()
                assert kept.equals(events[mask])


@pytest.mark.parametrize("most", [255, 256, 257, 511, 512, 70_000])
def test_a_pixel_counts_as_far_as_it_has_events(most):
    x = np.repeat([0, 2], [most, 3])
    events = Events.from_arrays(np.arange(len(x)), x, np.ones_like(x), np.zeros_like(x), (3, 2))
    for path in PATHS:
        with computed_by(path):
            count = event_counts(events)
            assert count.tolist() == [[0, 0, 0], [most, 0, 3]]
            assert count.dtype == np.int64


@settings(deadline=None)
@given(streams, paths)
def test_a_filter_keeps_events_in_order_and_changes_nothing_it_was_given(events, path):
    before = rows(events)
    with computed_by(path):
        for kept in (denoise(events, 0.02), refractory(events, 0.02), decimate(events, 2), hot_pixels(events, sigma=1)):
            remaining = iter(before)
            assert all(row in remaining for row in rows(kept))
            assert kept.is_sorted
            assert kept.sensor_size == events.sensor_size
            assert [kept.t.dtype, kept.x.dtype, kept.y.dtype, kept.p.dtype] == [np.int64, np.int16, np.int16, np.int8]
    assert rows(events) == before


@every_path
def test_events_with_gaps_in_memory_are_filtered_as_others(path):
    events = drawn(200)
    packed = Events.from_arrays(*(getattr(events, name)[::3].copy() for name in "txyp"), events.sensor_size)
    with computed_by(path):
        for function, parameter in ((denoise, 0.05), (refractory, 0.05), (decimate, 2)):
            assert function(events[::3], parameter).equals(function(packed, parameter))


@every_path
def test_events_whose_times_fall_are_refused_with_the_way_out(path):
    falling = stream([(5, 1, 1, 1), (3, 2, 1, 1)])
    with computed_by(path):
        for function in (denoise, refractory, merge_coinciding):
            with pytest.raises(DataError, match=r"expected events in order of time.*use events.sorted\(\)"):
                function(falling, 1.0)
        assert rows(denoise(falling.sorted(), 1.0)) == [(5, 1, 1, 1)]
        assert not decimate(falling, 1).is_sorted
        assert decimate(stream([(5, 1, 1, 1), (3, 2, 1, 1), (4, 2, 1, 1)]), 2).is_sorted


def test_times_too_far_apart_are_refused():
    with pytest.raises(DataError, match=r"within 2\*\*62 us"):
        denoise(stream([(-(2**62), 1, 1, 1), (2**62, 1, 1, 1)]), 1.0)


@pytest.mark.parametrize("path", [path for path in PATHS if path != "numpy"])
def test_an_event_without_a_pixel_is_refused_before_it_is_looked_up(path):
    good = drawn(3000, (640, 480))
    for name, wrong in (("x", 640), ("x", -1), ("y", 480), ("y", -32768)):
        array = np.array(getattr(good, name))
        array[2500] = wrong
        bad = good.with_arrays(**{name: array})
        with computed_by(path):
            for call in (
                lambda e: denoise(e, 1.0),
                lambda e: refractory(e, 1.0),
                lambda e: decimate(e, 2),
                lambda e: hot_pixels(e, sigma=1),
                lambda e: drop_pixels(e, [(0, 0)]),
            ):
                with pytest.raises(DataError, match="an event has no pixel of the sensor of 640 x 480"):
                    call(bad)


@pytest.mark.parametrize("path", [path for path in PATHS if path != "numpy"])
def test_arrays_that_are_not_what_events_promise_are_refused_before_they_are_read(path):
    good = drawn(3000)
    wrong = {"x": good.x[:10], "y": good.y.astype(np.int8), "p": good.p[None], "t": good.t.astype(np.int32)}
    calls = [lambda e: denoise(e, 1.0), event_counts, lambda e: hot_pixels(e, sigma=1)]
    only = {"p": lambda e: flip_polarity(e, 0.5, np.random.default_rng(0)), "t": lambda e: time_skew(e, 2.0)}
    with computed_by(path):
        for name, array in wrong.items():
            for call in [*calls, *([only[name]] if name in only else [])]:
                with pytest.raises(DataError, match=f"Events.{name} must be 3000 numbers of"):
                    call(good.with_arrays(**{name: array}))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda e: denoise(e, -1), "background_activity.time must be a time from 0 to 1e15 in ms, got -1"),
        (lambda e: denoise(e, float("nan")), "background_activity.time must be a time"),
        (lambda e: denoise(e, True), "background_activity.time"),
        (lambda e: denoise(e, 1, itself=1), "background_activity.itself must be True or False, got 1"),
        (lambda e: refractory(e, float("inf")), "refractory.time must be a time"),
        (lambda e: refractory(e, 1, restart="never"), "refractory.restart must be one of 'kept', 'all', got 'never'"),
        (lambda e: decimate(e, 0), "decimate.n must be an integer from 1"),
        (lambda e: decimate(e, 2.0), "decimate.n must be an integer"),
        (lambda e: decimate(e, 2**32), "decimate.n must be an integer"),
        (lambda e: hot_pixels(e), r"expected one of rate \(Hz\), sigma and quantile"),
        (lambda e: hot_pixels(e, rate=1, sigma=1), "expected one of"),
        (lambda e: hot_pixels(e, quantile=1.5), r"hot_pixels.quantile must be a number in 0..1, got 1.5"),
        (lambda e: drop_pixels(e, [(1, 8)]), r"must lie on the sensor of 8 x 6, got \(1, 8\)"),
        (lambda e: drop_pixels(e, [(-1, 0)]), r"got \(-1, 0\)"),
        (lambda e: drop_pixels(e, [1, 2]), r"must be pairs \(x, y\)"),
        (lambda e: drop_pixels(e, [(1.0, 2.0)]), r"must be pairs \(x, y\)"),
        (lambda e: refractory(e, 10**400), "refractory.time must be a time from 0"),
        (lambda e: refractory(e, np.complex64(1)), "refractory.time must be a time from 0"),
        (lambda e: refractory(e, 1, restart=np.array(["kept", "all"])), "refractory.restart must be one of"),
        (
            lambda e: refractory(e.structured(), 1),
            "refractory expected Events, got ndarray; Events.from_structured",
        ),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_expected(call, text):
    with pytest.raises(ParameterError, match=text):
        call(drawn(10))


def test_ragged_coordinates_are_refused():
    with pytest.raises(ShapeError, match=r"drop_pixels.coordinates must be a regular array"):
        drop_pixels(drawn(10), [(1, 2), (3,)])


@pytest.mark.parametrize("path", [path for path in PATHS if path != "numpy"])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 1023, 1024, 1025, 1040, 5000])
def test_what_stays_is_moved_wholly_and_nothing_is_written_beyond_it(path, n):
    library = load(include("event_transforms.hpp"), path)
    events = drawn(n, (640, 480), 10**6, seed=n)
    for share in (0.0, 0.03, 0.5, 0.97, 1.0):
        mask = np.random.default_rng(n).random(n) < share
        kept = [np.full(n + 32, -7, dtype) for dtype in DTYPES.values()]
        found = np.zeros(1, np.int64)
        library.call("select_events", *contiguous(events), n, 640, 480, *kept, found, mask.view(np.uint8))
        assert found[0] == mask.sum()
        for name, array in zip("txyp", kept, strict=True):
            assert (array[: found[0]] == getattr(events, name)[mask]).all()
            assert (array[n:] == -7).all()

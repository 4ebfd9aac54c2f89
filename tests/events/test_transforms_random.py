"""Transforms that draw: their laws against scipy's distributions, the same on every path, and by seed."""

from unittest.mock import patch

import numpy as np
import pytest
from event_streams import PATHS, computed_by, drawn, rows, stream, streams
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spikeloom.errors import DataError, ParameterError
from spikeloom.events import (
    EVENT_TRANSFORMS,
    Compose,
    DropByArea,
    DropEvents,
    Events,
    RandomApply,
    crop,
    drop_by_area,
    drop_by_time,
    drop_events,
    drop_pixels_at_random,
    event_counts,
    event_drop,
    flip_polarity,
    flip_x,
    random_crop,
    spatial_jitter,
    time_jitter,
    uniform_noise,
)
from spikeloom.events.transforms import times
from spikeloom.events.transforms.random_numbers import normal_shifts, random_bits

every_path = pytest.mark.parametrize("path", PATHS)
paths = st.sampled_from(PATHS)
seeds = st.integers(0, 2**32 - 1)

RANDOM = [
    lambda e, g: spatial_jitter(e, 1.3, g),
    lambda e, g: spatial_jitter(e, (0.4, 3.0), g, outside="clip"),
    lambda e, g: time_jitter(e, 0.02, g),
    lambda e, g: time_jitter(e, 9.0, g, negative="drop"),
    lambda e, g: time_jitter(e, 9.0, g, negative="clip"),
    lambda e, g: flip_polarity(e, 0.3, g),
    lambda e, g: drop_events(e, 0.3, g),
    lambda e, g: drop_events(e, (0.1, 0.9), g),
    lambda e, g: drop_by_time(e, 0.4, g),
    lambda e, g: drop_by_area(e, (0.2, 0.6), g),
    lambda e, g: drop_pixels_at_random(e, 0.3, g),
    lambda e, g: event_drop(e, g),
    lambda e, g: random_crop(e, 1, g),
    lambda e, g: uniform_noise(e, 30, g),
    lambda e, g: uniform_noise(e, rate=3.0, generator=g),
]


def rng(seed=0):
    return np.random.default_rng(seed)


def still(n, sensor_size=(2**15, 2**15), t=10**9):
    """n events of one time at the middle of a sensor."""
    middle = [np.full(n, side // 2) for side in sensor_size]
    return Events.from_arrays(np.full(n, t), *middle, np.ones(n, int), sensor_size)


def piecewise(chunk):
    """Jitter that draws so many events at once, at the least."""
    return patch.object(times, "_CHUNK", chunk)


@settings(deadline=None)
@given(
    events=streams,
    std=st.sampled_from([0.0, 0.001, 0.01, 0.3, 20.0, 1e7]),
    negative=st.sampled_from(["keep", "drop", "clip"]),
    chunk=st.integers(1, 200),
    path=paths,
)
def test_jitter_in_pieces_is_a_stable_sort_of_the_jittered_times(events, std, negative, chunk, path):
    with computed_by("numpy"):
        expected = time_jitter(events, std, rng(), negative=negative)
    with computed_by(path), piecewise(chunk):
        found = time_jitter(events, std, rng(), negative=negative)
    assert rows(found) == rows(expected)
    assert found.is_sorted


@every_path
def test_jitter_in_pieces_meets_bursts_gaps_and_one_time_for_all(path):
    random = np.random.default_rng(3)
    bursts = np.concatenate([random.integers(0, 300, 3000), [2**40], random.integers(0, 10**9, 50)])
    crowd, even = np.sort(random.integers(0, 30, 3000)), np.sort(random.integers(0, 20_000, 700))
    crowd[-50:] = 10**8 + np.arange(50)
    for t in (np.sort(bursts), np.full(1000, 7), 10**6 * np.arange(1000), crowd, even):
        events = stream([(int(time), k % 8, k // 8 % 6, k % 2) for k, time in enumerate(t)])
        for std, chunk in ((0.05, 64), (0.0, 10), (0.02, 3), (9.0, 100), (3.0, 500), (3.0, 2**15)):
            with computed_by("numpy"):
                expected = time_jitter(events, std, rng())
            with computed_by(path), piecewise(chunk):
                assert time_jitter(events, std, rng()).equals(expected)


@every_path
def test_jitter_keeps_a_polarity_that_is_no_bit(path):
    odd = stream([(t, t % 8, 0, 1) for t in range(100)]).with_arrays(p=np.full(100, 5, np.int8))
    with computed_by(path):
        assert (time_jitter(odd, 0.01, rng()).p == 5).all()


def test_the_random_bits_are_those_of_splitmix64():
    # Printed for the seed 1234567 by the generator's reference implementation (S. Vigna, splitmix64.c)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert random_bits(1234567, 4).tolist() == expected


@pytest.mark.parametrize("std", [0.0, 0.05, 0.5, 1.0, 7.3, 400.0])
def test_shifts_have_the_probabilities_of_a_rounded_normal_distribution(std):
    shifts = normal_shifts(std)
    probability = shifts.cut / 2.0**32
    np.add.at(probability, shifts.other, 1 - shifts.cut / 2.0**32)
    k = np.arange(probability.size) - probability.size // 2
    with np.errstate(divide="ignore"):
        expected = stats.norm.cdf((k + 0.5) / std) - stats.norm.cdf((k - 0.5) / std) if std else np.ones(1)
    np.testing.assert_allclose(probability / probability.size, expected, atol=2e-9)


@settings(deadline=None)
@given(streams, st.sampled_from(RANDOM), seeds, paths)
def test_a_seed_decides_what_is_drawn_on_every_path_and_nothing_given_is_changed(events, transform, seed, path):
    before = rows(events)
    with computed_by("numpy"):
        expected = transform(events, rng(seed))
    with computed_by(path):
        made = transform(events, rng(seed))
    assert made.equals(expected)
    assert made.is_sorted
    assert rows(events) == before


@every_path
def test_jittered_pixels_are_normally_distributed_around_where_they_were(path):
    with computed_by(path):
        moved = spatial_jitter(still(200_000), (1.5, 6.0), rng())
    dx, dy = moved.x - 2.0**14, moved.y - 2.0**14
    assert len(moved) == 200_000
    for distance, std in ((dx, 1.5), (dy, 6.0)):
        assert abs(distance.mean()) < 4 * std / 200_000**0.5
        edges = np.arange(-round(3 * std), round(3 * std) + 1) - 0.5
        between = np.diff(stats.norm(0, std).cdf(edges))
        expected = np.array([stats.norm(0, std).cdf(edges[0]), *between, stats.norm(0, std).sf(edges[-1])])
        found = np.histogram(distance, [-np.inf, *edges, np.inf])[0]
        assert stats.chisquare(found, expected * found.sum()).pvalue > 1e-4
    assert abs(np.corrcoef(dx, dy)[0, 1]) < 0.01


@every_path
def test_events_jittered_off_the_sensor_are_dropped_or_clipped_and_never_wrap(path):
    corner = stream([(k, 0, 5, 1) for k in range(1000)])
    with computed_by(path):
        dropped, clipped = spatial_jitter(corner, 1.0, rng()), spatial_jitter(corner, 1.0, rng(), outside="clip")
        assert spatial_jitter(corner, 0.0, rng()).equals(corner)
    for events in (dropped, clipped):
        assert events.x.min() == 0
        assert events.x.max() < 8
        assert events.y.max() == 5
    # To the left go those below -1/2: 31 %, and as many below
    assert 0.42 < len(dropped) / 1000 < 0.53
    assert len(clipped) == 1000


@every_path
def test_jittered_times_are_normally_distributed_around_what_they_were(path):
    for std in (0.5, 100.0):
        with computed_by(path):
            delay = (time_jitter(still(100_000, (1, 1)), std, rng()).t - 10**9) / 1000
        assert stats.kstest(delay, stats.norm(0, std).cdf).pvalue > 1e-4
        assert abs(delay.mean()) < 4 * std / 100_000**0.5


@every_path
def test_jittered_streams_are_sorted_and_keep_pixel_and_polarity_together(path):
    events = drawn(5000, (90, 60), span=10**6)
    with computed_by(path):
        moved = time_jitter(events, 0.8, rng())
    assert moved.is_sorted
    assert (np.diff(moved.t) >= 0).all()
    assert sorted(zip(moved.x, moved.y, moved.p, strict=True)) == sorted(zip(events.x, events.y, events.p, strict=True))


@every_path
def test_events_jittered_before_time_zero_are_kept_dropped_or_clipped(path):
    events = stream([(0, 0, 0, 1)] * 1000)
    with computed_by(path):
        made = {how: time_jitter(events, 1.0, rng(), negative=how).t for how in ("keep", "drop", "clip")}
    assert made["keep"].min() < -2000
    assert made["drop"].tolist() == made["keep"][made["keep"] >= 0].tolist()
    assert made["clip"].tolist() == np.maximum(made["keep"], 0).tolist()


@every_path
def test_each_polarity_flips_by_itself(path):
    with computed_by(path):
        flipped = flip_polarity(still(10_000, (1, 1)), 0.25, rng())
    assert stats.binomtest(int((flipped.p == 0).sum()), 10_000, 0.25).pvalue > 1e-4


@every_path
def test_each_event_is_dropped_by_itself(path):
    events = drawn(10_000)
    with computed_by(path):
        kept = drop_events(events, 0.7, rng())
        assert drop_events(events, 0.0, rng()).equals(events)
        assert len(drop_events(events, 1.0, rng())) == 0
        shares = [1 - len(drop_events(events, (0.2, 0.4), rng(seed))) / 10_000 for seed in range(40)]
    assert stats.binomtest(len(kept), 10_000, 0.3).pvalue > 1e-4
    assert 0.18 < min(shares) < 0.25
    assert 0.35 < max(shares) < 0.42


def test_a_stretch_of_time_is_dropped_wholly_and_nothing_else():
    events = stream([(t, 0, 0, 1) for t in range(1001)])
    for seed in range(20):
        for stream_of in (events, events[::-1]):
            left = drop_by_time(stream_of, 0.3, rng(seed))
            gone = np.setdiff1d(events.t, left.t)
            assert gone.tolist() == list(range(gone[0], gone[-1] + 1))
            assert 300 <= gone.size <= 301
    assert len(drop_by_time(events, 1.0, rng())) == 0
    assert drop_by_time(events, 0.0, rng()).equals(events)


def test_the_area_that_is_dropped_has_sides_in_the_range_that_was_asked_for():
    everywhere = stream([(0, x, y, 1) for y in range(50) for x in range(100)], (100, 50))
    ratios = []
    for seed in range(60):
        gone = event_counts(drop_by_area(everywhere, (0.1, 0.3), rng(seed))) == 0
        width, height = gone.any(0).sum(), gone.any(1).sum()
        assert gone.sum() == width * height  # a box
        assert abs(width / 100 - height / 50) <= 0.015
        ratios.append(width / 100)
    assert 0.1 <= min(ratios) < 0.13
    assert 0.27 < max(ratios) <= 0.3
    assert len(drop_by_area(everywhere, 1.0, rng())) == 0


def test_the_area_that_is_dropped_reaches_every_edge_of_the_sensor():
    everywhere = stream([(0, x, 0, 1) for x in range(4)], (4, 1))
    hit = {tuple(drop_by_area(everywhere, 0.5, rng(seed)).x.tolist()) for seed in range(60)}
    # Half of a side of one pixel rounds to none, so nothing goes
    assert hit == {(0, 1, 2, 3)}
    wide = stream([(0, x, y, 1) for x in range(4) for y in range(2)], (4, 2))
    gone = {tuple(np.argwhere(event_counts(drop_by_area(wide, 0.5, rng(s))) == 0)[0]) for s in range(200)}
    assert gone == {(y, x) for y in (0, 1) for x in (0, 1, 2)}


def test_dead_pixels_are_dead_for_all_their_events():
    events = drawn(40_000, (64, 48))
    counts = event_counts(drop_pixels_at_random(events, 0.2, rng()))
    whole = event_counts(events)
    assert ((counts == whole) | (counts == 0)).all()
    assert stats.binomtest(int(((counts == 0) & (whole > 0)).sum()), int((whole > 0).sum()), 0.2).pvalue > 1e-4


def test_a_random_crop_is_a_crop_at_every_place_there_is():
    events = drawn(300)
    places = [crop(events, (left, top, 6, 5)) for top in (0, 1) for left in (0, 1, 2)]
    found = {
        next(k for k, place in enumerate(places) if random_crop(events, (6, 5), rng(s)).equals(place))
        for s in range(60)
    }
    assert found == set(range(6))
    with pytest.raises(ParameterError, match=r"at most the sensor's 8 x 6, got \(9, 9\)"):
        random_crop(events, 9, rng())


@every_path
def test_noise_is_uniform_in_time_pixel_and_polarity_and_leaves_the_events_in_their_order(path):
    events = stream([(0, 3, 3, 1), (500, 3, 3, 1), (500, 3, 3, 0), (1000, 3, 3, 1)])
    with computed_by(path):
        noisy = uniform_noise(events, 48_000, rng())
    assert len(noisy) == 48_004
    assert (noisy.t.min(), noisy.t.max()) == (0, 1000)
    remaining = iter(rows(noisy))
    assert all(row in remaining for row in rows(events))
    assert stats.chisquare(event_counts(noisy).ravel()).pvalue > 1e-4
    assert stats.binomtest(int(noisy.p.sum()), len(noisy), 0.5).pvalue > 1e-4
    assert stats.chisquare(np.bincount(noisy.t, minlength=1001)).pvalue > 1e-4


def test_noise_by_a_rate_has_that_many_events_a_second_and_pixel():
    events = stream([(0, 0, 0, 1), (2_000_000, 0, 0, 1)])
    added = [len(uniform_noise(events, rate=5.0, generator=rng(seed))) - 2 for seed in range(20)]
    assert abs(np.mean(added) - 5.0 * 48 * 2) < 4 * (480 / 20) ** 0.5
    assert uniform_noise(stream([]), 10, rng()).equals(stream([]))
    with pytest.raises(ParameterError, match="one of n"):
        uniform_noise(events, generator=rng())
    with pytest.raises(DataError, match=r"events.sorted\(\)"):
        uniform_noise(events[::-1], 5, rng())


def test_eventdrop_does_each_of_four_things():
    events = drawn(2000, (64, 48))
    kept = [event_drop(events, rng(seed)) for seed in range(60)]
    assert 5 < sum(made.equals(events) for made in kept) < 28
    assert min(map(len, kept)) < 600


def test_a_missing_generator_is_an_error_that_says_so():
    for call in (
        lambda: drop_events(drawn(3), 0.5, None),
        lambda: uniform_noise(drawn(3), 5),
        lambda: flip_polarity(drawn(3), 0.5),
        lambda: spatial_jitter(drawn(3), 1.0, 7),
        lambda: DropEvents(0.5)(drawn(3)),
        lambda: Compose([DropEvents(0.5)])(drawn(3)),
        lambda: RandomApply(EVENT_TRANSFORMS["flip_x"]())(drawn(3)),
    ):
        with pytest.raises(ParameterError, match=r"is random and needs a generator such as numpy\.random\.default_rng"):
            call()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: drop_events(drawn(3), 1.5, rng()), "drop_events.p must be a number in 0..1, or a range"),
        (lambda: drop_events(drawn(3), (0.6, 0.5), rng()), "low <= high"),
        (lambda: drop_by_area(drawn(3), (0.1, 0.2, 0.3), rng()), "drop_by_area.ratio"),
        (lambda: DropByArea(-0.1), "drop_by_area.ratio must be"),
        (lambda: spatial_jitter(drawn(3), -1, rng()), "spatial_jitter.std must be a standard deviation"),
        (lambda: spatial_jitter(drawn(3), 1, rng(), outside="wrap"), "one of 'drop', 'clip', got 'wrap'"),
        (lambda: time_jitter(drawn(3), float("nan"), rng()), "time_jitter.std must be a standard deviation"),
        (lambda: uniform_noise(drawn(3), -1, rng()), "uniform_noise.n must be an integer from 0"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_expected(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


def test_times_too_great_to_be_moved_are_refused():
    far = stream([(2**62, 0, 0, 1)])
    with pytest.raises(DataError, match="use align_time first"):
        time_jitter(far, 1.0, rng())


def test_a_transform_is_applied_with_the_probability_that_was_asked_for():
    events = drawn(50)
    applied = RandomApply(EVENT_TRANSFORMS["flip_x"](), p=0.3)
    hits = sum(applied(events, rng(seed)).equals(flip_x(events)) for seed in range(300))
    assert stats.binomtest(hits, 300, 0.3).pvalue > 1e-4

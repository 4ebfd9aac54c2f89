"""Relative latency, regular spikes, spike times and windows of noise: closed forms, and what SPAIC itself gives.

The steps of SPAIC 0.6.3 were measured on one sample; of a batch it mixes the samples, here each stands for itself.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import DataError, ParameterError
from spikeloom.spikes import latency, moved, poisson, relative_latency, single_spikes, steps_between, uniform

X = np.array([[0.0, 0.1, 0.35, 0.5, 0.8, 1.0]])


def steps_of(spikes, sample=0):
    """The steps in which each neuron of a sample fires."""
    raster = spikes.raster()[:, sample].reshape(spikes.n_steps, -1)
    return [np.flatnonzero(train).tolist() for train in raster.T]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[], [], [16], [11], [3], [0]]),
        ({"amp": 3.0, "scale": 0.8}, [[], [27], [11], [6], [1], [0]]),
    ],
)
def test_relative_latency_gives_the_steps_measured_on_spaic(options, expected):
    assert steps_of(relative_latency(X, 50, 0.1, **options)) == expected


def test_relative_latency_of_a_sample_does_not_depend_on_the_others():
    batch = np.concatenate([X, 3 * X[:, ::-1], np.ones((1, 6))])
    together = relative_latency(batch, 50, 0.1)
    for k in range(3):
        assert steps_of(together, k) == steps_of(relative_latency(batch[k : k + 1], 50, 0.1))
    assert steps_of(together, 2) == [[0]] * 6  # equal values fire at once


def test_a_bias_makes_all_latencies_later_and_what_leaves_the_window_is_left_out():
    plain = steps_of(relative_latency(X, 51, 0.1, scale=1.0))
    later = steps_of(relative_latency(X, 51, 0.1, scale=1.0, bias=0.2))
    assert [[s[0] + 10] if s else [] for s in plain] == later
    assert steps_of(relative_latency(X, 51, 0.1, scale=1.0, bias=0.9))[:4] == [[]] * 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [50000, 46, 34, 27, 12, 3]),
        ({"max_time": 2.0, "amp": 0.5, "bias": 0.2}, [50000, 10, 8, 6, 4, 2]),
    ],
)
def test_regular_spikes_have_the_periods_measured_on_spaic(options, expected):
    found = steps_of(uniform(X, 50, 0.1, **options))
    assert found == [list(range(period - 1, 50, period)) for period in expected]


@settings(max_examples=50)
@given(st.lists(st.floats(0, 10), min_size=2, max_size=6), st.integers(1, 60), st.floats(0.01, 2.0))
def test_regular_spikes_stand_at_whole_multiples_of_a_period_that_falls_with_intensity(x, n_steps, bias):
    x = np.array([x])
    found = steps_of(uniform(x, n_steps, 0.5, bias=bias))
    periods = [s[0] + 1 if s else n_steps + 1 for s in found]
    for train, period in zip(found, periods, strict=True):
        assert train == list(range(period - 1, n_steps, period))
    order = np.argsort(-x[0])
    assert np.all(np.diff(np.array(periods)[order]) >= 0)
    assert all(not s for s, value in zip(found, x[0], strict=True) if value == x.min())


def test_a_cut_off_silences_neurons_below_a_twentieth_of_their_sample():
    x = np.array([[0.05, 0.051, 1.0], [0.02, 0.026, 0.5]])
    spikes = latency(x, 11, 1.0, cut_off=True)
    assert [steps_of(spikes, k) for k in (0, 1)] == [[[], [9], [0]], [[], [9], [5]]]


def test_a_spike_stands_at_its_time():
    assert steps_of(single_spikes([[0.0, 0.3, 0.34, 4.3, 4.99]], 50, 0.1)) == [[0], [3], [3], [43], [49]]
    assert steps_of(single_spikes(np.float32([[0.3, 4.3]]), 50, 0.1)) == [[3], [43]]
    with pytest.raises(DataError, match=r"sstb\.x\[0, 1\] must be a time from 0 to below 5 ms, got 5.0"):
        single_spikes([[0.0, 5.0]], 50, 0.1)
    with pytest.raises(DataError, match=r"sstb\.x\[0, 0\] must be a time from 0"):
        single_spikes([[-0.1]], 50, 0.1)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0.0, None, (0, 20)), (0.5, 1.0, (5, 10)), (0.45, 0.95, (5, 10)), (3.0, None, (20, 20)), (0.0, 9.0, (0, 20))],
)
def test_a_window_of_time_holds_the_steps_that_begin_in_it(start, end, expected):
    assert steps_between("x", start, end, 20, 0.1) == expected


@pytest.mark.parametrize(
    ("first", "expected"), [(0, (5, 9)), (3, (2, 7)), (5, (0, 5)), (7, (0, 3)), (10, (0, 0)), (25, (0, 0))]
)
def test_a_window_that_continues_another_counts_its_times_from_the_beginning_of_that(first, expected):
    assert steps_between("x", 0.5, 1.0, 9, 0.1, first) == expected
    ones = np.full((2, 3), 10.0)
    fired = poisson(ones, 9, 0.1, np.random.default_rng(0), first, start_time=0.5, end_time=1.0)
    assert np.flatnonzero(fired.raster().all((1, 2))).tolist() == list(range(*expected))
    assert fired.n_spikes == 6 * (expected[1] - expected[0])


def test_noise_in_a_window_keeps_its_law_there_and_is_silent_elsewhere():
    """4 sigma: a false alarm has a chance below 1e-4; the seed is fixed."""
    spikes = poisson(np.full((40, 50), 3.0), 100, 0.1, np.random.default_rng(7), start_time=2.0, end_time=6.0)
    counts = spikes.raster().sum((1, 2), dtype=np.int64)
    assert not counts[:20].any()
    assert not counts[60:].any()
    n, p = 40 * 2000, 0.3
    assert abs(counts.sum() - n * p) <= 4 * np.sqrt(n * p * (1 - p))
    assert counts[20:60].min() > 0
    assert (spikes.n_steps, spikes.duration) == (100, 10.0)


def test_spikes_moved_in_time_stay_in_order():
    spikes = single_spikes([[0.0, 0.2], [0.1, 0.0]], 3, 0.1)
    later = moved(spikes, 4, 10)
    assert [steps_of(later, k) for k in (0, 1)] == [[[4], [6]], [[5], [4]]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: relative_latency(-X, 50, 0.1), DataError, "a number of at least 0"),
        (lambda: relative_latency(X, 50, 0.1, amp=0.0), ParameterError, "amp > 0 and 0 <= bias < 1"),
        (lambda: relative_latency(X, 50, 0.1, bias=1.0), ParameterError, "amp > 0 and 0 <= bias < 1"),
        (lambda: relative_latency(X, 50, 0.1, scale=1.5), ParameterError, r"relative_latency\.scale must lie"),
        (lambda: uniform(X, 50, 0.1, bias=0.0), ParameterError, "max_time, amp and bias must be positive numbers"),
        (lambda: uniform(X, 50, 0.1, max_time=-1.0), ParameterError, "must be positive numbers, got -1.0"),
        (lambda: uniform(X, 0, 0.1), ParameterError, r"uniform\.n_steps must be an integer"),
        (lambda: steps_between("e", -1.0, None, 5, 0.1), ParameterError, "e: expected 0 <= start_time < end_time"),
        (lambda: steps_between("e", 2.0, 2.0, 5, 0.1), ParameterError, "got 2.0 and 2.0"),
        (lambda: steps_between("e", 2.0, 3.0, 5, 0.1, -1), ParameterError, "e: first must be an integer of at least 0"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()

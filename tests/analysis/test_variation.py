"""Intervals and their variation against closed forms and hand counts; Elephant's values: test_oracles.py."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.analysis import measures as m
from spikeloom.errors import ParameterError
from spikeloom.spikes import Spikes

FUNCTIONS = [m.cv, m.cv2, m.local_variation, m.revised_local_variation]


def train(*times, duration=1000.0):
    """One neuron with spikes at these times in ms."""
    return Spikes.from_times(np.array(times, float), np.zeros(len(times), int), 1, duration, n_samples=1)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_clock_does_not_vary(function):
    on_grid = Spikes.from_steps(np.arange(0, 5000, 7), np.zeros(715, int), 1, 5000, 0.1)
    assert function(on_grid).values.tolist() == [0.0]
    assert function(train(*np.arange(1, 900, 7.3))).mean == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_poisson_process_varies_by_one(function):
    generator = np.random.default_rng(0)
    n = 40_000
    found = function(train(*np.cumsum(generator.exponential(200.0, n)), duration=1e9))
    # LvR adds 4 R / (I + I'), on average 4 * 5 / 200 * 3 E[(..)^2 / (..)], here about 0.1
    assert found.mean == pytest.approx(1.1 if function is m.revised_local_variation else 1, abs=0.03)


def test_a_gamma_process_of_order_k_has_cv_one_over_root_k_and_lv_three_over_2k_plus_1():
    steps = np.random.default_rng(1).gamma(4, 25.0, 40_000)
    spikes = train(*np.cumsum(steps), duration=1e8)
    assert m.cv(spikes).mean == pytest.approx(0.5, abs=0.01)
    assert m.local_variation(spikes).mean == pytest.approx(3 / 9, abs=0.01)


def test_local_variation_does_not_take_a_slow_change_of_the_rate_for_irregularity():
    # a clock that slows down from 10 to 100 ms
    spikes = train(*np.cumsum(np.linspace(10, 100, 2000)), duration=1e6)
    assert m.cv(spikes).mean > 0.4
    assert m.local_variation(spikes).mean < 1e-4
    assert m.cv2(spikes).mean < 1e-2


def test_variation_of_three_intervals_is_that_counted_by_hand():
    spikes = train(0, 10, 40, 60)
    # intervals 10, 30, 20: ratios 20 / 40 and 10 / 50
    assert m.cv(spikes).values[0] == pytest.approx(np.sqrt(200 / 3) / 20)
    assert m.cv2(spikes).values[0] == pytest.approx(2 * (0.5 + 0.2) / 2)
    assert m.local_variation(spikes).values[0] == pytest.approx(3 * (0.25 + 0.04) / 2)
    lvr = 3 * (0.25 * (1 + 4 * 2 / 40) + 0.04 * (1 + 4 * 2 / 50)) / 2
    assert m.revised_local_variation(spikes, refractory_ms=2).values[0] == pytest.approx(lvr)
    assert m.revised_local_variation(spikes, refractory_ms=0).mean == m.local_variation(spikes).mean


@pytest.mark.parametrize("function", FUNCTIONS)
def test_fewer_than_two_intervals_do_not_vary_at_all(function):
    for times in ([], [5.0], [5.0, 9.0]):
        found = function(train(*times))
        assert np.isnan(found.values[0])
        assert np.isnan(found.mean)
        assert found.n_trains == 0


@pytest.mark.parametrize("function", FUNCTIONS)
def test_spikes_at_one_time_have_no_variation(function):
    found = function(train(5, 5, 5))
    assert np.isnan(found.mean) if function is m.cv else found.mean == 0


def test_a_neuron_that_fires_in_one_sample_only_is_measured_there():
    spikes = Spikes.from_steps([1, 3, 9, 1, 3, 5, 2], [0] * 7, 2, 10, 1.0, samples=[0, 0, 0, 1, 1, 1, 2], n_samples=3)
    found = m.cv(spikes)
    # intervals 2, 6 and 2, 2
    assert found.values[0] == pytest.approx((0.5 + 0) / 2)
    assert np.isnan(found.values[1])
    assert (found.mean, found.n_trains) == (pytest.approx(0.25), 2)


@settings(max_examples=60)
@given(st.lists(st.floats(0, 900), max_size=30, unique=True), st.floats(0.1, 10))
def test_variation_does_not_depend_on_the_unit_of_time(times, factor):
    times = np.round(times, 3)
    one, other = train(*times), train(*(times * factor), duration=9001)
    for function in (m.cv, m.cv2, m.local_variation):
        assert function(other).mean == pytest.approx(function(one).mean, rel=1e-6, abs=1e-6, nan_ok=True)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.floats(0.3, 30), st.floats(1, 80))
def test_the_histogram_holds_every_interval_once(seed, bin_ms, max_ms):
    raster = np.random.default_rng(seed).random((80, 2, 3)) < 0.2
    spikes = Spikes.from_raster(raster.astype(np.int8), 0.7)
    values, found = m.inter_spike_intervals(spikes).values, m.isi_histogram(spikes, bin_ms, max_ms)
    assert found.counts.sum() + found.beyond == len(values) == found.n_intervals
    assert len(found.start_ms) == len(found.counts) == int(np.ceil(max_ms / bin_ms - 1e-9))
    assert found.counts.sum() == (values / bin_ms < len(found.counts) - 1e-9).sum()


def test_an_interval_on_an_edge_belongs_behind_it():
    # 3 steps of 0.1 ms are 0.30000000000000004 ms; 43 * 0.1 / 0.1 is 42.99999999999999
    spikes = Spikes.from_steps([0, 3, 6, 49], [0] * 4, 1, 60, 0.1)
    found = m.isi_histogram(spikes, 0.1, 4.4)
    assert np.flatnonzero(found.counts).tolist() == [3, 43]
    assert (found.counts[3], found.counts[43], found.beyond) == (2, 1, 0)
    assert m.isi_histogram(spikes, 0.1, 4.3).beyond == 1
    assert (found.mean_ms, found.std_ms) == (pytest.approx(4.9 / 3), pytest.approx(np.std([0.3, 0.3, 4.3])))


def test_values_of_graded_spikes_do_not_count():
    graded = Spikes.from_steps([1, 4, 9], [0] * 3, 1, 10, 1.0, values=[5, -3, 2])
    plain = Spikes.from_steps([1, 4, 9], [0] * 3, 1, 10, 1.0)
    assert m.cv(graded) == m.cv(plain)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: m.isi_histogram(s, 0, 10), "isi_histogram.bin_ms must be a positive time"),
        (lambda s: m.isi_histogram(s, 1, np.inf), "isi_histogram.max_ms must be a positive time"),
        (lambda s: m.isi_histogram(s, 1e-9, 1e3), "bins are too many"),
        (lambda s: m.revised_local_variation(s, -1), "refractory_ms must be a time in ms, zero or more"),
        (lambda s: m.cv(s, [(5, 3)]), "runs must have shape"),
        (lambda s: m.spike_counts(s, 2000), "at most the duration 1000 ms"),
        (lambda s: m.spike_counts(s, 1e-6), "numbers are more than .*; use wider bins"),
        (lambda s: m.population_rate(s, 1e-6), "bins of 1e-06 ms; use wider bins"),
        (lambda s: m.fano_factor(s, 700), "needs two windows"),
    ],
)
def test_what_makes_no_sense_is_refused(call, words):
    with pytest.raises(ParameterError, match=words):
        call(train(1, 2, 3))


def test_counts_are_those_counted_by_hand_and_leave_out_the_last_short_bin():
    spikes = Spikes.from_times([0, 9.9, 10, 24, 25], [0, 1, 1, 0, 0], 2, 29.0, samples=[0, 0, 0, 1, 1])
    found = m.spike_counts(spikes, 10)
    assert found.start_ms.tolist() == [0, 10]
    assert found.counts.tolist() == [[[1, 1], [0, 1]], [[0, 0], [0, 0]]]


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.floats(0.3, 20))
def test_counts_are_those_of_numpy(seed, bin_ms):
    raster = np.random.default_rng(seed).random((60, 2, 3)) < 0.3
    spikes = Spikes.from_raster(raster.astype(np.int8), 0.5)
    found = m.spike_counts(spikes, bin_ms)
    # the centre of a step tells its bin wherever a bin is no shorter than a step
    places = np.floor((np.arange(60) * 0.5) / bin_ms + 1e-9).astype(int)
    for k in range(len(found.start_ms)):
        assert found.counts[:, k].tolist() == raster[places == k].sum(0).tolist()


def test_the_fano_factor_of_a_clock_is_zero():
    assert m.fano_factor(Spikes.from_steps(np.arange(0, 10_000, 10), np.zeros(1000, int), 1, 10_000, 0.1), 5.0) == 0

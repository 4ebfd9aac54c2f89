"""Measures of spike trains against hand counts and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.analysis.measures import (
    fano_factor,
    inter_spike_intervals,
    mean_rate,
    neuron_rates,
    population_rate,
)
from spikeloom.errors import ParameterError
from spikeloom.spikes import Spikes


def trains(*rows, duration=100, dt=1.0):
    """Spikes with the given steps of each neuron, in one sample."""
    ids = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Spikes.from_steps(np.concatenate(rows).astype(int), ids, len(rows), duration, dt, n_samples=1)


def test_three_spikes_of_two_neurons_in_a_tenth_of_a_second_are_fifteen_hertz():
    spikes = trains([5, 50], [7])
    assert mean_rate(spikes) == pytest.approx(15)
    assert neuron_rates(spikes).tolist() == [[20, 10]]


def test_rates_do_not_depend_on_the_step():
    assert mean_rate(trains([50, 500], [70], duration=1000, dt=0.1)) == pytest.approx(15)


def test_graded_spikes_count_once():
    spikes = Spikes.from_steps([1, 2], [0, 0], 1, 10, 1.0, values=[5, -3])
    assert mean_rate(spikes) == pytest.approx(200)


def test_population_rate_counts_by_bins_and_the_short_last_bin_by_its_length():
    found = population_rate(trains([0, 39, 40], [99], duration=100), 40)
    assert found.start.tolist() == [0, 40, 80]
    assert found.width.tolist() == [40, 40, 20]
    # 2 spikes in 40 ms of 2 neurons: 25 Hz; then 1: 12.5 Hz; then 1 in 20 ms: 25 Hz
    assert found.rate.tolist() == [[25, 12.5, 25]]


def test_every_spike_on_an_edge_belongs_behind_it():
    spikes = Spikes.from_steps(np.arange(50), np.zeros(50, int), 1, 50, 0.1)
    found = population_rate(spikes, 0.1)
    assert len(found.start) == 50
    assert np.allclose(found.rate, 10_000)


@given(st.integers(0, 10**6), st.floats(0.3, 80))
def test_bins_of_any_width_hold_all_spikes(seed, bin_ms):
    raster = np.random.default_rng(seed).random((53, 2, 3)) < 0.3
    spikes = Spikes.from_raster(raster.astype(np.int8), 0.7)
    found = population_rate(spikes, bin_ms)
    assert (found.rate * found.width).sum() * 3 / 1000 == pytest.approx(spikes.n_spikes)


def test_intervals_are_those_counted_by_hand():
    found = inter_spike_intervals(trains([10, 12, 18], [5], [0, 10, 20, 30]))
    assert sorted(found.values) == [2, 6, 10, 10, 10]
    assert found.mean == pytest.approx(7.6)
    # neuron 0: std 2 of mean 4; neuron 2: regular; neuron 1 has none
    assert found.cv == pytest.approx((0.5 + 0) / 2)


def test_intervals_never_cross_samples_or_neurons():
    raster = np.zeros((10, 2, 2), np.int8)
    raster[3, 0, 0] = raster[7, 1, 0] = raster[9, 1, 1] = 1
    found = inter_spike_intervals(Spikes.from_raster(raster, 1.0))
    assert found.values.size == 0
    assert np.isnan(found.mean)
    assert np.isnan(found.cv)


def test_intervals_never_cross_runs():
    # one neuron, three runs: intervals 2, 4 in the first, none in the second, 3, 3 in the third
    found = inter_spike_intervals(trains([1, 3, 7, 12, 20, 23, 26], duration=30), [(0, 10), (10, 20), (20, 30)])
    assert found.values.tolist() == [2, 4, 3, 3]
    assert found.cv == pytest.approx((1 / 3 + 0) / 2)


def test_bins_begin_anew_with_each_run_and_leave_out_what_lies_between():
    found = population_rate(trains([0, 9, 10, 24, 29, 30], duration=40), 8, [(0, 10), (20, 30)])
    assert found.start.tolist() == [0, 8, 20, 28]
    assert found.width.tolist() == [8, 2, 8, 2]
    assert found.rate.tolist() == [[125, 500, 125, 500]]


@pytest.mark.parametrize("runs", [[], [(0, 5), (4, 9)], [(5, 5)], [1, 2], [(1, 2, 3)]])
def test_runs_must_follow_one_another(runs):
    with pytest.raises(ParameterError, match="runs must"):
        inter_spike_intervals(trains([1]), runs)


def test_a_poisson_process_has_cv_and_fano_factor_one():
    raster = np.random.default_rng(0).random((100_000, 1, 10)) < 0.01
    spikes = Spikes.from_raster(raster.astype(np.int8), 0.1)
    assert inter_spike_intervals(spikes).cv == pytest.approx(1, abs=0.03)
    assert fano_factor(spikes, 100) == pytest.approx(1, abs=0.15)


def test_the_fano_factor_is_that_counted_by_hand():
    # windows of 10: neuron 0 has counts 3, 1 (mean 2, variance 1); neuron 1 has 1, 1; neuron 2 never fires;
    # the spikes at 20 and later lie in no whole window
    spikes = trains([0, 1, 9, 10, 20, 21], [5, 19], [], duration=25)
    assert fano_factor(spikes, 10) == pytest.approx((0.5 + 0) / 2)


def test_the_fano_factor_over_samples_takes_the_whole_duration():
    raster = np.zeros((10, 2, 1), np.int8)
    raster[[1, 2, 3], 0] = raster[5, 1] = 1
    assert fano_factor(Spikes.from_raster(raster, 1.0)) == pytest.approx(0.5)
    assert np.isnan(fano_factor(Spikes.from_raster(np.zeros_like(raster), 1.0)))


@pytest.mark.parametrize("width", [0, -1, np.nan, "10", None])
def test_a_bin_must_be_a_positive_time(width):
    with pytest.raises(ParameterError, match="bin_ms must be a positive time"):
        population_rate(trains([1]), width)


def test_one_window_has_no_variance():
    with pytest.raises(ParameterError, match="two windows or samples"):
        fano_factor(trains([1]))

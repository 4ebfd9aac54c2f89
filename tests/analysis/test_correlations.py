"""Correlations of spike trains against closed forms, NumPy on dense counts, and hand counts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.analysis.measures import (
    CountCorrelationAccumulator,
    autocorrelation,
    correlations,
    cross_correlation,
    seeded_neurons,
    sparse_counts,
    spike_count_correlation,
    spike_count_covariance,
)
from spikeloom.analysis.windows import Window
from spikeloom.errors import ParameterError
from spikeloom.spikes import Spikes


def trains(*rows, duration=100, dt=1.0):
    """Spikes with the given steps of each neuron, in one sample."""
    ids = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Spikes.from_steps(np.concatenate(rows).astype(int), ids, len(rows), duration, dt, n_samples=1)


def random_raster(seed, n_steps, n_samples, n, density=0.1):
    return (np.random.default_rng(seed).random((n_steps, n_samples, n)) < density).astype(np.int8)


def dense_counts(raster, width):
    """The counts (bins of all samples, N) of a raster (T, B, N) in bins of `width` steps."""
    whole = raster[: len(raster) // width * width].astype(int)
    return np.moveaxis(whole.reshape(-1, width, *raster.shape[1:]).sum(axis=1), 1, 0).reshape(-1, raster.shape[2])


def pieces(spikes, cuts, n_steps):
    """One run as windows that are cut at the given steps."""
    raster = spikes.raster()
    for begin, end in pairwise([0, *cuts, n_steps]):
        part = Spikes.from_raster(raster[begin:end], spikes.dt)
        yield Window(begin, part, np.array([[0, end - begin]]), begin > 0)


def test_counts_by_hand():
    # in bins of 10: 1, 0, 2 and 0, 1, 1; the spike at 30 lies in no whole bin
    spikes = trains([3, 20, 29], [10, 25, 30], duration=35)
    assert np.allclose(spike_count_covariance(spikes, 10), [[1, 0], [0, 1 / 3]])
    assert np.allclose(spike_count_correlation(spikes, 10), np.eye(2))
    in_twenty = trains([3, 20, 29], [10, 25], duration=40)
    assert np.allclose(spike_count_covariance(in_twenty, 20), [[0.5, 0], [0, 0]])


def test_identical_trains_correlate_fully_and_alternating_ones_not_at_all_so():
    even, odd = np.arange(0, 100, 20), np.arange(10, 100, 20)
    found = spike_count_correlation(trains(even, even, odd), 10)
    assert np.array_equal(found, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])


def test_independent_poisson_trains_do_not_correlate():
    spikes = Spikes.from_raster(random_raster(0, 100_000, 1, 12, 0.01), 1.0)
    found = spike_count_correlation(spikes, 10)[np.triu_indices(12, 1)]
    # the standard error of 10,000 bins is 0.01
    assert np.abs(found).max() < 0.04
    assert found.std() == pytest.approx(0.01, abs=0.003)


def test_a_share_of_common_spikes_is_the_correlation():
    rng = np.random.default_rng(1)
    common, own = rng.random((200_000, 1, 1)) < 0.003, rng.random((200_000, 1, 2)) < 0.007
    spikes = Spikes.from_raster((common | own).astype(np.int8), 1.0)
    assert spike_count_correlation(spikes, 5)[0, 1] == pytest.approx(0.3, abs=0.02)


def test_what_does_not_vary_has_no_correlation():
    found = spike_count_correlation(trains([], np.arange(0, 100, 10), [3, 55]), 10)
    assert np.isnan(found[:2]).all()
    assert np.isnan(found[:, :2]).all()
    assert found[2, 2] == 1


@given(st.integers(1, 10**12), st.integers(1, 1000))
def test_rounding_makes_no_deviation_of_equal_counts(n_bins, count):
    total, squares = np.array(float(count) * n_bins), np.array(float(count) ** 2 * n_bins)
    assert sparse_counts.deviations(squares, total, n_bins) == 0


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 9), st.sampled_from([0.02, 0.3]))
@settings(max_examples=30, deadline=None)
def test_the_matrix_is_that_of_numpy_on_the_counts(seed, n_samples, width, density):
    raster = random_raster(seed, 53, n_samples, 4, density)
    counts = dense_counts(raster, width)
    spikes = Spikes.from_raster(raster, 0.5)
    assert np.allclose(spike_count_covariance(spikes, width * 0.5), np.cov(counts.T), atol=1e-12)
    expected = np.full((4, 4), np.nan)
    some = np.flatnonzero(counts.std(axis=0))
    expected[np.ix_(some, some)] = np.corrcoef(counts[:, some].T) if some.size else 0
    assert np.allclose(spike_count_correlation(spikes, width * 0.5), expected, atol=1e-12, equal_nan=True)


@given(st.integers(0, 10**6), st.sets(st.integers(1, 59), max_size=6), st.floats(0.3, 9))
@settings(max_examples=30, deadline=None)
def test_windows_cut_anywhere_give_the_matrix_of_the_whole(seed, cuts, bin_ms):
    spikes = Spikes.from_raster(random_raster(seed, 60, 2, 5), 0.5)
    found = CountCorrelationAccumulator(bin_ms, [4, 0, 2])
    for window in pieces(spikes, sorted(cuts), 60):
        found.add(window)
    assert np.allclose(found.result(), spike_count_correlation(spikes, bin_ms, [4, 0, 2]), equal_nan=True)
    assert np.allclose(found.covariance(), spike_count_covariance(spikes, bin_ms, [4, 0, 2]), equal_nan=True)


def test_the_result_may_be_asked_for_between_windows():
    spikes = Spikes.from_raster(random_raster(3, 60, 1, 5), 1.0)
    asked, silent = CountCorrelationAccumulator(5, range(5)), CountCorrelationAccumulator(5, range(5))
    for window in pieces(spikes, [12, 40], 60):
        asked.add(window)
        asked.result()
        silent.add(window)
    assert np.array_equal(asked.result(), silent.result(), equal_nan=True)


def test_bins_never_hold_two_runs():
    # one neuron fires at the end of the first run, the other at the beginning of the second: in one bin of 10 from 5 on
    spikes = trains([14, 2, 22], [15, 7, 27], duration=30)
    found = CountCorrelationAccumulator(10, [0, 1])
    found.add(Window(0, spikes, np.array([[0, 15], [15, 30]]), False))
    # whole bins: 0 .. 9 of the first run with 1, 1 spikes, 15 .. 24 of the second with 1, 1
    assert np.array_equal(found.covariance(), [[0, 0], [0, 0]])


def test_what_an_ended_run_leaves_is_not_taken_for_the_beginning_of_the_next_window():
    # the first neuron fires at 12 of the first run, which ends in that bin, and at 12 of the second, which goes on;
    # the second neuron at 15 of the second: whole bins 0, 0, 1, 0 of both
    found = CountCorrelationAccumulator(10, [0, 1])
    found.add(Window(0, trains([12, 27], [], duration=30), np.array([[0, 15], [15, 30]]), False))
    found.add(Window(30, trains([], [0], duration=15), np.array([[0, 15]]), True))
    assert np.allclose(found.covariance(), np.full((2, 2), 0.25))


def test_chosen_neurons_are_a_part_of_the_matrix():
    spikes = Spikes.from_raster(random_raster(4, 400, 1, 8), 1.0)
    whole = spike_count_correlation(spikes, 5)
    assert np.allclose(spike_count_correlation(spikes, 5, [6, 1, 3]), whole[np.ix_([6, 1, 3], [6, 1, 3])])


def test_times_give_what_steps_give():
    spikes = Spikes.from_raster(random_raster(5, 400, 2, 4), 0.5)
    times = Spikes.from_times(spikes.times_ms(), spikes.ids, 4, 200.0, samples=spikes.samples(), n_samples=2)
    assert np.array_equal(spike_count_correlation(spikes, 4), spike_count_correlation(times, 4))
    one, other = (cross_correlation(s, 0, 1, 2, 20) for s in (spikes, times))
    assert np.array_equal(one.counts, other.counts)


def test_a_spike_that_follows_has_a_positive_lag():
    found = cross_correlation(trains([4], [7], duration=11), 0, 1, 1, 5)
    assert found.lag_ms.tolist() == list(range(-5, 6))
    assert found.counts.tolist() == [[0] * 8 + [1, 0, 0]]


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_lags_are_those_of_numpy_on_the_counts(seed, n_samples, width, lags):
    raster = random_raster(seed, 50, n_samples, 3, 0.2)
    per_sample = [dense_counts(raster[:, b : b + 1], width) for b in range(n_samples)]
    middle = len(per_sample[0]) - 1
    expected = sum(np.correlate(c[:, 2], c[:, 0], "full")[middle - lags : middle + lags + 1] for c in per_sample)
    found = cross_correlation(Spikes.from_raster(raster, 1.0), [0, 2], [2, 0], width, lags * width)
    assert found.counts.tolist() == [expected.tolist(), expected[::-1].tolist()]


@pytest.mark.parametrize("density", [0.01, 0.4])
def test_the_compiled_products_are_those_of_scipy_dense_or_not(monkeypatch, density):
    spikes = Spikes.from_raster(random_raster(9, 500, 2, 6, density), 1.0)
    compiled = spike_count_covariance(spikes, 3)
    monkeypatch.setattr(sparse_counts, "compiled", lambda header: None)
    assert np.allclose(spike_count_covariance(spikes, 3), compiled, rtol=1e-12)
    monkeypatch.setattr(sparse_counts, "BLOCK", 20)
    monkeypatch.setattr(sparse_counts, "DENSE", 0)
    assert np.allclose(spike_count_covariance(spikes, 3), compiled, rtol=1e-12)


def test_many_pairs_of_spikes_are_counted_in_blocks(monkeypatch):
    spikes = Spikes.from_raster(random_raster(6, 300, 2, 3, 0.3), 1.0)
    whole = cross_correlation(spikes, [0, 1], [1, 2], 1, 30).counts
    monkeypatch.setattr(correlations, "BLOCK", 50)
    assert np.array_equal(cross_correlation(spikes, [0, 1], [1, 2], 1, 30).counts, whole)


def test_the_coefficient_is_the_correlation_of_shifted_counts():
    raster = random_raster(7, 200_000, 1, 2, 0.01)
    raster[7:, 0, 1] |= raster[:-7, 0, 0]
    found = cross_correlation(Spikes.from_raster(raster, 1.0), 0, 1, 1, 10)
    assert found.lag_ms[found.coefficient[0].argmax()] == 7
    shifted = np.corrcoef(raster[:-7, 0, 0], raster[7:, 0, 1])[0, 1]
    assert found.coefficient[0].max() == pytest.approx(shifted, rel=1e-3)
    assert np.abs(np.delete(found.coefficient[0], 17)).max() < 0.02


def test_a_regular_train_meets_itself_at_its_period():
    found = autocorrelation(trains(np.arange(0, 100, 8)), 1, 20)
    assert found.lag_ms[found.counts[0] > 0].tolist() == [-16, -8, 0, 8, 16]
    assert found.counts[0][20:37:8].tolist() == [13, 12, 11]
    assert found.coefficient[0, 20] == pytest.approx(1)


def test_lags_never_cross_samples_or_neurons():
    raster = np.zeros((20, 2, 2), np.int8)
    raster[19, 0, 0] = raster[0, 1, 0] = raster[1, 1, 1] = 1
    assert autocorrelation(Spikes.from_raster(raster, 1.0), 1, 15).counts.sum(axis=1).tolist() == [2, 1]


def test_a_silent_train_has_counts_of_none_and_no_coefficient():
    found = cross_correlation(trains([], [7, 9]), [0, 1], [1, 0], 1, 5)
    assert not found.counts.any()
    assert np.isnan(found.coefficient).all()
    assert not autocorrelation(trains([], []), 1, 5).counts.any()


def test_no_argument_is_written_to():
    spikes, neurons = Spikes.from_raster(random_raster(8, 60, 2, 3), 1.0), np.array([2, 0])
    kept = spikes[:]
    spike_count_correlation(spikes, 5, neurons)
    cross_correlation(spikes, neurons, neurons, 1, 5)
    assert spikes.equals(kept)
    assert neurons.tolist() == [2, 0]


@pytest.mark.parametrize("width", [0, -1, np.nan, "5", None, 101])
def test_a_bin_must_be_a_time_within_the_duration(width):
    for measure in (spike_count_correlation, spike_count_covariance):
        with pytest.raises(ParameterError, match=r"bin_ms must be (a positive time|at most the duration)"):
            measure(trains([1]), width)
    with pytest.raises(ParameterError, match=r"bin_ms must be"):
        autocorrelation(trains([1]), width, 5)


@pytest.mark.parametrize("lag", [0, -3, np.inf, 0.5, 100, "x"])
def test_a_lag_must_be_shorter_than_the_recording(lag):
    with pytest.raises(ParameterError, match=r"max_lag_ms must be"):
        autocorrelation(trains([1]), 1, lag)


@pytest.mark.parametrize("neurons", [[], [0, 0], [-1], [2], [0.5], [[0, 1]], "ab", [True, False]])
def test_neurons_must_be_ids_once_each(neurons):
    with pytest.raises(ParameterError, match=r"spike_count_correlation.neurons must be ids"):
        spike_count_correlation(trains([1], [2]), 5, neurons)


def test_windows_must_have_the_chosen_neurons():
    with pytest.raises(ParameterError, match="must be ids of the layer's neurons, got 3 for 2 neurons"):
        CountCorrelationAccumulator(5, [0, 3]).add(Window.of(trains([1], [2])))
    with pytest.raises(ParameterError, match=r"CountCorrelationAccumulator.neurons must be ids"):
        CountCorrelationAccumulator(5, [-1])


def test_pairs_of_neurons_must_be_ids_of_equal_number():
    with pytest.raises(ParameterError, match="as many first as second neurons, got 2 and 1"):
        cross_correlation(trains([1], [2]), [0, 1], 0, 1, 5)
    with pytest.raises(ParameterError, match=r"cross_correlation.second.neurons must be ids in 0 .. 1, got 7"):
        cross_correlation(trains([1], [2]), 0, 7, 1, 5)


def test_a_matrix_of_too_many_neurons_is_refused_with_the_way_out():
    spikes = Spikes.from_steps([1], [6000], 6001, 10, 1.0)
    with pytest.raises(ParameterError, match=r"at most 5000, got 6001; choose some with neurons=seeded_neurons\(6001"):
        spike_count_correlation(spikes, 5)


def test_a_seed_chooses_the_same_neurons_again():
    one, again, other = (seeded_neurons(1000, 200, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len(one) == 200
    assert (np.diff(one) > 0).all()
    assert one[0] >= 0
    assert one[-1] < 1000


def test_as_many_neurons_as_may_be_are_all_taken():
    assert seeded_neurons(5, 5, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]


def test_each_neuron_is_chosen_as_often_as_any_other():
    rng = np.random.default_rng(3)
    often = np.bincount(np.concatenate([seeded_neurons(10, 3, rng) for _ in range(3000)]), minlength=10)
    assert np.abs(often - 900).max() < 5 * np.sqrt(900 * 0.7)


def test_neurons_are_drawn_from_a_generator_and_not_a_seed():
    with pytest.raises(ParameterError, match=r"seeded_neurons.generator must be a numpy.random.Generator .*, got 5"):
        seeded_neurons(1000, 200, 5)


@pytest.mark.parametrize(("n", "most"), [(0, 5), (5, 0), (2.5, 2), (5, "3"), (True, 2)])
def test_numbers_of_neurons_must_be_whole(n, most):
    with pytest.raises(ParameterError, match=r"seeded_neurons\.(n_neurons|most) must be a whole number"):
        seeded_neurons(n, most, np.random.default_rng(0))

"""Measures of what is too much for memory, of foreign numbers, and of runs that are none: refused in words, or done."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.analysis import measures as m
from spikeloom.analysis.measures import trains
from spikeloom.analysis.windows import Window
from spikeloom.errors import ParameterError, ShapeError, SpikeloomError
from spikeloom.spikes import Spikes

LONG = Spikes.from_steps(np.arange(1000) * 2_000_000, np.arange(1000) % 7 * 14_000, 100_000, 2_000_000_000, 0.1)
"""A thousand spikes of 100,000 neurons in 2e9 steps."""
SHORT = Spikes.from_steps([0, 5, 9], [0, 0, 1], 2, 10, 0.1)


@pytest.mark.parametrize(
    "measure",
    [
        lambda s, w: m.population_rate(s, w), lambda s, w: m.avalanches(s, w), lambda s, w: m.spike_counts(s, w),
        lambda s, w: m.fano_factor(s, w), lambda s, w: m.spike_count_correlation(s, w, neurons=[0, 1]),
        lambda s, w: m.population_synchrony(s, w), lambda s, w: m.autocorrelation(s, w, s.duration / 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("spikes", "bin_ms"), [(SHORT, 1e-300), (SHORT, 1e-12), (LONG, 0.1)])
def test_bins_too_many_for_memory_are_refused(measure, spikes, bin_ms):
    with pytest.raises(ParameterError, match=r"use wider|must be longer"):
        measure(spikes, bin_ms)


def test_a_response_of_too_many_neurons_and_bins_is_refused():
    with pytest.raises(ParameterError, match="psth: 1e\\+11 numbers are more than"):
        m.psth(LONG, [0.0], 0.0, 1e5, 0.1)


def test_a_contrast_of_bins_too_short_for_the_recording_is_refused():
    spikes = Spikes.from_times([1, 1 + 1e-9, 2], [0, 0, 1], 2, 1e6)
    with pytest.raises(ParameterError, match="use wider bins"):
        m.spike_contrast(spikes, 1e-9)


@pytest.mark.parametrize(
    "measure",
    [
        lambda s: m.van_rossum_distance(s, 10.0, across="samples"), lambda s: m.victor_purpura_distance(s, 0.1),
        m.spike_synchronization,
    ],
)  # fmt: skip
def test_matrices_of_many_samples_are_refused(measure):
    spikes = Spikes.from_steps([0], [0], 5000, 1, 1.0, n_samples=1000)
    with pytest.raises(ParameterError, match="use fewer neurons or samples"):
        measure(spikes)


def test_an_average_of_too_many_values_is_refused():
    spikes = Spikes.from_steps([0], [0], 100_000, 1000, 1.0)
    with pytest.raises(ParameterError, match="use fewer neurons or a shorter window"):
        m.spike_triggered_average(spikes, np.zeros((1000, 100)), (0, 500))


@pytest.mark.parametrize("bin_ms", [1e-300, 1e-15])
def test_intervals_beyond_any_number_of_bins_are_counted_as_such(bin_ms):
    found = m.isi_histogram(LONG, bin_ms, 10 * bin_ms)
    assert (found.counts.sum(), found.beyond) == (0, 993)


def test_bins_as_short_as_the_step_of_a_long_recording_have_lags():
    found = m.cross_correlation(LONG, 0, 14_000, 0.1, 0.5)
    assert found.counts.sum() == 0
    late = m.cross_correlation(LONG, 0, 14_000, 200_000.0, 400_000.0)
    assert late.counts[0].tolist() == [0, 0, 0, 143, 0]


def test_trains_of_many_runs_take_the_memory_of_their_spikes():
    ends = np.arange(1, 1001) * 200_000.0
    found = m.cv(LONG, np.stack((ends - 200_000, ends), 1))
    assert (found.n_trains, found.values.shape) == (0, (100_000,))


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_trains_that_are_sorted_are_those_that_are_counted(seed):
    generator = np.random.default_rng(seed)
    spikes = Spikes.from_raster((generator.random((60, 2, 3)) < 0.2).astype(np.int8), 0.5)
    runs, most = [(0, 7), (7, 20), (22, 30)], trains.MANY
    counted = [*m.cv(spikes, runs), *m.bursts(spikes, 1, 3, 2, 0, 2, runs), *m.inter_spike_intervals(spikes, runs)]
    try:
        trains.MANY = -(10**9)
        found = [*m.cv(spikes, runs), *m.bursts(spikes, 1, 3, 2, 0, 2, runs), *m.inter_spike_intervals(spikes, runs)]
    finally:
        trains.MANY = most
    for one, other in zip(found, counted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("runs", [[(0, np.nan)], [(0, np.inf)], [(-0.5, 1)], [(0, 5)], "ab", [(0, 1), (2,)]])
def test_runs_are_times_within_the_duration(runs):
    for measure in (m.cv, m.inter_spike_intervals, lambda s, r: m.population_rate(s, 0.1, r)):
        with pytest.raises(ParameterError, match="runs must"):
            measure(SHORT, runs)


@pytest.mark.parametrize(
    "call",
    [
        lambda: m.information_per_spike(np.ones((3, 2)), -1), lambda: m.information_per_spike("a"),
        lambda: m.information_per_spike([1, 2], "a"),
        lambda: m.population_rate(SHORT, True), lambda: m.first_spike_latency(SHORT, True),
        lambda: m.energy_proxy_pj(float("nan"), 0),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused(call):
    with pytest.raises(SpikeloomError):
        call()


def test_an_energy_may_be_that_of_more_operations_than_int64_holds():
    assert m.energy_proxy_pj(2**70, 0) == pytest.approx(2**70 * 0.9)


def test_spikes_between_runs_have_no_part_in_rate_and_activity():
    spikes = Spikes.from_steps([1, 5, 12], [0, 0, 1], 2, 20, 1.0, values=[1.0, 0.5, 0.5])
    rate, active = m.MeanRateAccumulator(), m.ActivityAccumulator()
    for measure in (rate, active):
        measure.add(Window.of(spikes, np.array([[0.0, 4.0], [10.0, 16.0]])))
    assert rate.result() == pytest.approx(2 / 2 / 10 * 1000)
    assert active.result().counts.tolist() == [1, 1]
    assert active.result().graded.tolist() == [0, 1]


def test_the_latency_is_that_in_the_run_of_the_onset():
    first = Spikes.from_steps([2, 6], [0, 1], 3, 10, 0.5)
    second = Spikes.from_steps([1, 3, 5, 8], [1, 0, 2, 0], 3, 10, 0.5)
    windows = [
        Window(0, first, np.array([[0, 10]]), False),
        Window(10, second, np.array([[0, 4], [4, 10]]), True),
    ]
    for onset, expected in (
        (0.0, [1, 3, np.nan]),
        (2.0, [4.5, 1, np.nan]),
        (7.0, [2, np.nan, 0.5]),
        (20.0, [np.nan] * 3),
    ):
        measure = m.FirstSpikeLatencyAccumulator(onset)
        for window in windows:
            measure.add(window)
            measure.result()
        np.testing.assert_allclose(measure.result(), [expected])


def test_shapes_of_counts_are_told():
    with pytest.raises(ShapeError, match=r"n_spikes must have shape \(2,\), got \(3,\)"):
        m.information_per_spike(np.ones((3, 2)), [1, 2, 3])


class CountsOf:
    """The counts of a response."""

    def __init__(self, response):
        self.response, self.add = response, response.add

    def result(self):
        return self.response.result().counts


@pytest.mark.parametrize("dt", [0.1, 0.3, 1.0])
def test_a_recording_of_eight_thousand_million_steps_is_measured_to_its_end(dt):
    raster = (np.random.default_rng(3).random((60, 2, 3)) < 0.2).astype(np.int8)
    parts = Spikes.from_raster(raster[:25], dt), Spikes.from_raster(raster[25:], dt)
    makers = [
        lambda at: m.FanoFactorAccumulator(4 * dt), lambda at: m.AvalancheAccumulator(dt),
        lambda at: m.CountCorrelationAccumulator(4 * dt, [0, 2]), lambda at: m.CvAccumulator(),
        lambda at: m.FirstSpikeLatencyAccumulator((at + 5) * dt),
        lambda at: m.PopulationSynchronyAccumulator(4 * dt, 3),
        lambda at: CountsOf(m.PsthAccumulator((np.arange(60) + at) * dt, 2 * dt, 4 * dt, 2 * dt)),
    ]  # fmt: skip
    for make in makers:
        found = []
        for at in (0, 8_000_000_001):
            measure = make(at)
            measure.add(Window(at, parts[0], np.array([[0, 25]]), False))
            measure.add(Window(at + 25, parts[1], np.array([[0, 35]]), True))
            result = measure.result()
            found.append(result if isinstance(result, tuple) else (result,))
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)

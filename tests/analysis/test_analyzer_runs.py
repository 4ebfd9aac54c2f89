"""Measures of trains over several runs: what lies in one run has nothing to do with what lies in another."""

import numpy as np
import pytest

from spikeloom import measures
from spikeloom.analysis import SimulationAnalyzer
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.recording import RecorderConfig, SimulationRecorder
from spikeloom.spikes import Spikes

DT, LENGTHS, N = 0.5, (300, 120, 1), 3


@pytest.fixture(scope="module")
def rasters():
    generator = np.random.default_rng(4)
    return [(generator.random((length, 1, N)) < 0.2).astype(np.int8) for length in LENGTHS]


def recorded(folder, rasters, **settings):
    """An analyser of some runs, each written in batches of 50 steps."""
    config = RecorderConfig(enable_recording=True, output_dir=folder, session_name="s", batch_steps=50, **settings)
    with SimulationRecorder(config) as recorder:
        for raster in rasters:
            recorder.write("l", "spikes", Spikes.from_raster(raster, DT), DT)
    return SimulationAnalyzer(recorder.path)


@pytest.fixture(scope="module")
def analyzer(tmp_path_factory, rasters):
    with recorded(tmp_path_factory.mktemp("runs"), rasters) as found:
        yield found


@pytest.fixture
def runs(rasters):
    return [Spikes.from_raster(raster, DT) for raster in rasters]


def test_lags_do_not_cross_the_border_of_a_run(analyzer, rasters):
    first, second = 2, 0
    lags, pairs, products, bins = np.arange(-8, 9), np.zeros(17, int), 0.0, sum(LENGTHS)
    for raster in rasters:
        a, b = np.flatnonzero(raster[:, 0, first]), np.flatnonzero(raster[:, 0, second])
        differences = (b - a[:, None]).ravel()
        pairs += [(differences == lag).sum() for lag in lags]
    x, y = (np.concatenate([raster[:, 0, k] for raster in rasters]).astype(float) for k in (first, second))
    products = np.sqrt(x.var() * y.var()) * bins
    found = analyzer.compute_cross_correlation("main", "l", first, second, DT, 4.0)
    assert np.array_equal(found.lag_ms, lags * DT)
    assert np.array_equal(found.counts[0], pairs)
    assert found.coefficient[0] == pytest.approx((pairs - x.sum() * y.sum() / bins) / products)
    own = analyzer.compute_autocorrelation("main", "l", DT, 4.0, neurons=[second])
    assert own.coefficient[0, 8] == pytest.approx(1)
    assert own.counts[0, 7] == sum((r[1:, 0, second] & r[:-1, 0, second]).sum() for r in rasters)


def test_two_runs_that_follow_at_once_have_no_pair_across_their_border(tmp_path):
    raster = np.zeros((2, 10, 1, 1), np.int8)
    raster[0, 9] = raster[1, 0] = 1
    with recorded(tmp_path, raster) as analyzer:
        found = analyzer.compute_autocorrelation("main", "l", DT, 2.0)
        average = analyzer.compute_spike_triggered_average("main", "l", np.arange(20.0), (-0.5, 0.5))
    assert found.counts[0].tolist() == [0, 0, 0, 0, 2, 0, 0, 0, 0]
    assert average.n_spikes.tolist() == [1]
    assert average.average[0].tolist() == [8.0, 9.0]


def test_distances_of_runs_add_up(analyzer, runs):
    squares = sum(measures.van_rossum_distance(run, 10.0)[0] ** 2 for run in runs)
    assert analyzer.compute_van_rossum_distance("main", "l").values == pytest.approx(np.sqrt(squares))
    sums = sum(measures.victor_purpura_distance(run, 0.1)[0] for run in runs)
    assert analyzer.compute_victor_purpura_distance("main", "l").values == pytest.approx(sums)


def test_latencies_count_from_the_beginning_of_each_run(analyzer, rasters):
    found = analyzer.compute_latency("main", "l", onset_ms=1.0)
    assert found.shape == (3, N)
    for run, raster in zip(found, rasters, strict=True):
        for latency, train in zip(run, raster[2:, 0].T, strict=True):
            assert latency == pytest.approx(np.flatnonzero(train)[0] * DT) if train.any() else np.isnan(latency)


def test_the_average_of_a_signal_takes_spikes_whose_window_lies_in_their_run(analyzer, rasters):
    signal = np.random.default_rng(1).normal(size=(sum(LENGTHS), 2))
    found = analyzer.compute_spike_triggered_average("main", "l", signal, (-2.0, 1.0))
    begins = np.cumsum((0, *LENGTHS))
    for neuron in range(N):
        windows = [
            signal[begin + step - 4 : begin + step + 2]
            for begin, raster in zip(begins, rasters, strict=False)
            for step in np.flatnonzero(raster[:, 0, neuron])
            if 4 <= step <= len(raster) - 2
        ]
        assert found.n_spikes[neuron] == len(windows)
        assert found.average[neuron] == pytest.approx(np.mean(windows, axis=0))
    with pytest.raises(ShapeError, match=r"must have shape \(421, N...\), got \(420,\)"):
        analyzer.compute_spike_triggered_average("main", "l", np.zeros(420))
    with pytest.raises(ParameterError, match="at most the duration of 150 ms"):
        analyzer.compute_spike_triggered_average("main", "l", signal, (-200.0, 0.0))


def test_the_contrast_is_that_of_each_run_that_is_long_enough(analyzer, runs):
    found = analyzer.compute_spike_contrast("main", "l", 5.0)
    assert found[:2] == pytest.approx([measures.spike_contrast(run, 5.0)[0] for run in runs[:2]])
    assert np.isnan(found[2])


def test_durations_of_samples_are_checked():
    spikes = Spikes.from_raster(np.ones((10, 2, 1), np.int8), 1.0)
    for durations in ([5.0], [5.0, 11.0], [0.0, 5.0], [np.nan, 5.0]):
        with pytest.raises(ParameterError, match="durations_ms must be a time of at most 10 ms for each sample, 2"):
            measures.autocorrelation(spikes, 1.0, 2.0, durations_ms=durations)
    cut = measures.cross_correlation(spikes, 0, 0, 1.0, 2.0, durations_ms=[10.0, 4.0])
    assert cut.counts[0].tolist() == [10, 12, 14, 12, 10]

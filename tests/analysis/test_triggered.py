"""The spike-triggered average against hand counts and a stimulus whose filter is known."""

import numpy as np
import pytest

from spikeloom.analysis.measures import spike_triggered_average
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError
from spikeloom.spikes import Spikes


def trains(*rows, duration=10, dt=1.0):
    """Spikes with the given steps of each neuron, in one sample."""
    ids = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Spikes.from_steps(np.concatenate(rows).astype(int), ids, len(rows), duration, dt, n_samples=1)


def test_the_mean_around_spikes_by_hand():
    found = spike_triggered_average(trains([3, 6], [], [0, 1, 5]), np.arange(10.0) ** 2, (-2, 2))
    assert found.lag_ms.tolist() == [-2, -1, 0, 1]
    assert found.average[0].tolist() == [(1 + 16) / 2, (4 + 25) / 2, (9 + 36) / 2, (16 + 49) / 2]
    assert np.isnan(found.average[1]).all()
    # the spikes at 0 and 1 lack what was before them
    assert found.average[2].tolist() == [9, 16, 25, 36]
    assert found.n_spikes.tolist() == [2, 0, 1]


def test_the_window_may_lie_before_or_after_the_spike_and_reach_the_ends():
    spikes, signal = trains([4, 9]), np.arange(10)
    assert spike_triggered_average(spikes, signal, (-9, -7)).average.tolist() == [[0, 1]]
    assert spike_triggered_average(spikes, signal, (3, 6)).average.tolist() == [[7, 8, 9]]
    assert spike_triggered_average(spikes, signal, (0, 1)).n_spikes.tolist() == [2]


def test_times_are_in_ms_whatever_the_step():
    found = spike_triggered_average(trains([40], duration=100, dt=0.1), np.arange(100), (-0.3, 0.25))
    assert found.lag_ms == pytest.approx([-0.3, -0.2, -0.1, 0, 0.1, 0.2])
    assert found.average.tolist() == [[37, 38, 39, 40, 41, 42]]


def test_noise_before_a_threshold_shows_the_filter_that_led_to_it():
    rng = np.random.default_rng(0)
    stimulus, kernel = rng.normal(size=(200_000, 3)), np.array([0.8, 0.6])
    drive = kernel[0] * stimulus[1:-1, 1] + kernel[1] * stimulus[:-2, 1]
    spikes = Spikes.from_steps(np.flatnonzero(drive > 1) + 2, np.zeros((drive > 1).sum(), int), 1, 200_000, 1.0)
    found = spike_triggered_average(spikes, stimulus, (-4, 1)).average[0]
    # the mean of a normal number beyond 1 is 1.5251; the filter has norm 1
    assert np.allclose(found[[2, 3], 1], 1.5251 * kernel[::-1], atol=0.03)
    found[[2, 3], 1] = 0
    assert np.abs(found).max() < 0.03


def test_samples_have_signals_of_their_own_and_are_averaged_together():
    raster = np.zeros((10, 2, 1), np.int8)
    raster[4, 0] = raster[6, 1] = 1
    signal = np.random.default_rng(1).normal(size=(10, 2, 3, 2))
    found = spike_triggered_average(Spikes.from_raster(raster, 1.0), signal, (-1, 2))
    assert found.average.shape == (1, 3, 3, 2)
    assert np.allclose(found.average[0], (signal[3:6, 0] + signal[5:8, 1]) / 2)
    assert found.n_spikes.tolist() == [2]


def test_it_is_the_mean_over_a_loop_of_spikes():
    rng = np.random.default_rng(2)
    spikes = Spikes.from_raster((rng.random((80, 3, 4)) < 0.1).astype(np.int8), 0.5)
    signal = rng.normal(size=(80, 3, 2))
    found = spike_triggered_average(spikes, signal, (-5, 2.5), neurons=[3, 0])
    for row, neuron in enumerate((3, 0)):
        parts = [
            signal[step - 10 : step + 5, sample]
            for step, sample, source in zip(spikes.step, spikes.samples(), spikes.ids, strict=True)
            if source == neuron and 10 <= step <= 75
        ]
        assert found.n_spikes[row] == len(parts)
        assert np.allclose(found.average[row], np.mean(parts, axis=0))


def test_the_signal_is_not_written_to():
    signal = np.arange(10.0)
    spike_triggered_average(trains([4]), signal, (-1, 1))
    assert signal.tolist() == list(range(10))


@pytest.mark.parametrize("shape", [(9,), (), (2, 10)])
def test_a_signal_must_have_a_value_for_each_step(shape):
    with pytest.raises(ShapeError, match=r"signal must have shape \(10, N...\)"):
        spike_triggered_average(trains([4]), np.zeros(shape), (-1, 1))


def test_several_samples_need_signals_of_their_own():
    spikes = Spikes.from_raster(np.zeros((10, 2, 1), np.int8), 1.0)
    with pytest.raises(ShapeError, match=r"signal must have shape \(10, 2, N...\), got \(10,\)"):
        spike_triggered_average(spikes, np.zeros(10), (-1, 1))


@pytest.mark.parametrize("signal", [["a"] * 10, [1j] * 10, [np.nan] + [0] * 9, [np.inf] * 10])
def test_a_signal_must_be_finite_numbers(signal):
    with pytest.raises(DataError, match=r"signal must be (finite )?numbers"):
        spike_triggered_average(trains([4]), signal, (-1, 1))


@pytest.mark.parametrize("window", [(1, 1), (2, 1), (0,), 5, (0, np.nan), (0, 11), (0, 1, 2), ((0, 1), (2, 3))])
def test_a_window_must_begin_before_it_ends_and_fit(window):
    with pytest.raises(ParameterError, match="window_ms must be"):
        spike_triggered_average(trains([4]), np.zeros(10), window)


def test_spikes_on_no_grid_are_refused_with_the_way_out():
    spikes = Spikes.from_times([3.3], [0], 1, 10.0)
    with pytest.raises(StateError, match="call on_grid"):
        spike_triggered_average(spikes, np.zeros(10), (-1, 1))

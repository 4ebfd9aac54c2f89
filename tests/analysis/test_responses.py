"""Responses to events against hand counts and closed forms; Elephant's values: test_oracles.py."""

import numpy as np
import pytest

from spikeloom.analysis.measures import first_spike_latency, information_per_spike, population_rate, psth
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.spikes import Spikes


def trains(*times, duration=100.0, samples=None):
    ids = np.repeat(np.arange(len(times)), [len(train) for train in times])
    return Spikes.from_times(np.concatenate(times).astype(float), ids, len(times), duration, samples=samples)


def test_the_response_is_that_counted_by_hand():
    spikes = trains([18, 21, 24.9, 25, 52], [20, 49.9])
    found = psth(spikes, [20, 50], 5, 10, 5)
    assert found.start_ms.tolist() == [-5, 0, 5]
    # neuron 0 around 20: 18 | 21, 24.9 | 25; around 50: | 52 |; neuron 1: | 20 |; 49.9 | |
    assert found.counts.tolist() == [[1, 1], [3, 1], [1, 0]]
    assert found.rate_hz.tolist() == [[100, 100], [300, 100], [100, 0]]
    assert found.n_events == 2


def test_samples_are_trials():
    spikes = Spikes.from_steps([3, 3, 8], [0, 0, 0], 1, 10, 1.0, samples=[0, 1, 1], n_samples=4)
    found = psth(spikes, [0], 0, 10, 5)
    assert found.rate_hz[:, 0].tolist() == [100, 50]
    assert found.n_events == 4


def test_what_lies_beyond_the_recording_does_not_count_as_silence():
    spikes = Spikes.from_steps(np.arange(100), np.zeros(100, int), 1, 100, 1.0)
    found = psth(spikes, [2, 50, 97], 10, 10, 5)
    assert found.covered_ms.tolist() == [10, 12, 13, 10]
    assert found.rate_hz[:, 0] == pytest.approx(1000)
    alone = psth(spikes, [97], 0, 10, 5)
    assert alone.covered_ms.tolist() == [3, 0]
    assert alone.rate_hz[0, 0] == pytest.approx(1000)
    assert np.isnan(alone.rate_hz[1, 0])


def test_events_outside_of_the_recording_are_left_out():
    found = psth(trains([5.0]), [-1, 100, 300], 0, 50, 10)
    assert found.n_events == 0
    assert found.counts.sum() == 0
    assert np.isnan(found.rate_hz).all()


def test_a_spike_on_an_edge_belongs_behind_it():
    # events and bins of a tenth of a ms; 43 * 0.1 is 4.3, 43 * 0.1 / 0.1 is 42.99999999999999
    spikes = Spikes.from_steps(np.arange(100), np.zeros(100, int), 1, 100, 0.1)
    found = psth(spikes, np.arange(10, 60) * 0.1, 0.3, 0.4, 0.1)
    assert found.counts[:, 0].tolist() == [50] * 7


def test_the_last_step_is_in_the_last_bin_however_wide_it_is():
    spikes = Spikes.from_steps([0, 9_999_999], [0, 0], 1, 10_000_000, 0.1)
    assert psth(spikes, [0], 0, 1e6, 5e5).counts.tolist() == [[1], [1]]
    assert population_rate(spikes, 5e5).rate.ravel() == pytest.approx([0.002, 0.002])
    before_an_edge = Spikes.from_steps([4_999_999], [0], 1, 10_000_000, 0.1)
    assert population_rate(before_an_edge, 5e5).rate.ravel() == pytest.approx([0.002, 0])


def test_late_events_are_as_exact_as_early_ones():
    # 3e7 steps of 0.1 ms into a recording, a spike in every third step
    step = 30_000_000 + np.arange(0, 300, 3)
    spikes = Spikes.from_steps(step, np.zeros(100, int), 1, 30_000_400, 0.1)
    found = psth(spikes, step[10:90] * 0.1, 0.3, 0.6, 0.3)
    assert found.counts[:, 0].tolist() == [80, 80, 80]


def test_a_spike_near_two_events_counts_for_both():
    assert psth(trains([30.0]), [20, 25], 0, 20, 20).counts.tolist() == [[2]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], 1, 1, 1), "events_ms must be one or more"),
        (([np.nan], 1, 1, 1), "events_ms must be one or more finite times"),
        ((["a"], 1, 1, 1), "events_ms must be numbers"),
        (([1], -1, 1, 1), "before_ms must be a time in ms, zero or more"),
        (([1], 1, 0, 1), "after_ms must be a positive time"),
        (([1], 1, 1, 3), "bin_ms must cut before_ms"),
        (([1], 1, 1e9, 0.1), "bin_ms must cut before_ms"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(ParameterError, match=words):
        psth(trains([5.0]), *arguments)


def test_the_latency_is_the_time_to_the_first_spike_from_the_onset_on():
    spikes = trains([3, 20, 30], [10.0], [])
    assert first_spike_latency(spikes)[0].tolist() == pytest.approx([3, 10, np.nan], nan_ok=True)
    assert first_spike_latency(spikes, 10)[0].tolist() == pytest.approx([10, 0, np.nan], nan_ok=True)
    assert np.isnan(first_spike_latency(spikes, 31)).all()


def test_each_sample_has_its_latency():
    spikes = Spikes.from_steps([7, 4, 9], [0, 0, 0], 1, 10, 0.5, samples=[0, 2, 2], n_samples=3)
    assert first_spike_latency(spikes)[:, 0].tolist() == pytest.approx([3.5, np.nan, 2], nan_ok=True)


def test_a_steady_rate_says_nothing():
    assert information_per_spike([5.0, 5.0, 5.0]).bits.tolist() == [0]


def test_a_neuron_that_fires_in_one_of_eight_bins_says_three_bits():
    found = information_per_spike(np.eye(8)[:, :2] * 40, n_spikes=[700, 70])
    assert found.bits.tolist() == [3, 3]
    assert found.bias_bits == pytest.approx([0.01 / 2 / np.log(2), 0.1 / 2 / np.log(2)])


def test_a_sinusoid_says_what_its_integral_says():
    phase = (np.arange(1000) + 0.5) / 1000
    # 1 + sin: the integral of (1 + s) ln(1 + s) over a period is 1 - ln 2
    found = information_per_spike(1 + np.sin(2 * np.pi * phase))
    assert found.bits[0] == pytest.approx((1 - np.log(2)) / np.log(2), abs=1e-5)


def test_the_bias_is_what_a_steady_neuron_seems_to_say():
    generator, n_bins = np.random.default_rng(3), 50
    counts = generator.poisson(20.0, (n_bins, 400))
    found = information_per_spike(counts, n_spikes=counts.sum(0))
    assert found.bits.mean() == pytest.approx(found.bias_bits.mean(), rel=0.05)


def test_a_silent_neuron_says_nothing_that_is_known():
    found = information_per_spike([[0.0, 1.0], [0.0, 2.0]], n_spikes=[0, 3])
    assert np.isnan(found.bits[0])
    assert np.isnan(found.bias_bits[0])
    assert np.isfinite(found.bits[1])
    assert np.isnan(information_per_spike([1.0, 2.0]).bias_bits).all()


def test_rates_must_be_rates():
    with pytest.raises(ShapeError, match=r"rates must have shape \(K,\) or \(K, N\)"):
        information_per_spike([1.0])
    for rates in ([1.0, -1.0], [1.0, np.nan]):
        with pytest.raises(ParameterError, match="must be finite and not negative"):
            information_per_spike(rates)

"""Avalanches against hand counts and branching processes."""

import numpy as np
import pytest

from spikeloom.analysis.measures import avalanches
from spikeloom.errors import ParameterError
from spikeloom.spikes import Spikes


def of_counts(*samples):
    """Spikes of as many neurons as there are counts at most, one step of 1 ms for each count."""
    n = max(max(counts) for counts in samples)
    raster = np.zeros((len(samples[0]), len(samples), n), np.int8)
    for b, counts in enumerate(samples):
        for t, count in enumerate(counts):
            raster[t, b, :count] = 1
    return Spikes.from_raster(raster, 1.0)


def test_avalanches_are_those_counted_by_hand():
    found = avalanches(of_counts([2, 0, 1, 3, 1, 0, 0, 4, 2]), 1)
    assert found.sizes.tolist() == [2, 5, 6]
    assert found.durations_ms.tolist() == [1, 3, 2]
    assert found.branching_ratio == pytest.approx((0 + 3 + 0.5) / 3)


def test_wider_bins_join_avalanches():
    found = avalanches(of_counts([2, 0, 1, 3, 1, 0, 0, 0, 4]), 2)
    assert found.sizes.tolist() == [7, 4]
    assert found.durations_ms.tolist() == [6, 2]


def test_samples_have_avalanches_of_their_own():
    found = avalanches(of_counts([1, 1, 0], [0, 1, 1]), 1)
    assert sorted(found.sizes) == [2, 2]


def test_silence_has_no_avalanche():
    found = avalanches(Spikes.from_steps([], [], 3, 10, 1.0, n_samples=2), 1)
    assert found.sizes.size == found.durations_ms.size == 0
    assert np.isnan(found.branching_ratio)


@pytest.mark.parametrize("sigma", [0.4, 0.9])
def test_the_branching_ratio_of_a_branching_process_is_its_parameter(sigma):
    # one ancestor, a Poisson number of descendants each (Galton & Watson); the mean size is 1 / (1 - sigma)
    generator, counts, n = np.random.default_rng(5), [], 8000
    for _ in range(n):
        alive = 1
        while alive and alive < 500:
            counts.append(alive)
            alive = generator.poisson(sigma * alive)
        counts.append(0)
    step = np.repeat(np.arange(len(counts)), counts)
    ids = np.concatenate([np.arange(count) for count in counts])
    found = avalanches(Spikes.from_steps(step, ids, 500, len(counts), 1.0), 1)
    assert len(found.sizes) == n
    assert found.branching_ratio == pytest.approx(sigma, abs=0.03)
    assert found.sizes.mean() == pytest.approx(1 / (1 - sigma), rel=0.1)


def test_a_bin_must_be_a_positive_time():
    with pytest.raises(ParameterError, match=r"avalanches\.bin_ms must be a positive time"):
        avalanches(of_counts([1]), 0)

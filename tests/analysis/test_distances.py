"""Distances between spike trains against closed forms, plain recursions and numerical integration."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spikeloom.analysis.measures import distances, van_rossum_distance, victor_purpura_distance
from spikeloom.errors import ParameterError
from spikeloom.spikes import Spikes

TIMES = st.lists(st.floats(0, 99, allow_subnormal=False), max_size=9)
GRID_TIMES = st.lists(st.integers(0, 99), max_size=9, unique=True)


def trains(*rows, duration=100.0):
    """Spikes at the given times of each neuron, in one sample."""
    ids = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Spikes.from_times(np.concatenate(rows).astype(float), ids, len(rows), duration, n_samples=1)


@pytest.fixture(params=["compiled", "NumPy"])
def either(request, monkeypatch):
    """Measures run compiled, then as NumPy code."""
    if request.param == "NumPy":
        monkeypatch.setattr(distances, "compiled", lambda header: None)


def recursion(a, b, cost):
    """The Victor-Purpura distance of two lists as the paper defines it."""
    least = np.zeros((len(a) + 1, len(b) + 1))
    least[:, 0], least[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i in range(len(a)):
        for j in range(len(b)):
            shifted = least[i, j] + cost * abs(a[i] - b[j])
            least[i + 1, j + 1] = min(least[i, j + 1] + 1, least[i + 1, j] + 1, shifted)
    return least[-1, -1]


def double_sum(a, b, tau):
    """The van Rossum distance by all pairs of spikes with their signs."""
    time = np.concatenate([a, b])
    sign = np.repeat([1, -1], [len(a), len(b)])
    return np.sqrt(max(0, sign @ np.exp(-np.abs(time[:, None] - time) / tau) @ sign))


@pytest.mark.usefixtures("either")
def test_two_spikes_cost_their_shift_or_two():
    spikes = trains([10], [13], [60], [])
    found = victor_purpura_distance(spikes, 0.1)[0]
    assert np.allclose(found, [[0, 0.3, 2, 1], [0.3, 0, 2, 1], [2, 2, 0, 1], [1, 1, 1, 0]], rtol=1e-14)


@given(st.floats(0, 99), st.floats(0, 99), st.floats(0, 5))
@settings(deadline=None)
def test_one_spike_each_is_at_the_lesser_of_two_and_the_cost_of_the_shift(a, b, cost):
    assert victor_purpura_distance(trains([a], [b]), cost)[0, 0, 1] == pytest.approx(min(2, cost * abs(a - b)))


@given(st.lists(TIMES, min_size=3, max_size=3), st.floats(0, 0.5))
@settings(max_examples=80, deadline=None)
def test_the_distance_is_that_of_the_recursion_of_the_paper(rows, cost):
    found = victor_purpura_distance(trains(*rows), cost)[0]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert found[i, j] == pytest.approx(recursion(sorted(rows[i]), sorted(rows[j]), cost), abs=1e-12)


@given(st.lists(GRID_TIMES, min_size=2, max_size=2), st.sampled_from([0, 0.02, 0.1, 1, 2, 50]))
@settings(max_examples=80, deadline=None)
def test_ties_on_the_grid_do_not_mislead_the_recursion(rows, cost):
    found = victor_purpura_distance(trains(*rows), cost)[0, 0, 1]
    assert found == pytest.approx(recursion(sorted(rows[0]), sorted(rows[1]), cost), abs=1e-12)


@pytest.mark.usefixtures("either")
def test_the_cost_tells_counts_from_times():
    spikes = trains([5, 20, 30], [5, 21], [5, 20, 30])
    assert np.array_equal(victor_purpura_distance(spikes, 0)[0], [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    # every shift costs more than two: only the spike at 5 is common
    assert np.array_equal(victor_purpura_distance(spikes, 1e6)[0], [[0, 3, 0], [3, 0, 3], [0, 3, 0]])


@pytest.mark.usefixtures("either")
def test_one_spike_is_at_one_from_none():
    found = van_rossum_distance(trains([40], [], [47]), 10)[0]
    apart = np.sqrt(2 - 2 * np.exp(-0.7))
    assert np.allclose(found, [[0, 1, apart], [1, 0, 1], [apart, 1, 0]], rtol=1e-14)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("seed", range(12))
def test_equal_trains_are_at_exactly_nothing(seed):
    row = np.sort(np.random.default_rng(seed).uniform(0, 1000, 300))
    found = van_rossum_distance(trains(row, row, row[:-1], duration=1000.0), 13.7)[0]
    assert found[0, 1] == 0
    assert found[0, 2] == pytest.approx(1, abs=1e-12)


def test_the_distance_is_the_norm_of_the_filtered_difference():
    rows, tau, dt = ([3.0, 20.5, 21.0], [4.0, 50.25]), 8.0, 0.01
    t = np.arange(0, 300, dt)
    filtered = [sum((t >= s) * np.exp(-np.clip(t - s, 0, None) / tau) for s in row) for row in rows]
    norm = np.sqrt(((filtered[0] - filtered[1]) ** 2).sum() * dt * 2 / tau)
    assert van_rossum_distance(trains(*rows), tau)[0, 0, 1] == pytest.approx(norm, rel=2e-3)


@given(st.lists(TIMES, min_size=3, max_size=3), st.floats(0.01, 1e4))
@settings(max_examples=80, deadline=None)
def test_it_is_the_sum_over_all_pairs_of_spikes(rows, tau):
    found = van_rossum_distance(trains(*rows), tau)[0]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        expected = double_sum(sorted(rows[i]), sorted(rows[j]), tau)
        assert found[i, j] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("distance", [van_rossum_distance, victor_purpura_distance])
@given(rows=st.lists(GRID_TIMES, min_size=3, max_size=3), scale=st.sampled_from([0.03, 1, 20]))
@settings(max_examples=40, deadline=None)
def test_both_are_metrics(distance, rows, scale):
    found = distance(trains(*rows), scale)[0]
    assert np.array_equal(found, found.T)
    assert not found.diagonal().any()
    assert found[0, 2] <= found[0, 1] + found[1, 2] + 1e-9
    assume(sorted(rows[0]) != sorted(rows[1]))
    assert found[0, 1] > 0


@given(st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_compiled_code_gives_what_numpy_gives(seed, n_samples):
    raster = np.random.default_rng(seed).random((80, n_samples, 5)) < 0.15
    spikes = Spikes.from_raster(raster.astype(np.int8), 0.5)
    native = van_rossum_distance(spikes, 6), victor_purpura_distance(spikes, 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "compiled", lambda header: None)
        plain = van_rossum_distance(spikes, 6), victor_purpura_distance(spikes, 0.2)
    assert all(np.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in zip(native, plain, strict=True))


def test_samples_are_compared_apart_and_trials_of_a_neuron_with_each_other():
    raster = np.zeros((50, 3, 2), np.int8)
    raster[10, 0, 0] = raster[13, 1, 0] = raster[13, 0, 1] = 1
    spikes = Spikes.from_raster(raster, 1.0)
    near = 0.3
    by_sample = victor_purpura_distance(spikes, 0.1)
    assert by_sample.shape == (3, 2, 2)
    assert by_sample[:, 0, 1] == pytest.approx([near, 1, 0])
    by_trial = victor_purpura_distance(spikes, 0.1, across="samples")
    assert by_trial.shape == (2, 3, 3)
    assert np.allclose(by_trial[0], [[0, near, 1], [near, 0, 1], [1, 1, 0]])
    assert np.allclose(van_rossum_distance(spikes, 10, [1], across="samples"), [[[0, 1, 1], [1, 0, 0], [1, 0, 0]]])


def test_chosen_neurons_are_a_part_of_the_matrix():
    raster = np.random.default_rng(2).random((100, 2, 6)) < 0.1
    spikes = Spikes.from_raster(raster.astype(np.int8), 1.0)
    for whole, part in (
        (van_rossum_distance(spikes, 5), van_rossum_distance(spikes, 5, [4, 0, 3])),
        (victor_purpura_distance(spikes, 0.3), victor_purpura_distance(spikes, 0.3, [4, 0, 3])),
    ):
        assert np.allclose(part, whole[:, [4, 0, 3]][:, :, [4, 0, 3]])


def test_silence_and_short_memory_overflow_nothing():
    spikes = trains([0, 9e5], [5e5], [], duration=1e6)
    assert np.allclose(van_rossum_distance(spikes, 1e-3)[0], np.sqrt([[0, 3, 2], [3, 0, 1], [2, 1, 0]]))
    assert np.allclose(van_rossum_distance(spikes, 1e15)[0], [[0, 1, 2], [1, 0, 1], [2, 1, 0]], atol=1e-4)
    assert not van_rossum_distance(trains([], []), 10).any()
    assert not victor_purpura_distance(trains([], []), 10).any()


@pytest.mark.parametrize("tau", [0, -1, np.nan, np.inf, "10", None])
def test_a_time_constant_must_be_positive(tau):
    with pytest.raises(ParameterError, match=r"van_rossum_distance.tau_ms must be a positive time in ms"):
        van_rossum_distance(trains([1], [2]), tau)


@pytest.mark.parametrize("cost", [-0.1, np.nan, np.inf, "1", None, True])
def test_a_cost_must_not_be_negative(cost):
    with pytest.raises(ParameterError, match=r"victor_purpura_distance.cost_per_ms must be a finite cost"):
        victor_purpura_distance(trains([1], [2]), cost)


def test_what_is_compared_is_neurons_or_samples():
    with pytest.raises(ParameterError, match=r"across must be 'neurons' or 'samples', got 'sample'.*did you mean"):
        van_rossum_distance(trains([1], [2]), 5, across="sample")
    with pytest.raises(ParameterError, match=r"van_rossum_distance.neurons must be ids in 0 .. 1, got 2"):
        van_rossum_distance(trains([1], [2]), 5, [2])

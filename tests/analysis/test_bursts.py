"""Bursts against the method written as a loop over spikes, and against hand counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.analysis.measures import bursts
from spikeloom.errors import ParameterError
from spikeloom.spikes import Spikes


def by_the_book(times, begin, end, between, duration, fewest):
    """The bursts (start, duration, spikes) of one train, spike by spike: find, join, drop."""
    found, k = [], 0
    while k < len(times) - 1:
        if times[k + 1] - times[k] <= begin:
            last = k + 1
            while last < len(times) - 1 and times[last + 1] - times[last] <= end:
                last += 1
            found.append([k, last])
            k = last
        else:
            k += 1
    joined = found[:1]
    for first, last in found[1:]:
        if times[first] - times[joined[-1][1]] < between:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    spans = [(times[a], times[b] - times[a], b - a + 1) for a, b in joined]
    return [span for span in spans if span[1] >= duration and span[2] >= fewest]


def train(times, duration=1000):
    return Spikes.from_times(np.array(times, float), np.zeros(len(times), int), 1, duration, n_samples=1)


@settings(max_examples=150)
@given(
    st.lists(st.lists(st.integers(0, 120), unique=True, max_size=40), min_size=1, max_size=3),
    st.sampled_from([(3, 5, 7, 2, 3), (4, 4, 0, 0, 2), (1, 9, 12, 3, 2), (2, 6, 100, 0, 4)]),
)
def test_every_train_has_the_bursts_of_the_loop(trains, limits):
    ids = np.repeat(np.arange(len(trains)), [len(times) for times in trains])
    spikes = Spikes.from_steps(np.concatenate([np.array(t, int) for t in trains]), ids, len(trains), 121, 1.0)
    found = bursts(spikes, *limits)
    for neuron, times in enumerate(trains):
        own = found.neuron == neuron
        rows = list(zip(found.start_ms[own], found.duration_ms[own], found.n_spikes[own], strict=True))
        assert rows == by_the_book(sorted(times), *limits)


def test_bursts_are_those_counted_by_hand():
    # three spikes 2 ms apart, a spike alone, then two times two spikes that lie 8 ms apart
    found = bursts(train([10, 12, 14, 60, 100, 102, 110, 112]), 3, 5, 9, 1, 3)
    assert found.start_ms.tolist() == [10, 100]
    assert found.duration_ms.tolist() == [4, 12]
    assert found.n_spikes.tolist() == [3, 4]
    assert found.share_of_spikes == 7 / 8


def test_limits_are_within():
    spikes = train([0, 3, 8, 13])
    assert bursts(spikes, 3, 5, 0, 13, 4).n_spikes.tolist() == [4]
    assert bursts(spikes, 3, 5, 0, 13.1, 4).n_spikes.tolist() == []
    assert bursts(spikes, 2.9, 5, 0, 0, 2).n_spikes.tolist() == []
    apart = train([0, 2, 9, 11])
    assert bursts(apart, 2, 2, 7, 0, 2).n_spikes.tolist() == [2, 2]
    assert bursts(apart, 2, 2, 7.1, 0, 2).n_spikes.tolist() == [4]


def test_a_limit_in_steps_of_a_tenth_of_a_ms_is_no_rounding_error():
    # 3 * 0.1 is 0.30000000000000004
    spikes = Spikes.from_steps([0, 3, 6, 9], [0] * 4, 1, 20, 0.1)
    assert bursts(spikes, 0.3, 0.3, 0, 0.9, 2).n_spikes.tolist() == [4]


def test_bursts_know_sample_neuron_and_run():
    step = [1, 2, 3, 51, 52, 53]
    spikes = Spikes.from_steps(step * 2, [1] * 12, 3, 100, 1.0, samples=[0] * 6 + [2] * 6, n_samples=3)
    found = bursts(spikes, 2, 2, 5, 1, 3, runs=[(0, 50), (50, 100)])
    rows = zip(found.run, found.sample, found.neuron, found.start_ms, strict=True)
    assert sorted(rows) == [(0, 0, 1, 1), (0, 2, 1, 1), (1, 0, 1, 51), (1, 2, 1, 51)]


@pytest.mark.parametrize("times", [[], [5], [5, 500]])
def test_no_burst_where_hardly_anything_fires(times):
    found = bursts(train(times))
    assert found.n_spikes.size == 0
    assert np.isnan(found.share_of_spikes) if not times else found.share_of_spikes == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_begin_isi_ms": 0}, "max_begin_isi_ms must be a positive time"),
        ({"max_begin_isi_ms": 400}, "max_begin_isi_ms must be at most max_end_isi_ms, 300.0, got 400"),
        ({"min_ibi_ms": -1}, "min_ibi_ms must be a time in ms, zero or more"),
        ({"min_spikes": 1}, "min_spikes must be a whole number from 2 on"),
        ({"min_spikes": 2.5}, "min_spikes must be a whole number from 2 on"),
    ],
)
def test_limits_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ParameterError, match=words):
        bursts(train([1, 2]), **settings)

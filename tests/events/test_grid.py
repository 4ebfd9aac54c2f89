"""Events as spikes on a grid of steps, and back: against hand counts, frames and `Spikes.from_steps`."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.events import Events
from spikeloom.events.representations import frames, from_spikes, grid, to_spikes
from spikeloom.native.compiled import compiled
from spikeloom.spikes import Spikes

compiled("event_frames.hpp")  # now, not in a test whose time is limited
FIVE = Events.from_arrays([0, 100, 900, 1000, 3999], [1, 1, 0, 1, 1], [0] * 5, [1, 0, 1, 1, 1], (2, 1))


@st.composite
def streams(draw):
    width, height, n = draw(st.integers(1, 90)), draw(st.integers(1, 60)), draw(st.integers(0, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t, x = np.sort(generator.integers(0, 60, n)) + draw(st.sampled_from([0, -30])), generator.integers(0, width, n)
    y = generator.integers(0, height, n) // draw(st.sampled_from([1, height]))
    return Events.from_arrays(t, x, y, generator.integers(0, 2, n), (width, height))


def of_both_paths(events, dt, **named):
    found = to_spikes(events, dt, **named)
    with patch.object(grid, "library", lambda: None):
        reference = to_spikes(events, dt, **named)
    assert found.equals(reference)
    assert (found.ids.dtype, found.step.dtype) == (reference.ids.dtype, reference.step.dtype)
    return found


def test_several_events_of_a_neuron_in_a_step_are_one_spike_or_their_sum():
    merged = of_both_paths(FIVE, 1.0)
    assert merged.shape == (2, 1, 2)
    assert merged.step.tolist() == [0, 0, 0, 1, 3]
    assert merged.ids.tolist() == [1, 2, 3, 3, 3]
    assert (merged.n_steps, merged.duration, merged.value) == (4, 4.0, None)
    added = of_both_paths(FIVE, 2.0, collisions="sum", polarity="merged")
    assert (added.step.tolist(), added.ids.tolist(), added.value.tolist()) == ([0, 0, 1], [0, 1, 1], [1, 3, 1])
    signed = of_both_paths(FIVE, 1.0, collisions="sum", polarity="signed")
    assert (signed.step.tolist(), signed.ids.tolist(), signed.value.tolist()) == ([0, 1, 3], [0, 1, 1], [1, 1, 1])
    first = of_both_paths(FIVE[1:], 2.0, polarity="signed")
    assert (first.ids.tolist(), first.value.tolist()) == ([0, 1, 1], [1, -1, 1])


@settings(deadline=None, max_examples=50)
@given(streams(), st.integers(1, 30), st.sampled_from(["separate", "merged", "signed"]))
def test_the_raster_of_sums_is_frames_and_that_of_merged_spikes_is_where_they_are_not_zero(events, dt, polarity):
    counts = frames(events, window=dt / 1000, polarity=polarity)
    added = of_both_paths(events, dt / 1000, collisions="sum", polarity=polarity)
    merged = of_both_paths(events, dt / 1000, polarity=polarity)
    if len(events):
        np.testing.assert_array_equal(added.raster()[:, 0], counts)
    if polarity != "signed":
        np.testing.assert_array_equal(merged.raster().any((0, 1)), counts.any(0))
        assert merged.n_spikes == np.count_nonzero(counts)


@settings(deadline=None, max_examples=50)
@given(streams(), st.integers(1, 30))
def test_events_come_back_in_their_steps(events, dt):
    back = from_spikes(to_spikes(events, dt / 1000, collisions="sum"), start=0.5)
    first = events.t[0] if len(events) else 0
    step = (events.t - first) // dt
    order = np.lexsort((events.x, events.y, events.p, step))
    assert back.t.tolist() == (step[order] * dt + 500).tolist()
    for name in "xyp":
        assert getattr(back, name).tolist() == getattr(events, name)[order].tolist()
    assert back.sensor_size == events.sensor_size


def test_a_second_event_in_a_step_is_an_error_where_that_is_asked_for():
    spikes = of_both_paths(FIVE, 1.0, collisions="error")
    assert spikes.n_spikes == 5
    with pytest.raises(DataError, match=r"pixel \(1, 0\) has another event in the step of 1000 us; use a smaller dt"):
        to_spikes(FIVE, 2.0, collisions="error")
    with patch.object(grid, "library", lambda: None), pytest.raises(DataError, match="fires twice"):
        to_spikes(FIVE, 2.0, collisions="error")


def test_a_sum_beyond_int8_is_an_error_not_a_wrap():
    many = Events.from_arrays([0] * 200, [0] * 200, [0] * 200, [1] * 200)
    assert of_both_paths(many, 1.0).n_spikes == 1
    with pytest.raises(DataError, match=r"in -128..127"):
        to_spikes(many, 1.0, collisions="sum")


def test_pixels_of_a_large_sensor_come_in_their_order():
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 900, (2, 500))
    spikes = of_both_paths(Events.from_arrays(np.arange(500), x, y, rng.integers(0, 2, 500), (900, 900)), 0.25)
    assert spikes.ids.max() > 2**20
    assert spikes.n_spikes == 500


def test_start_and_end_bound_the_steps():
    spikes = of_both_paths(FIVE, 1.0, start=0.5, end=2.5)
    assert (spikes.n_steps, spikes.step.tolist(), spikes.ids.tolist()) == (2, [0, 0], [2, 3])
    assert of_both_paths(FIVE[:0], 1.0).n_steps == 1


def test_what_is_no_grid_is_refused():
    with pytest.raises(ParameterError, match=r"to_spikes.collisions must be 'merge', 'sum' or 'error', got 'add'"):
        to_spikes(FIVE, 1.0, collisions="add")
    with pytest.raises(DataError, match="sorted"):
        to_spikes(FIVE[::-1], 1.0)
    outside = FIVE.with_arrays(x=np.array([0, 0, 0, 2, 0], np.int16))
    with pytest.raises(DataError, match=r"events\[3\] must be of the sensor"):
        to_spikes(outside, 1.0)


def test_spikes_of_other_shapes_and_values_are_no_events():
    with pytest.raises(ShapeError, match=r"\(1 or 2, height, width\), got \(4,\)"):
        from_spikes(Spikes.from_steps([0], [0], 4, 1, 1.0))
    half = Spikes.from_steps([0], [0], (1, 2, 2), 1, 1.0, values=[0.5])
    with pytest.raises(DataError, match=r"a whole number, got 0.5"):
        from_spikes(half)
    off = Spikes.from_steps([0], [3], (1, 2, 2), 1, 1.0, values=[-128])
    assert len(from_spikes(off)) == 128
    assert not from_spikes(off).p.any()
    with pytest.raises(DataError, match="a whole number above 0, got -1"):
        from_spikes(Spikes.from_steps([0], [3], (2, 2, 2), 1, 1.0, values=[-1]))
    timed = Spikes.from_times([0.25, 1.0], [7, 0], (2, 2, 2), 2.0)
    assert from_spikes(timed).structured().tolist() == [(250, 1, 1, 1), (1000, 0, 0, 0)]

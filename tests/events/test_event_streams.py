"""Events: what is let in, what order means, and that nothing is ever changed."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import spikeloom.events
from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.events import Events

FIVE = Events.from_arrays([10, 20, 20, 35, 1000], [0, 1, 2, 3, 3], [0, 0, 1, 1, 0], [1, 0, 1, 1, 0], (4, 2))


def test_polarities_are_zero_and_one_however_they_were_written():
    for polarity in ([1, 0, 1], [True, False, True], [1, -1, 1], [1.0, -1.0, 1.0], np.array([1, 0, 1], np.uint8)):
        assert Events.from_arrays([0, 1, 2], [0, 0, 0], [0, 0, 0], polarity).p.tolist() == [1, 0, 1]


def test_every_name_that_the_package_tells_is_there():
    assert [name for name in spikeloom.events.__all__ if not hasattr(spikeloom.events, name)] == []


def test_the_sensor_is_as_large_as_the_events_need_unless_it_is_told():
    assert Events.from_arrays([0, 1], [3, 0], [0, 7], [0, 0]).sensor_size == (4, 8)
    assert Events.from_arrays([], [], [], []).sensor_size == (1, 1)
    assert Events.from_arrays([0], [3], [0], [0], (640, 480)).sensor_size == (640, 480)


def test_times_beyond_32_bits_and_below_zero_are_kept():
    t = [-5, 2**32 + 7, 2**60]
    assert Events.from_arrays(t, [0] * 3, [0] * 3, [0] * 3).t.tolist() == t


@pytest.mark.parametrize(
    ("arrays", "error", "text"),
    [
        (([0, 1], [0], [0, 0], [0, 0]), ShapeError, r"one entry for each event, got t \(2,\), x \(1,\)"),
        (([[0]], [0], [0], [0]), ShapeError, r"t must have one axis"),
        (([0.5], [0], [0], [0]), DataError, r"Events.t\[0\] must be a whole number of microseconds, got 0.5"),
        (([np.nan], [0], [0], [0]), DataError, r"Events.t\[0\]"),
        (([1e300], [0], [0], [0]), DataError, r"Events.t\[0\]"),
        (([0, 0], [0, -1], [0, 0], [0, 0]), DataError, r"Events.x\[1\] must be in 0..9, got -1"),
        (([0, 0], [0, 10], [0, 0], [0, 0]), DataError, r"Events.x\[1\] must be in 0..9, got 10"),
        (([0], [0], [5], [0]), DataError, r"Events.y\[0\] must be in 0..4, got 5"),
        (([0], [0], [0], [2]), DataError, r"Events.p\[0\] must be 0 or 1"),
        (([0, 1], [0, 0], [0, 0], [-1, 0]), DataError, r"Events.p\[1\] must be -1 or 1"),
        ((["a"], [0], [0], [0]), ParameterError, "numbers"),
        ((np.array([2**63], np.uint64), [0], [0], [0]), DataError, r"Events.t\[0\]"),
    ],
)
def test_what_is_no_event_stops_at_the_door(arrays, error, text):
    with pytest.raises(error, match=text):
        Events.from_arrays(*arrays, (10, 5))


@pytest.mark.parametrize("size", [(0, 5), (10,), (10, 5, 2), (10.0, 5), (2**15 + 1, 5), "ab", (True, 5)])
def test_a_sensor_size_is_two_whole_numbers(size):
    with pytest.raises(ParameterError, match="sensor_size must be"):
        Events.from_arrays([0], [0], [0], [0], size)


def test_a_column_beyond_int16_is_refused_not_wrapped():
    with pytest.raises(ParameterError, match="from 1 to 32768, got"):
        Events.from_arrays([0], [65535], [0], [0])


def test_neither_the_arrays_given_nor_those_held_can_be_changed_by_the_other():
    t = np.array([1, 2])
    events = Events.from_arrays(t, [0, 0], [0, 0], [0, 0])
    t[0] = 99
    assert events.t.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        events.t[0] = 5


def test_between_takes_the_first_bound_and_leaves_the_last():
    assert FIVE.between(0.02, 0.035).t.tolist() == [20, 20]
    assert FIVE.between(0.0201).t.tolist() == [35, 1000]
    assert FIVE.between(end=1.0).t.tolist() == [10, 20, 20, 35]
    assert FIVE.between(end=1.001).equals(FIVE)
    assert len(Events.from_arrays([-5, 0], [0, 0], [0, 0], [0, 0]).between(end=0)) == 1
    with pytest.raises(ParameterError, match="start must be a time in ms"):
        FIVE.between(np.nan)


def test_between_means_the_same_where_events_are_not_sorted():
    order = [3, 0, 4, 1, 2]
    assert FIVE[order].between(0.02, 0.035).t.tolist() == [20, 20]


def test_order_is_known_after_every_choice():
    assert FIVE.is_sorted
    assert FIVE[::2].is_sorted
    assert not FIVE[::-1].is_sorted
    assert not FIVE[[1, 0]].is_sorted
    assert FIVE[[0, 4]].is_sorted
    assert FIVE[FIVE.p == 1].is_sorted
    assert not Events.concatenate([FIVE, FIVE]).is_sorted
    assert FIVE[:0].is_sorted


def test_sorting_keeps_the_order_of_simultaneous_events():
    mixed = FIVE[[4, 2, 1, 0, 3]].sorted()
    assert mixed.x.tolist() == [0, 2, 1, 3, 3]
    assert mixed.is_sorted


def test_one_event_is_asked_for_by_a_slice():
    with pytest.raises(ParameterError, match="expected a slice"):
        FIVE[0]
    assert len(FIVE[0:1]) == 1


def test_parts_of_different_sensors_are_not_joined():
    with pytest.raises(ShapeError, match="one sensor size"):
        Events.concatenate([FIVE, Events.from_arrays([], [], [], [])])
    with pytest.raises(ParameterError, match="at least one"):
        Events.concatenate([])


@pytest.mark.parametrize("order", ["xytp", "txyp", "xypt", "ptxy"])
def test_structured_events_are_read_by_field_whatever_their_order_and_types(order):
    kinds = {"x": "i2", "y": "<u2", "t": "u4", "p": "?"}
    array = np.array([tuple({"t": 7, "x": 3, "y": 1, "p": 1}[f] for f in order)], [(f, kinds[f]) for f in order])
    events = Events.from_structured(array, (4, 2, 2))
    assert events.structured().tolist() == [(7, 3, 1, 1)]
    assert events.sensor_size == (4, 2)


def test_structured_events_without_a_field_name_what_lacks():
    with pytest.raises(DataError, match=r"\['y', 'p'\] lack"):
        Events.from_structured(np.zeros(2, [("t", "i8"), ("x", "i2")]))
    with pytest.raises(DataError, match="expected the fields"):
        Events.from_structured([1, 2])


@given(hnp.arrays(np.int64, st.integers(0, 40), elements=st.integers(0, 50)))
def test_a_cut_in_time_loses_and_doubles_nothing(t):
    events = Events.from_arrays(t, t % 7, t % 5, t % 2, (7, 5))
    parts = [events.between(end=0.02), events.between(0.02, 0.04), events.between(0.04)]
    assert sum(map(len, parts)) == len(events)
    assert sorted(Events.concatenate(parts).t) == sorted(t)


def test_the_duration_is_in_ms():
    assert FIVE.duration == 0.99
    assert FIVE[:0].duration == 0
    assert Events.from_arrays([-(2**63), 2**63 - 1], [0, 0], [0, 0], [0, 1]).duration == (2**64 - 1) / 1000


@pytest.mark.parametrize("first", [0, 10**9, 10**12, 17 * 10**14, -(10**12)])
def test_a_time_of_whole_microseconds_is_that_microsecond_days_and_years_from_zero_too(first):
    t = np.arange(first, first + 300)
    events = Events.from_arrays(t, t * 0, t * 0, t * 0)
    assert [events.between(now / 1000, (now + 1) / 1000).t.tolist() for now in t.tolist()] == t[:, None].tolist()
    k = np.arange(10**9, 10**9 + 300)
    tenths = Events.from_arrays(k * 100, k * 0, k * 0, k * 0)
    assert [tenths.between(now * 0.1, now * 0.1 + 0.05).t.tolist() for now in k.tolist()] == (k * 100)[:, None].tolist()


def test_a_copy_from_another_process_cannot_be_written_to_either():
    sent = pickle.loads(pickle.dumps(FIVE))  # noqa: S301
    for again in (sent, copy.deepcopy(FIVE)):
        assert again.equals(FIVE)
        assert again.is_sorted
        with pytest.raises(ValueError, match="read-only"):
            again.t[0] = 5


@pytest.mark.parametrize("size", [(4,), (4.9, 2), "42"])
def test_a_sensor_size_of_structured_events_is_checked_too(size):
    with pytest.raises(ParameterError, match=r"sensor_size must be \(width, height\)"):
        Events.from_structured(FIVE.structured(), size)

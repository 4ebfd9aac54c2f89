"""Windows of streams: nothing is lost, nothing twice, and pieces of a file give what the whole gives."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import DataError, ParameterError
from spikeloom.events import Events
from spikeloom.events.slicing import slice_at, slice_by_bins, slice_by_count, slice_by_event_bins, slice_by_time


def stream(t):
    return Events.from_arrays(t, np.arange(len(t)) % 7, [0] * len(t), [0] * len(t), (7, 1))


@st.composite
def sorted_streams(draw):
    return stream(
        np.sort(draw(st.lists(st.integers(0, 90), max_size=40))).astype(np.int64) + draw(st.integers(-50, 50))
    )


def times(pieces):
    return [piece.t.tolist() for piece in pieces]


def test_windows_follow_each_other_and_the_last_may_end_after_the_last_event():
    events = stream([0, 150, 299, 300])
    assert times(slice_by_time(events, 0.1)) == [[0], [150], [299], [300]]
    assert times(slice_by_time(events, 0.1, include_incomplete=False)) == [[0], [150], [299]]
    assert times(slice_by_time(events, 0.2, overlap=0.1)) == [[0, 150], [150, 299], [299, 300]]
    assert times(slice_by_time(events, 0.2, start=-0.1, end=0.3)) == [[0], [150, 299]]
    assert times(slice_by_time(events, 0.25, start=0.1)) == [[150, 299, 300]]
    assert times(slice_by_time(events, 5)) == [[0, 150, 299, 300]]


def test_quiet_windows_are_empty_and_know_the_sensor():
    pieces = list(slice_by_time(stream([0, 350]), 0.1))
    assert times(pieces) == [[0], [], [], [350]]
    assert {piece.sensor_size for piece in pieces} == {(7, 1)}
    assert times(slice_by_time(stream([]), 0.1, start=0, end=0.15)) == [[], []]
    assert times(slice_by_time(stream([]), 0.1)) == times(slice_by_time(stream([]), 0.1, start=3)) == []
    assert list(slice_by_time([], 0.1, start=0, end=1)) == []


@settings(deadline=None, max_examples=50)
@given(sorted_streams(), st.integers(1, 60), st.integers(1, 9), st.integers(0, 40))
def test_slices_without_overlap_are_the_events(events, window, n, cut):
    cut = min(cut, len(events))
    for source in (events, iter([events[:cut], events[cut:cut], events[cut:]])):
        pieces = list(slice_by_time(source, window / 1000))
        assert Events.concatenate([events[:0], *pieces]).equals(events)
        assert all(np.ptp(piece.t) < window for piece in pieces if len(piece))
    for pieces in (slice_by_count(events, n), slice_by_count(iter([events[:cut], events[cut:]]), n),
                   slice_by_bins(events, n), slice_by_event_bins(events, n),
                   slice_at(events, np.arange(n) / 100)):  # fmt: skip
        assert Events.concatenate([events[:0], *pieces]).equals(events)


@settings(deadline=None, max_examples=50)
@given(sorted_streams(), st.integers(2, 40), st.integers(1, 40), st.integers(0, 30), st.integers(0, 60))
def test_windows_follow_their_definition(events, window, overlap, start, length):
    overlap, whole = min(overlap, window - 1), start + length
    found = times(slice_by_time(events, window / 1000, overlap=overlap / 1000, start=start / 1000, end=whole / 1000))
    expected, begin = [], start
    while begin < whole and (begin == start or begin + overlap < whole):
        expected.append([t for t in events.t.tolist() if begin <= t < min(begin + window, whole)])
        begin += window - overlap
    assert found == expected


def test_counts_overlap_and_end_with_the_last_event():
    events = stream(range(10))
    assert times(slice_by_count(events, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert times(slice_by_count(events, 4, include_incomplete=False)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert times(slice_by_count(events, 4, overlap=2)) == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8, 9]]
    assert times(slice_by_count(events, 20)) == [list(range(10))]
    assert times(slice_by_event_bins(events, 3)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert times(slice_by_bins(events, 2, end=0.02)) == [list(range(10)), []]


def test_cuts_at_times_keep_what_lies_before_and_after():
    assert times(slice_at(stream([0, 10, 20, 30]), [0.01, 0.025])) == [[0], [10, 20], [30]]
    assert times(slice_at(stream([0]), [])) == [[0]]
    with pytest.raises(ParameterError, match=r"slice_at.times must rise"):
        slice_at(stream([0]), [2, 1])


def test_slices_of_events_are_views():
    events = stream(range(100))
    for piece in (*slice_by_time(events, 0.01), *slice_by_count(events, 7), *slice_by_bins(events, 3)):
        assert np.shares_memory(piece.t, events.t)


def test_of_a_long_stream_only_a_window_and_a_piece_are_held():
    pieces = (stream(np.arange(k * 10_000, (k + 1) * 10_000)) for k in range(100))
    tracemalloc.start()
    assert sum(len(piece) for piece in slice_by_time(pieces, 15.0)) == 10**6
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6  # a piece and its arrays on the way to Events; the stream has 13 MB


def test_streams_out_of_order_and_what_is_no_stream_are_refused():
    with pytest.raises(DataError, match=r"a part begins at 5 us, before the end of the last at 9 us"):
        list(slice_by_time([stream([0, 9]), stream([5])], 1))
    with pytest.raises(DataError, match="expected Events or an iterable of them, got int"):
        list(slice_by_count([3], 1))
    with pytest.raises(DataError, match=r"times within 4611686018427387904 us of 0"):
        list(slice_by_time(stream([2**62]), 1))
    with pytest.raises(DataError, match=r"use events.sorted\(\)"):
        list(slice_by_time(stream([3, 1]), 1))
    for arguments, text in (({"window": -1}, "slice_by_time.window"), ({"window": 1, "overlap": 1}, "overlap"),
                            ({"window": 1, "start": np.inf}, "start"),
                            ({"window": 1e13}, r"window must be from 0.001 ms, .*, to below 1e.12 ms")):  # fmt: skip
        with pytest.raises(ParameterError, match=text):
            slice_by_time(stream([0]), **arguments)  # when it is called, not when it is first asked for a piece
    with pytest.raises(ParameterError, match="overlap must be an integer from 0 to below 3 events, got 3"):
        slice_by_count(stream([0]), 3, overlap=3)

"""Sorting of events into spikes: compiled and by NumPy, against Python's own sorting."""

import itertools
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom import native
from spikeloom.errors import CompilerError
from spikeloom.native.compiled import compiled
from spikeloom.spikes import Spikes, sorting
from spikeloom.spikes.sorting import HEADER, Ragged, Room, grid_events, sorted_keys

every_level = pytest.mark.parametrize("level", [*native.available(), None])


@pytest.fixture
def at(monkeypatch):
    """Makes the functions run at a level, None for NumPy."""

    def choose(level):
        library = None if level is None else native.load(native.include(HEADER), level)
        monkeypatch.setattr(sorting, "compiled", lambda header: library)
        monkeypatch.setattr(sorting, "FEW", 0)

    return choose


@every_level
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("most", [1, 1000, 1024, 2**20, 2**31 - 1, 2**62])
def test_keys_come_in_order_and_equal_ones_in_that_in_which_they_were(at, level, dtype, most):
    at(level)
    most = min(most, np.iinfo(dtype).max)
    for n in (0, 1, 3000):
        keys = np.random.default_rng(n).integers(0, most, n, dtype=dtype)
        keys[: n // 2] = keys[n // 2 : n // 2 * 2]
        before = keys.copy()
        ordered, order = sorted_keys(keys)
        assert list(zip(ordered, order, strict=True)) == sorted((key, place) for place, key in enumerate(before))
        assert ordered.dtype == dtype
        np.testing.assert_array_equal(keys, before)


def gridded(samples, n_neurons, narrow, counted=True):
    """The events of samples [(step, id), ...] through `grid_events`, as lists of (step, id, count)."""
    step = np.array([s for sample in samples for s, _ in sample], np.int32)
    ids = np.array([i for sample in samples for _, i in sample], np.int32)
    lengths, table = np.array([len(sample) for sample in samples], np.int64), None
    if narrow:
        table = np.full(1 << 16, -1, np.int32)
        table[1000 : 1000 + 3000] = np.arange(3000)
        step, ids = np.where(step < 0, 0, step + 1000).astype(np.uint16), ids.astype(np.uint16)
    places = [np.full(step.size, -7, np.int32) for _ in range(3)]
    room = Room(*places[:2], places[2] if counted else None)
    ends, bad = grid_events(Ragged.of(step, lengths), Ragged.of(ids, lengths), lengths, n_neurons, table, room)
    if bad is not None:
        return bad
    bounds = [0, *ends.tolist()]
    rows = list(zip(*(place[: bounds[-1]].tolist() for place in places), strict=True))
    return [rows[a:b] for a, b in itertools.pairwise(bounds)]


def by_hand(samples):
    return [[(*event, sample.count(event)) for event in sorted(set(sample))] for sample in samples]


SAMPLES = st.lists(st.lists(st.tuples(st.integers(0, 2999), st.integers(0, 6)), max_size=30), max_size=5)


@given(SAMPLES)
@pytest.mark.parametrize("narrow", [True, False])
def test_events_become_spikes_in_order_each_once(narrow, samples):
    assert gridded(samples, 7, narrow) == by_hand(samples)


@every_level
@pytest.mark.parametrize("narrow", [True, False])
def test_all_levels_give_the_same_spikes(at, level, narrow):
    at(level)
    rng = np.random.default_rng(3)
    samples = [[(int(s), int(i)) for s, i in rng.integers(0, (3000, 9), (n, 2))] for n in (500, 0, 1, 2500)]
    assert gridded(samples, 9, narrow) == by_hand(samples)


@every_level
def test_steps_and_ids_of_more_than_32_bits_together_are_sorted_too(at, level):
    at(level)
    samples = [[(2**31 - 1, 2**31 - 2), (2**31 - 1, 0), (0, 2**31 - 2), (2**31 - 1, 0)]]
    assert gridded(samples, 2**31 - 1, narrow=False) == by_hand(samples)


@every_level
@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("event", [(-1, 0), (0, 7), (5, 60000)])
def test_the_first_wrong_event_is_named(at, level, narrow, event):
    at(level)
    assert gridded([[(1, 1)], [], [(0, 0), event, event]], 7, narrow) == (2, 1)


@every_level
def test_a_negative_id_is_a_wrong_one(at, level):
    at(level)
    assert gridded([[(0, 3), (0, -1)]], 7, narrow=False) == (0, 1)


def test_arrays_may_lie_anywhere_in_the_bytes():
    """Also at odd places, where no number of two bytes begins in memory."""
    content = np.frombuffer(
        b"x" + np.array([5, 2], "<u2").tobytes() + b"yy" + np.array([1, 3], "<u2").tobytes(), np.uint8
    )
    table = np.arange(1 << 16, dtype=np.int32)
    time, ids = (Ragged(content, np.array([at]), np.dtype(np.uint16)) for at in (1, 7))
    for library in (compiled(HEADER), None):
        room = Room(np.zeros(2, np.int32), np.zeros(2, np.int32), None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sorting, "compiled", lambda header, found=library: found)
            assert grid_events(time, ids, np.array([2]), 4, table, room)[0].tolist() == [2]
        assert (room.step.tolist(), room.ids.tolist()) == ([2, 5], [3, 1])


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_spikes_made_from_steps_are_the_same_with_and_without_the_compiled_sort(seed, graded):
    rng = np.random.default_rng(seed)
    n = 700
    events = (rng.integers(0, 30, n), rng.integers(0, 20, n), 20, 30, 0.5)
    values = rng.choice([-2, 1, 3], n) if graded else None
    options = {"samples": rng.integers(0, 4, n), "values": values, "collisions": "sum", "n_samples": 5}
    compiled_one = Spikes.from_steps(*events, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "compiled", lambda header: None)
        plain = Spikes.from_steps(*events, **options)
    for name in ("offsets", "ids", "step", "value"):
        a, b = getattr(compiled_one, name), getattr(plain, name)
        np.testing.assert_array_equal(a, b)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)


def test_without_a_compiler_numpy_runs_which_is_told_once(monkeypatch, caplog):
    def refuse(source):
        raise CompilerError("no C++ compiler found")

    monkeypatch.setattr("spikeloom.native.compiled.load", refuse)
    compiled.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert compiled("spike_sort.hpp") is None
            assert compiled("spike_sort.hpp") is None
    finally:
        compiled.cache_clear()
    assert len(caplog.records) == 1
    assert "spike_sort.hpp runs as NumPy code" in caplog.text

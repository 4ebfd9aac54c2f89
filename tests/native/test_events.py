"""Lists of events by row and by neuron, against rasters made by hand and by NumPy."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom import native
from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.native.events import (
    Columns,
    EventRows,
    bits_to_raster,
    columns,
    count_bits,
    empty,
    rows_of_bits,
    rows_of_raster,
    rows_of_spikes,
)
from spikeloom.spikes import Spikes

every_level = pytest.mark.parametrize("level", native.available())
sizes = st.tuples(st.integers(0, 6), st.integers(0, 5), st.integers(0, 150))
densities = st.sampled_from([0.0, 0.02, 0.3, 1.0])
seeds = st.integers(0, 2**32 - 1)


def raster(size, density, seed, dtype=np.float32, graded=False):
    """Random zeros and numbers other than zero, which are 1 unless graded."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 100, size) if graded else np.ones(size)
    return np.where(rng.random(size) < density, numbers, 0).astype(dtype)


def packed(spikes):
    """The bits of a raster, by NumPy."""
    words = -(-spikes.shape[2] // 64)
    padded = np.zeros((*spikes.shape[:2], words * 64), bool)
    padded[:, :, : spikes.shape[2]] = spikes != 0
    return np.packbits(padded, axis=2, bitorder="little").view(np.uint64).reshape(*spikes.shape[:2], words)


def dense(rows):
    """The raster of event rows, event by event."""
    out = np.zeros((rows.n_steps, rows.n_samples, rows.n))
    for r in range(rows.n_steps * rows.n_samples):
        for e in range(rows.start[r], rows.start[r + 1]):
            out[r % rows.n_steps, r // rows.n_steps, rows.ids[e]] += 1 if rows.values is None else rows.values[e]
    return out


def dense_of_columns(lists, n_steps):
    out = np.zeros((n_steps * lists.n_samples, lists.n))
    for entry in range(lists.n_chunks * lists.n):
        for e in range(lists.lists[entry], lists.lists[entry + 1]):
            out[lists.rows[e], entry % lists.n] += 1 if lists.values is None else lists.values[e]
    return out.reshape(n_steps, lists.n_samples, lists.n)


def some_rows(density=0.2, dtype=np.float32, graded=False):
    return rows_of_raster(raster((4, 3, 70), density, 1, dtype, graded))


@every_level
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint8])
@settings(deadline=None, max_examples=15)
@given(size=sizes, density=densities, seed=seeds, graded=st.booleans())
def test_rows_of_a_raster_hold_its_numbers(level, dtype, size, density, seed, graded):
    x = raster(size, density, seed, dtype, graded)
    with native.using(level):
        rows = rows_of_raster(x)
    assert np.array_equal(dense(rows), x)
    assert (rows.values is None) == bool(((x == 0) | (x == 1)).all())
    assert rows.n_events == np.count_nonzero(x)
    assert all((np.diff(rows.ids[a:b]) > 0).all() for a, b in zip(rows.start[:-1], rows.start[1:], strict=True))


@pytest.mark.parametrize("x", [raster((7, 3, 65), 0.2, 5), raster((7, 3, 65), 0.2, 5, np.int8, graded=True)])
def test_a_raster_may_have_any_stride_in_time(x):
    wide = np.concatenate([x, x + 1], axis=1)
    for view in (x[::2], x[::-1], x[3:4], np.broadcast_to(x[2], x.shape), wide[:, :3]):
        assert np.array_equal(dense(rows_of_raster(view)), view)


def test_a_torch_tensor_is_read_where_it_lies():
    x = torch.from_numpy(raster((5, 3, 20), 0.3, 2)).requires_grad_()
    assert np.array_equal(dense(rows_of_raster(x)), x.detach().numpy())
    assert np.array_equal(dense(rows_of_raster(x.detach().bool())), x.detach().numpy())
    spread = x.detach()[1].expand(4, 3, 20)
    assert np.array_equal(dense(rows_of_raster(spread)), spread.numpy())


def test_a_negative_zero_is_no_event_and_a_nan_is_one():
    rows = rows_of_raster(np.array([[[-0.0, np.nan, 1.0, 0.0]]], np.float32))
    assert rows.ids.tolist() == [1, 2]
    assert np.isnan(rows.values[0])
    assert rows.values[1] == 1


def test_values_have_the_dtype_that_is_asked_for():
    x = raster((3, 2, 9), 0.5, 3, np.float32, graded=True)
    assert rows_of_raster(x).values.dtype == np.float32
    assert rows_of_raster(x.astype(np.float64)).values.dtype == np.float64
    assert rows_of_raster(x, np.float64).values.dtype == np.float64
    assert np.array_equal(dense(rows_of_raster(x, np.float64)), x)


@every_level
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None, max_examples=15)
@given(size=sizes, density=densities, seed=seeds)
def test_bits_and_rasters_hold_the_same_spikes(level, dtype, size, density, seed):
    x = raster(size, density, seed, dtype)
    bits, out, twice = packed(x), np.full(size, 7, dtype), np.full(size, 7, dtype)
    with native.using(level):
        bits_to_raster(bits, size[2], out)
        bits_to_raster(bits, size[2], twice, threads=2)
        rows = rows_of_bits(bits, size[2])
        assert count_bits(bits) == x.sum()
    assert np.array_equal(out, x)
    assert np.array_equal(twice, x)
    assert np.array_equal(dense(rows), x)
    assert rows.values is None


@every_level
def test_bits_beyond_the_last_neuron_are_not_looked_at(level):
    bits = np.full((2, 3, 2), ~np.uint64(0))
    with native.using(level):
        rows, out = rows_of_bits(bits, 70), np.empty((2, 3, 70), np.float32)
        bits_to_raster(bits, 70, out)
    assert rows.n_events == 2 * 3 * 70
    assert rows.ids.max() == 69
    assert (out == 1).all()


@every_level
@pytest.mark.parametrize("index", [np.int32, np.int64])
@settings(deadline=None, max_examples=15)
@given(size=sizes, density=densities, seed=seeds, graded=st.booleans())
def test_rows_of_spikes_are_the_spikes(level, index, size, density, seed, graded):
    n_steps, n_samples, n = (s + 1 for s in size)
    x = raster((n_steps, n_samples, n), density, seed, np.float32, graded)
    spikes = Spikes.from_raster(x, 1.0)
    step, ids = spikes.step.astype(index), spikes.ids.astype(index)
    with native.using(level):
        rows = rows_of_spikes(spikes.offsets, step, ids, spikes.value, n_steps, n)
    assert np.array_equal(dense(rows), x)
    assert (rows.values is None) == (spikes.value is None)


def test_rows_of_spikes_share_the_ids_and_convert_the_values():
    offsets, step, ids = np.array([0, 1, 3]), np.array([1, 0, 2], np.int32), np.array([3, 1, 0], np.int32)
    rows = rows_of_spikes(offsets, step, ids, np.array([-1, 2, 3], np.int8), 3, 4, np.float64)
    assert np.shares_memory(rows.ids, ids)
    assert rows.values.dtype == np.float64
    assert rows.values.tolist() == [-1, 2, 3]
    assert rows.start.tolist() == [0, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        {"step": np.array([1, 0, 2, 1], np.int32)},
        {"step": np.array([0, -1, 2, 2], np.int32)},
        {"step": np.array([0, 1, 2, 3], np.int32)},
        {"step": np.array([0, 1, 2, 2**31 - 1], np.int32)},
        {"ids": np.array([0, 1, 5, 2], np.int32)},
        {"ids": np.array([0, -1, 4, 2], np.int32)},
        {"ids": np.array([0, 1, 2, 2**32], np.int64)},
        {"ids": np.array([0, 1, 2], np.int32)},
        {"ids": np.array([0.0, 1, 2, 3])},
        {"offsets": np.array([0, 3, 2, 4])},
        {"offsets": np.array([1, 2, 2, 4])},
        {"offsets": np.array([0, 2, 2, 5])},
        {"offsets": np.array([], np.int64)},
        {"offsets": np.array([0, 2, 2, 4], np.int32)},
        {"values": np.ones(3)},
        {"n_steps": 2.5},
        {"n_steps": -1},
        {"n": 2**40},
        {"dtype": np.float16},
    ],
)
def test_events_that_are_out_of_order_or_out_of_range_are_refused(change):
    good = {
        "offsets": np.array([0, 2, 2, 4]),
        "step": np.array([0, 1, 2, 2], np.int32),
        "ids": np.array([4, 1, 3, 0], np.int32),
        "values": None,
        "n_steps": 3,
        "n": 5,
    }
    assert rows_of_spikes(**good).n_events == 4
    with pytest.raises((DataError, ShapeError, ParameterError)):
        rows_of_spikes(**(good | change))


def test_a_step_that_goes_back_late_in_a_long_sample_is_found():
    step = np.repeat(np.arange(10, dtype=np.int32), 50)
    step[477] = 8
    with pytest.raises(DataError, match="step 8 at event 477"):
        rows_of_spikes(np.array([0, 500]), step, np.zeros(500, np.int32), None, 10, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"start": np.array([0, 2, 1, 3, 3])},
        {"start": np.array([1, 2, 2, 3, 3])},
        {"start": np.array([0, 2, 2, 2, 2])},
        {"start": np.array([0, 2, 2, 3])},
        {"start": np.array([0, 2, 2, 3, 3], np.int32)},
        {"ids": np.array([0, 1, 9], np.int32)},
        {"ids": np.array([0, 1, -1], np.int32)},
        {"ids": np.array([0, 1, 2])},
        {"ids": np.arange(6, dtype=np.int32)[::2]},
        {"values": np.ones(2, np.float32)},
        {"values": np.ones(3, np.int8)},
        {"n_steps": 3},
        {"n_steps": 2.0},
        {"n_samples": -2, "n_steps": -2},
        {"n": 2**31},
    ],
)
def test_rows_that_do_not_fit_are_refused(change):
    good = {"start": np.array([0, 2, 2, 3, 3]), "ids": np.array([0, 8, 3], np.int32), "values": None}
    good |= {"n_steps": 2, "n_samples": 2, "n": 9}
    assert EventRows(**good).n_events == 3
    with pytest.raises((DataError, ShapeError, ParameterError)):
        EventRows(**(good | change))


def test_rows_cannot_be_changed_through_them():
    rows = some_rows(graded=True)
    with pytest.raises(FrozenInstanceError):
        rows.n = 5
    for array in (rows.start, rows.ids, rows.values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_density_is_the_share_of_events():
    assert rows_of_raster(np.eye(4, dtype=np.float32).reshape(4, 1, 4)).density == 0.25
    assert rows_of_raster(np.zeros((0, 2, 3), np.float32)).density == 0


@every_level
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None, max_examples=15)
@given(
    size=sizes,
    density=densities,
    seed=seeds,
    graded=st.booleans(),
    chunk=st.sampled_from([None, 1, 2, 5, 7, 2048]),
    window=st.tuples(st.integers(0, 6), st.integers(0, 6)),
)
def test_columns_hold_every_event_of_the_window_once(level, dtype, size, density, seed, graded, chunk, window):
    x = raster(size, density, seed, dtype, graded)
    first, last = (min(w, size[0]) for w in sorted(window))
    with native.using(level):
        lists = columns(rows_of_raster(x), chunk, first, last - first)
        split = columns(rows_of_raster(x), chunk, first, last - first, threads=2)
    expected = np.zeros_like(x)
    expected[first:last] = x[first:last]
    assert np.array_equal(dense_of_columns(lists, size[0]), expected)
    assert np.array_equal(lists.lists, split.lists)
    assert np.array_equal(lists.rows, split.rows)


@pytest.mark.parametrize(("n_samples", "chunk", "most"), [(3, 12, 12), (3, 11, 9), (10, 4, 4), (10, 10, 10), (5, 1, 1)])
def test_a_chunk_of_columns_keeps_to_its_rows(n_samples, chunk, most):
    lists = columns(rows_of_raster(np.ones((9, n_samples, 4), np.float32)), chunk)
    chunks = [lists.rows[lists.lists[c * 4] : lists.lists[c * 4 + 4]] for c in range(lists.n_chunks)]
    assert max(len(np.unique(rows)) for rows in chunks) == most
    assert sum(len(np.unique(rows)) for rows in chunks) == 9 * n_samples


def test_columns_of_all_steps_are_the_default():
    lists = columns(some_rows())
    assert (lists.first_step, lists.n_steps) == (0, 4)
    assert columns(some_rows(), first_step=3).n_steps == 1


@pytest.mark.parametrize("bad", [{"chunk": 0}, {"first_step": 5}, {"first_step": 2, "n_steps": 3}, {"first_step": -1}])
def test_columns_beyond_the_steps_are_refused(bad):
    with pytest.raises(ParameterError):
        columns(some_rows(), **bad)


@pytest.mark.parametrize("row", [-1, 5, 12])
def test_columns_with_rows_beyond_their_window_are_refused(row):
    lists = np.array([0, 1, 1])
    assert Columns(lists, np.array([6], np.int32), None, 1, 2, 2, 3, 2).n == 2
    with pytest.raises(DataError):
        Columns(lists, np.array([row], np.int32), None, 1, 2, 2, 3, 2)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 3), np.float32),
        np.zeros((2, 3, 4), np.float16),
        np.zeros((2, 3, 4), np.int64),
        np.zeros((2, 3, 8), np.float32)[:, :, ::2],
        np.zeros((2, 4, 3), np.float32).transpose(0, 2, 1),
    ],
)
def test_a_raster_of_another_shape_dtype_or_order_is_refused(x):
    with pytest.raises((DataError, ShapeError)):
        rows_of_raster(x)


def shrunk(n_bytes):
    """A tensor of whose memory some bytes are left."""
    x = torch.zeros(2, 3, 1, dtype=torch.uint64)
    x.untyped_storage().resize_(n_bytes)
    return x


@pytest.mark.parametrize(
    "bits",
    [
        np.zeros((2, 3, 2), np.uint64),
        np.zeros((2, 3, 1), np.int64),
        np.zeros((2, 1), np.uint64),
        np.zeros((2, 6, 1), np.uint64)[:, ::2],
        [[1]],
        torch.zeros(2, 3, 1, dtype=torch.uint64, device="meta"),
        shrunk(0),
        shrunk(40),
    ],
)
def test_bits_of_another_shape_or_kind_are_refused(bits):
    with pytest.raises((DataError, ShapeError)):
        rows_of_bits(bits, 10)
    with pytest.raises((DataError, ShapeError)):
        bits_to_raster(bits, 10, np.zeros((2, 3, 10), np.float32))


def test_a_raster_that_cannot_be_written_is_refused():
    bits, out = np.zeros((2, 3, 1), np.uint64), np.zeros((2, 3, 10), np.float32)
    out.flags.writeable = False
    for bad in (out, np.zeros((2, 3, 11), np.float32), np.zeros((2, 3, 10), np.int8)):
        with pytest.raises((DataError, ShapeError)):
            bits_to_raster(bits, 10, bad)


@settings(max_examples=30)
@given(shape=st.lists(st.integers(0, 9), max_size=4), dtype=st.sampled_from(["int8", "float32", "float64"]))
def test_an_empty_array_starts_on_a_cache_line(shape, dtype):
    array = empty(shape, dtype)
    assert array.shape == tuple(shape)
    assert array.dtype == dtype
    assert array.size == 0 or array.ctypes.data % 64 == 0
    array[...] = 1

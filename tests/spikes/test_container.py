"""Spikes: construction, conversion, selection; every identity against a dense raster or a hand count."""

import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikeloom.errors import DataError, ParameterError, ShapeError, StateError
from spikeloom.spikes import Spikes

sizes = st.integers(1, 4)
shapes = st.one_of(st.tuples(sizes), st.tuples(sizes, sizes))


@st.composite
def rasters(draw, elements=None, dtype=np.int8, min_samples=0):
    shape = (draw(st.integers(1, 9)), draw(st.integers(min_samples, 4)), *draw(shapes))
    return draw(hnp.arrays(dtype, shape, elements=st.integers(0, 1) if elements is None else elements))


floats = st.one_of(st.just(0.0), st.floats(0.125, 8, width=32), st.floats(-8, -0.125, width=32))
any_raster = st.one_of(rasters(), rasters(st.integers(-128, 127)), rasters(floats, np.float32))


@given(any_raster)
def test_a_raster_survives_the_way_through_spikes(raster):
    spikes = Spikes.from_raster(raster, 0.1)
    back = spikes.raster()
    assert np.array_equal(back, raster)
    assert spikes.n_spikes == np.count_nonzero(raster)
    assert Spikes.from_raster(back, 0.1).equals(spikes)


@given(any_raster)
def test_spikes_are_sorted_by_sample_step_and_id(raster):
    spikes = Spikes.from_raster(raster, 0.1)
    events = list(zip(spikes.samples(), spikes.step, spikes.ids, strict=True))
    assert events == sorted(set(events))
    assert spikes.offsets[0] == 0
    assert spikes.offsets[-1] == spikes.n_spikes
    assert spikes.ids.dtype == spikes.step.dtype == np.int32


@given(any_raster, st.randoms(use_true_random=False))
def test_the_order_in_which_events_come_does_not_matter(raster, random):
    t, b, *rest = np.nonzero(raster)
    ids = np.ravel_multi_index(rest, raster.shape[2:])
    order = list(range(t.size))
    random.shuffle(order)
    order = np.array(order, int)
    spikes = Spikes.from_steps(
        t[order],
        ids[order],
        raster.shape[2:],
        len(raster),
        0.1,
        samples=b[order],
        n_samples=raster.shape[1],
        values=raster[np.nonzero(raster)][order],
    )
    assert spikes.equals(Spikes.from_raster(raster, 0.1))


@given(rasters())
def test_torch_and_numpy_rasters_are_the_same_spikes(raster):
    spikes = Spikes.from_raster(torch.from_numpy(raster), 1.0)
    assert spikes.equals(Spikes.from_raster(raster, 1.0))
    assert spikes.tensor().dtype == torch.int8
    assert torch.equal(spikes.tensor(), torch.from_numpy(raster))
    assert spikes.tensor(torch.float64, "cpu").dtype == torch.float64


@given(rasters(st.integers(-3, 3)))
def test_counts_are_the_non_zero_entries_summed_over_time(raster):
    assert np.array_equal(Spikes.from_raster(raster, 1.0).counts(), np.count_nonzero(raster, axis=0))


@given(rasters(st.integers(-3, 3), min_samples=1), st.data())
def test_selecting_samples_equals_selecting_columns_of_the_raster(raster, data):
    n_samples = raster.shape[1]
    spikes = Spikes.from_raster(raster, 1.0, labels=np.arange(n_samples) + 7)
    rows = data.draw(st.lists(st.integers(-n_samples, n_samples - 1)))
    for index in (rows, slice(None, None, 2), slice(1, 1), np.arange(n_samples) % 2 == 0):
        chosen = spikes[index]
        assert np.array_equal(chosen.raster(np.int16), raster[:, index])
        assert np.array_equal(chosen.labels, (np.arange(n_samples) + 7)[index])
    assert np.array_equal(spikes[-1].raster(np.int16), raster[:, -1:])
    assert spikes[torch.tensor(rows, dtype=torch.int64)].equals(spikes[rows])


@given(rasters(st.integers(-3, 3), min_samples=1))
def test_concatenating_all_samples_gives_the_batch(raster):
    spikes = Spikes.from_raster(raster, 1.0, labels=np.arange(raster.shape[1]))
    assert Spikes.concatenate(list(spikes)).equals(spikes)
    twice = Spikes.concatenate([spikes, spikes[:0], spikes])
    assert np.array_equal(twice.raster(np.int16), np.concatenate([raster, raster], axis=1))


def test_a_part_without_values_counts_as_ones_when_joined_with_one_that_has_them():
    plain = Spikes.from_steps([1], [0], 1, 2, 1.0)
    graded = Spikes.from_steps([0], [0], 1, 2, 1.0, values=[-5])
    assert Spikes.concatenate([plain, graded]).raster().tolist() == [[[0], [-5]], [[1], [0]]]


@given(st.floats(1e-3, 10), st.lists(st.integers(0, 10**6 - 1), min_size=1, max_size=50, unique=True))
def test_a_spike_at_k_times_dt_stays_on_step_k(dt, ks):
    ks = np.sort(ks)
    spikes = Spikes.from_times(ks * dt, np.zeros(ks.size, int), 1, 10**6 * dt)
    assert np.array_equal(spikes.on_grid(dt).step, ks)
    assert spikes.on_grid(dt).n_steps == 10**6


def test_every_step_of_a_long_raster_keeps_its_spike():
    assert 43 * 0.1 / 0.1 != 43
    k = np.arange(10**6)
    assert np.array_equal(Spikes.from_times(k * 0.1, 0 * k, 1, 1e5).on_grid(0.1).step, k)


@given(rasters(st.integers(-3, 3)), st.sampled_from([0.1, 0.3, 1.0, 1 / 3]))
def test_times_and_back_to_the_grid_is_lossless(raster, dt):
    spikes = Spikes.from_raster(raster, dt, labels=np.arange(raster.shape[1]))
    timed = Spikes.from_times(
        spikes.times_ms(),
        spikes.ids,
        spikes.shape,
        spikes.duration,
        samples=spikes.samples(),
        values=spikes.values(),
        labels=spikes.labels,
    )
    assert timed.dt is None
    assert timed.on_grid(dt).equals(spikes)
    assert spikes.on_grid(dt) is spikes


def test_a_time_between_steps_belongs_to_the_step_it_falls_into():
    spikes = Spikes.from_times([0.0, 0.19, 0.2, 0.4999999999], [0, 1, 2, 3], 4, 0.5).on_grid(0.1)
    assert spikes.step.tolist() == [0, 1, 2, 4]
    assert spikes.n_steps == 5


def test_times_are_sorted_by_sample_then_time_then_id_and_may_repeat():
    spikes = Spikes.from_times([2, 1, 1, 1, 1], [0, 3, 1, 1, 2], 4, 3, samples=[0, 0, 1, 0, 0], n_samples=3)
    assert spikes.times_ms().tolist() == [1, 1, 1, 2, 1]
    assert spikes.ids.tolist() == [1, 2, 3, 0, 1]
    assert spikes.offsets.tolist() == [0, 4, 5, 5]


def test_two_spikes_in_one_step_are_an_error_unless_a_policy_is_given():
    spikes = Spikes.from_times([0.1, 0.2, 1.5, 0.3], [1, 1, 1, 0], 2, 3.0, values=[2, -5, 4, 1])
    with pytest.raises(DataError, match=r"neuron 1 fires twice in step 0 of sample 0.*collisions='merge' or 'sum'"):
        spikes.on_grid(1.0)
    merged, summed = spikes.on_grid(1.0, collisions="merge"), spikes.on_grid(1.0, collisions="sum")
    assert merged.raster()[:, 0].tolist() == [[1, 2], [0, 4], [0, 0]]
    assert summed.raster()[:, 0].tolist() == [[1, -3], [0, 4], [0, 0]]


def test_merging_keeps_the_value_that_was_given_first():
    generator = np.random.default_rng(0)
    step, values = generator.integers(10, size=1000), generator.random(1000, np.float32) + 1
    firsts = [values[np.flatnonzero(step == k)[0]] for k in range(10)]
    assert Spikes.from_steps(step, 0 * step, 1, 10, 1.0, values=values, collisions="merge").value.tolist() == firsts


def test_the_sum_of_spikes_without_values_is_their_number_and_a_zero_sum_is_no_spike():
    step, ids = [0, 0, 0, 1], [1, 1, 1, 0]
    assert Spikes.from_steps(step, ids, 2, 2, 1.0, collisions="sum").raster()[:, 0].tolist() == [[0, 3], [1, 0]]
    cancelled = Spikes.from_steps([0, 0], [0, 0], 1, 1, 1.0, values=[0.5, -0.5], collisions="sum")
    assert cancelled.n_spikes == 0


def test_a_sum_that_int8_cannot_hold_is_an_error_and_floats_are_the_way_out():
    events = ([0, 0], [0, 0], 1, 1, 1.0)
    with pytest.raises(DataError, match=r"-128\.\.127"):
        Spikes.from_steps(*events, values=[100, 100], collisions="sum")
    assert Spikes.from_steps(*events, values=[100.0, 100.0], collisions="sum").value.tolist() == [200.0]


def test_values_keep_their_numbers_in_int8_or_float32():
    assert Spikes.from_steps([1, 0], [0, 0], 1, 2, 1.0, values=[-128, 127]).value.tolist() == [127, -128]
    graded = Spikes.from_steps([1, 0], [0, 0], 1, 2, 1.0, values=[0.25, -2.5])
    assert graded.value.dtype == np.float32
    assert graded.raster().ravel().tolist() == [-2.5, 0.25]
    assert graded.raster(np.float64).dtype == np.float64
    with pytest.raises(ParameterError, match="hold float32 values, got int8"):
        graded.raster(np.int8)


@pytest.mark.parametrize("n_samples", [0, 1, 3])
def test_batches_without_spikes_work_everywhere(n_samples):
    on_grid = Spikes.from_steps([], [], (2, 3), 5, 0.1, n_samples=n_samples)
    timed = Spikes.from_times([], [], (2, 3), 0.5, n_samples=n_samples)
    assert timed.on_grid(0.1).equals(on_grid)
    assert on_grid.raster().shape == (5, n_samples, 2, 3)
    assert on_grid.counts().shape == (n_samples, 2, 3)
    assert len(on_grid) == len(list(on_grid)) == n_samples
    assert Spikes.concatenate([timed, timed])[:n_samples].equals(timed)


def test_one_recording_is_a_batch_of_one():
    raster = np.eye(3, dtype=np.int8)
    assert np.array_equal(Spikes.from_raster(raster, 1.0, batched=False).raster()[:, 0], raster)
    with pytest.raises(ShapeError, match=r"\(T, B, \*shape\), got \(3, 3\); use batched=False"):
        Spikes.from_raster(raster, 1.0)


def test_the_number_of_samples_comes_from_n_samples_then_labels_then_the_greatest_sample():
    events = ([0, 0], [0, 1], 2, 1, 1.0)
    assert len(Spikes.from_steps(*events)) == 1
    assert len(Spikes.from_steps(*events, samples=[0, 2])) == 3
    assert len(Spikes.from_steps(*events, samples=[0, 2], labels=[5, 6, 7, 8])) == 4
    assert len(Spikes.from_steps(*events, samples=[0, 2], n_samples=6)) == 6


def test_arguments_are_neither_changed_nor_shared():
    step, ids = np.array([1, 0]), np.array([0, 1], np.int32)
    spikes = Spikes.from_steps(step, ids, 2, 2, 1.0)
    ids[:] = 0
    assert step.tolist() == [1, 0]
    assert spikes.ids.tolist() == [1, 0]
    with pytest.raises(FrozenInstanceError):
        spikes.dt = 2.0


def test_equals_sees_every_difference_in_content():
    spikes = Spikes.from_steps([0, 1], [0, 1], 2, 2, 1.0)
    assert spikes.equals(Spikes.from_steps([0, 1], [0, 1], 2, 2, 1.0, values=[1, 1]))
    for other in (
        Spikes.from_steps([0, 0], [0, 1], 2, 2, 1.0),
        Spikes.from_steps([0, 1], [0, 0], 2, 2, 1.0),
        Spikes.from_steps([0, 1], [0, 1], (2, 1), 2, 1.0),
        Spikes.from_steps([0, 1], [0, 1], 2, 3, 1.0),
        Spikes.from_steps([0, 1], [0, 1], 2, 2, 0.5),
        Spikes.from_steps([0, 1], [0, 1], 2, 2, 1.0, values=[1, 2]),
        Spikes.from_steps([0, 1], [0, 1], 2, 2, 1.0, labels=[3]),
        Spikes.from_times([0, 1], [0, 1], 2, 2.0),
    ):
        assert not spikes.equals(other)


def test_spikes_can_be_sent_to_another_process():
    spikes = Spikes.from_steps([1, 0], [0, 1], 2, 2, 1.0, values=[2, 3], labels=[4])
    assert pickle.loads(pickle.dumps(spikes)).equals(spikes)  # noqa: S301


def test_repr_tells_sizes_and_no_data():
    spikes = Spikes.from_steps([1, 0], [0, 1], (1, 2), 500, 0.1, values=[2, 3], labels=[4])
    text = "Spikes(1 samples, shape (1, 2), 500 steps of 0.1 ms, 2 spikes, int8 values, labelled)"
    assert repr(spikes) == text
    assert repr(Spikes.from_times([], [], 3, 50)) == "Spikes(1 samples, shape (3,), 50 ms, 0 spikes)"


def test_times_in_ms_have_no_raster_before_a_grid_is_chosen():
    with pytest.raises(StateError, match=r"call on_grid\(dt\) first"):
        Spikes.from_times([0.5], [0], 1, 1.0).raster()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"step": [0, 5]}, DataError, r"Spikes.step\[1\] must be an integer from 0 to below 5, got 5"),
        ({"step": [-1, 0]}, DataError, r"Spikes.step\[0\].*got -1"),
        ({"step": [0.5, 1]}, ParameterError, "Spikes.step must hold integers, got float64"),
        ({"ids": [0, 4]}, DataError, r"Spikes.ids\[1\].*below 4, got 4"),
        ({"ids": [0, 1, 2]}, ShapeError, r"ids \(3,\)"),
        ({"ids": [[0, 1]]}, ShapeError, r"Spikes.ids must be one-dimensional, got shape \(1, 2\)"),
        ({"ids": ["a", "b"]}, ParameterError, "Spikes.ids must hold numbers"),
        ({"ids": [[0], [1, 2]]}, ShapeError, "regular array"),
        ({"shape": ()}, ParameterError, "at least one axis"),
        ({"shape": (2, 0)}, ParameterError, "at least 1, got 0"),
        ({"n_steps": 0}, ParameterError, "Spikes.n_steps must be an integer of at least 1, got 0"),
        ({"n_steps": 2.5}, ParameterError, "got 2.5"),
        ({"dt": -1.0}, ParameterError, "positive time step in ms, got -1.0"),
        ({"samples": [0, -1]}, DataError, r"Spikes.samples\[1\].*got -1"),
        ({"samples": [0, 2], "n_samples": 2}, DataError, r"Spikes.samples\[1\].*below 2, got 2"),
        ({"n_samples": 0}, DataError, r"Spikes.samples\[0\]"),
        ({"values": [1, 0]}, DataError, r"Spikes.values\[1\].*0 \(no spike\).*got 0"),
        ({"values": [1, 300]}, DataError, "give floats for a wider range, got 300"),
        ({"values": [1.0, np.nan]}, DataError, "got nan"),
        ({"values": [1.0, 1e60]}, DataError, r"Spikes.values\[1\].*float32"),
        ({"values": [1]}, ShapeError, r"values \(1,\)"),
        ({"labels": [1, 2], "n_samples": 3}, ShapeError, "one label for each of 3 samples, got 2"),
        ({"labels": [0.5]}, ParameterError, "Spikes.labels must hold integers"),
        ({"collisions": "add"}, ParameterError, "'error', 'merge' or 'sum', got 'add'"),
    ],
)
def test_bad_events_stop_at_the_door(change, error, message):
    good = {"step": [0, 1], "ids": [0, 1], "shape": (2, 2), "n_steps": 5, "dt": 0.1}
    with pytest.raises(error, match=message):
        Spikes.from_steps(**(good | change))


@pytest.mark.parametrize("time", [-0.1, 1.0, np.nan, np.inf])
def test_times_outside_the_recording_stop_at_the_door(time):
    with pytest.raises(DataError, match=r"Spikes.time\[1\] must be in 0 <= time < duration = 1.0 ms"):
        Spikes.from_times([0.5, time], [0, 0], 1, 1.0)


def test_bad_rasters_stop_at_the_door():
    raster = np.zeros((3, 2, 2))
    raster[2, 0, 1] = np.nan
    with pytest.raises(DataError, match=r"raster\[2, 0, 1\] must be a finite number, got nan"):
        Spikes.from_raster(raster, 1.0)
    with pytest.raises(DataError, match="got 200"):
        Spikes.from_raster(np.full((1, 1, 1), 200, np.uint8), 1.0)
    with pytest.raises(ParameterError, match="number of steps of raster"):
        Spikes.from_raster(np.zeros((0, 1, 1)), 1.0)
    with pytest.raises(ShapeError, match="one label for each of 2"):
        Spikes.from_raster(np.zeros((1, 2, 1)), 1.0, labels=[1])


def test_half_precision_tensors_are_read_without_loss():
    raster = torch.tensor([[[0.0, 1.5]]], dtype=torch.bfloat16, requires_grad=True)
    assert Spikes.from_raster(raster, 1.0).raster().tolist() == [[[0.0, 1.5]]]


def test_parts_that_differ_cannot_be_concatenated():
    one = Spikes.from_steps([0], [0], 2, 2, 1.0)
    with pytest.raises(ShapeError, match=r"shape must be the same in all parts, got \(2,\) and \(3,\)"):
        Spikes.concatenate([one, Spikes.from_steps([0], [0], 3, 2, 1.0)])
    with pytest.raises(ShapeError, match=r"dt must be the same in all parts, got 1.0 and None"):
        Spikes.concatenate([one, Spikes.from_times([0], [0], 2, 2.0)])
    with pytest.raises(DataError, match="either all parts have labels or none"):
        Spikes.concatenate([one, Spikes.from_steps([0], [0], 2, 2, 1.0, labels=[1])])
    with pytest.raises(ParameterError, match="at least one part"):
        Spikes.concatenate([])


def test_a_sample_that_does_not_exist_is_an_index_error():
    spikes = Spikes.from_steps([0], [0], 2, 2, 1.0)
    with pytest.raises(IndexError):
        spikes[1]
    with pytest.raises(ShapeError, match="selects samples"):
        spikes[[[0], [0]]]


@pytest.mark.parametrize(("n_steps", "n_neurons"), [(2**40, 2**20), (2**20, 2**40), (2**31, 2**31), (2**30, 2)])
def test_indices_beyond_int32_are_kept(n_steps, n_neurons):
    spikes = Spikes.from_steps([n_steps - 1, 0], [0, n_neurons - 1], n_neurons, n_steps, 1.0)
    assert spikes.step.tolist() == [0, n_steps - 1]
    assert spikes.ids.tolist() == [n_neurons - 1, 0]


def test_a_grid_too_large_to_number_is_refused():
    with pytest.raises(ParameterError, match=r"below 2\*\*63, got"):
        Spikes.from_steps([0], [0], 2**32, 2**31, 1.0)


def test_nobody_writes_to_the_spikes_and_the_arrays_they_were_made_of_stay_writable():
    step, ids, value = np.array([0, 2]), np.array([1, 3]), np.array([2, 3])
    on_grid = Spikes.from_steps(step, ids, 5, n_steps=4, dt=1.0, values=value)
    in_time = Spikes.from_times(step * 1.0, ids, 5, 4.0, values=value)
    for spikes in (on_grid, in_time, on_grid[[0]], on_grid.window(0, 3), in_time.on_grid(1.0)):
        for name in ("offsets", "ids", "step", "time", "value"):
            if (array := getattr(spikes, name)) is not None:
                with pytest.raises(ValueError, match="read-only"):
                    array[0] = 50
    own = np.array([1, 3], np.int32)
    replace(on_grid, ids=own)
    assert all(array.flags.writeable for array in (step, ids, value, own))

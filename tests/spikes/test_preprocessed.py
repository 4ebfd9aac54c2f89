"""mlGeNN's spike trains: the functions of its page of data, against its figures and sorting by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.spikes import (
    PreprocessedSpikes,
    Spikes,
    batch_spikes,
    calc_latest_spike_time,
    calc_max_spikes,
    calc_start_spikes,
    from_preprocessed,
    preprocess_spikes,
    preprocess_tonic_spikes,
    preprocess_tonic_spikes_separate,
    to_preprocessed,
)

ORDERING = ("t", "x", "y", "p")


def as_lists(spikes):
    return spikes.end_spikes.tolist(), spikes.spike_times.tolist()


def tonic(t, x, y, p, field=np.int16):
    """Events as Tonic's camera data sets have them."""
    events = np.zeros(len(t), [("x", field), ("y", field), ("t", np.int64), ("p", bool)])
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return events


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, tuple])
def test_the_example_of_the_page_runs_with_lists_arrays_and_tensors(kind):
    spikes = preprocess_spikes(kind([0.0, 10.0, 20.0, 30.0]), kind([0, 1, 2, 3]), 4)
    assert as_lists(spikes) == ([1, 2, 3, 4], [0.0, 10.0, 20.0, 30.0])
    assert (spikes.end_spikes.dtype, spikes.spike_times.dtype) == (np.int64, np.float64)


def test_spikes_are_sorted_by_neuron_then_time():
    spikes = preprocess_spikes([5.0, 1.0, 4.0, 3.0, 2.0], [2, 0, 0, 2, 0], 4)
    assert as_lists(spikes) == ([3, 3, 5, 5], [1.0, 2.0, 4.0, 3.0, 5.0])


def test_no_spikes_are_spikes_too():
    for empty in ([], np.zeros(0), np.zeros(0, int)):
        assert as_lists(preprocess_spikes(empty, empty, 3)) == ([0, 0, 0], [])


def test_what_several_spikes_at_one_time_become_is_said():
    given = ([1.0, 1.0, 1.0, 2.0], [0, 1, 0, 0], 2)
    assert as_lists(preprocess_spikes(*given)) == ([3, 4], [1.0, 1.0, 2.0, 1.0])
    assert as_lists(preprocess_spikes(*given, duplicates="merge")) == ([2, 3], [1.0, 2.0, 1.0])
    with pytest.raises(DataError, match="neuron 0 fires twice at 1 ms"):
        preprocess_spikes(*given, duplicates="error")
    with pytest.raises(ParameterError, match="duplicates must be"):
        preprocess_spikes(*given, duplicates="drop")


@pytest.mark.parametrize(
    ("times", "ids", "n", "error", "text"),
    [
        ([1.0], [4], 4, DataError, r"ids\[0\] must be a whole number from 0 to below 4, got 4"),
        ([1.0], [-1], 4, DataError, r"ids\[0\]"),
        ([1.0], [0.5], 4, DataError, r"ids\[0\]"),
        ([1.0], [np.nan], 4, DataError, r"ids\[0\]"),
        ([0.0, np.nan], [0, 1], 4, DataError, r"times\[1\] must be a finite time from 0 on, got nan"),
        ([np.inf], [0], 4, DataError, r"times\[0\]"),
        ([-0.1], [0], 4, DataError, r"times\[0\]"),
        ([1.0, 2.0], [0], 4, ShapeError, "one id for each time, got 1 ids, 2 times"),
        ([[1.0]], [[0]], 4, ShapeError, "one-dimensional"),
        ([1.0], [0], 0, ParameterError, "num_neurons"),
        (["a"], [0], 4, ParameterError, "numbers"),
    ],
)
def test_what_is_no_spike_stops_at_the_door(times, ids, n, error, text):
    with pytest.raises(error, match=text):
        preprocess_spikes(times, ids, n)


trains = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(st.integers(0, n - 1), st.floats(0, 50, allow_nan=False, width=32)), max_size=40),
    )
)


@given(trains)
def test_every_spike_is_kept_and_found_by_its_neuron(given):
    n, events = given
    spikes = preprocess_spikes([t for _, t in events], [i for i, _ in events], n)
    starts = calc_start_spikes(spikes.end_spikes)
    for neuron in range(n):
        own = spikes.spike_times[starts[neuron] : spikes.end_spikes[neuron]].tolist()
        assert own == sorted(t for i, t in events if i == neuron)


@pytest.mark.parametrize("field", [np.int16, np.uint8, np.int64, np.uint16])
def test_ids_are_computed_in_64_bits_whatever_the_type_of_the_fields(field):
    last = {np.int16: (239, 179, 240, 180), np.uint8: (239, 179, 240, 180)}.get(field, (639, 479, 640, 480))
    x, y, width, height = last
    spikes = preprocess_tonic_spikes(tonic([3000], [x], [y], [1], field), ORDERING, (width, height, 2))
    n = width * height * 2
    assert n in (86400, 614400)
    assert np.flatnonzero(np.diff(spikes.end_spikes, prepend=0)).tolist() == [n - 1]
    assert spikes.spike_times.tolist() == [3.0]


def test_the_id_is_c_order_of_row_column_and_polarity_and_us_become_ms():
    events = tonic([1000, 2000, 2500], [2, 0, 2], [1, 3, 1], [0, 1, 1])
    spikes = preprocess_tonic_spikes(events, ORDERING, (5, 4, 2))
    ids = np.flatnonzero(np.diff(spikes.end_spikes, prepend=0)).tolist()
    assert ids == [np.ravel_multi_index(at, (4, 5, 2)) for at in [(1, 2, 0), (1, 2, 1), (3, 0, 1)]]
    assert spikes.spike_times.tolist() == [1.0, 2.5, 2.0]


def test_a_sensor_may_have_three_polarities():
    events = {"t": np.array([1]), "x": np.array([1]), "y": np.array([1]), "p": np.array([2])}
    spikes = preprocess_tonic_spikes(events, ORDERING, (2, 2, 3))
    assert np.diff(spikes.end_spikes, prepend=0).tolist() == [0] * 11 + [1]


def test_the_loop_over_a_tonic_data_set_runs_as_printed():
    """With a data set by duck typing: samples (events, label), their ordering and sensor size."""

    class Two:
        ordering, sensor_size = ("t", "x", "p"), (700, 1, 1)

        def __len__(self):
            return 2

        def __getitem__(self, i):
            kinds = [("t", int), ("x", int), ("p", int)]
            return np.array([(2000, 5, 1), (1000, 699 * i, 1)], kinds), i

    dataset, spikes, labels = Two(), [], []
    for i in range(len(dataset)):
        events, label = dataset[i]
        spikes.append(preprocess_tonic_spikes(events, dataset.ordering, dataset.sensor_size))
        labels.append(label)
    assert [s.spike_times.tolist() for s in spikes] == [[1.0, 2.0], [2.0, 1.0]]
    assert labels == [0, 1]


def test_with_one_polarity_all_events_count_whatever_theirs_is():
    events = tonic([1000, 2000], [2, 2], [1, 1], [0, 1])
    spikes = preprocess_tonic_spikes(events, ORDERING, (5, 4, 1))
    assert spikes.end_spikes.size == 20
    assert spikes.end_spikes[2 + 1 * 5] == 2
    assert spikes.spike_times.tolist() == [1.0, 2.0]


def test_a_cochlea_has_columns_only():
    events = {"t": np.array([5000, 1000]), "x": np.array([699, 3], np.uint16), "p": np.array([1, 1])}
    spikes = preprocess_tonic_spikes(events, ("t", "x", "p"), (700, 1, 1))
    assert spikes.end_spikes[[2, 3, 698, 699]].tolist() == [0, 1, 1, 2]
    assert spikes.spike_times.tolist() == [1.0, 5.0]
    of_two = preprocess_tonic_spikes(events, ("t", "x", "p"), (700, 1, 2), time_scale=1.0)
    assert np.flatnonzero(np.diff(of_two.end_spikes, prepend=0)).tolist() == [7, 1399]
    assert of_two.spike_times.tolist() == [1000.0, 5000.0]


@pytest.mark.parametrize(
    ("change", "shape", "error", "text"),
    [
        ({"x": [5]}, (5, 4, 2), DataError, r"events\['x'\]\[0\] must be a whole number from 0 to below 5"),
        ({"y": [4]}, (5, 4, 2), DataError, r"events\['y'\]"),
        ({"t": [-1]}, (5, 4, 2), DataError, r"events\['t'\]"),
        ({}, (5, 4), ShapeError, "width, height, polarities"),
        ({"p": [2]}, (5, 4, 2), DataError, r"events\['p'\]"),
        ({"p": [-1]}, (5, 4, 2), DataError, r"events\['p'\]"),
    ],
)
def test_events_that_are_none_of_the_sensor_are_refused(change, shape, error, text):
    events = {name: np.array(change.get(name, [1])) for name in "txyp"}
    with pytest.raises(error, match=text):
        preprocess_tonic_spikes(events, ORDERING, shape)


def test_an_ordering_names_time_polarity_and_places():
    events = tonic([1], [1], [1], [1])
    for ordering in (("x", "y", "p"), ("t", "x", "y"), ("t", "y", "p")):
        with pytest.raises(ParameterError, match="ordering must name t, p and x"):
            preprocess_tonic_spikes(events, ordering, (5, 4, 2))
    with pytest.raises(DataError, match="must have the fields"):
        preprocess_tonic_spikes(events[["t", "x"]], ORDERING, (5, 4, 2))
    with pytest.raises(ShapeError, match="4 rows, the events have no 'y'"):
        preprocess_tonic_spikes(events, ("t", "x", "p"), (5, 4, 2))


def test_a_histogram_has_the_last_event_in_its_own_bin():
    """Where mlGeNN's, whose last bin is closed, has 1.0 and 999.0."""
    for last in (2000, 1000_000):
        events = tonic([0, last], [0, 0], [0, 0], [0, 0])
        spikes = preprocess_tonic_spikes(events, ORDERING, (2, 2, 1), dt=1.0, histogram_thresh=1)
        assert spikes.spike_times.tolist() == [0.0, last / 1000]


def test_a_histogram_fires_where_enough_events_of_a_neuron_fall_into_a_step():
    events = tonic([100, 200, 900, 1100, 1200, 100], [0, 0, 0, 0, 0, 1], [0] * 6, [1] * 6)
    for thresh, want in ((1, ([2, 3], [0.0, 1.0, 0.0])), (2, ([2, 2], [0.0, 1.0])), (3, ([1, 1], [0.0]))):
        spikes = preprocess_tonic_spikes(events, ORDERING, (2, 1, 1), dt=1.0, histogram_thresh=thresh)
        assert as_lists(spikes) == want


def test_a_histogram_of_nothing_is_empty_and_one_of_a_large_sensor_small():
    empty = preprocess_tonic_spikes(tonic([], [], [], []), ORDERING, (2, 2, 2), dt=1.0, histogram_thresh=1)
    assert as_lists(empty) == ([0] * 8, [])
    far = preprocess_tonic_spikes(tonic([10**12], [0], [0], [0]), ORDERING, (346, 260, 2), dt=0.001, histogram_thresh=1)
    assert far.spike_times.tolist() == [1e9]


def test_a_threshold_and_dt_belong_together():
    events = tonic([1], [0], [0], [0])
    for options in ({"dt": 1.0}, {"histogram_thresh": 1}):
        with pytest.raises(ParameterError, match="give both or none"):
            preprocess_tonic_spikes(events, ORDERING, (2, 2, 1), **options)
    for thresh in (0, -1, np.nan, True):
        with pytest.raises(ParameterError, match="histogram_thresh must be a number above 0"):
            preprocess_tonic_spikes(events, ORDERING, (2, 2, 1), dt=1.0, histogram_thresh=thresh)


def test_polarities_apart_are_as_many_populations():
    events = tonic([1000, 2000, 3000], [1, 0, 1], [0, 1, 1], [1, 0, 1])
    off, on = preprocess_tonic_spikes_separate(events, ORDERING, (2, 2, 2), 1 / 1000, None, None)
    assert as_lists(off) == ([0, 0, 1, 1], [2.0])
    assert as_lists(on) == ([0, 1, 1, 2], [1.0, 3.0])
    none, _ = preprocess_tonic_spikes_separate(events[:1], ORDERING, (2, 2, 2), dt=1.0, histogram_thresh=1)
    assert as_lists(none) == ([0] * 4, [])
    with pytest.raises(ShapeError, match="several polarities"):
        preprocess_tonic_spikes_separate(events, ORDERING, (2, 2, 1))


ONE = preprocess_spikes([3.0, 1.0], [1, 0], 2)
TWO = preprocess_spikes([7.0], [1], 2)
NONE = preprocess_spikes([], [], 2)


def test_a_short_batch_is_filled_with_empty_examples():
    batch = batch_spikes([ONE, NONE, TWO], 5)
    assert batch.end_spikes.tolist() == [[1, 2], [2, 2], [2, 3], [3, 3], [3, 3]]
    assert batch.spike_times.tolist() == [1.0, 3.0, 7.0]
    assert calc_start_spikes(batch.end_spikes).tolist() == [[0, 1], [2, 2], [2, 2], [3, 3], [3, 3]]
    assert calc_start_spikes(ONE.end_spikes).tolist() == [0, 1]


def test_a_batch_takes_one_to_its_size_of_examples_of_one_population():
    for spikes in ([], [ONE] * 3):
        with pytest.raises(ShapeError, match="1 to 2 examples"):
            batch_spikes(spikes, 2)
    for other in (preprocess_spikes([], [], 3), batch_spikes([ONE], 1)):
        with pytest.raises(ShapeError, match="examples of one population"):
            batch_spikes([ONE, other], 2)
    short = PreprocessedSpikes(np.array([1]), np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="end_spikes of example 0 must rise"):
        batch_spikes([short, preprocess_spikes([1.0], [0], 1)], 2)


def test_the_most_spikes_and_the_last_time_are_those_of_all_examples():
    assert (calc_max_spikes([ONE, NONE, TWO]), calc_max_spikes(ONE), calc_max_spikes([])) == (2, 2, 0)
    assert calc_latest_spike_time([ONE, NONE, TWO]) == 7.0
    assert (calc_latest_spike_time(ONE), calc_latest_spike_time([NONE]), calc_latest_spike_time([])) == (3.0, 0.0, 0.0)
    assert calc_max_spikes(batch_spikes([ONE, TWO], 3)) == 2
    assert calc_latest_spike_time(batch_spikes([ONE, TWO], 3)) == 7.0


@given(st.lists(hnp.arrays(np.float64, st.integers(0, 8), elements=st.floats(0, 99)), min_size=1, max_size=4))
def test_the_way_to_spikes_and_back_loses_nothing(times):
    examples = [preprocess_spikes(t, np.arange(len(t)) % 3, 3) for t in times]
    spikes = from_preprocessed(examples, labels=np.arange(len(times)))
    assert spikes.labels.tolist() == list(range(len(times)))
    assert [as_lists(s) for s in to_preprocessed(spikes)] == [as_lists(s) for s in examples]
    batched = from_preprocessed(batch_spikes(examples, len(examples)))
    assert [as_lists(s) for s in to_preprocessed(batched)] == [as_lists(s) for s in examples]


def test_two_spikes_at_one_time_stay_two_on_the_way_to_spikes():
    spikes = from_preprocessed(preprocess_spikes([1.0, 1.0], [0, 0], 4), shape=(2, 2), duration=5.0)
    assert (spikes.n_spikes, spikes.shape, spikes.duration) == (2, (2, 2), 5.0)


def test_spikes_on_a_grid_are_at_the_beginning_of_their_steps():
    spikes = Spikes.from_steps([3, 1], [0, 2], 3, 10, 0.5, samples=[0, 1])
    assert [as_lists(s) for s in to_preprocessed(spikes)] == [([1, 1, 1], [1.5]), ([0, 0, 1], [0.5])]
    with pytest.raises(DataError, match="hold no values"):
        to_preprocessed(Spikes.from_steps([1], [0], 1, 2, 1.0, values=[-1]))


@pytest.mark.parametrize(
    ("ends", "times", "error", "text"),
    [
        ([1, 0], [1.0], DataError, "must rise from 0 to 1"),
        ([1, 3], [1.0], DataError, "must rise from 0 to 1"),
        ([0, 1], [1.0, 2.0], DataError, "must rise from 0 to 2"),
        ([0, 2], [2.0, 1.0], DataError, "in order for each neuron"),
        ([0, 1], [np.nan], DataError, "finite time"),
        ([0.0, 1.0], [1.0], ShapeError, "must be integers"),
        ([], [], ShapeError, "must be integers"),
    ],
)
def test_preprocessed_spikes_made_by_hand_are_checked(ends, times, error, text):
    with pytest.raises(error, match=text):
        from_preprocessed(PreprocessedSpikes(np.array(ends), np.array(times)))


def test_examples_of_several_sizes_are_no_population():
    with pytest.raises(ShapeError, match=r"got \[2, 3\]"):
        from_preprocessed([ONE, preprocess_spikes([], [], 3)])
    with pytest.raises(ShapeError, match="6 neurons, the examples have 2"):
        from_preprocessed(ONE, shape=(2, 3))
    with pytest.raises(ParameterError, match="must be PreprocessedSpikes, got ndarray"):
        from_preprocessed([np.zeros(3)])


def test_a_batch_takes_lists_made_by_hand_and_says_that_it_wants_a_list():
    batch = batch_spikes([PreprocessedSpikes([1, 2], [1.0, 3.0]), TWO], 2)
    assert as_lists(batch) == ([[1, 2], [2, 3]], [1.0, 3.0, 7.0])
    for wrong in (ONE, [np.zeros(2)]):
        with pytest.raises(ParameterError, match="must be a list of PreprocessedSpikes"):
            batch_spikes(wrong, 2)


def test_one_event_without_an_axis_is_refused():
    with pytest.raises(ShapeError, match="must be one-dimensional"):
        preprocess_tonic_spikes(tonic([1], [0], [0], [1])[0], ORDERING, (2, 2, 2))


def test_a_tensor_that_is_not_dense_is_refused():
    with pytest.raises(ParameterError, match="times must hold numbers"):
        preprocess_spikes(torch.ones(2).to_sparse(), [0, 1], 2)

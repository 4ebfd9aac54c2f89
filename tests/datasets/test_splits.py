import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.datasets import ArrayDataset, EventDataset, digits, stratified_split
from spikeloom.errors import ParameterError
from spikeloom.events import Events


def numbered(labels):
    """A data set in which each sample holds its own index."""
    return ArrayDataset(np.arange(len(labels))[:, None], labels)


def split(labels, fraction, seed=0):
    return stratified_split(numbered(labels), fraction, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("counts", "fraction", "test_counts"),
    [
        ([10, 20, 30], 0.1, [1, 2, 3]),
        ([7, 7, 6], 0.25, [2, 2, 1]),  # 1.75 1.75 1.5, total 5: one each, and two for the largest remainders
        ([5, 5], 0.3, [2, 1]),  # 1.5 1.5, total 3: the lower class where remainders are equal
        ([5, 5, 5], 0.5, [3, 3, 2]),  # 2.5 each, total 7.5, halves up
        ([100], 0.29, [29]),  # 100 * 0.29 is 28.999999999999996
        ([50], 0.29, [15]),  # 14.5, but 50 * 0.29 is 14.499999999999998
        ([9, 29], 0.05, [1, 1]),  # 0.45 1.45, total 1.9: equal remainders, but 29 * 0.05 is 1.4500000000000002
        ([1, 9], 0.2, [0, 2]),  # 0.2 1.8, total 2
    ],
)
def test_each_class_gives_the_share_that_was_counted_by_hand(counts, fraction, test_counts):
    train, test = split(np.repeat(np.arange(len(counts)), counts), fraction)
    assert np.bincount(test.labels, minlength=len(counts)).tolist() == test_counts
    assert len(train) + len(test) == sum(counts)


@given(
    labels=st.lists(st.integers(0, 4), min_size=4, max_size=60),
    fraction=st.floats(0.2, 0.8),
    seed=st.integers(0, 99),
)
def test_parts_are_disjoint_complete_ordered_and_within_one_sample_of_the_exact_share(labels, fraction, seed):
    train, test = split(labels, fraction, seed)
    for part in (train, test):
        index = part.data[:, 0].astype(int)
        assert (np.diff(index) > 0).all()
        assert np.array_equal(part.labels, np.array(labels)[index])
    both = np.concatenate([train.data[:, 0], test.data[:, 0]])
    assert sorted(both) == list(range(len(labels)))
    shares = np.bincount(test.labels, minlength=5) - np.bincount(labels, minlength=5) * fraction
    assert (np.abs(shares) < 1 + 1e-6).all()
    assert abs(len(test) - len(labels) * fraction) <= 0.5 + 1e-6


def test_equal_generators_give_equal_parts_and_others_do_not():
    labels = np.arange(100) % 4
    first, again, other = (split(labels, 0.2, seed)[1].data.tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_sample_is_drawn_for_the_test_part_about_as_often():
    labels = np.arange(20) % 2
    generator = np.random.default_rng(5)
    drawn = np.zeros(20)
    for _ in range(1000):
        drawn[stratified_split(numbered(labels), 0.3, generator)[1].data[:, 0].astype(int)] += 1
    assert np.abs(drawn - 300).max() < 5 * np.sqrt(1000 * 0.3 * 0.7)


def test_parts_keep_classes_that_they_hold_no_sample_of():
    train, test = split([0, 1, 1, 1, 1], 0.2)
    assert 0 not in test.labels
    assert test.n_classes == train.n_classes == 2


def test_a_fifth_of_the_digits_is_359():
    train, test = stratified_split(digits(), 0.2, np.random.default_rng(0))
    assert (len(train), len(test), test.name) == (1438, 359, "digits")


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), "0.2", None, 0.001, 0.999])
def test_a_fraction_that_leaves_a_part_empty_is_refused(fraction):
    with pytest.raises(ParameterError, match="test_fraction"):
        split([0, 1, 0, 1], fraction)


@pytest.mark.parametrize("generator", [None, 3, np.random.RandomState(0)])
def test_randomness_comes_from_a_generator_only(generator):
    with pytest.raises(ParameterError, match=r"default_rng\(seed\)"):
        stratified_split(digits(), 0.2, generator)


def test_recordings_are_split_without_being_read_or_made_into_arrays():
    class Recordings:
        read = 0

        def __len__(self):
            return 20

        def __getitem__(self, index):
            Recordings.read += 1
            return Events.from_arrays([index], [0], [0], [1], (2, 2))

    train, test = stratified_split(
        EventDataset(Recordings(), np.arange(20) % 2, name="mine"), 0.2, np.random.default_rng(0)
    )
    assert Recordings.read == 3  # the first of each data set, for its shape
    assert (len(train), len(test), train.name) == (16, 4, "mine")
    assert sorted(int(events.t[0]) for events, _ in [*train, *test]) == list(range(20))

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold, StratifiedKFold

from spikeloom.datasets import ArrayDataset, EventDataset, digits, k_fold, stratified_split
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


def folds(labels, n_folds, seed=0, **options):
    """The indices of the samples in (train, test) of each fold."""
    found = k_fold(numbered(labels), n_folds, np.random.default_rng(seed), **options)
    return [(train.data[:, 0].astype(int), test.data[:, 0].astype(int)) for train, test in found]


@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=60), data=st.data(), stratified=st.booleans())
def test_every_sample_is_tested_once_and_trained_on_in_all_other_folds(labels, data, stratified):
    n_folds = data.draw(st.integers(2, len(labels)))
    found = folds(labels, n_folds, stratified=stratified)
    assert len(found) == n_folds
    assert sorted(np.concatenate([test for _, test in found])) == list(range(len(labels)))
    for train, test in found:
        assert sorted([*train, *test]) == list(range(len(labels)))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()


@given(counts=st.lists(st.integers(6, 15), min_size=1, max_size=4), n_folds=st.integers(2, 6))
def test_folds_have_the_class_counts_of_scikit_learn(counts, n_folds):
    labels = np.repeat(np.arange(len(counts)), counts)
    theirs = StratifiedKFold(n_folds, shuffle=True, random_state=0).split(labels, labels)
    expected = [np.bincount(labels[test], minlength=len(counts)).tolist() for _, test in theirs]
    shuffled = np.random.default_rng(1).permutation(labels)
    assert [
        np.bincount(shuffled[test], minlength=len(counts)).tolist() for _, test in folds(shuffled, n_folds)
    ] == expected


@pytest.mark.parametrize(("n", "n_folds"), [(10, 2), (11, 3), (7, 7), (100, 8)])
def test_folds_that_are_not_stratified_have_the_sizes_of_scikit_learn(n, n_folds):
    expected = [len(test) for _, test in KFold(n_folds).split(np.zeros(n))]
    assert [len(test) for _, test in folds(np.arange(n) % 3, n_folds, stratified=False)] == expected


def test_folds_are_drawn_by_the_generator():
    labels = np.arange(60) % 3
    same, again, other = (folds(labels, 5, seed)[0][1].tolist() for seed in (0, 0, 1))
    assert same == again != other
    lot = [np.bincount(labels[test], minlength=3).tolist() for _, test in folds(labels, 5, stratified=False)]
    assert any(counts != [4, 4, 4] for counts in lot)


@pytest.mark.parametrize(
    ("n_folds", "message"),
    [(1, "from 2 to 4, .*got 1"), (5, "from 2 to 4, .*got 5"), (0, "got 0"), (2.0, "got 2.0"), (True, "got True")],
)
def test_a_number_of_folds_that_cannot_be_is_refused(n_folds, message):
    with pytest.raises(ParameterError, match=rf"k_fold\.n_folds must be an integer .*{message}"):
        k_fold(numbered([0, 1, 0, 1]), n_folds, np.random.default_rng(0))


def test_folds_need_a_generator_and_a_flag():
    with pytest.raises(ParameterError, match=r"k_fold.generator .*default_rng\(seed\)"):
        k_fold(digits(), 5, 3)
    with pytest.raises(ParameterError, match=r"k_fold\.stratified must be True or False, got 1"):
        k_fold(digits(), 5, np.random.default_rng(0), stratified=1)


def test_folds_of_recordings_are_selected_without_being_read():
    class Recordings:
        read = 0

        def __len__(self):
            return 20

        def __getitem__(self, index):
            Recordings.read += 1
            return Events.from_arrays([index], [0], [0], [1], (2, 2))

    data = EventDataset(Recordings(), np.arange(20) % 2, name="mine")
    read = Recordings.read
    ((train, test), *_) = k_fold(data, 4, np.random.default_rng(0))
    assert (len(train), len(test), train.name) == (15, 5, "mine")
    assert Recordings.read <= read + 8  # the first of each part, for its shape

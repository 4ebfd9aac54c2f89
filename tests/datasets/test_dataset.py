import numpy as np
import pytest
import torch

from spikeloom.datasets import DATASETS, ArrayDataset, Dataset, digits
from spikeloom.errors import DataError, ParameterError, ShapeError, UnknownNameError
from spikeloom.spikes import Spikes


def spikes(n_samples: int) -> Spikes:
    """Sample b holds one spike, of neuron b, at step b."""
    each = np.arange(n_samples)
    return Spikes.from_steps(each, each, n_samples, n_samples, 1.0, samples=each)


class Squares(Dataset):
    """A data set outside the package that gives one sample at a time."""

    name, shape, classes = "squares", (1,), ("even", "odd")
    labels = np.arange(5) % 2

    def __getitem__(self, index):
        return np.array([index**2], np.float32), int(self.labels[index])


def test_samples_come_as_float32_with_an_int_label():
    data, label = ArrayDataset([[1, 2], [3, 4]], [0, 1])[1]
    assert data.dtype == np.float32
    assert data.tolist() == [3, 4]
    assert type(label) is int
    assert label == 1


def test_labels_of_any_integer_type_become_int64():
    assert ArrayDataset(np.zeros((2, 3)), np.array([1, 0], np.uint8)).labels.dtype == np.int64


def test_shape_is_that_of_one_sample_and_length_the_number_of_samples():
    dataset = ArrayDataset(np.zeros((4, 2, 3)), [0, 1, 2, 0])
    assert (dataset.shape, len(dataset), dataset.n_classes) == ((2, 3), 4, 3)
    assert list(dataset.classes) == [0, 1, 2]


def test_a_huge_label_takes_no_memory_for_its_classes():
    assert ArrayDataset(np.zeros((1, 1)), [10**12]).n_classes == 10**12 + 1


def test_a_slice_names_select():
    dataset = ArrayDataset(np.zeros((4, 2)), [0, 1, 0, 1])
    for whole in (dataset, dataset.select([0, 1, 2])):
        with pytest.raises(ParameterError, match="select takes several samples"):
            whole[1:3]


def test_selected_samples_stand_in_the_order_asked_for_and_keep_the_classes():
    dataset = ArrayDataset(np.arange(5)[:, None], np.arange(5), name="five", classes=list("abcde"), verified=True)
    part = dataset.select([3, 1, -1])
    assert part.data[:, 0].tolist() == [3, 1, 4]
    assert part.labels.tolist() == [3, 1, 4]
    assert (part.name, list(part.classes), part.verified) == ("five", list("abcde"), True)
    assert dataset.select(dataset.labels > 2).labels.tolist() == [3, 4]
    assert len(dataset.select([])) == 0


def test_changing_a_sample_leaves_the_data_set_as_it_was():
    dataset = ArrayDataset(np.zeros((2, 2), np.float32), [0, 1])
    dataset[0][0][:] = 7
    dataset.batch([0, 1])[0][:] = 7
    assert not dataset.data.any()


def test_spikes_are_samples_too():
    dataset = ArrayDataset(spikes(4), [0, 1, 2, 3])
    assert dataset.shape == (4,)
    one, label = dataset[2]
    assert (len(one), one.ids.tolist(), label) == (1, [2], 2)
    both, labels = dataset.batch([3, 1])
    assert both.ids.tolist() == [3, 1]
    assert labels.tolist() == [3, 1]
    assert len(dataset.select([])) == 0


def test_a_list_of_spikes_is_joined():
    dataset = ArrayDataset([spikes(4)[[2]], spikes(4)[[0]]], [1, 0])
    assert dataset.data.ids.tolist() == [2, 0]


def test_labels_that_spikes_carry_are_taken_and_must_not_be_contradicted():
    labelled = Spikes.from_steps([0, 0], [0, 1], 2, 1, 1.0, samples=[0, 1], labels=[4, 5])
    assert ArrayDataset(labelled).labels.tolist() == [4, 5]
    assert ArrayDataset(labelled, [4, 5]).labels.tolist() == [4, 5]
    with pytest.raises(DataError, match="leave out labels"):
        ArrayDataset(labelled, [5, 4])


def test_a_data_set_of_single_samples_makes_batches_and_parts():
    data, labels = Squares().batch([4, 1])
    assert data.tolist() == [[16], [1]]
    assert labels.tolist() == [0, 1]
    assert Squares().in_memory().data.tolist() == [[0], [1], [4], [9], [16]]
    assert [label for _, label in Squares()] == [0, 1, 0, 1, 0]
    assert repr(Squares()) == "<squares: 5 samples of shape (1,), 2 classes>"


def test_selected_samples_are_read_when_they_are_asked_for():
    asked = []

    class Watched(Squares):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    part = Watched().select([2, -1, 0])
    assert (len(part), part.labels.tolist(), part.shape, asked) == (3, [0, 0, 0], (1,), [])
    assert part[1][0].tolist() == [16]
    assert part.batch([0, -1])[0].tolist() == [[4], [0]]
    assert part.select(np.array([False, True, True]))[0][0].tolist() == [16]
    assert part.sample(2, np.random.default_rng(0))[0].tolist() == [0]
    assert asked == [4, 2, 0, 4, 0]
    with pytest.raises(ParameterError, match="must lie below 3"):
        part[3]
    with pytest.raises(ParameterError, match="nothing tells"):
        part.key()
    assert part.files() == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_the_first_number_that_is_not_finite_is_named(bad):
    data = np.zeros((3, 4))
    data[1, 2] = data[2, 0] = bad
    with pytest.raises(DataError, match=r"finite.*at index \(1, 2\)"):
        ArrayDataset(data, [0, 1, 2])


@pytest.mark.parametrize(
    ("data", "labels", "error", "message"),
    [
        (np.zeros((3, 2)), [0, 1], ShapeError, "3 samples but 2 labels"),
        (np.zeros((2, 2)), [0, -1], DataError, ">= 0, got -1 at index 1"),
        (np.zeros((2, 2)), [0.0, 1.0], DataError, r"integers >= 0, got float64; .* list\(zip\(data, targets\)\)"),
        (np.zeros((2, 2)), np.eye(2, dtype=int), ShapeError, "argmax"),
        (np.zeros((2, 2)), None, ParameterError, "give labels"),
        (np.float32(1), [0], ShapeError, "single number"),
        ([[1, 2], [3]], [0, 1], ShapeError, "use Spikes"),
        ([["a"], ["b"]], [0, 1], DataError, "real numbers"),
        (np.zeros((2, 2), complex), [0, 1], DataError, "complex128"),
        ([spikes(2)[[0]], np.zeros(2)], [0, 1], DataError, "got both, Spikes and ndarray"),
    ],
)
def test_data_that_is_no_data_set_is_refused(data, labels, error, message):
    with pytest.raises(error, match=message):
        ArrayDataset(data, labels, name="mine")


def test_true_and_false_are_classes_1_and_0():
    data = ArrayDataset(np.zeros((3, 2)), [True, False, True])
    assert (data.labels.tolist(), data.labels.dtype, data.n_classes) == ([1, 0, 1], np.int64, 2)


def test_a_label_beyond_the_named_classes_is_refused():
    with pytest.raises(DataError, match=r"below 2, the classes, got 2 at index 1"):
        ArrayDataset(np.zeros((2, 2)), [0, 2], classes=["cat", "dog"])


@pytest.mark.parametrize("indices", [[5], [-6], [0.5], [[0, 1]], [True, False], 3])
def test_indices_outside_the_data_set_or_of_another_kind_are_refused(indices):
    with pytest.raises(ParameterError, match="mine: indices"):
        ArrayDataset(np.zeros((5, 1)), np.arange(5), name="mine").select(indices)


def test_arrays_of_a_data_set_go_into_torch_without_a_warning():
    dataset = digits()
    assert torch.tensor(dataset.labels).dtype == torch.int64
    assert torch.from_numpy(dataset[0][0]).dtype == torch.float32


def test_digits_are_the_1797_of_scikit_learn_scaled_to_one():
    dataset = digits()
    assert (len(dataset), dataset.shape, dataset.n_classes) == (1797, (64,), 10)
    assert np.bincount(dataset.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (dataset.data.min(), dataset.data.max()) == (0, 1)
    assert (dataset.data[0, :8] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_data_sets_are_found_by_name_with_a_suggestion_for_a_slip():
    assert len(DATASETS["Digits"]()) == 1797
    assert "mnist" in DATASETS
    with pytest.raises(UnknownNameError, match="did you mean 'mnist'"):
        DATASETS["minst"]

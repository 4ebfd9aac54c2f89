import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import RandomSampler, TensorDataset

from spikeloom.datasets import ArrayDataset, Dataloader, Dataset
from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.spikes import Spikes


def numbered(count):
    """A data set in which each sample holds its own index."""
    return ArrayDataset(np.arange(count)[:, None], np.arange(count))


def rng(seed=0, kind=np.random.PCG64):
    return np.random.Generator(kind(seed))


def epochs(loader, count):
    return [[label.tolist() for _, label in loader] for _ in range(count)]


def test_batches_are_lists_of_float32_data_and_int64_labels_in_order():
    batches = list(Dataloader(numbered(7), 3))
    assert all(type(batch) is list for batch in batches)
    data, label = batches[1]
    assert (data.dtype, data.shape, label.dtype) == (np.float32, (3, 1), np.int64)
    assert data[:, 0].tolist() == label.tolist() == [3, 4, 5]
    assert [len(label) for _, label in batches] == [3, 3, 1]


def test_labels_go_into_torch_as_the_seed_prints_it():
    for data, label in Dataloader(numbered(4), batch_size=2, shuffle=True, drop_last=False):
        assert torch.tensor(label, device="cpu").dtype == torch.int64
        assert torch.from_numpy(data).shape[0] == data.shape[0]


@given(count=st.integers(0, 30), size=st.integers(1, 12), drop=st.booleans(), shuffle=st.booleans())
def test_length_is_the_number_of_batches_and_only_a_short_one_is_dropped(count, size, drop, shuffle):
    loader = Dataloader(numbered(count), size, shuffle, drop_last=drop)
    sizes = [len(label) for _, label in loader]
    assert len(loader) == loader.batch_num == len(sizes)
    expected = [size] * (count // size)
    if count % size and not drop:
        expected.append(count % size)
    assert sizes == expected


def test_each_shuffled_epoch_holds_every_sample_once_in_a_new_order():
    first, second = (np.concatenate(epoch).tolist() for epoch in epochs(Dataloader(numbered(50), 8, True), 2))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second != list(range(50))


def test_data_and_labels_stay_together_when_shuffled():
    for data, label in Dataloader(numbered(50), 8, shuffle=True):
        assert data[:, 0].tolist() == label.tolist()


def test_the_seed_that_was_drawn_repeats_the_orders():
    loader = Dataloader(numbered(30), 4, shuffle=True)
    orders = epochs(loader, 2)
    assert epochs(Dataloader(numbered(30), 4, shuffle=True, generator=rng(loader.seed)), 2) == orders
    assert epochs(Dataloader(numbered(30), 4, shuffle=True), 2) != orders


def test_a_seed_is_drawn_only_where_it_decides_something():
    assert Dataloader(numbered(3)).seed is None
    assert Dataloader(numbered(3), shuffle=True, generator=rng()).seed is None


@given(
    count=st.integers(1, 25),
    size=st.integers(1, 7),
    drop=st.booleans(),
    shuffle=st.booleans(),
    kind=st.sampled_from([np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]),
    data=st.data(),
)
def test_an_iteration_cut_at_any_batch_and_resumed_equals_one_uninterrupted(count, size, drop, shuffle, kind, data):
    def loader(seed):
        return Dataloader(numbered(count), size, shuffle, drop_last=drop, generator=rng(seed, kind))

    whole = epochs(loader(1), 4)
    epoch = data.draw(st.integers(0, 2), "interrupted epoch")
    given_ = data.draw(st.integers(0, len(whole[epoch])), "batches given")
    interrupted = loader(1)
    epochs(interrupted, epoch)
    walk = iter(interrupted)
    before = [next(walk)[1].tolist() for _ in range(given_)]
    state = json.loads(json.dumps(interrupted.state_dict()))
    resumed = loader(2)
    resumed.load_state_dict(state)
    rest, *later = epochs(resumed, 4 - epoch)
    assert before + rest == whole[epoch]
    assert later == whole[epoch + 1 :]


def test_a_resumed_iteration_can_be_interrupted_again():
    whole = epochs(Dataloader(numbered(20), 2, True, generator=rng(1)), 1)[0]
    loader, found = Dataloader(numbered(20), 2, True, generator=rng(1)), []
    while len(found) < 10:
        walk = iter(loader)
        found += [next(walk)[1].tolist(), next(walk)[1].tolist()]
        state = loader.state_dict()
        loader = Dataloader(numbered(20), 2, shuffle=True)
        loader.load_state_dict(state)
        assert loader.state_dict() == state
    assert found == whole


def test_after_a_whole_epoch_the_next_one_is_resumed():
    loader = Dataloader(numbered(9), 2, shuffle=True)
    epochs(loader, 1)
    state = loader.state_dict()
    assert state["batches"] == 0
    following = epochs(loader, 1)
    resumed = Dataloader(numbered(9), 2, shuffle=True)
    resumed.load_state_dict(state)
    assert epochs(resumed, 1) == following
    assert resumed.seed == loader.seed


def test_a_loop_left_early_starts_a_new_epoch_the_next_time():
    loader = Dataloader(numbered(9), 2)
    next(iter(loader))
    assert epochs(loader, 1) == [[[0, 1], [2, 3], [4, 5], [6, 7], [8]]]


def test_the_state_is_that_of_the_loop_begun_last():
    loader = Dataloader(numbered(9), 2)
    older = iter(loader)
    next(older), next(older)
    newer = iter(loader)
    next(newer)
    assert loader.state_dict()["batches"] == 1
    list(older)
    assert loader.state_dict()["batches"] == 1


def test_given_batches_are_not_read_again_on_resuming():
    class Counted(list):
        read = 0

        def __getitem__(self, index):
            self.read += 1
            return super().__getitem__(index)

    pairs = Counted(([i], i) for i in range(10))
    loader = Dataloader(pairs, 2)
    loader.load_state_dict(loader.state_dict() | {"batches": 4})
    assert epochs(loader, 1) == [[[8, 9]]]
    assert pairs.read == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 8}, "saved with samples=8, this loader has 9"),
        ({"batch_size": 3}, "saved with batch_size=3"),
        ({"shuffle": False}, "saved with shuffle=False"),
        ({"batches": 6}, "from 0 to 5, got 6"),
        ({"batches": -1}, "from 0 to 5"),
        ({"batches": "1"}, "from 0 to 5"),
        ({"generator": None}, "expected a state of PCG64"),
        ({"generator": {}}, "expected a state of PCG64"),
        ({"generator": dict(rng(0, np.random.MT19937).bit_generator.state)}, "expected a state of PCG64"),
    ],
)
def test_a_state_of_another_loader_is_refused_and_changes_nothing(change, message):
    loader = Dataloader(numbered(9), 2, shuffle=True)
    state = loader.state_dict()
    with pytest.raises(ParameterError, match=message):
        loader.load_state_dict(state | change)
    assert loader.state_dict() == state


def test_an_incomplete_state_is_refused():
    with pytest.raises(ParameterError, match=r"without .*'generator'"):
        Dataloader(numbered(9)).load_state_dict({"batches": 0})


def test_spikes_come_as_one_batch_with_their_shape():
    each = np.arange(6)
    spikes = Spikes.from_steps(each, each, 6, 6, 1.0, samples=each)
    for dataset in (ArrayDataset(spikes, each), [(spikes[[i]], i) for i in each]):
        data, label = list(Dataloader(dataset, 4))[1]
        assert isinstance(data, Spikes)
        assert (len(data), data.shape, data.ids.tolist(), label.tolist()) == (2, (6,), [4, 5], [4, 5])


@pytest.mark.parametrize(
    "dataset",
    [
        [(np.full(3, i), i) for i in range(5)],
        [([i, i, i], np.int64(i)) for i in range(5)],
        TensorDataset(torch.arange(5.0)[:, None].expand(5, 3), torch.arange(5)),
    ],
    ids=["arrays", "lists", "torch"],
)
def test_pairs_and_torch_data_sets_give_the_same_batches(dataset):
    data, label = list(Dataloader(dataset, 2))[1]
    assert data.tolist() == [[2, 2, 2], [3, 3, 3]]
    assert (data.dtype, label.dtype, label.tolist()) == (np.float32, np.int64, [2, 3])


def test_a_data_set_is_asked_for_whole_batches_and_for_no_single_sample():
    class Whole(Dataset):
        name, shape, classes, labels = "whole", (1,), range(4), np.arange(4)

        def __getitem__(self, index):
            raise NotImplementedError

        def batch(self, indices):
            return np.zeros((len(indices), 1), np.float32), self.labels[indices]

    assert epochs(Dataloader(Whole(), 3), 1) == [[[0, 1, 2], [3]]]


def test_samplers_decide_order_and_batches():
    assert epochs(Dataloader(numbered(9), 2, sampler=[5, 3, 1]), 2) == [[[5, 3], [1]]] * 2
    assert epochs(Dataloader(numbered(9), 2, sampler=[5, 3, 1], drop_last=True), 1) == [[[5, 3]]]
    assert epochs(Dataloader(numbered(9), batch_sampler=[[8], [2, 4, 6]]), 2) == [[[8], [2, 4, 6]]] * 2
    assert len(Dataloader(numbered(9), batch_sampler=[[8], [2, 4, 6]])) == 2
    assert sorted(epochs(Dataloader(numbered(4), 4, sampler=RandomSampler(range(4))), 1)[0][0]) == [0, 1, 2, 3]


def test_an_iteration_over_a_sampler_resumes_as_well():
    loader = Dataloader(numbered(9), batch_sampler=[[8], [2, 4], [6]])
    walk = iter(loader)
    next(walk)
    loader.load_state_dict(loader.state_dict())
    assert epochs(loader, 2) == [[[2, 4], [6]], [[8], [2, 4], [6]]]


def test_collate_fn_makes_the_batch_from_the_samples():
    assert list(Dataloader([3, 1, 4], 2, collate_fn=sum)) == [4, 4]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"batch_size": 2.0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": None}, "batch_size"),
        ({"shuffle": "yes"}, "shuffle must be True or False, got 'yes'"),
        ({"drop_last": 1}, "drop_last"),
        ({"collate_fn": 3}, "collate_fn must be a function"),
        ({"generator": 3}, r"use numpy.random.default_rng\(seed\)"),
        ({"generator": torch.Generator()}, "generator expected a numpy Generator"),
        ({"sampler": iter([1])}, "sampler expected a list of indices or the like, with a length, got list_iterator"),
        ({"batch_sampler": (x for x in [[1]])}, "batch_sampler expected .* got generator"),
        ({"sampler": [1], "shuffle": True}, "leave out shuffle=True"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "decides the batches"),
        ({"batch_sampler": [[1]], "shuffle": True}, "decides the batches"),
        ({"batch_sampler": [[1]], "drop_last": True}, "decides the batches"),
        ({"batch_sampler": [[1]], "sampler": [1]}, "decides the batches"),
        ({"batchsize": 2}, "unknown parameter 'batchsize'; did you mean 'batch_size'"),
        ({"num_workers": 2}, "unknown parameter 'num_workers'.*It has: dataset, batch_size"),
    ],
)
def test_bad_arguments_are_refused_with_a_way_out(wrong, message):
    with pytest.raises(ParameterError, match=message):
        Dataloader(numbered(4), **wrong)


@pytest.mark.parametrize("dataset", [np.zeros((3, 2)), {0: 1}, 5, iter([]), None])
def test_what_is_no_data_set_is_refused_at_the_door(dataset):
    with pytest.raises(ParameterError, match=r"ArrayDataset\(data, labels\)"):
        Dataloader(dataset)


@pytest.mark.parametrize(
    ("pairs", "error", "message"),
    [
        ([([1, 2], 0), ([1], 1)], ShapeError, "samples must have one shape"),
        ([1, 2], DataError, r"expected \(data, label\) pairs, got int at place 0; give a collate_fn"),
        ([([1], 0), {"image": 1, "label": 2}], DataError, "got dict at place 1"),
        ([([1.0], 0), ([np.nan], 1)], DataError, r"finite .* at index \(1, 0\)"),
        ([("a", 0), ("b", 1)], DataError, "real numbers"),
    ],
)
def test_pairs_that_make_no_batch_are_refused(pairs, error, message):
    with pytest.raises(error, match=message):
        next(iter(Dataloader(pairs, 2)))


@pytest.mark.parametrize("sampler", [[9], [-10], [0.5]])
def test_a_sampler_that_leaves_the_data_set_is_refused(sampler):
    with pytest.raises(ParameterError, match=r"Dataloader.sampler: indices"):
        list(Dataloader(numbered(9), sampler=sampler))


@pytest.mark.parametrize("state", [None, 5, ["generator"]])
def test_only_what_a_loader_said_of_itself_is_taken_as_its_state(state):
    with pytest.raises(ParameterError, match="takes what state_dict"):
        Dataloader([(np.zeros(2), 0)]).load_state_dict(state)

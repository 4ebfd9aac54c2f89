"""Data sets as dictionaries: split, batched, permuted, with mlGeNN's tests and what they leave open."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.datasets import batch_dataset, get_dataset_size, permute_dataset, split_dataset
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.spikes import Spikes, preprocess_spikes

TEN = {"in": np.arange(10) * 2, "out": list("abcdefghij")}


def test_the_size_is_that_of_all_entries_or_none():
    assert get_dataset_size(TEN) == 10
    assert get_dataset_size({"in": np.zeros((10, 3))}) == 10
    assert get_dataset_size(TEN | {"more": [1]}) is None
    assert get_dataset_size({}) is None


@pytest.mark.parametrize(("split", "first"), [(0.0, 10), (1.0, 0), (0.1, 9), (0.25, 7), (0.05, 9), (0.04, 10)])
def test_the_second_part_is_the_tail_halves_rounded_up(split, first):
    one, two = split_dataset(TEN, split)
    assert one["in"].tolist() == (np.arange(first) * 2).tolist()
    assert two["in"].tolist() == (np.arange(first, 10) * 2).tolist()
    assert one["out"] + two["out"] == TEN["out"]


def test_a_half_of_five_leaves_two_and_three():
    one, two = split_dataset({"x": np.arange(5)}, 0.5)
    assert (one["x"].tolist(), two["x"].tolist()) == ([0, 1], [2, 3, 4])


@pytest.mark.parametrize("split", [10.0, -1.0, np.nan, True, "0.5"])
def test_a_split_is_from_0_to_1(split):
    with pytest.raises(ParameterError, match="split must be from 0 to 1"):
        split_dataset(TEN, split)


@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_drawn_parts_hold_every_sample_once_in_order(n, split, seed):
    data = {"x": np.arange(n), "y": np.arange(n) % 3}
    one, two = split_dataset(data, split, generator=np.random.default_rng(seed))
    assert sorted([*one["x"], *two["x"]]) == list(range(n))
    for part in (one, two):
        assert (np.diff(part["x"]) > 0).all()
        assert (part["y"] == part["x"] % 3).all()
    assert len(two["x"]) == int(np.floor(np.round(n * split, 9) + 0.5))
    again = split_dataset(data, split, generator=np.random.default_rng(seed))
    assert again[1]["x"].tolist() == two["x"].tolist()


def test_every_class_gives_its_share_where_that_is_asked_for():
    labels = np.repeat([7, 3, 5], [40, 20, 10])
    generator = np.random.default_rng(0)
    _, test = split_dataset({"x": np.arange(70), "y": labels}, 0.3, generator=generator, stratify="y")
    assert {label: int((test["y"] == label).sum()) for label in (3, 5, 7)} == {3: 6, 5: 3, 7: 12}
    for options in ({"stratify": "y"}, {"stratify": "z", "generator": generator}):
        with pytest.raises(ParameterError, match="stratify must be one of the keys, 'x', 'y'"):
            split_dataset({"x": np.arange(70), "y": labels}, 0.3, **options)


def test_batches_are_whole_but_the_last():
    batches = batch_dataset(TEN, 4, 10)
    assert [batch["in"].tolist() for batch in batches] == [[0, 2, 4, 6], [8, 10, 12, 14], [16, 18]]
    assert [batch["out"] for batch in batches] == [list("abcd"), list("efgh"), list("ij")]
    assert [len(batch["in"]) for batch in batch_dataset(TEN, 4, 6)] == [4, 2]
    assert [len(batch["in"]) for batch in batch_dataset(TEN, 20)] == [10]
    for size in (11, -1, 2.0):
        with pytest.raises(ParameterError, match="size must be from 0 to 10"):
            batch_dataset(TEN, 4, size)


def test_all_kinds_of_entries_are_permuted_alike():
    spikes = Spikes.from_steps([0, 1, 2], [0, 1, 2], 3, 3, 1.0, samples=[0, 1, 2])
    examples = [preprocess_spikes([k], [k], 3) for k in range(3)]
    data = {"a": np.arange(3), "b": examples, "c": torch.arange(3), "d": spikes}
    found = permute_dataset(data, [2, 0])
    assert (found["a"].tolist(), found["c"].tolist(), found["d"].ids.tolist()) == ([2, 0], [2, 0], [2, 0])
    assert [example.spike_times.tolist() for example in found["b"]] == [[2.0], [0.0]]
    assert data["a"].tolist() == [0, 1, 2]


def test_entries_of_several_sizes_and_wrong_indices_are_refused():
    uneven = {"x": [1, 2], "y": [1]}
    for call in (
        lambda: batch_dataset(uneven, 1),
        lambda: permute_dataset(uneven, [0]),
        lambda: split_dataset(uneven, 0.5),
    ):
        with pytest.raises(ShapeError, match=r"one number of samples, got \{'x': 2, 'y': 1\}"):
            call()
    with pytest.raises(ParameterError, match="must lie below 10"):
        permute_dataset(TEN, [10])

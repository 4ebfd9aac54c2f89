"""Data sets as mlGeNN has them: a dictionary of arrays or lists, one entry of each for every sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ParameterError, ShapeError
from .checks import check_count, check_generator, positions
from .splits import shares_of


def get_dataset_size(data: Mapping[Any, Any]) -> int | None:
    """How many samples there are; None where the entries differ in that, or there are none."""
    sizes = {len(values) for values in data.values()}
    return sizes.pop() if len(sizes) == 1 else None


def permute_dataset(data: Mapping[Any, Any], indices: ArrayLike) -> dict[Any, Any]:
    """The samples at `indices`, in that order: arrays, tensors and Spikes by their own indexing, lists as lists."""
    chosen = positions(indices, _size(data, "permute_dataset"), "permute_dataset")
    return {key: _taken(values, chosen) for key, values in data.items()}


def batch_dataset(data: Mapping[Any, Any], batch_size: int, size: int | None = None) -> list[dict[Any, Any]]:
    """The first `size` samples (None: all) in batches of batch_size, the last of them with what is left."""
    batch_size, n = check_count(batch_size, "batch_dataset.batch_size"), _size(data, "batch_dataset")
    size = n if size is None else size
    if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or not 0 <= size <= n:
        raise ParameterError(f"batch_dataset.size must be from 0 to {n}, the samples, got {size!r}")
    starts = range(0, int(size), batch_size)
    return [{key: values[s : min(s + batch_size, size)] for key, values in data.items()} for s in starts]


def split_dataset(
    data: Mapping[Any, Any],
    split: float,
    *,
    generator: np.random.Generator | None = None,
    stratify: Any = None,
) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """(first, second): the second part has n * split of the n samples, rounded to the nearest (halves up).

    Without a generator it is the tail of the data; with one its samples are drawn, and both parts keep the order of the
    data. `stratify` is the key of the labels, by which every class then gives its share (largest remainders first).
    Raises ParameterError for a split outside of 0 to 1.
    """
    if not isinstance(split, (int, float, np.number)) or isinstance(split, bool) or not 0 <= split <= 1:
        raise ParameterError(f"split_dataset.split must be from 0 to 1, got {split!r}")
    n = _size(data, "split_dataset")
    if stratify is not None and (stratify not in data or generator is None):
        raise ParameterError(
            f"split_dataset.stratify must be one of the keys, {', '.join(map(repr, data))}, and needs generator=; "
            f"got {stratify!r} and generator={generator!r}"
        )
    drawn = np.arange(n)[::-1]
    if generator is not None:
        drawn = check_generator(generator, "split_dataset.generator").permutation(n)
    labels = np.zeros(n, np.int64) if stratify is None else np.asarray(data[stratify])
    second = np.zeros(n, np.bool_)
    second[_first_of_each(drawn, labels, float(split))] = True
    return permute_dataset(data, np.flatnonzero(~second)), permute_dataset(data, np.flatnonzero(second))


def _first_of_each(drawn: NDArray[np.int64], labels: NDArray[Any], fraction: float) -> NDArray[np.int64]:
    """Of samples in an order, the first ones of each class, as many as are its share."""
    _, classes, counts = np.unique(labels[drawn], return_inverse=True, return_counts=True)
    by_class = np.argsort(classes, kind="stable")
    rank = np.arange(len(drawn)) - np.repeat(np.cumsum(counts) - counts, counts)
    return drawn[by_class[rank < np.repeat(shares_of(counts, fraction), counts)]]


def _size(data: Mapping[Any, Any], owner: str) -> int:
    size = get_dataset_size(data)
    if size is None:
        found = {key: len(values) for key, values in data.items()}
        raise ShapeError(f"{owner}: all entries must have one number of samples, got {found or 'no entry'}")
    return size


def _taken(values: Any, chosen: NDArray[np.int64]) -> Any:
    return [values[i] for i in chosen.tolist()] if isinstance(values, (list, tuple)) else values[chosen]

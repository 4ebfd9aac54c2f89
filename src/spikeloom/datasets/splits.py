"""Splitting a data set into parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from .checks import check_count, check_flag, check_generator
from .dataset import Dataset


def stratified_split(dataset: Dataset, test_fraction: float, generator: np.random.Generator) -> tuple[Dataset, Dataset]:
    """(train, test), in which every class has its share; each part keeps the order of the data set.

    The test part has n * test_fraction samples, rounded to the nearest (halves up). A class gives its whole share,
    rounded down; what is missing to the total comes from the classes with the largest remainders, one each, the
    lower class first where they are equal. Raises ParameterError where a part would be empty.
    """
    check_generator(generator, "stratified_split.generator")
    if not isinstance(test_fraction, (int, float, np.number)) or not 0 < test_fraction < 1:
        raise ParameterError(f"stratified_split.test_fraction must lie between 0 and 1, got {test_fraction!r}")
    counts = np.unique(dataset.labels, return_counts=True)[1]
    shares = shares_of(counts, test_fraction)
    if shares.sum() in (0, len(dataset)):
        raise ParameterError(
            f"stratified_split.test_fraction {test_fraction} leaves a part of the {len(dataset)} samples empty; "
            "choose it nearer to 0.5"
        )
    shuffled = generator.permutation(len(dataset))
    by_class = shuffled[np.argsort(dataset.labels[shuffled], kind="stable")]
    rank = np.arange(len(dataset)) - np.repeat(np.cumsum(counts) - counts, counts)
    in_test = rank < np.repeat(shares, counts)
    return dataset.select(np.sort(by_class[~in_test])), dataset.select(np.sort(by_class[in_test]))


def k_fold(
    dataset: Dataset, n_folds: int, generator: np.random.Generator, *, stratified: bool = True
) -> Iterator[tuple[Dataset, Dataset]]:
    """(train, test) of each fold of a cross-validation: every sample is in one test part, drawn by lot.

    The sizes of the test parts differ by 1 at most, and so do, if `stratified`, their numbers of samples of each class:
    the counts of scikit-learn's StratifiedKFold and KFold, shuffled. A part keeps the order of the data set, and is
    selected when its turn comes. A class with fewer samples than folds is missing in some test parts. Raises
    ParameterError for fewer than 2 folds or more than samples.
    """
    check_generator(generator, "k_fold.generator")
    if not 2 <= check_count(n_folds, "k_fold.n_folds") <= len(dataset):
        raise ParameterError(f"k_fold.n_folds must be an integer from 2 to {len(dataset)}, the samples, got {n_folds}")
    order = generator.permutation(len(dataset))
    if check_flag(stratified, "k_fold.stratified"):
        order = order[np.argsort(dataset.labels[order], kind="stable")]
    fold = np.empty(len(dataset), np.int64)
    fold[order] = np.arange(len(dataset)) % n_folds
    return ((dataset.select(fold != k), dataset.select(fold == k)) for k in range(n_folds))


def shares_of(counts: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """How many samples of each class go to the test part: the method of largest remainders."""
    exact = counts * fraction
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    # Rounded to 9 digits: 29 * 0.05 is 1.4500000000000002, and equal remainders must be equal.
    missing = int(np.floor(np.round(counts.sum() * fraction, 9) + 0.5)) - int(shares.sum())
    shares[np.argsort(np.round(shares - exact, 9), kind="stable")[:missing]] += 1
    return shares

"""Labelled data: data sets by name, splits, files and batches."""

from collections.abc import Callable

from ..registry import Registry
from .dataset import ArrayDataset, Dataset
from .digits import digits
from .idx import read_idx, write_idx
from .loader import Dataloader
from .mnist import MNIST
from .splits import stratified_split

DATASETS: Registry[Callable[..., Dataset]] = Registry("data set")
DATASETS.add("digits", digits)
DATASETS.add("mnist", MNIST)

__all__ = [
    "DATASETS",
    "MNIST",
    "ArrayDataset",
    "Dataloader",
    "Dataset",
    "digits",
    "read_idx",
    "stratified_split",
    "write_idx",
]

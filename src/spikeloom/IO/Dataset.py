"""The data sets under SPAIC's module path."""

from ..datasets import MNIST, ArrayDataset, Dataset, digits

__all__ = ["MNIST", "ArrayDataset", "Dataset", "digits"]

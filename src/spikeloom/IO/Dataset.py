"""The data sets under SPAIC's module path."""

from ..datasets import MNIST, SHD, SSC, ArrayDataset, Dataset, DVS128Gesture, FashionMNIST, digits

__all__ = ["MNIST", "SHD", "SSC", "ArrayDataset", "DVS128Gesture", "Dataset", "FashionMNIST", "digits"]

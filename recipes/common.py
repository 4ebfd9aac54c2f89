"""What several recipes share: the digits and how they are parted, and how a network of torch is trained."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

import spikeloom as sl

Part = tuple[NDArray[np.float32], NDArray[np.int64]]


def digits() -> tuple[Part, Part]:
    """1437 of scikit-learn's digits to train with and 360 others to test on: values (n, 64) in 0 .. 1, and labels."""
    images, labels = sl.digits().batch(np.random.default_rng(0).permutation(1797))
    x, y = np.asarray(images, np.float32).reshape(1797, 64), np.asarray(labels, np.int64)
    return (x[:1437], y[:1437]), (x[1437:], y[1437:])


def datasets() -> tuple[sl.ArrayDataset, sl.ArrayDataset]:
    """The same as data sets."""
    train, test = (sl.ArrayDataset(*part, name="digits") for part in digits())
    return train, test


def train_torch(module: torch.nn.Module, part: Part, epochs: int, rate: float, batch: int = 64) -> None:
    """Trains a module on samples and their labels with Adam and cross entropy, in orders that torch draws."""
    given, wanted = (torch.from_numpy(values) for values in part)
    optimizer = torch.optim.Adam(module.parameters(), rate)
    for _ in range(epochs):
        for chosen in torch.randperm(len(given)).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(module(given[chosen]), wanted[chosen]).backward()
            optimizer.step()


def right_of_torch(module: torch.nn.Module, part: Part) -> NDArray[np.bool_]:
    """Which samples a module of torch answers with their label, (n,)."""
    values, labels = part
    with torch.no_grad():
        found: NDArray[np.bool_] = module(torch.from_numpy(values)).argmax(1).numpy() == labels
    return found

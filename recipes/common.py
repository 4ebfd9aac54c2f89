"""What several recipes share: their data, and how it is parted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import spikeloom as sl

Part = tuple[NDArray[np.float32], NDArray[np.int64]]


def digits() -> tuple[Part, Part]:
    """1437 of scikit-learn's digits to train with and 360 others to test on: values (n, 64) in 0 .. 1, and labels."""
    images, labels = sl.digits().batch(np.random.default_rng(0).permutation(1797))
    x, y = np.asarray(images, np.float32).reshape(1797, 64), np.asarray(labels, np.int64)
    return (x[:1437], y[:1437]), (x[1437:], y[1437:])

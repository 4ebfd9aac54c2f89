"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np

from .dataset import ArrayDataset


def digits() -> ArrayDataset:
    """The 1,797 handwritten digits of 8 x 8 pixels, flat (64,), grey values 0 to 16 scaled to [0, 1].

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), as in scikit-learn.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return ArrayDataset(images.astype(np.float32) / 16, labels, name="digits", classes=range(10))

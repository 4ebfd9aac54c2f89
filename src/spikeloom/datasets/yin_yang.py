"""The yin-yang data set: points on a disk in three classes, as spike times of four or five neurons.

Source: L. Kriener, J. Göltz, M. A. Petrovici, The Yin-Yang Dataset, NICE 2022, arXiv 2102.08211.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..spikes.preprocessed import PreprocessedSpikes, from_preprocessed
from ..spikes.validate import check_generator
from ..units import check_dt
from .checks import check_count, check_flag
from .dataset import ArrayDataset

CLASSES = ("yin", "yang", "dot")


def generate_yin_yang_dataset(
    size: int,
    scale: float,
    offset: float = 0.0,
    bias: bool = True,
    r_small: float = 0.1,
    r_big: float = 0.5,
    *,
    generator: np.random.Generator,
) -> tuple[list[PreprocessedSpikes], NDArray[np.int64]]:
    """`size` points as examples of one spike for each neuron, and their labels: 0 yin, 1 yang, 2 dot.

    The neurons fire at offset + scale * (0 of the bias, if there is one; x, y, 1 - x, 1 - y) ms. Points are uniform in
    each class of a disk of radius r_big, whose dots have the radius r_small; the classes are of equal size, but for one
    sample, and in random order.
    """
    owner = "generate_yin_yang_dataset"
    size, bias = check_count(size, f"{owner}.size"), check_flag(bias, f"{owner}.bias")
    scale = check_dt(scale, f"{owner}.scale")
    offset = 0.0 if offset == 0 else check_dt(offset, f"{owner}.offset")
    if not 0 < r_small < r_big / 2 or not r_big <= 0.5:
        raise ParameterError(f"{owner}: expected 0 < r_small < r_big / 2 and r_big <= 0.5, got {r_small}, {r_big}")
    labels = check_generator(generator, f"{owner}.generator").permutation(np.arange(size) % 3)
    points = np.empty((size, 2))
    for label in range(3):
        points[labels == label] = _points(label, int((labels == label).sum()), r_small, r_big, generator)
    values = np.concatenate([np.zeros((size, int(bias))), points, 1 - points], axis=1)
    ends = np.arange(1, values.shape[1] + 1)
    return [PreprocessedSpikes(ends.copy(), row) for row in values * scale + offset], labels


def yin_yang(
    size: int = 5000,
    scale: float = 30.0,
    offset: float = 0.0,
    bias: bool = True,
    *,
    generator: np.random.Generator,
) -> ArrayDataset:
    """The data set of `generate_yin_yang_dataset` as labelled Spikes of 4 or 5 neurons, times in ms."""
    samples, labels = generate_yin_yang_dataset(size, scale, offset, bias, generator=generator)
    duration = float(np.floor(offset + scale)) + 1.0
    return ArrayDataset(from_preprocessed(samples, duration=duration, labels=labels), name="yin_yang", classes=CLASSES)


def classes_of(points: NDArray[np.float64], r_small: float = 0.1, r_big: float = 0.5) -> NDArray[np.int64]:
    """The class of each point (n, 2) of the disk: 0 yin, 1 yang, 2 dot."""
    x, y = points[:, 0], points[:, 1]
    right, left = np.hypot(x - 1.5 * r_big, y - r_big), np.hypot(x - 0.5 * r_big, y - r_big)
    yang = (left <= 0.5 * r_big) | ((y > r_big) & (right > 0.5 * r_big))
    return np.where((right < r_small) | (left < r_small), 2, yang.astype(np.int64))


def _points(label: int, n: int, r_small: float, r_big: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """n points of a class, drawn in the square until enough lie in it."""
    found = [np.empty((0, 2))]
    while (missing := n - sum(map(len, found))) > 0:
        points = generator.random((missing * 8 + 16, 2)) * (2 * r_big)
        inside = np.hypot(points[:, 0] - r_big, points[:, 1] - r_big) <= r_big
        found.append(points[inside & (classes_of(points, r_small, r_big) == label)][:missing])
    return np.concatenate(found)

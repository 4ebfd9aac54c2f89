"""The networks that are compared: sizes, input and weights, the same numbers for every framework; NumPy only.

Every neuron is leaky: v <- 0.9 v + current, a spike where v reaches 1, which is then subtracted. Weights and biases
start as torch's Linear and Conv2d do, uniform within 1 / sqrt(fan in), the weights times a gain that makes each layer
fire.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DECAY = 0.9
THRESHOLD = 1.0
LEARNING_RATE = 1e-4
KERNEL, POOL = 5, 2

Array = NDArray[np.float32]


class Weights(NamedTuple):
    """Weight (out, in, *kernel) and bias (out,) of one product."""

    weight: Array
    bias: Array


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A network with its input.

    kind: 'feedforward' and 'recurrent' are fully connected, 'conv' has KERNEL x KERNEL convolutions, each followed by
    max pooling of its current by POOL, and a last full connection. sizes: input, hidden ..., output; for 'conv' the
    input's (channels, height, width), the channels, and the output. density: the share of ones in the input raster.
    """

    kind: str
    sizes: tuple[int | tuple[int, int, int], ...]
    n_steps: int
    batch: int
    density: float
    gains: tuple[float, ...]

    @property
    def n_classes(self) -> int:
        return int(self.sizes[-1])  # type: ignore[arg-type]

    @property
    def input_shape(self) -> tuple[int, ...]:
        first = self.sizes[0]
        return first if isinstance(first, tuple) else (first,)

    @property
    def population_shapes(self) -> list[tuple[int, ...]]:
        """The shape of each population of neurons."""
        if self.kind != "conv":
            return [(int(n),) for n in self.sizes[1:]]  # type: ignore[arg-type]
        _, height, width = self.input_shape
        shapes: list[tuple[int, ...]] = []
        for channels in self.sizes[1:-1]:
            height, width = ((n - KERNEL + 1) // POOL for n in (height, width))
            shapes.append((int(channels), height, width))  # type: ignore[arg-type]
        return [*shapes, (self.n_classes,)]

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """The shape of each weight: forward in order, of a recurrent population its own after that which feeds it."""
        shapes = [self.input_shape, *self.population_shapes]
        pairs = [(post[0], pre[0]) for pre, post in itertools.pairwise(shapes)]
        if self.kind == "conv":
            return [*[(*pair, KERNEL, KERNEL) for pair in pairs[:-1]], (self.n_classes, math.prod(shapes[-2]))]
        (n_hidden,) = shapes[1]
        return [pairs[0], (n_hidden, n_hidden), *pairs[1:]] if self.kind == "recurrent" else pairs

    def varied(self, axis: str, value: float) -> Workload:
        """This workload with one of n_steps, batch, density, hidden (the size of every hidden population) changed."""
        if axis != "hidden":
            return replace(self, **{axis: value})
        return replace(self, sizes=(self.sizes[0], *[int(value)] * (len(self.sizes) - 2), self.sizes[-1]))


WORKLOADS = {
    "W1": Workload(
        kind="feedforward", sizes=(784, 1000, 10), n_steps=25, batch=128, density=0.10, gains=(2.6, 3.0)
    ),
    "W2": Workload(
        kind="recurrent", sizes=(700, 256, 20), n_steps=100, batch=128, density=0.012, gains=(9.0, 1.0, 3.0)
    ),
    "W3": Workload(
        kind="conv", sizes=((2, 34, 34), 16, 32, 10), n_steps=16, batch=32, density=0.03, gains=(2.5, 2.5, 2.0)
    ),
    "W4": Workload(
        kind="feedforward", sizes=(784, 256, 256, 10), n_steps=300, batch=64, density=0.02, gains=(6.0, 5.0, 4.0)
    ),
}  # fmt: skip

TITLES = {
    "W1": "784-1000-10, T 25, batch 128, 10 % input",
    "W2": "700-256 recurrent-20, T 100, batch 128, 1.2 % input",
    "W3": "2x34x34, conv 16c5-p2-32c5-p2-10, T 16, batch 32, 3 % input",
    "W4": "784-256-256-10, T 300, batch 64, 2 % input",
}


def data(workload: Workload, seed: int = 0) -> tuple[Array, NDArray[np.int64]]:
    """A raster of zeros and ones (T, B, *input shape), and a label for each sample."""
    generator = np.random.default_rng(seed)
    raster = np.empty((workload.n_steps, workload.batch, *workload.input_shape), np.float32)
    for frame in raster:
        frame[:] = generator.random(frame.shape, dtype=np.float32) < workload.density
    return raster, generator.integers(0, workload.n_classes, workload.batch)


def weights(workload: Workload, seed: int = 1) -> list[Weights]:
    """The weights that every framework starts from, in the order of `weight_shapes`."""
    generator = np.random.default_rng(seed)
    drawn = []
    for shape, gain in zip(workload.weight_shapes, workload.gains, strict=True):
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        weight = generator.uniform(-bound, bound, shape) * gain
        bias = generator.uniform(-bound, bound, shape[0])
        drawn.append(Weights(weight.astype(np.float32), bias.astype(np.float32)))
    return drawn

"""Random numbers for millions of events: a key drawn from the generator, and a number for each place in the stream.

They are the same on every machine, in compiled code as in NumPy, and a stream of n events draws one number from the
generator, whatever n.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, erfc, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FARTHEST = 6.5
"""Where the normal distribution is cut off, in standard deviations: less than 2**-32 lies beyond."""


def draw_key(generator: np.random.Generator) -> int:
    """A key of 64 bits."""
    return int(generator.integers(2**64, dtype=np.uint64))


def random_bits(key: int, n: int) -> NDArray[np.uint64]:
    """The first n numbers of 64 bits of a key's sequence: SplitMix64 of Steele, Lea and Flood (2014)."""
    z = np.uint64(key) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def bound_of(probability: float) -> int:
    """How many of the 2**64 numbers are below the bound that one is below with this probability."""
    return min(int(probability * 2.0**64), 2**64 - 1)


def drawn(low_high: tuple[float, float], generator: np.random.Generator) -> float:
    """A number drawn uniformly from a range; no draw where it is one number."""
    low, high = low_high
    return low if low == high else float(generator.uniform(low, high))


class Shifts(NamedTuple):
    """A distribution of whole numbers around 0 by aliases (Walker, 1977): cut (k,) in 2**-32, other (k,), k odd."""

    cut: NDArray[np.uint32]
    other: NDArray[np.int32]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """As the compiled functions take it."""
        return self.cut | self.other.astype(np.uint64) << np.uint64(32), self.cut.size

    @property
    def reach(self) -> int:
        """The farthest shift."""
        return self.cut.size // 2

    def draw(self, numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
        """A shift for each number of 32 bits."""
        product = numbers * np.uint64(self.cut.size)
        k = (product >> np.uint64(32)).astype(np.int64)
        stays = (product & np.uint64(2**32 - 1)) < self.cut[k]
        return np.where(stays, k, self.other[k]) - self.cut.size // 2


@lru_cache(maxsize=64)
def normal_shifts(std: float) -> Shifts:
    """The distribution of a normally distributed number of mean 0, rounded to a whole one."""
    if std == 0:
        return Shifts(np.zeros(1, np.uint32), np.zeros(1, np.int32))
    reach = ceil(FARTHEST * std) + 1
    beyond = np.array([erfc((k - 0.5) / (std * sqrt(2))) / 2 for k in range(reach + 2)])
    half = beyond[:-1] - beyond[1:]
    share = np.concatenate([half[:0:-1], half])
    return _aliases(share / share.sum() * share.size)


def _aliases(share: NDArray[np.float64]) -> Shifts:
    """The aliases of a distribution whose shares have the mean 1, by Vose's method (1991)."""
    left = share.tolist()
    cut, other = [1.0] * share.size, list(range(share.size))
    small = [k for k, s in enumerate(left) if s < 1]
    large = [k for k, s in enumerate(left) if s >= 1]
    while small and large:
        less, more = small.pop(), large[-1]
        cut[less], other[less] = left[less], more
        left[more] -= 1 - left[less]
        if left[more] < 1:
            small.append(large.pop())
    bound = np.minimum(np.array(cut) * 2.0**32, 2.0**32 - 1).astype(np.uint32)
    return Shifts(bound, np.array(other, np.int32))

"""Lists of synapses that are drawn by a rule, once, and again the same from the same key."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ..initializers import Initializer
from ..parameters import ParameterSpec
from .link import Ends, bias_spec, drawn, weight_spec
from .sparse import SynapseList

Key = tuple[int, ...]
"""What a generator is seeded with."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn(SynapseList):
    """Synapses that a rule draws. Which, and how many, follows from a key: the network's seed and the connection.

    weight: an initializer, else normal with w_mean and w_std. An array could not know which synapses there will be.
    """

    weight: Any = None
    bias: Any = None
    w_mean: float = 0.005
    w_std: float = 0.05

    def __post_init__(self) -> None:
        if self.weight is not None and not isinstance(self.weight, Initializer):
            raise ParameterError(
                f"{type(self).__name__}.weight must be an initializer, since the synapses are yet to be drawn, got "
                f"{self.weight!r:.80}; assign to connection.weight.value, or use link_type='sparse' with indices="
            )

    @abstractmethod
    def draw(self, ends: Ends, generator: np.random.Generator) -> NDArray[np.int64]:
        """The synapses (2, n), post and pre, in order."""

    def specs(self, path: str, ends: Ends, key: Key = (0,)) -> list[ParameterSpec]:
        n = _count(self, ends, key)
        return [
            ParameterSpec(f"{path}.indices", (2, n), lambda _: self.synapses(ends, key), trainable=False),
            weight_spec(f"{path}.weight", (n,), self.weight, drawn(self.w_mean, self.w_std)),
            *bias_spec(path, math.prod(ends.post), self.bias),
        ]

    def synapses(self, ends: Ends, key: Key) -> NDArray[np.int64]:
        """The synapses (2, n) that a key stands for."""
        return self.draw(ends, np.random.default_rng(list(key)))


@lru_cache(maxsize=1024)
def _count(link: Drawn, ends: Ends, key: Key) -> int:
    return len(link.synapses(ends, key)[0])


def chosen(n: int, probability: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Which of n things happen, each by itself with one probability: sorted, in memory of their number."""
    if probability >= 1:
        return np.arange(n)
    found: list[NDArray[np.int64]] = []
    last, expected = -1, n * probability
    block = int(expected + 6 * math.sqrt(expected) + 16)
    while last < n:
        found.append(last + np.cumsum(np.minimum(generator.geometric(probability, block), n + 1)))
        last = int(found[-1][-1])
    places = np.concatenate(found)
    return places[: np.searchsorted(places, n)]


def rows_of(n_post: int, n_pre: int, entries: int) -> Iterator[slice]:
    """The rows of a matrix (post, pre) in blocks of so many entries."""
    step = max(1, entries // max(1, n_pre))
    return (slice(first, min(first + step, n_post)) for first in range(0, n_post, step))

"""Random synapses: a probability for each pair, or a fixed number for each neuron."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ...neurons.surrogates import is_number
from .drawn import Drawn, chosen
from .link import MAX_ENTRIES, Ends
from .positions import check_self

_RULES = ("probability", "in_degree", "out_degree")


@dataclass(frozen=True, kw_only=True, eq=False)
class Random(Drawn):
    """Synapses drawn by one of three rules, by default the first with 0.1.

    probability: each (post, pre) pair is joined by itself with this probability. in_degree: each target gets so many
    synapses from sources drawn at random; out_degree: each source sends so many. self_connections: whether neuron k may
    be joined to neuron k, in a population that is joined to itself. multapses: whether the sources of a target (the
    targets of a source) are drawn with repetition, so that a pair may be joined by several synapses.
    """

    probability: float | None = None
    in_degree: int | None = None
    out_degree: int | None = None
    self_connections: bool = True
    multapses: bool = False

    name = "random"

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in _RULES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ParameterError(f"Random takes one of {', '.join(_RULES)}, got {' and '.join(given)}")
        if not given:
            object.__setattr__(self, "probability", 0.1)
        if self.probability is not None and (not is_number(self.probability) or not 0 < self.probability <= 1):
            raise ParameterError(f"Random.probability must be in (0, 1], got {self.probability!r}")
        for name in _RULES[1:]:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ParameterError(f"Random.{name} must be a whole number from 1 on, got {value!r}")
        for name in ("self_connections", "multapses"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(f"Random.{name} must be True or False, got {getattr(self, name)!r}")
        if self.multapses and self.probability is not None:
            raise ParameterError("Random.multapses needs in_degree or out_degree: a probability joins a pair once")

    @property
    def repeats(self) -> bool:
        return self.multapses

    def check(self, owner: str, ends: Ends) -> None:
        post, pre = math.prod(ends.post), math.prod(ends.pre)
        check_self(owner, self.self_connections, ends)
        degree, others = self._degree(post, pre)
        if degree is not None and not self.multapses and degree > others:
            which = "in_degree" if self.in_degree is not None else "out_degree"
            raise ParameterError(f"{owner}.{which} is {degree}, more than there are neurons to choose from ({others})")
        if degree is not None and others < 1:
            raise ParameterError(f"{owner}: there is no neuron to choose from without self-connections")
        if (n := self.pairs(pre, post)) > MAX_ENTRIES / 2:
            raise ParameterError(f"{owner}: about {n:.3g} synapses are too many; join smaller populations")

    def _degree(self, post: int, pre: int) -> tuple[int | None, int]:
        """The fixed number of synapses, and of how many neurons they are drawn."""
        degree = self.in_degree if self.in_degree is not None else self.out_degree
        return degree, (pre if self.in_degree is not None else post) - (not self.self_connections)

    def pairs(self, n_pre: int, n_post: int) -> float:
        if self.probability is not None:
            return self.probability * n_post * n_pre
        return float(self.in_degree * n_post if self.in_degree is not None else (self.out_degree or 0) * n_pre)

    def draw(self, ends: Ends, generator: np.random.Generator) -> NDArray[np.int64]:
        post, pre = math.prod(ends.post), math.prod(ends.pre)
        if self.probability is not None:
            others = pre - (not self.self_connections)
            if others < 1:
                return np.zeros((2, 0), np.int64)
            rows, columns = np.divmod(chosen(post * others, self.probability, generator), others)
            return np.stack([rows, self._past_self(rows, columns)])
        degree, others = self._degree(post, pre)
        n = post if self.in_degree is not None else pre
        rows = np.repeat(np.arange(n), degree or 0)
        picked = _picked(n, degree or 0, others, self.multapses, generator).ravel()
        columns = self._past_self(rows, picked)
        if self.in_degree is not None:
            return np.stack([rows, columns])
        order = np.argsort(columns, kind="stable")
        return np.stack([columns[order], rows[order]])

    def _past_self(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of a neuron that was counted without the row's own one."""
        return others if self.self_connections else others + (others >= rows)


def _picked(n: int, degree: int, others: int, repeated: bool, generator: np.random.Generator) -> NDArray[np.int64]:
    """For each of n neurons the numbers of so many others, (n, degree), sorted."""
    if repeated:
        return np.sort(generator.integers(0, others, (n, degree)), axis=1)
    rows = [np.sort(generator.choice(others, degree, replace=False, shuffle=False)) for _ in range(n)]
    return np.stack(rows)

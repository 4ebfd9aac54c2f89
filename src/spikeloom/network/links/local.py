"""Weights that are a function of distance, as in continuous attractor networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ParameterError
from ...neurons.surrogates import is_number
from ..parameters import ParameterSpec
from .distance import PROFILES, check_profile
from .full import Full
from .link import Ends, Gradients, Signal, Wanted, bias_spec, check_entries
from .positions import Floats, Pairs, Space, check_place, check_self, space_of
from .sparse import SynapseList

_FULL = Full()


@dataclass(frozen=True, kw_only=True, eq=False)
class Local(SynapseList):
    """Weights that start as amplitude * profile(d / scale) - inhibition * profile(d / inhibition_scale), by distance.

    profile: 'gaussian' exp(-(d / scale)^2 / 2) (Wu et al., 2008; Amari, 1977, with inhibition), 'exponential', 'box'.
    cutoff: only pairs up to this distance are joined, in a true list of synapses; by default all are, by a matrix
    (post, pre). self_connections: whether neuron k is joined to neuron k, in a population that is joined to itself.
    normalise: each profile is divided by its sum over the sources of a target. Positions as for 'distance': given, or
    the grid of the shapes; periodic: on a torus. The weights are trained unless is_parameter=False.
    """

    bias: Any = None
    profile: str = "gaussian"
    amplitude: float = 1.0
    scale: float = 1.0
    inhibition: float = 0.0
    inhibition_scale: float | None = None
    cutoff: float | None = None
    normalise: bool = False
    pre_positions: Any = None
    post_positions: Any = None
    extent: Any = None
    periodic: bool = False
    self_connections: bool = True

    name = "local"

    def __post_init__(self) -> None:
        check_profile("Local", self.profile, self.scale)
        check_place("Local", self)
        for name in ("amplitude", "inhibition"):
            if not is_number(getattr(self, name)):
                raise ParameterError(f"Local.{name} must be a finite number, got {getattr(self, name)!r}")
        for name in ("inhibition_scale", "cutoff"):
            value = getattr(self, name)
            if value is not None and (not is_number(value) or value <= 0):
                raise ParameterError(f"Local.{name} must be a positive length, got {value!r}")
        if (self.inhibition != 0) != (self.inhibition_scale is not None):
            raise ParameterError("Local.inhibition and inhibition_scale go together; give both or none")
        for name in ("normalise", "self_connections"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(f"Local.{name} must be True or False, got {getattr(self, name)!r}")

    def pairs(self, n_pre: int, n_post: int) -> float:
        return float(n_pre) * n_post

    def check(self, owner: str, ends: Ends) -> None:
        space_of(owner, self, ends)
        check_self(owner, self.self_connections, ends)

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        post, pre = math.prod(ends.post), math.prod(ends.pre)
        bias = bias_spec(path, post, self.bias)
        if self._dense:
            check_entries(f"{path}.weight", (post, pre))
            return [
                ParameterSpec(f"{path}.weight", (post, pre), lambda _: self._kernel(ends)[1].reshape(post, pre)),
                *bias,
            ]
        n = _count(self, ends)
        check_entries(f"{path}.weight", (n,))
        return [
            ParameterSpec(f"{path}.indices", (2, n), lambda _: self._kernel(ends)[0], trainable=False),
            ParameterSpec(f"{path}.weight", (n,), lambda _: self._kernel(ends)[1]),
            *bias,
        ]

    @property
    def _dense(self) -> bool:
        return self.cutoff is None and self.self_connections

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, None]:
        return _FULL.product(signal, weights, ends) if self._dense else super().product(signal, weights, ends)

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        if self._dense:
            return _FULL.gradients(signal, weights, ends, grad, wanted)
        return super().gradients(signal, weights, ends, grad, wanted)

    def pairs_of(self, space: Space) -> Iterator[Pairs]:
        """The pairs that have a synapse, in order, some at a time: all of a target together."""
        for post, pre, distances in space.near(math.inf if self.cutoff is None else self.cutoff):
            kept = slice(None) if self.self_connections else post != pre
            yield post[kept], pre[kept], distances[kept]

    def _kernel(self, ends: Ends) -> tuple[NDArray[np.int64], Floats]:
        """The synapses (2, n), post and pre, and their weights (n,)."""
        pairs, values = [np.zeros((2, 0), np.int64)], [np.zeros(0)]
        for post, pre, distances in self.pairs_of(space_of("Local", self, ends)):
            kernel = self.amplitude * self._profile(post, distances, self.scale)
            if self.inhibition_scale is not None:
                kernel -= self.inhibition * self._profile(post, distances, self.inhibition_scale)
            pairs.append(np.stack([post, pre]))
            values.append(kernel)
        return np.concatenate(pairs, axis=1).astype(np.int64), np.concatenate(values)

    def _profile(self, post: NDArray[np.int64], distances: Floats, scale: float) -> Floats:
        values = PROFILES[self.profile](distances / scale)
        if not self.normalise or not len(post):
            return values
        sums = np.bincount(post - post[0], values)[post - post[0]]
        made: Floats = np.divide(values, sums, out=values, where=sums > 0)
        return made


@lru_cache(maxsize=1024)
def _count(link: Local, ends: Ends) -> int:
    return sum(len(post) for post, _, _ in link.pairs_of(space_of("Local", link, ends)))

"""Synapses whose probability falls with distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ...neurons.surrogates import is_number
from .drawn import Drawn, chosen
from .link import Ends
from .positions import Floats, Space, check_place, check_self, space_of

PROFILES: dict[str, Callable[[Floats], Floats]] = {
    "gaussian": lambda x: np.exp(-0.5 * x**2),
    "exponential": lambda x: np.exp(-x),
    "box": lambda x: (x <= 1.0).astype(np.float64),
}
"""How much there is at a distance, in units of the scale."""
_FAR = {"gaussian": math.sqrt(40 * math.log(2)), "exponential": 20 * math.log(2), "box": 1 + 1e-12}
"""From which distance on there is less than 2**-20, so that pairs are not looked at one by one."""


def check_profile(owner: str, profile: Any, scale: Any) -> None:
    """Raises ParameterError unless these are the name of a profile and a length."""
    if profile not in PROFILES:
        raise ParameterError(f"{owner}.profile must be one of {', '.join(PROFILES)}, got {profile!r}")
    if not is_number(scale) or scale <= 0:
        raise ParameterError(f"{owner}.scale must be a positive length, got {scale!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Distance(Drawn):
    """Each (post, pre) pair at a distance d is joined by itself with probability * profile(d / scale).

    profile: 'gaussian' exp(-(d / scale)^2 / 2), 'exponential' exp(-d / scale), 'box' 1 up to d = scale.
    pre_positions, post_positions: (n, axes); by default the grid of the population's shape, whose cells fill `extent`
    (the shape of the target: cells of length 1). periodic: whether space is a torus of that extent. self_connections:
    whether neuron k may be joined to neuron k, in a population that is joined to itself.
    """

    profile: str = "gaussian"
    scale: float = 1.0
    probability: float = 1.0
    pre_positions: Any = None
    post_positions: Any = None
    extent: Any = None
    periodic: bool = False
    self_connections: bool = True

    name = "distance"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_profile("Distance", self.profile, self.scale)
        if not is_number(self.probability) or not 0 < self.probability <= 1:
            raise ParameterError(f"Distance.probability must be in (0, 1], got {self.probability!r}")
        if not isinstance(self.self_connections, bool):
            raise ParameterError(f"Distance.self_connections must be True or False, got {self.self_connections!r}")
        check_place("Distance", self)

    def pairs(self, n_pre: int, n_post: int) -> float:
        return float(n_pre) * n_post

    def check(self, owner: str, ends: Ends) -> None:
        space_of(owner, self, ends)
        check_self(owner, self.self_connections, ends)

    def draw(self, ends: Ends, generator: np.random.Generator) -> NDArray[np.int64]:
        space, radius = space_of("Distance", self, ends), self.scale * _FAR[self.profile]
        found = [self._far(space, radius, generator)]
        for post, pre, distances in space.near(radius):
            joined = generator.random(len(post)) < self._likely(distances)
            found.append(np.stack([post[joined], pre[joined]]))
        pairs = np.concatenate(found, axis=1).astype(np.int64)
        if not self.self_connections:
            pairs = pairs[:, pairs[0] != pairs[1]]
        return pairs[:, np.lexsort(pairs[::-1])]

    def _likely(self, distances: Floats) -> Floats:
        return self.probability * PROFILES[self.profile](distances / self.scale)

    def _far(self, space: Space, radius: float, generator: np.random.Generator) -> NDArray[np.int64]:
        """The joined ones among the pairs beyond a radius: as many pairs of all as its probability asks for, thinned
        to what their own distance leaves of it."""
        most = float(self._likely(np.array(radius)))
        if most == 0:
            return np.zeros((2, 0), np.int64)
        pairs = np.stack(np.divmod(chosen(len(space.post) * len(space.pre), most, generator), len(space.pre)))
        distances = space.between(*pairs)
        kept = (distances > radius) & (generator.random(len(distances)) * most < self._likely(distances))
        return pairs[:, kept]

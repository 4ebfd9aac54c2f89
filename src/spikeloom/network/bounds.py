"""Signs and bounds of weights, which hold from the start and after every step of an optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError, UnsupportedError
from ..neurons.surrogates import is_number
from .links import Ends, Full, Link, Local, Null, OneToOne, Pool, SynapseList
from .parameters import real_numbers


@dataclass(frozen=True, eq=False)
class Bounds:
    """The least and the largest weight, each a number or an array with one for each pre neuron."""

    least: Any
    largest: Any

    def of(self, link: Link, indices: NDArray[Any] | None) -> tuple[Any, Any]:
        """Both, so that they broadcast to the link's weight; indices: the synapses of a link that lists them."""
        return _spread(self.least, link, indices), _spread(self.largest, link, indices)

    def check(self, owner: str, weight: NDArray[Any], edges: tuple[Any, Any]) -> None:
        """Raises ParameterError where a weight is outside."""
        wrong = (weight < edges[0]) | (weight > edges[1])
        if wrong.any():
            place = tuple(int(k[0]) for k in np.nonzero(wrong))
            raise ParameterError(
                f"{owner}{list(place)} is {float(weight[place]):g}, which its sign=, w_min= and w_max= do not allow; "
                "give weights within them"
            )

    def started(self, drawn: NDArray[Any], edges: tuple[Any, Any]) -> NDArray[Any]:
        """Drawn weights inside: of the wanted sign where only one is allowed, then cut at the bounds."""
        size = np.abs(drawn)
        signed = np.where(np.asarray(edges[0]) >= 0, size, np.where(np.asarray(edges[1]) <= 0, -size, drawn))
        return np.clip(signed, *edges)


def bounds_of(owner: str, link: Link, ends: Ends, sign: Any, w_min: Any, w_max: Any) -> Bounds | None:
    """What sign, w_min and w_max ask for; None where they ask for nothing."""
    if sign is None and w_min is None and w_max is None:
        return None
    if isinstance(link, (Pool, Null)):
        raise UnsupportedError(
            f"{owner}: link type {link.name!r} has no weight that sign=, w_min= or w_max= could hold"
        )
    for name, value in (("w_min", w_min), ("w_max", w_max)):
        if value is not None and not is_number(value):
            raise ParameterError(f"{owner}.{name} must be a finite number, got {value!r}")
    signs = _signs(owner, link, ends, sign)
    low, high = (-math.inf if w_min is None else w_min), (math.inf if w_max is None else w_max)
    least = np.maximum(low, np.where(signs > 0, 0.0, -np.inf))
    largest = np.minimum(high, np.where(signs < 0, 0.0, np.inf))
    if np.any(least > largest):
        raise ParameterError(f"{owner}: no weight is allowed by sign={sign!r:.80}, w_min={w_min!r} and w_max={w_max!r}")
    return Bounds(*(edge if edge.ndim else float(edge) for edge in (least, largest)))


def _signs(owner: str, link: Link, ends: Ends, sign: Any) -> NDArray[Any]:
    """-1, 0 (either) or 1, as one number or for each pre neuron."""
    if sign is None:
        return np.array(0.0)
    signs = real_numbers(f"{owner}.sign", sign, "1, -1 or an array with one of them for each pre neuron")
    if not np.all(np.abs(signs) == 1):
        raise ParameterError(f"{owner}.sign must be 1 (excitatory) or -1 (inhibitory), got {sign!r:.80}")
    if signs.ndim == 0:
        return signs
    if not isinstance(link, (Full, OneToOne, SynapseList)):
        raise UnsupportedError(
            f"{owner}.sign: link type {link.name!r} shares its weights between neurons; give one sign"
        )
    n = math.prod(ends.pre)
    if signs.shape not in ((n,), ends.pre):
        raise ShapeError(
            f"{owner}.sign must have one sign for each of {n} pre neurons, got {signs.shape}; give shape ({n},), or "
            f"that of the population, {ends.pre}"
        )
    return signs.ravel()


def _spread(edge: Any, link: Link, indices: NDArray[Any] | None) -> Any:
    if np.ndim(edge) == 0:
        return edge
    if indices is not None:
        return edge[indices[1]]
    return edge[None, :] if isinstance(link, (Full, Local)) else edge


def put_back(weight: Any, edges: tuple[Any, Any]) -> Any:
    """The weight within its edges: a tensor in place, an array as another one."""
    if isinstance(weight, np.ndarray):
        return np.clip(weight, *edges)
    with torch.no_grad():
        low, high = (torch.as_tensor(edge, dtype=weight.dtype, device=weight.device) for edge in edges)
        return weight.clamp_(low, high)

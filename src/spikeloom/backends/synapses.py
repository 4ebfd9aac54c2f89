"""The synapses of a connection on tensors, as a rule changes them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ParameterError, UnsupportedError
from ..network import Connection
from ..network.links import Ends, Link, OneToOne, SynapseList
from ..network.rules import Plasticity
from ..plasticity import Rule
from .product import Term

if TYPE_CHECKING:
    from .path import Call


class Structure:
    """The synapses of a connection on tensors: see `plasticity.stepping.Synapses`.

    in_place: whether weights that it is given may be written to.
    """

    def __init__(self, p: Plasticity, rule: Rule, weights: Mapping[str, Tensor], call: Call, in_place: bool) -> None:
        connection = p.connection
        self.link: Link = connection.link
        self.ends: Ends = connection.ends
        self.path, self.in_place = connection.path, in_place
        self._weights = dict(weights)
        self._edges = edges_of(connection, rule, weights)
        self._generator: torch.Generator | None = None
        if rule.rounding:
            words = np.random.SeedSequence([call.seed, zlib.crc32(p.key.encode()), call.begun])
            seed = int(words.generate_state(1, np.uint64)[0]) >> 1
            self._generator = torch.Generator(weights["weight"].device).manual_seed(seed)

    def outer(self, pre: Tensor, post: Tensor) -> Tensor:
        term = Term(self.link, self.ends, pre[None], self._weights)
        return term.gradients(post[None], False, ["weight"]).weights["weight"]

    def each(self, pre: Tensor, post: Tensor) -> Tensor:
        return torch.stack([self.outer(pre[k : k + 1], post[k : k + 1]) for k in range(len(post))])

    def back(self, post: Tensor, weights: Tensor) -> Tensor:
        signal = post.new_zeros(1, len(post), *self.ends.pre)
        found = Term(self.link, self.ends, signal, {**self._weights, "weight": weights}).gradients(post[None], True, [])
        assert found.signal is not None
        return found.signal[0]

    def rows(self, values: Tensor) -> Tensor:
        if isinstance(self.link, OneToOne):
            return values
        if isinstance(self.link, SynapseList) and "indices" in self._weights:
            post = self._weights["indices"][0]
            return values.new_zeros(int(np.prod(self.ends.post))).index_add_(0, post, values)[post]
        if self.link.name == "conv_transpose":
            raise UnsupportedError(
                f"connection {self.path!r}: the weights of conv_transpose are not normalised by rules"
            )
        return values.sum() if values.ndim == 1 else values.flatten(1).sum(1).view(-1, *[1] * (values.ndim - 1))

    def moved(self, weights: Tensor, by: Tensor) -> Tensor:
        return self._within(weights.add_(by) if self.in_place else weights + by)

    def scaled(self, weights: Tensor, by: Tensor) -> Tensor:
        return self._within(weights.mul_(by) if self.in_place else weights * by)

    def uniform(self, like: Tensor) -> Tensor:
        return torch.rand(like.shape, dtype=like.dtype, device=like.device, generator=self._generator)

    def _within(self, weights: Tensor) -> Tensor:
        return weights if self._edges is None else weights.clamp_(*self._edges)


def edges_of(connection: Connection, rule: Rule, weights: Mapping[str, Tensor]) -> tuple[Any, Any] | None:
    """The least and the largest weight that the rule and the connection allow; None where both allow any."""
    low, high = rule.w_min, rule.w_max
    if connection.bounds is None:
        return None if np.isinf([low, high]).all() else (low, high)
    indices = weights["indices"].cpu().numpy() if "indices" in weights else None
    least, largest = connection.bounds.of(connection.link, indices)
    found = np.maximum(low, least), np.minimum(high, largest)
    if np.any(found[0] > found[1]):
        raise ParameterError(
            f"connection {connection.path!r}: no weight is within the bounds of the rule, {low:g} .. {high:g}, and "
            "those that its sign=, w_min= and w_max= set"
        )
    like = weights["weight"]
    if all(np.ndim(edge) == 0 for edge in found):
        return float(found[0]), float(found[1])
    edges = [torch.as_tensor(edge, dtype=like.dtype, device=like.device).expand_as(like) for edge in found]
    return edges[0], edges[1]

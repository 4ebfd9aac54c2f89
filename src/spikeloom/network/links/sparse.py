"""Some neurons to some neurons, and never any other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ParameterError, ShapeError
from ...neurons.surrogates import is_number
from ..initializers import Initializer
from ..parameters import ParameterSpec, numbers
from .full import Full
from .link import Ends, Gradients, Link, Signal, bias_spec, drawn, flat, weight_spec
from .rows import SpikeRows

_DENSE = 1 << 24
"""Up to how many pairs of neurons the synapses may be multiplied as a dense matrix."""
_BLOCK = 1 << 22
"""How many products of a synapse with a row are held at a time where they are not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparse(Link):
    """A list of synapses, `indices` (2, n) of (post, pre), and their weights (n,): absent ones cannot appear.

    density: the fraction of pairs that are joined, drawn without repetition; or indices, or a matrix `weight` (post,
    pre) whose non-zero entries are the synapses.
    """

    weight: Any = None
    indices: Any = None
    bias: Any = None
    density: float = 0.1
    w_mean: float = 0.005
    w_std: float = 0.05

    name = "sparse"

    def __post_init__(self) -> None:
        if not is_number(self.density) or not 0 < self.density <= 1:
            raise ParameterError(f"Sparse.density must be in (0, 1], got {self.density!r}")

    @classmethod
    def ignored(cls, given: Mapping[str, Any]) -> set[str]:
        link = cls(weight=given.get("weight"), indices=given.get("indices"))
        return super().ignored(given) | ({"density"} if link._given_indices() is not None else set())

    def check(self, owner: str, ends: Ends) -> None:
        size, matrix = (math.prod(ends.post), math.prod(ends.pre)), self._matrix()
        if matrix is not None and matrix.shape != size:
            raise ShapeError(f"{owner}.weight must have shape {size} (post, pre), got {matrix.shape}")
        indices = self._given_indices()
        if indices is None:
            return
        if indices.dtype.kind not in "iu" or indices.ndim != 2 or len(indices) != 2:
            raise ShapeError(
                f"{owner}.indices must be whole numbers (2, n), post and pre, got {indices.dtype} {indices.shape}"
            )
        if np.any(indices < 0) or np.any(indices >= np.array(size)[:, None]):
            raise ShapeError(f"{owner}: synapses must be (post, pre) pairs below {size}")
        if len(np.unique(np.ravel_multi_index(tuple(indices.astype(np.int64)), size))) < indices.shape[1]:
            raise ParameterError(f"{owner}.indices must hold each (post, pre) pair once, some stand there twice")

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        post, pre = math.prod(ends.post), math.prod(ends.pre)
        indices, matrix = self._given_indices(), self._matrix()
        n = indices.shape[1] if indices is not None else max(1, round(self.density * post * pre))
        given = matrix[tuple(indices)] if matrix is not None and indices is not None else self.weight

        def draw(generator: np.random.Generator) -> NDArray[np.int64]:
            return np.stack(np.divmod(np.sort(generator.choice(post * pre, size=n, replace=False)), pre))

        where = ParameterSpec(f"{path}.indices", (2, n), draw if indices is None else indices, trainable=False)
        return [
            where,
            weight_spec(f"{path}.weight", (n,), given, drawn(self.w_mean, self.w_std)),
            *bias_spec(path, post, self.bias),
        ]

    def product(self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends) -> Tensor:
        if _pays_dense(signal, weights, ends):
            return _FULL.product(signal, _as_matrix(weights, ends), ends)
        values = signal.dense() if isinstance(signal, SpikeRows) else signal
        rows = flat(values)
        post, pre = weights["indices"]
        current = rows.new_zeros(math.prod(ends.post), rows.shape[0])
        step = max(1, _BLOCK // max(1, rows.shape[0]))
        turned = rows.t()
        for part in range(0, len(post), step):
            some = slice(part, part + step)
            current = current.index_add(0, post[some], turned[pre[some]] * weights["weight"][some, None])
        current = current.t()
        if "bias" in weights:
            current = current + weights["bias"]
        return current.reshape(*values.shape[:2], *ends.post)

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, to_signal: bool
    ) -> Gradients:
        if _pays_dense(signal, weights, ends):
            back, full = _FULL.gradients(signal, _as_matrix(weights, ends), ends, grad, to_signal)
            return Gradients(back, full | {"weight": full["weight"][tuple(weights["indices"])]})
        values = signal.dense() if isinstance(signal, SpikeRows) else signal
        before, after = flat(values).t().contiguous(), flat(grad).t().contiguous()
        post, pre = weights["indices"]
        step = max(1, _BLOCK // max(1, before.shape[1]))
        parts = [slice(k, k + step) for k in range(0, max(1, len(post)), step)]
        found = {"weight": torch.cat([(after[post[s]] * before[pre[s]]).sum(1) for s in parts])}
        if "bias" in weights:
            found["bias"] = after.sum(1)
        if not to_signal:
            return Gradients(None, found)
        back = torch.zeros_like(before)
        for s in parts:
            back.index_add_(0, pre[s], after[post[s]] * weights["weight"][s, None])
        return Gradients(back.t().reshape(*values.shape[:2], *ends.pre), found)

    def _matrix(self) -> NDArray[Any] | None:
        if self.weight is None or isinstance(self.weight, Initializer) or self.indices is not None:
            return None
        matrix = numbers("Sparse.weight", self.weight)
        return matrix if matrix.ndim == 2 else None

    def _given_indices(self) -> NDArray[Any] | None:
        if self.indices is not None:
            return numbers("Sparse.indices", self.indices)
        matrix = self._matrix()
        return None if matrix is None else np.stack(np.nonzero(matrix))


_FULL = Full()


def _pays_dense(signal: Signal, weights: Mapping[str, Tensor], ends: Ends) -> bool:
    """Whether filling a dense matrix is faster than going over all synapses for each row of the signal."""
    shape = (signal.n_steps, signal.n_samples) if isinstance(signal, SpikeRows) else signal.shape[:2]
    return math.prod(ends.pre) * math.prod(ends.post) <= min(_DENSE, len(weights["weight"]) * math.prod(shape))


def _as_matrix(weights: Mapping[str, Tensor], ends: Ends) -> dict[str, Tensor]:
    """The weights of a full link that does the same: a matrix (post, pre) with zeros where there is no synapse."""
    post, pre = weights["indices"]
    shape = math.prod(ends.post), math.prod(ends.pre)
    matrix = weights["weight"].new_zeros(shape[0] * shape[1]).index_copy(0, post * shape[1] + pre, weights["weight"])
    return {name: w for name, w in weights.items() if name != "indices"} | {"weight": matrix.view(shape)}

"""Some neurons to some neurons, and never any other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ParameterError, ShapeError
from ...neurons.surrogates import is_number
from ..initializers import Initializer
from ..parameters import ParameterSpec, numbers
from .full import Full
from .link import Ends, Gradients, Link, Signal, Wanted, bias_spec, drawn, flat, weight_spec
from .rows import SpikeRows

_DENSE = 1 << 24
"""Up to how many pairs of neurons the synapses may be multiplied as a dense matrix."""
_BLOCK = 1 << 22
"""How many products of a synapse with a row are held at a time where they are not."""
_FEW, _KEPT = 0.25, 4
"""The density of values up to which a product goes by those that are not zero; for how many lists of synapses a link
keeps which are those of each source."""
_PAIR, _FILL = 200.0, 15.0
"""What the product of a synapse with a spike costs, and an entry of a dense matrix, in additions of a dense product."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SynapseList(Link):
    """A list of synapses, `indices` (2, n) of (post, pre), and their weights (n,): absent ones cannot appear."""

    def check_synapses(self, owner: str, indices: NDArray[Any], ends: Ends) -> None:
        """Raises ShapeError or ParameterError unless these are synapses of this kind between the two populations."""
        size = math.prod(ends.post), math.prod(ends.pre)
        if indices.dtype.kind not in "iu" or indices.ndim != 2 or len(indices) != 2:
            raise ShapeError(
                f"{owner}.indices must be whole numbers (2, n), post and pre, got {indices.dtype} {indices.shape}"
            )
        if np.any(indices < 0) or np.any(indices >= np.array(size)[:, None]):
            raise ShapeError(f"{owner}: synapses must be (post, pre) pairs below {size}")
        if not self.repeats and has_repeats(indices, size):
            raise ParameterError(f"{owner}.indices must hold each (post, pre) pair once, some stand there twice")

    @property
    def repeats(self) -> bool:
        """Whether a pair of neurons may be joined by several synapses."""
        return False

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, None]:
        if _pays_dense(signal, weights, ends):
            return _FULL.product(signal, _as_matrix(weights, ends), ends)
        current = _current(self, signal, weights, math.prod(ends.post))
        if "bias" in weights:
            current = current + weights["bias"]
        return current.reshape(*current.shape[:2], *ends.post), None

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        if _pays_dense(signal, weights, ends):
            back, found = _FULL.gradients(signal, _as_matrix(weights, ends), ends, grad, wanted)
            if "weight" in found:
                found["weight"] = found["weight"][tuple(weights["indices"])]
            return Gradients(back, found)
        found = {}
        if "weight" in wanted.weights:
            found["weight"] = _weight_gradient(signal, weights["indices"], grad)
        if "bias" in wanted.weights:
            found["bias"] = flat(grad).sum(0)
        back = _signal_gradient(weights, grad, ends) if wanted.signal else None
        return Gradients(back, found)


def has_repeats(indices: NDArray[Any], size: tuple[int, int]) -> bool:
    """Whether some (post, pre) pair stands there twice."""
    places = np.ravel_multi_index(tuple(indices.astype(np.int64)), size)
    return len(np.unique(places)) < len(places)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparse(SynapseList):
    """A list of synapses of a given number or at given places.

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
        if (indices := self._given_indices()) is not None:
            self.check_synapses(owner, indices, ends)

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
    """Whether a product with a dense matrix, filled for it, is faster than going over the synapses."""
    if not isinstance(signal, SpikeRows):
        return _rows_pay_dense(math.prod(signal.shape[:2]), weights, ends)
    size, n_pairs = math.prod(ends.pre) * math.prod(ends.post), signal.n_spikes * len(weights["weight"])
    dense = signal.n_spikes * math.prod(ends.post) + _FILL * size
    return size <= _DENSE and dense <= _PAIR * n_pairs / math.prod(ends.pre)


def _rows_pay_dense(n_rows: int, weights: Mapping[str, Tensor], ends: Ends) -> bool:
    """The same for so many rows of values."""
    return math.prod(ends.pre) * math.prod(ends.post) <= min(_DENSE, len(weights["weight"]) * n_rows)


def _as_matrix(weights: Mapping[str, Tensor], ends: Ends) -> dict[str, Tensor]:
    """The weights of a full link that does the same: a matrix (post, pre) with zeros where there is no synapse."""
    post, pre = weights["indices"]
    shape = math.prod(ends.post), math.prod(ends.pre)
    matrix = weights["weight"].new_zeros(shape[0] * shape[1]).index_add(0, post * shape[1] + pre, weights["weight"])
    return {name: w for name, w in weights.items() if name != "indices"} | {"weight": matrix.view(shape)}


def _parts(n_synapses: int, n_rows: int) -> Iterator[slice]:
    """The synapses in slices of so many that their products with all rows fit in a block."""
    step = max(1, _BLOCK // max(1, n_rows))
    return (slice(k, k + step) for k in range(0, n_synapses, step))


def _current(link: Link, signal: Signal, weights: Mapping[str, Tensor], n_post: int) -> Tensor:
    """The current (T, B, post)."""
    (post, pre), weight = weights["indices"], weights["weight"]
    if isinstance(signal, SpikeRows):
        current = weight.new_zeros(signal.n_samples * signal.n_steps * n_post)
        for synapse, row, value in _pairs(signal, pre):
            given = weight[synapse] if value is None else weight[synapse] * value.to(weight.dtype)
            current.index_add_(0, row * n_post + post[synapse], given)
        return current.view(signal.n_samples, signal.n_steps, n_post).transpose(0, 1)
    rows = flat(signal)
    derived = rows.requires_grad and torch.is_grad_enabled()  # what is zero has a derivative, too
    if not derived and len(sent := rows.nonzero()) <= _FEW * rows.numel():
        return _current_of(link, sent, rows, weights, n_post).view(*signal.shape[:2], n_post)
    turned = rows.t()
    current = turned.new_zeros(n_post, turned.shape[1])
    for some in _parts(len(post), turned.shape[1]):
        current = current.index_add(0, post[some], turned[pre[some]] * weight[some, None])
    return current.t().reshape(*signal.shape[:2], n_post)


def _current_of(link: Link, sent: Tensor, rows: Tensor, weights: Mapping[str, Tensor], n_post: int) -> Tensor:
    """The current (rows, post) of the few entries (k, 2) of rows (rows, pre) that are not zero, in time that grows with
    the synapses of their neurons alone."""
    post, weight = weights["indices"][0], weights["weight"]
    row, pre = sent.unbind(1)
    order, begins = _by_source(link, weights["indices"], rows.shape[1])
    begin, counts = begins[pre], begins[pre + 1] - begins[pre]
    ends = counts.cumsum(0)
    current = weight.new_zeros(len(rows) * n_post)
    cuts = torch.searchsorted(ends, torch.arange(0, int(counts.sum()), _BLOCK, device=pre.device)).tolist()
    for first, last in itertools.pairwise([*dict.fromkeys(cuts), len(pre)]):
        some = slice(first, last)
        shift = begin[some] - (ends[some] - counts[some] - (ends[first] - counts[first]))
        of = torch.arange(first, last, device=pre.device).repeat_interleave(counts[some])
        synapse = order[torch.arange(len(of), device=pre.device) + shift[of - first]]
        given = weight[synapse] * rows[row, pre][of]
        current.index_add_(0, row[of] * n_post + post[synapse], given)
    return current.view(len(rows), n_post)


Grouped = tuple[Tensor, Tensor]
_grouped: WeakKeyDictionary[Link, dict[Any, tuple[Tensor, Grouped]]] = WeakKeyDictionary()


def _by_source(link: Link, indices: Tensor, n_pre: int) -> Grouped:
    """The synapses in order of their sources, and where those of each begin, (pre + 1,).

    Each link keeps them for the indices that it was last asked for, with these, whose memory so is not that of others.
    """
    version = 0 if indices.is_inference() else indices._version
    key, kept = (indices.data_ptr(), indices.shape, indices.stride(), version, n_pre), _grouped.setdefault(link, {})
    if (found := kept.get(key)) is None:
        begins = torch.bincount(indices[1], minlength=n_pre).cumsum(0)
        order = torch.argsort(indices[1], stable=True)
        found = indices, (order, torch.cat([begins.new_zeros(1), begins]))
        if len(kept) >= _KEPT:
            kept.clear()
        kept[key] = found
    return found[1]


def _weight_gradient(signal: Signal, indices: Tensor, grad: Tensor) -> Tensor:
    post, pre = indices
    found = grad.new_zeros(len(post))
    if isinstance(signal, SpikeRows):
        after, n_post = grad.flatten(2).transpose(0, 1).flatten(), math.prod(grad.shape[2:])
        for synapse, row, value in _pairs(signal, pre):
            given = after[row * n_post + post[synapse]]
            found.index_add_(0, synapse, given if value is None else given * value.to(given.dtype))
        return found
    before, after = flat(signal).t().contiguous(), flat(grad).t().contiguous()
    for some in _parts(len(post), before.shape[1]):
        found[some] = (after[post[some]] * before[pre[some]]).sum(1)
    return found


def _signal_gradient(weights: Mapping[str, Tensor], grad: Tensor, ends: Ends) -> Tensor:
    (post, pre), after = weights["indices"], flat(grad).t().contiguous()
    if _rows_pay_dense(after.shape[1], weights, ends):
        return (after.t() @ _as_matrix(weights, ends)["weight"]).view(*grad.shape[:2], *ends.pre)
    back = after.new_zeros(math.prod(ends.pre), after.shape[1])
    for some in _parts(len(post), after.shape[1]):
        back.index_add_(0, pre[some], after[post[some]] * weights["weight"][some, None])
    return back.t().reshape(*grad.shape[:2], *ends.pre)


def _pairs(signal: SpikeRows, pre: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """For each synapse and spike of its source: the synapse, the row b * T + t of the spike, its value; in blocks."""
    rows, begins, values = signal.by_neuron
    begin, counts = begins[pre], begins[pre + 1] - begins[pre]
    ends = counts.cumsum(0)
    cuts = torch.searchsorted(ends, torch.arange(0, int(counts.sum()), _BLOCK, device=pre.device)).tolist()
    for first, last in itertools.pairwise([*dict.fromkeys(cuts), len(pre)]):
        some = slice(first, last)
        synapse = torch.repeat_interleave(torch.arange(first, last, device=pre.device), counts[some])
        # The spikes of a synapse follow each other, from its source's first one on.
        shift = begin[some] - (ends[some] - counts[some] - (ends[first] - counts[first]))
        place = torch.arange(len(synapse), device=pre.device) + shift.repeat_interleave(counts[some])
        yield synapse, rows[place].long(), None if values is None else values[place]

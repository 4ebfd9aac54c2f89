"""Spikes on a grid as rows of events: summed straight from the events, or made dense for those who ask."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from ...spikes import Spikes


class SpikeRows:
    """A batch of spike trains as compressed rows: row b * T + t holds the ids of the neurons that fire in that step.

    The product with a table (n, m) sums one row of the table for each spike, in O(spikes * m). like: a tensor of the
    type and on the device that `dense` gives.
    """

    def __init__(self, spikes: Spikes, n_steps: int, like: Tensor) -> None:
        self.n_steps, self.n_samples, self.shape = n_steps, spikes.n_samples, spikes.shape
        rows = spikes.samples() * n_steps + np.asarray(spikes.step)
        counts = np.bincount(rows, minlength=self.n_samples * n_steps)
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self._ids = np.asarray(spikes.ids, dtype=np.int32)
        self._values = None if spikes.value is None else np.asarray(spikes.value, dtype=np.float32)
        self._like = like

    @property
    def n_spikes(self) -> int:
        return len(self._ids)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._like.device)

    @cached_property
    def _by_row(self) -> tuple[Tensor, Tensor, Tensor | None]:
        values = None if self._values is None else self._tensor(self._values)
        return self._tensor(self._ids), self._tensor(self._starts[:-1]), values

    @cached_property
    def _by_neuron(self) -> tuple[Tensor, Tensor, Tensor | None]:
        data = np.ones(self.n_spikes, np.float32) if self._values is None else self._values
        shape = (self.n_samples * self.n_steps, math.prod(self.shape))
        turned = scipy.sparse.csr_matrix((data, self._ids, self._starts), shape=shape).tocsc()
        values = None if self._values is None else self._tensor(turned.data)
        return self._tensor(turned.indices), self._tensor(turned.indptr[:-1]), values

    def times(self, table: Tensor) -> Tensor:
        """The product (T, B, m) with a table (n, m)."""
        summed = _sum_rows(table, *self._by_row)
        return summed.view(self.n_samples, self.n_steps, table.shape[1]).transpose(0, 1)

    def transposed_times(self, values: Tensor) -> Tensor:
        """The product (n, m) of the transposed spikes with values (T, B, m): a weight gradient."""
        rows = values.transpose(0, 1).flatten(0, 1)
        return _sum_rows(rows, *self._by_neuron)

    def dense(self) -> Tensor:
        """The raster (T, B, *shape)."""
        n = math.prod(self.shape)
        raster = self._like.new_zeros(self.n_samples * self.n_steps, n)
        rows = self._tensor(np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts)))
        ids, _, values = self._by_row
        raster[rows, ids.long()] = 1.0 if values is None else values.to(raster.dtype)
        return raster.view(self.n_samples, self.n_steps, *self.shape).transpose(0, 1)


def _sum_rows(table: Tensor, ids: Tensor, starts: Tensor, values: Tensor | None) -> Tensor:
    """For each row the sum of the table's rows that its ids name."""
    if len(ids) == 0:
        return table.new_zeros(len(starts), table.shape[1])
    weights = None if values is None else values.to(table.dtype)
    return embedding_bag(ids, table.contiguous(), starts, mode="sum", per_sample_weights=weights)

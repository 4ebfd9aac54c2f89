"""Spikes on a grid as rows of events: summed straight from the events, or made dense for those who ask."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from ...errors import CompilerError, ShapeError
from ...native.events import EventRows, rows_of_spikes
from ...spikes import Spikes


class Rows(Protocol):
    """Events by row, such as `EventRows`: those of row b * T + t are `ids[start[r] : start[r + 1]]`."""

    @property
    def start(self) -> Any: ...
    @property
    def ids(self) -> Any: ...
    @property
    def values(self) -> Any: ...
    @property
    def n_steps(self) -> int: ...
    @property
    def n_samples(self) -> int: ...


class SpikeRows:
    """A batch of spike trains as compressed rows: row b * T + t holds the ids of the neurons that fire in that step.

    The product with a table (n, m) sums one row of the table for each spike, in O(spikes * m). like: a tensor of the
    type and on the device that `dense` gives.
    """

    def __init__(self, spikes: Spikes, n_steps: int, like: Tensor) -> None:
        self.shape, self.like, self.spikes = spikes.shape, like, spikes
        self.n_steps, self.n_samples = n_steps, spikes.n_samples
        self._events: dict[str | None, EventRows] = {}

    @classmethod
    def of(cls, rows: Rows, shape: tuple[int, ...], like: Tensor) -> SpikeRows:
        """Events by row, of neurons in a shape; ShapeError where the arrays do not fit each other."""
        made = cls.__new__(cls)
        made.shape, made.like, made._events = shape, like, {}
        made.n_steps, made.n_samples = size = rows.n_steps, rows.n_samples
        made._rows = _arrays(rows.start, rows.ids, rows.values)
        if made._starts.shape != (math.prod(size) + 1,) or (len(made._ids) and made._ids.max() >= math.prod(shape)):
            raise ShapeError(
                f"SpikeRows: {made._starts.shape} starts and ids are not of {size} (T, B) and shape {shape}"
            )
        if isinstance(rows, EventRows):
            made._events[None if rows.values is None else rows.values.dtype.name] = rows
        return made

    spikes: Spikes | None = None
    """What they were made of, where it was that."""

    @cached_property
    def _rows(self) -> tuple[Any, Any, Any]:
        """Where each row starts, the ids, the values, once someone asks for them."""
        spikes, n = cast(Spikes, self.spikes), math.prod(self.shape)
        try:
            events = rows_of_spikes(spikes.offsets, np.asarray(spikes.step), spikes.ids, None, self.n_steps, n)
        except CompilerError:
            row = spikes.samples() * self.n_steps + np.asarray(spikes.step)
            counts = np.bincount(row, minlength=self.n_steps * self.n_samples)
            return _arrays(np.concatenate([[0], np.cumsum(counts)]), spikes.ids, spikes.value)
        if spikes.value is None:
            self._events[None] = events
        return _arrays(events.start, events.ids, spikes.value)

    @property
    def _starts(self) -> Any:
        return self._rows[0]

    @property
    def _ids(self) -> Any:
        return self._rows[1]

    @property
    def _values(self) -> Any:
        return self._rows[2]

    @property
    def n_spikes(self) -> int:
        return len(self._ids)

    @property
    def density(self) -> float:
        """The share of (step, sample, neuron) that has a spike; 0 where there is none of these."""
        return self.n_spikes / max(1, self.n_samples * self.n_steps * math.prod(self.shape))

    def events(self, dtype: Any) -> EventRows:
        """The same as the compiled kernels read it, values in a real type; CompilerError where there are no kernels."""
        name = None if self._values is None else np.dtype(dtype).name
        if name not in self._events:
            values = None if self._values is None else np.ascontiguousarray(self._values, dtype)
            n = math.prod(self.shape)
            self._events[name] = EventRows(self._starts, self._ids, values, self.n_steps, self.n_samples, n)
        return self._events[name]

    def _tensor(self, array: Any, dtype: torch.dtype | None = None) -> Tensor:
        return torch.tensor(array, dtype=dtype, device=self.like.device)

    @cached_property
    def _by_row(self) -> tuple[Tensor, Tensor, Tensor | None]:
        index = torch.int32 if self.n_spikes < 2**31 else torch.int64
        values = None if self._values is None else self._tensor(self._values, self.like.dtype)
        return self._tensor(self._ids, index), self._tensor(self._starts[:-1], index), values

    @cached_property
    def by_neuron(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """The rows in which each neuron fires: all rows, where each neuron's begin, and the last end; the values."""
        data = np.ones(self.n_spikes, np.float32) if self._values is None else self._values
        shape = (self.n_samples * self.n_steps, math.prod(self.shape))
        turned = scipy.sparse.csr_matrix((data, self._ids, self._starts), shape=shape).tocsc()
        values = None if self._values is None else self._tensor(turned.data, self.like.dtype)
        return self._tensor(turned.indices), self._tensor(turned.indptr), values

    @cached_property
    def _entries(self) -> Tensor:
        """Where each event stands in the raster (B * T, n), flattened."""
        rows = np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts))
        return self._tensor(rows * math.prod(self.shape) + self._ids)

    def times(self, table: Tensor) -> Tensor:
        """The product (T, B, m) with a table (n, m)."""
        summed = _sum_rows(table, *self._by_row)
        return summed.view(self.n_samples, self.n_steps, table.shape[1]).transpose(0, 1)

    def transposed_times(self, values: Tensor) -> Tensor:
        """The product (n, m) of the transposed spikes with values (T, B, m): a weight gradient."""
        rows, starts, given = self.by_neuron
        return _sum_rows(values.transpose(0, 1).flatten(0, 1), rows, starts[:-1], given)

    def scaled(self, weight: Tensor) -> Tensor:
        """The raster (T, B, n) times one weight for each neuron, (n,)."""
        ids, _, values = self._by_row
        n = math.prod(self.shape)
        raster = weight.new_zeros(self.n_samples * self.n_steps * n)
        raster[self._entries] = weight[ids] if values is None else weight[ids] * values.to(weight.dtype)
        return raster.view(self.n_samples, self.n_steps, n).transpose(0, 1)

    def summed(self, dense: Tensor) -> Tensor:
        """For each neuron the sum (n,) of what stands in a dense (T, B, n) at its spikes, times their values."""
        ids, _, values = self._by_row
        found = dense.transpose(0, 1).flatten()[self._entries]
        found = found if values is None else found * values.to(dense.dtype)
        return dense.new_zeros(dense.shape[2]).index_add(0, ids, found)

    def dense(self) -> Tensor:
        """The raster (T, B, *shape)."""
        raster = self.scaled(self.like.new_ones(math.prod(self.shape)))
        return raster.view(*raster.shape[:2], *self.shape)


def _arrays(start: Any, ids: Any, values: Any) -> tuple[Any, Any, Any]:
    given = None if values is None else np.asarray(values)
    return np.ascontiguousarray(start, np.int64), np.ascontiguousarray(ids, np.int32), given


def _sum_rows(table: Tensor, ids: Tensor, starts: Tensor, values: Tensor | None) -> Tensor:
    """For each row the sum of the table's rows that its ids name."""
    if len(ids) == 0:
        return table.new_zeros(len(starts), table.shape[1])
    weights = None if values is None else values.to(table.dtype)
    return embedding_bag(ids, table.contiguous(), starts, mode="sum", per_sample_weights=weights)

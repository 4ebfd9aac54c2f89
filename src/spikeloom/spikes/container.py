"""The data model: a batch of spike trains, on a grid of steps or at times in ms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import DataError, ParameterError, ShapeError, StateError
from ..units import check_dt, duration_steps, steps, times
from .sorting import sorted_keys
from .validate import (
    Numbers,
    as_array,
    check_count,
    check_each,
    check_indices,
    check_labels,
    check_shape,
    check_trains,
    check_values,
)

if TYPE_CHECKING:
    import torch

Collisions: TypeAlias = Literal["error", "merge", "sum"]


class Grid(NamedTuple):
    """The steps of spikes on a grid: `step` of each spike (n_spikes,), how many steps there are, and dt in ms."""

    step: NDArray[Any]
    n_steps: int
    dt: float


@dataclass(frozen=True, eq=False, repr=False, kw_only=True, slots=True)
class Spikes:
    """A batch of B spike trains of one population, sorted by (sample, time, id).

    Make one with `from_steps`, `from_times`, `from_raster` or an encoder: they check what they get, the bare
    constructor does not. The spikes of sample b are the entries offsets[b] .. offsets[b + 1] - 1 of `ids`
    (flat, C order of `shape`) and of either `step` (on a grid: a neuron fires at most once a step) or `time` (ms).
    `value` is None where every spike is 1. These arrays are read-only. Indexing by an integer, slice, mask or
    integers selects samples.
    """

    offsets: NDArray[np.int64]
    ids: NDArray[Any]
    shape: tuple[int, ...]
    duration: float
    step: NDArray[Any] | None = None
    dt: float | None = None
    n_steps: int | None = None
    time: NDArray[np.float64] | None = None
    value: NDArray[Any] | None = None
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for name in ("offsets", "ids", "step", "time", "value"):
            if (array := getattr(self, name)) is not None:
                view = array.view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    @classmethod
    def from_steps(
        cls,
        step: Numbers,
        ids: Numbers,
        shape: int | Sequence[int],
        n_steps: int,
        dt: float,
        *,
        samples: Numbers | None = None,
        values: Numbers | None = None,
        labels: Numbers | None = None,
        n_samples: int | None = None,
        collisions: Collisions = "error",
    ) -> Spikes:
        """Spikes on the grid of `n_steps` steps of dt ms, from events in any order.

        `step`, `ids`, `samples` (all 0 if None) and `values` have one entry for each event. The number of samples is
        `n_samples`, else that of `labels`, else the greatest sample + 1. Where a neuron fires twice in one step,
        collisions="error" raises DataError, "merge" keeps the first, "sum" adds the values (1 where there are none).
        """
        shape, n_steps, dt = check_shape(shape, "Spikes.shape"), check_count(n_steps, "Spikes.n_steps"), check_dt(dt)
        step = check_indices(step, n_steps, "Spikes.step")
        trains = check_trains(step, ids, prod(shape), samples, values, labels, n_samples)
        dtype = index_dtype(trains.n_samples * n_steps * prod(shape))
        keys: NDArray[np.integer[Any]] = trains.samples.astype(dtype)
        for size, place in ((n_steps, step), (prod(shape), trains.ids)):
            keys *= size
            keys += place
        value = trains.value
        if value is None:
            keys.sort()
        else:
            keys, order = sorted_keys(keys)
            value = value[order]
        keys, value = _settled(keys, value, collisions, prod(shape), n_steps)
        return cls.from_keys(keys, shape, trains.n_samples, n_steps, dt, value=value, labels=trains.labels)

    @classmethod
    def from_times(
        cls,
        time: Numbers,
        ids: Numbers,
        shape: int | Sequence[int],
        duration: float,
        *,
        samples: Numbers | None = None,
        values: Numbers | None = None,
        labels: Numbers | None = None,
        n_samples: int | None = None,
    ) -> Spikes:
        """Spikes at times in ms, 0 <= time < duration, from events in any order; see `from_steps` for the rest."""
        shape = check_shape(shape, "Spikes.shape")
        duration = check_dt(duration, "Spikes.duration")
        time = as_array(time, "Spikes.time").astype(np.float64)
        check_each(time, (time >= 0) & (time < duration), "Spikes.time", f"in 0 <= time < duration = {duration} ms")
        trains = check_trains(time, ids, prod(shape), samples, values, labels, n_samples)
        order = np.lexsort((trains.ids, time, trains.samples))
        return cls(
            offsets=_offsets(np.bincount(trains.samples, minlength=trains.n_samples)),
            ids=trains.ids[order].astype(index_dtype(prod(shape))),
            shape=shape,
            duration=duration,
            time=time[order],
            value=None if trains.value is None else trains.value[order],
            labels=trains.labels,
        )

    @classmethod
    def from_raster(cls, raster: Numbers, dt: float, *, batched: bool = True, labels: Numbers | None = None) -> Spikes:
        """Spikes on a grid from a NumPy or torch raster (T, B, *shape), or (T, *shape) with batched=False.

        Every entry but 0 is a spike. Values other than 1 are kept: as int8 from integers, as float32 from floats.
        """
        array = as_array(raster, "raster")
        if array.ndim < 2 + batched:
            way_out = "; use batched=False for one recording" if batched and array.ndim == 2 else ""
            axes = "(T, B, *shape)" if batched else "(T, *shape)"
            raise ShapeError(f"raster must have shape {axes}, got {array.shape}{way_out}")
        if array.dtype.kind == "f":
            check_each(array, np.isfinite(array), "raster", "a finite number")
        array = array if batched else array[:, None]
        n_steps, n_samples = check_count(array.shape[0], "the number of steps of raster"), array.shape[1]
        shape = check_shape(array.shape[2:], "the population shape of raster")
        trains = np.swapaxes(array, 0, 1).reshape(-1)
        keys = np.flatnonzero(trains != 0)
        value = None if (trains[keys] == 1).all() else check_values(trains[keys], "values of raster")
        label_array, _ = check_labels(labels, n_samples)
        return cls.from_keys(keys, shape, n_samples, n_steps, check_dt(dt), value=value, labels=label_array)

    @classmethod
    def from_keys(
        cls,
        keys: NDArray[Any],
        shape: tuple[int, ...],
        n_samples: int,
        n_steps: int,
        dt: float,
        *,
        value: NDArray[Any] | None = None,
        labels: NDArray[np.int64] | None = None,
    ) -> Spikes:
        """Spikes on a grid from strictly increasing keys (sample * n_steps + step) * n_neurons + id, unchecked."""
        n_neurons = prod(shape)
        bounds = np.arange(n_samples + 1) * (n_steps * n_neurons)
        offsets = np.searchsorted(keys, bounds.astype(keys.dtype)).astype(np.int64)
        row = keys // n_neurons
        first_row = np.repeat((np.arange(n_samples) * n_steps).astype(keys.dtype), np.diff(offsets))
        return cls(
            offsets=offsets,
            ids=(keys - row * n_neurons).astype(index_dtype(n_neurons), copy=False),
            shape=shape,
            duration=times(n_steps, dt),
            step=(row - first_row).astype(index_dtype(n_steps), copy=False),
            dt=dt,
            n_steps=n_steps,
            value=value,
            labels=labels,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Spikes]) -> Spikes:
        """All samples of all parts, in order; the parts agree in shape, duration, dt, and in having labels or not."""
        if not parts:
            raise ParameterError("Spikes.concatenate expected at least one part, got none")
        for name in ("shape", "dt", "n_steps", "duration"):
            found = [getattr(part, name) for part in parts]
            if any(f != found[0] for f in found):
                got = next(f for f in found if f != found[0])
                raise ShapeError(f"Spikes.concatenate: {name} must be the same in all parts, got {found[0]} and {got}")
        if len({part.labels is None for part in parts}) > 1:
            raise DataError("Spikes.concatenate: either all parts have labels or none, got some with and some without")
        graded = any(part.value is not None for part in parts)
        counts = np.concatenate([np.diff(part.offsets) for part in parts])
        names = [n for n in ("ids", "step", "time", "labels") if getattr(parts[0], n) is not None]
        joined: dict[str, Any] = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
        value = np.concatenate([part.values() for part in parts]) if graded else None
        return replace(parts[0], offsets=_offsets(counts), value=value, **joined)

    @property
    def n_samples(self) -> int:
        """The number of samples B."""
        return self.offsets.size - 1

    @property
    def n_neurons(self) -> int:
        """The number of neurons, the product of `shape`."""
        return prod(self.shape)

    @property
    def n_spikes(self) -> int:
        """The number of spikes of all samples."""
        return self.ids.size

    @property
    def grid(self) -> Grid:
        """The step of each spike, the number of steps and dt; StateError for spikes that are not on a grid."""
        if self.step is None or self.n_steps is None or self.dt is None:
            raise StateError("Spikes: these spikes have times in ms and no steps; call on_grid(dt) first")
        return Grid(self.step, self.n_steps, self.dt)

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, index: int | slice | Sequence[int] | NDArray[Any]) -> Spikes:
        rows = np.atleast_1d(np.arange(len(self))[index])
        if rows.ndim != 1:
            raise ShapeError(f"Spikes[...] selects samples by an integer, slice, mask or integers, got {index!r}")
        counts = np.diff(self.offsets)[rows]
        offsets = _offsets(counts)
        where = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], counts)
        names = [n for n in ("ids", "step", "time", "value") if getattr(self, n) is not None]
        chosen: dict[str, Any] = {n: getattr(self, n)[where] for n in names}
        return replace(self, offsets=offsets, labels=None if self.labels is None else self.labels[rows], **chosen)

    def __repr__(self) -> str:
        span = f"{self.duration:g} ms" if self.dt is None else f"{self.n_steps} steps of {self.dt:g} ms"
        values = "" if self.value is None else f", {self.value.dtype} values"
        labelled = "" if self.labels is None else ", labelled"
        events = f"{self.n_spikes} spikes{values}{labelled}"
        return f"Spikes({self.n_samples} samples, shape {self.shape}, {span}, {events})"

    def equals(self, other: Spikes) -> bool:
        """Whether both hold the same: samples, spikes, values, labels, shape and time axis."""
        names = [field.name for field in fields(self) if field.name != "value"]
        same = all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)
        return same and np.array_equal(self.values(), other.values())

    def on_grid(self, dt: float, *, collisions: Collisions = "error") -> Spikes:
        """The spikes on steps of dt ms; themselves where they are on that grid already.

        A spike at k * dt is in step k, any other in the step that its time falls into. `collisions` says what two
        spikes of a neuron in one step become, as in `from_steps`.
        """
        if self.dt == dt:
            return self
        n_steps = duration_steps(self.duration, dt)
        # A time just below the duration may be rounded up to it.
        step = np.minimum(steps(self.times_ms(), dt), n_steps - 1)
        return Spikes.from_steps(
            step,
            self.ids,
            self.shape,
            n_steps,
            dt,
            samples=self.samples(),
            values=self.value,
            labels=self.labels,
            n_samples=len(self),
            collisions=collisions,
        )

    def window(self, begin: int, end: int) -> Spikes:
        """The spikes of the steps begin to end - 1, with steps that count from `begin`; on a grid only."""
        step, n_steps, dt = self.grid
        if not 0 <= begin < end <= n_steps:
            raise ParameterError(f"Spikes.window must lie in 0 <= begin < end <= {n_steps} steps, got {begin}, {end}")
        kept = (step >= begin) & (step < end)
        counts = np.bincount(self.samples()[kept], minlength=len(self))
        chosen = {"ids": self.ids[kept], "step": step[kept] - step.dtype.type(begin)}
        value = None if self.value is None else self.value[kept]
        duration = times(end - begin, dt)
        return replace(self, offsets=_offsets(counts), value=value, n_steps=end - begin, duration=duration, **chosen)

    def times_ms(self) -> NDArray[np.float64]:
        """The time of each spike in ms, (n_spikes,); on a grid, the beginning of its step."""
        return times(self.grid.step, self.grid.dt) if self.time is None else self.time

    def samples(self) -> NDArray[np.int64]:
        """The sample of each spike, (n_spikes,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def values(self) -> NDArray[Any]:
        """The value of each spike, (n_spikes,): `value`, or int8 ones where there is none."""
        return np.ones(self.n_spikes, np.int8) if self.value is None else self.value

    def counts(self) -> NDArray[np.int64]:
        """The number of spikes of each neuron, (B, *shape), whatever their values."""
        train = self.samples() * self.n_neurons + self.ids
        return np.bincount(train, minlength=len(self) * self.n_neurons).reshape(len(self), *self.shape)

    def raster(self, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """The raster (T, B, *shape): int8, or the dtype of the values; another dtype must be able to hold them."""
        step, n_steps, _ = self.grid
        held = self.values().dtype
        wanted = held if dtype is None else np.dtype(dtype)
        if self.value is not None and not np.can_cast(held, wanted):
            raise ParameterError(f"Spikes.raster: dtype must hold {held} values, got {wanted}; use dtype=None")
        raster = np.zeros(n_steps * len(self) * self.n_neurons, wanted)
        raster[(step.astype(np.int64) * len(self) + self.samples()) * self.n_neurons + self.ids] = self.values()
        return raster.reshape(n_steps, len(self), *self.shape)

    def tensor(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> torch.Tensor:
        """The raster (T, B, *shape) as a torch tensor: int8, or the dtype of the values, unless told otherwise."""
        import torch

        return torch.from_numpy(self.raster()).to(device=device, dtype=dtype)


def index_dtype(limit: int) -> type[np.int32] | type[np.int64]:
    """The integer type of indices up to `limit`: int32, or int64 where needed; ParameterError where that overflows."""
    if limit >= 2**63:
        raise ParameterError(f"samples x steps x neurons must stay below 2**63, got {limit}; use fewer steps")
    return np.int32 if limit < 2**31 else np.int64


def first_of_each(ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """A mask of the entries of a sorted array that differ from the one before."""
    first = np.ones(ordered.size, np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


def _offsets(counts: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _settled(
    keys: NDArray[Any], value: NDArray[Any] | None, collisions: Collisions, n_neurons: int, n_steps: int
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The sorted keys, each once, with their values."""
    if collisions not in ("error", "merge", "sum"):
        raise ParameterError(f"Spikes.collisions must be 'error', 'merge' or 'sum', got {collisions!r}")
    first = first_of_each(keys)
    if first.all():
        return keys, value
    if collisions == "error":
        row, neuron = divmod(int(keys[np.argmin(first)]), n_neurons)
        where = f"neuron {neuron} fires twice in step {row % n_steps} of sample {row // n_steps}"
        raise DataError(f"Spikes: {where}; use a smaller dt, or collisions='merge' or 'sum'")
    if collisions == "merge":
        return keys[first], None if value is None else value[first]
    added = np.ones(keys.size, np.int64) if value is None else value
    total = np.add.reduceat(added, np.flatnonzero(first), dtype=np.float32 if added.dtype.kind == "f" else np.int64)
    kept = total != 0
    return keys[first][kept], check_values(total[kept])

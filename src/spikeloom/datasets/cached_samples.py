"""Samples as columns of a cache file, and a cache file as a data set: Events, Spikes or arrays of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError
from ..events import Events
from ..events.container import DTYPES, LARGEST_SIDE, in_order
from ..spikes import Spikes
from ..spikes.container import index_dtype
from ..units import MAX_STEPS, times
from .cache_file import CacheFile, CacheWriter, pieces
from .checks import positions
from .dataset import Data, Dataset, Labels, Sample, class_numbers
from .event_dataset import EventDataset, Transform
from .progress_meter import Meter

_BLOCK = 256
"""How many arrays are checked at once."""


def classes_as_json(classes: Sequence[str] | Sequence[int]) -> int | list[Any]:
    """The names of classes, or how many there are where these are their numbers."""
    named = any(isinstance(name, str) for name in classes)
    return [str(name) for name in classes] if named else len(classes)


def write_samples(writer: CacheWriter, dataset: Dataset, progress: bool) -> dict[str, Any]:
    """Writes all samples of a data set, and its labels; returns the facts that the samples share."""
    facts: dict[str, Any] = {}
    counts, plain = [0], True
    with Meter(f"cache of {dataset.name}", len(dataset), unit="samples", shown=progress) as meter:
        for index in range(len(dataset)):
            sample, label = dataset[index]
            if np.ndim(label) or label != dataset.labels[index]:
                raise DataError(f"cached: labels of {dataset.name} must be those of its samples, got others at {index}")
            found, columns = _columns(sample)
            if facts not in ({}, found):
                raise DataError(f"cached: all samples of {dataset.name} must agree in {facts}, got {found} at {index}")
            facts = found
            plain &= not isinstance(sample, Spikes) or sample.value is None
            counts.append(next((len(column) for name, column in columns.items() if name != "size"), 0))
            writer.append(columns)
            meter.to(index + 1)
    if not facts:
        raise DataError(f"cached: {dataset.name} has no samples")
    if facts["kind"] == "spikes" and plain:
        writer.drop("value")
    if facts["kind"] != "arrays":
        writer.append({"offsets": np.cumsum(counts, dtype=np.int64)})
    writer.append({"labels": dataset.labels})
    return facts


def read_dataset(
    file: CacheFile,
    name: str,
    verified: bool,
    transform: Transform | Sequence[Transform] | None = None,
    generator: np.random.Generator | None = None,
) -> Dataset:
    """The data set in a cache file; DataError where the file is not what a writer wrote."""
    facts = file.facts()
    kind = facts.get("kind") if isinstance(facts, dict) else None
    if kind not in ("events", "spikes", "arrays"):
        raise DataError(f"{file.path}: expected samples of a kind events, spikes or arrays, got {kind!r}")
    classes, shape = _classes(facts.get("classes"), file), _shape(facts.get("shape"), file)
    labels = class_numbers(np.array(file.column("labels", np.int64)), str(file.path))
    if labels.size and labels.max() >= len(classes):
        raise DataError(f"{file.path}: labels must be below {len(classes)}, the classes, got {labels.max()}")
    if kind == "events":
        recordings = CachedEvents(file, len(labels))
        return EventDataset(recordings, labels, name=name, classes=classes, transform=transform, generator=generator,
                            verified=verified)  # fmt: skip
    if transform is not None:
        raise ParameterError(f"cached: transform= is for Events, but the samples of {name} are {kind}")
    reader = CachedSpikes(file, labels, facts) if kind == "spikes" else CachedArrays(file, len(labels))
    return CachedDataset(reader, labels, name=name, classes=classes, shape=shape, verified=verified)


@final
class CachedEvents:
    """The recordings of a cache file."""

    def __init__(self, file: CacheFile, n: int) -> None:
        self.file, self.n = file, n
        self.columns = {name: file.column(name, dtype, file.columns["t"].shape if "t" in file.columns else None)
                        for name, dtype in DTYPES.items()}  # fmt: skip
        self.offsets = file.offsets(n, self.columns["t"].size)
        self.size = np.array(file.column("size", np.int32, (n, 2)))
        if self.columns["t"].ndim != 1 or (n and not 1 <= self.size.min() <= self.size.max() <= LARGEST_SIDE):
            raise DataError(f"{file.path}: expected events of sensors of 1 to {LARGEST_SIDE} pixels a side")

    def __reduce__(self) -> tuple[Any, ...]:
        return CachedEvents, (self.file, self.n)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Events:
        part = slice(self.offsets[index], self.offsets[index + 1])
        t, x, y, p = (np.array(self.columns[name][part]) for name in "txyp")
        width, height = (int(side) for side in self.size[index])
        for values, most, what in ((x, width, "x"), (y, height, "y"), (p, 2, "p")):
            if values.size and not 0 <= values.min() <= values.max() < most:
                raise DataError(f"{self.file.path}: {what} of recording {index} must be below {most}; delete the file")
        return Events(t=t, x=x, y=y, p=p, width=width, height=height, is_sorted=in_order(t))


@final
class CachedArrays:
    """The arrays of a cache file."""

    def __init__(self, file: CacheFile, n: int) -> None:
        self.file, self.n = file, n
        self.data = file.column("data", np.float32)
        if self.data.ndim < 1 or len(self.data) != n:
            raise DataError(f"{file.path}: expected {n} arrays, as there are labels, got shape {self.data.shape}")
        self.plain = self.data.view(np.ndarray)
        if file.verify and not all(np.isfinite(self.plain[k : k + _BLOCK]).all() for k in range(0, n, _BLOCK)):
            raise DataError(f"{file.path}: expected finite numbers, got others")

    def __reduce__(self) -> tuple[Any, ...]:
        return CachedArrays, (self.file, self.n)

    def batch(self, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """The arrays of the chosen samples, in memory."""
        found: NDArray[np.float32] = self.plain[chosen]
        return found


@final
class CachedSpikes:
    """The spike trains of a cache file."""

    def __init__(self, file: CacheFile, labels: Labels, facts: dict[str, Any]) -> None:
        self._made_of = file, labels, facts
        self.file, self.labels = file, labels if facts.get("labelled") is True else None
        self.shape = _shape(facts.get("population"), file)
        self.n_neurons = int(np.prod(self.shape, dtype=object))
        self.dt, self.n_steps, self.duration = (_any(facts.get(name)) for name in ("dt", "n_steps", "duration"))
        if self.dt is not None:
            whole = type(self.n_steps) is int and 0 < self.n_steps <= MAX_STEPS
            if not whole or not isinstance(self.dt, float) or not 0 < self.dt < 1e9:
                raise DataError(f"{file.path}: expected a grid of steps, got dt {self.dt!r}, n_steps {self.n_steps!r}")
            self.duration = times(self.n_steps, self.dt)
        if not isinstance(self.duration, float) or not 0 < self.duration < np.inf or not 0 < self.n_neurons < 2**62:
            raise DataError(f"{file.path}: expected a duration and a population, got {self.duration!r}, {self.shape}")
        self.ids = file.column("ids", index_dtype(self.n_neurons))
        name, dtype = ("time", np.float64) if self.dt is None else ("step", index_dtype(self.n_steps))
        self.when = file.column(name, dtype, self.ids.shape)
        self.value = file.columns.get("value")
        if self.ids.ndim != 1 or (self.value is not None and self.value.shape != self.ids.shape):
            raise DataError(f"{file.path}: expected an id, a time and a value for each spike")
        self.offsets = file.offsets(len(labels), self.ids.size)

    def __reduce__(self) -> tuple[Any, ...]:
        return CachedSpikes, self._made_of

    def batch(self, chosen: NDArray[np.int64]) -> Spikes:
        """The spike trains of the chosen samples, in memory, checked."""
        ids, when = pieces(self.ids, self.offsets, chosen), pieces(self.when, self.offsets, chosen)
        offsets = np.concatenate(([0], np.cumsum(np.diff(self.offsets)[chosen]))).astype(np.int64)
        self._check(ids, when, offsets)
        value = None if self.value is None else pieces(self.value, self.offsets, chosen)
        on_grid = self.dt is not None
        return Spikes(
            offsets=offsets,
            ids=ids,
            shape=self.shape,
            duration=self.duration,
            step=when if on_grid else None,
            dt=self.dt,
            n_steps=self.n_steps if on_grid else None,
            time=None if on_grid else when,
            value=None if value is None or (value == 1).all() else value,
            labels=None if self.labels is None else self.labels[chosen],
        )

    def _check(self, ids: NDArray[Any], when: NDArray[Any], offsets: NDArray[np.int64]) -> None:
        """DataError for spikes outside of the population or the window, or out of order."""
        if not ids.size:
            return
        end = self.n_steps if self.dt is not None else self.duration
        inside = 0 <= ids.min() <= ids.max() < self.n_neurons and when.min() >= 0 and when.max() < end
        later = when[1:] > when[:-1]
        same = when[1:] == when[:-1]
        ordered = later | (same & ((ids[1:] > ids[:-1]) if self.dt is not None else (ids[1:] >= ids[:-1])))
        begins = offsets[1:-1]
        ordered[begins[(begins > 0) & (begins < ids.size)] - 1] = True
        if not inside or not ordered.all():
            raise DataError(
                f"{self.file.path}: expected spikes in their window and in order, got others; delete the file"
            )


@final
class CachedDataset(Dataset):
    """Samples that are read from a cache file, batch by batch."""

    def __init__(
        self,
        reader: CachedArrays | CachedSpikes,
        labels: Labels,
        *,
        name: str,
        classes: Sequence[str] | Sequence[int],
        shape: tuple[int, ...],
        verified: bool,
    ) -> None:
        self.reader, self.labels, self.name, self.classes = reader, labels, name, classes
        self.shape, self.verified = shape, verified

    def __getitem__(self, index: int) -> tuple[Sample, int]:
        data, labels = self.batch([index])
        return (data if isinstance(data, Spikes) else data[0]), int(labels[0])

    def batch(self, indices: ArrayLike) -> tuple[Data, Labels]:
        """The samples at `indices` as one array (B, *shape) or one Spikes, and their labels (B,): copies."""
        chosen = positions(indices, len(self), self.name)
        return self.reader.batch(chosen), self.labels[chosen]


def _columns(sample: Sample) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The facts that all samples must share, and a sample as entries of columns."""
    if isinstance(sample, Events):
        columns = {name: getattr(sample, name) for name in DTYPES}
        return {"kind": "events"}, columns | {"size": np.array([sample.sensor_size], np.int32)}
    if isinstance(sample, Spikes):
        names = [name for name in ("ids", "step", "time") if getattr(sample, name) is not None]
        facts = {name: getattr(sample, name) for name in ("duration", "dt", "n_steps")}
        facts |= {"kind": "spikes", "population": list(sample.shape), "labelled": sample.labels is not None}
        return facts, {name: getattr(sample, name) for name in names} | {"value": sample.values()}
    array = np.asarray(sample)
    if array.dtype.kind not in "biuf":
        raise DataError(f"cached: samples must be numbers, got {array.dtype}")
    array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise DataError("cached: samples must be finite numbers, got NaN or infinity; clean them first")
    return {"kind": "arrays"}, {"data": array[None]}


def _any(found: Any) -> Any:
    """What a file tells, of which nothing is known yet."""
    return found


def _classes(found: Any, file: CacheFile) -> Sequence[str] | Sequence[int]:
    if type(found) is int and 0 <= found < 2**31:
        return range(found)
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return found
    raise DataError(f"{file.path}: expected the names of the classes, or how many, got {found!r:.60}")


def _shape(found: Any, file: CacheFile) -> tuple[int, ...]:
    if isinstance(found, list) and all(type(side) is int and 0 <= side < 2**48 for side in found):
        return tuple(found)
    raise DataError(f"{file.path}: expected a shape, got {found!r:.60}")

"""Recordings of event cameras as a data set: read when asked for, made into frames or spikes by transforms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, final, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError
from ..events import Events
from ..events.files import read_events
from ..spikes import Spikes
from .checks import positions
from .dataset import Dataset, Sample, class_numbers

Transform: TypeAlias = Callable[..., Any]
"""A function of what the one before it gives, the first of Events."""


class Recordings(Protocol):
    """Events by index: a list of Events, or what reads or makes them when asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Events: ...


@runtime_checkable
class Keyed(Protocol):
    """What can be cached: its samples depend on nothing but the content of `files` and the text of `key`."""

    def files(self) -> Sequence[Path]:
        """The files that the samples are read from."""

    def key(self) -> str:
        """How the samples are made, and of what, files aside; raises ParameterError where that is not known."""


@final
class EventDataset(Dataset):
    """Labelled recordings: `events, label = dataset[3]`, or what `transform` makes of the events.

    `transform` is a function of Events, or a list of functions that are applied in turn, such as frames or spikes at
    the end: `batch`, and with it a Dataloader, needs arrays of one shape or Spikes. `shape` is that of the first sample
    as the transform gives it, else (2, height, width). Recordings are read when asked for, one by one. Random
    transforms draw from `generator`; a Dataloader gives them its own.
    """

    def __init__(
        self,
        recordings: Recordings,
        labels: ArrayLike,
        *,
        name: str = "events",
        classes: Sequence[str] | Sequence[int] = (),
        transform: Transform | Sequence[Transform] | None = None,
        generator: np.random.Generator | None = None,
        verified: bool = False,
    ) -> None:
        self.name, self.recordings, self.verified = name, recordings, verified
        self.labels = class_numbers(labels, name)
        self.transform, self.generator = chain(transform, name), generator
        self.random = any(map(is_random, self.transform))
        largest = int(self.labels.max(initial=-1))
        self.classes = classes if len(classes) else range(largest + 1)
        if len(recordings) != len(self.labels):
            raise DataError(f"{name}: {len(recordings)} recordings but {len(self.labels)} labels; give one for each")
        if largest >= self.n_classes:
            raise DataError(f"{name}.labels must be below {self.n_classes}, the classes, got {largest}")
        # The shape is the same whatever is drawn, and takes nothing from the generator.
        self.shape = _shape(self.sample(0, np.random.default_rng(0))[0]) if len(self.labels) else ()

    def __getitem__(self, index: int) -> tuple[Sample, int]:
        return self.sample(index, self.generator)

    def sample(self, index: int, generator: np.random.Generator | None) -> tuple[Sample, int]:
        """The sample at an index, where random transforms draw from this generator, not from the set's own."""
        if self.random and generator is None:
            random = next(step for step in self.transform if is_random(step))
            raise ParameterError(f"{self.name}: {random!r} is random; give generator=numpy.random.default_rng(seed)")
        place = int(positions([index], len(self), self.name)[0])
        sample = transformed(self.recordings[place], self.transform, generator)
        if not isinstance(sample, (Events, Spikes)):
            sample = np.asarray(sample, np.float32)
        return sample, int(self.labels[place])

    def with_transform(
        self, transform: Transform | Sequence[Transform] | None, generator: np.random.Generator | None = None
    ) -> EventDataset:
        """The same recordings with another transform."""
        return EventDataset(self.recordings, self.labels, name=self.name, classes=self.classes, transform=transform,
                            generator=generator, verified=self.verified)  # fmt: skip

    def select(self, indices: ArrayLike) -> EventDataset:
        """The recordings at `indices` (or where a mask is true), in that order; but the first, none is read."""
        chosen = positions(indices, len(self), self.name)
        return EventDataset(Chosen(self.recordings, chosen), self.labels[chosen], name=self.name, classes=self.classes,
                            transform=self.transform, generator=self.generator, verified=self.verified)  # fmt: skip

    def files(self) -> Sequence[Path]:
        """The files that the recordings are read from."""
        return self.recordings.files() if isinstance(self.recordings, Keyed) else []

    def key(self) -> str:
        """How the samples are made: of which recordings, by which transforms."""
        steps = [transform_key(step, self.name) for step in self.transform]
        return "\n".join([_keyed(self.recordings, self.name).key(), *steps])


@final
class EventFiles:
    """Event files, each a recording or, with `windows`, those (start, end) in ms of each, moved to begin at 0.

    `sensor_size` (width, height) is that of the files; `transposed` exchanges rows and columns.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        format: str | None = None,
        sensor_size: tuple[int, int] | None = None,
        windows: Sequence[tuple[float, float]] | None = None,
        transposed: bool = False,
    ) -> None:
        if windows is not None and len(windows) != len(paths):
            raise ParameterError(f"EventFiles.windows must have one entry for each of {len(paths)} paths")
        self.paths, self.format, self.sensor_size = list(paths), format, sensor_size
        self.windows, self.transposed = windows, transposed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Events:
        start, end = (None, None) if self.windows is None else self.windows[index]
        events = read_events(self.paths[index], self.format, self.sensor_size, start=start, end=end)
        if start is not None:
            events = events.with_arrays(t=events.t - round(start * 1000))
        if self.transposed:
            return replace(events, x=events.y, y=events.x, width=events.height, height=events.width)
        return events

    def files(self) -> Sequence[Path]:
        return list(dict.fromkeys(self.paths))

    def key(self) -> str:
        places = {path: place for place, path in enumerate(self.files())}
        parts = [places[path] for path in self.paths], self.windows
        return f"files {self.format} {self.sensor_size} {self.transposed} {digest(repr(parts).encode())}"


@final
class Chosen:
    """Some of other recordings."""

    def __init__(self, recordings: Recordings, indices: NDArray[np.int64]) -> None:
        self.recordings, self.indices = recordings, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Events:
        return self.recordings[int(self.indices[index])]

    def files(self) -> Sequence[Path]:
        return self.recordings.files() if isinstance(self.recordings, Keyed) else []

    def key(self) -> str:
        return f"{_keyed(self.recordings, 'recordings').key()}\nchosen {digest(self.indices)}"


def transform_key(transform: Transform, owner: str) -> str:
    """What `transform.key()` tells; ParameterError for a transform that does not tell what it does."""
    key = getattr(transform, "key", None)
    told = key() if callable(key) else None
    if not isinstance(told, (str, dict)):
        raise ParameterError(
            f"{owner}: {transform!r} has no key(), so that nobody can tell whether it was changed; use the transforms "
            "of spikeloom.events, or give cached(key=) a text that you change with it"
        )
    return told if isinstance(told, str) else json.dumps(told, sort_keys=True)


def digest(data: bytes | memoryview | NDArray[Any]) -> str:
    """The SHA-256 of bytes, or of an array with its type and shape."""
    found = hashlib.sha256()
    if isinstance(data, np.ndarray):
        found.update(f"{data.dtype.str} {data.shape} ".encode())
        data = np.ascontiguousarray(data).reshape(-1).view(np.uint8).data
    found.update(data)
    return found.hexdigest()


def _keyed(recordings: Any, owner: str) -> Keyed:
    if not isinstance(recordings, Keyed):
        kind = type(recordings).__name__
        raise ParameterError(f"{owner}: nothing tells what is in recordings of type {kind}; give cached(key=)")
    return recordings


def chain(transform: Any, owner: str) -> tuple[Transform, ...]:
    """A transform, several or none as functions to be applied in turn."""
    steps = () if transform is None else (transform,) if callable(transform) else tuple(transform)
    for step in steps:
        if not callable(step):
            raise ParameterError(f"{owner}.transform must be a function or a list of functions, got {step!r}")
    return steps


def is_random(step: Any) -> bool:
    """Whether a transform is called with a generator."""
    return getattr(step, "random", False) is True


def transformed(sample: Any, steps: Sequence[Transform], generator: np.random.Generator | None) -> Any:
    """What the transforms make of a sample, the random ones drawing from the generator."""
    for step in steps:
        sample = step(sample, generator) if is_random(step) else step(sample)
    return sample


def _shape(sample: Sample) -> tuple[int, ...]:
    return (2, sample.height, sample.width) if isinstance(sample, Events) else tuple(sample.shape)

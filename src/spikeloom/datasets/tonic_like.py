"""Data sets of Tonic, and any that look like them: pairs of a structured array of events and a target, by index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError
from ..events import Events
from ..spikes import Collisions, Spikes
from ..spikes.container import index_dtype
from ..units import check_dt
from .event_dataset import EventDataset, Transform


class TonicLike(Protocol):
    """Samples (events, target) by index, with the sensor's size (width, height, polarities)."""

    sensor_size: Any

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


def from_tonic(
    dataset: TonicLike,
    transform: Transform | Sequence[Transform] | None = None,
    *,
    generator: np.random.Generator | None = None,
    dt: float | None = None,
    duration: float | None = None,
    collisions: Collisions = "merge",
) -> EventDataset:
    """The samples of a Tonic data set: Events of cameras, Spikes of sensors with one axis, such as SHD's 700 channels.

    Tonic is not imported: `dataset` has `sensor_size` and gives (events, target), events with fields x, t (in us), p
    and, for cameras, y. Spikes have times in ms in a window of `duration` ms, by default up to the last spike of each
    sample (a batch lasts as long as its longest), on steps of `dt` ms where it is given; channels with several
    polarities have the shape (width, polarities). What a transform of its own has made into plain arrays comes as it
    is. `transform` is applied to what comes. Labels are its `targets`, else (and where it has a `target_transform`)
    those of all samples, which are read once; texts are numbered in the order of `classes`, or of the alphabet.
    """
    if not hasattr(dataset, "sensor_size") or not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        kind = type(dataset).__name__
        raise ParameterError(f"from_tonic expected a data set with sensor_size, length and samples, got {kind}")
    recordings = _Recordings(dataset, dt if dt is None else check_dt(dt), duration, collisions)
    labels, classes = _labels(dataset)
    name = type(dataset).__name__
    return EventDataset(recordings, labels, name=name, classes=classes, transform=transform, generator=generator)


@final
class _Recordings:
    """The samples of a data set without their targets, in our form."""

    def __init__(self, dataset: TonicLike, dt: float | None, duration: float | None, collisions: Collisions) -> None:
        self.dataset, self.dt, self.collisions = dataset, dt, collisions
        self.duration = duration if duration is None else check_dt(duration, "from_tonic.duration")

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        events = _pair(self.dataset, index)[0]
        names = getattr(getattr(events, "dtype", None), "names", None)
        if names is None:
            return events
        size = _sensor_size(self.dataset.sensor_size)
        if "y" in names:
            return Events.from_structured(events, size)
        return self._spikes(events, names, size, index)

    def _spikes(self, events: NDArray[Any], names: Sequence[str], size: tuple[int, ...] | None, index: int) -> Spikes:
        """Spikes of a sensor with one axis."""
        if size is None or not {"t", "x"} <= set(names):
            raise DataError(f"from_tonic: expected fields t and x and a sensor size, got {names} at sample {index}")
        polarities = size[2] if len(size) > 2 else 1
        shape = (size[0],) if polarities == 1 else (size[0], polarities)
        x, t = events["x"].astype(np.int64), events["t"].astype(np.float64) / 1000
        p = events["p"].astype(np.int64) if polarities > 1 and "p" in names else np.zeros_like(x)
        for field, values, most in (("x", x, size[0]), ("p", p, polarities)):
            if (bad := (values < 0) | (values >= most)).any():
                at = int(np.argmax(bad))
                raise DataError(
                    f"from_tonic: {field} must be below {most}, got {values[at]} at event {at} of sample {index}"
                )
        window = self.duration or float(np.floor(t.max(initial=0.0)) + 1)
        ids = (x * polarities + p).astype(index_dtype(prod(shape)))
        spikes = Spikes.from_times(t, ids, shape, window, n_samples=1)
        return spikes if self.dt is None else spikes.on_grid(self.dt, collisions=self.collisions)


def _pair(dataset: TonicLike, index: int) -> tuple[Any, Any]:
    sample = dataset[index]
    if not isinstance(sample, (tuple, list)) or len(sample) != 2:
        raise DataError(f"from_tonic: expected (events, target), got {type(sample).__name__} at sample {index}")
    return sample[0], sample[1]


def _sensor_size(size: Any) -> tuple[int, ...] | None:
    if size is None:
        return None
    if not isinstance(size, (tuple, list)) or not 1 <= len(size) <= 3:
        raise ShapeError(f"from_tonic: sensor_size must be (width, height, polarities), got {size!r}")
    return tuple(int(side) for side in size)


def _labels(dataset: TonicLike) -> tuple[NDArray[np.int64], Sequence[Any]]:
    """The labels of all samples as numbers, and the classes."""
    given = getattr(dataset, "targets", None)
    known = given is not None and hasattr(given, "__len__") and len(given) == len(dataset)
    known = known and getattr(dataset, "target_transform", None) is None
    targets: list[Any] = (
        [*given] if given is not None and known else [_pair(dataset, index)[1] for index in range(len(dataset))]
    )
    classes = _classes(getattr(dataset, "classes", None))
    if targets and all(isinstance(target, (str, np.str_)) for target in targets):
        names = classes if set(targets) <= set(classes) else sorted(set(targets))
        numbers = {name: number for number, name in enumerate(names)}
        return np.array([numbers[target] for target in targets], np.int64), names
    arrays = [np.asarray(target) for target in targets]
    odd = next((place for place, array in enumerate(arrays) if array.ndim or array.dtype.kind not in "iub"), None)
    if odd is not None:
        raise DataError(
            f"from_tonic: targets must be whole numbers or texts, got {targets[odd]!r:.100} at sample {odd}"
        )
    labels = np.array([int(target) for target in targets], np.int64)
    return labels, classes if len(classes) > labels.max(initial=-1) else range(int(labels.max(initial=-1)) + 1)


def _classes(found: Any) -> list[str]:
    """The names of the classes: a list of texts or bytes, or numbers by name."""
    if isinstance(found, Mapping):
        found = sorted(found, key=lambda name: found[name])
    if found is None or isinstance(found, (str, bytes)):
        return []
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in found]

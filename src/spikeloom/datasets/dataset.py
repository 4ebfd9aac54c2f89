"""Labelled samples: what a data set is, and the one that lies in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError, ShapeError
from ..events import Events
from ..spikes import Spikes
from .checks import positions
from .collation import labels_of, together

Data: TypeAlias = NDArray[np.float32] | Spikes
Sample: TypeAlias = Data | Events
"""What one sample may be; only Data can be a batch."""
Labels: TypeAlias = NDArray[np.int64]


class Dataset(ABC):
    """Labelled samples by index: `data, label = dataset[3]`.

    A data set sets the five attributes and defines `__getitem__`; `batch` where it can do better than one by one.
    """

    name: str
    """What messages call it."""
    shape: tuple[int, ...]
    """The shape of one sample."""
    labels: Labels
    """The class of every sample, (samples,)."""
    classes: Sequence[str] | Sequence[int]
    """The names of the classes, or their numbers."""
    verified: bool = False
    """Whether the files it was read from have the published checksums."""
    random: bool = False
    """Whether a sample is drawn anew whenever it is asked for, as by a random transform."""

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[Sample, int]:
        """One sample, a float32 array of `shape`, Spikes with one sample, or Events, and its label."""

    def sample(self, index: int, generator: np.random.Generator) -> tuple[Sample, int]:
        """`self[index]`, where what is random in it draws from this generator."""
        return self[index]

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[Sample, int]]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} samples of shape {self.shape}, {self.n_classes} classes>"

    @property
    def n_classes(self) -> int:
        """The number of classes; a class without a sample counts too."""
        return len(self.classes)

    def batch(self, indices: ArrayLike) -> tuple[Data, Labels]:
        """The samples at `indices` as one array (B, *shape) or one Spikes, and their labels (B,)."""
        return collate([self[int(index)] for index in positions(indices, len(self), self.name)], self.name)

    def select(self, indices: ArrayLike) -> Dataset:
        """The samples at `indices` (or where a mask of booleans is true), in that order; read when asked for."""
        return Selected(self, positions(indices, len(self), self.name))

    def in_memory(self) -> ArrayDataset:
        """The same samples, all of them read now."""
        return ArrayDataset(*self.batch(np.arange(len(self))), name=self.name, classes=self.classes,
                            verified=self.verified)  # fmt: skip


@final
class Selected(Dataset):
    """Some samples of another data set, which is asked for them."""

    def __init__(self, whole: Dataset, indices: NDArray[np.int64]) -> None:
        self.whole, self.indices = whole, indices
        self.name, self.shape, self.labels, self.classes = whole.name, whole.shape, whole.labels[indices], whole.classes
        self.verified, self.random = whole.verified, whole.random

    def __getitem__(self, index: int) -> tuple[Sample, int]:
        return self.whole[self._place(index)]

    def sample(self, index: int, generator: np.random.Generator) -> tuple[Sample, int]:
        """`self[index]`, where what is random in it draws from this generator."""
        return self.whole.sample(self._place(index), generator)

    def batch(self, indices: ArrayLike) -> tuple[Data, Labels]:
        """The samples at `indices` as one array (B, *shape) or one Spikes, and their labels (B,)."""
        return self.whole.batch(self.indices[positions(indices, len(self), self.name)])

    def select(self, indices: ArrayLike) -> Selected:
        """Some of these samples."""
        return Selected(self.whole, self.indices[positions(indices, len(self), self.name)])

    def files(self) -> Sequence[Path]:
        """The files that the samples are read from."""
        found: Sequence[Path] = getattr(self.whole, "files", list)()
        return found

    def key(self) -> str:
        """How the samples are made and which are chosen; ParameterError where the other data set does not tell."""
        if not hasattr(self.whole, "key"):
            raise ParameterError(f"{self.name}: nothing tells how its samples are made; give cached(key=)")
        return f"{self.whole.key()}\nchosen {self.indices.tolist()}"

    def _place(self, index: int) -> int:
        """The place of a sample in the other data set."""
        return int(self.indices[positions([index], len(self), self.name)[0]])


@final
class ArrayDataset(Dataset):
    """Samples and labels in memory: numbers (samples, *shape), held as float32, or Spikes.

    Labels are integers >= 0 or booleans; without them those of the Spikes are taken. `classes` names them; unnamed,
    they are the numbers up to the largest label. Raises ShapeError where lengths differ, DataError for NaN, infinity
    and labels that are no class.
    """

    def __init__(
        self,
        data: ArrayLike | Spikes | Sequence[Spikes],
        labels: ArrayLike | None = None,
        *,
        name: str = "data",
        classes: Sequence[str] | Sequence[int] = (),
        verified: bool = False,
    ) -> None:
        self.name = name
        self.data = _gathered(data, name)
        own = self.data.labels if isinstance(self.data, Spikes) else None
        given = own if labels is None else labels
        if given is None:
            raise ParameterError(f"{name}.labels: expected one integer per sample, got none; give labels")
        self.labels = class_numbers(given, name)
        if own is not None and not np.array_equal(own, self.labels):
            raise DataError(f"{name}.labels: expected those that the Spikes carry, got others; leave out labels")
        self.verified = verified
        largest = int(self.labels.max(initial=-1))
        self.classes = classes if len(classes) else range(largest + 1)
        if not isinstance(self.data, Spikes) and self.data.ndim < 1:
            raise ShapeError(f"{name}.data must have shape (samples, ...), got a single number")
        if len(self.data) != len(self.labels):
            raise ShapeError(
                f"{name}: {len(self.data)} samples but {len(self.labels)} labels; give one label per sample"
            )
        if largest >= self.n_classes:
            where = int(self.labels.argmax())
            raise DataError(
                f"{name}.labels must be below {self.n_classes}, the classes, got {largest} at index {where}"
            )
        self.shape = tuple(self.data.shape if isinstance(self.data, Spikes) else self.data.shape[1:])

    def __getitem__(self, index: int) -> tuple[Data, int]:
        data, labels = self.batch([index])
        return (data if isinstance(data, Spikes) else data[0]), int(labels[0])

    def batch(self, indices: ArrayLike) -> tuple[Data, Labels]:
        """The samples at `indices` as one array (B, *shape) or one Spikes, and their labels (B,): copies."""
        chosen = positions(indices, len(self), self.name)
        return self.data[chosen], self.labels[chosen]

    def select(self, indices: ArrayLike) -> ArrayDataset:
        """The samples at `indices` (or where a mask of booleans is true), in that order: copies."""
        return ArrayDataset(*self.batch(indices), name=self.name, classes=self.classes, verified=self.verified)


def collate(samples: Sequence[Any], owner: str = "batch") -> tuple[Data, Any]:
    """The samples of (data, label) pairs as one float32 array (B, *shape) or one Spikes, and their labels.

    Spikes last as long as the longest of them. Labels are int64 (B,), (B, *shape) where each is an array, float32 where
    they are real numbers, or a list of texts.
    """
    for index, sample in enumerate(samples):
        if not isinstance(sample, (tuple, list)) or len(sample) != 2:
            kind = type(sample).__name__
            raise DataError(f"{owner}: expected (data, label) pairs, got {kind} at place {index}; give a collate_fn")
        if isinstance(sample[0], Events):
            raise DataError(f"{owner}: Events are no batch; give transform=, which makes frames or spikes of them")
    data = [sample[0] if isinstance(sample[0], Spikes) else np.asarray(sample[0]) for sample in samples]
    labels = labels_of([sample[1] for sample in samples], owner)
    numbered = isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype == np.int64
    return _gathered(data, owner), class_numbers(labels, owner) if numbered else labels


def _gathered(values: Any, owner: str) -> Data:
    """Values as one float32 array or, where they are Spikes, as one Spikes."""
    if isinstance(values, Spikes):
        return values
    if isinstance(values, (list, tuple)) and any(isinstance(value, Spikes) for value in values):
        odd = next((value for value in values if not isinstance(value, Spikes)), None)
        if odd is not None:
            raise DataError(f"{owner}.data must be Spikes or arrays, got both, Spikes and {type(odd).__name__}")
        return together(values)
    return _numbers(values, owner)


def _numbers(values: ArrayLike, owner: str) -> NDArray[np.float32]:
    """Values as float32; DataError where they are no finite real numbers."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        hint = "use Spikes for trains of unequal length, or a collate_fn"
        raise ShapeError(f"{owner}.data: samples must have one shape, got several ({error}); {hint}") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{owner}.data must be real numbers, got {array.dtype}; convert it to float32")
    with np.errstate(over="ignore"):
        single = array.astype(np.float32, copy=False)
    finite = np.isfinite(single)
    if not finite.all():
        where = tuple(int(i) for i in np.unravel_index(np.argmin(finite), finite.shape))
        raise DataError(
            f"{owner}.data must be finite float32 numbers, got {array[where]} at index {where}; clean it first"
        )
    return single


def class_numbers(values: ArrayLike, owner: str) -> Labels:
    """Labels as a new int64 array, True and False as 1 and 0; DataError where they are no integers >= 0."""
    array = np.asarray(values)
    if array.ndim != 1:
        hint = "for one-hot rows use labels.argmax(1)"
        raise ShapeError(f"{owner}.labels must have shape (samples,), got {array.shape}; {hint}")
    if array.size and array.dtype.kind not in "biu":
        hint = "number the classes from 0"
        if array.dtype.kind == "f":
            hint += ", or give a Dataloader the pairs of a regression: list(zip(data, targets))"
        raise DataError(f"{owner}.labels must be integers >= 0, got {array.dtype}; {hint}")
    labels = array.astype(np.int64)
    if (labels < 0).any():
        where = int(np.argmax(labels < 0))
        raise DataError(f"{owner}.labels must be integers >= 0, got {array[where]} at index {where}; number from 0")
    return labels

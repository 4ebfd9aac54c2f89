"""Batches of a data set, in an order that can be repeated and resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from threading import Event
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError, ParameterError
from ..registry import did_you_mean
from ..spikes import Spikes
from ..units import check_dt
from .checks import check_count, check_flag, check_generator, positions
from .collation import lasting
from .dataset import Dataset, collate
from .event_dataset import Transform, chain, is_random, transformed
from .prefetch import in_order
from .progress_meter import Meter

_PARAMETERS = (
    "dataset", "batch_size", "shuffle", "sampler", "batch_sampler", "collate_fn", "drop_last", "generator", "transform",
    "duration", "cut", "workers", "progress",
)  # fmt: skip
MAX_WORKERS = 256


class MapDataset(Protocol):
    """Samples by index: a Dataset, a list of (data, label) pairs, a map-style data set of PyTorch."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


class Sampler(Protocol):
    """Indices, or lists of indices, that can be walked through again for each epoch."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...


@dataclass
class _Epoch:
    """The generator's state before the order was drawn, and how many batches were given since."""

    generator: dict[str, Any] | None
    given: int


@final
class Dataloader:
    """Batches `[data, labels]`: float32 (B, *shape) or one Spikes, and int64 (B,); each `for` loop is an epoch.

    Labels that are arrays come as int64 (B, *shape), real numbers as float32, texts as a list. Spikes of unequal length
    last as long as the longest of their batch, or `duration` ms: the others are silent behind their end. What lies
    beyond `duration` is an error, unless `cut`. `transform`, a function or a list of them, is applied to the data of
    each sample.

    `shuffle` draws a new order for each epoch from `generator`, which should serve this loader alone. Without one, a
    seed is drawn once and kept in `seed`: `generator=numpy.random.default_rng(seed)` repeats the run. `sampler` gives
    indices, `batch_sampler` lists of them; `collate_fn` makes the batch from a list of samples.

    Random transforms, here or in the data set, get a generator for each sample, seeded by one number an epoch, which is
    drawn from `generator`, and the sample's index. With `workers`, as many threads make up to 2 * workers batches
    ahead, so that the data set must bear being read by several at once. The batches are the same for any number of
    workers, also after `load_state_dict`. What a sample raises has a note that names its index. progress: a bar on
    standard error.
    """

    def __init__(
        self,
        dataset: MapDataset,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Sampler | None = None,
        batch_sampler: Sampler | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        generator: np.random.Generator | None = None,
        transform: Transform | Sequence[Transform] | None = None,
        duration: float | None = None,
        cut: bool = False,
        workers: int = 0,
        progress: bool = False,
        **unknown: Any,
    ) -> None:
        _check_names(unknown)
        _check_source(dataset, collate_fn)
        _check_samplers(sampler, batch_sampler, batch_size != 1, shuffle, drop_last)
        self.dataset, self.collate_fn = dataset, collate_fn
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.batch_size = check_count(batch_size, "Dataloader.batch_size")
        self.shuffle = check_flag(shuffle, "Dataloader.shuffle")
        self.drop_last = check_flag(drop_last, "Dataloader.drop_last")
        self.transform = chain(transform, "Dataloader")
        self.duration = None if duration is None else check_dt(duration, "Dataloader.duration")
        self.cut = _check_cut(cut, duration, collate_fn)
        self.workers = _check_workers(workers)
        self.progress = check_flag(progress, "Dataloader.progress")
        self._random = getattr(dataset, "random", False) is True or any(map(is_random, self.transform))
        self.seed: int | None = None
        if generator is None:
            self.seed = int(np.random.SeedSequence().generate_state(1)[0]) if self._draws else None
            generator = np.random.default_rng(self.seed)
        self.generator = check_generator(generator, "Dataloader.generator")
        self._epoch: _Epoch | None = None
        self._skip = 0

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        count = len(self.dataset if self.sampler is None else self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    @property
    def batch_num(self) -> int:
        """The number of batches of an epoch, under SPAIC's name."""
        return len(self)

    def __iter__(self) -> Iterator[Any]:
        epoch = self._epoch = _Epoch(self._generator_state(), self._skip)
        self._skip = 0
        batches = self._index_batches()
        seed = int(self.generator.integers(2**63)) if self._random else None
        rest = islice(batches, epoch.given, None)
        with Meter("batches", len(self), unit="batches", shown=self.progress) as meter:
            for batch in in_order(partial(self._fetch, seed), rest, self.workers):
                epoch.given += 1
                meter.to(epoch.given)
                yield batch
        if self._epoch is epoch:
            self._epoch = None

    def state_dict(self) -> dict[str, Any]:
        """Where the iteration stands, in values that JSON can hold; batches already given count as done."""
        epoch = self._epoch or _Epoch(self._generator_state(), self._skip)
        return {"generator": epoch.generator, "batches": epoch.given, "seed": self.seed, **self._settings()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Lets the next `for` loop give the rest of the interrupted epoch; later epochs follow as if uninterrupted.

        The rest is empty where every batch had been given, even if the loop had not ended. Data set and settings must
        be those of the saved loader, and a sampler must repeat itself.
        """
        if not isinstance(state, Mapping):
            kind = type(state).__name__
            raise ParameterError(f"Dataloader.load_state_dict takes what state_dict() gave, got {kind}")
        missing = [name for name in ("generator", "batches", "seed", *self._settings()) if name not in state]
        if missing:
            raise ParameterError(f"Dataloader.load_state_dict: expected a state_dict(), got one without {missing}")
        for name, value in self._settings().items():
            if state[name] != value:
                raise ParameterError(
                    f"Dataloader.load_state_dict: the state was saved with {name}={state[name]!r}, "
                    f"this loader has {value!r}; build it as the saved one"
                )
        given = state["batches"]
        if not isinstance(given, int) or not 0 <= given <= len(self):
            raise ParameterError(f"Dataloader.load_state_dict: batches must lie from 0 to {len(self)}, got {given!r}")
        if self._draws:
            self._restore(state["generator"])
        self.seed, self._epoch, self._skip = state["seed"], None, given

    def _restore(self, state: Any) -> None:
        """Sets the generator's state; ParameterError where it is none of this kind of generator."""
        try:
            self.generator.bit_generator.state = state
        except (TypeError, ValueError, KeyError, IndexError) as error:
            kind = type(self.generator.bit_generator).__name__
            raise ParameterError(
                f"Dataloader.load_state_dict: generator expected a state of {kind}, got another ({error})"
            ) from error

    def _settings(self) -> dict[str, Any]:
        """What must be equal for a saved state to fit."""
        return {
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    @property
    def _draws(self) -> bool:
        """Whether anything is drawn from the generator."""
        return self.shuffle or self._random

    def _generator_state(self) -> dict[str, Any] | None:
        return _plain(dict(self.generator.bit_generator.state)) if self._draws else None

    def _index_batches(self) -> Iterator[ArrayLike]:
        """The indices of each batch of a new epoch, whose order is drawn now."""
        count = len(self.dataset)
        if self.batch_sampler is not None:
            return map(list, self.batch_sampler)
        if self.sampler is not None:
            order = positions(list(self.sampler), count, "Dataloader.sampler")
        else:
            order = self.generator.permutation(count) if self.shuffle else np.arange(count)
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return (order[start : start + self.batch_size] for start in starts)

    def _fetch(self, seed: int | None, chosen: ArrayLike, stop: Event) -> Any:
        """The batch of these samples; seed: of the epoch, where they are random."""
        indices = positions(chosen, len(self.dataset), "Dataloader.batch_sampler")
        whole = isinstance(self.dataset, Dataset) and type(self.dataset).batch is not Dataset.batch
        if whole and not (self._random or self.transform or self.collate_fn):
            with _noted(f"samples {', '.join(map(str, indices[:20]))}{', ...' if len(indices) > 20 else ''}"):
                data, labels = self.dataset.batch(indices)  # type: ignore[attr-defined]
        else:
            samples = [self._sample(int(index), seed, stop) for index in indices]
            if self.collate_fn is not None:
                return self.collate_fn(samples)
            data, labels = collate(samples, "Dataloader.dataset")
        if self.duration is not None:
            if not isinstance(data, Spikes):
                raise DataError("Dataloader.duration is for spikes, the samples are arrays; leave it out")
            data = lasting(data, self.duration, cut=self.cut, owner="Dataloader")
        return [data, labels]

    def _sample(self, index: int, seed: int | None, stop: Event) -> Any:
        """One sample as the loader's transform makes it."""
        if stop.is_set():
            raise CancelledError
        with _noted(f"sample {index}"):
            if seed is None:
                return self._transformed(self.dataset[index], None)
            generator = np.random.default_rng([seed, index])
            if isinstance(self.dataset, Dataset):
                return self._transformed(self.dataset.sample(index, generator), generator)
            return self._transformed(self.dataset[index], generator)

    def _transformed(self, sample: Any, generator: np.random.Generator | None) -> Any:
        """A (data, label) pair with its data transformed; any sample as it is where there is no transform."""
        if not self.transform:
            return sample
        if not isinstance(sample, (tuple, list)) or len(sample) != 2:
            kind = type(sample).__name__
            raise DataError(f"Dataloader.transform expected samples that are (data, label) pairs, got {kind}")
        return transformed(sample[0], self.transform, generator), sample[1]


@contextmanager
def _noted(place: str) -> Iterator[None]:
    """Adds to what is raised within it which samples were read."""
    try:
        yield
    except Exception as error:
        error.add_note(f"Dataloader: while reading {place}")
        raise


def _plain(value: Any) -> Any:
    """A generator's state with lists and ints in place of arrays and numpy numbers."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _check_names(unknown: Mapping[str, Any]) -> None:
    """ParameterError, with a suggestion, for the first of these names."""
    for name in unknown:
        hint = did_you_mean(name, _PARAMETERS)
        raise ParameterError(f"Dataloader: unknown parameter {name!r}{hint} It has: {', '.join(_PARAMETERS)}")


def _check_workers(workers: Any) -> int:
    if not isinstance(workers, (int, np.integer)) or isinstance(workers, bool) or not 0 <= workers <= MAX_WORKERS:
        raise ParameterError(f"Dataloader.workers must be an integer from 0 to {MAX_WORKERS}, got {workers!r}")
    return int(workers)


def _check_cut(cut: Any, duration: Any, collate_fn: Any) -> bool:
    """The flag; ParameterError where there is nothing to be cut to, or the batch is made elsewhere."""
    if duration is not None and collate_fn is not None:
        raise ParameterError("Dataloader.duration is of the batches it makes; with collate_fn= pad there, leave it out")
    if check_flag(cut, "Dataloader.cut") and duration is None:
        raise ParameterError("Dataloader.cut=True needs duration=, the ms to which spikes are cut")
    return bool(cut)


def _check_source(dataset: Any, collate_fn: Any) -> None:
    """ParameterError for what is no data set, or no function."""
    if isinstance(dataset, (np.ndarray, Mapping)) or not (
        hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    ):
        raise ParameterError(
            f"Dataloader.dataset expected a Dataset or a list of (data, label) pairs, got {type(dataset).__name__}; "
            "wrap arrays: ArrayDataset(data, labels)"
        )
    if collate_fn is not None and not callable(collate_fn):
        raise ParameterError(f"Dataloader.collate_fn must be a function of a list of samples, got {collate_fn!r}")


def _check_samplers(sampler: Any, batch_sampler: Any, sized: bool, shuffle: bool, drop_last: bool) -> None:
    """ParameterError for a sampler that cannot be repeated, or that another argument contradicts."""
    for name, given in (("sampler", sampler), ("batch_sampler", batch_sampler)):
        if given is not None and not (hasattr(given, "__len__") and hasattr(given, "__iter__")):
            kind = type(given).__name__
            raise ParameterError(f"Dataloader.{name} expected a list of indices or the like, with a length, got {kind}")
    if sampler is not None and shuffle:
        raise ParameterError("Dataloader.sampler decides the order; leave out shuffle=True, or the sampler")
    if batch_sampler is not None and (sized or shuffle or drop_last or sampler is not None):
        raise ParameterError(
            "Dataloader.batch_sampler decides the batches; leave out batch_size, shuffle, sampler and drop_last"
        )

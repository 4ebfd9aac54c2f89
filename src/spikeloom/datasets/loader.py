"""Batches of a data set, in an order that can be repeated and resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..registry import did_you_mean
from .checks import check_count, check_flag, check_generator, positions
from .dataset import Dataset, collate

_PARAMETERS = ("dataset", "batch_size", "shuffle", "sampler", "batch_sampler", "collate_fn", "drop_last", "generator")


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

    `shuffle` draws a new order for each epoch from `generator`, which should serve this loader alone. Without one, a
    seed is drawn once and kept in `seed`: `generator=numpy.random.default_rng(seed)` repeats the run. `sampler` gives
    indices, `batch_sampler` lists of them; `collate_fn` makes the batch from a list of samples.
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
        **unknown: Any,
    ) -> None:
        for name in unknown:
            hint = did_you_mean(name, _PARAMETERS)
            raise ParameterError(f"Dataloader: unknown parameter {name!r}{hint} It has: {', '.join(_PARAMETERS)}")
        _check_source(dataset, collate_fn)
        _check_samplers(sampler, batch_sampler, batch_size != 1, shuffle, drop_last)
        self.dataset, self.collate_fn = dataset, collate_fn
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.batch_size = check_count(batch_size, "Dataloader.batch_size")
        self.shuffle = check_flag(shuffle, "Dataloader.shuffle")
        self.drop_last = check_flag(drop_last, "Dataloader.drop_last")
        self.seed: int | None = None
        if generator is None:
            self.seed = int(np.random.SeedSequence().generate_state(1)[0]) if shuffle else None
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
        for indices in islice(self._index_batches(), epoch.given, None):
            batch = self._fetch(indices)
            epoch.given += 1
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
        if self.shuffle:
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

    def _generator_state(self) -> dict[str, Any] | None:
        return _plain(dict(self.generator.bit_generator.state)) if self.shuffle else None

    def _index_batches(self) -> Iterator[NDArray[np.int64]]:
        """The indices of each batch of a new epoch."""
        count = len(self.dataset)
        if self.batch_sampler is not None:
            for batch in self.batch_sampler:
                yield positions(list(batch), count, "Dataloader.batch_sampler")
            return
        if self.sampler is not None:
            order = positions(list(self.sampler), count, "Dataloader.sampler")
        else:
            order = self.generator.permutation(count) if self.shuffle else np.arange(count)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield order[start : start + self.batch_size]

    def _fetch(self, indices: NDArray[np.int64]) -> Any:
        """The batch of these samples."""
        if self.collate_fn is not None:
            return self.collate_fn([self.dataset[int(index)] for index in indices])
        if isinstance(self.dataset, Dataset):
            return [*self.dataset.batch(indices)]
        return [*collate([self.dataset[int(index)] for index in indices], "Dataloader.dataset")]


def _plain(value: Any) -> Any:
    """A generator's state with lists and ints in place of arrays and numpy numbers."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


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

"""The parameter store: what a network has learned, by name, outliving every build."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError
from ..registry import did_you_mean

Initial = Callable[[np.random.Generator], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class ParameterSpec:
    """A tensor that a component needs: its shape, the array it was given or how it is drawn, whether it is trained.

    accept: raises ParameterError for an array that it must not become.
    """

    name: str
    shape: tuple[int, ...]
    initial: NDArray[Any] | torch.Tensor | Initial
    trainable: bool = True
    accept: Callable[[NDArray[Any]], None] | None = None

    def start(self, seed: int, drawn_as: str | None = None) -> NDArray[Any] | torch.Tensor:
        """What it starts from: the array or tensor given, or an array drawn by the seed and the name, or another."""
        if isinstance(self.initial, (np.ndarray, torch.Tensor)):
            return self.initial
        name = self.name if drawn_as is None else drawn_as
        drawn = np.asarray(self.initial(np.random.default_rng([seed, zlib.crc32(name.encode())])))
        if drawn.shape != self.shape:
            raise ShapeError(f"{self.name} must have shape {self.shape}, got {drawn.shape}")
        return drawn


def check_fit(shapes: Mapping[str, tuple[int, ...]], specs: Iterable[ParameterSpec]) -> None:
    """Raises ParameterError for a name, ShapeError for a shape that differs from what is needed."""
    needed = {spec.name: spec.shape for spec in specs}
    for name in [*shapes, *needed]:
        if name not in needed:
            raise ParameterError(f"weights: the network has no {name!r}{did_you_mean(name, needed)}")
        if name not in shapes:
            raise ParameterError(f"weights: {name!r} is missing; the weights are those of another network")
        if tuple(shapes[name]) != needed[name]:
            raise ShapeError(f"weights: {name!r} must have shape {needed[name]}, got {tuple(shapes[name])}")


def constant_spec(name: str, value: NDArray[Any]) -> ParameterSpec:
    """A trained parameter that starts from a given value."""
    return ParameterSpec(name, value.shape, value)


class ParameterStore:
    """Arrays or tensors by name (`connection1.weight`).

    A missing entry is drawn from a generator seeded by the network's seed and the entry's name, so that adding one
    component does not change what another one starts from.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._drawn_as: dict[str, str] = {}

    def require(self, spec: ParameterSpec, seed: int) -> Any:
        """The value that is kept, if it still fits, else a fresh one."""
        kept = self._values.get(spec.name)
        if kept is None or tuple(kept.shape) != spec.shape:
            self._values[spec.name] = spec.start(seed, self.drawn_as(spec.name))
        return self._values[spec.name]

    def put(self, name: str, value: Any) -> None:
        """Keeps a value under a name: an engine's tensor in place of the array it was made from."""
        self._values[name] = value

    def drawn_as(self, name: str) -> str:
        """The name that a value is drawn by: that of the original for a copy, which so starts equal."""
        return self._drawn_as.get(name, name)

    def draw_as(self, name: str, original: str) -> None:
        """Lets a value that is yet to be drawn be drawn by another name."""
        self._drawn_as[name] = original

    def retain(self, names: set[str]) -> None:
        """Forgets what no component needs any more."""
        self._values = {k: v for k, v in self._values.items() if k in names}
        self._drawn_as = {k: v for k, v in self._drawn_as.items() if k in names}

    def drop(self, path: str) -> None:
        """Forgets all that belongs to the component at a path."""
        self.retain({name for name in [*self._values, *self._drawn_as] if not name.startswith(f"{path}.")})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Copies of all values as NumPy arrays."""
        return {name: as_array(value).copy() for name, value in self._values.items()}

    def load(self, arrays: Mapping[str, NDArray[Any]], specs: Iterable[ParameterSpec]) -> None:
        """Takes a copy of every parameter that is needed, in place where there is one; or nothing is changed."""
        specs = list(specs)
        check_fit({name: array.shape for name, array in arrays.items()}, specs)
        for name, array in arrays.items():
            check_finite(f"weights: {name!r}", array)
            if isinstance(kept := self._values.get(name), torch.Tensor):
                check_range(f"weights: {name!r}", array, kept.dtype)
        for name, array in arrays.items():
            if name in self._values and tuple(self._values[name].shape) == array.shape:
                self.assign(name, array)
            else:
                self.put(name, array.copy())

    def assign(self, name: str, array: Any) -> None:
        """Copies one value in place, so that an optimizer keeps its parameter."""
        value = self._values[name]
        source = numbers(name, array)
        if source.shape != tuple(value.shape):
            raise ShapeError(f"{name} must have shape {tuple(value.shape)}, got {source.shape}")
        check_finite(name, source)
        if isinstance(value, np.ndarray):
            self._values[name] = source.astype(value.dtype, copy=True)
        else:
            check_range(name, source, value.dtype)
            with torch.no_grad():
                value.copy_(value.new_tensor(source))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values


def as_array(value: Any) -> NDArray[Any]:
    """An array or tensor as a NumPy array, on the CPU and without its gradient."""
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def numbers(owner: str, given: Any, expected: str = "an array of numbers") -> NDArray[Any]:
    """An array, a tensor or nested lists as an array; ParameterError unless it holds real numbers."""
    try:
        array = as_array(given)
    except (TypeError, ValueError) as error:  # TypeError: a tensor that NumPy cannot hold, such as a sparse one
        raise ParameterError(f"{owner} must be {expected}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ParameterError(f"{owner} must be {expected}, got {given!r:.80}")
    return array


def check_finite(owner: str, array: NDArray[Any]) -> None:
    """Raises ParameterError unless all numbers are finite."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ParameterError(f"{owner} must hold finite numbers, got NaN or infinity")


def check_range(owner: str, value: Any, dtype: torch.dtype) -> None:
    """Raises ParameterError where a number of an array or tensor is beyond the largest one of a type."""
    if getattr(value, "dtype", None) == dtype or not dtype.is_floating_point:
        return
    array, largest = as_array(value), torch.finfo(dtype).max
    if array.dtype.kind != "f" or float(np.finfo(array.dtype).max) <= largest:
        return
    if not (wrong := np.abs(array) > largest).any():
        return
    place = tuple(np.argwhere(wrong)[0].tolist())
    raise ParameterError(
        f"{owner}{list(place) or ''} is {float(array[place]):g}, the network's {dtype} ends at {largest:g}; give "
        "smaller numbers, or use TorchBackend(dtype=torch.float64)"
    )


def plain_number(value: Any) -> Any:
    """A number of NumPy's as one of Python's; anything else as it is."""
    return value.item() if isinstance(value, np.number) else value


def real_numbers(owner: str, given: Any, expected: str) -> NDArray[np.float64]:
    """An array, a tensor or nested lists as an array of its own; ParameterError for anything else, booleans too."""
    array = numbers(owner, given, expected)
    listed = np.asarray(given, object).flat if isinstance(given, (list, tuple)) else ()
    if array.dtype.kind == "b" or any(isinstance(value, (bool, np.bool_)) for value in listed):
        raise ParameterError(f"{owner} must be {expected}, got booleans: {given!r:.80}; give numbers")
    return array.astype(np.float64)


class ParameterHandle:
    """One parameter of a component: `.value` reads the tensor, and assignment copies into it."""

    def __init__(self, store: ParameterStore, spec: ParameterSpec, seed: int) -> None:
        self._store, self._spec, self._seed = store, spec, seed

    @property
    def value(self) -> Any:
        """The tensor that the backend uses (before the first build, the array it will start from)."""
        return self._store.require(self._spec, self._seed)

    @value.setter
    def value(self, new: Any) -> None:
        self._store.require(self._spec, self._seed)
        if self._spec.accept is not None:
            self._spec.accept(numbers(self._spec.name, new))
        self._store.assign(self._spec.name, new)

    def __repr__(self) -> str:
        return f"<parameter {self._spec.name}>"

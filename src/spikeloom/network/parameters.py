"""The parameter store: what a network has learned, by name, outliving every build."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError
from ..registry import did_you_mean

Initial = Callable[[np.random.Generator], NDArray[Any]]


@dataclass(frozen=True)
class ParameterSpec:
    """A tensor that a component needs: its shape, how it is drawn, whether it is trained by default."""

    name: str
    shape: tuple[int, ...]
    initial: Initial
    trainable: bool = True


def constant_spec(name: str, value: NDArray[Any]) -> ParameterSpec:
    """A trained parameter that starts from a given value."""
    return ParameterSpec(name, value.shape, lambda _: value)


class ParameterStore:
    """Arrays or tensors by name (`connection1.weight`).

    A missing entry is drawn from a generator seeded by the network's seed and the entry's name, so that adding one
    component does not change what another one starts from.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def require(self, spec: ParameterSpec, seed: int) -> Any:
        """The value that is kept, if it still fits, else a fresh one."""
        kept = self._values.get(spec.name)
        if kept is None or tuple(kept.shape) != spec.shape:
            generator = np.random.default_rng([seed, zlib.crc32(spec.name.encode())])
            kept = np.asarray(spec.initial(generator))
            if kept.shape != spec.shape:
                raise ShapeError(f"{spec.name} must have shape {spec.shape}, got {kept.shape}")
            self._values[spec.name] = kept
        return self._values[spec.name]

    def put(self, name: str, value: Any) -> None:
        """Keeps a value under a name: an engine's tensor in place of the array it was made from."""
        self._values[name] = value

    def retain(self, names: set[str]) -> None:
        """Forgets what no component needs any more."""
        self._values = {k: v for k, v in self._values.items() if k in names}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Copies of all values as NumPy arrays."""
        return {name: as_array(value).copy() for name, value in self._values.items()}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copies values in place; names and shapes must be those of the store, or nothing is changed."""
        for name in [*arrays, *self._values]:
            if name not in self._values:
                raise ParameterError(f"weights: the network has no {name!r}{did_you_mean(name, self._values)}")
            if name not in arrays:
                raise ParameterError(f"weights: {name!r} is missing; the weights are those of another network")
            if tuple(arrays[name].shape) != tuple(self._values[name].shape):
                shape = tuple(self._values[name].shape)
                raise ShapeError(f"weights: {name!r} must have shape {shape}, got {tuple(arrays[name].shape)}")
        for name, array in arrays.items():
            self.assign(name, array)

    def assign(self, name: str, array: Any) -> None:
        """Copies one value in place, so that an optimizer keeps its parameter."""
        value = self._values[name]
        source = as_array(array)
        if source.shape != tuple(value.shape):
            raise ShapeError(f"{name} must have shape {tuple(value.shape)}, got {source.shape}")
        if isinstance(value, np.ndarray):
            self._values[name] = source.astype(value.dtype, copy=True)
        else:
            value.data.copy_(value.new_tensor(source))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values


def as_array(value: Any) -> NDArray[Any]:
    """An array or tensor as a NumPy array, on the CPU and without its gradient."""
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


class ParameterHandle:
    """One parameter of a component: `.value` reads the tensor, and assignment copies into it."""

    def __init__(self, store: Callable[[], ParameterStore], name: str) -> None:
        self._store, self._name = store, name

    @property
    def value(self) -> Any:
        """The tensor that the backend uses (before the first build, the array it will start from)."""
        return self._store()[self._name]

    @value.setter
    def value(self, new: Any) -> None:
        self._store().assign(self._name, new)

    def __repr__(self) -> str:
        return f"<parameter {self._name}>"

"""How weights start: frozen descriptions, drawn with the generator of the network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..registry import Registry


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of shape (out, in, *kernel)."""
    field = math.prod(shape[2:])
    return (shape[1] if len(shape) > 1 else 1) * field, shape[0] * field


class Initializer(ABC):
    """Draws an array of a given shape. Its fields are finite numbers, none below its value in `least`."""

    least: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):  # type: ignore[arg-type]
            value, least = getattr(self, name), self.least.get(name, -math.inf)
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if not number or value < least:
                bound = f" from {least} on" if name in self.least else ""
                raise ParameterError(f"{type(self).__name__}.{name} must be a finite number{bound}, got {value!r}")

    @abstractmethod
    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        """Weights of this shape, (out, in, *kernel)."""


@dataclass(frozen=True, slots=True)
class Normal(Initializer):
    """Normal with a mean and a standard deviation."""

    mean: float = 0.0
    std: float = 1.0

    least: ClassVar[Mapping[str, float]] = {"std": 0}

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        return generator.normal(self.mean, self.std, shape)


@dataclass(frozen=True, slots=True)
class Uniform(Initializer):
    """Uniform on [a, b)."""

    a: float = 0.0
    b: float = 1.0

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        return generator.uniform(self.a, self.b, shape)


@dataclass(frozen=True, slots=True)
class Constant(Initializer):
    """One value everywhere."""

    constant_value: float = 0.0

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        return np.full(shape, self.constant_value)


@dataclass(frozen=True, slots=True)
class XavierUniform(Initializer):
    """Uniform with variance 2 gain^2 / (fan_in + fan_out) (Glorot & Bengio, 2010, AISTATS)."""

    gain: float = 1.0

    least: ClassVar[Mapping[str, float]] = {"gain": 0}

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        bound = self.gain * math.sqrt(6 / sum(fans(shape)))
        return generator.uniform(-bound, bound, shape)


@dataclass(frozen=True, slots=True)
class KaimingUniform(Initializer):
    """Uniform with variance gain^2 / fan_in (He et al., 2015, ICCV); gain sqrt(2) is the rectifier's."""

    gain: float = math.sqrt(2)

    least: ClassVar[Mapping[str, float]] = {"gain": 0}

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        bound = self.gain * math.sqrt(3 / fans(shape)[0])
        return generator.uniform(-bound, bound, shape)


INITIALIZERS: Registry[type[Initializer]] = Registry("initializer")
INITIALIZERS.add("normal", Normal)
INITIALIZERS.add("uniform", Uniform)
INITIALIZERS.add("constant", Constant)
INITIALIZERS.add("xavier_uniform", XavierUniform)
INITIALIZERS.add("kaiming_uniform", KaimingUniform)

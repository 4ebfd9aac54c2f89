"""How weights start: frozen descriptions, drawn with the generator of the network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ..errors import ParameterError, ShapeError
from ..registry import Registry, did_you_mean
from .parameters import plain_number


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of shape (out, in, *kernel)."""
    field = math.prod(shape[2:])
    return (shape[1] if len(shape) > 1 else 1) * field, shape[0] * field


class Initializer(ABC):
    """Draws an array of a given shape.

    Its fields are finite numbers, none below its value in `least`, or one of the texts in `choices`.
    """

    least: ClassVar[Mapping[str, float]] = {}
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):  # type: ignore[arg-type]
            value, least = plain_number(getattr(self, name)), self.least.get(name, -math.inf)
            object.__setattr__(self, name, value)
            if name in self.choices:
                if value not in self.choices[name]:
                    known = " or ".join(map(repr, self.choices[name]))
                    raise ParameterError(f"{type(self).__name__}.{name} must be {known}, got {value!r}")
                continue
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
class TruncatedNormal(Initializer):
    """Normal with a mean and a standard deviation, drawn again wherever it falls outside of [a, b]."""

    mean: float = 0.0
    std: float = 1.0
    a: float = -2.0
    b: float = 2.0

    least: ClassVar[Mapping[str, float]] = {"std": 0}

    def __post_init__(self) -> None:
        Initializer.__post_init__(self)
        if not self.a < self.b or not self.std > 0:
            raise ParameterError(
                f"TruncatedNormal must have a < b and std > 0, got a={self.a}, b={self.b}, std={self.std}"
            )

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        low, high = ((edge - self.mean) / self.std for edge in (self.a, self.b))
        mirrored = low > 0  # the tail of small probabilities is the exact one
        low, high = (-high, -low) if mirrored else (low, high)
        drawn = ndtri(generator.uniform(ndtr(low), ndtr(high), shape))
        values: NDArray[Any] = np.clip(self.mean + self.std * (-drawn if mirrored else drawn), self.a, self.b)
        return values


@dataclass(frozen=True, slots=True)
class XavierUniform(Initializer):
    """Uniform with variance 2 gain^2 / (fan_in + fan_out) (Glorot & Bengio, 2010, AISTATS)."""

    gain: float = 1.0

    least: ClassVar[Mapping[str, float]] = {"gain": 0}

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        bound = self.gain * math.sqrt(6 / sum(fans(shape)))
        return generator.uniform(-bound, bound, shape)


@dataclass(frozen=True, slots=True)
class XavierNormal(Initializer):
    """Normal with variance 2 gain^2 / (fan_in + fan_out) (Glorot & Bengio, 2010, AISTATS)."""

    gain: float = 1.0

    least: ClassVar[Mapping[str, float]] = {"gain": 0}

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        return generator.normal(0.0, self.gain * math.sqrt(2 / sum(fans(shape))), shape)


_MODES = {"mode": ("fan_in", "fan_out")}


@dataclass(frozen=True, slots=True)
class KaimingUniform(Initializer):
    """Uniform with variance gain^2 / fan (He et al., 2015, ICCV); gain sqrt(2) is the rectifier's."""

    gain: float = math.sqrt(2)
    mode: str = "fan_in"

    least: ClassVar[Mapping[str, float]] = {"gain": 0}
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = _MODES

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        bound = self.gain * math.sqrt(3 / _fan(shape, self.mode))
        return generator.uniform(-bound, bound, shape)


@dataclass(frozen=True, slots=True)
class KaimingNormal(Initializer):
    """Normal with variance gain^2 / fan (He et al., 2015, ICCV); gain sqrt(2) is the rectifier's."""

    gain: float = math.sqrt(2)
    mode: str = "fan_in"

    least: ClassVar[Mapping[str, float]] = {"gain": 0}
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = _MODES

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        return generator.normal(0.0, self.gain / math.sqrt(_fan(shape, self.mode)), shape)


@dataclass(frozen=True, slots=True)
class Orthogonal(Initializer):
    """gain times a random matrix (out, in * kernel) with orthonormal rows or columns, whichever are fewer.

    Saxe et al., 2014, ICLR; uniform over such matrices. Raises ShapeError for a weight with less than two axes.
    """

    gain: float = 1.0

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal takes weights of two axes or more, got shape {shape}; use Normal")
        rows, columns = shape[0], math.prod(shape[1:])
        q, r = np.linalg.qr(generator.normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))
        return (self.gain * (q.T if rows < columns else q)).reshape(shape)


@dataclass(frozen=True, slots=True)
class SparseNormal(Initializer):
    """Normal with mean 0, and the fraction `sparsity` of what leads to each output set to zero (Martens, 2010, ICML).

    The zeros are a start: training fills them. link_type='sparse' keeps absent synapses absent.
    """

    sparsity: float = 0.9
    std: float = 0.01

    least: ClassVar[Mapping[str, float]] = {"std": 0, "sparsity": 0}

    def __post_init__(self) -> None:
        Initializer.__post_init__(self)
        if self.sparsity > 1:
            raise ParameterError(f"SparseNormal.sparsity must be at most 1, got {self.sparsity!r}")

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        values = generator.normal(0.0, self.std, (shape[0], math.prod(shape[1:])))
        n = math.ceil(self.sparsity * values.shape[1])
        empty = np.argsort(generator.random(values.shape), axis=1)[:, :n]
        np.put_along_axis(values, empty, 0.0, axis=1)
        return values.reshape(shape)


def _fan(shape: tuple[int, ...], mode: str) -> int:
    return fans(shape)[mode == "fan_out"]


def rectifier_gain(a: float = 0.0, nonlinearity: str = "leaky_relu") -> float:
    """The gain that keeps the variance through a nonlinearity, as torch.nn.init.calculate_gain has it.

    a: the slope of 'leaky_relu' below zero.
    """
    gains = {
        "linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75,
        "leaky_relu": math.sqrt(2 / (1 + a**2)),
    }  # fmt: skip
    if nonlinearity not in gains:
        hint = did_you_mean(str(nonlinearity), gains)
        raise ParameterError(f"unknown nonlinearity {nonlinearity!r}{hint} Known: {', '.join(gains)}")
    return gains[nonlinearity]


def kaiming_uniform(a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> KaimingUniform:
    """KaimingUniform with the gain of a nonlinearity."""
    return KaimingUniform(rectifier_gain(a, nonlinearity), mode)


def kaiming_normal(a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> KaimingNormal:
    """KaimingNormal with the gain of a nonlinearity."""
    return KaimingNormal(rectifier_gain(a, nonlinearity), mode)


uniform, normal, constant, sparse = Uniform, Normal, Constant, SparseNormal
xavier_uniform, xavier_normal = XavierUniform, XavierNormal
orthogonal, truncated_normal = Orthogonal, TruncatedNormal

INITIALIZERS: Registry[type[Initializer]] = Registry("initializer")
INITIALIZERS.add("normal", Normal)
INITIALIZERS.add("uniform", Uniform)
INITIALIZERS.add("constant", Constant)
INITIALIZERS.add("xavier_uniform", XavierUniform)
INITIALIZERS.add("kaiming_uniform", KaimingUniform)
INITIALIZERS.add("xavier_normal", XavierNormal)
INITIALIZERS.add("kaiming_normal", KaimingNormal)
INITIALIZERS.add("sparse", SparseNormal)
INITIALIZERS.add("orthogonal", Orthogonal)
INITIALIZERS.add("truncated_normal", TruncatedNormal)

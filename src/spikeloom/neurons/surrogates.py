"""Surrogate derivatives of the step: what stands for d(spike)/dv on the way back.

Each is a function of d = v - v_th, in plain arithmetic, so that it runs on arrays, tensors and symbols.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from ..errors import ParameterError, UnsupportedError
from ..ops import Array, Ops
from ..registry import Registry


def is_number(value: object) -> bool:
    """Whether a value is a finite plain number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Surrogate(ABC):
    """A surrogate derivative with one parameter alpha > 0, whose meaning each surrogate states."""

    alpha: float

    def __post_init__(self) -> None:
        if not is_number(self.alpha) or self.alpha <= 0:
            raise ParameterError(f"{type(self).__name__}.alpha must be a positive number, got {self.alpha!r}")

    @abstractmethod
    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        """The surrogate of d(spike)/dv at d = v - v_th, in the shape of d."""


@dataclass(frozen=True, slots=True)
class Rectangle(Surrogate):
    """1 where |d| < alpha, else 0: STCA (Gu et al., 2019, IJCAI, "STCA: Spatio-Temporal Credit Assignment")."""

    alpha: float = 0.5

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        return xp.where(xp.abs(d) < self.alpha, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Gaussian(Surrogate):
    """exp(-d^2 / (2 alpha)) / sqrt(2 pi alpha): STBP (Wu et al., 2018, Frontiers in Neuroscience 12:331, h4)."""

    alpha: float = 0.5

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        return xp.exp(d * d * (-0.5 / self.alpha)) * (2 * math.pi * self.alpha) ** -0.5


@dataclass(frozen=True, slots=True)
class Arctan(Surrogate):
    """alpha / 2 / (1 + (pi alpha d / 2)^2) (Fang et al., 2021, ICCV, PLIF)."""

    alpha: float = 2.0

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        scaled = d * (math.pi * self.alpha / 2)
        return (self.alpha / 2) / (1 + scaled * scaled)


@dataclass(frozen=True, slots=True)
class Sigmoid(Surrogate):
    """alpha s (1 - s) with s = 1 / (1 + exp(-alpha d)) (Zenke & Ganguli, 2018; Neftci et al., 2019)."""

    alpha: float = 4.0

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        e = xp.exp(xp.abs(d) * -self.alpha)
        return self.alpha * e / ((1 + e) * (1 + e))


@dataclass(frozen=True, slots=True)
class Triangle(Surrogate):
    """max(0, 1 - |d| / alpha) / alpha (Esser et al., 2016, PNAS 113:11441; Bellec et al., 2018)."""

    alpha: float = 1.0

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        return xp.maximum(1 - xp.abs(d) * (1 / self.alpha), 0.0) * (1 / self.alpha)


@dataclass(frozen=True, slots=True)
class FastSigmoid(Surrogate):
    """1 / (1 + alpha |d|)^2 (Zenke & Ganguli, 2018, Neural Computation 30:1514, SuperSpike)."""

    alpha: float = 25.0

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        base = 1 + xp.abs(d) * self.alpha
        return 1 / (base * base)


@dataclass(frozen=True, slots=True)
class Gate(Surrogate):
    """1 where |d| < 1 / alpha, else 0: SPAIC's `GateGrad`."""

    alpha: float = 2.0

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        return xp.where(xp.abs(d) * self.alpha < 1.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class QuadraticGate(Surrogate):
    """max(0, alpha - alpha^2 |d|), the slope of two parabolas: SPAIC's `QGateGrad`, SpikingJelly's PiecewiseQuadratic
    (Esser et al., 2016, PNAS 113:11441)."""

    alpha: float = 2.0

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        return xp.maximum(self.alpha - xp.abs(d) * (self.alpha * self.alpha), 0.0)


@dataclass(frozen=True, slots=True)
class ReLU(Surrogate):
    """alpha where d > 0, else 0, so that a network learns as one of rectifiers does: SPAIC's `ReLUGrad`."""

    alpha: float = 2.0

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        alike = xp.minimum(xp.maximum(d, self.alpha), self.alpha)  # alpha in the precision of d, which `where` loses
        return xp.where(d > 0.0, alike, 0.0)


@dataclass(frozen=True, slots=True)
class Blocked(Surrogate):
    """0 everywhere: no gradient passes the spikes. For populations beside a learner's pathway; alpha has no part."""

    alpha: float = 1.0

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        return xp.where(xp.abs(d) < 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class SpikeTimes(Surrogate):
    """No surrogate: the exact derivative of the times of spikes, which only the event path has; alpha has no part.

    regularisation: what each spike of a neuron adds to dL/dv there, for each spike a sample that the neuron sends more
    than n_spikes in the mean of the batch, divided by the samples.
    """

    alpha: float = 1.0
    regularisation: float = 0.0
    n_spikes: float = 0.0

    def __post_init__(self) -> None:
        Surrogate.__post_init__(self)
        for name in ("regularisation", "n_spikes"):
            value = getattr(self, name)
            if not is_number(value) or value < 0:
                raise ParameterError(f"eventprop's {name} must be a number of at least 0, got {value!r}")

    def derivative(self, d: Array, xp: Ops[Any]) -> Array:
        raise UnsupportedError("the times of spikes have exact derivatives on the event path only; use a surrogate")


SURROGATES: Registry[type[Surrogate]] = Registry("surrogate")
SURROGATES.add("rectangle", Rectangle)
SURROGATES.add("gaussian", Gaussian)
SURROGATES.add("arctan", Arctan)
SURROGATES.add("sigmoid", Sigmoid)
SURROGATES.add("triangle", Triangle)
SURROGATES.add("fast_sigmoid", FastSigmoid)
SURROGATES.add("gate", Gate)
SURROGATES.add("quadratic_gate", QuadraticGate)
SURROGATES.add("relu", ReLU)

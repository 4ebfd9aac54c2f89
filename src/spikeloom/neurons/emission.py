"""What happens at the threshold: who fires, what leaves the neuron, what is reset, what stands for the derivative."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ParameterError
from ..ops import Array, Ops
from ..registry import Registry
from .surrogates import SURROGATES, Arctan, Surrogate, is_number


def _check_name_or_number(owner: str, value: object) -> None:
    if not isinstance(value, str) and not is_number(value):
        raise ParameterError(f"{owner} must be a finite number or the name of a parameter, got {value!r}")


class Forward(ABC):
    """What leaves the neuron, as a function of d = v - threshold and of v."""

    uses_surrogate = False
    coupled = ""
    """What makes an output depend on other neurons of its population; empty where nothing does."""

    @abstractmethod
    def output(self, d: Array, v: Array, xp: Ops[Any]) -> Array:
        """The output of one step, in the shape of v."""


@dataclass(frozen=True, slots=True)
class Step(Forward):
    """A spike, 1, where v >= threshold, else 0. Its derivative is the emission's surrogate."""

    uses_surrogate = True

    def output(self, d: Array, v: Array, xp: Ops[Any]) -> Array:
        return xp.where(d >= 0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Smooth(Forward):
    """1 / (1 + exp(-d / width)): graded, with its own exact derivative (Jomaa et al., UltraLIF)."""

    width: float = 0.1

    def __post_init__(self) -> None:
        if not is_number(self.width) or self.width <= 0:
            raise ParameterError(f"Smooth.width must be a positive number, got {self.width!r}")

    def output(self, d: Array, v: Array, xp: Ops[Any]) -> Array:
        return 0.5 + 0.5 * xp.tanh(d * (0.5 / self.width))


@dataclass(frozen=True, slots=True)
class Graded(Forward):
    """The membrane potential itself: a non-spiking neuron."""

    def output(self, d: Array, v: Array, xp: Ops[Any]) -> Array:
        return v


@dataclass(frozen=True, slots=True)
class Winner(Forward):
    """A spike of the neuron of its population whose v is greatest among those with v >= threshold, 0 of all others.

    Of equal ones it is the first. Its derivative is 0: it is for networks that learn by rules.
    """

    coupled = "by the winner, of which a population has one"

    def output(self, d: Array, v: Array, xp: Ops[Any]) -> Array:
        flat = xp.where(d >= 0, v, v.min() - 1.0).reshape(len(v), -1)
        place = (flat * 0 + 1).cumsum(1) - 1
        won = (place == flat.argmax(1)[:, None]).reshape(v.shape)
        return xp.where(xp.logical_and(won, d >= 0), v * 0 + 1, v * 0)


class Reset(ABC):
    """What a spike does to the variable that crossed the threshold."""

    @property
    def parameter(self) -> str | None:
        """The name of the neuron's parameter that it reads, if any."""
        return None

    @abstractmethod
    def after(self, v: Array, threshold: Array, spikes: Array, neuron: Any) -> Array:
        """v after the spikes (0 or 1 each) of this step."""


@dataclass(frozen=True, slots=True)
class ToValue(Reset):
    """v is set to a number, or to the neuron's parameter of that name."""

    value: str | float = "v_reset"

    def __post_init__(self) -> None:
        _check_name_or_number("ToValue.value", self.value)

    @property
    def parameter(self) -> str | None:
        return self.value if isinstance(self.value, str) else None

    def after(self, v: Array, threshold: Array, spikes: Array, neuron: Any) -> Array:
        target = getattr(neuron, self.value) if isinstance(self.value, str) else self.value
        kept = v * (1 - spikes)
        return kept if isinstance(target, (int, float)) and target == 0 else kept + spikes * target


@dataclass(frozen=True, slots=True)
class Subtract(Reset):
    """The threshold is subtracted from v: nothing above it is lost."""

    def after(self, v: Array, threshold: Array, spikes: Array, neuron: Any) -> Array:
        return v - spikes * threshold


@dataclass(frozen=True, slots=True)
class SubtractValue(Reset):
    """A number, or the neuron's parameter of that name, is subtracted from v, whatever the threshold is by then."""

    value: str | float = "v_th"

    def __post_init__(self) -> None:
        _check_name_or_number("SubtractValue.value", self.value)

    @property
    def parameter(self) -> str | None:
        return self.value if isinstance(self.value, str) else None

    def after(self, v: Array, threshold: Array, spikes: Array, neuron: Any) -> Array:
        return v - spikes * (getattr(neuron, self.value) if isinstance(self.value, str) else self.value)


@dataclass(frozen=True, slots=True)
class Scale(Reset):
    """v is multiplied by a factor."""

    factor: float = 0.5

    def __post_init__(self) -> None:
        if not is_number(self.factor):
            raise ParameterError(f"Scale.factor must be a finite number, got {self.factor!r}")

    def after(self, v: Array, threshold: Array, spikes: Array, neuron: Any) -> Array:
        return v - spikes * v * (1 - self.factor)


@dataclass(frozen=True, slots=True)
class NoReset(Reset):
    """v stays as it is; the model's own `after_spike` does what is to be done."""

    def after(self, v: Array, threshold: Array, spikes: Array, neuron: Any) -> Array:
        return v


RESETS: Registry[type[Reset]] = Registry("reset")
RESETS.add("to_value", ToValue)
RESETS.add("subtract", Subtract)
RESETS.add("subtract_value", SubtractValue)
RESETS.add("scale", Scale)
RESETS.add("none", NoReset)

FORWARDS: Registry[type[Forward]] = Registry("forward")
FORWARDS.add("step", Step)
FORWARDS.add("smooth", Smooth)
FORWARDS.add("graded", Graded)
FORWARDS.add("winner", Winner)

PARTS: Mapping[str, Registry[Any]] = {"forward": FORWARDS, "surrogate": SURROGATES, "reset": RESETS}
"""The parts of an emission that are chosen by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Emission:
    """Threshold, output, surrogate and reset of a neuron.

    variable: the state that is compared; threshold: a number or the name of a parameter; forward, surrogate and reset:
    an object, or a name such as 'sigmoid' or 'subtract' for its defaults; detach_reset: whether the gradient through
    the reset is left out.
    """

    variable: str = "v"
    threshold: str | float = "v_th"
    forward: Forward = Step()
    surrogate: Surrogate = Arctan()
    reset: Reset = ToValue()
    detach_reset: bool = False

    def __post_init__(self) -> None:
        _check_name_or_number("Emission.threshold", self.threshold)
        for name, registry in PARTS.items():
            if isinstance(choice := getattr(self, name), str):
                object.__setattr__(self, name, registry[choice]())
        kinds = {"variable": str, "forward": Forward, "surrogate": Surrogate, "reset": Reset, "detach_reset": bool}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                raise ParameterError(f"Emission.{name} must be a {kind.__name__}, got {getattr(self, name)!r}")

    def parameters(self) -> dict[str, str]:
        """The names of the neuron's parameters that it reads, by what reads them."""
        named = {"threshold": self.threshold, "reset": self.reset.parameter}
        return {what: name for what, name in named.items() if isinstance(name, str)}

"""The base of every neuron model, and one step of it.

A model is parameters (frozen), a named state and a pure sub-threshold `update`; threshold, output and reset are its
emission. `advance` joins them; every engine and every test steps a neuron through it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar

from ..errors import ParameterError, UnsupportedError
from ..filters.filter import checked, positive
from ..ops import Array, Ops
from ..registry import did_you_mean
from .emission import Emission

S = TypeVar("S", bound=tuple[Any, ...])
Value = Any
"""A parameter's value: a float, an array with one value for each neuron, or (bound by an engine) a tensor."""

Fire = Callable[[Any, Any, Emission, Any], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Neuron(ABC, Generic[S]):
    """A neuron model.

    State: the NamedTuple of its state; ports: the names of its input currents; trains: the parameters that are
    trained unless the group says otherwise. coupled: what makes a neuron depend on others of its population, so that
    the model runs on the torch path only; empty for an elementwise model. matrices: the parameters of a coupled model
    whose numbers have places of their own, and never stand one for each neuron. reads: the parameters of a reset, such
    as v_reset, that the model itself reads too, so that a group takes them whatever its reset is.
    """

    emission: Emission = Emission()

    State: ClassVar[type[Any]]
    ports: ClassVar[tuple[str, ...]] = ("i_syn",)
    trains: ClassVar[tuple[str, ...]] = ()
    coupled: ClassVar[str] = ""
    matrices: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        _check_class(type(self))
        self.check()
        _check_emission(self)

    def check(self) -> None:
        """Raises ParameterError for a wrong parameter; puts in place what follows from others. By default nothing."""

    @abstractmethod
    def initial(self) -> S:
        """The state at rest, each variable a value that broadcasts to (B, *shape)."""

    @abstractmethod
    def update(self, state: Any, inputs: Any, dt: float, xp: Ops[Any]) -> Any:
        """The state after one step of dt ms with the input current of the step, spikes aside."""

    def threshold(self, state: Any, xp: Ops[Any]) -> Value:
        """What the emission's variable is compared with."""
        name = self.emission.threshold
        return getattr(self, name) if isinstance(name, str) else name

    def after_spike(self, state: Any, spikes: Any, dt: float, xp: Ops[Any]) -> Any:
        """The state after what a spike does beyond the reset; by default nothing."""
        return state

    def sized(self, shape: tuple[int, ...]) -> Neuron[S]:
        """The model for a population of that shape, with what depends on it in place; by default the model itself."""
        return self

    def matrix(self, name: str, shape: tuple[int, ...]) -> tuple[tuple[int, ...], float]:
        """For one of `matrices` and a population of that shape: its own shape, and the greatest size of the numbers
        that it is drawn with, uniformly, where none are given."""
        raise UnsupportedError(f"{type(self).__name__} has no matrix {name!r}")

    def unread(self) -> list[str]:
        """The parameters of a reset that nothing reads: neither the reset that it has, nor the model itself."""
        own = next(f.default for f in fields(self) if f.name == "emission")
        resets = {"v_reset", own.reset.parameter if isinstance(own, Emission) else None}
        read = {*self.emission.parameters().values(), *self.reads}
        return [name for name in self.parameters() if name in resets - read]

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """The names of the model's parameters."""
        return tuple(f.name for f in fields(cls) if f.name != "emission")

    def bound(self, values: Mapping[str, Any]) -> Neuron[S]:
        """The same model with these parameters in place, unchecked: tensors, symbols."""
        twin = object.__new__(type(self))
        for f in fields(self):
            object.__setattr__(twin, f.name, values.get(f.name, getattr(self, f.name)))
        return twin


def check_positive(neuron: Neuron[Any], *names: str) -> None:
    """Raises ParameterError unless each named parameter is a positive, finite time in ms, or an array of such."""
    _put(neuron, names, positive)


def check_above_zero(neuron: Neuron[Any], *names: str) -> None:
    """Raises ParameterError unless each named parameter is a positive, finite number or an array of such."""
    _put(neuron, names, lambda owner, value: positive(owner, value, "number"))


def check_finite(neuron: Neuron[Any], *names: str) -> None:
    """Raises ParameterError unless each named parameter is a finite number or an array of such."""
    _put(neuron, names, checked)


def _put(neuron: Neuron[Any], names: tuple[str, ...], check: Callable[[str, Any], Any]) -> None:
    for name in names:
        object.__setattr__(neuron, name, check(f"{type(neuron).__name__}.{name}", getattr(neuron, name)))


def check_flag(neuron: Neuron[Any], name: str) -> None:
    """Raises ParameterError unless the named parameter is True or False."""
    if not isinstance(getattr(neuron, name), bool):
        raise ParameterError(f"{type(neuron).__name__}.{name} must be True or False, got {getattr(neuron, name)!r}")


def _check_class(model: type[Neuron[Any]]) -> None:
    """Raises ParameterError unless the class says what its state is, and is a dataclass if it adds parameters."""
    if not hasattr(getattr(model, "State", None), "_fields"):
        raise ParameterError(
            f"{model.__name__}.State must be the NamedTuple of its state, `State = {model.__name__}State`"
        )
    added = [name for name, kind in vars(model).get("__annotations__", {}).items() if "ClassVar" not in str(kind)]
    if added and "__dataclass_fields__" not in vars(model):
        raise ParameterError(
            f"{model.__name__}: for its parameters {', '.join(added)}, "
            "write @dataclass(frozen=True, kw_only=True) above the class"
        )


def _check_emission(neuron: Neuron[Any]) -> None:
    """Raises ParameterError unless the states and parameters that the emission names are those of the model."""
    model, emission = type(neuron), neuron.emission
    if not isinstance(emission, Emission):
        raise ParameterError(f"{model.__name__}.emission must be an Emission, got {emission!r}")
    named = [("variable", emission.variable, model.State._fields)]
    named += [(what, name, model.parameters()) for what, name in emission.parameters().items()]
    for what, name, known in named:
        if name not in known:
            has = ", ".join(known)
            raise ParameterError(
                f"{model.__name__}.emission.{what}: there is no {name!r}{did_you_mean(name, known)} It has: {has}"
            )


def plain_fire(d: Array, v: Array, emission: Emission, xp: Ops[Any]) -> Array:
    """The emission's output; what stands for its derivative is the engine's affair."""
    return emission.forward.output(d, v, xp)


def advance(
    neuron: Neuron[Any], state: Any, inputs: Any, dt: float, xp: Ops[Any], fire: Fire = plain_fire
) -> tuple[Array, Any]:
    """Output and state after one step of dt ms: integrate, emit, reset.

    state: the model's NamedTuple of arrays (B, *shape); inputs: an array (B, *shape), or a tuple of them for a model
    with several ports. fire: puts the surrogate in place of the derivative of the step.
    """
    emission = neuron.emission
    state = neuron.update(state, inputs, dt, xp)
    v = getattr(state, emission.variable)
    threshold = neuron.threshold(state, xp)
    output = fire(v - threshold, v, emission, xp)
    spikes = xp.stop_gradient(output) if emission.detach_reset else output
    state = state._replace(**{emission.variable: emission.reset.after(v, threshold, spikes, neuron)})
    return output, neuron.after_spike(state, spikes, dt, xp)

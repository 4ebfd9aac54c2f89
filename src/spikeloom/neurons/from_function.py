r"""A neuron from a Python function that makes new values of old ones, as SPAIC's `NeuronGroup.custom_model` takes it.

    @NeuronGroup.custom_model(input_vars=["V", "Isyn", "tauM"], output_vars=["V"], equation_type="exp_euler_iterative",
                              new_vars_dict={"V": 0, "Isyn": 0, "tauM": 8.0, "Vth": 1.0})
    def leaky(V, Isyn, tauM):
        return tauM * V + Isyn

The function runs once a step, on what the engine has: plain arithmetic runs everywhere, on the kernel path too; torch
functions on the torch path. Isyn (or WgtSum) is the input of the step, O the spikes of the step before; it fires when
V >= Vth. In the function a name with 'tau' in it is exp(-dt/tau) for 'exp_euler_iterative', dt/tau for
'euler_iterative', tau itself for 'iterative'. There is no reset but what the function does with O.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, make_dataclass
from typing import Any, ClassVar, cast

from ..equations.syntax import is_name
from ..errors import ParameterError, UnsupportedError
from ..ops import Ops
from ..registry import did_you_mean
from .emission import Emission, Graded, NoReset
from .neuron import Neuron, check_finite, check_positive

ITERATIVE, EULER, EXPONENTIAL = "iterative", "euler_iterative", "exp_euler_iterative"
_TYPES = (ITERATIVE, EULER, EXPONENTIAL)
_INPUTS = frozenset({"Isyn", "WgtSum"})
_SPIKES, _POTENTIAL, _THRESHOLD = "O", "V", "Vth"
_OWNER = "NeuronGroup.custom_model"


class FunctionNeuron(Neuron[Any]):
    """The base of every model made from a function. reads, gives: the names of what it takes and returns; start: of the
    states, by name."""

    __slots__ = ()

    function: ClassVar[Callable[..., Any]]
    reads: ClassVar[tuple[str, ...]]
    gives: ClassVar[tuple[str, ...]]
    start: ClassVar[Mapping[str, float]]
    equation_type: ClassVar[str]
    Variables: ClassVar[type[Any]]

    def check(self) -> None:
        check_finite(self, *self.parameters())
        if self.equation_type != ITERATIVE:
            check_positive(self, *filter(_is_time, self.parameters()))

    def initial(self) -> Any:
        return self.Variables(**self.start)

    def update(self, state: Any, inputs: Any, dt: float, xp: Ops[Any]) -> Any:
        values = {name: self._factor(name, dt, xp) for name in self.parameters()} | state._asdict()
        given = [inputs if name in _INPUTS else values[name] for name in self.reads]
        found = type(self).function(*given)
        results = found if isinstance(found, (tuple, list)) else (found,)
        if len(results) != len(self.gives):
            raise ParameterError(
                f"{type(self).__name__}: the function must return {', '.join(self.gives)}, got {len(results)} values"
            )
        return state._replace(**dict(zip(self.gives, results, strict=True)))

    def after_spike(self, state: Any, spikes: Any, dt: float, xp: Ops[Any]) -> Any:
        return state._replace(**{_SPIKES: spikes}) if _SPIKES in self.start else state

    def _factor(self, name: str, dt: float, xp: Ops[Any]) -> Any:
        value = getattr(self, name)
        if self.equation_type == ITERATIVE or not _is_time(name):
            return value
        return dt / value if self.equation_type == EULER else xp.exp(-dt / value)


def _is_time(name: str) -> bool:
    return "tau" in name.lower()


def function_model(
    input_vars: Iterable[str],
    output_vars: Iterable[str],
    new_vars_dict: Mapping[str, Any],
    equation_type: str = ITERATIVE,
    backend: str = "torch",
    custom_function_name: str = "custom",
    base_model: Any = None,
    add_threshold: bool = True,
) -> Callable[[Callable[..., Any]], FunctionNeuron]:
    """A decorator that turns a function of the input_vars, which returns the output_vars, into a neuron.

    new_vars_dict: all names but Isyn, with their values: where a state starts, what a parameter is. Without
    add_threshold it emits V. A file holds no code: it is saved where its class is registered in `NEURONS`.
    """
    if equation_type not in _TYPES:
        raise ParameterError(_refused(equation_type))
    if base_model is not None or backend != "torch":
        raise UnsupportedError(f"{_OWNER}: base_model= and a backend other than 'torch' do not exist; leave them out")
    reads, gives = ([_plain(name) for name in names] for names in (input_vars, output_vars))
    values = {_plain(name): value for name, value in new_vars_dict.items()}
    _check_names(reads, gives, values, add_threshold)
    start = {name: float(value) for name, value in values.items() if name in {*gives, _SPIKES}}
    parameters = {n: v for n, v in values.items() if n not in _INPUTS and n not in start}

    def made(function: Callable[..., Any]) -> FunctionNeuron:
        name = function.__name__ if custom_function_name == "custom" else custom_function_name
        own = {
            "function": staticmethod(function),
            "reads": tuple(reads),
            "gives": tuple(gives),
            "start": start,
            "equation_type": equation_type,
            "__doc__": function.__doc__,
            "__module__": function.__module__,
        }
        return _neuron(name, own, parameters, add_threshold)

    return made


def _check_names(reads: list[str], gives: list[str], values: Mapping[str, Any], spikes: bool) -> None:
    for name in (*reads, *gives):
        if name not in values and name not in _INPUTS:
            raise ParameterError(f"{_OWNER}: {name!r} is not in new_vars_dict{did_you_mean(name, values)}")
    if _POTENTIAL not in gives:
        raise ParameterError(f"{_OWNER}: 'V' must be in output_vars: it is what the neuron fires by, or emits")
    if spikes and _THRESHOLD not in values:
        raise ParameterError(f"{_OWNER}: 'Vth' must be in new_vars_dict: the neuron fires when V >= Vth")


def _neuron(name: str, own: Mapping[str, Any], parameters: Mapping[str, Any], spikes: bool) -> FunctionNeuron:
    """A neuron of a class of its own, with these class attributes and parameters."""
    emission = Emission(variable=_POTENTIAL, threshold=_THRESHOLD, reset=NoReset())
    if not spikes:
        emission = Emission(variable=_POTENTIAL, threshold=0.0, forward=Graded(), reset=NoReset())
    variables = namedtuple("FunctionState", tuple(own["start"]))  # type: ignore[misc]
    members: list[Any] = [(parameter, Any, field(default=value)) for parameter, value in parameters.items()]
    members.append(("emission", Emission, field(default=emission)))
    kind = make_dataclass(
        name,
        members,
        bases=(FunctionNeuron,),
        namespace={**own, "Variables": variables, "State": variables},
        frozen=True,
        kw_only=True,
        slots=True,
    )
    return cast(FunctionNeuron, kind())


def _plain(name: Any) -> str:
    """A name without SPAIC's marks."""
    plain = str(name).replace("[updated]", "").replace("[constant]", "")
    if not is_name(plain) or plain in dir(FunctionNeuron):
        raise ParameterError(f"{_OWNER}: {name!r:.80} cannot be the name of a variable; choose another name")
    return plain


def _refused(equation_type: Any) -> str:
    known = ", ".join(map(repr, _TYPES))
    if equation_type == "ode":
        return (
            f"{_OWNER}: equation_type 'ode' solves no equation in SPAIC; write the equations as a text: "
            f"custom_model('dv/dt = ... : mV', ...), or return new values and use one of {known}"
        )
    return f"{_OWNER}: equation_type must be one of {known}, got {equation_type!r:.80}"

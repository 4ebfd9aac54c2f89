r"""A refractory period for any neuron that spikes.

In the t_ref ms after a spike the potential is held where the reset has put it, whatever comes in, and the neuron does
not fire. All other variables go on by the model's own lines: a synaptic current, an adaptation, a threshold. It is the
absolute refractory period as in NEST's iaf models, and Brian2's `unless refractory` for the potential.

The period is as many whole steps as fit into t_ref. What is left of it is a state, `refractory`, without a gradient.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from dataclasses import field, fields, make_dataclass, replace
from functools import cache
from typing import Any, ClassVar, cast

import numpy as np

from ..errors import ParameterError
from ..ops import Array, Ops
from .emission import Emission
from .neuron import Neuron, Value, check_finite

_NEVER = 1e15
"""What raises a threshold out of reach; its square is still a number in float32."""


class Refractory:
    """The first base of every model with a refractory period t_ref in ms; model: the same without, the second base."""

    __slots__ = ()

    model: ClassVar[type[Neuron[Any]]]
    State: ClassVar[type[Any]]
    emission: Emission
    t_ref: Value

    def check(self) -> None:
        own: Any = self
        self.model.check(own)
        check_finite(own, "t_ref")
        if np.any(np.asarray(self.t_ref) < 0):
            raise ParameterError(f"{type(self).__name__}.t_ref must be a time in ms from 0 on, got {self.t_ref!r}")
        if not self.emission.forward.uses_surrogate:
            raise ParameterError(
                f"{type(self).__name__}.emission: a refractory period follows a spike, and "
                f"{type(self.emission.forward).__name__} emits none; use forward='step'"
            )

    def initial(self) -> Any:
        return self.State(*self._plain().initial(), 0.0)

    def update(self, state: Any, inputs: Any, dt: float, xp: Ops[Any]) -> Any:
        before, name = self._own(state), self.emission.variable
        after = self._plain().update(before, inputs, dt, xp)
        held = xp.where(state.refractory > 0, getattr(before, name), getattr(after, name))
        return self.State(*after._replace(**{name: held}), state.refractory)

    def threshold(self, state: Any, xp: Ops[Any]) -> Value:
        rests = xp.minimum(xp.stop_gradient(state.refractory), 1.0)
        return self._plain().threshold(self._own(state), xp) + rests * _NEVER

    def after_spike(self, state: Any, spikes: Any, dt: float, xp: Ops[Any]) -> Any:
        after = self._plain().after_spike(self._own(state), spikes, dt, xp)
        period = xp.floor(self.t_ref / dt + 1e-6)  # as `units.steps`, but in the words that symbols understand
        left = xp.maximum(xp.stop_gradient(state.refractory) - 1, 0.0)
        return self.State(*after, xp.where(xp.stop_gradient(spikes) > 0, period, left))

    def _own(self, state: Any) -> Any:
        return self.model.State(*state[:-1])

    def _plain(self) -> Neuron[Any]:
        """The model without the period, with what an engine has put in place: its lines may call each other."""
        twin = object.__new__(self.model)
        for f in fields(self.model):
            object.__setattr__(twin, f.name, getattr(self, f.name))
        return twin

    def __reduce__(self) -> Any:
        return _again, (self.model, {f.name: getattr(self, f.name) for f in fields(cast(Any, self))})


@cache
def refractory_model(model: type[Neuron[Any]]) -> type[Neuron[Any]]:
    """The model with a refractory period: with the parameter t_ref, and the state `refractory`.

    Raises ParameterError where the model has one of these already.
    """
    if "t_ref" in model.parameters() or "refractory" in model.State._fields:
        raise ParameterError(f"{model.__name__} has a refractory period of its own; set its own parameters")
    name = f"Refractory{model.__name__}"
    own = {
        "model": model,
        "State": namedtuple(f"{name}State", (*model.State._fields, "refractory")),
        "__doc__": f"{model.__name__} with a refractory period of t_ref ms.",
        "__module__": __name__,
    }
    period = [("t_ref", Value, field(default=0.0))]
    made = make_dataclass(name, period, bases=(Refractory, model), namespace=own, frozen=True, kw_only=True, slots=True)
    return cast(type[Neuron[Any]], made)


def with_refractory(neuron: Neuron[Any], t_ref: Value) -> Neuron[Any]:
    """The neuron with a refractory period of t_ref ms, a number or one for each neuron.

    Raises ParameterError for a time below 0, and for a neuron that does not spike.
    """
    if isinstance(neuron, Refractory):
        return cast(Neuron[Any], replace(cast(Any, neuron), t_ref=t_ref))
    return _again(type(neuron), {f.name: getattr(neuron, f.name) for f in fields(neuron)} | {"t_ref": t_ref})


def without_refractory(neuron: Neuron[Any]) -> Neuron[Any]:
    """The neuron without the period that `with_refractory` gave it."""
    if not isinstance(neuron, Refractory):
        return neuron
    return neuron._plain()


def _again(model: type[Neuron[Any]], values: Mapping[str, Array]) -> Neuron[Any]:
    return refractory_model(model)(**values)

"""A model's own lines as the functor of the plastic kernel."""

from __future__ import annotations

from ..kernels import Inlet, Model, evaluate, parameters, trace
from ..native.plastic import Functor
from .ops import XP
from .plastic_loop import PlasticModel


def functor_of(model: PlasticModel, n: int) -> Functor:
    """The functor of n neurons of a model with its filter; TraceError where its lines cannot become a kernel."""
    inlets = (Inlet(type(model.neuron).ports[0], model.filter, 0 if model.filter is None else 1),)
    step = trace(model.neuron, inlets, (n,))
    values = parameters(model.neuron, inlets, (n,)) | {"dt": model.dt}
    own = {c.value: k for k, c in enumerate(step.coefficients) if c.op == "symbol"}
    movable = {
        name: own[symbol]
        for name in model.neuron.parameters()
        if step.depending_on([symbol := f"neuron.{name}"]) == (own.get(symbol),)
    }
    return Functor(
        source=Model(step).functor,
        coefficients=[c.numpy() if hasattr(c, "numpy") else c for c in evaluate(step.coefficients, values, XP)],
        parameters=movable,
    )

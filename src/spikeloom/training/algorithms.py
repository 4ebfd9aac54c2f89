"""Learning algorithms by name: which surrogate stands for the derivative of the step.

Which paths gradients take is credit, a choice of its own: `network.credit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ..errors import ParameterError
from ..neurons import SURROGATES, Blocked, Gaussian, Rectangle, Surrogate
from ..neurons.surrogates import SpikeTimes
from ..plasticity import Rule
from ..registry import Registry
from .rule_algorithms import RULES

Algorithm = Callable[..., Surrogate | Rule]


def stca(*, alpha: float = 0.5) -> Surrogate:
    """Rectangle of half width alpha (Gu et al., 2019, IJCAI)."""
    return Rectangle(alpha)


def stbp(*, alpha: float = 0.5) -> Surrogate:
    """Gaussian of variance alpha (Wu et al., 2018, Frontiers in Neuroscience 12:331)."""
    return Gaussian(alpha)


def sbp(*, surrogate: str | Surrogate | type[Surrogate] = "arctan", alpha: float | None = None) -> Surrogate:
    """Any surrogate by name or class, with its alpha (each has a default of its own), or the surrogate itself."""
    if isinstance(surrogate, Surrogate):
        if alpha is not None:
            raise ParameterError(f"algorithm 'sbp': {surrogate!r} has its own alpha; give alpha={alpha!r} to it")
        return surrogate
    of_class = isinstance(surrogate, type) and issubclass(surrogate, Surrogate)
    kind: Any = surrogate if of_class else SURROGATES[cast(str, surrogate)]
    made: Surrogate = kind() if alpha is None else kind(alpha)
    return made


def eventprop(*, regularisation: float = 0.0, n_spikes: float = 14.0) -> Surrogate:
    """Exact derivatives of the times of spikes (EventProp; Wunderlich and Pehle, 2021, Scientific Reports 11:12829).

    regularisation, n_spikes: draws each neuron towards so many spikes a sample (Nowotny et al., 2025, eq. 22), since a
    neuron that does not fire has no gradient, and one that does not stop too many.
    """
    return SpikeTimes(regularisation=regularisation, n_spikes=n_spikes)


def tempotron() -> Surrogate:
    """No derivative: the connections right before read-outs that do not spike learn, by `fit(loss='tempotron')`."""
    return Blocked()


ALGORITHMS: Registry[Algorithm] = Registry("learning algorithm")
ALGORITHMS.add("stca", stca)
ALGORITHMS.add("stbp", stbp)
ALGORITHMS.add("sbp", sbp)
ALGORITHMS.add("eventprop", eventprop)
ALGORITHMS.add("tempotron", tempotron)
for _name, _rule in RULES.items():
    ALGORITHMS.add(_name, _rule)

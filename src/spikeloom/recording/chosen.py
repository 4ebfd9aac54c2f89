"""A recorder's sink for chosen observables of chosen populations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError, UnknownNameError
from ..registry import canonical, did_you_mean
from .layout import check_name

if TYPE_CHECKING:
    from .recorder import SimulationRecorder


@dataclass(frozen=True)
class Chosen:
    """What `SimulationRecorder.only` returns: a sink that takes these observables of these layers, and no others.

    Two of the same recorder and choice are equal.
    """

    recorder: SimulationRecorder
    choice: Mapping[str, frozenset[str]]
    _found: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, recorder: SimulationRecorder, choice: Mapping[str, str | Sequence[str]]) -> Chosen:
        """The sink for a choice as it was written; ParameterError where it is none."""
        owner = "SimulationRecorder.only"
        if not isinstance(choice, Mapping) or not choice:
            raise ParameterError(f"{owner} takes observables by layer, such as {{'hidden': 'spikes'}}, got {choice!r}")
        found: dict[str, frozenset[str]] = {}
        for layer, names in choice.items():
            each = (names,) if isinstance(names, str) else tuple(names)
            if not each:
                raise ParameterError(f"{owner}: {layer!r} must have observables, such as 'spikes', got none")
            found[check_name(layer, f"{owner}: a layer")] = frozenset(check_name(n, f"{owner}: {layer}") for n in each)
        return cls(recorder, found)

    def wants(self, layer: str) -> frozenset[str]:
        """The chosen observables of a layer that are still recorded; 'weights' of a connection as the recorder's."""
        names = self._found.get(layer, self.choice.get(layer, frozenset()))
        found = frozenset(name for name in names if self.recorder.is_open_for(layer, name))
        return found | self.recorder.weights_wanted

    def write(self, layer: str, variable: str, data: Any, dt: float, *, continued: bool = False) -> None:
        """Hands a window of a run on."""
        self.recorder.take(layer, variable, data, dt, continued=continued)

    def steps(
        self, inputs: Mapping[str, tuple[int, ...]], groups: Mapping[str, tuple[int, ...]], dt: float
    ) -> Callable[[Sequence[Any], int], bool]:
        """What takes single steps of a run."""
        return self.recorder.steps(inputs, groups, dt)

    def weights(self, connection: str, values: Any, duration: float) -> None:
        """Hands the weights of a run on."""
        self.recorder.weights(connection, values, duration)

    def metadata(self, values: Mapping[str, Any]) -> None:
        """Hands settings on."""
        self.recorder.metadata(values)

    def describe(self, description: Mapping[str, Any]) -> None:
        """Hands on what a network says of itself; an error for a layer or an observable that it does not have."""
        layers = description["layers"]
        for layer, names in self.choice.items():
            if layer not in layers:
                hint = did_you_mean(layer, layers)
                raise UnknownNameError(
                    f"SimulationRecorder.only: the network has no layer {layer!r}{hint} It has: {', '.join(layers)}"
                )
            self._found[layer] = frozenset(_observable(layer, name, layers[layer]["observables"]) for name in names)
        self.recorder.describe(description)


def _observable(layer: str, name: str, known: Sequence[str]) -> str:
    found = canonical("observable", name, known)
    if found is None:
        raise ParameterError(
            f"SimulationRecorder.only: {layer} has no observable {name!r}{did_you_mean(name, known)} "
            f"It has: {', '.join(known)}"
        )
    return found

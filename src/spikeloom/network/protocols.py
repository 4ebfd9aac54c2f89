"""What the description asks of those that act on it: engines, sinks, learners. Implementations live further down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from .component import Component
from .credit import BPTT, Credit

if TYPE_CHECKING:
    from ..neurons import Emission
    from ..spikes import PackedSpikes, Spikes
    from .group import NeuronGroup
    from .network import Network
    from .rules import Plasticity


@runtime_checkable
class Engine(Protocol):
    """A backend: makes a runnable build of a network. dt in ms."""

    dt: float

    @property
    def settings(self) -> tuple[Any, ...]:
        """What a build depends on: another value makes the next run rebuild."""

    def build(self, network: Network) -> Build:
        """The network made ready to run; keeps what the parameter store already holds."""


class Build(Protocol):
    """A network made ready to run in steps of dt ms."""

    dt: float
    module: Any
    state: Mapping[Any, Any]
    """What the last run left, by key: ("state", population, number of the variable)."""

    @property
    def plan(self) -> Any:
        """What runs where; `print` shows it."""

    def run(self, n_steps: int, *, keep_state: bool, sink: Sink | None) -> None:
        """Runs n steps, from rest or from where the last run ended, and fills decoders, monitors and the sink."""

    def firing_rates(self) -> dict[str, float]:
        """The mean firing rate of each population that spikes in the last run, in Hz."""


@runtime_checkable
class Sink(Protocol):
    """A receiver of what happened in a run: a recorder."""

    def describe(self, description: Mapping[str, Any]) -> None:
        """Takes what a built network says of itself, as JSON values: before the first run that it gets of a build."""

    def wants(self, layer: str) -> frozenset[str]:
        """The observables of a layer that it takes, such as {'spikes', 'v'}; what the layer does not have is passed.

        Of a connection 'weights'.
        """

    def write(
        self, layer: str, variable: str, data: Spikes | PackedSpikes | Any, dt: float, *, continued: bool = False
    ) -> None:
        """Takes one window of one run: spikes, or an array (T, B, *shape), of steps of dt ms.

        continued: whether it goes on where the layer's window before ended.
        """

    def weights(self, connection: str, values: Any, duration: float) -> None:
        """Takes the weights that a connection had in a run of `duration` ms; `connection.bias` and so on are others."""

    def metadata(self, values: Mapping[str, Any]) -> None:
        """Takes further settings of what it receives."""


@runtime_checkable
class StepSink(Sink, Protocol):
    """A sink that can take single steps of a run as they came out, and look at them later."""

    def steps(
        self, inputs: Mapping[str, tuple[int, ...]], groups: Mapping[str, tuple[int, ...]], dt: float
    ) -> Callable[[Sequence[Any], int], bool]:
        """What takes the spikes of these layers (name: shape) in one step that goes on where the last ended.

        It gets the Spikes of each input and the integers (1, B, words) of each group, in this order, and B. They must
        not be changed later. It returns False where it did not take them: then `write` gets them.
        """


class Attached(Component):
    """A component that shapes how a build learns: a learner."""

    @property
    def takes_part(self) -> bool:
        """Whether a run has it: it is not hidden. What it trains may be."""
        return not self.is_hidden

    def emission_for(self, group: NeuronGroup, emission: Emission) -> Emission:
        """The emission, with the surrogate of the learner in place."""
        return emission

    @property
    def credit(self) -> Credit:
        """Which paths gradients take."""
        return BPTT

    @property
    def by_gradient(self) -> bool:
        """Whether it trains by gradients of a loss; a rule does not."""
        return True

    def trains(self, owner: Component) -> bool:
        """Whether the parameters of a component are to be trained by it."""
        return False

    def plasticities(self) -> Sequence[Plasticity]:
        """Its rule at each connection that it changes."""
        return ()

    def describe(self) -> dict[str, Any]:
        """Its settings as JSON values."""
        return {}

    def line(self) -> str:
        """What it is, in one line of a printed network."""
        return self.kind

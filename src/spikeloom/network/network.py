"""A network: a description that an engine runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

import numpy as np

from ..absent import SETTERS, absent
from ..errors import ParameterError, StateError
from ..neurons import Emission, Graded
from ..registry import Registry, takes_only_its_own
from ..units import check_dt, duration_steps
from .component import Assembly, Component
from .connection import Connection
from .credit import BPTT, Credit
from .decoder import Decoder
from .encoder import Encoder
from .generator import Generator
from .group import NeuronGroup
from .monitors import Monitor, Tap
from .parameters import ParameterSpec, ParameterStore
from .protocols import Attached, Build, Engine
from .relations import family
from .sinks import Record, sink_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .files import Name

BACKENDS: Registry[type[Any]] = Registry("backend")
BACKENDS.add("torch", "spikeloom.backends:TorchBackend")

ACTIONS: Registry[Callable[..., Any]] = Registry("action")
"""What a network does through functions that know it: they are imported when they are asked for."""
ACTIONS.add("save", "spikeloom.network.files:network_save")
ACTIONS.add("save_state", "spikeloom.network.files:save_state")
ACTIONS.add("load_state", "spikeloom.network.files:load_state")
ACTIONS.add("to_nir", "spikeloom.network.nir:to_nir")
ACTIONS.add("from_nir", "spikeloom.network.nir:from_nir")
ACTIONS.add("from_torch", "spikeloom.network.from_torch:from_torch")
ACTIONS.add("print", "spikeloom.network.printing:tree")
ACTIONS.add("plot", "spikeloom.analysis.network_plot:plot_network")


class Network(Assembly):
    """A network of populations, connections, encoders, decoders, monitors and learners.

    Subclass it and assign the members to attributes, or create them inside `with net:`. Weights live in `store` and
    outlive every build: adding, replacing or deleting a member makes the next run rebuild the network, and the weights
    of all others stay. A new member starts from its own arguments, under an old name too.
    """

    kind = "network"

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._store = ParameterStore()
        self._running: dict[type[Any], list[Any]] = {}
        self._engine: Engine | None = None
        self._build: Build | None = None
        self._built_for: tuple[Any, ...] = ()
        self._ran = False
        self._seed: int | None = None
        self._training = True
        self._generator: np.random.Generator | None = None

    def __setattr__(self, name: str, value: object) -> None:
        if type(self) is Network and name in SETTERS and not isinstance(value, Component):
            raise ParameterError(f"network.{name} is not set by assignment; call net.{SETTERS[name]}")
        super().__setattr__(name, value)

    def of_kind(self, kind: type[Any]) -> list[Any]:
        """All components of a class, at any depth, in order of creation."""
        return [c for c in self.walk() if isinstance(c, kind)]

    @property
    def store(self) -> ParameterStore:
        """The weights and other parameters by name, as they are now."""
        return self._store

    def running(self, kind: type[Any]) -> list[Any]:
        """The components of a class that a run has: those that are not hidden, nor refer to what is."""
        if kind not in self._running:
            self._running[kind] = [c for c in self.of_kind(kind) if c.takes_part]
        return list(self._running[kind])

    @property
    def groups(self) -> list[NeuronGroup]:
        """The neuron groups of a run; hidden components are in `of_kind` alone."""
        return self.running(NeuronGroup)

    @property
    def connections(self) -> list[Connection]:
        """The connections of a run, those of generators into their targets too."""
        return self.running(Connection) + [wire for generator in self.generators for wire in generator.wires]

    @property
    def encoders(self) -> list[Encoder]:
        return self.running(Encoder)

    @property
    def generators(self) -> list[Generator]:
        return self.running(Generator)

    @property
    def decoders(self) -> list[Decoder]:
        return self.running(Decoder)

    @property
    def monitors(self) -> list[Monitor]:
        return self.running(Monitor)

    @property
    def taps(self) -> WeakSet[Tap]:
        """What loss terms read of the runs, as long as they are held; a copy has none."""
        return cast("WeakSet[Tap]", self.__dict__.setdefault("_taps", WeakSet()))

    @property
    def learners(self) -> list[Attached]:
        return self.running(Attached)

    @property
    def spiking(self) -> list[NeuronGroup]:
        """The groups that emit spikes: all but those whose output is graded."""
        return [group for group in self.groups if not isinstance(group.neuron.emission.forward, Graded)]

    @property
    def credit(self) -> Credit:
        """Which paths gradients take: what its learners say; ParameterError where they differ."""
        found = [learner.credit for learner in self.learners if learner.by_gradient] or [BPTT]
        if any(credit != found[0] for credit in found):
            names = ", ".join(learner.path for learner in self.learners)
            raise ParameterError(f"learners {names} differ in their credit; a run has one: give all the same")
        return found[0]

    def emission_of(self, group: NeuronGroup) -> Emission:
        """The emission of a group with the surrogate of the learner that trains it, else of the one that trains a
        connection into it, else that of the only learner.

        Raises ParameterError where two of these differ. Where there are several learners and none of these, a group
        keeps its own.
        """
        own, learners = group.neuron.emission, [each for each in self.learners if each.by_gradient]
        into = [connection for connection in self.connections if connection.post is group]
        claims = [learner for learner in learners if learner.trains(group)]
        claims = claims or [learner for learner in learners if any(learner.trains(each) for each in into)]
        claims = claims or (learners if len(learners) == 1 else [])
        emissions = [learner.emission_for(group, own) for learner in claims]
        for learner, emission in zip(claims, emissions, strict=True):
            if emission != emissions[0]:
                raise ParameterError(
                    f"learners {claims[0].path!r} and {learner.path!r} both train {group.path!r}, with different "
                    "surrogates; give it to one of them: trainable=[...]"
                )
        return emissions[0] if emissions else own

    @property
    def seed(self) -> int:
        """The seed of weights and encoders: the one that was set, or one drawn once."""
        if self._seed is None:
            self.set_random_seed(int(np.random.SeedSequence().entropy) % 2**32)  # type: ignore[arg-type]
        return cast(int, self._seed)

    def set_random_seed(self, seed: int) -> None:
        """Sets the seed; weights that are already drawn stay."""
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
            raise ParameterError(f"Network.set_random_seed: seed must be a whole number from 0 on, got {seed!r}")
        self._seed = int(seed)
        self._generator = np.random.default_rng(self._seed)

    @property
    def generator(self) -> np.random.Generator:
        """The generator that encoders draw from."""
        if self._generator is None:
            self.set_random_seed(self.seed)
        return cast(np.random.Generator, self._generator)

    @property
    def backend(self) -> Engine:
        """The engine; a TorchBackend on the CPU with dt 0.1 ms unless set."""
        if self._engine is None:
            self._engine = cast(Engine, BACKENDS["torch"]())
        return self._engine

    @takes_only_its_own("network option", "partition")
    def set_backend(self, backend: Engine | str, device: str | None = None) -> None:
        """Sets the engine: an object, or a name such as 'torch' with a device such as 'cpu' or 'cuda'."""
        if not isinstance(backend, str) and device is not None:
            raise ParameterError(
                f"Network.set_backend: the backend is given as an object; give device={device!r} to it"
            )
        if isinstance(backend, str):
            engine: Any = BACKENDS[backend](**({} if device is None else {"device": device}))
            if self._engine is not None:
                engine.dt = self._engine.dt
        else:
            engine = backend
        if not isinstance(engine, Engine):
            raise ParameterError(
                f"Network.set_backend takes a backend or a name, one of: {', '.join(BACKENDS)}, got {backend!r}"
            )
        self._engine = engine
        self._changed()

    @takes_only_its_own("network option", "partition")
    def set_backend_dt(self, dt: float = 0.1) -> None:
        """Sets the time step in ms."""
        self.backend.dt = check_dt(dt, "Network.set_backend_dt: dt")
        self._changed()

    @takes_only_its_own("network option", "full_enable_grad")
    def build(self, backend: Engine | str | None = None, device: str | None = None) -> None:
        """Makes the network ready to run; keeps weights that still fit, draws the others."""
        if isinstance(device, int):
            raise ParameterError(absent("network option", "strategy"))
        if backend is None and device is not None:
            raise ParameterError(
                f"Network.build: give the backend of device {device!r} too: build('torch', {device!r})"
            )
        if backend is not None:
            self.set_backend(backend, device)
        if not self.groups and not self.connections:
            raise StateError("the network has no neuron group; add one: net.layer1 = NeuronGroup(10, model='lif')")
        built = self.backend.build(self)
        self._build, self._built_for = built, self.backend.settings

    def owners(self) -> list[Component]:
        """All that may have parameters, hidden or not: neuron groups, then connections, then the others."""
        first = [*self.of_kind(NeuronGroup), *self.of_kind(Connection)]
        return [*first, *(c for c in self.walk() if not isinstance(c, (NeuronGroup, Connection)))]

    def specs(self) -> list[ParameterSpec]:
        """Every parameter that the components need."""
        return [spec for owner in self.owners() for spec in owner.parameter_specs()]

    def draw_parameters(self) -> ParameterStore:
        """The store with every parameter that is needed: kept ones, and fresh ones where none fits."""
        specs = self.specs()
        for spec in specs:
            self.store.require(spec, self.seed)
        self.store.retain({spec.name for spec in specs})
        return self.store

    def run(self, time: float, *, record: Record = None) -> None:
        """Runs `time` ms from rest; decoders and monitors hold the result, a recorder takes what it wants.

        record: a recorder; None means that of `set_global_recorder`, where there is one, and False means none.
        """
        self._run(time, record, keep_state=False)

    def run_continue(self, time: float, *, record: Record = None) -> None:
        """Runs `time` ms from where the last run ended; record: as that of `run`."""
        self._run(time, record, keep_state=True)

    def _run(self, time: float, record: Record, *, keep_state: bool) -> None:
        sink = sink_of(record)
        n_steps = duration_steps(time, self.backend.dt, "Network.run: time")
        before, build = self._build, self._built()
        if keep_state and self._ran and build is not before:
            raise StateError("the network was edited since the last run, which cannot be continued; use run")
        build.run(n_steps, keep_state=keep_state and self._ran, sink=sink)
        self._ran = True

    def _built(self) -> Build:
        if self._build is None or self._built_for != self.backend.settings:
            self.build()
        return cast(Build, self._build)

    @property
    def plan(self) -> Any:
        """How the network is run: print it."""
        return self._built().plan

    def firing_rates(self) -> dict[str, float]:
        """The mean firing rate of each population that spikes in the last run, in Hz."""
        return self._built().firing_rates()

    def last_state(self, group: NeuronGroup) -> dict[str, Any]:
        """The state of a population after the last run, by variable, (B, *shape) each; StateError before a run."""
        state = self._built().state if self._ran else {}
        names = group.neuron.State._fields
        found = {name: state.get(("state", group.path, k)) for k, name in enumerate(names)}
        if any(value is None for value in found.values()):
            raise StateError(f"group {group.path!r} has no state yet; run the network first: net.run(time)")
        return found

    @property
    def module(self) -> Any:
        """The nn.Module that holds the parameters."""
        return self._built().module

    def parameters(self) -> Iterator[Any]:
        """The trainable tensors, for an optimizer."""
        return (p for p in self.module.parameters() if p.requires_grad)

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """The trainable tensors with their names."""
        return ((n, p) for n, p in self.module.named_parameters() if p.requires_grad)

    def state_dict(self) -> dict[str, Any]:
        """All parameters and buffers by name."""
        return cast(dict[str, Any], self.module.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Copies parameters and buffers in place; for names and shapes of another network an error, and no change."""
        self._built()  # so that the weights are tensors from here on
        self.state_from_dict(state)

    def save(self, filename: Name | None = None, path: Name | None = None, **options: Any) -> str | dict[str, Any]:
        """The path of the description that `network_save` wrote, with its options and with the weights beside it."""
        return cast("str | dict[str, Any]", ACTIONS["save"](self, filename, path, **options))

    @takes_only_its_own("network option", "hdf5")
    def save_state(
        self, filename: Name | None = None, direct: Name | None = None, save: bool = True
    ) -> str | dict[str, Any]:
        """The path of the weights alone, <direct or .>/<filename>.safetensors; with save=False the arrays by name."""
        return cast("str | dict[str, Any]", ACTIONS["save_state"](self, filename, direct, save))

    @takes_only_its_own("network option", "device")
    def state_from_dict(
        self, state: Mapping[str, Any] | None = None, filename: Name | None = None, direct: Name | None = None
    ) -> None:
        """Copies weights in place, so that training goes on: arrays or tensors by name, or a file of `save_state`."""
        ACTIONS["load_state"](self, state, filename, direct)

    def to_nir(self, path: Name | None = None, *, integration: str = "exact") -> Any:
        """The network as a `nir.NIRGraph`, or the path of the NIR file written; see `spikeloom.network.nir`."""
        return ACTIONS["to_nir"](self, path, integration)

    @staticmethod
    def from_nir(source: Any, **options: Any) -> Network:
        """The network of a `nir.NIRGraph` or a NIR file; options and promise: see `spikeloom.network.nir`."""
        return cast(Network, ACTIONS["from_nir"](source, **options))

    @staticmethod
    def from_torch(module: Any, shape: Any, **options: Any) -> Network:
        """The network of an `nn.Sequential` for data of a shape; options: dt, coding_method, time of `from_torch`."""
        return cast(Network, ACTIONS["from_torch"](module, shape, **options))

    def plot(self, path: Name | None = None) -> Any:
        """A figure of the network as a graph, written to a path where one is given."""
        return ACTIONS["plot"](self, path)

    def train(self, mode: bool = True) -> Network:
        """Switches what differs between training and evaluation: dropout, batch normalisation, torch modules."""
        self._training = bool(mode)
        if self._build is not None:
            self._build.module.train(self._training)
        return self

    def eval(self) -> Network:
        """Switches to evaluation."""
        return self.train(False)

    @property
    def training(self) -> bool:
        """Whether it is in training, as it is until `eval()`; an edit does not change it."""
        return self._training

    def constrain(self) -> None:
        """Puts the weights of all connections back within their signs and bounds.

        A learner does so after each step of its optimizer; with an optimizer of your own call it after `step()`.
        """
        for connection in self.of_kind(Connection):
            connection.constrain()

    def _changed(self) -> None:
        self.__dict__.update(_build=None, _running={})

    def _forget(self, path: str) -> None:
        self.store.drop(path)

    def _settle(self, component: Component) -> None:
        for part in family(component):
            for name, value in part._carried.items():
                if isinstance(value, str):
                    self.store.draw_as(f"{part.path}.{name}", value)
                else:
                    self.store.put(f"{part.path}.{name}", value)
            part._carried = {}

    def get_testparams(self) -> list[Any]:
        """The trainable tensors."""
        return list(self.parameters())

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_taps"} | {"_build": None, "_running": {}}

    def __enter__(self) -> Network:
        super().__enter__()
        return self

    def __repr__(self) -> str:
        return cast(str, ACTIONS["print"](self))

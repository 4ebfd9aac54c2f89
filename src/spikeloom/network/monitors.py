"""What is watched during a run, for a look afterwards: detached, and turned into arrays only when asked for.

A monitor keeps what it shows in memory; to a file goes what a recorder takes: `net.run(time, record=recorder)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ParameterError, ShapeError, StateError
from ..neurons import Graded
from ..registry import canonical, did_you_mean
from ..spikes import Spikes
from ..units import check_dt
from .component import Component
from .connection import Connection
from .encoder import Encoder
from .generator import Generator
from .group import NeuronGroup
from .watching import Probe, Record, Selection, flat_index

Watched = NeuronGroup | Encoder | Generator | Connection


def observables_of(target: Watched) -> tuple[str, ...]:
    """What can be watched of a component: variables of a population, spikes of an input, weights of a connection."""
    if isinstance(target, Connection):
        return tuple(spec.name.rpartition(".")[2] for spec in target.parameter_specs())
    return target.observables


def observable_of(owner: str, target: Watched, name: str) -> str:
    """The observable that a name stands for; ParameterError with a suggestion where there is none."""
    known = observables_of(target)
    found = canonical("observable", name, known)
    if found is None:
        what = f"{target.model!r} group" if isinstance(target, NeuronGroup) else target.kind
        article = "an" if what[0] in "aeiou" else "a"
        hint, has = did_you_mean(name, known), ", ".join(known)
        raise ParameterError(f"{owner}: {article} {what} has no observable {name!r}{hint} It has: {has}")
    return found


class Monitor(Component):
    """The base of the monitors: an observable over the last run and what continued it.

    target: a neuron group, an encoder or generator (its spikes or values), or a connection (its weights, which are
    constant during a run: one copy a run is kept). index: 'full', a list of neurons, or one list for each axis of the
    shape. dt: every how many ms a value is kept (default: each step). get_grad: keeps the gradients that come on the
    way back; its population then runs on the torch path. nbatch: True keeps all runs, a number the last so many.
    """

    kind = "monitor"

    def __init__(
        self,
        target: Watched,
        var_name: str,
        index: Any = "full",
        dt: float | None = None,
        get_grad: bool = False,
        nbatch: bool | int = False,
        *,
        name: str | None = None,
    ) -> None:
        label = f"{type(self).__name__} {name!r}" if name else type(self).__name__
        if not isinstance(target, (NeuronGroup, Encoder, Generator, Connection)):
            raise ParameterError(
                f"{label}.target must be a neuron group, an input or a connection, got {type(target).__name__}"
            )
        if not isinstance(get_grad, bool):
            raise ParameterError(f"{label}.get_grad must be True or False, got {get_grad!r}")
        if not isinstance(nbatch, int) or nbatch < 0:
            raise ParameterError(f"{label}.nbatch must be True, False or a number of runs, got {nbatch!r}")
        if get_grad and isinstance(target, (Encoder, Generator)):
            raise ParameterError(f"{label}: the signal of an {target.kind} has no gradient; leave get_grad out")
        self.target, self.variable = target, observable_of(label, target, var_name)
        self.get_grad, self.nbatch = get_grad, nbatch
        self.dt = None if dt is None else check_dt(dt, f"{label}.dt")
        self.index = flat_index(label, index, self._shape)
        self._on, self._broken, self._clock = True, False, 0
        self._record: Record | None = None
        self._past: list[Record] = []
        self._probe: Probe | None = None
        self._parameter: Tensor | None = None
        super().__init__(name)

    @property
    def var_name(self) -> str:
        """The name of the observable."""
        return self.variable

    @property
    def is_recording(self) -> bool:
        """Whether it takes what the next run shows."""
        return self._on

    def monitor_on(self) -> None:
        """Goes on taking what runs show."""
        self._on = True

    def monitor_off(self) -> None:
        """Takes nothing until `monitor_on`; what was taken stays."""
        self._on = False

    def clear(self) -> None:
        """Forgets all that was taken."""
        self._record, self._past, self._probe = None, [], None

    def check_fit(self) -> None:
        """Raises where its target has no such observable or no such neurons."""
        label = f"{type(self).__name__} {self.name!r}"
        observable_of(label, self.target, self.variable)
        if self.index is not None:
            flat_index(label, self.index, self._shape)

    def probe(self, dt: float, *, continued: bool) -> Probe | None:
        """What the run that comes is to show its gradients to, if any; ParameterError where its dt does not fit."""
        stride, clock = self._selection.stride(f"monitor {self.name!r}", dt), self._clock if continued else 0
        wanted = self._on and self.get_grad and not isinstance(self.target, Connection)
        self._probe = Probe(self._selection, -(clock + 1) % stride, stride) if wanted else None
        return self._probe

    def observe(self, values: Tensor | None, n_steps: int, dt: float, *, continued: bool) -> None:
        """Takes the observable (T, B, *shape) of a run, or a weight, each step of one that changes; a run that
        continues another is appended to it."""
        before = self._clock if continued else 0
        self._clock, self._broken = before + n_steps, self._broken or not continued
        if values is None:
            return
        if self._broken or self._record is None:
            self._begin(dt)
        stride = self._selection.stride(f"monitor {self.name!r}", dt)
        first = -(before + 1) % stride
        if isinstance(self.target, Connection):
            self._parameter = values
        if isinstance(self.target, Connection) and values.ndim == len(self._shape):
            weight = self._selection.of(values.detach()[None], 0, 1).clone()
            chosen = weight.expand(n_steps, *weight.shape[1:])[first::stride]
        else:
            chosen = self._selection.of(values.detach(), first, stride)
        assert self._record is not None
        self._record.values.add(chosen)
        self._record.ends.append(np.arange(before + first, before + n_steps, stride) + 1)
        self._record.gradients.append(self._probe or Probe(self._selection, first, stride))

    def _begin(self, dt: float) -> None:
        """Begins a record of its own for a new run."""
        if self._record is not None and self.nbatch:
            self._past.append(self._record)
            keep = len(self._past) if self.nbatch is True else self.nbatch - 1
            self._past = self._past[len(self._past) - keep :]
        self._record, self._broken = Record(dt), False

    @property
    def _shape(self) -> tuple[int, ...]:
        """The shape of what is watched in a step, the batch aside."""
        if not isinstance(self.target, Connection):
            return self.target.shape
        specs = {spec.name.rpartition(".")[2]: spec.shape for spec in self.target.parameter_specs()}
        return specs[self.variable]

    @property
    def _selection(self) -> Selection:
        return Selection(self.index, self.dt, 1 if isinstance(self.target, Connection) else 2)

    @property
    def _taken(self) -> Record:
        if self._record is None:
            raise StateError(f"monitor {self.name!r} has seen nothing yet; run the network first: net.run(time)")
        return self._record

    @property
    def _recorded(self) -> Tensor:
        """All that was kept as one (T, B, *shape)."""
        return self._taken.values.whole

    @property
    def times(self) -> NDArray[Any]:
        """The times (T,) in ms at which the steps that were kept end: dt, 2 dt, ..."""
        return self._taken.times

    @property
    def grads(self) -> NDArray[Any]:
        """The gradients of the last loss by the values, in the shape of `values`; of a weight in that of the weight.

        They are total: by what follows in the same step and in all later ones. Zero where nothing came back; StateError
        before `backward`, and without get_grad=True.
        """
        if not self.get_grad:
            raise StateError(f"monitor {self.name!r} keeps no gradients; make it with get_grad=True")
        if isinstance(self.target, Connection):
            grad = None if self._parameter is None else self._parameter.grad
            grad = grad if grad is None or self.index is None else grad.flatten()[torch.tensor(self.index)]
            found = None if grad is None else grad.detach().clone()
        else:
            found = self._taken.grads
            found = None if found is None else found.movedim(0, -1)
        if found is None:
            raise StateError(f"monitor {self.name!r} has no gradient yet; call backward() on a loss of the run")
        return found.cpu().numpy()

    @property
    def grad(self) -> NDArray[Any]:
        """Another name of `grads`."""
        return self.grads

    @property
    def nbatch_values(self) -> NDArray[Any]:
        """The values of the runs that were kept, (runs, *shape, T, B); of a weight (runs, *shape, T).

        Raises ShapeError where the runs differ in length or batch.
        """
        runs = [record.values.whole for record in [*self._past, self._taken]]
        self._check_alike([tuple(run.shape) for run in runs])
        if isinstance(self.target, Connection):
            return np.stack([run.movedim(0, -1).cpu().numpy() for run in runs])
        return np.stack([run.movedim((0, 1), (-2, -1)).cpu().numpy() for run in runs])

    @property
    def nbatch_times(self) -> NDArray[Any]:
        """The times of the runs that were kept, (runs, T), in ms."""
        times = [record.times for record in [*self._past, self._taken]]
        self._check_alike([t.shape for t in times])
        return np.stack(times)

    def _check_alike(self, shapes: list[tuple[int, ...]]) -> None:
        if len(set(shapes)) > 1:
            raise ShapeError(
                f"monitor {self.name!r}: the runs that were kept differ in length or batch ({shapes[0]} and "
                f"{next(s for s in shapes if s != shapes[0])}); call clear() before runs of another kind"
            )

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_probe": None, "_parameter": None}


class StateMonitor(Monitor):
    """`StateMonitor(group, 'V')`: a state variable, 'spikes' or 'i_syn' of a group, the spikes of an input, or the
    weight of a connection, in every step, after the reset. `Monitor` tells of index, dt, get_grad and nbatch."""

    @property
    def tensor_values(self) -> Tensor:
        """The values (B, *shape, T), with an index (B, n, T); of a weight (*shape, T)."""
        return self._recorded.movedim(0, -1)

    @property
    def values(self) -> NDArray[Any]:
        """The values (B, *shape, T), with an index (B, n, T); of a weight (*shape, T), as an array."""
        return self.tensor_values.cpu().numpy()

    def plot_weight(self, time_id: int = -1, batch_id: int | None = None, **look: Any) -> Any:
        """An image of a weight at one of its times, of the last run or of the run batch_id: see `plot_weight` of
        `spikeloom.network.weight_plot` for how it may look. Needs matplotlib."""
        from .weight_plot import plot_weight

        values = self.values if batch_id is None else self.nbatch_values[batch_id]
        if not isinstance(self.target, Connection):
            raise ParameterError(f"monitor {self.name!r} watches a {self.target.kind}; plot_weight shows connections")
        return plot_weight(values[..., time_id], **look)


class SpikeMonitor(Monitor):
    """`SpikeMonitor(group)`: the spikes of a population or an input. `Monitor` tells of index, get_grad and nbatch."""

    def __init__(
        self,
        target: NeuronGroup | Encoder | Generator,
        var_name: str = "O",
        index: Any = "full",
        dt: float | None = None,
        get_grad: bool = False,
        nbatch: bool | int = False,
        *,
        name: str | None = None,
    ) -> None:
        if dt is not None:
            raise ParameterError(
                "SpikeMonitor sees every step, so that no spike is lost; use StateMonitor(..., dt=...)"
            )
        super().__init__(target, var_name, index, dt, get_grad, nbatch, name=name)
        if self.variable != "spikes":
            raise ParameterError(
                f"SpikeMonitor watches spikes, got {var_name!r}; use StateMonitor for {self.variable!r}"
            )
        if isinstance(target, NeuronGroup) and isinstance(target.neuron.emission.forward, Graded):
            raise ParameterError(
                f"SpikeMonitor: a {target.model!r} group emits its potential, no spikes; use StateMonitor(group, 'v')"
            )

    @property
    def spikes(self) -> Spikes:
        """What was emitted, as Spikes on the grid of dt."""
        return Spikes.from_raster(self._recorded.cpu().numpy(), self._taken.dt)

    @property
    def spk_times(self) -> list[NDArray[Any]]:
        """For each sample the times in ms at which the steps with a spike end, by neuron, then by time."""
        times = self.times
        return [times[step] for _, step in self._by_neuron()]

    @property
    def spk_index(self) -> list[NDArray[np.int64]]:
        """For each sample the flat index in the population of the neuron of each spike in `spk_times`."""
        if self.index is None:
            return [index for index, _ in self._by_neuron()]
        watched = np.array(self.index)
        return [watched[index] for index, _ in self._by_neuron()]

    @property
    def spk_count(self) -> NDArray[Any]:
        """How often each neuron fired, (B, n)."""
        return np.asarray(np.count_nonzero(self._flat(), axis=0))

    @property
    def spk_rate(self) -> NDArray[Any]:
        """How often each neuron fired in a second, (B, n), in Hz."""
        return self.spk_count * (1000.0 / (len(self._recorded) * self._taken.dt))

    @property
    def spk_grad(self) -> NDArray[Any]:
        """Another name of `grads`."""
        return self.grads

    @property
    def time(self) -> NDArray[Any]:
        """Another name of `times`."""
        return self.times

    @property
    def time_spk_rate(self) -> NDArray[Any]:
        """The fraction of the samples in which a neuron fires, for each neuron and step, (n, T)."""
        return np.asarray((self._flat() != 0).mean(1).T)

    @property
    def time_pop_rate(self) -> NDArray[Any]:
        """The fraction of the neurons that fire, for each sample and step, (B, T)."""
        return np.asarray((self._flat() != 0).mean(2).T)

    def _flat(self) -> NDArray[Any]:
        return self._recorded.flatten(2).cpu().numpy()

    def _by_neuron(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        flat = self._flat()
        found = [np.nonzero(flat[:, sample].T) for sample in range(flat.shape[1])]
        return [(index, step) for index, step in found]


class Tap:
    """An observable of a population with its gradients, or what an input sends: `.value` (T, B, *shape) after a run.

    The network that the population belongs to fills it as long as it is held.
    """

    def __init__(self, target: NeuronGroup | Encoder | Generator, var_name: str = "spikes") -> None:
        self.target, self.variable = target, observable_of("Tap", target, var_name)
        self._found: tuple[Tensor, float] | None = None
        target.network.taps.add(self)

    def take(self, value: Tensor | None, dt: float) -> None:
        """Takes what a run gave; None drops it, and the graph behind it."""
        self._found = None if value is None else (value, dt)

    @property
    def value(self) -> Tensor:
        """The observable in every step of the last run, (T, B, *shape)."""
        return self._given()[0]

    @property
    def rates(self) -> Tensor:
        """The firing rate of each neuron and sample in the last run in Hz, (B, n), with gradients."""
        value, dt = self._given()
        return value.flatten(2).sum(0) * (1000.0 / (len(value) * dt))

    def _given(self) -> tuple[Tensor, float]:
        if self._found is None:
            raise StateError(f"nothing was seen of {self.target.path!r} yet; run the network first: net.run(time)")
        return self._found

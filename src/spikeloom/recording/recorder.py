"""The recorder: a sink of network runs, and the calls of a program that hands over its data itself."""

from __future__ import annotations

import atexit
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TextIO

from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError, StateError, StorageError
from ..network import Sink, global_sink, set_global_sink
from ..spikes import Numbers, PackedSpikes, Spikes
from ..spikes.validate import as_array
from ..units import check_dt
from .chosen import Chosen
from .config import RecorderConfig
from .folder import session_folder
from .intake import Intake
from .layout import check_name, json_text, new_control_file, write_control_states, write_links
from .parts import Data, parts, rows, spike_rows
from .statistics import StatisticsPart
from .steps import Steps
from .track import Key
from .writing import NodeWriter

_LATEST = 1e13
"""The model time in ms from which on its name, in nanoseconds, has more digits than names have."""

_log = logging.getLogger(__name__)


class SimulationRecorder:
    """Records spikes, membrane potentials, weights and control states into a session folder.

    It is a sink of runs (`net.run(time, record=recorder)`, recorded under `node_id`), and takes data directly
    (`record_spike_data`, ..., with `dt` ms a step), from any thread. Each layer has its own clock: its windows follow
    one another in model time. A thread of its own writes: a batch when more than `config.batch_steps` steps of a layer
    wait, all every `config.flush_interval`, and at `flush_all()` and `close()`. Nothing is dropped: where the disk is
    slower than the simulation, `config.buffer_size` steps wait, then the simulation does;
    `get_statistics()["blocked_seconds"]` says how long. It stops by itself at the limits of `config` and when the disk
    refuses, and the simulation goes on; `get_statistics()["stopped_by"]` says why.

    Recording is off unless `config.enable_recording`: such a recorder may be given to runs all the same, takes every
    call and keeps nothing. An interpreter that ends closes its recorders. A process that is forked makes its own: calls
    of the parent's raise StateError there. Raises ParameterError for a config that is not a RecorderConfig.
    """

    def __init__(self, config: RecorderConfig | None = None, *, node_id: str = "main", dt: float = 1.0) -> None:
        self.config = RecorderConfig() if config is None else config
        if not isinstance(self.config, RecorderConfig):
            raise ParameterError(
                f"SimulationRecorder.config must be a RecorderConfig, got {type(config).__name__}; "
                "make one of settings by name: RecorderConfig(enable_recording=True)"
            )
        self.node_id = check_name(node_id, "SimulationRecorder.node_id")
        self.dt = check_dt(dt, "SimulationRecorder.dt")
        asked = {"spikes": self.config.record_spikes, "v": self.config.record_membrane}
        self._asked = tuple(name for name, is_asked in asked.items() if is_asked)
        self._closing = threading.Lock()
        self._is_finished = False
        self._controls: dict[str, TextIO] = {}
        self._schedule: dict[str, tuple[float, float]] = {}
        self._network: dict[str, Any] = {}
        self._n_snapshots = self._n_controls = 0
        self._longest = max(1, min(self.config.batch_steps, self.config.buffer_size // 2))
        path: Path | None = None
        if self.config.enable_recording:
            path = session_folder(self.config)
            self._part = StatisticsPart(path, asdict(self.config))
            self._part.start()
            _open.add(self)
        self._intake = Intake(self.config, path, self._tell)

    @property
    def path(self) -> Path:
        """The session's folder; StateError when recording is off."""
        if self._intake.path is None:
            raise StateError("SimulationRecorder is off and has no session; give RecorderConfig(enable_recording=True)")
        return self._intake.path

    @property
    def stopped_by(self) -> str | None:
        """Why something is recorded no further, or None."""
        return self._intake.stopped_by

    # ---- a sink of runs

    def wants(self, layer: str) -> frozenset[str]:
        """The observables of a layer that are recorded: a subset of {'spikes', 'v'}; `only` takes others too.

        'weights' of a connection, where `config` says so.
        """
        found = [name for name in self._asked if self.is_open_for(layer, name)]
        return frozenset(found) | self.weights_wanted

    @property
    def weights_wanted(self) -> frozenset[str]:
        """{'weights'} where they are recorded, else nothing."""
        return frozenset({"weights"} if self.config.record_weights and self._intake.is_on() else ())

    def only(self, choice: Mapping[str, str | Sequence[str]]) -> Sink:
        """A sink for runs that takes these observables of these layers and no others, whatever `config` says.

        `net.run(50.0, record=recorder.only({"hidden": ("spikes", "v"), "votes": "spikes"}))`. Any observable of a
        group will do. The run raises UnknownNameError for a layer, ParameterError for an observable it does not have.
        """
        return Chosen.of(self, choice)

    def is_open_for(self, layer: str, observable: str) -> bool:
        """Whether an observable of a layer of this node is taken: nothing has stopped, and its duration is not full."""
        return self._intake.is_open_for(Key(observable, self.node_id, layer))

    def write(
        self, layer: str, variable: str, data: Spikes | PackedSpikes | Numbers, dt: float, *, continued: bool = False
    ) -> None:
        """Takes one window of one run: spikes for 'spikes', an array (T, B, *shape) for 'v' and others; dt in ms.

        continued: whether it goes on, without a break, where the window before ended. 'spikes' and 'v' are recorded
        where `config` says so.
        """
        if variable in self._asked or variable not in ("spikes", "v"):
            self.take(layer, variable, data, dt, continued=continued)

    def take(
        self, layer: str, variable: str, data: Spikes | PackedSpikes | Numbers, dt: float, *, continued: bool
    ) -> None:
        """`write`, whatever `config` says."""
        is_spikes = isinstance(data, (Spikes, PackedSpikes))
        if not isinstance(variable, str) or is_spikes != (variable == "spikes"):
            raise ParameterError(
                "SimulationRecorder.write: variable must be 'spikes' with Spikes, or 'v' or another observable with "
                f"an array, got {variable!r} with {type(data).__name__}"
            )
        found: Data
        if isinstance(data, PackedSpikes):
            found, shape, dt = data, data.shape, data.dt
        elif isinstance(data, Spikes):
            found, shape = data.on_grid(dt), data.shape
        else:
            found, dt = as_array(data, variable), check_dt(dt)
            shape = found.shape[2:]
            if found.ndim < 3 or not found.size:
                raise ShapeError(
                    f"SimulationRecorder.write: {variable} must have shape (T, B, *shape), got {found.shape}"
                )
        self._intake.add(
            Key(variable, self.node_id, layer), parts(found, self._longest, begins=not continued), dt, shape
        )

    def steps(
        self, inputs: Mapping[str, tuple[int, ...]], groups: Mapping[str, tuple[int, ...]], dt: float
    ) -> Callable[[Sequence[Any], int], bool]:
        """What takes the spikes of these layers in single steps that go on; see `Steps`."""
        return Steps(self._intake, self.node_id, inputs, groups, dt)

    def weights(self, connection: str, values: Numbers, duration: float) -> None:
        """Takes the weights that a connection had in a run of `duration` ms; keeps them every `weight_interval`."""
        if not (self.config.record_weights and self._intake.is_on()):
            return
        with self._intake.background.lock:
            clock, due = self._schedule.get(connection, (0.0, 0.0))
            is_due = clock * (1 + 1e-9) >= due
            self._schedule[connection] = (clock + duration, clock + self.config.weight_interval if is_due else due)
        if is_due:
            self.record_weight_data(self.node_id, connection, values, clock)

    def metadata(self, values: Mapping[str, Any]) -> None:
        """Keeps settings of the run (numbers, texts, lists, mappings) with the recording of this node."""
        if self._intake.is_on():
            texts = {check_name(name, "metadata's names"): json_text(value, name) for name, value in values.items()}
            kept = {name: json.loads(text) for name, text in texts.items()}
            self._intake.task(self.node_id, lambda writer: writer.metadata(kept), 0)

    def describe(self, description: Mapping[str, Any]) -> None:
        """Keeps what a network says of itself as the metadata 'network'; of several networks, what all of them say."""
        if self._intake.is_on():
            for name, value in description.items():
                is_both = isinstance(value, Mapping) and isinstance(self._network.get(name), Mapping)
                self._network[name] = {**self._network[name], **value} if is_both else value
            self.metadata({"network": self._network})

    # ---- data of a program

    def record_spike_data(self, node_id: str, layer: str, spikes: Numbers) -> None:
        """Takes the spikes of one step, (N,), or of T steps, (T, N): 0 or 1 each, else DataError; NumPy or torch."""
        key = Key("spikes", node_id, layer)
        found = spike_rows(spikes)
        if self.config.record_spikes:
            self._intake.add(key, parts(found, self._longest, begins=False), self.dt, found.shape[1:])

    def record_membrane_data(self, node_id: str, layer: str, v: Numbers) -> None:
        """Takes the membrane potentials of one step, (N,), or of T steps, (T, N), NumPy or torch."""
        values = rows(v, "v")[:, None]
        if self.config.record_membrane:
            self._intake.add(
                Key("v", node_id, layer), parts(values, self._longest, begins=False), self.dt, values.shape[2:]
            )

    def record_weight_data(self, node_id: str, layer: str, weights: Numbers, t: float | None = None) -> None:
        """Takes a snapshot of weights of any shape at a model time in ms, by default the latest of the node."""
        for name, owner in ((node_id, "node_id"), (layer, "layer")):
            check_name(name, owner)
        array = as_array(weights, "weights")
        t = self._model_time(node_id) if t is None else float(t)
        if not 0 <= t < _LATEST:
            raise ParameterError(
                f"record_weight_data: t must be a model time of at least 0 ms and less than {_LATEST:g}, got {t!r}"
            )
        if self.config.record_weights and self._intake.is_on():
            kept = array.copy()
            self._intake.task(node_id, lambda writer: self._snapshot(writer, layer, kept, t), kept.nbytes)

    def record_control_state(
        self,
        node_id: str,
        module_type: str,
        status: str,
        active_task: str | None = None,
        step_count: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes the state of a node at its step `step_count`, with its model time in ms and that of the wall."""
        check_name(node_id, "node_id")
        state = {
            "timestamp": time.time(),
            "t": self._model_time(node_id),
            "node_id": node_id,
            "module_type": module_type,
            "status": status,
            "active_task": active_task,
            "step_count": step_count,
            "metadata": {} if metadata is None else metadata,
        }
        text = json_text(state, "record_control_state: the state")
        if not (self.config.record_control and self._intake.is_on()):
            return
        with self._closing, self._intake.stopping_on_failure():
            if not self._is_finished:
                if node_id not in self._controls:
                    self._controls[node_id] = new_control_file(self.path, node_id)
                self._controls[node_id].write(text + "\n")
                self._controls[node_id].flush()
                self._n_controls += 1

    # ---- the whole recording

    def flush_all(self) -> None:
        """Returns when all that was handed over before is on the disk."""
        self._intake.flush()

    def get_statistics(self) -> dict[str, Any]:
        """What is on the disk so far: counts, simulated seconds, steps of each layer, and `stopped_by`.

        state: 'off', 'recording', 'stopped' or 'closed'. blocked_seconds: how long callers have waited for the disk;
        writer_cpu_seconds: the processor time of the thread that writes. Steps count as soon as they are handed over;
        `flush_all()` has the other counts follow.
        """
        intake, steps = self._intake, dict[str, dict[str, int]]()
        tracks = intake.settled()
        for track in tracks:
            layers = steps.setdefault(track.key.node, {})
            layers[track.key.layer] = max(track.clock, layers.get(track.key.layer, 0))
        return {
            "session": None if intake.path is None else intake.path.name,
            "state": intake.state,
            "total_spikes_recorded": sum(t.size for t in tracks if t.key.observable == "spikes"),
            "total_membrane_values": sum(t.size for t in tracks if t.key.observable == "v"),
            "total_variable_values": sum(t.size for t in tracks if t.key.observable not in ("spikes", "v")),
            "total_weight_snapshots": self._n_snapshots,
            "total_control_records": self._n_controls,
            "batches_written": intake.n_batches,
            "simulated_seconds": max((track.model_time for track in tracks), default=0.0) / 1000,
            "wall_seconds": time.monotonic() - intake.began,
            "blocked_seconds": intake.background.blocked_seconds,
            "writer_cpu_seconds": intake.background.cpu_seconds,
            "steps": steps,
            "stopped_by": self.stopped_by,
        }

    def close(self) -> None:
        """Writes what waits, joins the session's files and ends the recording; a second call does nothing.

        The global recorder is so no longer. Nothing is raised when the disk refuses: `stopped_by` says so.
        """
        self._intake.check_process()
        if (sink := global_sink()) is self or (isinstance(sink, Chosen) and sink.recorder is self):
            set_global_sink(None)
        with self._closing:
            if self._is_finished:
                return
            self._intake.close()
            self._is_finished = True
            for file in self._controls.values():
                with self._intake.stopping_on_failure():
                    file.close()
            if self._intake.path is not None:
                with self._intake.stopping_on_failure():
                    write_links(self.path)
                    self._part.close(self.get_statistics(), self._controls)
                    write_control_states(self.path)
        _open.discard(self)

    def __enter__(self) -> SimulationRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise StateError(
            "SimulationRecorder cannot be sent to another process; make a recorder there, with the same session_name "
            "and another node_id"
        )

    def _tell(self, reason: str | None, node: str | None) -> None:
        """Writes what the recorder says of itself: why it stopped, or a node that it has begun."""
        if reason is None:
            self._part.update(self.get_statistics(), [] if node is None else [node])
            return
        try:
            self._part.stop(reason, self.get_statistics(), self._controls)
        except StorageError as error:
            _log.warning("%s; close() tries again", error)

    def _snapshot(self, writer: NodeWriter, layer: str, weights: NDArray[Any], t: float) -> None:
        writer.weights(layer, weights, t)
        self._n_snapshots += 1

    def _model_time(self, node: str) -> float:
        return max((t.model_time for t in self._intake.settled() if t.key.node == node), default=0.0)


_open: set[SimulationRecorder] = set()
"""The recorders of this process that were not closed; they are when it ends."""


@atexit.register
def _close_open() -> None:
    for recorder in list(_open):
        try:
            recorder.close()
        except Exception:  # noqa: BLE001  the others are closed all the same
            _log.exception("recording %s could not be closed", recorder.path.name)


def _forget_parent() -> None:
    """In a fork: the recorders are the parent's."""
    _open.clear()
    set_global_sink(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def set_global_recorder(recorder: Sink | None) -> None:
    """Makes a recorder, or what its `only` returns, serve every run of this process that names no other; None for none.

    `net.run(time, record=False)` is not recorded. It ends with the recorder's `close()`.
    """
    set_global_sink(recorder)


def get_global_recorder() -> Sink | None:
    """The recorder of this process, or None."""
    return global_sink()

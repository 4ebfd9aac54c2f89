"""The recorder: a sink of network runs, and the calls of a program that hands over its data itself."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from itertools import count
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError, StateError, StorageError
from ..spikes import Spikes
from ..spikes.validate import Numbers, as_array
from ..units import check_dt, times
from .batches import MembraneBatch, SpikeBatch
from .config import RecorderConfig
from .layout import (
    check_name,
    control_file,
    json_text,
    write_control_states,
    write_links,
    write_statistics,
)
from .track import Track
from .writing import NodeWriter

Kind = Literal["spikes", "v"]

_log = logging.getLogger(__name__)


class SimulationRecorder:
    """Records spikes, membrane potentials, weights and control states into a session folder.

    It is a sink of runs (`wants`, `write`, `metadata`, recorded under `node_id`), and takes data directly
    (`record_spike_data`, ..., with `dt` ms a step). Each layer has its own clock: its windows follow one another in
    model time. A batch is written, and flushed to disk, when `config.buffer_size` steps wait, and by `flush_all()`
    and `close()`. It stops by itself at the limits of `config`; `get_statistics()["stopped_by"]` says why.

    Recording is off unless `config.enable_recording`: such a recorder may be given to runs all the same, takes every
    call and keeps nothing. Raises ParameterError for a config that is not a RecorderConfig.
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
        self.stopped_by: str | None = None
        self._is_stopped = not self.config.enable_recording
        self._is_closed = False
        self._began = time.monotonic()
        self._writers: dict[str, NodeWriter] = {}
        self._tracks: dict[tuple[Kind, str, str], Track[Any]] = {}
        self._controls: dict[str, TextIOWrapper] = {}
        self._batches = self._snapshots = self._control_records = 0
        self._path: Path | None = _session_folder(self.config) if self.config.enable_recording else None

    @property
    def path(self) -> Path:
        """The session's folder; StateError when recording is off."""
        if self._path is None:
            raise StateError("SimulationRecorder is off and has no session; give RecorderConfig(enable_recording=True)")
        return self._path

    def wants(self, layer: str) -> frozenset[str]:
        """The observables of a layer that are recorded: a subset of {'spikes', 'v'}."""
        kinds: tuple[Kind, ...] = ("spikes", "v")
        return frozenset(kind for kind in kinds if self._is_recorded(kind, self.node_id, layer))

    def write(self, layer: str, variable: str, data: Spikes | Numbers, dt: float) -> None:
        """Takes one window of one run: `Spikes` for 'spikes', an array (T, B, *shape) for 'v'; dt in ms."""
        if variable == "spikes" and isinstance(data, Spikes):
            spikes = data.on_grid(dt)
            self._add("spikes", self.node_id, layer, SpikeBatch(0, spikes, (spikes.grid.n_steps,)))
        elif variable == "v" and not isinstance(data, Spikes):
            v = as_array(data, "v")
            if v.ndim < 3 or not v.size:
                raise ShapeError(f"SimulationRecorder.write: v must have shape (T, B, *shape), got {v.shape}")
            self._add("v", self.node_id, layer, MembraneBatch.of(v, check_dt(dt), (len(v),)))
        else:
            raise ParameterError(
                "SimulationRecorder.write: variable must be 'spikes' with Spikes or 'v' with an array, "
                f"got {variable!r} with {type(data).__name__}"
            )

    def metadata(self, values: Mapping[str, Any]) -> None:
        """Keeps settings of the run (numbers, texts, lists, mappings) with the recording of this node."""
        if self._is_on():
            writer = self._writer(self.node_id)
            with self._stopping_on_failure():
                writer.metadata(values)

    def record_spike_data(self, node_id: str, layer: str, spikes: Numbers) -> None:
        """Takes the spikes of one step, (N,), or of T steps, (T, N): 0 or 1 each, NumPy or torch."""
        raster = _steps(spikes, "spikes")
        self._add("spikes", node_id, layer, SpikeBatch(0, Spikes.from_raster(raster, self.dt, batched=False)))

    def record_membrane_data(self, node_id: str, layer: str, v: Numbers) -> None:
        """Takes the membrane potentials of one step, (N,), or of T steps, (T, N), NumPy or torch."""
        self._add("v", node_id, layer, MembraneBatch.of(_steps(v, "v")[:, None], self.dt))

    def record_weight_data(self, node_id: str, layer: str, weights: Numbers, t: float | None = None) -> None:
        """Takes a snapshot of weights of any shape at a model time in ms, by default the latest of the node."""
        _check_names(node_id, layer)
        array = as_array(weights, "weights")
        t = self._model_time(node_id) if t is None else float(t)
        if not isfinite(t) or t < 0:
            raise ParameterError(f"record_weight_data: t must be a model time of at least 0 ms, got {t!r}")
        if self.config.record_weights and self._is_on():
            writer = self._writer(node_id)
            with self._stopping_on_failure():
                writer.weights(layer, array, t)
                self._snapshots += 1

    def record_control_state(
        self,
        node_id: str,
        module_type: str,
        status: str,
        active_task: str | None = None,
        step_count: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes the state of a node at its step `step_count`, with the time of the clock on the wall."""
        check_name(node_id, "node_id")
        state = {
            "timestamp": time.time(),
            "node_id": node_id,
            "module_type": module_type,
            "status": status,
            "active_task": active_task,
            "step_count": step_count,
            "metadata": {} if metadata is None else metadata,
        }
        text = json_text(state, "record_control_state: the state")
        if not (self.config.record_control and self._is_on()):
            return
        with self._stopping_on_failure():
            if node_id not in self._controls:
                self._controls[node_id] = control_file(self.path, node_id).open("a", encoding="utf-8")
            self._controls[node_id].write(text + "\n")
            self._controls[node_id].flush()
            self._control_records += 1

    def flush_all(self) -> None:
        """Writes all that waits to disk."""
        for key in self._tracks:
            self._flush(key)

    def get_statistics(self) -> dict[str, Any]:
        """What has been recorded so far: counts, simulated seconds, steps of each layer, and `stopped_by`."""
        steps: dict[str, dict[str, int]] = {}
        sizes: dict[Kind, int] = {"spikes": 0, "v": 0}
        for (kind, node, layer), track in self._tracks.items():
            sizes[kind] += track.size
            steps.setdefault(node, {})[layer] = track.clock
        return {
            "session": None if self._path is None else self._path.name,
            "total_spikes_recorded": sizes["spikes"],
            "total_membrane_values": sizes["v"],
            "total_weight_snapshots": self._snapshots,
            "total_control_records": self._control_records,
            "batches_written": self._batches,
            "simulated_seconds": max((self._model_time(node) for node in steps), default=0.0) / 1000,
            "wall_seconds": time.monotonic() - self._began,
            "steps": steps,
            "stopped_by": self.stopped_by,
        }

    def close(self) -> None:
        """Writes what waits, joins the session's files and ends the recording; a second call does nothing."""
        if self._is_closed:
            return
        self.flush_all()
        self._is_closed = True
        for writer in self._writers.values():
            writer.close()
        for file in self._controls.values():
            file.close()
        if self._path is not None:
            write_links(self.path)
            write_control_states(self.path)
            write_statistics(self.path, self.get_statistics())

    def __enter__(self) -> SimulationRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_on(self) -> bool:
        if self._is_closed:
            raise StateError("SimulationRecorder is closed; make a new one with another session_name")
        limit = self.config.max_wall_seconds
        if not self._is_stopped and limit is not None and time.monotonic() - self._began >= limit:
            self._stop(f"max_wall_seconds: {limit:g} s have passed")
        return not self._is_stopped

    def _stop(self, reason: str) -> None:
        if not self._is_stopped:
            self._is_stopped = True
            self._note(reason)
            self.flush_all()

    def _note(self, reason: str) -> None:
        if self.stopped_by is None:
            self.stopped_by = reason
            _log.warning("recording %s stopped by %s", self.path.name, reason)
            try:
                write_statistics(self.path, self.get_statistics())
            except StorageError as error:
                _log.warning("%s; close() tries again", error)

    @contextmanager
    def _stopping_on_failure(self) -> Iterator[None]:
        """Stops the recording, not the run, when the disk refuses."""
        try:
            yield
        except OSError as error:
            self._stop(f"the disk: {error}; what came last was not written")

    def _model_time(self, node: str) -> float:
        clocks = [times(track.clock, track.dt) for (_, name, _), track in self._tracks.items() if name == node]
        return max(clocks, default=0.0)

    def _writer(self, node: str) -> NodeWriter:
        if node not in self._writers:
            self._writers[node] = NodeWriter(self.path, node, self.config)
            write_links(self.path)
        return self._writers[node]

    def _is_recorded(self, kind: Kind, node: str, layer: str) -> bool:
        asked = self.config.record_spikes if kind == "spikes" else self.config.record_membrane
        track = self._tracks.get((kind, node, layer))
        return self._is_on() and asked and not (track and track.is_full)

    def _add(self, kind: Kind, node: str, layer: str, batch: SpikeBatch | MembraneBatch) -> None:
        _check_names(node, layer)
        if not self._is_recorded(kind, node, layer):
            return
        key = (kind, node, layer)
        if key not in self._tracks:
            self._writer(node)
            self._tracks[key] = self._track(key, batch)
        track = self._tracks[key]
        track.check(batch)
        if not track.fits(batch):
            self._flush(key)
            if self._is_stopped:
                return
        track.add(batch)
        if self.config.auto_flush and track.is_due(self.config.buffer_size):
            self._flush(key)
        if track.is_full:
            self._note(f"max_recording_duration: {self.config.max_recording_duration} s of {node}/{layer} recorded")

    def _track(self, key: tuple[Kind, str, str], batch: SpikeBatch | MembraneBatch) -> Track[Any]:
        config, name = self.config, "/".join(key[1:])
        mode, rate = config.spike_subsample_mode, config.spike_subsample_rate
        if key[0] == "v":
            mode, rate = "steps", config.membrane_subsample_rate
        return Track(
            name,
            batch,
            mode=mode,
            rate=rate,
            generator=np.random.default_rng([config.seed, crc32(name.encode())]),
            max_seconds=config.max_recording_duration,
        )

    def _flush(self, key: tuple[Kind, str, str]) -> None:
        batch = self._tracks[key].take()
        if batch is None:
            return
        free = shutil.disk_usage(self.path).free
        if free <= batch.nbytes:
            self._stop(f"min_free_bytes: {free} bytes are free, a batch of {batch.nbytes} was not written")
            return
        writer = self._writer(key[1])
        with self._stopping_on_failure():
            writer.write(key[2], batch, self._tracks[key].sampling)
            self._batches += 1
        if free - batch.nbytes < self.config.min_free_bytes:
            self._stop(f"min_free_bytes: less than {self.config.min_free_bytes} bytes are free")


def _check_names(node: str, layer: str) -> None:
    check_name(node, "node_id")
    check_name(layer, "layer")


def _steps(x: Numbers, owner: str) -> NDArray[Any]:
    """The array of one step (N,) or of several (T, N) as (T, N)."""
    array = as_array(x, owner)
    if array.ndim not in (1, 2) or not array.size:
        raise ShapeError(f"{owner} must have shape (N,) or (T, N), got {array.shape}; give samples to write() instead")
    return array if array.ndim == 2 else array[None]


def _session_folder(config: RecorderConfig) -> Path:
    folder = Path(config.output_dir)
    names: Iterable[str] = [config.session_name] if config.session_name is not None else _stamps()
    path = next(folder / name for name in names if config.session_name or not (folder / name).exists())
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"RecorderConfig.output_dir: cannot make {path}: {error.strerror}") from error
    return path


def _stamps() -> Iterator[str]:
    stamp = f"sim_{datetime.now():%Y%m%d_%H%M%S}"
    yield stamp
    for n in count(2):
        yield f"{stamp}_{n}"


_recorder: SimulationRecorder | None = None


def set_global_recorder(recorder: SimulationRecorder | None) -> None:
    """Makes a recorder the one that `get_global_recorder` returns in this process; None for none."""
    global _recorder
    _recorder = recorder


def get_global_recorder() -> SimulationRecorder | None:
    """The recorder of this process, or None."""
    return _recorder

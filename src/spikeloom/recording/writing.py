"""The one writer of a node's file: immutable batches, in the file once they are flushed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StorageError
from ..spikes import Spikes
from ..units import times
from .batches import MembraneBatch, SpikeBatch
from .config import RecorderConfig
from .hdf5_file import Hdf5File
from .layout import FORMAT, KINDS, batch_key, check_name, json_text, nanoseconds, node_file, node_taken
from .sampling import Sampling

_ATTRIBUTE_BYTES = 32_000
"""HDF5 keeps attributes of less than 64 KB; longer offsets become a data set under /offsets."""


class NodeWriter:
    """An open file of one node; it is never one that exists already. What it is given is in the file after `flush`."""

    def __init__(self, session: Path, node: str, config: RecorderConfig) -> None:
        path = node_file(session, node)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = Hdf5File(path, fsync=config.fsync)
        except FileExistsError as error:
            raise node_taken(session, node) from error
        except OSError as error:
            raise StorageError(f"cannot make {path}: {error}") from error
        self._node = node
        self._compression = None if config.compression is None else config.compression_level
        self._metadata: dict[str, str] = {}
        self._last_snapshot: dict[str, int] = {}
        for kind in KINDS:
            self._file.group(f"{kind}/{node}")
        self.metadata({"format": FORMAT, "node": node, "config": asdict(config)})
        self.flush()

    def metadata(self, values: Mapping[str, Any]) -> None:
        """Keeps named settings, as JSON, in place of those of the same names."""
        texts = {check_name(name, "metadata's names"): json_text(value, name) for name, value in values.items()}
        for name, text in texts.items():
            if self._metadata.get(name) != text:
                self._file.dataset(f"metadata/{name}", np.bytes_(text.encode()), replace=True)
                self._metadata[name] = text

    def write(self, layer: str, batch: SpikeBatch | MembraneBatch, sampling: Sampling, variable: str = "v") -> None:
        """Takes one batch of a layer: its spikes, or values of a variable, of which 'v' lies under /membrane."""
        key = batch_key(times(batch.start, batch.dt))
        if isinstance(batch, SpikeBatch):
            self._write_spikes(layer, key, batch, sampling)
        else:
            group = (
                f"membrane/{self._node}/{layer}" if variable == "v" else f"variables/{self._node}/{layer}/{variable}"
            )
            self._dataset(f"{group}/{key}", batch.values, batch, {"rate": sampling.rate})

    def weights(self, layer: str, weights: NDArray[Any], t: float) -> None:
        """Takes a snapshot at a model time in ms; a second one at the same time gets the next free name."""
        time = max(nanoseconds(t), self._last_snapshot.get(layer, -1) + 1)
        name = f"weights/{self._node}/{layer}/t_{time:019}"
        self._file.dataset(name, weights, {"t_start": t}, self._compression)
        self._last_snapshot[layer] = time

    def flush(self) -> None:
        """Writes all that was taken to disk: OSError when it refuses, with the file as it was after the last flush."""
        self._file.flush()

    def close(self) -> None:
        """Flushes and closes the file; what was written stays."""
        self._file.close()

    def _write_spikes(self, layer: str, key: str, batch: SpikeBatch, sampling: Sampling) -> None:
        spikes, layer = batch.spikes, f"{self._node}/{layer}"
        if sampling.neurons is not None and f"sampled_neurons/{layer}" not in self._file:
            self._file.dataset(f"sampled_neurons/{layer}", sampling.neurons)
        settings: dict[str, Any] = {
            "n_neurons": spikes.n_neurons,
            "mode": np.bytes_(sampling.mode),
            "rate": sampling.rate,
        }
        if spikes.offsets.nbytes <= _ATTRIBUTE_BYTES:
            settings["offsets"] = spikes.offsets
        else:
            self._file.dataset(f"offsets/{layer}/{key}", spikes.offsets)
        self._dataset(f"spikes/{layer}/{key}", _events(spikes), batch, settings)

    def _dataset(
        self, name: str, data: NDArray[Any], batch: SpikeBatch | MembraneBatch, settings: Mapping[str, Any]
    ) -> None:
        shared = {"n_steps": batch.n_steps, "dt": batch.dt, "t_start": times(batch.start, batch.dt)}
        windows = {"windows": np.array(batch.windows, np.uint32)} if batch.windows else {}
        attributes = {**shared, "shape": batch.shape, **windows, **settings}
        self._file.dataset(name, data, attributes, self._compression)


def _events(spikes: Spikes) -> NDArray[Any]:
    """The spikes as records of step (u4), id (u2 where that is enough) and, where they are graded, value."""
    ids = np.result_type(np.uint16, np.min_scalar_type(spikes.n_neurons - 1))
    columns: list[tuple[str, Any]] = [("step", np.uint32), ("id", ids)]
    if spikes.value is not None:
        columns.append(("value", spikes.value.dtype))
    events = np.empty(spikes.n_spikes, columns)
    events["step"], events["id"] = spikes.grid.step, spikes.ids
    if spikes.value is not None:
        events["value"] = spikes.value
    return events

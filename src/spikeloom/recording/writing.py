"""The one writer of a node's file: immutable batches, each on disk before the next begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, StorageError
from ..spikes import Spikes
from ..units import times
from .batches import MembraneBatch, SpikeBatch
from .config import RecorderConfig
from .layout import FORMAT, KINDS, batch_key, check_name, json_text, node_file
from .sampling import Sampling

_ATTRIBUTE_BYTES = 32_000
"""HDF5 keeps attributes of less than 64 KB; longer offsets become a data set under /offsets."""
_EVENTS_PER_CHUNK = 1 << 16


class NodeWriter:
    """An open file of one node; it is never one that exists already."""

    def __init__(self, session: Path, node: str, config: RecorderConfig) -> None:
        path = node_file(session, node)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = h5py.File(path, "x")
        except FileExistsError as error:
            raise ParameterError(
                f"session {session.name!r} holds a recording of node {node!r} already; "
                "choose another RecorderConfig.session_name or node_id"
            ) from error
        except OSError as error:
            raise StorageError(f"cannot make {path}: {error}") from error
        self._node = node
        self._filters: dict[str, Any] = {}
        if config.compression is not None:
            self._filters = {"compression": config.compression, "compression_opts": config.compression_level}
        for kind in KINDS:
            self._file.create_group(f"{kind}/{node}")
        self._metadata: dict[str, str] = {}
        self._last_snapshot: dict[str, int] = {}
        self.metadata({"format": FORMAT, "node": node, "config": asdict(config)})

    def metadata(self, values: Mapping[str, Any]) -> None:
        """Keeps named settings, as JSON, in place of those of the same names."""
        texts = {check_name(name, "metadata's names"): json_text(value, name) for name, value in values.items()}
        for name, text in texts.items():
            if self._metadata.get(name) != text:
                self._metadata[name] = text
                key = f"metadata/{name}"
                if key in self._file:
                    del self._file[key]
                self._file[key] = np.bytes_(text.encode())
        self._file.flush()

    def write(self, layer: str, batch: SpikeBatch | MembraneBatch, sampling: Sampling) -> None:
        """Writes one batch of a layer, and flushes it to disk."""
        key = batch_key(times(batch.start, batch.dt))
        if isinstance(batch, SpikeBatch):
            self._write_spikes(layer, key, batch, sampling)
        else:
            settings = {"rate": sampling.rate}
            self._dataset(f"membrane/{self._node}/{layer}/{key}", batch.values, batch, settings)
        self._file.flush()

    def weights(self, layer: str, weights: NDArray[Any], t: float) -> None:
        """Writes a snapshot at a model time in ms; a second one at the same time gets the next free name."""
        time = max(round(t * 1e6), self._last_snapshot.get(layer, -1) + 1)
        self._last_snapshot[layer] = time
        name = f"weights/{self._node}/{layer}/t_{time}"
        self._file.create_dataset(name, data=weights, **self._options(weights)).attrs["t_start"] = t
        self._file.flush()

    def close(self) -> None:
        """Closes the file; what was written stays."""
        self._file.close()

    def _write_spikes(self, layer: str, key: str, batch: SpikeBatch, sampling: Sampling) -> None:
        spikes, layer = batch.spikes, f"{self._node}/{layer}"
        if sampling.neurons is not None and f"sampled_neurons/{layer}" not in self._file:
            self._file[f"sampled_neurons/{layer}"] = sampling.neurons
        settings: dict[str, Any] = {
            "n_neurons": spikes.n_neurons,
            "mode": np.bytes_(sampling.mode),
            "rate": sampling.rate,
        }
        if spikes.offsets.nbytes <= _ATTRIBUTE_BYTES:
            settings["offsets"] = spikes.offsets
        else:
            self._file[f"offsets/{layer}/{key}"] = spikes.offsets
        self._dataset(f"spikes/{layer}/{key}", _events(spikes), batch, settings)

    def _dataset(
        self, name: str, data: NDArray[Any], batch: SpikeBatch | MembraneBatch, settings: Mapping[str, Any]
    ) -> None:
        dataset = self._file.create_dataset(name, data=data, **self._options(data))
        shared = {"n_steps": batch.n_steps, "dt": batch.dt, "t_start": times(batch.start, batch.dt)}
        windows = {"windows": np.array(batch.windows, np.uint32)} if batch.windows else {}
        dataset.attrs.update({**shared, "shape": batch.shape, **windows, **settings})

    def _options(self, data: NDArray[Any]) -> dict[str, Any]:
        if not (data.size and data.ndim):
            return {}
        chunks = (min(len(data), _EVENTS_PER_CHUNK),) if data.dtype.names else True
        return {**self._filters, "shuffle": True, "chunks": chunks}


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

"""Neuron data as `.pt` dictionaries of tensors (seed 000, section 5): one recording of one layer and sample each.

spikes (T, N) int8 and, where potentials were recorded, membrane_potential (T, N) float32 (NaN where none was kept); row
k is step `step[k]` of the layer's clock, in run `run[k]`: steps that were not recorded have no row. shape, dt (ms),
sampled_neurons, kept_fraction and spike_values (T, N) say the rest. A session of one layer and sample is one file;
others make a folder of `<node>/<layer>.<sample>.pt`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...datasets.neuron_data import write_neuron_data
from ...errors import DataError, ParameterError, StorageError, UnsupportedError
from ..consolidate import Progress
from ..sampling import is_kept
from .content import Content, Signal, Train, per_run
from .formats import Exchange

_MOST_BYTES = 1 << 32


def write_pt(content: Content, path: Path, progress: Progress) -> list[str]:
    """Writes one dictionary a layer and sample; the rasters are dense, and one of more than 4 GiB is refused."""
    signals = {(signal.node, signal.layer): signal for signal in content.signals}
    alone = [signal.name for key, signal in signals.items() if key not in {(t.node, t.layer) for t in content.trains}]
    if alone:
        raise UnsupportedError(f"a .pt dictionary has spikes; {', '.join(alone)} has potentials alone: use 'nwb'")
    parts = [(train, sample) for train in content.trains for sample in range(train.n_samples)]
    if len(parts) == 1:
        write_neuron_data(path, _tensors(content, *parts[0], signals.get((parts[0][0].node, parts[0][0].layer))))
        progress(1.0)
        return content.sampled_notes()
    if path.exists():
        raise ParameterError(f"export: {len(parts)} layers and samples make a new folder, but {path} exists")
    folder = _new_folder(path)
    try:
        for done, (train, sample) in enumerate(parts):
            tensors = _tensors(content, train, sample, signals.get((train.node, train.layer)))
            (folder / train.node).mkdir(exist_ok=True)
            write_neuron_data(folder / train.node / f"{train.layer}.{sample}.pt", tensors)
            progress((done + 1) / len(parts))
        folder.chmod(0o755)
        folder.rename(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [f"{len(parts)} files in {path.name}, one a layer and sample", *content.sampled_notes()]


def _tensors(content: Content, train: Train, sample: int, signal: Signal | None) -> dict[str, Any]:
    """The dictionary of one sample of a layer."""
    runs = train.runs_of(sample)
    step = np.concatenate([np.arange(run.start, run.stop) for run in runs])
    if train.sampling.mode == "steps":
        step = step[is_kept(step, train.sampling.rate)]
    size = len(step) * train.n_neurons
    if size * (1 + 4 * (signal is not None) + 4 * (train.values is not None)) > _MOST_BYTES:
        raise UnsupportedError(f"{train.name}: {len(step)} steps of {train.n_neurons} neurons are too many for '.pt'")
    spikes = np.zeros((len(step), train.n_neurons), np.int8)
    values = None if train.values is None else np.zeros(spikes.shape, train.values)
    for batch in content.session.spikes(train.node, train.layer):
        if batch.n_samples > sample:
            mine = batch.spikes[sample]
            at = mine.grid.step.astype(np.int64) + batch.start
            row = np.searchsorted(step, at)
            if len(at) and (row[-1] == len(step) or np.any(step[row] != at)):
                raise DataError(f"{train.name}: spikes must be at steps that were recorded, got others")
            spikes[row, mine.ids] = 1
            if values is not None:
                values[row, mine.ids] = mine.values()
    tensors: dict[str, Any] = {
        "spikes": spikes,
        "step": step,
        "run": per_run(train.runs, step),
        "shape": np.array(train.shape),
        "dt": np.array(train.dt),
        "kept_fraction": np.array(train.sampling.rate),
        "sampled_neurons": train.neurons,
    }
    if values is not None:
        tensors["spike_values"] = values
    if signal is not None:
        tensors["membrane_potential"] = _potentials(content, signal, sample, step, train)
    return tensors


def _potentials(
    content: Content, signal: Signal, sample: int, step: NDArray[np.int64], train: Train
) -> NDArray[np.float32]:
    """The potentials at the steps of the spikes; NaN where none was kept."""
    if signal.dt != train.dt or not np.isin(signal.steps_of(sample), step).all():
        raise UnsupportedError(f"{train.name} has potentials at steps at which no spikes were recorded; use 'nwb'")
    found = np.full((len(step), train.n_neurons), np.nan, np.float32)
    for batch in content.session.membrane(signal.node, signal.layer):
        if batch.n_samples > sample:
            found[np.searchsorted(step, batch.step + batch.start)] = batch.values[:, sample].reshape(
                -1, train.n_neurons
            )
    return found


def _new_folder(path: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise StorageError(f"export: cannot make {path}: {error.strerror}") from error


FORMAT = Exchange("pt", (".pt",), ("spikes", "membrane"), write_pt, None)

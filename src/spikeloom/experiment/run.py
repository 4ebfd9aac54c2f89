"""A training run and its folder: settings, checkpoint, weights, session and report.

runs/<name>/
    config.submitted.json   what was asked for        network/       description and weights of the trained network
    config.effective.json   with defaults, versions   session/       spikes and membrane of the test run
    checkpoint.pt           to resume from            metrics.json   figures of each epoch and of the test
    report.html             to look at
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..errors import ParameterError, StorageError
from ..network import Network, network_save
from ..recording import RecorderConfig, SimulationRecorder
from ..storage import write_atomically
from ..training import Epoch, Interrupted, Metrics, evaluate, fit
from .config import TrainConfig, config_from, read_config
from .model import Splits, loaders_of, network_of, splits_of
from .pages import write_run_report


@dataclass(frozen=True)
class RunResult:
    """Where a run lies, and what it reached."""

    folder: Path
    history: list[Epoch]
    test: Metrics


def environment() -> dict[str, Any]:
    """The versions and the machine that results depend on."""
    packages = ("spikeloom", "torch", "numpy", "scipy", "scikit-learn", "h5py", "matplotlib")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "cuda": torch.cuda.is_available(),
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
    }


def start_run(submitted: Mapping[str, Any], runs: Path, name: str | None) -> RunResult:
    """Trains, tests, records and reports in a new folder below `runs`."""
    config = config_from(submitted)
    folder = runs / _folder_name(name or f"{config.data}-{datetime.now():%Y%m%d-%H%M%S}")
    data = splits_of(config)
    network = network_of(config, data.train)
    _make_folder(folder)
    _write_json(folder / "config.submitted.json", dict(submitted))
    _write_json(folder / "config.effective.json", config.model_dump())
    _write_json(folder / "environment.json", environment())
    return _complete(folder, config, data, network, resume=False)


def resume_run(folder: Path) -> RunResult:
    """Goes on with an interrupted run from its checkpoint."""
    config = config_from(read_config(folder / "config.effective.json"))
    if not (folder / "checkpoint.pt").exists():
        raise StorageError(f"{folder} has no checkpoint.pt to resume from; start a new run")
    data = splits_of(config)
    return _complete(folder, config, data, network_of(config, data.train), resume=True)


def _complete(folder: Path, config: TrainConfig, data: Splits, network: Network, *, resume: bool) -> RunResult:
    torch.set_num_threads(config.threads)
    train, test = loaders_of(config, data)
    try:
        history = fit(
            network, train, epochs=config.epochs, time=config.time, loss=config.loss, validation=test,
            checkpoint=folder / "checkpoint.pt", resume=resume, patience=config.patience,
        )  # fmt: skip
    except Interrupted as stop:
        raise Interrupted(f"interrupted; go on with: spikeloom train --resume {folder}") from stop
    network_save(network, "network", path=str(folder))
    with SimulationRecorder(_recorder_config(config, folder)) as recorder:
        recorder.metadata({"run": folder.name, "seed": network.seed, "dt": config.dt})
        result = evaluate(network, test, time=config.time, loss=config.loss, record=recorder)
    _write_json(folder / "metrics.json", {"history": [asdict(e) for e in history], "test": asdict(result)})
    write_run_report(folder, config, data, history, result, sum(p.numel() for p in network.parameters()))
    return RunResult(folder, history, result)


def _recorder_config(config: TrainConfig, folder: Path) -> RecorderConfig:
    return RecorderConfig(
        enable_recording=True,
        record_membrane=True,
        output_dir=str(folder),
        session_name="session",
        max_recording_duration=config.record_seconds,
    )


def _folder_name(name: str) -> str:
    """The name; ParameterError unless it names a folder and nothing but one."""
    if name != Path(name).name or name in ("", ".", ".."):
        raise ParameterError(f"a run's name must be the name of one folder, got {name!r}; choose the place with --runs")
    return name


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise StorageError(f"{folder} is there already; choose another --name, or --resume {folder}") from error
    except OSError as error:
        raise StorageError(f"cannot make {folder}: {error.strerror or error}") from error


def _write_json(path: Path, values: Any) -> None:
    write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())

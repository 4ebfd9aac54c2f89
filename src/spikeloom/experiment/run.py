"""A training run and its folder: settings, checkpoint, weights, session and report.

runs/<name>/
    config.submitted.json   what was asked for        network/       description and weights of the trained network
    config.effective.json   with defaults in place    session/       spikes and membrane of the test run
    environment.json        versions and machine      metrics.json   figures of each epoch and of the test
    checkpoint.pt           to resume from            report.html    to look at
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError, ParameterError, StorageError
from ..network import network_save
from ..recording import RecorderConfig, SimulationRecorder
from ..storage import write_atomically
from ..training import Interrupted, Metrics, evaluate, fit
from .config import TrainConfig, config_from, read_config
from .model import Splits, loaders_of, network_of, splits_of, try_out
from .pages import write_run_report

_FAILURES = (OSError, DataError, RuntimeError)
"""What a full disk raises in a recording; HDF5 says RuntimeError when it cannot close a file."""

Tested = Callable[[Metrics], None]
"""Called with the figures of the test as soon as they are there."""


@dataclass(frozen=True)
class RunResult:
    """Where a run lies, what it reached, and why it has no report where it has none.

    is_old: it was finished before, and nothing was done.
    """

    folder: Path
    test: Metrics
    no_report: str | None = None
    is_old: bool = False


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


def start_run(submitted: Mapping[str, Any], runs: Path, name: str | None, tested: Tested) -> RunResult:
    """Trains, tests, records and reports in a new folder below `runs`; no folder stays where nothing was learned."""
    config = config_from(submitted)
    default = f"{config.data}-{datetime.now():%Y%m%d-%H%M%S}"
    folder = runs / _folder_name(default if name is None else name)
    torch.set_num_threads(config.threads)
    data = splits_of(config)
    try_out(config, data.train)
    with _new_folder(folder):
        _write_json(folder / "config.submitted.json", dict(submitted))
        _write_json(folder / "config.effective.json", config.model_dump())
        _write_json(folder / "environment.json", environment())
        return _complete(folder, config, data, tested, resume=False)


def resume_run(folder: Path, tested: Tested) -> RunResult:
    """Goes on with a run that was stopped, in training or after it; the result where it is finished."""
    if not (folder / "config.effective.json").exists():
        raise StorageError(f"no run at {folder}; give the folder of a run, which holds config.effective.json")
    if (folder / "metrics.json").exists() and (folder / "report.html").exists():
        result = RunResult(folder, _read_test(folder / "metrics.json"), is_old=True)
        tested(result.test)
        return result
    config = config_from(read_config(folder / "config.effective.json"))
    if not (folder / "checkpoint.pt").exists():
        raise StorageError(f"{folder} has no checkpoint.pt to resume from; start a new run")
    torch.set_num_threads(config.threads)
    return _complete(folder, config, splits_of(config), tested, resume=True)


def _complete(folder: Path, config: TrainConfig, data: Splits, tested: Tested, *, resume: bool) -> RunResult:
    network = network_of(config, data.train)
    train, test = loaders_of(config, data)
    checkpoint = folder / "checkpoint.pt"
    way = f"go on with: spikeloom train --resume {shlex.quote(str(folder))}"
    try:
        history = fit(
            network, train, epochs=config.epochs, time=config.time, loss=config.loss, validation=test,
            checkpoint=checkpoint, resume=resume,
        )  # fmt: skip
        with _Recording(folder, config) as recording:
            result = evaluate(network, test, time=config.time, loss=config.loss, record=recording)
        tested(result)
        _write_json(folder / "metrics.json", {"history": [asdict(e) for e in history], "test": asdict(result)})
        network_save(network, "network", path=str(folder))
        recording.close()
        parameters = sum(p.numel() for p in network.parameters())
        problem = recording.problem or _report(folder, config, data, history, result, parameters)
    except (KeyboardInterrupt, StorageError) as stop:
        if not checkpoint.exists():
            raise
        if isinstance(stop, StorageError):
            raise StorageError(f"{stop}; {way}") from stop
        raise Interrupted(f"interrupted; {way}") from stop
    return RunResult(folder, result, problem and f"{problem}; {way}")


def _report(folder: Path, *parts: Any) -> str | None:
    """Writes the report; the reason where it cannot be written."""
    try:
        write_run_report(folder, *parts)
    except (OSError, DataError) as error:
        return str(error)
    return None


class _Recording:
    """The recording of a run's test into its folder `session`, which is there wholly or not at all.

    It is a by-product: where it fails, `problem` says why, and the run goes on without it.
    """

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        self.problem: str | None = None
        self._part, self._session = folder / "session.part", folder / "session"
        self._recorder: SimulationRecorder | None = None
        with self._kept_apart():
            for old in (self._part, self._session):
                if old.exists():
                    shutil.rmtree(old)
            self._recorder = SimulationRecorder(_recorder_config(config, self._part))
            self._recorder.metadata({"run": folder.name, "seed": config.seed, "dt": config.dt})

    def __enter__(self) -> _Recording:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leaves the recording as far as it got where what was recorded failed."""
        if kind is not None:
            self._abandon()

    def wants(self, layer: str) -> frozenset[str]:
        """What the recorder takes of a layer."""
        with self._kept_apart():
            if self._recorder is not None:
                return self._recorder.wants(layer)
        return frozenset()

    def describe(self, description: Mapping[str, Any]) -> None:
        """Hands on what the network says of itself."""
        with self._kept_apart():
            if self._recorder is not None:
                self._recorder.describe(description)

    def write(self, layer: str, variable: str, data: Any, dt: float, *, continued: bool = False) -> None:
        """Hands a window of a run on."""
        with self._kept_apart():
            if self._recorder is not None:
                self._recorder.write(layer, variable, data, dt, continued=continued)

    def weights(self, connection: str, values: Any, duration: float) -> None:
        """Hands the weights of a run on."""
        with self._kept_apart():
            if self._recorder is not None:
                self._recorder.weights(connection, values, duration)

    def metadata(self, values: Mapping[str, Any]) -> None:
        """Hands settings of a run on."""
        with self._kept_apart():
            if self._recorder is not None:
                self._recorder.metadata(values)

    def close(self) -> None:
        """Ends the recording and moves it to its place."""
        with self._kept_apart():
            if self._recorder is not None:
                self._recorder.close()
                self._check_whole(self._recorder.stopped_by)
                (self._part / "session").rename(self._session)
                self._part.rmdir()
        if self.problem is not None:
            shutil.rmtree(self._part, ignore_errors=True)

    def _check_whole(self, stopped_by: str | None) -> None:
        """Raises StorageError where the disk ended the recording; its length in time is the run's own choice."""
        if stopped_by is not None and not stopped_by.startswith("max_recording_duration"):
            raise StorageError(f"stopped by {stopped_by}")

    @contextmanager
    def _kept_apart(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            self.problem = f"the test could not be recorded: {error}"
            self._abandon()

    def _abandon(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            with suppress(*_FAILURES):
                recorder.close()


def _recorder_config(config: TrainConfig, folder: Path) -> RecorderConfig:
    return RecorderConfig(
        enable_recording=True,
        record_membrane=True,
        output_dir=str(folder),
        session_name="session",
        max_recording_duration=config.record_seconds,
    )


def _read_test(path: Path) -> Metrics:
    try:
        return Metrics(**json.loads(path.read_bytes())["test"])
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path} is damaged; delete it and resume the run again") from error


def _folder_name(name: str) -> str:
    """The name; ParameterError unless it names a folder and nothing but one."""
    if name != Path(name).name or name in ("", ".", ".."):
        raise ParameterError(f"a run's name must be the name of one folder, got {name!r}; choose the place with --runs")
    return name


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Makes a folder, and takes it away again where no checkpoint was written in it: it would only block the name."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise StorageError(f"{folder} is there already; choose another --name, or --resume {folder}") from error
    except OSError as error:
        raise StorageError(f"cannot make {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        if not (folder / "checkpoint.pt").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _write_json(path: Path, values: Any) -> None:
    write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())

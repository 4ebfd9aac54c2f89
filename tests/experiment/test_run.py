"""A run whose recording or report fails keeps its result, and can be resumed."""

import json
import signal
from dataclasses import replace

import pytest

from spikeloom import Session
from spikeloom.cli import main
from spikeloom.errors import StorageError
from spikeloom.experiment import run as module
from spikeloom.recording import SimulationRecorder

SMALL = ("train", "--hidden", "10", "--time", "5", "--epochs", "1", "--seed", "3")


class FullDisk(SimulationRecorder):
    """A recorder whose disk is full from the third window on."""

    windows = 0

    def write(self, layer, variable, data, dt, *, continued=False):
        self.windows += 1
        if self.windows > 2:
            raise StorageError("no space left on device")
        super().write(layer, variable, data, dt, continued=continued)


class FullAtTheEnd(SimulationRecorder):
    """A recorder whose file cannot be closed, as HDF5 says it."""

    def close(self):
        super().close()
        raise RuntimeError("can't decrement id ref count")


class NoSpace(SimulationRecorder):
    """A recorder that stops by itself, since the disk has less space than it is to leave."""

    def __init__(self, config):
        super().__init__(replace(config, min_free_bytes=1 << 60))


class NoFolder(SimulationRecorder):
    """A recorder that cannot even begin."""

    def __init__(self, config):
        raise StorageError("cannot make session: no space left on device")


def failing_report(*parts, path=None):
    raise StorageError("cannot write report.html: no space left on device")


def interrupted_report(*parts):
    signal.raise_signal(signal.SIGINT)


class InterruptedRecorder(SimulationRecorder):
    """A recorder during whose work the user presses Ctrl-C."""

    def write(self, layer, variable, data, dt, *, continued=False):
        signal.raise_signal(signal.SIGINT)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("what", "fails", "message"),
    [
        ("SimulationRecorder", FullDisk, "no report: the test could not be recorded: no space left"),
        ("SimulationRecorder", FullAtTheEnd, "no report: the test could not be recorded: can't decrement"),
        ("SimulationRecorder", NoSpace, "no report: the test could not be recorded: stopped by min_free_bytes"),
        ("SimulationRecorder", NoFolder, "no report: the test could not be recorded: cannot make session"),
        ("write_run_report", failing_report, "no report: cannot write report.html"),
    ],
)
def test_a_disk_that_fills_costs_the_report_but_not_the_result(what, fails, message, command, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, what, fails)
        code, out, err = command(*SMALL, "--name", "n")
    assert code == 1
    assert message in err
    assert "go on with: spikeloom train --resume runs/n" in err
    folder = tmp_path / "runs" / "n"
    before = (folder / "metrics.json").read_bytes()
    assert f"test accuracy {json.loads(before)['test']['accuracy']:.2%} on 449 samples" in out
    assert (folder / "network" / "network.safetensors").exists()
    assert not (folder / "report.html").exists()
    assert not (folder / "session.part").exists()
    code, out, err = command("train", "--resume", "runs/n")
    assert code == 0, err
    assert (folder / "metrics.json").read_bytes() == before
    assert (folder / "report.html").exists()
    with Session(folder / "session") as session:
        assert list(session.nodes()) == ["main"]


def test_weights_that_cannot_be_written_leave_a_run_that_says_how_to_go_on(command, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "network_save", failing_report)
        code, out, err = command(*SMALL, "--name", "n")
    assert code == 1
    assert "test accuracy" in out
    assert "no space left on device; go on with: spikeloom train --resume runs/n" in err
    code, again, _ = command("train", "--resume", "runs/n")
    assert code == 0
    assert again.startswith(out)


@pytest.mark.parametrize(
    ("what", "stops"), [("SimulationRecorder", InterruptedRecorder), ("write_run_report", interrupted_report)]
)
def test_ctrl_c_after_the_training_says_how_to_go_on_and_a_finished_run_says_so(
    what, stops, command, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(module, what, stops)
        code, first, err = command(*SMALL, "--name", "with space")
    assert code == 130
    assert "spikeloom train --resume 'runs/with space'" in err
    assert command("train", "--resume", "runs/with space")[0] == 0
    page = tmp_path / "runs" / "with space" / "report.html"
    written = page.stat().st_mtime_ns
    code, again, err = command("train", "--resume", "runs/with space")
    assert code == 0
    assert "was finished already" in err
    assert again.startswith(first)
    assert str(page.relative_to(tmp_path)) in again
    assert page.stat().st_mtime_ns == written

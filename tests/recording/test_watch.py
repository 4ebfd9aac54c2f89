"""`spikeloom session watch`: what a terminal and a pipe are shown of a session, and how it ends."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from spikeloom.cli import app
from spikeloom.cli_watch import LayerView, SessionView
from spikeloom.errors import ParameterError, StateError, UnknownNameError
from spikeloom.recording import RecorderConfig, SimulationRecorder, SpikeBatch, follow
from spikeloom.spikes import Spikes

BRAILLE = re.compile("[\u2800-\u28ff]+")


def batch(raster, start=0, dt=1.0):
    return SpikeBatch(start, Spikes.from_raster(np.asarray(raster, np.int8)[:, None], dt))


def recorder(folder, **settings):
    config = RecorderConfig(enable_recording=True, output_dir=folder, session_name="s", **settings)
    return SimulationRecorder(config, node_id="a")


def recorded(folder, n=3, **settings):
    with recorder(folder, **settings) as recording:
        for k in range(n):
            recording.record_spike_data("a", "out", (np.arange(200).reshape(20, 10) % 10 == k).astype(np.int8))
            recording.flush_all()
    return folder / "s"


def dots(lines):
    """The Braille characters of lines as dots, 1 where set."""
    order = np.array([[0, 3], [1, 4], [2, 5], [6, 7]])
    rows = [np.block([[(ord(c) - 0x2800 >> order) & 1 for c in line]]) for line in lines]
    return np.vstack(rows)


def test_a_raster_has_a_dot_a_spike_with_neuron_0_at_the_bottom():
    raster = np.zeros((400, 8))
    raster[0, 0] = raster[399, 7] = raster[200, 3] = 1
    layer = LayerView("out", batch(raster), 400.0, 1.0)
    layer.add([batch(raster)])
    bars, *lines = layer.lines(200, 3)
    found = dots([line.plain for line in lines])
    assert found.shape == (8, 400)
    assert set(zip(*np.nonzero(found), strict=True)) == {(7, 0), (0, 399), (4, 200)}
    assert {bars.plain[k] for k in (0, 100, 199)} == {"█"}


def test_old_columns_leave_as_new_ones_come():
    layer = LayerView("out", batch(np.zeros((10, 2))), 400.0, 1.0)
    layer.add([batch(np.ones((400, 2)))])
    layer.add([batch(np.zeros((300, 2)), 400)])
    assert dots([line.plain for line in layer.lines(200, 2)[1:]])[:, 100:].sum() == 0
    layer.add([batch(np.zeros((100, 2)), 700)])
    assert dots([line.plain for line in layer.lines(200, 2)[1:]]).sum() == 0
    layer.add([batch(np.ones((10_000, 2)), 800)])
    assert "1000.0 Hz" in layer.heading()
    assert "10.800 s" in layer.heading()


@pytest.mark.parametrize(("n", "last", "dt"), [(1, 100.0, 1.0), (10, 1000.0, 0.1), (100_000, 50.0, 1.0)])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (20, 4), (133, 14), (500, 14)])
def test_it_fits_any_width_and_height(n, last, dt, width, height):
    generator = np.random.default_rng(0)
    spikes = Spikes.from_steps(np.arange(200), generator.integers(0, n, 200), n, 200, dt)
    layer = LayerView("out", SpikeBatch(0, spikes), last, 1.0)
    layer.add([SpikeBatch(0, spikes)])
    lines = layer.lines(width, height)
    assert len(lines) == height
    assert {line.cell_len for line in lines} == {width}


def test_denser_activity_is_shown_by_more_dots():
    generator = np.random.default_rng(0)
    raster = generator.random((400, 2000)) < np.where(np.arange(400) < 200, 0.02, 0.1)[:, None]
    layer = LayerView("out", batch(raster), 400.0, 1.0)
    layer.add([batch(raster)])
    found = dots([line.plain for line in layer.lines(200, 13)[1:]])
    assert 0.05 < found[:, :200].mean() < 0.5 * found[:, 200:].mean() < 0.5


def test_rates_are_of_all_samples_and_corrected_for_sub_sampling():
    raster = np.zeros((100, 2, 4), np.int8)
    raster[::10, 1] = 1
    found = SpikeBatch(0, Spikes.from_raster(raster, 1.0))
    layer = LayerView("out", found, 100.0, 0.5)
    assert layer.add([found]) == "out  0.100 s  100 steps  40 spikes  100.0 Hz"
    assert "4 neurons (0.5 recorded)  100.0 Hz" in layer.heading()
    assert dots([line.plain for line in layer.lines(50, 2)[1:]]).sum() == 0  # sample 0 is silent


@pytest.mark.parametrize(("height", "n_shown"), [(24, 5), (6, 1)])
def test_a_view_fits_the_terminal_and_says_what_it_leaves_out(height, n_shown, tmp_path):
    layers = [f"out{k}" for k in range(7)]
    with recorder(tmp_path) as recording:
        for layer in layers:
            recording.record_spike_data("a", layer, np.ones((10, 3), np.int8))
    view = SessionView(tmp_path / "s", 100.0)
    for update in follow(tmp_path / "s"):
        view.add(update)
    console = Console(width=60, height=height)
    with console.capture() as capture:
        console.print(view, height=height)
    lines = capture.get().splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= 60
    assert sum("neurons" in line for line in lines) == n_shown
    assert f"{7 - n_shown} more layers: choose by --layer" in lines[-1]


def run(*arguments):
    return CliRunner().invoke(app, ["session", "watch", *map(str, arguments)], catch_exceptions=True)


def test_a_pipe_gets_a_line_for_what_is_new_and_the_reason_of_the_end(tmp_path):
    lines = run(recorded(tmp_path)).output.splitlines()
    assert lines[0] == "a/out  0.060 s  20 steps  20 spikes  100.0 Hz"
    assert lines[-1] == "ended: closed"
    assert len(lines) == 3


def test_the_rate_of_a_thinned_session_is_corrected(tmp_path):
    lines = run(recorded(tmp_path, spike_subsample_rate=0.5)).output.splitlines()
    assert "10 neurons (0.5 recorded)" in lines[1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["--fps", "0"], ParameterError, "--fps must be above 0"),
        (["--fps", "1000"], ParameterError, "at most 30"),
        (["--last", "-1"], ParameterError, "--last must be"),
        (["--layer", "outt"], UnknownNameError, "unknown layer 'outt'; did you mean 'out'? Recorded: out"),
        (["--node", "b"], UnknownNameError, "unknown node 'b'. Recorded: a"),
    ],
)
def test_wrong_options_and_unknown_names_are_refused(options, error, message, tmp_path):
    found = run(recorded(tmp_path), *options).exception
    assert isinstance(found, error)
    assert message in str(found)


def test_a_session_that_does_not_begin_ends_the_command(tmp_path):
    found = run(tmp_path / "none", "--wait", "0.1").exception
    assert isinstance(found, StateError)


def test_ctrl_c_ends_it_with_what_was_seen(tmp_path, monkeypatch):
    def interrupted(*arguments, **settings):
        follower = follow(*arguments, **settings)
        yield from follower.look()
        raise KeyboardInterrupt

    path = recorded(tmp_path)
    monkeypatch.setattr("spikeloom.recording.follow", interrupted)
    done = run(path)
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "ended: Ctrl-C"


def test_what_a_session_says_does_not_steer_the_terminal(tmp_path):
    path = recorded(tmp_path)
    (part,) = path.glob("recording_statistics.????????.json")
    part.write_text(json.dumps(json.loads(part.read_text()) | {"stopped_by": "\x1b[2J\x1b]0;title\x07"}))
    done = run(path)
    assert done.output.splitlines()[-1] == "ended: stopped by \ufffd[2J\ufffd]0;title\ufffd"


def test_a_terminal_shows_a_raster_that_changes_until_the_session_ends(tmp_path):
    recording = recorder(tmp_path)
    recording.record_spike_data("a", "out", np.ones((20, 10), np.int8))
    recording.flush_all()
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 50, 0, 0))
    code = "from spikeloom.cli import main; main()"
    command = [sys.executable, "-c", code, "session", "watch", str(tmp_path / "s"), "--fps", "20"]
    own = ("COLUMNS", "LINES")
    environment = {name: value for name, value in os.environ.items() if name not in own} | {"TERM": "xterm-256color"}
    shown = ""
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        while "Hz  0.020 s" not in shown:
            shown += os.read(master, 1 << 16).decode(errors="replace")
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 40, 0, 0))
        process.send_signal(signal.SIGWINCH)
        recording.record_spike_data("a", "out", np.zeros((30, 10), np.int8))
        recording.close()
        while True:
            try:
                shown += os.read(master, 1 << 16).decode(errors="replace")
            except OSError:  # the other end is closed
                break
        assert process.wait() == 0
    os.close(master)
    assert {len(found) for found in BRAILLE.findall(shown)} >= {50, 40}
    assert "Hz  0.050 s" in shown
    assert shown.rstrip().endswith("ended: closed")

"""Several processes that record into one session: as seed 001 starts them, late, killed, and two with one name."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pytest

import spikeloom
from spikeloom.recording import Session, consolidate

EXAMPLE = Path(__file__).parents[2] / "examples" / "record_node.py"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}

USE_CASE_1 = """
python examples/run_zenoh_distributed_brain.py \
--node-id pfc-0 \
--module-type pfc \
--enable-recording \
--record-spikes \
--record-membrane \
--record-weights \
--record-control \
--session-name debug_session
"""
QUICK_START = """
# Record all data (including membrane potential + weight)
python examples/run_zenoh_distributed_brain.py \
--node-id visual-0 \
--module-type visual \
--enable-recording \
--record-membrane \
--record-weights \
--session-name my_experiment_001
"""
USE_CASE_3 = """
# Terminal 1: PFC node (recording enabled)
python examples/run_zenoh_distributed_brain.py \
--node-id pfc-0 \
--module-type pfc \
--enable-recording \
--session-name multi_node_test
# Terminal 2: Visual node (same session)
python examples/run_zenoh_distributed_brain.py \
--node-id visual-0 \
--module-type visual \
--enable-recording \
--session-name multi_node_test
# Terminal 3: Lang-Main node (same session)
python examples/run_zenoh_distributed_brain.py \
--node-id lang-main-0 \
--module-type lang-main \
--enable-recording \
--session-name multi_node_test
"""


@pytest.fixture
def start(tmp_path):
    """Starts Python with some words in an empty folder; what runs at the end of the test is killed."""
    with ExitStack() as stack:

        def run(*words):
            process = subprocess.Popen(
                [sys.executable, *words], cwd=tmp_path, env=ENVIRONMENT,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield run


def arguments(text):
    """The words of the command lines of a seed, with the script's name left out."""
    lines = re.findall(r"^python examples/run_zenoh_distributed_brain\.py (.*)$", text, re.MULTILINE)
    return [line.split() for line in lines]


def ended(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def test_three_processes_of_use_case_3_record_one_session(start, tmp_path):
    results = [ended(process) for process in [start(EXAMPLE, *words) for words in arguments(USE_CASE_3)]]
    assert [(code, err) for code, _, err in results] == [(0, "")] * 3
    path, nodes = tmp_path / "sim_recordings" / "multi_node_test", ["lang-main-0", "pfc-0", "visual-0"]
    with h5py.File(path / "simulation_data.h5") as file:
        assert sorted(file["spikes"]) == nodes
        assert sorted(file["spikes/pfc-0"]) == ["hidden", "output", "retina"]
        n_spikes = sum(
            batch.size for node in nodes for layer in file["spikes"][node].values() for batch in layer.values()
        )
    statistics = json.loads((path / "recording_statistics.json").read_text())
    assert statistics["total_spikes_recorded"] == n_spikes > 0
    assert sorted(statistics["steps"]) == nodes
    assert [part["state"] for part in statistics["recorders"]] == ["closed"] * 3
    assert len({part["pid"] for part in statistics["recorders"]}) == 3
    states = [json.loads(line) for line in (path / "control_states.jsonl").read_text().splitlines()]
    assert len(states) == 3 * 20
    assert [state["t"] for state in states] == sorted(state["t"] for state in states)
    assert {state["node_id"] for state in states[:3]} == set(nodes)
    assert [s["step_count"] for s in states if s["node_id"] == "pfc-0"] == list(range(0, 1000, 50))
    with Session(path) as session:
        assert session.control_states() == states
        assert {node: session.extent(node, "output").n_steps for node in nodes} == dict.fromkeys(nodes, 1000)
        assert not session.is_live


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """Runs the example in this process, in an empty folder: its code, what it printed, its messages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    main = runpy.run_path(str(EXAMPLE))["main"]

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["record_node.py", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(("text", "session"), [(USE_CASE_1, "debug_session"), (QUICK_START, "my_experiment_001")])
def test_a_command_line_of_the_seed_records_everything_it_asks_for(example, text, session):
    (words,) = arguments(text)
    code, out, err = example(*words)
    node = words[words.index("--node-id") + 1]
    assert (code, err) == (0, "")
    assert out.startswith(f"{node}: 1 s, ")
    path = Path("sim_recordings") / session
    with Session(path) as opened:
        assert opened.observables(node, "output") == ["spikes", "v"]
        assert opened.layers(node, "weights") == ["into", "onward"]
        assert len(opened.control_states()) == 20
    with h5py.File(consolidate(path, layout="steps")) as file:
        assert len(file[f"spikes/{node}/output"]) == 1000


def test_a_command_line_without_a_session_s_name_makes_one_of_the_time(example):
    code, out, _ = example("--node-id", "pfc-0", "--module-type", "pfc", "--enable-recording", "--duration", "0.1")
    assert code == 0
    assert re.fullmatch(r"pfc-0: 0\.1 s, [\d,]+ spikes, .*/sim_recordings/sim_\d{8}_\d{6}\n", out)


def test_a_saved_network_is_run_as_it_was_and_recorded_no_further_than_asked(example):
    net = spikeloom.Network("saved")
    with net:
        eye = spikeloom.Encoder((2, 3), coding_method="poisson")
        cells = spikeloom.NeuronGroup(7, model="lif")
        net.wire = spikeloom.Connection(eye, cells, link_type="full", w_mean=0.5)
    net.set_backend_dt(0.5)
    spikeloom.network_save(net, "saved")
    code, out, _ = example(
        *("--network", "saved", "--enable-recording", "--session-name", "s", "--max-recording-duration", "0.06"),
        *("--duration", "0.2", "--no-record-spikes", "--record-membrane", "--spike-subsample-rate", "0.5"),
    )
    assert (code, "stopped by max_recording_duration" in out) == (0, True)
    with Session("sim_recordings/s") as session:
        assert session.observables("main", "cells") == ["v"]
        assert session.extent("main", "cells", "v") == (120, 0.5)
        assert session.control_states()[-1]["t"] <= 60


def test_without_the_switch_nothing_is_recorded(example, tmp_path):
    code, out, _ = example("--duration", "0.05")
    assert (code, out) == (0, "main was not recorded: give --enable-recording\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--enable-recordin"], "unknown option '--enable-recordin'; did you mean '--enable-recording'"),
        (["--network", "none.json"], "error: .*none"),
        (["--enable-recording", "--spike-subsample-rate", "2"], "error: --spike-subsample-rate must be a fraction"),
    ],
)
def test_wrong_usage_of_the_example_is_one_line(example, words, message):
    code, out, err = example(*words)
    assert code in (1, 2)
    assert re.search(message, err)
    assert out == ""


WRITER = """
import os, sys, time
import numpy as np
from spikeloom.recording import RecorderConfig, SimulationRecorder

node, at_end = sys.argv[1:]
config = RecorderConfig(enable_recording=True, output_dir=".", session_name="s", flush_interval=0.05)
recorder = SimulationRecorder(config, node_id=node)
recorder.record_control_state(node, "pfc", "Processing", "task", 0)
recorder.record_spike_data(node, "l", np.ones((10, 4), np.int8))
recorder.flush_all()
print("flushed", flush=True)
if at_end == "wait":
    time.sleep(300)
if at_end == "die":
    os._exit(3)
recorder.close()
"""


def test_nodes_that_live_die_are_killed_and_come_late_leave_one_session(start, tmp_path):
    killed, dead = start("-c", WRITER, "killed", "wait"), start("-c", WRITER, "dead", "die")
    assert killed.stdout.readline() == "flushed\n"
    assert ended(dead)[0] == 3
    with Session(tmp_path / "s") as session:
        assert session.is_live
        status = {part.nodes[0]: part.status for part in session.recorders()}
        assert status == {"killed": "recording", "dead": "died"}
        assert session.train("killed", "l").n_spikes == 40
    killed.send_signal(signal.SIGKILL)
    assert ended(killed)[0] == -signal.SIGKILL
    assert ended(start("-c", WRITER, "late", "close"))[0] == 0
    with h5py.File(tmp_path / "s" / "simulation_data.h5") as file:
        assert {node: np.sum([b.size for b in file["spikes"][node]["l"].values()]) for node in file["spikes"]} == {
            "dead": 40,
            "killed": 40,
            "late": 40,
        }
    lines = (tmp_path / "s" / "control_states.jsonl").read_text().splitlines()
    assert {json.loads(line)["node_id"] for line in lines} == {"dead", "killed", "late"}
    with Session(tmp_path / "s") as session:
        assert {part.nodes[0]: part.status for part in session.recorders()} == {
            "killed": "died",
            "dead": "died",
            "late": "closed",
        }
        statistics = session.statistics()
        assert len(session.control_states()) == 3
    assert statistics["total_spikes_recorded"] == 120
    assert statistics["steps"] == {"dead": {"l": 10}, "killed": {"l": 10}, "late": {"l": 10}}


def test_a_second_node_of_the_same_name_is_refused_and_ctrl_c_leaves_a_whole_session(start, example, tmp_path):
    words = ["--node-id", "a", "--enable-recording", "--session-name", "s", "--duration", "100000"]
    first = start(EXAMPLE, *words, "--flush-interval", "0.05")
    file = tmp_path / "sim_recordings" / "s" / "nodes" / "a.h5"
    while first.poll() is None and not (file.exists() and file.stat().st_size > 20_000):
        time.sleep(0.05)
    code, _, err = example(*words)
    assert code == 1
    assert re.match(
        r"error: session 's' holds a recording of node 'a' already; choose another .*session_name or node_id", err
    )
    first.send_signal(signal.SIGINT)
    code, out, err = ended(first)
    assert (code, err) == (130, "interrupted\n")
    with Session(file.parents[1]) as session:
        (part,) = [part for part in session.recorders() if part.nodes == ["a"]]
        assert part.status == "closed"
        assert session.extent("a", "hidden").n_steps * 1e-3 == pytest.approx(part.counts["simulated_seconds"])
        assert f"{int(session.statistics()['total_spikes_recorded']):,} spikes" in out

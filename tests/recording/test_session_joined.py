"""Files that several recorders of a session write together: whoever writes last has seen all."""

import json
import threading

import h5py
import numpy as np
import pytest

import spikeloom.recording.layout as layout
from spikeloom.errors import ParameterError
from spikeloom.recording import RecorderConfig, Session, SimulationRecorder
from spikeloom.recording.layout import write_control_states, write_links
from spikeloom.recording.statistics import StatisticsPart


def recorder(folder, node):
    made = SimulationRecorder(RecorderConfig(enable_recording=True, output_dir=folder, session_name="s"), node_id=node)
    made.record_spike_data(node, "l", np.ones((2, 3), np.int8))
    made.record_control_state(node, "pfc", "Idle")
    return made


def test_recorders_that_open_and_close_at_once_are_all_in_the_joined_files(tmp_path):
    def live(node):
        with recorder(tmp_path, node):
            pass

    threads = [threading.Thread(target=live, args=(f"n{k}",)) for k in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nodes = {f"n{k}" for k in range(10)}
    with h5py.File(tmp_path / "s" / "simulation_data.h5") as file:
        assert {node for node in file["spikes"] if len(file["spikes"][node]["l"])} == nodes
    lines = (tmp_path / "s" / "control_states.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["node_id"] for line in lines) == sorted(nodes)
    statistics = json.loads((tmp_path / "s" / "recording_statistics.json").read_text())
    assert (statistics["total_spikes_recorded"], len(statistics["recorders"])) == (60, 10)


def test_recorders_that_start_at_once_without_a_name_have_a_session_each(tmp_path):
    start, paths = threading.Barrier(12), set()

    def live():
        start.wait()
        with SimulationRecorder(RecorderConfig(enable_recording=True, output_dir=tmp_path)) as made:
            paths.add(made.path)

    threads = [threading.Thread(target=live) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 12


def test_a_node_that_appears_while_the_links_are_written_is_linked(tmp_path, monkeypatch):
    recorder(tmp_path, "a").close()
    whole, late = layout.write_atomically, []

    def write(path, content):
        if path.name == "simulation_data.h5" and not late:
            late.append(tmp_path / "s" / "nodes" / "b.h5")
            with h5py.File(late[0], "w") as file:
                file["spikes/b/l"] = 3
        whole(path, content)

    monkeypatch.setattr(layout, "write_atomically", write)
    write_links(tmp_path / "s")
    with h5py.File(tmp_path / "s" / "simulation_data.h5") as file:
        assert file["spikes/b/l"][()] == 3


def test_states_of_a_recorder_that_closes_meanwhile_are_joined_and_those_of_one_that_goes_on_delay_nobody(
    tmp_path, monkeypatch
):
    recorder(tmp_path, "a").close()
    session, whole, n_written = tmp_path / "s", layout.write_atomically, []
    other = StatisticsPart(session, {})
    other.start()
    line = (session / "control_states.a.jsonl").read_text()

    def write(path, content):
        if path.name == "control_states.jsonl":
            n_written.append(content)
            with (session / "control_states.b.jsonl").open("a") as file:
                file.write(line)
            if len(n_written) == 1:
                other.close({})
        whole(path, content)

    monkeypatch.setattr(layout, "write_atomically", write)
    write_control_states(session)
    assert [content.count(b"\n") for content in n_written] == [1, 2]


def test_control_states_are_in_the_order_of_model_time_then_step(tmp_path):
    lines = [(30.0, 3, 1.0, "b"), (10.0, 2, 2.0, "b"), (10.0, 1, 9.0, "a"), (20.0, 0, 5.0, "a"), (10.0, 1, 3.0, "b")]
    for node in "ab":
        with (tmp_path / f"control_states.{node}.jsonl").open("w") as file:
            for t, step, stamp, owner in lines:
                state = {"t": t, "step_count": step, "timestamp": stamp, "node_id": owner, "status": "Idle"}
                file.write(json.dumps(state) + "\n" if owner == node else "")
    write_control_states(tmp_path)
    with Session(tmp_path) as session:
        found = [(s["t"], s["step_count"], s["timestamp"]) for s in session.control_states()]
    assert found == [(10, 1, 3), (10, 1, 9), (10, 2, 2), (20, 0, 5), (30, 3, 1)]


def test_control_states_of_a_node_that_another_recorder_has_are_refused(tmp_path):
    config = RecorderConfig(enable_recording=True, output_dir=tmp_path, session_name="s")
    refused = pytest.raises(ParameterError, match="holds a recording of node 'a' already")
    with recorder(tmp_path, "a"), SimulationRecorder(config) as second, refused:
        second.record_control_state("a", "pfc", "Idle")
    assert len((tmp_path / "s" / "control_states.jsonl").read_text().splitlines()) == 1

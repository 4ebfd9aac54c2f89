"""A session is followed while other processes write it: all of it comes, once, in order, and the end has a reason."""

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict

import h5py
import numpy as np
import pytest

import spikeloom
from spikeloom.errors import DataError, ParameterError, StateError
from spikeloom.recording import RecorderConfig, Session, SimulationRecorder, Update
from spikeloom.recording import reading as reading_module

WRITER = """
import os, signal, sys, time
import numpy as np
from spikeloom.recording import RecorderConfig, SimulationRecorder

folder, node, n, pause, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
config = RecorderConfig(enable_recording=True, output_dir=folder, session_name="s", record_membrane=True)
recorder = SimulationRecorder(config, node_id=node)
for k in range(n):
    raster = (np.arange(20 * 7).reshape(20, 7) % 11 == k % 11).astype(np.int8)
    recorder.record_spike_data(node, "out", raster)
    recorder.record_spike_data(node, "in", raster[:, :3])
    recorder.record_membrane_data(node, "out", raster + 0.5)
    recorder.flush_all()
    time.sleep(pause)
if end == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
while end == "wait" and not os.path.exists(os.path.join(folder, "stop")):
    time.sleep(0.01)
recorder.close()
"""


def start(folder, node, n=20, pause=0.01, end="close"):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), node, str(n), str(pause), end])


def recorder(folder, node="a", **settings):
    config = RecorderConfig(enable_recording=True, output_dir=folder, session_name="s", **settings)
    return SimulationRecorder(config, node_id=node)


def write(recording, k, layer="out", n=7):
    recording.record_spike_data(
        recording.node_id, layer, (np.arange(20 * n).reshape(20, n) % 11 == k % 11).astype(np.int8)
    )
    recording.flush_all()


def gathered(updates):
    """Steps and spikes of each layer, as its batches tell them."""
    found = defaultdict(list)
    for update in updates:
        assert isinstance(update, Update)
        for batch in update.batches:
            assert batch.start == (found[update.node, update.layer] or [(0, 0)])[-1][0]
            found[update.node, update.layer].append((batch.start + batch.n_steps, batch.size))
    return {key: (stretches[-1][0], sum(size for _, size in stretches)) for key, stretches in found.items()}


def recorded(path):
    with Session(path) as session:
        return {
            (node, layer): (session.extent(node, layer).n_steps, session.train(node, layer).n_spikes)
            for node in session.nodes()
            for layer in session.layers(node)
        }


def test_every_batch_of_three_processes_comes_once_whenever_they_begin(tmp_path):
    path = tmp_path / "s"
    following = spikeloom.follow(path, 0.02)
    writers = [start(tmp_path, "a", end="wait")]
    updates = [next(following)]
    writers += [start(tmp_path, "b"), start(tmp_path, "late", 5)]
    while {update.node for update in updates} != {"a", "b", "late"}:
        updates.append(next(following))
    (tmp_path / "stop").touch()
    updates.extend(following)
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert following.reason == "closed"
    assert gathered(updates) == recorded(path)
    assert next(following, None) is None


def test_a_killed_writer_ends_the_iterator_with_the_reason_and_all_that_was_flushed(tmp_path):
    other = start(tmp_path, "b", 5, end="wait")
    following = spikeloom.follow(tmp_path / "s", 0.02)
    updates = [next(following)]
    killed = start(tmp_path, "a", 15, end="kill")
    assert killed.wait() == -signal.SIGKILL
    (tmp_path / "stop").touch()
    found = gathered([*updates, *following])
    assert other.wait() == 0
    assert found["a", "out"][0] == 300
    assert found == recorded(tmp_path / "s")
    assert following.reason == f"the recorder of a died (process {killed.pid}); closed"


def test_a_recorder_that_stopped_ends_it_with_its_reason(tmp_path):
    with recorder(tmp_path, max_recording_duration=0.05) as recording:
        for k in range(4):
            write(recording, k)
        following = spikeloom.follow(tmp_path / "s", 0.02)
        found = gathered(following)
    assert found["a", "out"][0] == 50
    assert following.reason.startswith("stopped by max_recording_duration")


def test_potentials_are_followed_beside_spikes_where_they_are_asked_for(tmp_path):
    with recorder(tmp_path, record_membrane=True) as recording:
        recording.record_membrane_data("a", "out", np.full((20, 7), 0.5))
        write(recording, 0)
    updates = list(spikeloom.follow(tmp_path / "s", kinds=["membrane", "spikes"]))
    assert [(update.kind, update.layer) for update in updates] == [("membrane", "out"), ("spikes", "out")]
    assert updates[0].batches[0].values.shape == (20, 1, 7)
    assert [update.kind for update in spikeloom.follow(tmp_path / "s")] == ["spikes"]


def test_one_node_and_layer_alone_can_be_followed(tmp_path):
    for node in ("a", "b"):
        with recorder(tmp_path, node) as recording:
            write(recording, 0)
            write(recording, 1, "in")
    assert set(gathered(spikeloom.follow(tmp_path / "s", layer="in"))) == {("a", "in"), ("b", "in")}
    assert set(gathered(spikeloom.follow(tmp_path / "s", node="b", layer="in"))) == {("b", "in")}


def test_without_history_it_begins_with_the_last_batch(tmp_path):
    with recorder(tmp_path) as recording:
        for k in range(5):
            write(recording, k)
        following = spikeloom.follow(tmp_path / "s", history=False)
        assert [batch.start for update in following.look() for batch in update.batches] == [80]
        write(recording, 5)
        assert [batch.start for update in following.look() for batch in update.batches] == [100]
        assert following.look() == []
    assert following.reason is None


def test_only_new_batches_are_read(tmp_path, monkeypatch):
    module = sys.modules["spikeloom.recording.follow"]
    read, listed = [], []
    monkeypatch.setattr(
        module, "read_spikes", lambda data, offsets: read.append(data.name) or reading_module.read_spikes(data, offsets)
    )
    monkeypatch.setattr(
        module, "batch_names", lambda group: listed.append(group.name) or reading_module.batch_names(group)
    )
    with recorder(tmp_path) as recording:
        for k in range(30):
            write(recording, k)
        following = spikeloom.follow(tmp_path / "s")
        assert sum(len(update.batches) for update in following.look()) == 30
        assert len(read) == 30
        read.clear()
        for k in range(30, 40):
            write(recording, k)
            following.look()
        assert len(read) == 10
        assert read[-1].endswith(f"t_{39 * 20 * 10**6:019}")


def test_a_quiet_file_is_not_opened_again(tmp_path, monkeypatch):
    with recorder(tmp_path) as recording:
        write(recording, 0)
        following = spikeloom.follow(tmp_path / "s")
        following.look()
        os.utime(tmp_path / "s" / "nodes" / "a.h5", (1, 1))
        time.sleep(0.1)
        assert following.look() == []
        opened = []
        with monkeypatch.context() as patch:
            patch.setattr(h5py, "File", lambda *arguments: opened.append(arguments))
            assert following.look() == []
        assert opened == []


def test_batches_behind_a_gap_are_found(tmp_path):
    with recorder(tmp_path) as recording:
        for k in range(6):
            write(recording, k)
    with h5py.File(tmp_path / "s" / "nodes" / "a.h5", "r+") as file:
        for k in (0, 3, 4):
            del file[f"spikes/a/out/t_{k * 20 * 10**6:019}"]
    updates = list(spikeloom.follow(tmp_path / "s"))
    assert [batch.start for update in updates for batch in update.batches] == [20, 40, 100]


def test_a_session_of_the_first_layout_is_followed(tmp_path):
    with recorder(tmp_path) as recording:
        for k in range(3):
            write(recording, k)
    path = tmp_path / "s"
    with h5py.File(path / "nodes" / "a.h5", "r+") as file:
        for k in range(3):
            file.move(f"spikes/a/out/t_{k * 20 * 10**6:019}", f"spikes/a/out/t_{k * 20 * 10**6}")
    for part in path.glob("recording_statistics*.json"):
        part.unlink()
    (path / "recording_statistics.json").write_text('{"stopped_by": "min_free_bytes: full"}')
    following = spikeloom.follow(path)
    assert gathered(following)["a", "out"][0] == 60
    assert following.reason == "stopped by min_free_bytes: full"


def test_a_torn_file_is_tried_again_and_costs_no_batch(tmp_path):
    with recorder(tmp_path) as recording:
        write(recording, 0)
        path = tmp_path / "s" / "nodes" / "a.h5"
        following = spikeloom.follow(tmp_path / "s")
        assert len(following.look()) == 1
        write(recording, 1)
        whole = path.read_bytes()
        os.truncate(path, len(whole) // 2)
        assert following.look() == []
        path.write_bytes(whole)
        assert [batch.start for update in following.look() for batch in update.batches] == [20]


def test_what_was_read_before_an_error_comes_all_the_same(tmp_path, monkeypatch):
    def torn_once(data, offsets):
        if "/out/" in data.name and not errors:
            errors.append(data.name)
            raise DataError("a recorded file is damaged")
        return reading_module.read_spikes(data, offsets)

    errors = []
    monkeypatch.setattr(sys.modules["spikeloom.recording.follow"], "read_spikes", torn_once)
    with recorder(tmp_path) as recording:
        write(recording, 0, "in")
        write(recording, 0, "out")
        following = spikeloom.follow(tmp_path / "s")
        assert [update.layer for update in following.look()] == ["in"]
        assert [update.layer for update in following.look()] == ["out"]


def test_what_is_torn_for_good_is_told_with_the_reason(tmp_path):
    with recorder(tmp_path) as recording:
        write(recording, 0)
    path = tmp_path / "s" / "nodes" / "a.h5"
    os.truncate(path, 60)
    following = spikeloom.follow(tmp_path / "s")
    assert list(following) == []
    assert following.reason.startswith("closed; a.h5: a recorded file is damaged")


def test_a_file_that_stays_unreadable_while_it_is_written_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["spikeloom.recording.follow"], "_PATIENCE", 0.05)
    with recorder(tmp_path) as recording:
        write(recording, 0)
        following = spikeloom.follow(tmp_path / "s", 0.02)
        (tmp_path / "s" / "nodes" / "a.h5").write_bytes(b"no HDF5 at all")
        with pytest.raises(DataError, match=r"nodes/a\.h5: a recorded file is damaged"):
            next(following)


def test_a_batch_that_lasts_no_time_is_refused(tmp_path):
    with recorder(tmp_path) as recording:
        write(recording, 0)
    with h5py.File(tmp_path / "s" / "nodes" / "a.h5", "r+") as file:
        file["spikes/a/out/t_0000000000000000000"].attrs["dt"] = 1e-12
    following = spikeloom.follow(tmp_path / "s")
    assert list(following) == []
    assert "must end after it begins" in following.reason


def test_a_session_that_does_not_begin_is_an_error(tmp_path):
    with pytest.raises(StateError, match=r"begins within 0\.05 s, but there is none at .*/s;"):
        next(spikeloom.follow(tmp_path / "s", 0.01, wait=0.05))


def test_a_session_in_which_nothing_happens_ends_after_the_timeout(tmp_path):
    with recorder(tmp_path) as recording:
        write(recording, 0)
        following = spikeloom.follow(tmp_path / "s", 0.01, timeout=0.1)
        assert len(list(following)) == 1
        assert following.reason == "nothing new for 0.1 s"


def test_an_interrupted_wait_can_be_taken_up_again(tmp_path, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    with recorder(tmp_path) as recording:
        write(recording, 0)
        following = spikeloom.follow(tmp_path / "s")
        next(following)
        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                next(following)
        write(recording, 1)
        assert next(following).batches[0].start == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"poll": 0}, "poll must be a positive number of seconds, got 0"),
        ({"wait": float("nan")}, "wait must be"),
        ({"timeout": -1}, "timeout must be"),
        ({"kinds": ["spike"]}, "did you mean 'spikes'"),
        ({"kinds": "spikes"}, "must be a list of some of spikes, membrane"),
        ({"kinds": []}, "must be a list"),
    ],
)
def test_wrong_settings_are_refused(settings, message, tmp_path):
    with pytest.raises(ParameterError, match=message):
        spikeloom.follow(tmp_path, **settings)

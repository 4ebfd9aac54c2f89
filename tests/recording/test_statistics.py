"""What recorders of a session say of themselves, joined; and parts that were made up."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from spikeloom.errors import DataError, ParameterError
from spikeloom.recording import RecorderConfig, Session, SimulationRecorder
from spikeloom.recording.statistics import StatisticsPart, join_statistics, joined, process_start, read_recorders


def told(spikes, seconds, node, layers):
    return {"session": "s", "total_spikes_recorded": spikes, "simulated_seconds": seconds, "steps": {node: layers}}


@pytest.fixture
def session(tmp_path):
    path = tmp_path / "s"
    path.mkdir()
    return path


def test_the_session_s_statistics_are_sums_with_the_longest_time_and_the_first_reason(session):
    a, b, c = (StatisticsPart(session, {"seed": k}) for k in range(3))
    for part in (a, b, c):
        part.start()
    b.stop("min_free_bytes: 3 are free", told(5, 0.25, "b", {"l": 250}))
    a.stop("max_wall_seconds: 2 s have passed", told(7, 0.5, "a", {"l": 500, "m": 500}))
    b.close(told(6, 0.25, "b", {"l": 250}))
    c.close(told(30, 2.5, "c", {"l": 2500}), ["only-controls"])
    found = json.loads((session / "recording_statistics.json").read_text())
    assert found["total_spikes_recorded"] == 7 + 6 + 30
    assert found["simulated_seconds"] == 2.5
    assert found["stopped_by"] == "min_free_bytes: 3 are free"
    assert found["steps"] == {"a": {"l": 500, "m": 500}, "b": {"l": 250}, "c": {"l": 2500}}
    assert [part["state"] for part in found["recorders"]] == ["stopped", "closed", "closed"]
    assert [part["nodes"] for part in found["recorders"]] == [["a"], ["b"], ["c", "only-controls"]]
    assert [part["config"]["seed"] for part in found["recorders"]] == [0, 1, 2]


def test_each_of_many_recorders_that_close_at_once_is_in_the_joined_file(session):
    parts = [StatisticsPart(session, {}) for _ in range(12)]

    def live(k):
        parts[k].start()
        parts[k].close(told(1, 1.0, f"n{k}", {"l": 1}))

    threads = [threading.Thread(target=live, args=(k,)) for k in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = json.loads((session / "recording_statistics.json").read_text())
    assert found["total_spikes_recorded"] == 12
    assert {part["state"] for part in found["recorders"]} == {"closed"}


def test_a_recorder_of_this_process_is_live_until_it_closes(session):
    part = StatisticsPart(session, {})
    part.start()
    (found,) = read_recorders(session)
    assert (found.is_live, found.status, found.pid) == (True, "recording", os.getpid())
    part.close({})
    (found,) = read_recorders(session)
    assert (found.is_live, found.status) == (False, "closed")


def changed(session, **values):
    (path,) = session.glob("recording_statistics.????????.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return read_recorders(session)[0]


def test_a_recorder_whose_process_ended_has_died_even_when_another_has_its_number(session):
    StatisticsPart(session, {}).start()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert changed(session, pid=ended.pid).status == "died"
    assert changed(session, pid=os.getpid(), process_start=process_start(os.getpid()) - 1).status == "died"
    assert changed(session, host=f"not-{socket.gethostname()}").status == f"recording on not-{socket.gethostname()}"


def test_a_process_that_ended_and_was_not_waited_for_does_not_run():
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as ended:
        ended.stdout.read()
        end = time.monotonic() + 60
        while process_start(ended.pid) is not None and time.monotonic() < end:
            time.sleep(0.01)
        assert process_start(ended.pid) is None
    assert process_start(os.getpid()) is not None


@pytest.mark.parametrize(
    "values",
    [
        {"pid": -1},
        {"pid": 0},
        {"pid": "1"},
        {"pid": 2**40},
        {"state": "asleep"},
        {"state": None},
        {"host": 3},
        {"started": "now"},
        {"started": float("nan")},
        {"ended": []},
        {"stopped_by": 5},
        {"nodes": "abc"},
        {"nodes": ["../x"]},
        {"nodes": [3]},
        {"config": []},
        {"counts": {"n": "many"}},
        {"counts": []},
        {"steps": {"a": {"l": -1}}},
        {"steps": {"a": 3}},
        {"recorder": "00000000"},
        {"recorder": []},
        {"process_start": None},
    ],
)
def test_a_part_that_no_recorder_writes_is_refused(session, values):
    StatisticsPart(session, {}).start()
    with pytest.raises(DataError, match="must be what a recorder wrote of itself"):
        changed(session, **values)


def test_a_part_with_something_missing_is_refused(session):
    (session / "recording_statistics.00000000.json").write_text('{"recorder": "00000000"}')
    with pytest.raises(DataError, match="must hold"):
        read_recorders(session)


def test_what_is_no_json_is_refused(session):
    for content in (b"", b"[]", b"\xff", b"[" * 100_000):
        (session / "recording_statistics.00000000.json").write_bytes(content)
        with pytest.raises(DataError, match=r"must be JSON|must hold a mapping"):
            read_recorders(session)


def test_settings_that_json_cannot_hold_are_refused(session):
    with pytest.raises(ParameterError, match="must consist of numbers"):
        StatisticsPart(session, {"x": object()})


def test_what_a_recorder_that_never_closed_had_written_is_counted_in_its_files(tmp_path):
    config = RecorderConfig(enable_recording=True, record_membrane=True, output_dir=tmp_path, session_name="s")
    recorder = SimulationRecorder(config, dt=1.0)
    recorder.record_spike_data("a", "l", [[1, 0], [1, 1], [0, 0]])
    recorder.record_membrane_data("a", "l", [[0.5, 0.5]] * 4)
    recorder.flush_all()
    with Session(recorder.path) as session:
        found = session.statistics()
    assert (found["total_spikes_recorded"], found["total_membrane_values"]) == (3, 8)
    assert found["steps"] == {"a": {"l": 4}} or found["steps"] == {"a": {"l": 3}}
    recorder.close()


def test_no_recorders_are_joined_to_nothing(session):
    assert joined("s", [])["recorders"] == []
    join_statistics(session)
    assert read_recorders(session) == []
